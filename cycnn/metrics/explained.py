"""How much of the targets predictions explain: squared errors beside variances and covariances."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import validation
from ..validation import message, received
from .base import Metric
from .reduction import MeanOfPairs


class RootMeanSquaredError(MeanOfPairs):
    """The square root of the mean of the squared differences.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> RootMeanSquaredError()([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    0.5
    """

    sparse = False

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.square(y_pred.astype(np.float64) - y_true))

    def result(self) -> float:
        """Return the value so far."""
        return float(np.sqrt(super().result()))


class _Correlation(MeanOfPairs):
    """Base of the correlations along the rows."""

    arguments = ("axis",)
    sparse = False

    def __init__(self, name: str | None = None, dtype: str | None = None, axis: int = -1) -> None:
        super().__init__(name, dtype)
        self.axis = validation.integer(self.owner, "axis", axis)

    def moments(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> tuple[NDArray[np.float64], ...]:
        """Return the means, the variances and the covariance of each row."""
        y, x = (array.astype(np.float64) for array in (y_true, y_pred))
        means = [array.mean(axis=self.axis, keepdims=True) for array in (y, x)]
        covariance = ((y - means[0]) * (x - means[1])).mean(axis=self.axis)
        variances = [array.var(axis=self.axis) for array in (y, x)]
        return (*(mean.squeeze(self.axis) for mean in means), *variances, covariance)


class PearsonCorrelation(_Correlation):
    """The mean over rows of the correlation of target and prediction along `axis`.

    Parameters
    ----------
    name, dtype
        As of `Metric`.
    axis : int
        -1 by default.

    Examples
    --------
    >>> round(PearsonCorrelation()([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]]), 4)
    0.9967
    """

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        _, _, of_y, of_x, both = self.moments(y_true, y_pred)
        with np.errstate(divide="ignore", invalid="ignore"):  # a row without variance has no correlation: NaN
            return np.asarray(both / np.sqrt(of_y * of_x))


class ConcordanceCorrelation(_Correlation):
    """The mean over rows of the agreement of target and prediction along `axis`.

    That is ``2 * covariance / (variance of y + variance of x + (difference of the means)**2)``.

    Parameters
    ----------
    name, dtype
        As of `Metric`.
    axis : int
        -1 by default.

    Examples
    --------
    >>> round(ConcordanceCorrelation()([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]]), 4)
    0.9816
    """

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        mean_y, mean_x, of_y, of_x, both = self.moments(y_true, y_pred)
        return np.asarray(2 * both / (of_y + of_x + (mean_y - mean_x) ** 2 + 1e-7))


class R2Score(Metric):
    """Which share of the variance of the targets predictions explain: one minus squared errors over variance.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average", None}
        The mean over the outputs, plain by default or weighted by their variances; None is an array of one for each.
    num_regressors : int
        0 by default; more adjust the score for so many independent variables.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> round(R2Score()([[1], [4], [3]], [[2], [4], [4]]), 4)
    0.5714
    """

    arguments = ("class_aggregation", "num_regressors")
    sparse = False

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        ways = ("uniform_average", "variance_weighted_average")
        if class_aggregation is not None:
            class_aggregation = validation.choice(self.owner, "class_aggregation", class_aggregation, ways)
        self.class_aggregation = class_aggregation
        self.num_regressors = validation.non_negative_int(self.owner, "num_regressors", num_regressors)

    def reset_state(self) -> None:
        """Start anew."""
        # Weights, sums and sums of squares of the targets, squared errors; and how many numbers there were.
        self._sums: NDArray[np.float64] = np.zeros((4, 1))
        self._size = 0

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take a batch of targets and predictions, (batch, outputs), into account."""
        y_true, y_pred = self.pair(y_true, y_pred)
        if y_pred.ndim != 2:
            what = received("y_pred.shape", y_pred.shape)
            raise ValueError(message(self.owner, "y_pred", "have the shape (batch, outputs)", what))
        y, x = y_true.astype(np.float64), y_pred.astype(np.float64)
        weights = np.ones((1, 1)) if sample_weight is None else self.weights(sample_weight, y.shape)
        weights = np.broadcast_to(weights, y.shape)
        terms = (weights, weights * y, weights * y * y, weights * (y - x) ** 2)
        self._sums = self._sums + np.stack([term.sum(axis=0) for term in terms])
        self._size += y.size

    def result(self) -> Any:
        """Return the score so far, one for each output without an aggregation."""
        weight, total, squares, errors = self._sums
        if self._size == 0:
            return 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = squares - total * total / weight
            scores = 1 - errors / variance
        scores = np.where(np.isinf(scores), 0.0, scores)
        score: Any = scores
        if self.class_aggregation == "uniform_average":
            score = scores.mean()
        elif self.class_aggregation == "variance_weighted_average":
            score = (variance * scores).sum() / variance.sum()
        left = self._size - self.num_regressors - 1
        if self.num_regressors and left <= 0:
            warnings.warn(
                f"R2Score: {self._size} numbers are too few to adjust for {self.num_regressors}", stacklevel=2
            )
        elif self.num_regressors:
            score = 1 - (1 - score) * (self._size - 1) / left
        return score if self.class_aggregation is None else float(score)
