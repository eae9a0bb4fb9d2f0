"""Random changes of images, by numbers drawn for each of them, and normalization.

Where training needs no gradient to the images, which is so before the first trainable layer, nothing is computed for
it; layers make sure that these nodes come nowhere else, but for flips and normalization, which are linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cycnn._native import Buffer
from cycnn.program.nodes.base import Node
from cycnn.program.value import Shape, Value
from cycnn.variable import Variable

if TYPE_CHECKING:
    from cycnn.program.emission import Emission

Ranges = Sequence[tuple[float, float]]


class Drawing:
    """Numbers drawn uniformly, a row for each image or one for all.

    Parameters
    ----------
    rows : int
    ranges : list of (low, high)
        Of the numbers of a row.
    key : Value
        Of the graph.
    seed : int
        Of the layer.
    first : int
        What the first number of a row is counted as, so that layers with the same seed draw different ones.
    """

    def __init__(self, rows: int, ranges: Ranges, key: Value, seed: int, first: int) -> None:
        self.out = Value((rows, len(ranges)), "float64")
        self.key, self.seed, self.first = key, seed, first
        self.ranges = Buffer.of(np.array(ranges, np.float64))

    def forward(self, emit: Emission) -> None:
        """Emit the step that draws."""
        emit("UniformDraws", self.out, self.key, self.ranges, self.seed, self.first)


class Flip(Node):
    """Images mirrored, each or not; the gradient is mirrored likewise."""

    def __init__(self, x: Value, drawing: Drawing, horizontal: bool, vertical: bool) -> None:
        super().__init__(x.shape, x)
        self.drawing, self.directions = drawing, (horizontal, vertical)

    def forward(self, emit: Emission) -> None:
        self.drawing.forward(emit)
        emit("FlipImages", self.inputs[0], self.drawing.out, self.out, *self.directions)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x)
        emit("FlipImages", emit.gradient(self.out), self.drawing.out, dx, *self.directions)
        emit.finish(x, dx)


class Affine(Node):
    """Images rotated, translated or zoomed: `kind`; `resampling` is interpolation, fill mode and fill value."""

    def __init__(self, x: Value, drawing: Drawing, kind: str, resampling: tuple[str, str, float]) -> None:
        super().__init__(x.shape, x)
        self.drawing, self.kind, self.resampling = drawing, kind, resampling
        self.coefficients = Value((x.shape[0], 6), "float32")

    def forward(self, emit: Emission) -> None:
        (x,) = self.inputs
        self.drawing.forward(emit)
        emit("AffineCoefficients", self.drawing.out, self.coefficients, self.kind, *x.shape[1:3])
        emit("AffineTransform", x, self.coefficients, self.out, *self.resampling)


class CropAtRandom(Node):
    """A part of every image, at a place that is drawn once for all of them."""

    def __init__(self, x: Value, shape: Shape, drawing: Drawing) -> None:
        super().__init__(shape, x)
        self.drawing = drawing

    def forward(self, emit: Emission) -> None:
        self.drawing.forward(emit)
        emit("CropImages", self.inputs[0], self.drawing.out, self.out)


class Adjust(Node):
    """ "Contrast" or "Brightness", the `step`, changed by a number for each image and clipped to a range."""

    def __init__(self, x: Value, drawing: Drawing, step: str, value_range: tuple[float, float]) -> None:
        super().__init__(x.shape, x)
        self.drawing, self.step, self.value_range = drawing, step, value_range

    def forward(self, emit: Emission) -> None:
        self.drawing.forward(emit)
        emit(self.step, self.inputs[0], self.drawing.out, self.out, *self.value_range)


class Erase(Node):
    """A rectangle of each image, or none, filled with a value for each channel, or with noise for None."""

    def __init__(
        self, x: Value, drawing: Drawing, fill: NDArray[np.float64] | None, value_range: tuple[float, float]
    ) -> None:
        super().__init__(x.shape, x)
        self.drawing, self.value_range = drawing, value_range
        self.boxes = Value((x.shape[0], 4), "int64")
        self.fill = None if fill is None else Buffer.of(fill)

    def forward(self, emit: Emission) -> None:
        (x,) = self.inputs
        self.drawing.forward(emit)
        emit("DrawnBoxes", self.drawing.out, self.boxes, *x.shape[1:3])
        noise = self.drawing.key, self.drawing.seed, *self.value_range
        emit("EraseBoxes", x, self.boxes, self.out, self.fill, *noise)


class Standardize(Node):
    """(x - mean) / deviation, or its inverse; `index` says which mean each number of a row has."""

    def __init__(
        self, x: Value, mean: Variable | Buffer, variance: Variable | Buffer, index: NDArray[np.int64], invert: bool
    ) -> None:
        super().__init__(x.shape, x)
        self.statistics: tuple[Any, ...] = (mean, variance, Buffer.of(index))
        self.invert = invert

    def forward(self, emit: Emission) -> None:
        emit("Standardize", self.inputs[0], *self.statistics, self.out, self.invert, True)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x)
        emit("Standardize", emit.gradient(self.out), *self.statistics, dx, self.invert, False)
        emit.finish(x, dx)
