"""Convolution layers."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from .. import initializers, shapes, validation
from ..program import nodes
from ..validation import message, received
from ..variable import Variable
from .base import Layer, Shape, activation_name, channels_last

if TYPE_CHECKING:
    from ..program import Graph, Value


class Conv2D(Layer):
    """Convolve images with learned kernels, add a bias, apply an activation function.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or pair of int
        Height and width of the kernels.
    strides : int or pair of int
        Rows and columns from one position of the kernel to the next, 1 by default.
    padding : {"valid", "same"}, int or ((top, bottom), (left, right))
        "valid", the default, pads nothing. "same" gives ``ceil(size / stride)`` rows and columns,
        an odd one of the zeros after the image. Numbers are rows and columns of zeros.
    data_format : {"channels_last"}, optional
        The only order of axes.
    dilation_rate : int or pair of int
        Pixels from one tap of the kernel to the next, 1 by default.
    groups : {1}
        Grouped convolution is not supported.
    activation : {"linear", "relu", "sigmoid", "tanh", "softmax"}, optional
    use_bias : bool
        Whether to add a bias to each filter, True by default.
    kernel_initializer, bias_initializer : str or Initializer
        "glorot_uniform" and "zeros" by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output ``(batch, new height, new width, filters)``.
    Parameters: kernel ``(kernel height, kernel width, channels, filters)``, bias ``(filters,)``.

    Examples
    --------
    >>> layer = Conv2D(32, 3, padding="same", activation="relu")
    >>> layer.compute_output_shape((None, 28, 28, 1))
    (None, 28, 28, 32)
    """

    arguments = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "groups",
        "activation",
        "use_bias",
        "kernel_initializer",
        "bias_initializer",
    )
    axes = ("batch", "height", "width", "channels")

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = (1, 1),
        padding: validation.Padding = "valid",
        *,
        data_format: str | None = None,
        dilation_rate: int | tuple[int, int] = (1, 1),
        groups: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        **base: Any,
    ) -> None:
        super().__init__(**base)
        owner = self.owner
        self.filters = validation.positive_int(owner, "filters", filters)
        self.kernel_size = validation.positive_pair(owner, "kernel_size", kernel_size)
        self.strides = validation.positive_pair(owner, "strides", strides)
        self.padding = validation.padding(owner, "padding", padding)
        self.data_format = channels_last(owner, data_format)
        self.dilation_rate = validation.positive_pair(owner, "dilation_rate", dilation_rate)
        self.groups = validation.positive_int(owner, "groups", groups)
        if self.groups != 1:
            raise ValueError(message(owner, "groups", "be 1", received("groups", groups)))
        self.activation = activation_name(owner, activation)
        self.use_bias = validation.boolean(owner, "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer, owner=owner, name="kernel_initializer")
        self.bias_initializer = initializers.get(bias_initializer, owner=owner, name="bias_initializer")
        self.kernel: Variable | None = None
        self.bias: Variable | None = None

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight("kernel", self._kernel_shape(input_shape), self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_weight("bias", (self.filters,), self.bias_initializer)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, _ = self.check_input(input_shape)
        self.check_kernel(self.kernel, self._kernel_shape(input_shape))
        window = self._window(input_shape)
        return (batch, *shapes.output_size(window, (height, width)), self.filters)

    def lower(self, graph: Graph, x: Value) -> Value:
        assert self.kernel is not None
        y = graph.add(nodes.Conv2D(x, self.kernel, self.bias, self._window(x.shape)))
        return graph.activation(y, self.activation)

    def multiply_adds(self, input_shape: Shape) -> int:
        pixels = prod(self.compute_output_shape(input_shape)[1:3])
        return pixels * prod(self._kernel_shape(input_shape))

    def _kernel_shape(self, input_shape: Shape) -> tuple[int, ...]:
        return (*self.kernel_size, input_shape[-1], self.filters)

    def _window(self, input_shape: Shape) -> shapes.Window:
        return shapes.window(
            self.owner,
            self.kernel_size,
            self.strides,
            self.padding,
            self.dilation_rate,
            input_shape[1:3],
        )
