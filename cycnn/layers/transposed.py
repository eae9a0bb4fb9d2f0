"""Transposed convolution layers, which make images and sequences larger."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from .. import shapes, validation
from ..program import nodes
from ..shapes import Shape
from ..validation import message, received
from ..variable import Variable
from .sliding import IMAGES, SEQUENCES, SlidingLayer, as_images, as_sequence, pair

if TYPE_CHECKING:
    from ..program import Graph, Value


class _ConvTranspose(SlidingLayer):
    """Base of Conv1DTranspose and Conv2DTranspose."""

    arguments = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "output_padding",
        "data_format",
        "dilation_rate",
        "activation",
        "use_bias",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )
    pads_by_numbers = False

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] = 1,
        padding: str = "valid",
        output_padding: int | tuple[int, ...] | None = None,
        data_format: str | None = None,
        dilation_rate: int | tuple[int, ...] = 1,
        activation: object = None,
        use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        kernel_regularizer: object = None,
        bias_regularizer: object = None,
        activity_regularizer: object = None,
        kernel_constraint: object = None,
        bias_constraint: object = None,
        **base: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            bias_constraint=bias_constraint,
            **base,
        )
        owner = self.owner
        self.filters = validation.positive_int(owner, "filters", filters)
        self.output_padding: tuple[int, ...] | None = None
        if output_padding is not None:
            rank = len(self.strides)
            self.output_padding = validation.per_axis(owner, "output_padding", output_padding, rank, 0)
            if any(more >= stride for more, stride in zip(self.output_padding, self.strides, strict=True)):
                what = received("output_padding", output_padding)
                raise ValueError(message(owner, "output_padding", f"be less than `strides`={self.strides}", what))
        self.take("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.kernel: Variable | None = None
        self.bias = None

    def bias_size(self, input_shape: Shape) -> int:
        return self.filters

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"kernel": (*self.kernel_size, self.filters, input_shape[-1])}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *extents, _ = self.check_input(input_shape)
        self.check_weights(input_shape)
        size = self._geometry(input_shape)[1]
        return (batch, *size[2 - len(extents) :], self.filters)

    def lower(self, graph: Graph, x: Value) -> Value:
        assert self.kernel is not None
        y = graph.add(nodes.Conv2DTranspose(as_images(x), self.kernel, self.bias, *self._geometry(x.shape)))
        return as_sequence(graph.activation(y, self.activation), len(x.shape))

    def multiply_adds(self, input_shape: Shape) -> int:
        return prod(input_shape[1:-1]) * prod(self.weight_shapes(input_shape)["kernel"])

    def _geometry(self, input_shape: Shape) -> tuple[shapes.Window, tuple[int, int]]:
        """Return the window over the output, and its height and width."""
        assert isinstance(self.padding, str)
        return shapes.transposed_window(
            self.owner,
            pair(self.kernel_size),
            pair(self.strides),
            self.padding,
            None if self.output_padding is None else pair(self.output_padding, 0),
            pair(self.dilation_rate),
            pair(input_shape[1:-1]),
        )


class Conv2DTranspose(_ConvTranspose):
    """Spread each pixel of images over a window of the output, add a bias, apply an activation function.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or pair of int
        Height and width of the kernels.
    strides : int or pair of int
        Rows and columns of the output from one pixel of the input to the next, 1 by default.
    padding : {"valid", "same"}
        "valid", the default, gives ``(size - 1) * stride + max(kernel, stride)`` rows and columns.
        "same" gives ``size * stride``: an odd row or column that is left out comes from the end.
    output_padding : int or pair of int, optional
        Less than the strides. It makes the output ``(size - 1) * stride + kernel +
        output_padding`` with "valid" and ``(size - 1) * stride + kernel % 2 + output_padding``
        with "same".
    data_format : {"channels_last"}, optional
        The only order of axes.
    dilation_rate : int or pair of int
        Pixels from one tap of the kernel to the next, 1 by default.
    activation : str or function, optional
        A name such as "relu", or a function of `cycnn.activations`; none by default.
    use_bias : bool
        Whether to add a bias to each filter, True by default.
    kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer
        As of `Conv2D`.
    kernel_constraint, bias_constraint
        As of `Conv2D`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output ``(batch, new height, new width, filters)``:
    ``out[n, h * stride + i, w * stride + j, f]``, summed over h, w, i, j and c, of
    ``x[n, h, w, c] * kernel[i, j, f, c]``, without the pixels that padding takes away.
    Parameters: kernel ``(kernel height, kernel width, filters, channels)``, bias ``(filters,)``.

    Examples
    --------
    >>> Conv2DTranspose(8, 3, strides=2, padding="same").compute_output_shape((None, 7, 7, 64))
    (None, 14, 14, 8)
    """

    axes = IMAGES


class Conv1DTranspose(_ConvTranspose):
    """Spread each step of sequences over a window of the output, add a bias, apply an activation function.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size, strides, dilation_rate : int
        As of `Conv2DTranspose`.
    padding, output_padding, data_format, activation, use_bias
        As of `Conv2DTranspose`.
    kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer
        As of `Conv2D`.
    kernel_constraint, bias_constraint
        As of `Conv2D`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, steps, channels)``, output ``(batch, new steps, filters)``.
    Parameters: kernel ``(kernel size, filters, channels)``, bias ``(filters,)``.

    Examples
    --------
    >>> Conv1DTranspose(8, 3, strides=2).compute_output_shape((None, 10, 4))
    (None, 21, 8)
    """

    axes = SEQUENCES
