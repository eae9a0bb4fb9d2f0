"""Padding and output sizes of sliding windows: the one place where they are computed.

Along one axis of `size` pixels, a window of `kernel` taps, `dilation` pixels apart, spans
``span = (kernel - 1) * dilation + 1`` pixels and moves by `stride`. Its positions number

    floor((size + pad_before + pad_after - span) / stride) + 1

"valid" pads nothing. "same" pads such that there are ``out = ceil(size / stride)`` positions, by
``max((out - 1) * stride + span - size, 0)`` in total, the odd pixel after, as TensorFlow and
Keras do. With a stride above 1 this depends on the size of the image, so a window is made for an
image of known height and width.

A sequence is an image of one row. Transposed, a window of ``size`` positions spreads over

    valid:  (size - 1) * stride + max(span, stride)       same:  size * stride

pixels, or, with `output_padding`, over ``(size - 1) * stride + span + output_padding`` and
``(size - 1) * stride + kernel % 2 + output_padding``, where `kernel` is the dilated one, ``span``.

Arguments arrive here coerced by `cycnn.validation`; what is checked is how they fit together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

from .validation import Padding, Pair, message, received

# Of what layers are drawn with: the first extent, the batch, may be None.
Shape: TypeAlias = tuple[Any, ...]

# The bytes of the largest float64 array then still fit into a signed 64-bit integer.
_MAX_ELEMENTS = 2**59


class Window(NamedTuple):
    """A sliding window over an image, with its padding in pixels."""

    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_bottom: int
    pad_left: int
    pad_right: int
    dilation_h: int
    dilation_w: int


# What a dense layer's matrix product slides over its image of one row.
POINTWISE = Window(1, 1, 1, 1, 0, 0, 0, 0, 1, 1)


def index_dtype(window: Window) -> str:
    """Return the type that can count a window's pixels: that of the places of maxima."""
    return "uint8" if window.kernel_h * window.kernel_w <= 256 else "int32"


def _span(kernel: int, dilation: int) -> int:
    return (kernel - 1) * dilation + 1


