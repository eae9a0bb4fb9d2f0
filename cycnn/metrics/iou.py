"""Intersection over union: how far the pixels predicted to be of a class are those that are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import validation
from ..validation import message, received
from .base import Metric


class IoU(Metric):
    """The mean over classes of ``tp / (tp + fp + fn)``, of those that there are.

    Parameters
    ----------
    num_classes : int
    target_class_ids : list of int
        The classes whose mean it is.
    name, dtype
        As of `Metric`.
    ignore_class : int, optional
        Pixels whose target it is do not count; neither do those whose target is no class.
    sparse_y_true, sparse_y_pred : bool
        Whether targets and predictions are class numbers, and not one number for each class along `axis`. True by
        default; the predictions of a softmax are not.
    axis : int
        Of the classes, -1 by default.

    Examples
    --------
    >>> metric = IoU(num_classes=2, target_class_ids=[0])
    >>> round(metric([0, 0, 1, 1], [0, 1, 0, 1]), 4)
    0.3333
    """

    arguments: ClassVar[tuple[str, ...]] = (
        "num_classes", "target_class_ids", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis",
    )  # fmt: skip

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        self.num_classes = validation.positive_int(self.owner, "num_classes", num_classes)
        super().__init__(dtype, name)
        if not isinstance(target_class_ids, (list, tuple, range)):
            what = received("target_class_ids", target_class_ids)
            raise TypeError(message(self.owner, "target_class_ids", "be a list of class numbers", what))
        ids = [validation.non_negative_int(self.owner, "target_class_ids", each) for each in target_class_ids]
        if max(ids, default=0) >= num_classes:
            rule = f"be less than `num_classes`, {num_classes}"
            raise ValueError(message(self.owner, "target_class_ids", rule, received("target_class_ids", ids)))
        self.target_class_ids = ids
        ignored = None if ignore_class is None else validation.integer(self.owner, "ignore_class", ignore_class)
        self.ignore_class = ignored
        self.sparse_y_true = validation.boolean(self.owner, "sparse_y_true", sparse_y_true)
        self.sparse_y_pred = validation.boolean(self.owner, "sparse_y_pred", sparse_y_pred)
        self.axis = validation.integer(self.owner, "axis", axis)

    def reset_state(self) -> None:
        """Start anew."""
        self._matrix = np.zeros((self.num_classes, self.num_classes))  # targets by predictions

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take a batch of targets and predictions into account."""
        truth, predictions = np.asarray(y_true), np.asarray(y_pred)
        truth = truth if self.sparse_y_true else truth.argmax(self.axis)
        predictions = predictions if self.sparse_y_pred else predictions.argmax(self.axis)
        if truth.size != predictions.size:
            rule = "have as many classes as `y_pred`"
            what = received("y_true.shape", np.shape(y_true)) + ", " + received("y_pred.shape", np.shape(y_pred))
            raise ValueError(message(self.owner, "y_true", rule, what))
        weights = None
        if sample_weight is not None:
            weights = np.broadcast_to(self.weights(sample_weight, truth.shape), truth.shape).reshape(-1)
        self._add(truth.reshape(-1).astype(np.int64), predictions.reshape(-1).astype(np.int64), weights)

    def _add(
        self, truth: NDArray[np.int64], predictions: NDArray[np.int64], weights: NDArray[np.float64] | None
    ) -> None:
        """Add pixels to the matrix of confusions."""
        counts = (truth >= 0) & (truth < self.num_classes) & (predictions >= 0) & (predictions < self.num_classes)
        if self.ignore_class is not None:
            counts &= truth != self.ignore_class
        cells = truth[counts] * self.num_classes + predictions[counts]
        found = np.bincount(cells, None if weights is None else weights[counts], minlength=self.num_classes**2)
        self._matrix = self._matrix + found.reshape(self._matrix.shape)

    def result(self) -> float:
        """Return the mean so far, 0 if there is none of the classes."""
        both = np.diag(self._matrix)
        either = self._matrix.sum(axis=0) + self._matrix.sum(axis=1) - both
        both, either = both[self.target_class_ids], either[self.target_class_ids]
        there = either > 0
        return float((both[there] / either[there]).mean()) if there.any() else 0.0


class BinaryIoU(IoU):
    """Intersection over union of the classes 0 and 1; predictions are probabilities of 1.

    Parameters
    ----------
    target_class_ids : list of int
        The classes whose mean it is, by default both.
    threshold : float
        0.5 by default; a probability that reaches it stands for 1.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> round(BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]), 4)
    0.3333
    """

    arguments = ("target_class_ids", "threshold")

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = validation.number(self.owner, "threshold", threshold, 0, 1)

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take a batch of targets and predictions into account."""
        super().update_state(y_true, np.asarray(y_pred) >= self.threshold, sample_weight)


class MeanIoU(IoU):
    """Intersection over union, the mean over all classes that there are.

    Parameters
    ----------
    num_classes : int
    name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis
        As of `IoU`.

    Examples
    --------
    >>> round(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1]), 4)
    0.3333
    """

    arguments: ClassVar[tuple[str, ...]] = (
        "num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis",
    )  # fmt: skip

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        classes = range(validation.positive_int(self.owner, "num_classes", num_classes))
        super().__init__(num_classes, classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


class OneHotIoU(IoU):
    """Intersection over union of some classes; targets, and predictions too, have a number for each class.

    Parameters
    ----------
    num_classes, target_class_ids, name, dtype, ignore_class, axis
        As of `IoU`.
    sparse_y_pred : bool
        Whether predictions are class numbers nevertheless. False by default.

    Examples
    --------
    >>> metric = OneHotIoU(num_classes=2, target_class_ids=[1])
    >>> metric([[0, 1], [1, 0], [0, 1]], [[0.2, 0.8], [0.4, 0.6], [0.9, 0.1]]).__round__(4)
    0.3333
    """

    arguments = ("num_classes", "target_class_ids", "ignore_class", "sparse_y_pred", "axis")

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(MeanIoU):
    """Intersection over union, the mean over all classes; targets, and predictions too, have a number for each class.

    Parameters
    ----------
    num_classes, name, dtype, ignore_class, axis
        As of `IoU`.
    sparse_y_pred : bool
        Whether predictions are class numbers nevertheless. False by default.

    Examples
    --------
    >>> metric = OneHotMeanIoU(num_classes=2)
    >>> metric([[0, 1], [1, 0], [0, 1]], [[0.2, 0.8], [0.4, 0.6], [0.9, 0.1]]).__round__(4)
    0.1667
    """

    arguments = ("num_classes", "ignore_class", "sparse_y_pred", "axis")

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
