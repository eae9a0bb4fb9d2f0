"""Depthwise convolution layers: kernels that see one channel each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import validation
from ..program import nodes
from ..shapes import Shape
from ..variable import Variable
from .sliding import IMAGES, SEQUENCES, SlidingLayer, as_images, as_sequence

if TYPE_CHECKING:
    from ..program import Graph, Value


class _DepthwiseConv(SlidingLayer):
    """Base of DepthwiseConv1D and DepthwiseConv2D."""

    arguments = (
        "kernel_size",
        "strides",
        "padding",
        "depth_multiplier",
        "data_format",
        "dilation_rate",
        "activation",
        "use_bias",
        "depthwise_initializer",
        "bias_initializer",
        "depthwise_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "depthwise_constraint",
        "bias_constraint",
    )
    prefixes: ClassVar[dict[str, str]] = {"kernel": "depthwise"}

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] = 1,
        padding: validation.Padding = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | tuple[int, ...] = 1,
        activation: object = None,
        use_bias: bool = True,
        depthwise_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        depthwise_regularizer: object = None,
        bias_regularizer: object = None,
        activity_regularizer: object = None,
        depthwise_constraint: object = None,
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
        self.depth_multiplier = validation.positive_int(self.owner, "depth_multiplier", depth_multiplier)
        self.take("depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self.kernel: Variable | None = None
        self.bias = None

    def bias_size(self, input_shape: Shape) -> int:
        channels: int = input_shape[-1]
        return channels * self.depth_multiplier

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"kernel": (*self.kernel_size, input_shape[-1], self.depth_multiplier)}

    def lower(self, graph: Graph, x: Value) -> Value:
        assert self.kernel is not None
        y = graph.add(nodes.DepthwiseConv2D(as_images(x), self.kernel, self.bias, self.window(x.shape)))
        return as_sequence(graph.activation(y, self.activation), len(x.shape))


class DepthwiseConv2D(_DepthwiseConv):
    """Convolve each channel of images with kernels of its own, add a bias, apply an activation function.

    Parameters
    ----------
    kernel_size, strides, padding
        As of `Conv2D`.
    depth_multiplier : int
        Number of kernels and of output channels for each channel of the input, 1 by default.
    data_format, dilation_rate, activation, use_bias
        As of `Conv2D`.
    depthwise_initializer, bias_initializer : str or Initializer
        "glorot_uniform" and "zeros" by default.
    depthwise_regularizer, bias_regularizer, activity_regularizer : str or Regularizer, optional
        What is added to the loss for the kernel, the bias and the output.
    depthwise_constraint, bias_constraint : str or Constraint, optional
        What brings kernel and bias back into bounds after each update.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output ``(batch, new height, new width,
    channels * depth_multiplier)``: first all of the first channel, then all of the second.
    Parameters: kernel ``(kernel height, kernel width, channels, depth_multiplier)``, bias
    ``(channels * depth_multiplier,)``.

    Examples
    --------
    >>> DepthwiseConv2D(3, strides=2, padding="same").compute_output_shape((None, 112, 112, 64))
    (None, 56, 56, 64)
    """

    axes = IMAGES


class DepthwiseConv1D(_DepthwiseConv):
    """Convolve each channel of sequences with kernels of its own, add a bias, apply an activation function.

    Parameters
    ----------
    kernel_size, strides : int
        As of `Conv1D`.
    padding : {"valid", "same"}
        As of `Conv1D`.
    depth_multiplier : int
        Number of kernels and of output channels for each channel of the input, 1 by default.
    data_format, dilation_rate, activation, use_bias
        As of `Conv1D`.
    depthwise_initializer, bias_initializer, depthwise_regularizer, bias_regularizer
        As of `DepthwiseConv2D`.
    activity_regularizer, depthwise_constraint, bias_constraint
        As of `DepthwiseConv2D`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, steps, channels)``, output ``(batch, new steps, channels * depth_multiplier)``.
    Parameters: kernel ``(kernel size, channels, depth_multiplier)``, bias
    ``(channels * depth_multiplier,)``.

    Examples
    --------
    >>> DepthwiseConv1D(3, depth_multiplier=2).compute_output_shape((None, 10, 4))
    (None, 8, 8)
    """

    axes = SEQUENCES
