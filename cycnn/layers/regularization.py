"""Layers that make a network rely less on its training data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import validation
from ..program import nodes
from ..randomness import default_rng
from .base import Layer, Shape

if TYPE_CHECKING:
    from ..program import Graph, Value


class Dropout(Layer):
    """Set random values to zero while training, and scale the others by ``1 / (1 - rate)``.

    Parameters
    ----------
    rate : float
        Share of the values that are dropped, at least 0 and less than 1.
    seed : int, optional
        What the choice depends on, together with the number of the training step and the place of
        the value; by default drawn from the process-wide generator when the layer is built.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    The output has the input's shape. Prediction and evaluation drop nothing. The choice does not
    depend on the number of threads.

    Examples
    --------
    >>> Dropout(0.5).compute_output_shape((None, 128))
    (None, 128)
    """

    arguments = ("rate", "seed")

    def __init__(self, rate: float, *, seed: int | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.rate = validation.number(self.owner, "rate", rate, 0, 1, below=True)
        self.seed = validation.seed(self.owner, seed)
        self._drawn_seed = self.seed

    def build(self, input_shape: Shape) -> None:
        if self._drawn_seed is None:
            self._drawn_seed = int(default_rng().integers(2**63))

    def lower(self, graph: Graph, x: Value) -> Value:
        assert self._drawn_seed is not None
        if not graph.training or self.rate == 0:
            return x
        return graph.add(nodes.Dropout(x, self.rate, graph.key, self._drawn_seed))
