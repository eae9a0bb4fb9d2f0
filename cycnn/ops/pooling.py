"""Maximum and average pooling of images and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import shapes, validation
from ..shapes import Window
from ..validation import Padding, Pair, message, received
from .arrays import check_shape, companion, empty, run


def max_pool2d(
    x: ArrayLike,
    pool_size: int | Pair = 2,
    *,
    strides: int | Pair | None = None,
    padding: Padding = "valid",
) -> NDArray[Any]:
    """Return the largest value of each window.

    Parameters
    ----------
    x : array_like of shape (batch, height, width, channels), float32 or float64
        Images.
    pool_size : int or pair of int
        Height and width of the window, 2 by default.
    strides : int or pair of int, optional
        Rows and columns from one window to the next, by default `pool_size`.
    padding : {"valid", "same"}, int or ((top, bottom), (left, right))
        As of `conv2d`, but less than the window; a padded pixel is never the largest.

    Returns
    -------
    ndarray of shape (batch, new height, new width, channels)
        ``out[n, h, w, c] = max over i, j of x[n, h * stride + i, w * stride + j, c]``; NaN where
        the window holds a NaN.

    Raises
    ------
    TypeError
        If an argument has the wrong kind or dtype.
    ValueError
        If the window does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    >>> max_pool2d(x)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    owner = "max_pool2d"
    x = validation.float_array(owner, "x", x, 4)
    window, shape = _geometry(owner, pool_size, strides, padding, x.shape)
    out = empty(owner, shape, x.dtype)
    if out.size:
        run("MaxPool2DForward", x.dtype, x, out, None, window)
    return out


def max_pool2d_backward(
    dout: ArrayLike,
    x: ArrayLike,
    pool_size: int | Pair = 2,
    *,
    strides: int | Pair | None = None,
    padding: Padding = "valid",
) -> NDArray[Any]:
    """Return the gradient of maximum pooling.

    Parameters
    ----------
    dout : array_like of shape (batch, new height, new width, channels), of x's dtype
        Gradient with respect to the output.
    x : array_like of shape (batch, height, width, channels), float32 or float64
        Images.
    pool_size, strides, padding
        As of `max_pool2d`.

    Returns
    -------
    ndarray of shape (batch, height, width, channels)
        Each value of `dout` is added where the maximum of its window is: the first one, row by
        row, if there are several.

    Raises
    ------
    TypeError
        If an argument has the wrong kind or dtype.
    ValueError
        If the window or a shape does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(4, dtype="float32").reshape(1, 2, 2, 1)
    >>> max_pool2d_backward(np.full((1, 1, 1, 1), 5, "float32"), x)[0, :, :, 0]
    array([[0., 0.],
           [0., 5.]], dtype=float32)
    """
    owner = "max_pool2d_backward"
    x = validation.float_array(owner, "x", x, 4)
    dout = companion(owner, "dout", dout, 4, "x", x.dtype)
    window, shape = _geometry(owner, pool_size, strides, padding, x.shape)
    check_shape(owner, "dout", dout, shape)
    dx = empty(owner, x.shape, x.dtype)
    if dx.size:
        out = np.empty_like(dout)
        index = np.empty(dout.shape, shapes.index_dtype(window))
        run("MaxPool2DForward", x.dtype, x, out, index, window)
        run("MaxPool2DBackward", x.dtype, dout, index, dx, window, "linear", None)
    return dx


def average_pool2d(
    x: ArrayLike,
    pool_size: int | Pair = 2,
    *,
    strides: int | Pair | None = None,
    padding: Padding = "valid",
) -> NDArray[Any]:
    """Return the mean of each window.

    Parameters
    ----------
    x : array_like of shape (batch, height, width, channels), float32 or float64
        Images.
    pool_size : int or pair of int
        Height and width of the window, 2 by default.
    strides : int or pair of int, optional
        Rows and columns from one window to the next, by default `pool_size`.
    padding : {"valid", "same"}, int or ((top, bottom), (left, right))
        As of `conv2d`, but less than the window; the mean is over the pixels of the image alone.

    Returns
    -------
    ndarray of shape (batch, new height, new width, channels)
        ``out[n, h, w, c] = mean over i, j of x[n, h * stride + i, w * stride + j, c]``.

    Raises
    ------
    TypeError
        If an argument has the wrong kind or dtype.
    ValueError
        If the window does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    >>> average_pool2d(x)[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """
    owner = "average_pool2d"
    x = validation.float_array(owner, "x", x, 4)
    window, shape = _geometry(owner, pool_size, strides, padding, x.shape)
    out = empty(owner, shape, x.dtype)
    if out.size:
        run("AveragePool2DForward", x.dtype, x, out, window)
    return out


def average_pool2d_backward(
    dout: ArrayLike,
    input_size: Pair,
    pool_size: int | Pair = 2,
    *,
    strides: int | Pair | None = None,
    padding: Padding = "valid",
) -> NDArray[Any]:
    """Return the gradient of average pooling.

    Parameters
    ----------
    dout : array_like of shape (batch, new height, new width, channels), float32 or float64
        Gradient with respect to the output.
    input_size : pair of int
        Height and width of the images, which do not follow from those of the output.
    pool_size, strides, padding
        As of `average_pool2d`.

    Returns
    -------
    ndarray of shape (batch, height, width, channels)
        Each value of `dout`, divided by the number of pixels in its window, is added to each.

    Raises
    ------
    TypeError
        If an argument has the wrong kind or dtype.
    ValueError
        If the window or a shape does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> average_pool2d_backward(np.full((1, 1, 1, 1), 4, "float32"), (2, 3))[0, :, :, 0]
    array([[1., 1., 0.],
           [1., 1., 0.]], dtype=float32)
    """
    owner = "average_pool2d_backward"
    dout = validation.float_array(owner, "dout", dout, 4)
    size = validation.positive_pair(owner, "input_size", input_size)
    x_shape = (len(dout), *size, dout.shape[3])
    window, shape = _geometry(owner, pool_size, strides, padding, x_shape)
    check_shape(owner, "dout", dout, shape)
    dx = empty(owner, x_shape, dout.dtype)
    if dx.size:
        run("AveragePool2DBackward", dout.dtype, dout, dx, window, "linear", None)
    return dx


def _geometry(
    owner: str,
    pool_size: int | Pair,
    strides: int | Pair | None,
    padding: Padding,
    x_shape: tuple[int, ...],
) -> tuple[Window, tuple[int, ...]]:
    """Return the window over images of a shape, and the shape of what comes out."""
    if x_shape[3] == 0:
        what = received("x.shape", x_shape)
        raise ValueError(message(owner, "x", "have at least one channel", what))
    size = validation.positive_pair(owner, "pool_size", pool_size)
    step = size if strides is None else validation.positive_pair(owner, "strides", strides)
    pads = validation.padding(owner, "padding", padding)
    batch, height, width, channels = x_shape
    window = shapes.pool_window(owner, size, step, pads, (height, width))
    return window, (batch, *shapes.output_size(window, (height, width)), channels)
