"""What every kind of node is: inputs, parameters, an output, and the steps that it emits, forward beside backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cycnn.program.value import Shape, Value

if TYPE_CHECKING:
    from cycnn.program.emission import Emission
    from cycnn.variable import Variable


class Node:
    """One operation of a graph.

    Parameters
    ----------
    shape : tuple of int
        Of the output.
    *inputs : Value
    """

    out: Value
    layer_name: str  # the name of the one that added the node
    activation = "linear"  # fused into the node; `fuses` says whether it can be
    fuses = False
    residual: Value | None = None  # what is added to the output before that; `adds` says whether anything can be
    adds = False
    parameters: tuple[Variable, ...] = ()

    def __init__(self, shape: Shape, *inputs: Value) -> None:
        self.shape, self.inputs = shape, inputs

    @property
    def operations(self) -> float:
        """Multiplications and additions of the forward step, and of each gradient; 0 where passes are what costs."""
        return 0.0

    def forward(self, emit: Emission) -> None:
        """Emit the steps that compute `out`."""
        raise NotImplementedError

    def backward(self, emit: Emission) -> None:
        """Emit the steps that compute the gradients of the inputs and parameters from that of `out`."""
        raise NotImplementedError

    def add(self, residual: Value) -> None:
        """Add a value of the output's shape to it, before the activation."""
        self.inputs, self.residual = (*self.inputs, residual), residual

    def hand_on(self, emit: Emission, dout: Value) -> None:
        """Let the gradient of the output be a share of that of what was added to it."""
        if self.residual is not None and self.residual.requires_gradient:
            emit.hand_on(self.residual, dout)

    def sums_in_passing(self, out: Value) -> bool:
        """Whether a step that stores the gradient of `out`, the output or a view of it, can sum it up: see `gate`."""
        return False

    def gate(self, parts: int) -> tuple[Any, ...]:
        """Return what a step is told that stores the gradient of the output and sums it up in so many parts."""
        raise NotImplementedError

    @property
    def learns(self) -> bool:
        """Whether a parameter of the node is trained."""
        return any(parameter.trainable for parameter in self.parameters)
