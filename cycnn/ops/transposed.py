"""Transposed convolution of images and its gradients."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from .. import shapes, validation
from ..shapes import Window
from ..strides import channel_sums
from ..validation import Pair, message, received
from .arrays import check_shape, companion, empty, run
from .convolution import check_channels, non_empty_kernel


def conv2d_transpose(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: int | Pair = 1,
    padding: str = "valid",
    output_padding: int | Pair | None = None,
    dilation_rate: int | Pair = 1,
) -> NDArray[Any]:
    """Spread each pixel of images over a window of the output.

    Parameters
    ----------
    x : array_like of shape (batch, height, width, channels), float32 or float64
        Images.
    kernel : array_like of shape (kernel height, kernel width, filters, channels), of x's dtype
    bias : array_like of shape (filters,), of x's dtype, optional
    strides : int or pair of int
        Rows and columns of the output from one pixel of the input to the next, 1 by default.
    padding : {"valid", "same"}
        "valid", the default, gives ``(size - 1) * stride + max(kernel, stride)`` rows and columns,
        "same" gives ``size * stride``.
    output_padding : int or pair of int, optional
        Less than the strides. It makes the output ``(size - 1) * stride + kernel + output_padding``
        with "valid", and ``(size - 1) * stride + kernel % 2 + output_padding`` with "same".
    dilation_rate : int or pair of int
        Pixels from one tap of the kernel to the next, 1 by default.

    Returns
    -------
    ndarray of shape (batch, new height, new width, filters)
        ``out[n, h * stride + i * dilation, w * stride + j * dilation, f]``, summed over h, w, i, j
        and c, of ``x[n, h, w, c] * kernel[i, j, f, c]``, without what padding takes away before and
        after, and with the bias.

    Raises
    ------
    TypeError
        If an argument has the wrong kind or dtype.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(4, dtype="float32").reshape(1, 2, 2, 1)
    >>> conv2d_transpose(x, np.ones((2, 2, 1, 1), "float32"))[0, :, :, 0]
    array([[0., 1., 1.],
           [2., 6., 4.],
           [2., 5., 3.]], dtype=float32)
    """
    owner = "conv2d_transpose"
    x = validation.float_array(owner, "x", x, 4)
    kernel = non_empty_kernel(owner, kernel, "x", x.dtype)
    check_channels(owner, kernel, "x", x, 3, x.shape[3])
    filters = kernel.shape[2]
    if bias is not None:
        bias = companion(owner, "bias", bias, 1, "x", x.dtype)
        check_shape(owner, "bias", bias, (filters,))
    window, size = _window(owner, kernel.shape[:2], strides, padding, output_padding, dilation_rate, x.shape[1:3])
    out = empty(owner, (len(x), *size, filters), x.dtype)
    if out.size:
        run("Conv2DTransposeForward", x.dtype, x, kernel, bias, out, window, "linear")
    return out


def conv2d_transpose_backward_input(
    dout: ArrayLike,
    kernel: ArrayLike,
    input_size: Pair,
    *,
    strides: int | Pair = 1,
    padding: str = "valid",
    output_padding: int | Pair | None = None,
    dilation_rate: int | Pair = 1,
) -> NDArray[Any]:
    """Return the gradient of a transposed convolution with respect to the images: a convolution of `dout`.

    Parameters
    ----------
    dout : array_like of shape (batch, new height, new width, filters), float32 or float64
        Gradient with respect to the output.
    kernel : array_like of shape (kernel height, kernel width, filters, channels), of dout's dtype
    input_size : pair of int
        Height and width of the images.
    strides, padding, output_padding, dilation_rate
        As of `conv2d_transpose`.

    Returns
    -------
    ndarray of shape (batch, height, width, channels)
        ``dx[n, h, w, c] = sum over i, j, f of
        dout[n, h * stride + i * dilation, w * stride + j * dilation, f] * kernel[i, j, f, c]``.

    Raises
    ------
    TypeError
        If an argument has the wrong kind or dtype.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> dout = np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    >>> conv2d_transpose_backward_input(dout, np.ones((2, 2, 1, 1), "float32"), (2, 2))[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]], dtype=float32)
    """
    owner = "conv2d_transpose_backward_input"
    dout = validation.float_array(owner, "dout", dout, 4)
    kernel = non_empty_kernel(owner, kernel, "dout", dout.dtype)
    size = validation.positive_pair(owner, "input_size", input_size)
    window, output_size = _window(owner, kernel.shape[:2], strides, padding, output_padding, dilation_rate, size)
    check_shape(owner, "dout", dout, (len(dout), *output_size, kernel.shape[2]))
    dx = empty(owner, (len(dout), *size, kernel.shape[3]), dout.dtype)
    if dx.size:
        run("Conv2DForward", dout.dtype, dout, kernel, None, dx, window, "linear")
    return dx


def conv2d_transpose_backward_kernel(
    x: ArrayLike,
    dout: ArrayLike,
    kernel_size: int | Pair,
    *,
    strides: int | Pair = 1,
    padding: str = "valid",
    output_padding: int | Pair | None = None,
    dilation_rate: int | Pair = 1,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the gradients of a transposed convolution with respect to the kernel and the bias.

    Parameters
    ----------
    x : array_like of shape (batch, height, width, channels), float32 or float64
        Images.
    dout : array_like of shape (batch, new height, new width, filters), of x's dtype
        Gradient with respect to the output.
    kernel_size : int or pair of int
        Height and width of the kernel.
    strides, padding, output_padding, dilation_rate
        As of `conv2d_transpose`.

    Returns
    -------
    dkernel : ndarray of shape (kernel height, kernel width, filters, channels)
        ``dkernel[i, j, f, c] = sum over n, h, w of
        dout[n, h * stride + i * dilation, w * stride + j * dilation, f] * x[n, h, w, c]``.
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
    >>> x, dout = np.ones((1, 2, 2, 1), "float32"), np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    >>> dkernel, dbias = conv2d_transpose_backward_kernel(x, dout, 2)
    >>> dkernel[:, :, 0, 0], dbias
    (array([[ 8., 12.],
           [20., 24.]], dtype=float32), array([36.], dtype=float32))
    """
    owner = "conv2d_transpose_backward_kernel"
    x = validation.float_array(owner, "x", x, 4)
    dout = companion(owner, "dout", dout, 4, "x", x.dtype)
    size = validation.positive_pair(owner, "kernel_size", kernel_size)
    window, output_size = _window(owner, size, strides, padding, output_padding, dilation_rate, x.shape[1:3])
    filters = dout.shape[3]
    check_shape(owner, "dout", dout, (len(x), *output_size, filters))
    dkernel = empty(owner, (*size, filters, x.shape[3]), x.dtype)
    dbias = empty(owner, (filters,), x.dtype)
    if x.size and dout.size:
        run("Conv2DBackwardKernel", x.dtype, dout, x, dkernel, None, window)
        run("StridedSum", x.dtype, dout, dbias, channel_sums(dout.shape))
    else:
        dkernel[...] = 0
        dbias[...] = 0
    return dkernel, dbias


def _window(
    owner: str,
    size: Pair,
    strides: int | Pair,
    padding: str,
    output_padding: int | Pair | None,
    dilation_rate: int | Pair,
    input_hw: Pair,
) -> tuple[Window, Pair]:
    """Return the window over the output, and the height and width of that."""
    strides = validation.positive_pair(owner, "strides", strides)
    more: Pair | None = None
    if output_padding is not None:
        first, second = validation.per_axis(owner, "output_padding", output_padding, 2, 0)
        more = first, second
        if first >= strides[0] or second >= strides[1]:
            what = received("output_padding", output_padding)
            raise ValueError(message(owner, "output_padding", f"be less than `strides`={strides}", what))
    return shapes.transposed_window(
        owner,
        size,
        strides,
        validation.choice(owner, "padding", padding, ("valid", "same")),
        more,
        validation.positive_pair(owner, "dilation_rate", dilation_rate),
        input_hw,
    )
