"""Losses as metrics: the mean of a loss over all rows, computed by the loss's own step."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import losses
from ..losses import Loss
from ..ops.row_losses import row_losses
from .reduction import Mean


class OfLoss(Mean):
    """Base of the metrics that are the mean of a loss over all rows."""

    def __init__(self, loss: Loss, name: str | None = None, dtype: str | None = None) -> None:
        # As a sum a loss is what its rows say: what counts, and how much, is the metric's business.
        self.loss = type(loss).from_config(loss.get_config() | {"reduction": "sum"})
        self.sparse = loss.sparse
        super().__init__(name, dtype)

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        """Return the losses of the rows."""
        return row_losses(self.owner, self.loss, y_true, y_pred)

    def update_state(  # type: ignore[override]
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Take a batch of targets and predictions into account."""
        y_pred = np.asarray(y_pred)
        if y_pred.ndim == 1:  # a single row
            y_true, y_pred = np.asarray(y_true)[np.newaxis], y_pred[np.newaxis]
        y_true, y_pred = self.pair(y_true, y_pred)
        if y_pred.dtype != np.float32:
            y_pred = y_pred.astype(np.float64)
        values = self.values(y_true, y_pred)
        ignored = getattr(self.loss, "ignore_class", None)
        if ignored is not None:
            labelled = (y_true != ignored).reshape(values.shape).astype(np.float64)
            sample_weight = labelled if sample_weight is None else labelled * self.weights(sample_weight, values.shape)
        self.add(values, sample_weight)


class LossMetric(OfLoss):
    """The mean of a loss over all rows: what a `Loss` among the metrics of `compile` becomes.

    Parameters
    ----------
    loss : Loss
    name : str, optional
        By default that of the loss.
    dtype : str, optional
        As of `Metric`.

    Examples
    --------
    >>> LossMetric(losses.Huber())([[1.0, 2.0]], [[1.0, 4.0]])
    0.75
    """

    def __init__(self, loss: Loss | dict[str, Any], name: str | None = None, dtype: str | None = None) -> None:
        chosen = losses.get(loss, owner="LossMetric", name="loss")
        super().__init__(chosen, name or chosen.name, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        return super().get_config() | {"loss": losses.serialize(self.loss)}


class PlainLossMetric(OfLoss):
    """Base of the metrics of losses without arguments."""

    loss_class: ClassVar[type[Loss]]

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(self.loss_class(), name, dtype)


class BinaryCrossentropy(OfLoss):
    """The mean of `losses.BinaryCrossentropy` over all rows.

    Parameters
    ----------
    name, dtype
        As of `Metric`.
    from_logits, label_smoothing
        As of the loss.

    Examples
    --------
    >>> round(BinaryCrossentropy()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    0.8149
    """

    arguments = ("from_logits", "label_smoothing")

    def __init__(
        self,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(losses.BinaryCrossentropy(from_logits, label_smoothing), name, dtype)
        self.from_logits, self.label_smoothing = from_logits, label_smoothing


class CategoricalCrossentropy(OfLoss):
    """The mean of `losses.CategoricalCrossentropy` over all rows.

    Parameters
    ----------
    name, dtype
        As of `Metric`.
    from_logits, label_smoothing, axis
        As of the loss.

    Examples
    --------
    >>> round(CategoricalCrossentropy()([[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]), 4)
    1.1769
    """

    arguments = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(losses.CategoricalCrossentropy(from_logits, label_smoothing, axis), name, dtype)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


class SparseCategoricalCrossentropy(OfLoss):
    """The mean of `losses.SparseCategoricalCrossentropy` over all rows that are not to be ignored.

    Parameters
    ----------
    name, dtype
        As of `Metric`.
    from_logits, ignore_class, axis
        As of the loss.

    Examples
    --------
    >>> round(SparseCategoricalCrossentropy()([1, 2], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]), 4)
    1.1769
    """

    arguments = ("from_logits", "ignore_class", "axis")

    def __init__(
        self,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(losses.SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis), name, dtype)
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis
