"""Convolution layers, of images and of sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import validation
from ..program import nodes
from ..shapes import Shape
from ..variable import Variable
from .sliding import IMAGES, SEQUENCES, SlidingLayer, as_images, as_sequence

if TYPE_CHECKING:
    from ..program import Graph, Value


class _Conv(SlidingLayer):
    """Base of Conv1D and Conv2D."""

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
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] = 1,
        padding: validation.Padding = "valid",
        data_format: str | None = None,
        dilation_rate: int | tuple[int, ...] = 1,
        groups: int = 1,
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
        self.filters = validation.positive_int(self.owner, "filters", filters)
        self.groups = validation.positive_int(self.owner, "groups", groups)
        self.check_divides("groups", self.groups, "filters", self.filters)
        self.take("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.kernel: Variable | None = None
        self.bias = None

    def bias_size(self, input_shape: Shape) -> int:
        return self.filters

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        self.check_divides("groups", self.groups, "channels", input_shape[-1])
        return {"kernel": (*self.kernel_size, input_shape[-1] // self.groups, self.filters)}

    def lower(self, graph: Graph, x: Value) -> Value:
        assert self.kernel is not None
        y = graph.add(nodes.Conv2D(as_images(x), self.kernel, self.bias, self.window(x.shape)))
        return as_sequence(graph.activation(y, self.activation), len(x.shape))


class Conv2D(_Conv):
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
    groups : int
        Into how many groups the channels are divided, each of which meets ``filters / groups`` of
        the filters alone; 1 by default.
    activation : str or function, optional
        A name such as "relu", or a function of `cycnn.activations`; none by default.
    use_bias : bool
        Whether to add a bias to each filter, True by default.
    kernel_initializer, bias_initializer : str or Initializer
        "glorot_uniform" and "zeros" by default.
    kernel_regularizer, bias_regularizer, activity_regularizer : str or Regularizer, optional
        What is added to the loss for the kernel, the bias and the output.
    kernel_constraint, bias_constraint : str or Constraint, optional
        What brings kernel and bias back into bounds after each update.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output ``(batch, new height, new width, filters)``.
    Parameters: kernel ``(kernel height, kernel width, channels / groups, filters)``, bias
    ``(filters,)``.

    Examples
    --------
    >>> layer = Conv2D(32, 3, padding="same", activation="relu")
    >>> layer.compute_output_shape((None, 28, 28, 1))
    (None, 28, 28, 32)
    """

    axes = IMAGES


class Conv1D(_Conv):
    """Convolve sequences with learned kernels, add a bias, apply an activation function.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int
        Steps that a kernel spans, apart from dilation.
    strides : int
        Steps from one position of the kernel to the next, 1 by default.
    padding : {"valid", "same", "causal"}
        "valid", the default, pads nothing. "same" gives ``ceil(steps / stride)`` steps, an odd one
        of the zeros after the sequence. "causal" gives as many, with all zeros before it: no output
        depends on a later step.
    data_format : {"channels_last"}, optional
        The only order of axes.
    dilation_rate : int
        Steps from one tap of the kernel to the next, 1 by default.
    groups, activation, use_bias
        As of `Conv2D`.
    kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer
        As of `Conv2D`.
    kernel_constraint, bias_constraint
        As of `Conv2D`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, steps, channels)``, output ``(batch, new steps, filters)``.
    Parameters: kernel ``(kernel size, channels / groups, filters)``, bias ``(filters,)``.

    Examples
    --------
    >>> Conv1D(8, 3, dilation_rate=2, padding="causal").compute_output_shape((None, 100, 4))
    (None, 100, 8)
    """

    axes = SEQUENCES
    paddings = ("valid", "same", "causal")
