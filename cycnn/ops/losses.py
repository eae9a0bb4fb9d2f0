"""Losses of each row, and the gradients of their mean.

A row is what stands along the last axis of the predictions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import losses, validation
from ..losses import Loss
from ..validation import message, received
from .arrays import empty, run


def sparse_categorical_crossentropy(y_true: ArrayLike, y_pred: ArrayLike, *, from_logits: bool = False) -> NDArray[Any]:
    """Return minus the logarithm of the probability of the right class.

    Parameters
    ----------
    y_true : array_like of shape (batch, ...), integers
        Numbers of the right classes.
    y_pred : array_like of shape (batch, ..., classes), float32 or float64
        Probabilities, divided by their sum and clipped to 1e-7..1 - 1e-7 as Keras does; or logits.
    from_logits : bool
        Whether `y_pred` is logits, to which softmax is applied. False by default.

    Returns
    -------
    ndarray of shape (batch, ...)
        ``-log p[..., y_true]``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or a class does not exist.

    Examples
    --------
    >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]]).round(3)
    array([0.693], dtype=float32)
    """
    loss = losses.SparseCategoricalCrossentropy(from_logits)
    return row_losses("sparse_categorical_crossentropy", loss, y_true, y_pred)


def sparse_categorical_crossentropy_backward(
    y_true: ArrayLike, y_pred: ArrayLike, *, from_logits: bool = False
) -> NDArray[Any]:
    """Return the gradient of the mean of `sparse_categorical_crossentropy`.

    Parameters
    ----------
    y_true, y_pred, from_logits
        As of `sparse_categorical_crossentropy`.

    Returns
    -------
    ndarray of y_pred's shape
        For logits ``(softmax(y_pred)[..., i] - (i == y_true)) / rows``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or a class does not exist.

    Examples
    --------
    >>> sparse_categorical_crossentropy_backward([1], [[0.0, 0.0]], from_logits=True)
    array([[ 0.5, -0.5]], dtype=float32)
    """
    loss = losses.SparseCategoricalCrossentropy(from_logits)
    return row_losses("sparse_categorical_crossentropy_backward", loss, y_true, y_pred, backward=True)


def categorical_crossentropy(y_true: ArrayLike, y_pred: ArrayLike, *, from_logits: bool = False) -> NDArray[Any]:
    """Return the cross-entropy of classes.

    Parameters
    ----------
    y_true : array_like of shape (batch, ..., classes)
        Probabilities, such as one-hot rows.
    y_pred : array_like of shape (batch, ..., classes), float32 or float64
        Probabilities, divided by their sum and clipped to 1e-7..1 - 1e-7 as Keras does; or logits.
    from_logits : bool
        Whether `y_pred` is logits, to which softmax is applied. False by default.

    Returns
    -------
    ndarray of shape (batch, ...)
        ``-sum over i of y_true[..., i] * log p[..., i]``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or a target is not between 0 and 1.

    Examples
    --------
    >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(3)
    array([0.693], dtype=float32)
    """
    loss = losses.CategoricalCrossentropy(from_logits)
    return row_losses("categorical_crossentropy", loss, y_true, y_pred)


def categorical_crossentropy_backward(
    y_true: ArrayLike, y_pred: ArrayLike, *, from_logits: bool = False
) -> NDArray[Any]:
    """Return the gradient of the mean of `categorical_crossentropy`.

    Parameters
    ----------
    y_true, y_pred, from_logits
        As of `categorical_crossentropy`.

    Returns
    -------
    ndarray of y_pred's shape
        For logits and targets that add up to 1, ``(softmax(y_pred) - y_true) / rows``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or a target is not between 0 and 1.

    Examples
    --------
    >>> categorical_crossentropy_backward([[0.0, 1.0]], [[0.0, 0.0]], from_logits=True)
    array([[ 0.5, -0.5]], dtype=float32)
    """
    loss = losses.CategoricalCrossentropy(from_logits)
    return row_losses("categorical_crossentropy_backward", loss, y_true, y_pred, backward=True)


def binary_crossentropy(y_true: ArrayLike, y_pred: ArrayLike, *, from_logits: bool = False) -> NDArray[Any]:
    """Return the cross-entropy of independent yes-or-no decisions, the mean over each row.

    Parameters
    ----------
    y_true : array_like of shape (batch, ..., outputs)
        Targets between 0 and 1.
    y_pred : array_like of shape (batch, ..., outputs), float32 or float64
        Probabilities, clipped to 1e-7..1 - 1e-7 as Keras does; or logits.
    from_logits : bool
        Whether `y_pred` is logits, to which the sigmoid is applied. False by default.

    Returns
    -------
    ndarray of shape (batch, ...)
        The mean over the last axis of ``-y_true * log(p) - (1 - y_true) * log(1 - p)``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or a target is not between 0 and 1.

    Examples
    --------
    >>> binary_crossentropy([[1.0]], [[0.5]]).round(3)
    array([0.693], dtype=float32)
    """
    loss = losses.BinaryCrossentropy(from_logits)
    return row_losses("binary_crossentropy", loss, y_true, y_pred)


def binary_crossentropy_backward(y_true: ArrayLike, y_pred: ArrayLike, *, from_logits: bool = False) -> NDArray[Any]:
    """Return the gradient of the mean of `binary_crossentropy`.

    Parameters
    ----------
    y_true, y_pred, from_logits
        As of `binary_crossentropy`.

    Returns
    -------
    ndarray of y_pred's shape
        For logits ``(sigmoid(y_pred) - y_true) / y_pred.size``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or a target is not between 0 and 1.

    Examples
    --------
    >>> binary_crossentropy_backward([[1.0]], [[0.0]], from_logits=True)
    array([[-0.5]], dtype=float32)
    """
    loss = losses.BinaryCrossentropy(from_logits)
    return row_losses("binary_crossentropy_backward", loss, y_true, y_pred, backward=True)


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[Any]:
    """Return the mean of the squared differences along the last axis.

    Parameters
    ----------
    y_true : array_like of shape (batch, ..., outputs)
        Targets.
    y_pred : array_like of shape (batch, ..., outputs), float32 or float64

    Returns
    -------
    ndarray of shape (batch, ...)
        The mean over the last axis of ``(y_pred - y_true)**2``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.

    Examples
    --------
    >>> mean_squared_error([[1.0, 2.0]], [[1.0, 4.0]])
    array([2.], dtype=float32)
    """
    return row_losses("mean_squared_error", losses.MeanSquaredError(), y_true, y_pred)


def mean_squared_error_backward(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[Any]:
    """Return the gradient of the mean of `mean_squared_error`.

    Parameters
    ----------
    y_true, y_pred
        As of `mean_squared_error`.

    Returns
    -------
    ndarray of y_pred's shape
        ``2 * (y_pred - y_true) / y_pred.size``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.

    Examples
    --------
    >>> mean_squared_error_backward([[1.0, 2.0]], [[1.0, 4.0]])
    array([[0., 2.]], dtype=float32)
    """
    loss = losses.MeanSquaredError()
    return row_losses("mean_squared_error_backward", loss, y_true, y_pred, backward=True)


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
