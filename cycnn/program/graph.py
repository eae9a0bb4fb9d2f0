"""What a program computes: values, and the nodes that make them, as the layers record them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cycnn.program import nodes
from cycnn.program.value import Shape, Value

if TYPE_CHECKING:
    from cycnn.program.nodes import Loss, Node
    from cycnn.regularizers import Regularizer


class Graph:
    """The record of a model's computation for one batch size and mode.

    Parameters
    ----------
    dtype : str
        "float32" or "float64", of everything but the inputs.
    training : bool
        Whether layers behave as in training: dropout drops, statistics are those of the batch.
    learning : bool
        Whether there will be losses, False by default.

    Attributes
    ----------
    key : Value of uint64
        Zero and the number of the step, from which random layers draw; the seed is the layer's.
    losses : list of Loss
        Nodes whose rows are to be minimised.
    penalties : list of Value
        Single numbers to be added to the mean losses.
    layer_name : str
        Name of the layer that is adding nodes.
    """

    def __init__(self, dtype: str, training: bool, learning: bool = False) -> None:
        self.dtype, self.training, self.learning = dtype, training, learning
        self.nodes: list[Node] = []
        self.key = Value((2,), "uint64")
        self.losses: list[Loss] = []
        self.penalties: list[Value] = []
        self.layer_name = ""

    def input(self, shape: Shape, dtype: str) -> Value:
        """Return a value that the caller binds to a batch."""
        return Value(shape, dtype)

    def add(self, node: Node) -> Value:
        """Append a node and return its output."""
        for x in node.inputs:
            x.root.users += 1
        node.out = Value(node.shape, self.dtype, node)
        node.out.requires_gradient = node.learns or any(x.requires_gradient for x in node.inputs)
        node.layer_name = self.layer_name
        self.nodes.append(node)
        return node.out

    def add_loss(self, node: Loss) -> None:
        """Append a loss."""
        self.add(node)
        self.losses.append(node)

    def floats(self, x: Value) -> Value:
        """Return `x` in the type that is computed in: integers are converted."""
        return x if x.dtype == self.dtype else self.add(nodes.Rescale(x, 1.0, 0.0))

    def penalise(self, x: Value, regularizer: Regularizer | None) -> None:
        """Add to what is minimised the mean over the batch of what a regularizer asks for."""
        if regularizer is not None and self.learning:
            batch = max(x.shape[0], 1)
            self.penalties.append(self.add(nodes.Penalty(x, regularizer.l1 / batch, regularizer.l2 / batch)))

    def activation(self, x: Value, name: str, numbers: tuple[float, ...] = ()) -> Value:
        """Apply an activation function; `numbers` are what it takes besides x."""
        return x if name == "linear" else self.add(nodes.activation(x, name, numbers))
