"""Activation functions and their gradients, through what the functions returned."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from .. import validation
from ..validation import message, received
from .arrays import check_shape, companion, empty, run


def relu(x: ArrayLike) -> NDArray[Any]:
    """Replace negative values by zero.

    Parameters
    ----------
    x : array_like of any shape, float32 or float64

    Returns
    -------
    ndarray of x's shape
        ``max(x, 0)``; NaN stays NaN.

    Raises
    ------
    TypeError
        If `x` has another dtype.

    Examples
    --------
    >>> relu([-1.0, 2.0])
    array([0., 2.], dtype=float32)
    """
    return _forward("relu", x)


def relu_backward(dout: ArrayLike, out: ArrayLike) -> NDArray[Any]:
    """Return the gradient of `relu`.

    Parameters
    ----------
    dout : array_like of any shape, float32 or float64
        Gradient with respect to the output.
    out : array_like of dout's shape and dtype
        What `relu` returned.

    Returns
    -------
    ndarray of dout's shape
        `dout` where ``out > 0``, else 0.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.

    Examples
    --------
    >>> relu_backward([5.0, 5.0], [0.0, 2.0])
    array([0., 5.], dtype=float32)
    """
    return _backward("relu", dout, out)


def sigmoid(x: ArrayLike) -> NDArray[Any]:
    """Squash values into 0..1.

    Parameters
    ----------
    x : array_like of any shape, float32 or float64

    Returns
    -------
    ndarray of x's shape
        ``1 / (1 + exp(-x))``.

    Raises
    ------
    TypeError
        If `x` has another dtype.

    Examples
    --------
    >>> sigmoid([0.0])
    array([0.5], dtype=float32)
    """
    return _forward("sigmoid", x)


def sigmoid_backward(dout: ArrayLike, out: ArrayLike) -> NDArray[Any]:
    """Return the gradient of `sigmoid`.

    Parameters
    ----------
    dout : array_like of any shape, float32 or float64
        Gradient with respect to the output.
    out : array_like of dout's shape and dtype
        What `sigmoid` returned.

    Returns
    -------
    ndarray of dout's shape
        ``dout * out * (1 - out)``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.

    Examples
    --------
    >>> sigmoid_backward([4.0], [0.5])
    array([1.], dtype=float32)
    """
    return _backward("sigmoid", dout, out)


def tanh(x: ArrayLike) -> NDArray[Any]:
    """Squash values into -1..1.

    Parameters
    ----------
    x : array_like of any shape, float32 or float64

    Returns
    -------
    ndarray of x's shape
        The hyperbolic tangent.

    Raises
    ------
    TypeError
        If `x` has another dtype.

    Examples
    --------
    >>> tanh([0.0])
    array([0.], dtype=float32)
    """
    return _forward("tanh", x)


def tanh_backward(dout: ArrayLike, out: ArrayLike) -> NDArray[Any]:
    """Return the gradient of `tanh`.

    Parameters
    ----------
    dout : array_like of any shape, float32 or float64
        Gradient with respect to the output.
    out : array_like of dout's shape and dtype
        What `tanh` returned.

    Returns
    -------
    ndarray of dout's shape
        ``dout * (1 - out**2)``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.

    Examples
    --------
    >>> tanh_backward([4.0], [0.5])
    array([3.], dtype=float32)
    """
    return _backward("tanh", dout, out)


def softmax(x: ArrayLike) -> NDArray[Any]:
    """Turn the values along the last axis into probabilities.

    Parameters
    ----------
    x : array_like of shape (..., classes), float32 or float64

    Returns
    -------
    ndarray of x's shape
        ``out[..., i] = exp(x[..., i]) / sum over j of exp(x[..., j])``.

    Raises
    ------
    TypeError, ValueError
        If `x` has another dtype or no axis.

    Examples
    --------
    >>> softmax([[0.0, 0.0]])
    array([[0.5, 0.5]], dtype=float32)
    """
    x = _rows("softmax", "x", x)
    out = empty("softmax", x.shape, x.dtype)
    if out.size:
        run("SoftmaxForward", x.dtype, x, out)
    return out


def softmax_backward(dout: ArrayLike, out: ArrayLike) -> NDArray[Any]:
    """Return the gradient of `softmax`.

    Parameters
    ----------
    dout : array_like of shape (..., classes), float32 or float64
        Gradient with respect to the output.
    out : array_like of dout's shape and dtype
        What `softmax` returned.

    Returns
    -------
    ndarray of dout's shape
        ``dx[..., i] = out[..., i] * (dout[..., i] - sum over j of dout[..., j] * out[..., j])``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.

    Examples
    --------
    >>> softmax_backward([[4.0, 0.0]], [[0.5, 0.5]])
    array([[ 1., -1.]], dtype=float32)
    """
    owner = "softmax_backward"
    dout = _rows(owner, "dout", dout)
    out = companion(owner, "out", out, None, "dout", dout.dtype)
    check_shape(owner, "out", out, dout.shape)
    dx = empty(owner, dout.shape, dout.dtype)
    if dx.size:
        run("SoftmaxBackward", dout.dtype, dout, out, dx)
    return dx


def _forward(name: str, x: object) -> NDArray[Any]:
    x = validation.float_array(name, "x", x, None)
    out = empty(name, x.shape, x.dtype)
    if out.size:
        run("ActivationForward", x.dtype, x, out, name)
    return out


def _backward(name: str, dout: object, out: object) -> NDArray[Any]:
    owner = f"{name}_backward"
    dout = validation.float_array(owner, "dout", dout, None)
    out = companion(owner, "out", out, None, "dout", dout.dtype)
    check_shape(owner, "out", out, dout.shape)
    dx = empty(owner, dout.shape, dout.dtype)
    if dx.size:
        run("ActivationBackward", dout.dtype, dout, out, dx, name)
    return dx


def _rows(owner: str, name: str, value: object) -> NDArray[Any]:
    """Return an array with at least one axis."""
    array = validation.float_array(owner, name, value, None)
    if array.ndim == 0:
        what = received(f"{name}.shape", array.shape)
        raise ValueError(message(owner, name, "have at least one axis", what))
    return array
