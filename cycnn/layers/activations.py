"""Activation functions as layers of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..validation import message, received
from .base import Layer

if TYPE_CHECKING:
    from ..program import Graph, Value


class ReLU(Layer):
    """Replace negative values by zero.

    Parameters
    ----------
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    The output has the input's shape.

    Examples
    --------
    >>> ReLU().compute_output_shape((None, 28, 28, 6))
    (None, 28, 28, 6)
    """

    def lower(self, graph: Graph, x: Value) -> Value:
        return graph.activation(x, "relu")


class Softmax(Layer):
    """Turn the values along the last axis into probabilities, ``exp(x_i) / sum_j exp(x_j)``.

    Parameters
    ----------
    axis : {-1}
        The last axis is the only one supported.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    The output has the input's shape.

    Examples
    --------
    >>> Softmax().compute_output_shape((None, 10))
    (None, 10)
    """

    arguments = ("axis",)

    def __init__(self, axis: int = -1, **base: Any) -> None:
        super().__init__(**base)
        if axis != -1:
            raise ValueError(message(self.owner, "axis", "be -1", received("axis", axis)))
        self.axis = -1

    def lower(self, graph: Graph, x: Value) -> Value:
        return graph.activation(x, "softmax")
