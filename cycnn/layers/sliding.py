"""What convolution layers share: the window that slides over images, or over sequences as images of one row."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from .. import shapes, validation
from ..shapes import Shape
from .base import channels_last
from .weighted import WeightedLayer

if TYPE_CHECKING:
    from ..program import Value

IMAGES: tuple[str, ...] = ("batch", "height", "width", "channels")
SEQUENCES: tuple[str, ...] = ("batch", "steps", "channels")


def as_images(x: Value) -> Value:
    """Show a sequence as an image of one row."""
    return x if len(x.shape) == 4 else x.view((x.shape[0], 1, *x.shape[1:]))


def as_sequence(y: Value, axes: int) -> Value:
    """Show an image of one row as a sequence, where the input had so few axes."""
    return y if axes == 4 else y.view((y.shape[0], *y.shape[2:]))


def pair(value: tuple[int, ...], row: int = 1) -> tuple[int, int]:
    """Return what holds of the two axes of an image; of the one row that a sequence is, `row` holds."""
    return (value[0], value[1]) if len(value) == 2 else (row, value[0])


class SlidingLayer(WeightedLayer):
    """Base of the convolution layers of one and two dimensions, which `axes` tells."""

    axes = IMAGES
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")
    pads_by_numbers: ClassVar[bool] = True  # whether images can also be padded by so many pixels

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...],
        padding: validation.Padding,
        data_format: str | None,
        dilation_rate: int | tuple[int, ...],
        **weighted: Any,
    ) -> None:
        super().__init__(**weighted)
        owner, rank = self.owner, len(self.axes) - 2
        self.kernel_size = validation.per_axis(owner, "kernel_size", kernel_size, rank)
        self.strides = validation.per_axis(owner, "strides", strides, rank)
        self.padding: validation.Padding
        if rank == 2 and self.pads_by_numbers:
            self.padding = validation.padding(owner, "padding", padding)
        else:
            lower = padding.lower() if isinstance(padding, str) else padding
            self.padding = validation.choice(owner, "padding", lower, self.paddings)
        self.data_format = channels_last(owner, data_format)
        self.dilation_rate = validation.per_axis(owner, "dilation_rate", dilation_rate, rank)

    def window(self, input_shape: Shape) -> shapes.Window:
        """Return the window over images, or sequences as images, of a shape."""
        owner = self.owner
        if len(self.axes) == 4:
            size, step, dilation = pair(self.kernel_size), pair(self.strides), pair(self.dilation_rate)
            return shapes.window(owner, size, step, self.padding, dilation, input_shape[-3:-1])
        assert isinstance(self.padding, str)
        return shapes.sequence_window(
            owner,
            "kernel_size",
            self.kernel_size[0],
            self.strides[0],
            self.padding,
            self.dilation_rate[0],
            input_shape[-2],
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *extents, _ = self.check_input(input_shape)
        self.check_weights(input_shape)
        size = shapes.output_size(self.window(input_shape), pair(tuple(extents)))
        return (batch, *size[2 - len(extents) :], self.bias_size(input_shape))

    def multiply_adds(self, input_shape: Shape) -> int:
        pixels = prod(self.compute_output_shape(input_shape)[1:-1])
        return pixels * sum(map(prod, self.weight_shapes(input_shape).values()))
