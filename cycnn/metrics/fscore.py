"""The balance of precision and recall in one number."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import validation
from ..validation import message, received
from .base import Metric

_EPSILON = 1e-7  # of Keras: it keeps quotients of nothing at 0


class FBetaScore(Metric):
    """``(1 + beta**2) * precision * recall / (beta**2 * precision + recall)`` of each class.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
        By default the result is an array of one score for each class. "micro" counts all classes together, "macro" is
        the mean of the classes, "weighted" their mean by how often they are true.
    beta : float
        How many times as much recall counts as precision, 1 by default.
    threshold : float, optional
        Above it a prediction is positive. By default the largest of a row is.
    name : str, optional
        By default "fbeta_score".
    dtype : str, optional
        As of `Metric`.

    Examples
    --------
    >>> y_true = [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    >>> y_pred = [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]
    >>> FBetaScore(beta=2.0, threshold=0.5)(y_true, y_pred).round(4)
    array([0.3846, 0.9091, 0.8333])
    """

    arguments: ClassVar[tuple[str, ...]] = ("average", "beta", "threshold")
    sparse = False

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        if average is not None:
            average = validation.choice(self.owner, "average", average, ("micro", "macro", "weighted"))
        self.average = average
        self.beta = validation.number(self.owner, "beta", beta, 0, above=True)
        self.threshold = None
        if threshold is not None:
            self.threshold = validation.number(self.owner, "threshold", threshold, 0, 1, above=True)

    def reset_state(self) -> None:
        """Start anew."""
        self._tp: Any = 0.0
        self._fp: Any = 0.0
        self._fn: Any = 0.0

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take a batch of targets and predictions, (batch, classes), into account."""
        y_true, y_pred = self.pair(y_true, y_pred)
        if y_pred.ndim != 2:
            what = received("y_pred.shape", y_pred.shape)
            raise ValueError(message(self.owner, "y_pred", "have the shape (batch, classes)", what))
        if self.threshold is None:
            positive = (y_pred >= y_pred.max(axis=-1, keepdims=True)) & (np.abs(y_pred) > 1e-9)
        else:
            positive = y_pred > self.threshold
        truth = y_true.astype(np.float64)
        weights = np.ones((1, 1)) if sample_weight is None else self.weights(sample_weight, y_pred.shape)
        axis = None if self.average == "micro" else 0
        self._tp = self._tp + (positive * truth * weights).sum(axis=axis)
        self._fp = self._fp + (positive * (1 - truth) * weights).sum(axis=axis)
        self._fn = self._fn + (~positive * truth * weights).sum(axis=axis)

    def result(self) -> Any:
        """Return the score so far, one for each class without an average."""
        precision = self._tp / (self._tp + self._fp + _EPSILON)
        recall = self._tp / (self._tp + self._fn + _EPSILON)
        square = self.beta**2
        scores: NDArray[np.float64] = np.asarray(
            (1 + square) * precision * recall / (square * precision + recall + _EPSILON)
        )
        if self.average == "weighted":
            truth = np.asarray(self._tp + self._fn)
            return float((scores * truth / (truth.sum() + _EPSILON)).sum())
        return scores if self.average is None and scores.ndim else float(scores.mean())


class F1Score(FBetaScore):
    """``2 * precision * recall / (precision + recall)`` of each class.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
        By default the result is an array of one score for each class. "micro" counts all classes together, "macro" is
        the mean of the classes, "weighted" their mean by how often they are true.
    threshold : float, optional
        Above it a prediction is positive. By default the largest of a row is.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> y_true = [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    >>> y_pred = [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]
    >>> F1Score(threshold=0.5)(y_true, y_pred).round(4)
    array([0.5   , 0.8   , 0.6667])
    """

    arguments = ("average", "threshold")

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)
