"""Separable convolution layers: a depthwise convolution, then one of single pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import validation
from ..program import nodes
from ..shapes import POINTWISE, Shape
from ..variable import Variable
from .sliding import IMAGES, SEQUENCES, SlidingLayer, as_images, as_sequence

if TYPE_CHECKING:
    from ..program import Graph, Value


class _SeparableConv(SlidingLayer):
    """Base of SeparableConv1D and SeparableConv2D."""

    arguments = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "depth_multiplier",
        "activation",
        "use_bias",
        "depthwise_initializer",
        "pointwise_initializer",
        "bias_initializer",
        "depthwise_regularizer",
        "pointwise_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "depthwise_constraint",
        "pointwise_constraint",
        "bias_constraint",
    )
    prefixes: ClassVar[dict[str, str]] = {"depthwise_kernel": "depthwise", "pointwise_kernel": "pointwise"}

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] = 1,
        padding: validation.Padding = "valid",
        data_format: str | None = None,
        dilation_rate: int | tuple[int, ...] = 1,
        depth_multiplier: int = 1,
        activation: object = None,
        use_bias: bool = True,
        depthwise_initializer: object = "glorot_uniform",
        pointwise_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        depthwise_regularizer: object = None,
        pointwise_regularizer: object = None,
        bias_regularizer: object = None,
        activity_regularizer: object = None,
        depthwise_constraint: object = None,
        pointwise_constraint: object = None,
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
        self.depth_multiplier = validation.positive_int(self.owner, "depth_multiplier", depth_multiplier)
        self.take("depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self.take("pointwise", pointwise_initializer, pointwise_regularizer, pointwise_constraint)
        self.depthwise_kernel: Variable | None = None
        self.pointwise_kernel: Variable | None = None
        self.bias = None

    def bias_size(self, input_shape: Shape) -> int:
        return self.filters

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        ones = (1,) * len(self.kernel_size)
        return {
            "depthwise_kernel": (*self.kernel_size, input_shape[-1], self.depth_multiplier),
            "pointwise_kernel": (*ones, input_shape[-1] * self.depth_multiplier, self.filters),
        }

    def lower(self, graph: Graph, x: Value) -> Value:
        assert self.depthwise_kernel is not None and self.pointwise_kernel is not None
        window = self.window(x.shape)
        depthwise = graph.add(nodes.DepthwiseConv2D(as_images(x), self.depthwise_kernel, None, window))
        y = graph.add(nodes.Conv2D(depthwise, self.pointwise_kernel, self.bias, POINTWISE))
        return as_sequence(graph.activation(y, self.activation), len(x.shape))


class SeparableConv2D(_SeparableConv):
    """Convolve each channel of images with kernels of its own, then mix the channels of each pixel.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size, strides, padding, data_format, dilation_rate
        As of `Conv2D`, of the depthwise step.
    depth_multiplier : int
        Number of channels between the steps for each channel of the input, 1 by default.
    activation, use_bias
        As of `Conv2D`, after the pointwise step; there is nothing between the two.
    depthwise_initializer, pointwise_initializer, bias_initializer : str or Initializer
        "glorot_uniform" for the kernels and "zeros" by default.
    depthwise_regularizer, pointwise_regularizer, bias_regularizer : str or Regularizer, optional
        What is added to the loss for the kernels and the bias.
    activity_regularizer : str or Regularizer, optional
        What is added to the loss for the output.
    depthwise_constraint, pointwise_constraint, bias_constraint : str or Constraint, optional
        What brings the kernels and the bias back into bounds after each update.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output ``(batch, new height, new width, filters)``.
    Parameters: depthwise kernel ``(kernel height, kernel width, channels, depth_multiplier)``,
    pointwise kernel ``(1, 1, channels * depth_multiplier, filters)``, bias ``(filters,)``.

    Examples
    --------
    >>> SeparableConv2D(16, 3, padding="same").compute_output_shape((None, 32, 32, 3))
    (None, 32, 32, 16)
    """

    axes = IMAGES


class SeparableConv1D(_SeparableConv):
    """Convolve each channel of sequences with kernels of its own, then mix the channels of each step.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size, strides, data_format, dilation_rate
        As of `Conv1D`, of the depthwise step.
    padding : {"valid", "same"}
        As of `Conv1D`.
    depth_multiplier, activation, use_bias
        As of `SeparableConv2D`.
    depthwise_initializer, pointwise_initializer, bias_initializer
        As of `SeparableConv2D`.
    depthwise_regularizer, pointwise_regularizer, bias_regularizer, activity_regularizer
        As of `SeparableConv2D`.
    depthwise_constraint, pointwise_constraint, bias_constraint
        As of `SeparableConv2D`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, steps, channels)``, output ``(batch, new steps, filters)``.
    Parameters: depthwise kernel ``(kernel size, channels, depth_multiplier)``, pointwise kernel
    ``(1, channels * depth_multiplier, filters)``, bias ``(filters,)``.

    Examples
    --------
    >>> SeparableConv1D(16, 3).compute_output_shape((None, 32, 3))
    (None, 30, 16)
    """

    axes = SEQUENCES
