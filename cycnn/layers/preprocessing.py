"""Layers that turn raw images into numbers that networks learn well from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import validation
from ..program import nodes
from .base import Layer

if TYPE_CHECKING:
    from ..program import Graph, Value


class Rescaling(Layer):
    """Compute ``x * scale + offset``, for integer images as for floats.

    As the first layer of a model it makes the model take integer images.

    Parameters
    ----------
    scale : float
        For example 1/255, to bring bytes to 0..1.
    offset : float
        0 by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    The output has the input's shape.

    Examples
    --------
    >>> Rescaling(1 / 255).compute_output_shape((None, 28, 28, 1))
    (None, 28, 28, 1)
    """

    arguments = ("scale", "offset")
    takes_integers = True

    def __init__(self, scale: float, offset: float = 0.0, **base: Any) -> None:
        super().__init__(**base)
        self.scale = validation.number(self.owner, "scale", scale)
        self.offset = validation.number(self.owner, "offset", offset)

    def lower(self, graph: Graph, x: Value) -> Value:
        return graph.add(nodes.Rescale(x, self.scale, self.offset))
