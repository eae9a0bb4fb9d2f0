"""Operations on each number, or on each row: activations, softmax, dropout, rescaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cycnn.program.nodes.base import Node
from cycnn.program.value import Value

if TYPE_CHECKING:
    from cycnn.program.emission import Emission


class Activation(Node):
    """An activation that could not be fused into the node before it."""

    def __init__(self, x: Value, name: str) -> None:
        super().__init__(x.shape, x)
        self.name = name

    def forward(self, emit: Emission) -> None:
        emit("ActivationForward", self.inputs[0], self.out, self.name)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x)
        emit("ActivationBackward", emit.gradient(self.out), self.out, dx, self.name)
        emit.finish(x, dx)


class Softmax(Node):
    """Softmax over the last axis."""

    name = "softmax"

    def __init__(self, x: Value) -> None:
        super().__init__(x.shape, x)

    def forward(self, emit: Emission) -> None:
        emit("SoftmaxForward", self.inputs[0], self.out)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x)
        emit("SoftmaxBackward", emit.gradient(self.out), self.out, dx)
        emit.finish(x, dx)


class Dropout(Node):
    """Dropout; the mask is computed again for the gradient, not kept."""

    def __init__(self, x: Value, rate: float, key: Value, stream: int) -> None:
        super().__init__(x.shape, x)
        self.rate, self.key, self.stream = rate, key, stream

    def forward(self, emit: Emission) -> None:
        emit("Dropout", self.inputs[0], self.out, self.rate, self.key, self.stream)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x)
        emit("Dropout", emit.gradient(self.out), dx, self.rate, self.key, self.stream)
        emit.finish(x, dx)


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
