"""Layers that put a border around images and sequences, or cut it off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from .. import validation
from ..program import nodes
from ..shapes import Shape
from ..validation import message, received
from .base import Layer, channels_last

if TYPE_CHECKING:
    from ..program import Graph, Value

Sides: TypeAlias = tuple[int, int]
Amount: TypeAlias = int | tuple[int, int]
Border: TypeAlias = int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]


def _sides(owner: str, name: str, value: object) -> Sides:
    """Return what is put or cut before and after a sequence."""
    rule = "be a non-negative int or a pair of them"
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(message(owner, name, rule, received(name, value)))
        before, after = validation.ints(owner, name, value, value, 0, rule)
        return before, after
    (both,) = validation.ints(owner, name, value, (value,), 0, rule)
    return both, both


def _border(owner: str, name: str, value: object) -> tuple[Sides, Sides]:
    """Return what is put or cut above and below, left and right of an image."""
    rule = "be a non-negative int, a pair of them or ((top, bottom), (left, right))"
    if not isinstance(value, (tuple, list)):
        (all_sides,) = validation.ints(owner, name, value, (value,), 0, rule)
        return (all_sides, all_sides), (all_sides, all_sides)
    if len(value) != 2:
        raise ValueError(message(owner, name, rule, received(name, value)))
    pairs = [side if isinstance(side, (tuple, list)) else (side, side) for side in value]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(message(owner, name, rule, received(name, value)))
    top, bottom, left, right = validation.ints(owner, name, value, (*pairs[0], *pairs[1]), 0, rule)
    return (top, bottom), (left, right)


class _Pad(Layer):
    """Base of the layers that put zeros around what comes in."""

    def sides(self) -> tuple[Sides, ...]:
        """Return how much is put before and after on each axis between the batch and the channels."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *extents, channels = self.check_input(input_shape)
        padded = [extent + sum(sides) for extent, sides in zip(extents, self.sides(), strict=True)]
        return (batch, *padded, channels)

    def lower(self, graph: Graph, x: Value) -> Value:
        shape = self.compute_output_shape(x.shape)
        if shape == x.shape:
            return x
        return graph.add(nodes.Pad(x, (0, *(before for before, _ in self.sides()), 0), shape))


class ZeroPadding1D(_Pad):
    """Put zeros before and after a sequence.

    Parameters
    ----------
    padding : int or pair of int
        How many steps before and after, 1 by default.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, steps, channels)``, output ``(batch, before + steps + after, channels)``.

    Examples
    --------
    >>> ZeroPadding1D((2, 0)).compute_output_shape((None, 10, 3))
    (None, 12, 3)
    """

    arguments = ("padding", "data_format")
    axes = ("batch", "steps", "channels")

    def __init__(self, padding: Amount = 1, data_format: str | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.padding = _sides(self.owner, "padding", padding)
        self.data_format = channels_last(self.owner, data_format)

    def sides(self) -> tuple[Sides, ...]:
        return (self.padding,)


class ZeroPadding2D(_Pad):
    """Put a border of zeros around an image.

    Parameters
    ----------
    padding : int, pair of int or ((top, bottom), (left, right))
        How many pixels; of a pair, the first above and below, the second left and right. 1 by default.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output
    ``(batch, top + height + bottom, left + width + right, channels)``. Where a convolution follows, its own `padding`
    does the same without a copy of the image.

    Examples
    --------
    >>> ZeroPadding2D(((1, 0), (2, 2))).compute_output_shape((None, 8, 8, 3))
    (None, 9, 12, 3)
    """

    arguments = ("padding", "data_format")
    axes = ("batch", "height", "width", "channels")

    def __init__(self, padding: Border = (1, 1), data_format: str | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.padding = _border(self.owner, "padding", padding)
        self.data_format = channels_last(self.owner, data_format)

    def sides(self) -> tuple[Sides, ...]:
        return self.padding


class _Crop(Layer):
    """Base of the layers that cut off a border."""

    takes_integers = True
    cropping: tuple[Any, ...]

    def sides(self) -> tuple[Sides, ...]:
        """Return how much is cut off before and after on each axis between the batch and the channels."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *extents, channels = self.check_input(input_shape)
        left = [extent - sum(sides) for extent, sides in zip(extents, self.sides(), strict=True)]
        if min(left) < 1:
            size = " x ".join(map(str, extents))
            rule = f"leave something of an input of {size}"
            raise ValueError(message(self.owner, "cropping", rule, received("cropping", self.cropping)))
        return (batch, *left, channels)

    def lower(self, graph: Graph, x: Value) -> Value:
        x = graph.floats(x)
        shape = self.compute_output_shape(x.shape)
        if shape == x.shape:
            return x
        return graph.add(nodes.Crop(x, (0, *(before for before, _ in self.sides()), 0), shape))


class Cropping1D(_Crop):
    """Cut off the beginning and the end of a sequence.

    Parameters
    ----------
    cropping : int or pair of int
        How many steps before and after, 1 by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, steps, channels)``, output ``(batch, steps - before - after, channels)``. Integers become floats.

    Examples
    --------
    >>> Cropping1D((2, 0)).compute_output_shape((None, 10, 3))
    (None, 8, 3)
    """

    arguments = ("cropping",)
    axes = ("batch", "steps", "channels")

    def __init__(self, cropping: Amount = (1, 1), **base: Any) -> None:
        super().__init__(**base)
        self.cropping = _sides(self.owner, "cropping", cropping)

    def sides(self) -> tuple[Sides, ...]:
        return (self.cropping,)


class Cropping2D(_Crop):
    """Cut off the border of an image.

    Parameters
    ----------
    cropping : int, pair of int or ((top, bottom), (left, right))
        How many pixels; of a pair, the first above and below, the second left and right. 0 by default.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output
    ``(batch, height - top - bottom, width - left - right, channels)``. Integers become floats.

    Examples
    --------
    >>> Cropping2D(((1, 0), (2, 2))).compute_output_shape((None, 8, 8, 3))
    (None, 7, 4, 3)
    """

    arguments = ("cropping", "data_format")
    axes = ("batch", "height", "width", "channels")

    def __init__(self, cropping: Border = ((0, 0), (0, 0)), data_format: str | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.cropping = _border(self.owner, "cropping", cropping)
        self.data_format = channels_last(self.owner, data_format)

    def sides(self) -> tuple[Sides, ...]:
        return self.cropping
