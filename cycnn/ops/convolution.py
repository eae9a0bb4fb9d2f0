"""Convolution of images, in groups of channels or not, and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import shapes, validation
from ..shapes import Window
from ..validation import Padding, Pair, message, received
from .arrays import check_shape, companion, empty, run


def conv2d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    groups: int = 1,
) -> NDArray[Any]:
    """Convolve images with a kernel.

    Parameters
    ----------
    x : array_like of shape (batch, height, width, channels), float32 or float64
        Images.
    kernel : array_like of shape (kernel height, kernel width, channels / groups, filters), of x's dtype
    bias : array_like of shape (filters,), of x's dtype, optional
        What is added to each filter's output.
    strides : int or pair of int
        Rows and columns from one position of the kernel to the next, 1 by default.
    padding : {"valid", "same"}, int or ((top, bottom), (left, right))
        "valid", the default, pads nothing; "same" gives ``ceil(size / stride)`` rows and columns,
        an odd one of the zeros after the image. Numbers are rows and columns of zeros.
    dilation_rate : int or pair of int
        Pixels from one tap of the kernel to the next, 1 by default.
    groups : int
        Into how many groups channels and filters are divided, 1 by default; a filter sees the
        channels of its group alone.

    Returns
    -------
    ndarray of shape (batch, new height, new width, filters)
        With x padded, ``out[n, h, w, f] = bias[f] + sum over i, j, c of
        x[n, h * stride + i * dilation, w * stride + j * dilation, c] * kernel[i, j, c, f]``, where c
        are the channels of the group of f.

    Raises
    ------
    TypeError
        If an argument has the wrong kind or dtype.
    ValueError
        If shapes do not fit, or the kernel is larger than the padded image.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    >>> conv2d(x, np.ones((2, 2, 1, 1), "float32"))[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]], dtype=float32)
    """
    owner = "conv2d"
    x = validation.float_array(owner, "x", x, 4)
    kernel = non_empty_kernel(owner, kernel, "x", x.dtype)
    filters = kernel.shape[3]
    check_groups(owner, groups, "x", x.shape[3], "kernel", filters)
    check_channels(owner, kernel, "x", x, 2, x.shape[3] // groups)
    if bias is not None:
        bias = companion(owner, "bias", bias, 1, "x", x.dtype)
        check_shape(owner, "bias", bias, (filters,))
    window = sliding_window(owner, kernel.shape[:2], strides, padding, dilation_rate, x.shape[1:3])
    out = empty(owner, (len(x), *shapes.output_size(window, x.shape[1:3]), filters), x.dtype)
    if out.size:
        run(f"{_kind(kernel.shape, groups)}Forward", x.dtype, x, kernel, bias, out, window, "linear")
    return out


def conv2d_backward_input(
    dout: ArrayLike,
    kernel: ArrayLike,
    input_size: Pair,
    *,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    groups: int = 1,
) -> NDArray[Any]:
    """Return the gradient of a convolution with respect to the images.

    Parameters
    ----------
    dout : array_like of shape (batch, new height, new width, filters), float32 or float64
        Gradient with respect to the output.
    kernel : array_like of shape (kernel height, kernel width, channels / groups, filters), of dout's dtype
    input_size : pair of int
        Height and width of the images, which do not follow from those of the output.
    strides, padding, dilation_rate, groups
        As of `conv2d`.

    Returns
    -------
    ndarray of shape (batch, height, width, channels)
        ``dx[n, h * stride + i * dilation, w * stride + j * dilation, c]``, summed over h, w, i, j
        and f, of ``dout[n, h, w, f] * kernel[i, j, c, f]``, without the padded pixels.

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
    >>> conv2d_backward_input(dout, np.ones((2, 2, 1, 1), "float32"), (3, 3))[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]], dtype=float32)
    """
    owner = "conv2d_backward_input"
    dout = validation.float_array(owner, "dout", dout, 4)
    kernel = non_empty_kernel(owner, kernel, "dout", dout.dtype)
    check_channels(owner, kernel, "dout", dout, 3, dout.shape[3])
    channels = kernel.shape[2] * check_groups(owner, groups, "dout", dout.shape[3], "kernel", kernel.shape[3])
    size = validation.positive_pair(owner, "input_size", input_size)
    window = sliding_window(owner, kernel.shape[:2], strides, padding, dilation_rate, size)
    check_shape(owner, "dout", dout, (len(dout), *shapes.output_size(window, size), kernel.shape[3]))
    dx = empty(owner, (len(dout), *size, channels), dout.dtype)
    if dx.size:
        run(f"{_kind(kernel.shape, groups)}BackwardInput", dout.dtype, dout, kernel, dx, window, "linear", None)
    return dx


def conv2d_backward_kernel(
    x: ArrayLike,
    dout: ArrayLike,
    kernel_size: int | Pair,
    *,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    groups: int = 1,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the gradients of a convolution with respect to the kernel and the bias.

    Parameters
    ----------
    x : array_like of shape (batch, height, width, channels), float32 or float64
        Images.
    dout : array_like of shape (batch, new height, new width, filters), of x's dtype
        Gradient with respect to the output.
    kernel_size : int or pair of int
        Height and width of the kernel.
    strides, padding, dilation_rate, groups
        As of `conv2d`.

    Returns
    -------
    dkernel : ndarray of shape (kernel height, kernel width, channels / groups, filters)
        With x padded, ``dkernel[i, j, c, f] = sum over n, h, w of
        x[n, h * stride + i * dilation, w * stride + j * dilation, c] * dout[n, h, w, f]``.
    dbias : ndarray of shape (filters,)
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
    >>> dkernel, dbias = conv2d_backward_kernel(x, np.ones((1, 2, 2, 1), "float32"), 2)
    >>> dkernel[:, :, 0, 0], dbias
    (array([[ 8., 12.],
           [20., 24.]], dtype=float32), array([4.], dtype=float32))
    """
    owner = "conv2d_backward_kernel"
    x = validation.float_array(owner, "x", x, 4)
    dout = companion(owner, "dout", dout, 4, "x", x.dtype)
    size = validation.positive_pair(owner, "kernel_size", kernel_size)
    window = sliding_window(owner, size, strides, padding, dilation_rate, x.shape[1:3])
    filters = dout.shape[3]
    check_shape(owner, "dout", dout, (len(x), *shapes.output_size(window, x.shape[1:3]), filters))
    check_groups(owner, groups, "x", x.shape[3], "dout", filters)
    dkernel = empty(owner, (*size, x.shape[3] // groups, filters), x.dtype)
    dbias = empty(owner, (filters,), x.dtype)
    if x.size and dout.size:
        run(f"{_kind(dkernel.shape, groups)}BackwardKernel", x.dtype, x, dout, dkernel, dbias, window)
    else:
        dkernel[...] = 0
        dbias[...] = 0
    return dkernel, dbias


def non_empty_kernel(owner: str, value: object, like: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the argument `kernel`, which must have the dtype of the argument `like`."""
    kernel = companion(owner, "kernel", value, 4, like, dtype)
    if kernel.size == 0:
        what = received("kernel.shape", kernel.shape)
        raise ValueError(message(owner, "kernel", "have no extent of zero", what))
    return kernel


def check_channels(owner: str, kernel: NDArray[Any], name: str, images: NDArray[Any], axis: int, channels: int) -> None:
    """Raise ValueError unless an axis of the kernel has the `channels` that follow from the argument `name`."""
    if kernel.shape[axis] != channels:
        what = f"{received(f'{name}.shape', images.shape)}, {received('kernel.shape', kernel.shape)}"
        has = "has" if channels == images.shape[3] else "has for each group"
        rule = f"have {channels} {'filters' if name == 'dout' else 'channels'}, as `{name}` {has}"
        raise ValueError(message(owner, "kernel", rule, what))


def check_groups(owner: str, groups: object, name: str, channels: int, other: str, filters: int) -> int:
    """Return `groups`, a positive int that divides the channels and filters of two arguments."""
    number = validation.positive_int(owner, "groups", groups)
    for argument, size in ((name, channels), (other, filters)):
        if size % number:
            rule = f"divide the last extent of `{argument}`, {size}"
            raise ValueError(message(owner, "groups", rule, received("groups", groups)))
    return number


def _kind(kernel_shape: tuple[int, ...], groups: int) -> str:
    """Return which steps convolve: where each group is a channel, the kernel is in memory a depthwise one."""
    return "DepthwiseConv2D" if kernel_shape[2] == 1 < groups else "Conv2D"


def sliding_window(
    owner: str, size: Pair, strides: int | Pair, padding: Padding, dilation_rate: int | Pair, input_hw: Pair
) -> Window:
    return shapes.window(
        owner,
        size,
        validation.positive_pair(owner, "strides", strides),
        validation.padding(owner, "padding", padding),
        validation.positive_pair(owner, "dilation_rate", dilation_rate),
        input_hw,
    )