def _same_padding(size: int, span: int, stride: int) -> Pair:
    out = -(-size // stride)
    total = max((out - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def _window(
    owner: str,
    name: str,
    kernel_size: Pair,
    strides: Pair,
    padding: Padding,
    dilation: Pair,
    input_hw: Pair,
) -> Window:
    """Return the window whose size the caller knows as the argument `name`."""
    if min(input_hw) < 1:
        rule = "have at least one row and one column of pixels"
        what = f"height={input_hw[0]}, width={input_hw[1]}"
        raise ValueError(message(owner, "x", rule, what))
    span_h, span_w = _span(kernel_size[0], dilation[0]), _span(kernel_size[1], dilation[1])
    if padding == "same":
        pads_h = _same_padding(input_hw[0], span_h, strides[0])
        pads_w = _same_padding(input_hw[1], span_w, strides[1])
    elif padding == "valid":
        pads_h = pads_w = (0, 0)
    elif isinstance(padding, int):
        pads_h = pads_w = (padding, padding)
    else:
        assert not isinstance(padding, str), padding
        pads_h, pads_w = padding
    padded_h, padded_w = input_hw[0] + sum(pads_h), input_hw[1] + sum(pads_w)
    if span_h > padded_h or span_w > padded_w:
        dilated = f" with dilation {dilation}" if dilation != (1, 1) else ""
        rule = f"fit into the padded image of {padded_h} x {padded_w} pixels, but spans {span_h} x {span_w}{dilated}"
        raise ValueError(message(owner, name, rule, received(name, kernel_size)))
    return Window(*kernel_size, *strides, *pads_h, *pads_w, *dilation)


def window(
    owner: str,
    kernel_size: Pair,
    strides: Pair,
    padding: Padding,
    dilation: Pair,
    input_hw: Pair,
) -> Window:
    """Return the window of a convolution over images of a given size.

    Parameters
    ----------
    owner : str
        What an error message names, such as "Conv2D".
    kernel_size, strides, dilation : pair of positive int
        Vertical, then horizontal.
    padding : {"valid", "same"}, int or ((top, bottom), (left, right))
        Names in lower case; numbers are pixels.
    input_hw : pair of int
        Height and width of the images.

    Returns
    -------
    Window
        Ten ints in the order that the compiled code expects.

    Raises
    ------
    ValueError
        If the image is empty, or the window is larger than the padded image.

    Examples
    --------
    >>> window("Conv2D", (3, 3), (2, 2), "same", (1, 1), (28, 27))[4:8]
    (0, 1, 1, 1)
    """
    return _window(owner, "kernel_size", kernel_size, strides, padding, dilation, input_hw)


def pool_window(owner: str, pool_size: Pair, strides: Pair, padding: Padding, input_hw: Pair) -> Window:
    """Return the window of a pooling layer over images of a given size.

    The arguments are those of `window`. Padding must be smaller than the window, for a window that
    holds nothing but padding has no maximum and no average.
    """
    result = _window(owner, "pool_size", pool_size, strides, padding, (1, 1), input_hw)
    if max(result.pad_top, result.pad_bottom) >= pool_size[0] or (
        max(result.pad_left, result.pad_right) >= pool_size[1]
    ):
        rule = f"be smaller than `pool_size`={pool_size} on every side"
        raise ValueError(message(owner, "padding", rule, received("padding", padding)))
    return result


def sequence_window(
    owner: str, name: str, kernel_size: int, stride: int, padding: str, dilation: int, steps: int
) -> Window:
    """Return the window over sequences of so many steps, seen as images of one row.

    Parameters
    ----------
    owner, name : str
        What an error message names: "Conv1D" and "kernel_size".
    kernel_size, stride, dilation : positive int
    padding : {"valid", "same", "causal"}
        "causal" puts all zeros before the first step, so that no output sees a later one.
    steps : int

    Examples
    --------
    >>> sequence_window("Conv1D", "kernel_size", 3, 1, "causal", 2, 10)[6:8]
    (4, 0)
    """
    span = _span(kernel_size, dilation)
    if steps < 1:
        raise ValueError(message(owner, "x", "have at least one step", received("steps", steps)))
    pads = {
        "valid": (0, 0),
        "same": _same_padding(steps, span, stride),
        "causal": (span - 1, 0),
    }[padding]
    padded = steps + sum(pads)
    if span > padded:
        dilated = f" with dilation {dilation}" if dilation != 1 else ""
        rule = f"fit into the padded sequence of {padded} steps, but spans {span}{dilated}"
        raise ValueError(message(owner, name, rule, received(name, kernel_size)))
    return Window(1, kernel_size, 1, stride, 0, 0, *pads, 1, dilation)


def _transposed_axis(
    owner: str, size: int, kernel: int, stride: int, padding: str, output_padding: int | None, dilation: int
) -> tuple[int, int, int]:
    """Return along one axis the size of the output, and the pixels that padding takes away before and after."""
    span = _span(kernel, dilation)
    if padding == "valid":
        more = max(span, stride) - span if output_padding is None else output_padding
        out = (size - 1) * stride + span + more
    elif output_padding is None:
        out = size * stride
    else:
        out = (size - 1) * stride + span % 2 + output_padding
    if out < 1:
        what = f"{received('output_padding', output_padding)}, and an input of {size} pixels"
        raise ValueError(message(owner, "output_padding", "leave at least one pixel of the output", what))
    cropped = max((size - 1) * stride + span - out, 0)
    return out, cropped // 2, cropped - cropped // 2


def transposed_window(
    owner: str,
    kernel_size: Pair,
    strides: Pair,
    padding: str,
    output_padding: Pair | None,
    dilation: Pair,
    input_hw: Pair,
) -> tuple[Window, Pair]:
    """Return the window of a transposed convolution, and the height and width of its output.

    The window slides over the output, and its positions are the pixels of the input.

    Parameters
    ----------
    owner : str
        What an error message names, such as "Conv2DTranspose".
    kernel_size, strides, dilation : pair of positive int
        Vertical, then horizontal.
    padding : {"valid", "same"}
    output_padding : pair of int, optional
        Less than the strides.
    input_hw : pair of int
        Height and width of the images.

    Examples
    --------
    >>> transposed_window("Conv2DTranspose", (3, 3), (2, 2), "same", None, (1, 1), (5, 4))[1]
    (10, 8)
    """
    if min(input_hw) < 1:
        rule = "have at least one row and one column of pixels"
        raise ValueError(message(owner, "x", rule, f"height={input_hw[0]}, width={input_hw[1]}"))
    more_h, more_w = output_padding or (None, None)
    out_h, top, bottom = _transposed_axis(owner, input_hw[0], kernel_size[0], strides[0], padding, more_h, dilation[0])
    out_w, left, right = _transposed_axis(owner, input_hw[1], kernel_size[1], strides[1], padding, more_w, dilation[1])
    return Window(*kernel_size, *strides, top, bottom, left, right, *dilation), (out_h, out_w)


def output_size(window: Window, input_hw: Pair) -> Pair:
    """Return the height and width of what a window yields from an image of that height and width.

    Examples
    --------
    >>> output_size(window("Conv2D", (3, 3), (2, 2), "same", (1, 1), (28, 27)), (28, 27))
    (14, 14)
    """
    padded_h = input_hw[0] + window.pad_top + window.pad_bottom
    padded_w = input_hw[1] + window.pad_left + window.pad_right
    return (
        (padded_h - _span(window.kernel_h, window.dilation_h)) // window.stride_h + 1,
        (padded_w - _span(window.kernel_w, window.dilation_w)) // window.stride_w + 1,
    )


def pixels(shape: tuple[int, ...], window: Window, channels: int) -> tuple[int, ...]:
    """Return the shape of what a window makes of images of a shape (batch, height, width, channels)."""
    return (shape[0], *output_size(window, (shape[1], shape[2])), channels)


def check_size(owner: str, name: str, shape: Iterable[int]) -> None:
    """Raise ValueError where an array of this shape would be too large to address.

    Extents of zero count as one, so that no single extent overflows in an empty array.
    """
    shape = tuple(shape)
    elements = 1
    for extent in shape:
        elements *= max(extent, 1)
    if elements > _MAX_ELEMENTS:
        rule = "have at most 2**59 elements"
        raise ValueError(message(owner, name, rule, received(f"{name}.shape", shape)))
