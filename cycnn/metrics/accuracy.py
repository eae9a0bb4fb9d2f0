"""How often predictions are right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import validation
from .reduction import MeanOfPairs


class Accuracy(MeanOfPairs):
    """How often predictions equal targets.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> metric = Accuracy()
    >>> metric.update_state([1, 2, 3, 4], [0, 2, 3, 4])
    >>> metric.result()
    0.75
    """

    sparse = False

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(y_true == y_pred)


class SparseCategoricalAccuracy(MeanOfPairs):
    """How often the most probable class is the right one; targets are class numbers.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> metric = SparseCategoricalAccuracy()
    >>> metric.update_state([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0.0]])
    >>> metric.result()
    0.5
    """

    sparse = True

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(y_true == y_pred.argmax(-1))


class CategoricalAccuracy(MeanOfPairs):
    """How often the most probable class is the right one; targets are one-hot rows.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> metric = CategoricalAccuracy()
    >>> metric.update_state([[0, 0, 1], [0, 1, 0]], [[0.1, 0.6, 0.3], [0.05, 0.95, 0.0]])
    >>> metric.result()
    0.5
    """

    sparse = False

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(y_true.argmax(-1) == y_pred.argmax(-1))


class BinaryAccuracy(MeanOfPairs):
    """How often a probability lies on its target's side of a threshold.

    Parameters
    ----------
    name, dtype
        As of `Metric`.
    threshold : float
        0.5 by default; a probability above it stands for 1.

    Examples
    --------
    >>> metric = BinaryAccuracy()
    >>> metric.update_state([[1], [1], [0], [0]], [[0.98], [0.5], [0.0], [0.6]])
    >>> metric.result()
    0.5
    """

    arguments = ("threshold",)
    sparse = False

    def __init__(self, name: str | None = None, dtype: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name, dtype)
        self.threshold = validation.number(self.owner, "threshold", threshold, 0, 1)

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(y_true == (y_pred > self.threshold))


def _in_top_k(labels: NDArray[Any], y_pred: NDArray[Any], k: int) -> NDArray[Any]:
    """Return whether fewer than k numbers of a row exceed that of its label: equal ones are all in."""
    labels = labels.astype(np.intp)
    real = (labels >= 0) & (labels < y_pred.shape[-1])
    chosen = np.take_along_axis(y_pred, np.where(real, labels, 0)[..., np.newaxis], axis=-1)
    return np.asarray(real & np.isfinite(chosen[..., 0]) & ((y_pred > chosen).sum(axis=-1) < k))


class TopKCategoricalAccuracy(MeanOfPairs):
    """How often the right class is among the k most probable ones; targets are one-hot rows.

    Parameters
    ----------
    k : int
        5 by default. Classes as probable as the k-th count as among them.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> metric = TopKCategoricalAccuracy(k=2)
    >>> metric.update_state([[0, 0, 1], [0, 1, 0]], [[0.1, 0.6, 0.3], [0.5, 0.1, 0.4]])
    >>> metric.result()
    0.5
    """

    arguments = ("k",)
    sparse = False

    def __init__(self, k: int = 5, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.k = validation.positive_int(self.owner, "k", k)

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        return _in_top_k(y_true.argmax(-1), y_pred, self.k)


class SparseTopKCategoricalAccuracy(MeanOfPairs):
    """How often the right class is among the k most probable ones; targets are class numbers.

    Parameters
    ----------
    k : int
        5 by default. Classes as probable as the k-th count as among them.
    name, dtype
        As of `Metric`.
    from_sorted_ids : bool
        Whether predictions are class numbers, the most probable first, and not probabilities. False by default.

    Examples
    --------
    >>> metric = SparseTopKCategoricalAccuracy(k=2)
    >>> metric.update_state([2, 1], [[0.1, 0.6, 0.3], [0.5, 0.1, 0.4]])
    >>> metric.result()
    0.5
    """

    arguments = ("k", "from_sorted_ids")
    sparse = True

    def __init__(
        self, k: int = 5, name: str | None = None, dtype: str | None = None, from_sorted_ids: bool = False
    ) -> None:
        super().__init__(name, dtype)
        self.k = validation.positive_int(self.owner, "k", k)
        self.from_sorted_ids = validation.boolean(self.owner, "from_sorted_ids", from_sorted_ids)

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        if self.from_sorted_ids:
            return np.asarray((y_pred[..., : self.k] == y_true[..., np.newaxis]).any(axis=-1))
        return _in_top_k(y_true, y_pred, self.k)
