"""The area under the curve of two rates, drawn through the points of many thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import validation
from ..validation import message, received
from .base import Metric, quotient
from .confusion import Counts, check_thresholds, count, nothing

_EPSILON = 1e-7  # the outermost thresholds lie beyond 0 and 1 by this


class AUC(Metric):
    """The area under a curve of true and false positives, through the points that thresholds give.

    Parameters
    ----------
    num_thresholds : int
        From 0 to 1, 200 by default.
    curve : {"ROC", "PR", "PRGAIN"}
        Recall over the share of false positives (by default), precision over recall, or their gains.
    summation_method : {"interpolation", "minoring", "majoring"}
        Between two points the curve is their mean (for "PR" the interpolation of Davis and Goadrich), the lower or
        the higher of them.
    name, dtype
        As of `Metric`.
    thresholds : list of float, optional
        Between 0 and 1, instead of `num_thresholds`; the ends are added.
    multi_label : bool
        Whether the area is that of each column of (batch, labels), and the result their mean; not one of all numbers.
    num_labels : int, optional
        How many columns there are, with `multi_label`; the first batch shows it too.
    label_weights : list of float, optional
        What the columns count: in the mean of areas with `multi_label`, otherwise in the counts.
    from_logits : bool
        Whether predictions are logits, to which the sigmoid is applied. False by default.

    References
    ----------
    Davis and Goadrich, "The relationship between precision-recall and ROC curves", 2006.

    Examples
    --------
    >>> round(AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]), 4)
    0.75
    """

    arguments = (
        "num_thresholds", "curve", "summation_method", "thresholds", "multi_label", "num_labels", "label_weights",
        "from_logits",
    )  # fmt: skip
    sparse = False

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        owner = self.owner
        self.curve = validation.choice(
            owner, "curve", curve.upper() if isinstance(curve, str) else curve, ("ROC", "PR", "PRGAIN")
        )
        method = summation_method.lower() if isinstance(summation_method, str) else summation_method
        ways = ("interpolation", "minoring", "majoring")
        self.summation_method = validation.choice(owner, "summation_method", method, ways)
        self.multi_label = validation.boolean(owner, "multi_label", multi_label)
        self.num_labels = None if num_labels is None else validation.positive_int(owner, "num_labels", num_labels)
        if num_labels is not None and not multi_label:
            rule = "be None without `multi_label`"
            raise ValueError(message(owner, "num_labels", rule, received("num_labels", num_labels)))
        self.label_weights = None if label_weights is None else [float(weight) for weight in label_weights]
        self.from_logits = validation.boolean(owner, "from_logits", from_logits)
        self.thresholds = None if thresholds is None else sorted(check_thresholds(owner, thresholds, 0.5).tolist())
        if self.thresholds is None:
            self.num_thresholds = validation.positive_int(owner, "num_thresholds", num_thresholds)
            if num_thresholds == 1:
                rule = "be an int greater than 1"
                raise ValueError(message(owner, "num_thresholds", rule, received("num_thresholds", num_thresholds)))
            inner = (np.arange(1, num_thresholds - 1) / (num_thresholds - 1)).tolist()
        else:
            inner, self.num_thresholds = self.thresholds, len(self.thresholds) + 2
        self.edges = np.array([-_EPSILON, *inner, 1 + _EPSILON])
        super().__init__(dtype, name)

    def reset_state(self) -> None:
        """Start anew."""
        self.counts: list[Counts] = []  # of each column, or one of all

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take a batch of targets and predictions into account."""
        y_true, y_pred = self.pair(y_true, y_pred)
        weights = None if sample_weight is None else self.weights(sample_weight, y_pred.shape)
        self._check_columns(y_pred.shape)
        if self.from_logits:
            y_pred = 0.5 + 0.5 * np.tanh(0.5 * y_pred)
        if not self.multi_label:
            if self.label_weights is not None:
                weights = (1.0 if weights is None else weights) * np.asarray(self.label_weights)
            self._add([count(y_true, y_pred, self.edges, weights)])
            return
        columns = range(y_pred.shape[1])
        each = None if weights is None else np.broadcast_to(weights, y_pred.shape)
        self._add(
            [count(y_true[:, i], y_pred[:, i], self.edges, None if each is None else each[:, i]) for i in columns]
        )

    def _check_columns(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError if predictions do not have the columns that the arguments speak of."""
        if self.multi_label and (len(shape) != 2 or self.num_labels not in (None, shape[1])):
            rule = f"have the shape (batch, {self.num_labels or 'labels'})"
            raise ValueError(message(self.owner, "y_pred", rule, received("y_pred.shape", shape)))
        if self.label_weights is not None and len(self.label_weights) != (shape[-1] if len(shape) > 1 else 1):
            rule = "have one number for each column of `y_pred`"
            what = received("len(label_weights)", len(self.label_weights)) + ", " + received("y_pred.shape", shape)
            raise ValueError(message(self.owner, "label_weights", rule, what))

    def _add(self, counts: list[Counts]) -> None:
        before = self.counts or [nothing(len(self.edges)) for _ in counts]
        self.counts = [old.plus(new) for old, new in zip(before, counts, strict=True)]

    def result(self) -> float:
        """Return the area so far."""
        if not self.counts:
            return 0.0
        areas = np.array([self._area(counts) for counts in self.counts])
        if not self.multi_label or self.label_weights is None:
            return float(areas.mean())
        return float(quotient(areas @ self.label_weights, sum(self.label_weights)))

    def _area(self, counts: Counts) -> float:
        """Return the area under one curve, whose points come from right to left."""
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _interpolated_area(counts)
        if self.curve == "ROC":
            x, y = quotient(counts.fp, counts.fp + counts.tn), counts.recall
        elif self.curve == "PR":
            x, y = counts.recall, counts.precision
        else:
            x, y = _gains(counts)
        heights = {
            "interpolation": (y[:-1] + y[1:]) / 2,
            "minoring": np.minimum(y[:-1], y[1:]),
            "majoring": np.maximum(y[:-1], y[1:]),
        }[self.summation_method]
        return float(((x[:-1] - x[1:]) * heights).sum())


def _gains(counts: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the gains of recall, not below 0, and of precision (Flach and Kull, 2015)."""
    odds = quotient(counts.tp + counts.fn, counts.tn + counts.fp)
    found = counts.tp > 0
    recall = np.where(found, 1 - odds * quotient(counts.fn, counts.tp), 0.0)
    return np.maximum(recall, 0.0), np.where(found, 1 - odds * quotient(counts.fp, counts.tp), 1.0)


def _interpolated_area(counts: Counts) -> float:
    """Return the area under precision over recall, true positives being linear in all positives between points.

    With tp = a + s p on an interval of p, precision is tp / p and its integral over tp is s (dtp + a log(p_1 / p_0)).
    """
    tp, p = counts.tp, counts.tp + counts.fp
    dtp = tp[:-1] - tp[1:]
    slope = quotient(dtp, np.maximum(p[:-1] - p[1:], 0))
    start = tp[1:] - slope * p[1:]
    both = (p[:-1] > 0) & (p[1:] > 0)
    ratio = np.where(both, quotient(p[:-1], np.maximum(p[1:], 0)), 1.0)
    return float(quotient(slope * (dtp + start * np.log(ratio)), tp[1:] + counts.fn[1:]).sum())
