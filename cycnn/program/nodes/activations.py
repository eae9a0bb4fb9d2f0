"""Activation functions as nodes: those that others can do in passing, those that keep their input, softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cycnn.program.nodes.base import Node
from cycnn.program.value import Shape, Value

if TYPE_CHECKING:
    from cycnn.program.emission import Emission
    from cycnn.variable import Variable

# Functions whose derivative needs the input, with the numbers that they take where nobody says others.
KEEP_INPUT: dict[str, tuple[float, ...]] = {
    "celu": (1.0,),
    "gelu": (),
    "hard_shrink": (0.5,),
    "hard_silu": (),
    "hard_tanh": (),
    "log_sigmoid": (),
    "mish": (),
    "silu": (),
    "soft_shrink": (0.5,),
    "sparse_plus": (),
    "sparse_sigmoid": (),
    "squareplus": (4.0,),
    "tanh_shrink": (),
}


def activation(x: Value, name: str, numbers: tuple[float, ...] = ()) -> Node:
    """Return the node that applies an activation function.

    Parameters
    ----------
    x : Value
    name : str
        As Keras names it, but "linear".
    numbers : tuple of float, optional
        What the function takes besides x; by default Keras's defaults.
    """
    if name in ("softmax", "log_softmax"):
        return Softmax(x, x.shape, len(x.shape) - 1, name)
    if numbers or name in KEEP_INPUT:
        return Pointwise(x, name, numbers or KEEP_INPUT[name])
    return Activation(x, name)


class Activation(Node):
    """An activation whose derivative follows from its output, that could not be fused into the node before it."""

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


class Pointwise(Node):
    """An activation whose derivative needs its input."""

    def __init__(self, x: Value, name: str, numbers: tuple[float, ...]) -> None:
        super().__init__(x.shape, x)
        self.name, self.numbers = name, numbers

    def forward(self, emit: Emission) -> None:
        emit("Pointwise", self.inputs[0], None, self.out, self.name, self.numbers)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x)
        emit("Pointwise", x, emit.gradient(self.out), dx, self.name, self.numbers)
        emit.finish(x, dx)


class PReLU(Node):
    """Rectification with learned slopes, one for each number of a row or shared along axes of extent 1."""

    def __init__(self, x: Value, alpha: Variable) -> None:
        super().__init__(x.shape, x)
        self.alpha = alpha
        self.parameters = (alpha,)

    def forward(self, emit: Emission) -> None:
        emit("PReLUForward", self.inputs[0], self.alpha, self.out)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x) if x.requires_gradient else None
        dalpha = emit.share(self.alpha) if self.alpha.trainable else None
        emit("PReLUBackward", emit.gradient(self.out), x, self.alpha, dx, dalpha)
        if dx is not None:
            emit.finish(x, dx)


class Softmax(Node):
    """Softmax or its logarithm over one axis of x seen in another shape; several axes are one in such a shape."""

    def __init__(self, x: Value, shape: Shape, axis: int, name: str) -> None:
        super().__init__(x.shape, x)
        self.seen, self.axis, self.logarithm = shape, axis, name == "log_softmax"
        self.name = name if shape[axis:] == x.shape[-1:] else ""  # what a loss may absorb is over rows

    def forward(self, emit: Emission) -> None:
        (x,) = self.inputs
        emit("SoftmaxForward", x.view(self.seen), self.out.view(self.seen), self.axis, self.logarithm)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx, dout, y = emit.share(x), emit.gradient(self.out), self.out
        emit("SoftmaxBackward", dout.view(self.seen), y.view(self.seen), dx.view(self.seen), self.axis, self.logarithm)
        emit.finish(x, dx)
