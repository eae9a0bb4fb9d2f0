"""Dense layers: multiplication by a matrix, and its gradients.

Compiled, this is the 1x1 convolution of one image whose pixels are the rows.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import validation
from ..shapes import POINTWISE
from ..validation import message, received
from .arrays import check_shape, companion, empty, run


def dense(x: ArrayLike, kernel: ArrayLike, bias: ArrayLike | None = None) -> NDArray[Any]:
    """Multiply rows by a matrix.

    Parameters
    ----------
    x : array_like of shape (..., channels), float32 or float64
    kernel : array_like of shape (channels, units), of x's dtype
    bias : array_like of shape (units,), of x's dtype, optional
        What is added to each row of the output.

    Returns
    -------
    ndarray of shape (..., units)
        ``out[..., u] = bias[u] + sum over c of x[..., c] * kernel[c, u]``.

    Raises
    ------
    TypeError
        If an argument has the wrong kind or dtype.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> dense([[1.0, 2.0]], [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], [0.0, 0.0, 10.0])
    array([[ 1.,  2., 13.]], dtype=float32)
    """
    owner = "dense"
    x, kernel = _operands(owner, x, kernel)
    units = kernel.shape[1]
    if bias is not None:
        bias = companion(owner, "bias", bias, 1, "x", x.dtype)
        check_shape(owner, "bias", bias, (units,))
    out = empty(owner, (*x.shape[:-1], units), x.dtype)
    if out.size:
        arrays = _image(x), kernel[None, None], bias, _image(out)
        run("Conv2DForward", x.dtype, *arrays, POINTWISE, "linear")
    return out


def dense_backward(dout: ArrayLike, x: ArrayLike, kernel: ArrayLike) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the gradients of `dense` with respect to its three arguments.

    Parameters
    ----------
    dout : array_like of shape (..., units), of x's dtype
        Gradient with respect to the output.
    x : array_like of shape (..., channels), float32 or float64
    kernel : array_like of shape (channels, units), of x's dtype

    Returns
    -------
    dx : ndarray of shape (..., channels)
        ``dx[..., c] = sum over u of dout[..., u] * kernel[c, u]``.
    dkernel : ndarray of shape (channels, units)
        ``dkernel[c, u] = sum over ... of x[..., c] * dout[..., u]``.
    dbias : ndarray of shape (units,)
        ``dbias[u] = sum over ... of dout[..., u]``.

    Raises
    ------
    TypeError
        If an argument has the wrong kind or dtype.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> dx, dkernel, dbias = dense_backward([[1.0, 10.0]], [[2.0]], [[3.0, 4.0]])
    >>> dx, dkernel, dbias  # doctest: +NORMALIZE_WHITESPACE
    (array([[43.]], dtype=float32), array([[ 2., 20.]], dtype=float32),
     array([ 1., 10.], dtype=float32))
    """
    owner = "dense_backward"
    x, kernel = _operands(owner, x, kernel)
    dout = companion(owner, "dout", dout, None, "x", x.dtype)
    check_shape(owner, "dout", dout, (*x.shape[:-1], kernel.shape[1]))
    dx, dkernel = empty(owner, x.shape, x.dtype), empty(owner, kernel.shape, x.dtype)
    dbias = empty(owner, (kernel.shape[1],), x.dtype)
    if x.size:
        image, matrix = _image(dout), kernel[None, None]
        run("Conv2DBackwardInput", x.dtype, image, matrix, _image(dx), POINTWISE, "linear", None)
        run("Conv2DBackwardKernel", x.dtype, _image(x), image, dkernel[None, None], dbias, POINTWISE)
    else:
        dkernel[...] = 0
        dbias[...] = 0
    return dx, dkernel, dbias


def _operands(owner: str, x: object, kernel: object) -> tuple[NDArray[Any], NDArray[Any]]:
    x = validation.float_array(owner, "x", x, None)
    kernel = companion(owner, "kernel", kernel, 2, "x", x.dtype)
    if x.ndim == 0 or x.shape[-1] != kernel.shape[0] or kernel.size == 0:
        what = f"{received('x.shape', x.shape)}, {received('kernel.shape', kernel.shape)}"
        rule = "have the shape (channels, units), where `x` has (..., channels)"
        raise ValueError(message(owner, "kernel", rule, what))
    return x, kernel


def _image(array: NDArray[Any]) -> NDArray[Any]:
    """Return rows as the pixels of one image of height 1."""
    return np.reshape(array, (1, 1, prod(array.shape[:-1]), array.shape[-1]))
