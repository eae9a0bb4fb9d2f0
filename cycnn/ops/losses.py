"""Losses of each row, and the gradients of their mean.

A row is what stands along the last axis of the predictions.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from .. import losses
from .row_losses import row_losses


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
