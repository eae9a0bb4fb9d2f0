"""Layers that give values another shape, another order, or repeat them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from .. import validation
from ..interpolation import METHODS
from ..program import nodes
from ..shapes import Shape
from ..validation import message, received
from .base import Layer, channels_last

if TYPE_CHECKING:
    from ..program import Graph, Value


class Reshape(Layer):
    """Give the values of each row another shape, the last axis fastest.

    Parameters
    ----------
    target_shape : tuple of int
        Without the batch. One of the extents may be -1: what the others leave.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Nothing is copied.

    Examples
    --------
    >>> Reshape((-1, 3)).compute_output_shape((None, 4, 6))
    (None, 8, 3)
    """

    arguments = ("target_shape",)

    def __init__(self, target_shape: tuple[int, ...], **base: Any) -> None:
        super().__init__(**base)
        rule = "be a tuple of positive ints, one of which may be -1"
        what = received("target_shape", target_shape)
        if not isinstance(target_shape, (tuple, list)):
            raise TypeError(message(self.owner, "target_shape", rule, what))
        if not target_shape:
            raise ValueError(message(self.owner, "target_shape", rule, what))
        self.target_shape = validation.ints(self.owner, "target_shape", target_shape, target_shape, -1, rule)
        if 0 in self.target_shape or self.target_shape.count(-1) > 1:
            raise ValueError(message(self.owner, "target_shape", rule, what))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *extents = input_shape
        size, known = prod(extents), prod(extent for extent in self.target_shape if extent != -1)
        if size % known != 0 or (size != known and -1 not in self.target_shape):
            rule = f"have room for the {size} values of a row of {tuple(extents)}"
            what = received("target_shape", self.target_shape)
            raise ValueError(message(self.owner, "target_shape", rule, what))
        return (batch, *(size // known if extent == -1 else extent for extent in self.target_shape))

    def lower(self, graph: Graph, x: Value) -> Value:
        return x.view(self.compute_output_shape(x.shape))


class Permute(Layer):
    """Change the order of the axes.

    Parameters
    ----------
    dims : tuple of int
        Which axis of the input each axis of the output is, counted from 1, without the batch.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> Permute((2, 1)).compute_output_shape((None, 10, 64))
    (None, 64, 10)
    """

    arguments = ("dims",)

    def __init__(self, dims: tuple[int, ...], **base: Any) -> None:
        super().__init__(**base)
        self.dims = validation.positive_ints(self.owner, "dims", dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            rule = "hold each of 1, 2, ... once"
            raise ValueError(message(self.owner, "dims", rule, received("dims", dims)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != len(self.dims) + 1:
            rule = f"have {len(self.dims)} axes besides the batch, one for each of `dims`"
            what = received("input_shape", input_shape)
            raise ValueError(message(self.owner, "input_shape", rule, what))
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def lower(self, graph: Graph, x: Value) -> Value:
        self.compute_output_shape(x.shape)
        if list(self.dims) == sorted(self.dims):
            return x
        return graph.add(nodes.Permute(x, (0, *self.dims)))


class RepeatVector(Layer):
    """Repeat each row.

    Parameters
    ----------
    n : int
        How often.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, features)``, output ``(batch, n, features)``.

    Examples
    --------
    >>> RepeatVector(3).compute_output_shape((None, 32))
    (None, 3, 32)
    """

    arguments = ("n",)
    axes = ("batch", "features")

    def __init__(self, n: int, **base: Any) -> None:
        super().__init__(**base)
        self.n = validation.positive_int(self.owner, "n", n)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, features = self.check_input(input_shape)
        return (batch, self.n, features)

    def lower(self, graph: Graph, x: Value) -> Value:
        shape = self.compute_output_shape(x.shape)
        batch, _, features = shape
        return graph.add(nodes.Repeat(x, shape, (batch, 1, features), shape))


class UpSampling1D(Layer):
    """Repeat each step of a sequence.

    Parameters
    ----------
    size : int
        How often, 2 by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, steps, channels)``, output ``(batch, steps * size, channels)``.

    Examples
    --------
    >>> UpSampling1D(3).compute_output_shape((None, 10, 4))
    (None, 30, 4)
    """

    arguments = ("size",)
    axes = ("batch", "steps", "channels")

    def __init__(self, size: int = 2, **base: Any) -> None:
        super().__init__(**base)
        self.size = validation.positive_int(self.owner, "size", size)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, steps, channels = self.check_input(input_shape)
        return (batch, steps * self.size, channels)

    def lower(self, graph: Graph, x: Value) -> Value:
        batch, steps, channels = x.shape
        seen, repeated = (batch, steps, 1, channels), (batch, steps, self.size, channels)
        return graph.add(nodes.Repeat(x, self.compute_output_shape(x.shape), seen, repeated))


class UpSampling2D(Layer):
    """Make images larger by whole factors.

    Parameters
    ----------
    size : int or pair of int
        The factors of height and width, 2 by default.
    data_format : {"channels_last"}, optional
        The only order of axes.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"}
        "nearest", the default, repeats rows and columns; for the others see `Resizing`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output ``(batch, height * size[0], width * size[1], channels)``.

    Examples
    --------
    >>> UpSampling2D((2, 3)).compute_output_shape((None, 7, 7, 64))
    (None, 14, 21, 64)
    """

    arguments = ("size", "data_format", "interpolation")
    axes = ("batch", "height", "width", "channels")

    def __init__(
        self,
        size: int | tuple[int, int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.size = validation.positive_pair(self.owner, "size", size)
        self.data_format = channels_last(self.owner, data_format)
        if isinstance(interpolation, str):
            interpolation = interpolation.lower()
        self.interpolation = validation.choice(self.owner, "interpolation", interpolation, METHODS)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = self.check_input(input_shape)
        return (batch, height * self.size[0], width * self.size[1], channels)

    def lower(self, graph: Graph, x: Value) -> Value:
        shape = self.compute_output_shape(x.shape)
        if self.interpolation != "nearest":
            return graph.add(nodes.Resize(x, shape[1], shape[2], self.interpolation))
        (rows, columns), (batch, height, width, channels) = self.size, x.shape
        seen = (batch, height, 1, width, 1, channels)
        return graph.add(nodes.Repeat(x, shape, seen, (batch, height, rows, width, columns, channels)))
