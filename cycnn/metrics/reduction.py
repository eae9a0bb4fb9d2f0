"""Sums and means of values, and of functions of targets and predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import validation
from ..validation import message, received
from .base import Metric


class Sum(Metric):
    """The sum of all values.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> metric = Sum()
    >>> metric.update_state([1, 3, 5, 7])
    >>> metric.result()
    16.0
    """

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(dtype, name)

    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:  # type: ignore[override]
        """Take values into account, each times its weight."""
        self.add(validation.real_array(self.owner, "values", values), sample_weight)

    def add(self, values: NDArray[Any], sample_weight: ArrayLike | None) -> None:
        """Add values to the sum, and what they count to the count."""
        if sample_weight is None:
            self._total += float(values.sum(dtype=np.float64))
            self._count += values.size
        else:
            weights = self.weights(sample_weight, values.shape)
            self._total += float((values * weights).sum())
            self._count += float(weights.sum()) * (values.size / max(weights.size, 1))

    def result(self) -> float:
        """Return the sum so far."""
        return self._total

    def reset_state(self) -> None:
        """Start anew."""
        self._total, self._count = 0.0, 0.0


class Mean(Sum):
    """The mean of all values, weighted if they have weights.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> metric = Mean()
    >>> metric.update_state([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    >>> metric.result()
    2.0
    """

    def result(self) -> float:
        """Return the mean so far, 0 before the first value."""
        return self._total / self._count if self._count else 0.0


class MeanOfPairs(Mean):
    """Base of the metrics that are the mean of something computed from targets and predictions."""

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        """Return the values whose mean this is."""
        raise NotImplementedError

    def call(self, y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[Any]:
        """Return the values whose mean this is, as floats."""
        values = self.values(*self.pair(y_true, y_pred))
        return values.astype(np.float64 if values.dtype == np.float64 else np.float32)

    def update_state(  # type: ignore[override]
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Take a batch of targets and predictions into account."""
        self.add(self.values(*self.pair(y_true, y_pred)), sample_weight)


class MeanMetricWrapper(Mean):
    """The mean of what a function of targets and predictions returns.

    Parameters
    ----------
    fn : callable
        ``fn(y_true, y_pred, **kwargs)`` returns an array of values for the rows of a batch, or one number for all.
    name, dtype
        As of `Metric`. Among the metrics of `compile`, a function is known by its own name.
    **kwargs
        Handed to the function.

    Examples
    --------
    >>> import numpy as np
    >>> def largest_error(y_true, y_pred):
    ...     return np.abs(y_true - y_pred).max(axis=-1)
    >>> MeanMetricWrapper(largest_error)([[1.0, 2.0]], [[1.0, 5.0]])
    3.0
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: str | None = None, **kwargs: Any
    ) -> None:
        if not callable(fn):
            raise TypeError(message("MeanMetricWrapper", "fn", "be a function", received("fn", fn)))
        super().__init__(name, dtype)
        self.fn, self.kwargs = fn, kwargs

    def update_state(  # type: ignore[override]
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Take a batch of targets and predictions into account."""
        predictions = np.asarray(y_pred).view()
        predictions.flags.writeable = False  # the next batch overwrites them, the function must not
        self.add(np.asarray(self.fn(np.asarray(y_true), predictions, **self.kwargs)), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; the function stands for itself."""
        return super().get_config() | {"fn": self.fn} | self.kwargs
