"""Counts of right and wrong decisions at thresholds, and what is made of them: precision, recall and their trade-offs.

A prediction is positive at a threshold that it exceeds. Each falls between two thresholds, so one histogram of the
positive targets and one of the negative ones give the counts at all thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import validation
from ..validation import message, received
from .base import Metric, number_or_array, quotient


class Counts(NamedTuple):
    """Weights of true and false positives and negatives at each threshold."""

    tp: NDArray[np.float64]
    fp: NDArray[np.float64]
    tn: NDArray[np.float64]
    fn: NDArray[np.float64]

    def plus(self, other: Counts) -> Counts:
        """Return the sums."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def precision(self) -> NDArray[np.float64]:
        return np.asarray(quotient(self.tp, self.tp + self.fp))

    @property
    def recall(self) -> NDArray[np.float64]:
        return np.asarray(quotient(self.tp, self.tp + self.fn))

    @property
    def specificity(self) -> NDArray[np.float64]:
        return np.asarray(quotient(self.tn, self.tn + self.fp))


def nothing(*shape: int) -> Counts:
    """Return counts of zero."""
    return Counts(*(np.zeros(shape) for _ in range(4)))


def count(
    y_true: NDArray[Any], y_pred: NDArray[Any], thresholds: NDArray[np.float64], weights: NDArray[Any] | None
) -> Counts:
    """Return the counts of decisions at all thresholds; targets other than 0 are positive."""
    order = np.argsort(thresholds, kind="stable")
    # As exact as the predictions: a threshold equals a prediction if it is rounded to that.
    edges = thresholds[order].astype(y_pred.dtype if y_pred.dtype.kind == "f" else np.float64)
    positive = y_true.reshape(-1) != 0
    numbers = np.where(np.isnan(y_pred), -np.inf, y_pred).reshape(-1)
    exceeded = np.searchsorted(edges, numbers, side="left")
    masses = None if weights is None else np.broadcast_to(weights, y_pred.shape).reshape(-1)
    found = []
    for side in (positive, ~positive):
        mass = None if masses is None else masses[side]
        histogram = np.bincount(exceeded[side], mass, minlength=len(edges) + 1).astype(np.float64)
        above = np.empty(len(edges))
        above[order] = histogram[::-1].cumsum()[::-1][1:]
        found += [above, histogram.sum() - above]
    return Counts(tp=found[0], fp=found[2], tn=found[3], fn=found[1])


def check_thresholds(owner: str, value: object, default: float) -> NDArray[np.float64]:
    """Return one or more thresholds between 0 and 1 as an array."""
    if value is None:
        return np.array([default])
    several = list(value) if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str) else [value]
    if not several:
        raise ValueError(message(owner, "thresholds", "have at least one number", received("thresholds", value)))
    return np.array([validation.number(owner, "thresholds", each, 0, 1) for each in several])


