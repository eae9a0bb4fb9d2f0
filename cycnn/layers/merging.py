"""Layers of several inputs: sums, products, extremes and concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .. import validation
from ..program import nodes
from ..shapes import Shape
from ..validation import message, received
from .base import Layer

if TYPE_CHECKING:
    from ..program import Graph, Value

_MOST_EXTREMES = 256  # one byte says which of the inputs was the largest


class _Merge(Layer):
    """Base of the layers of several inputs."""

    def input_shapes(self, input_shape: Any) -> list[Shape]:
        """Return the shapes of the inputs, of which there is at least one."""
        rule = "be a list of the shapes of one or more inputs"
        if not isinstance(input_shape, (list, tuple)) or not input_shape:
            raise ValueError(message(self.owner, "input_shape", rule, received("input_shape", input_shape)))
        if not all(isinstance(shape, (list, tuple)) and shape for shape in input_shape):
            raise ValueError(message(self.owner, "input_shape", rule, received("input_shape", input_shape)))
        return [tuple(shape) for shape in input_shape]

    def refuse(self, rule: str, input_shapes: Sequence[Shape]) -> ValueError:
        """Return the error for inputs that do not fit together."""
        return ValueError(message(self.owner, "input_shape", rule, received("input_shape", list(input_shapes))))

    def batch(self, input_shapes: Sequence[Shape]) -> int | None:
        """Return the first extent that all inputs have."""
        sizes = {shape[0] for shape in input_shapes} - {None}
        if len(sizes) > 1:
            raise self.refuse("have the same batch size for all inputs", input_shapes)
        return sizes.pop() if sizes else None


class _Elementwise(_Merge):
    """Base of the layers that combine number by number."""

    operation: ClassVar[str]
    node: ClassVar[type[nodes.Combine]] = nodes.Sum

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = self.input_shapes(input_shape)
        extents: Shape = ()
        for shape in shapes:
            extents = self._broadcast(extents, shape[1:], shapes)
        return (self.batch(shapes), *extents)

    def _broadcast(self, a: Shape, b: Shape, shapes: Sequence[Shape]) -> Shape:
        """Return the extents of two inputs together: the last axes are the same, and an extent of 1 is repeated."""
        rank = max(len(a), len(b))
        pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True)
        extents = []
        for i, j in pairs:
            if i != j and 1 not in (i, j):
                raise self.refuse("have equal extents, or extents of 1, on each axis counted from the last", shapes)
            extents.append(j if i == 1 else i)
        return tuple(extents)

    def lower(self, graph: Graph, x: Any) -> Value:
        shape = self.compute_output_shape([value.shape for value in x])
        if len(x) == 1:
            return x[0]  # type: ignore[no-any-return]
        inputs = []
        for value in x:
            batch, *extents = value.shape
            ones = (1,) * (len(shape) - len(value.shape))
            inputs.append(value.view((batch, *ones, *extents)) if ones else value)
        return graph.add(self.node(self.operation, shape, *inputs))


class Add(_Elementwise):
    """Add inputs number by number.

    Parameters
    ----------
    **base
        `name`, `trainable`, `dtype`, as of all layers.

    Notes
    -----
    Called on a list of tensors, of the same shape or of shapes that broadcast: axes are counted from the last, the
    batch apart, and along an axis of extent 1 values are repeated as often as the other inputs have them. The output
    is ``x[0] + x[1] + ...``. An activation behind it costs no pass of its own.

    Examples
    --------
    >>> Add().compute_output_shape([(None, 8, 8, 16), (None, 1, 1, 16)])
    (None, 8, 8, 16)
    """

    operation = "add"


class Subtract(_Elementwise):
    """Subtract the second of two inputs from the first, number by number.

    Parameters
    ----------
    **base
        `name`, `trainable`, `dtype`, as of all layers.

    Notes
    -----
    Called on a list of two tensors, whose shapes broadcast as those of `Add` do. The output is ``x[0] - x[1]``.

    Examples
    --------
    >>> Subtract().compute_output_shape([(None, 3), (None, 3)])
    (None, 3)
    """

    operation = "subtract"

    def input_shapes(self, input_shape: Any) -> list[Shape]:
        shapes = super().input_shapes(input_shape)
        if len(shapes) != 2:
            raise self.refuse("be the shapes of two inputs", shapes)
        return shapes


class Multiply(_Elementwise):
    """Multiply inputs number by number.

    Parameters
    ----------
    **base
        `name`, `trainable`, `dtype`, as of all layers.

    Notes
    -----
    Called on a list of tensors, whose shapes broadcast as those of `Add` do: a factor for each channel of an image is
    an input ``(batch, 1, 1, channels)``. The output is ``x[0] * x[1] * ...``.

    Examples
    --------
    >>> Multiply().compute_output_shape([(None, 8, 8, 16), (None, 16)])
    (None, 8, 8, 16)
    """

    operation = "multiply"
    node = nodes.Product


class Average(_Elementwise):
    """Take the mean of the inputs, number by number.

    Parameters
    ----------
    **base
        `name`, `trainable`, `dtype`, as of all layers.

    Notes
    -----
    Called on a list of tensors, whose shapes broadcast as those of `Add` do. The output is
    ``(x[0] + x[1] + ...) / len(x)``.

    Examples
    --------
    >>> Average().compute_output_shape([(None, 3), (None, 3), (None, 3)])
    (None, 3)
    """

    operation = "average"


class _Extreme(_Elementwise):
    """Base of the layers that choose one of the inputs."""

    node = nodes.Extreme

    def input_shapes(self, input_shape: Any) -> list[Shape]:
        shapes = super().input_shapes(input_shape)
        if len(shapes) > _MOST_EXTREMES:
            rule = f"be the shapes of at most {_MOST_EXTREMES} inputs"
            what = received("len(input_shape)", len(shapes))
            raise ValueError(message(self.owner, "input_shape", rule, what))
        return shapes


class Maximum(_Extreme):
    """Take the largest of the inputs, number by number.

    Parameters
    ----------
    **base
        `name`, `trainable`, `dtype`, as of all layers.

    Notes
    -----
    Called on a list of at most 256 tensors, whose shapes broadcast as those of `Add` do. The first of equal values
    receives the whole gradient. A NaN in any of the inputs gives a NaN.

    Examples
    --------
    >>> Maximum().compute_output_shape([(None, 3), (None, 3)])
    (None, 3)
    """

    operation = "maximum"


class Minimum(_Extreme):
    """Take the smallest of the inputs, number by number.

    Parameters
    ----------
    **base
        `name`, `trainable`, `dtype`, as of all layers.

    Notes
    -----
    Called on a list of at most 256 tensors, whose shapes broadcast as those of `Add` do. The first of equal values
    receives the whole gradient. A NaN in any of the inputs gives a NaN.

    Examples
    --------
    >>> Minimum().compute_output_shape([(None, 3), (None, 3)])
    (None, 3)
    """

    operation = "minimum"


class Concatenate(_Merge):
    """Put inputs one after the other along an axis.

    Parameters
    ----------
    axis : int
        The last by default; the batch, axis 0, is not possible.
    **base
        `name`, `trainable`, `dtype`, as of all layers.

    Notes
    -----
    Called on a list of tensors whose shapes differ along that axis only.

    Examples
    --------
    >>> Concatenate().compute_output_shape([(None, 8, 8, 16), (None, 8, 8, 3)])
    (None, 8, 8, 19)
    """

    arguments = ("axis",)

    def __init__(self, axis: int = -1, **base: Any) -> None:
        super().__init__(**base)
        self.axis = validation.integer(self.owner, "axis", axis)
        if self.axis == 0:
            rule = "be an int other than 0, the axis of the batch"
            raise ValueError(message(self.owner, "axis", rule, received("axis", axis)))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = self.input_shapes(input_shape)
        rank = len(shapes[0])
        if not -rank < self.axis < rank:
            what = f"axis={self.axis}, input_shape={list(shapes)}"
            raise ValueError(message(self.owner, "axis", "be an axis of the inputs other than the batch", what))
        axis = self.axis % rank
        others = {shape[1:axis] + shape[axis + 1 :] for shape in shapes}
        if len(others) > 1 or any(len(shape) != rank for shape in shapes):
            raise self.refuse(f"have equal extents on all axes but axis {self.axis}", shapes)
        together = sum(shape[axis] for shape in shapes)
        return (self.batch(shapes), *shapes[0][1:axis], together, *shapes[0][axis + 1 :])

    def lower(self, graph: Graph, x: Any) -> Value:
        shape = self.compute_output_shape([value.shape for value in x])
        if len(x) == 1:
            return x[0]  # type: ignore[no-any-return]
        return graph.add(nodes.Concatenate(shape, self.axis % len(shape), *x))
