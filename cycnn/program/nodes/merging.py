"""Nodes of several inputs: sums, products and extremes with broadcasting, concatenation.

The gradient of an input is first that of its copies, in the shape of the output; where the input was repeated along an
axis, they are added up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cycnn import strides
from cycnn.program.nodes.base import Node
from cycnn.program.value import Shape, Value

if TYPE_CHECKING:
    from cycnn.program.emission import Emission


class Combine(Node):
    """Inputs combined number by number, from the left; activations join in.

    Parameters
    ----------
    operation : {"add", "subtract", "multiply", "average", "maximum", "minimum"}
    shape : tuple of int
        Of the output.
    *inputs : Value
        At least two, of the output's shape or with extents of 1 instead.
    """

    fuses = True

    def __init__(self, operation: str, shape: Shape, *inputs: Value) -> None:
        super().__init__(shape, *inputs)
        self.operation = operation

    def forward(self, emit: Emission) -> None:
        self.emit_combine(emit, self.inputs, self.out, self.activation)

    def emit_combine(
        self, emit: Emission, xs: tuple[Value, ...], out: Value, activation: str, index: Value | None = None
    ) -> None:
        """Emit the step that combines `xs`."""
        emit("Combine", self.operation, tuple(emit.use(x) for x in xs), out, index, activation)

    def backward(self, emit: Emission) -> None:
        dout = emit.gradient(self.out)
        for k, x in enumerate(self.inputs):
            if x.requires_gradient:
                self.emit_share(emit, k, x, dout)

    def emit_share(self, emit: Emission, k: int, x: Value, dout: Value) -> None:
        """Store the share of the gradient of input number k."""
        if x.shape == self.shape:
            dx = emit.share(x)
            self.emit_copies(emit, k, dout, dx)
        else:
            copies = Value(self.shape, x.dtype)
            self.emit_copies(emit, k, dout, copies)
            dx = self.add_up(emit, x, copies)
        emit.finish(x, dx)

    def emit_copies(self, emit: Emission, k: int, dout: Value, dx: Value) -> None:
        """Emit the gradient of the copies of input number k, in the shape of the output."""
        raise NotImplementedError

    def add_up(self, emit: Emission, x: Value, copies: Value) -> Value:
        """Emit the sum of the gradients of the copies of x; return where it goes."""
        dx = emit.share(x)
        emit("StridedSum", copies, dx, strides.repeat(x.shape, self.shape).reverse())
        return dx


class Sum(Combine):
    """A sum, difference or mean: each input counts by a constant factor, so its gradient is that of the output."""

    def __init__(self, operation: str, shape: Shape, *inputs: Value) -> None:
        super().__init__(operation, shape, *inputs)
        factors = {"add": (1.0, 1.0), "subtract": (1.0, -1.0), "average": (1 / len(inputs),) * 2}
        self.first, self.other = factors[operation]

    def emit_share(self, emit: Emission, k: int, x: Value, dout: Value) -> None:
        factor = self.other if k > 0 else self.first
        if x.shape == self.shape and factor == 1:
            emit.hand_on(x, dout)
            return
        if x.shape == self.shape:
            dx = emit.share(x)
            emit("Rescale", dout, dx, factor, 0.0)
        else:
            dx = self.add_up(emit, x, dout)
            if factor != 1:
                emit("Rescale", dx, dx, factor, 0.0)
        emit.finish(x, dx)


class Product(Combine):
    """A product: the gradient of an input is a product again, of that of the output and the other inputs."""

    def emit_copies(self, emit: Emission, k: int, dout: Value, dx: Value) -> None:
        self.emit_combine(emit, (dout, *self.inputs[:k], *self.inputs[k + 1 :]), dx, "linear")


class Extreme(Combine):
    """The largest or smallest of the inputs. Training keeps one byte for each: whose it was."""

    index: Value | None = None

    def forward(self, emit: Emission) -> None:
        if emit.training and any(x.requires_gradient for x in self.inputs):
            self.index = Value(self.shape, "uint8")
        self.emit_combine(emit, self.inputs, self.out, self.activation, self.index)

    def emit_copies(self, emit: Emission, k: int, dout: Value, dx: Value) -> None:
        emit("Select", dout, self.index, k, dx)


class Concatenate(Node):
    """Inputs one after the other along an axis."""

    def __init__(self, shape: Shape, axis: int, *inputs: Value) -> None:
        super().__init__(shape, *inputs)
        self.walks = []
        start = [0] * len(shape)
        for x in inputs:
            self.walks.append(strides.box(x.shape, x.shape, (0,) * len(shape), shape, tuple(start)))
            start[axis] += x.shape[axis]

    def forward(self, emit: Emission) -> None:
        for x, walk in zip(self.inputs, self.walks, strict=True):
            emit("StridedCopy", x, self.out, walk)

    def backward(self, emit: Emission) -> None:
        dout = emit.gradient(self.out)
        for x, walk in zip(self.inputs, self.walks, strict=True):
            if x.requires_gradient:
                dx = emit.share(x)
                emit("StridedCopy", dout, dx, walk.reverse())
                emit.finish(x, dx)
