"""Depthwise convolution of images and its gradients."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from .. import shapes, validation
from ..validation import Padding, Pair, message, received
from .arrays import check_shape, companion, empty, run
from .convolution import check_channels, non_empty_kernel, sliding_window


def depthwise_conv2d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
) -> NDArray[Any]:
    """Convolve each channel of images with kernels of its own.

    Parameters
    ----------
    x : array_like of shape (batch, height, width, channels), float32 or float64
        Images.
    kernel : array_like of shape (kernel height, kernel width, channels, multiplier), of x's dtype
    bias : array_like of shape (channels * multiplier,), of x's dtype, optional
    strides, padding, dilation_rate
        As of `conv2d`.

    Returns
    -------
    ndarray of shape (batch, new height, new width, channels * multiplier)
        With x padded, ``out[n, h, w, c * multiplier + m] = bias[c * multiplier + m] + sum over i, j of
        x[n, h * stride + i * dilation, w * stride + j * dilation, c] * kernel[i, j, c, m]``.

    Raises
    ------
    TypeError
        If an argument has the wrong kind or dtype.
    ValueError
        If shapes do not fit, or the kernel is larger than the padded image.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(8, dtype="float32").reshape(1, 2, 2, 2)
    >>> depthwise_conv2d(x, np.ones((2, 2, 2, 1), "float32"))
    array([[[[12., 16.]]]], dtype=float32)
    """
    owner = "depthwise_conv2d"
    x = validation.float_array(owner, "x", x, 4)
    kernel = non_empty_kernel(owner, kernel, "x", x.dtype)
    check_channels(owner, kernel, "x", x, 2, x.shape[3])
    filters = kernel.shape[2] * kernel.shape[3]
    if bias is not None:
        bias = companion(owner, "bias", bias, 1, "x", x.dtype)
        check_shape(owner, "bias", bias, (filters,))
    window = sliding_window(owner, kernel.shape[:2], strides, padding, dilation_rate, x.shape[1:3])
    out = empty(owner, (len(x), *shapes.output_size(window, x.shape[1:3]), filters), x.dtype)
    if out.size:
        run("DepthwiseConv2DForward", x.dtype, x, kernel, bias, out, window, "linear")
    return out


def depthwise_conv2d_backward_input(
    dout: ArrayLike,
    kernel: ArrayLike,
    input_size: Pair,
    *,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
) -> NDArray[Any]:
    """Return the gradient of a depthwise convolution with respect to the images.

    Parameters
    ----------
    dout : array_like of shape (batch, new height, new width, channels * multiplier), float32 or float64
        Gradient with respect to the output.
    kernel : array_like of shape (kernel height, kernel width, channels, multiplier), of dout's dtype
    input_size : pair of int
        Height and width of the images, which do not follow from those of the output.
    strides, padding, dilation_rate
        As of `conv2d`.

    Returns
    -------
    ndarray of shape (batch, height, width, channels)
        ``dx[n, h * stride + i * dilation, w * stride + j * dilation, c]``, summed over h, w, i, j
        and m, of ``dout[n, h, w, c * multiplier + m] * kernel[i, j, c, m]``, without the padding.

    Raises
    ------
    TypeError
        If an argument has the wrong kind or dtype.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> dout = np.ones((1, 2, 2, 1), "float32")
    >>> depthwise_conv2d_backward_input(dout, np.ones((2, 2, 1, 1), "float32"), (3, 3))[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]], dtype=float32)
    """
    owner = "depthwise_conv2d_backward_input"
    dout = validation.float_array(owner, "dout", dout, 4)
    kernel = non_empty_kernel(owner, kernel, "dout", dout.dtype)
    size = validation.positive_pair(owner, "input_size", input_size)
    window = sliding_window(owner, kernel.shape[:2], strides, padding, dilation_rate, size)
    filters = kernel.shape[2] * kernel.shape[3]
    check_shape(owner, "dout", dout, (len(dout), *shapes.output_size(window, size), filters))
    dx = empty(owner, (len(dout), *size, kernel.shape[2]), dout.dtype)
    if dx.size:
        run("DepthwiseConv2DBackwardInput", dout.dtype, dout, kernel, dx, window, "linear", None)
    return dx


def depthwise_conv2d_backward_kernel(
    x: ArrayLike,
    dout: ArrayLike,
    kernel_size: int | Pair,
    *,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the gradients of a depthwise convolution with respect to the kernel and the bias.

    Parameters
    ----------
    x : array_like of shape (batch, height, width, channels), float32 or float64
        Images.
    dout : array_like of shape (batch, new height, new width, channels * multiplier), of x's dtype
        Gradient with respect to the output.
    kernel_size : int or pair of int
        Height and width of the kernel.
    strides, padding, dilation_rate
        As of `conv2d`.

    Returns
    -------
    dkernel : ndarray of shape (kernel height, kernel width, channels, multiplier)
        With x padded, ``dkernel[i, j, c, m] = sum over n, h, w of
        x[n, h * stride + i * dilation, w * stride + j * dilation, c] * dout[n, h, w, c * multiplier + m]``.
    dbias : ndarray of shape (channels * multiplier,)
        ``dbias[f] = sum over n, h, w of dout[n, h, w, f]``.

    Raises
    ------
    TypeError
        If an argument has the wrong kind or dtype.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    >>> dkernel, dbias = depthwise_conv2d_backward_kernel(x, np.ones((1, 2, 2, 1), "float32"), 2)
    >>> dkernel[:, :, 0, 0], dbias
    (array([[ 8., 12.],
           [20., 24.]], dtype=float32), array([4.], dtype=float32))
    """
    owner = "depthwise_conv2d_backward_kernel"
    x = validation.float_array(owner, "x", x, 4)
    dout = companion(owner, "dout", dout, 4, "x", x.dtype)
    size = validation.positive_pair(owner, "kernel_size", kernel_size)
    window = sliding_window(owner, size, strides, padding, dilation_rate, x.shape[1:3])
    channels, filters = x.shape[3], dout.shape[3]
    if channels == 0 or filters == 0 or filters % channels:
        rule = f"have a positive multiple of the {channels} channels of `x`"
        raise ValueError(message(owner, "dout", rule, received("dout.shape", dout.shape)))
    check_shape(owner, "dout", dout, (len(x), *shapes.output_size(window, x.shape[1:3]), filters))
    dkernel = empty(owner, (*size, channels, filters // channels), x.dtype)
    dbias = empty(owner, (filters,), x.dtype)
    if dout.size:
        run("DepthwiseConv2DBackwardKernel", x.dtype, x, dout, dkernel, dbias, window)
    else:
        dkernel[...] = 0
        dbias[...] = 0
    return dkernel, dbias
