"""Nodes that move values to other places: padding, cropping, permutation, repetition, resizing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cycnn import interpolation, strides
from cycnn._native import Buffer
from cycnn.interpolation import Taps
from cycnn.program.nodes.base import Node
from cycnn.program.value import Shape, Value
from cycnn.strides import Walk

if TYPE_CHECKING:
    from cycnn.program.emission import Emission


class Rearrange(Node):
    """Values copied along a walk.

    Parameters
    ----------
    x : Value
    shape : tuple of int
        Of the output.
    walk : Walk
    """

    value = 0.0  # of what the walk does not reach in the output
    unwritten: tuple[Walk, ...] = ()
    unread: tuple[Walk, ...] = ()  # what it does not reach in the input
    repeats = False  # whether it reaches anything in the input several times

    def __init__(self, x: Value, shape: Shape, walk: Walk) -> None:
        super().__init__(shape, x)
        self.walk = walk

    def forward(self, emit: Emission) -> None:
        for walk in self.unwritten:
            emit("Fill", self.out, self.value, walk)
        emit("StridedCopy", self.inputs[0], self.out, self.walk)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x)
        for walk in self.unread:
            emit("Fill", dx, 0.0, walk)
        name = "StridedSum" if self.repeats else "StridedCopy"
        emit(name, emit.gradient(self.out), dx, self.walk.reverse())
        emit.finish(x, dx)


class Pad(Rearrange):
    """x inside of a larger array, at `start`; the rest has one value."""

    def __init__(self, x: Value, start: Shape, shape: Shape, value: float = 0.0) -> None:
        super().__init__(x, shape, strides.box(x.shape, x.shape, (0,) * len(shape), shape, start))
        self.value = value
        self.unwritten = tuple(strides.around(shape, start, x.shape))


class Crop(Rearrange):
    """The part of x of a smaller shape, from `start` on."""

    def __init__(self, x: Value, start: Shape, shape: Shape) -> None:
        super().__init__(x, shape, strides.box(shape, x.shape, start, shape, (0,) * len(shape)))
        self.unread = tuple(strides.around(x.shape, start, shape))


class Permute(Rearrange):
    """Axis number k of the output is axis ``axes[k]`` of x."""

    def __init__(self, x: Value, axes: Shape) -> None:
        super().__init__(x, tuple(x.shape[axis] for axis in axes), strides.permute(x.shape, axes))


class Repeat(Rearrange):
    """Each value several times: ``seen``, the shape of x with additional extents of 1, is repeated to ``repeated``."""

    repeats = True

    def __init__(self, x: Value, shape: Shape, seen: Shape, repeated: Shape) -> None:
        super().__init__(x, shape, strides.repeat(seen, repeated))


class Resize(Node):
    """Images resized to another height and width."""

    def __init__(self, x: Value, height: int, width: int, method: str, antialias: bool = False) -> None:
        batch, *extents, channels = x.shape
        super().__init__((batch, height, width, channels), x)
        self.extents = extents
        sizes = zip(extents, (height, width), strict=True)
        self.taps = [interpolation.taps(before, after, method, antialias) for before, after in sizes]

    def forward(self, emit: Emission) -> None:
        emit("Resize", self.inputs[0], self.out, *map(self.table, self.taps))

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x)
        back = [taps.transpose(extent) for taps, extent in zip(self.taps, self.extents, strict=True)]
        emit("Resize", emit.gradient(self.out), dx, *map(self.table, back))
        emit.finish(x, dx)

    def table(self, taps: Taps) -> tuple[Buffer, ...]:
        """Return constants for a step."""
        weights = np.ascontiguousarray(taps.weights, self.out.dtype)
        return Buffer.of(taps.first), Buffer.of(taps.starts), Buffer.of(weights)


class Round(Node):
    """Pixels that were integers, rounded to whole numbers of their type; integers have no gradient."""

    def __init__(self, x: Value, dtype: str) -> None:
        super().__init__(x.shape, x)
        self.limits = np.iinfo(dtype)

    def forward(self, emit: Emission) -> None:
        emit("Round", self.inputs[0], self.out, float(self.limits.min), float(self.limits.max))