class _Confusion(Metric):
    """Base of the metrics that are computed from counts."""

    sparse = False
    edges: NDArray[np.float64]
    top_k: int | None = None
    class_id: int | None = None

    def __init__(self, edges: NDArray[np.float64], name: str | None, dtype: str | None) -> None:
        self.edges = edges
        super().__init__(dtype, name)

    def reset_state(self) -> None:
        """Start anew."""
        self.counts = nothing(len(self.edges))

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take a batch of targets and predictions into account."""
        y_true, y_pred = self.pair(y_true, y_pred)
        weights = None if sample_weight is None else self.weights(sample_weight, y_pred.shape)
        if self.top_k is not None:
            best = np.argsort(-y_pred, axis=-1, kind="stable")[..., : self.top_k]
            chosen = np.zeros(y_pred.shape, bool)
            np.put_along_axis(chosen, best, True, axis=-1)
            y_pred = np.where(chosen, y_pred, -np.inf)
        if self.class_id is not None:
            if y_pred.ndim < 2 or self.class_id >= y_pred.shape[-1]:
                rule = "be the number of a class of `y_pred`"
                what = received("class_id", self.class_id) + ", " + received("y_pred.shape", y_pred.shape)
                raise ValueError(message(self.owner, "class_id", rule, what))
            y_true, y_pred = y_true[..., self.class_id], y_pred[..., self.class_id]
            if weights is not None:
                weights = weights[..., self.class_id if weights.shape[-1] > 1 else 0]
        self.counts = self.counts.plus(count(y_true, y_pred, self.edges, weights))


class _Count(_Confusion):
    """Base of the four counts."""

    arguments = ("thresholds",)
    kind: ClassVar[str] = ""

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, name: str | None = None, dtype: str | None = None
    ) -> None:
        super().__init__(check_thresholds(self.owner, thresholds, 0.5), name, dtype)
        self.thresholds = thresholds

    def result(self) -> Any:
        """Return the count so far, one for each threshold if there are several."""
        return number_or_array(getattr(self.counts, self.kind))


class TruePositives(_Count):
    """How many predictions of a 1 are above a threshold, or their weight.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Between 0 and 1, by default 0.5. For a list the result is an array.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> TruePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    2.0
    """

    kind = "tp"


class FalsePositives(_Count):
    """How many predictions of a 0 are above a threshold, or their weight.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Between 0 and 1, by default 0.5. For a list the result is an array.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> FalsePositives()([0, 1, 0, 0], [0, 0, 1, 1])
    2.0
    """

    kind = "fp"


class TrueNegatives(_Count):
    """How many predictions of a 0 are not above a threshold, or their weight.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Between 0 and 1, by default 0.5. For a list the result is an array.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> TrueNegatives()([0, 1, 0, 0], [1, 1, 0, 0])
    2.0
    """

    kind = "tn"


class FalseNegatives(_Count):
    """How many predictions of a 1 are not above a threshold, or their weight.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Between 0 and 1, by default 0.5. For a list the result is an array.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> FalseNegatives()([0, 1, 1, 1], [0, 1, 0, 0])
    2.0
    """

    kind = "fn"


class _Rate(_Confusion):
    """Base of precision and recall."""

    arguments = ("thresholds", "top_k", "class_id")
    kind: ClassVar[str] = ""

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        # What is not among the top k is made minus infinity, which no threshold is exceeded by.
        default = 0.5 if top_k is None else -np.inf
        super().__init__(check_thresholds(self.owner, thresholds, default), name, dtype)
        self.thresholds = thresholds
        self.top_k = None if top_k is None else validation.positive_int(self.owner, "top_k", top_k)
        self.class_id = None if class_id is None else validation.non_negative_int(self.owner, "class_id", class_id)

    def result(self) -> Any:
        """Return the rate so far, one for each threshold if there are several."""
        return number_or_array(getattr(self.counts, self.kind))


class Precision(_Rate):
    """Which share of what is predicted positive is so: ``tp / (tp + fp)``, 0 where nothing is.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Between 0 and 1; above it a prediction is positive. By default 0.5, or none with `top_k`. For a list the
        result is an array.
    top_k : int, optional
        Only the k largest predictions of a row may be positive.
    class_id : int, optional
        Only this class counts, by default all of them.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> round(Precision()([0, 1, 1, 1], [1, 0, 1, 1]), 4)
    0.6667
    """

    kind = "precision"


class Recall(_Rate):
    """Which share of what is positive is predicted so: ``tp / (tp + fn)``, 0 where nothing is.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Between 0 and 1; above it a prediction is positive. By default 0.5, or none with `top_k`. For a list the
        result is an array.
    top_k : int, optional
        Only the k largest predictions of a row may be positive.
    class_id : int, optional
        Only this class counts, by default all of them.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> round(Recall()([0, 1, 1, 1], [1, 0, 1, 1]), 4)
    0.6667
    """

    kind = "recall"
