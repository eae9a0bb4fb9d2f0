"""What a loss says of each row of predictions, and its gradient: for functions, losses and metrics alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import validation
from ..validation import message, received
from .arrays import empty, run

if TYPE_CHECKING:
    from ..losses import Loss


def row_losses(
    owner: str, loss: Loss, y_true: object, y_pred: object, sample_weight: object = None, backward: bool = False
) -> NDArray[Any]:
    """Return the weighted loss of each row, or the gradient of their mean or sum.

    Parameters
    ----------
    owner : str
        What an error message names.
    loss : Loss
    y_true : array_like
        Targets, as the loss coerces them.
    y_pred : array_like of shape (batch, ..., outputs), float32 or float64
    sample_weight : array_like, optional
        Of the shape of the rows' losses, or of the first of its axes.
    backward : bool
        Whether to return the gradient, of y_pred's shape. False by default.
    """
    y_pred = validation.float_array(owner, "y_pred", y_pred, None)
    if y_pred.ndim < 2 or y_pred.shape[-1] == 0:
        what = received("y_pred.shape", y_pred.shape)
        raise ValueError(message(owner, "y_pred", "have the axes (batch, ..., classes)", what))
    targets = loss.coerce(owner, "y_true", y_true, y_pred.shape)
    if len(targets) != len(y_pred):
        rule = f"have as many rows as `y_pred`, {len(y_pred)}"
        raise ValueError(message(owner, "y_true", rule, received("len(y_true)", len(targets))))
    if targets.ndim == y_pred.ndim:
        targets = np.require(targets, y_pred.dtype, ["C_CONTIGUOUS", "ALIGNED"])
    rows = loss.rows(y_pred.shape)
    values = empty(owner, y_pred.shape[:-1] if rows is None else (rows,), y_pred.dtype)
    weights = None if sample_weight is None else _weights(owner, sample_weight, values.shape, y_pred.dtype)
    dx = empty(owner, y_pred.shape, y_pred.dtype) if backward else None
    if y_pred.size:
        logits = getattr(loss, "from_logits", None)
        more = (*(() if logits is None else (logits,)), *loss.options(y_pred.shape[-1]))
        run(loss.step, y_pred.dtype, targets, y_pred, None, values, dx, weights, 1.0, loss.average, *more)
    return values if dx is None else dx


def _weights(owner: str, value: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the weights of rows of that shape: one for each, or for all of those that share their first indices."""
    array = validation.real_array(owner, "sample_weight", value)
    extents = array.shape
    while extents and extents != shape[: len(extents)] and extents[-1] == 1:
        extents = extents[:-1]
    if extents != shape[: len(extents)]:
        rule = f"have the shape {shape} of the losses, or its first axes"
        raise ValueError(message(owner, "sample_weight", rule, received("sample_weight.shape", array.shape)))
    return np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED"])
