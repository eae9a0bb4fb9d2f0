"""Layers that bring images to one size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import validation
from ..interpolation import METHODS
from ..program import nodes
from ..shapes import Shape
from ..validation import message, received
from .base import Layer, channels_last

if TYPE_CHECKING:
    from ..program import Graph, Value


class _Resized(Layer):
    """Base of the layers whose output has a fixed height and width."""

    axes = ("batch", "height", "width", "channels")
    takes_integers = True
    height: int
    width: int

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = self.check_input(input_shape)
        if min(height, width) < 1:
            rule = "have at least one row and one column of pixels"
            raise ValueError(message(self.owner, "input_shape", rule, received("input_shape", input_shape)))
        return (batch, self.height, self.width, channels)

    def same_aspect(self, extents: tuple[int, int]) -> tuple[int, int]:
        """Return the width that belongs to the height, and the height that belongs to the width, of the new aspect.

        In float32, as Keras computes them.
        """
        height, width = extents
        rows = int(np.float32(width * self.height) / np.float32(self.width))
        columns = int(np.float32(height * self.width) / np.float32(self.height))
        return rows, columns

    def crop_to_aspect(self, graph: Graph, x: Value) -> Value:
        """Cut the largest centred part of the new aspect ratio out of images."""
        batch, height, width, channels = x.shape
        rows, columns = self.same_aspect((height, width))
        rows, columns = max(min(height, rows), 1), max(min(width, columns), 1)
        if (rows, columns) == (height, width):
            return x
        start = (0, (height - rows) // 2, (width - columns) // 2, 0)
        return graph.add(nodes.Crop(x, start, (batch, rows, columns, channels)))

    def resize(self, graph: Graph, x: Value, method: str, antialias: bool) -> Value:
        """Resize images, unless they have the size already."""
        if x.shape[1:3] == (self.height, self.width):
            return x
        return graph.add(nodes.Resize(x, self.height, self.width, method, antialias))


class Resizing(_Resized):
    """Resize images to one height and width.

    Parameters
    ----------
    height, width : int
        Of the output.
    interpolation : {"bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"}
        "bilinear" by default.
    crop_to_aspect_ratio : bool
        Whether to cut off what does not fit the new aspect ratio, instead of distorting the images. False by default.
    pad_to_aspect_ratio : bool
        Whether to put a border around the images until they have the new aspect ratio. False by default.
    fill_mode : {"constant"}
        How the border is made.
    fill_value : float
        Of the border, 0 by default.
    antialias : bool
        Whether pixels are averaged where images become smaller. False by default.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, any height, any width, channels)``, output ``(batch, height, width, channels)``. Row y of the output
    has its centre at ``(y + 1/2) * input height / height`` of the input, where row k has its centre at ``k + 1/2``:
    "nearest" takes the row that this place is in, "bilinear" weights the two rows whose centres are around it, the
    others weight 4, 6 or 10 rows; columns likewise. Integers become floats, rounded to whole numbers of their type.

    Examples
    --------
    >>> Resizing(32, 48).compute_output_shape((None, 100, 120, 3))
    (None, 32, 48, 3)
    """

    arguments = (
        "height", "width", "interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode", "fill_value",
        "antialias", "data_format",
    )  # fmt: skip

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        owner = self.owner
        self.height = validation.positive_int(owner, "height", height)
        self.width = validation.positive_int(owner, "width", width)
        self.interpolation = validation.choice(owner, "interpolation", interpolation, METHODS)
        self.crop_to_aspect_ratio = validation.boolean(owner, "crop_to_aspect_ratio", crop_to_aspect_ratio)
        self.pad_to_aspect_ratio = validation.boolean(owner, "pad_to_aspect_ratio", pad_to_aspect_ratio)
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            rule = "be False where `crop_to_aspect_ratio` is True"
            raise ValueError(
                message(owner, "pad_to_aspect_ratio", rule, received("pad_to_aspect_ratio", pad_to_aspect_ratio))
            )
        self.fill_mode = validation.choice(owner, "fill_mode", fill_mode, ("constant",))
        self.fill_value = validation.number(owner, "fill_value", fill_value)
        self.antialias = validation.boolean(owner, "antialias", antialias)
        self.data_format = channels_last(owner, data_format)

    def lower(self, graph: Graph, x: Value) -> Value:
        self.compute_output_shape(x.shape)
        y = graph.floats(x)
        if self.crop_to_aspect_ratio:
            y = self.crop_to_aspect(graph, y)
        elif self.pad_to_aspect_ratio:
            y = self._pad_to_aspect(graph, y)
        y = self.resize(graph, y, self.interpolation, self.antialias)
        if x.dtype != graph.dtype and self.interpolation != "nearest":
            return graph.add(nodes.Round(y, x.dtype))
        return y

    def _pad_to_aspect(self, graph: Graph, x: Value) -> Value:
        """Put equal borders on two opposite sides; of an odd number of pixels, one is left out, as by Keras."""
        batch, height, width, channels = x.shape
        rows, columns = self.same_aspect((height, width))
        top, left = max(rows - height, 0) // 2, max(columns - width, 0) // 2
        if top == left == 0:
            return x
        shape = (batch, height + 2 * top, width + 2 * left, channels)
        return graph.add(nodes.Pad(x, (0, top, left, 0), shape, self.fill_value))


class CenterCrop(_Resized):
    """Cut the centre out of images.

    Parameters
    ----------
    height, width : int
        Of the output.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, any height, any width, channels)``, output ``(batch, height, width, channels)``. Of an image that is
    too small, the largest centred part of the output's aspect ratio is resized, bilinearly. Integers become floats.

    Examples
    --------
    >>> CenterCrop(32, 32).compute_output_shape((None, 40, 36, 3))
    (None, 32, 32, 3)
    """

    arguments = ("height", "width", "data_format")

    def __init__(self, height: int, width: int, data_format: str | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.height = validation.positive_int(self.owner, "height", height)
        self.width = validation.positive_int(self.owner, "width", width)
        self.data_format = channels_last(self.owner, data_format)

    def lower(self, graph: Graph, x: Value) -> Value:
        shape = self.compute_output_shape(x.shape)
        y, (_, height, width, _) = graph.floats(x), x.shape
        if height < self.height or width < self.width:
            return self.resize(graph, self.crop_to_aspect(graph, y), "bilinear", False)
        if shape == x.shape:
            return y
        start = (0, (height - self.height) // 2, (width - self.width) // 2, 0)
        return graph.add(nodes.Crop(y, start, shape))
