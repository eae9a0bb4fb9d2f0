"""Maximum and average pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cycnn.program.nodes.base import Node
from cycnn.program.value import Value
from cycnn.shapes import Window, index_dtype, pixels

if TYPE_CHECKING:
    from cycnn.program.emission import Emission


class MaxPool2D(Node):
    """Maximum pooling. Training keeps the place of each maximum, one byte for windows of up to 256 pixels."""

    def __init__(self, x: Value, window: Window) -> None:
        super().__init__(pixels(x.shape, window, x.shape[3]), x)
        self.window = window
        self.index: Value | None = None

    def forward(self, emit: Emission) -> None:
        (x,) = self.inputs
        if emit.training and x.requires_gradient:
            self.index = Value(self.out.shape, index_dtype(self.window))
        emit("MaxPool2DForward", x, self.out, self.index, self.window)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        activation, y = emit.chain(x)
        pooled = None if y is None else self.out  # the derivative at the maximum needs the pooled value alone
        dout, dx = emit.gradient(self.out), emit.share(x)
        emit("MaxPool2DBackward", dout, self.index, dx, self.window, activation, pooled)


class AveragePool2D(Node):
    """Average pooling over the real pixels of each window."""

    def __init__(self, x: Value, window: Window) -> None:
        super().__init__(pixels(x.shape, window, x.shape[3]), x)
        self.window = window

    def forward(self, emit: Emission) -> None:
        emit("AveragePool2DForward", self.inputs[0], self.out, self.window)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        emit("AveragePool2DBackward", emit.gradient(self.out), emit.share(x), self.window, *emit.chain(x))
