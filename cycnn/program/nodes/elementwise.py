"""Operations on each number: rescaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cycnn.program.nodes.base import Node
from cycnn.program.value import Value

if TYPE_CHECKING:
    from cycnn.program.emission import Emission


class Rescale(Node):
    """x scale + offset, for inputs of any number type."""

    def __init__(self, x: Value, scale: float, offset: float) -> None:
        super().__init__(x.shape, x)
        self.scale, self.offset = scale, offset

    def forward(self, emit: Emission) -> None:
        emit("Rescale", self.inputs[0], self.out, self.scale, self.offset)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x)
        emit("Rescale", emit.gradient(self.out), dx, self.scale, 0.0)
        emit.finish(x, dx)
