"""Convolutions, and dense layers as convolutions of one pixel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cycnn.program.nodes.base import Node
from cycnn.program.value import Value
from cycnn.shapes import POINTWISE, Window, pixels

if TYPE_CHECKING:
    from cycnn.program.emission import Emission
    from cycnn.variable import Variable


class Conv2D(Node):
    """Convolution of (N, IH, IW, IC) with a kernel (KH, KW, IC, OC), with bias and activation in its epilogue."""

    fuses = True

    def __init__(self, x: Value, kernel: Variable, bias: Variable | None, window: Window) -> None:
        super().__init__(pixels(x.shape, window, kernel.shape[-1]), x)
        self.kernel, self.bias, self.window = kernel, bias, window
        self.parameters = (kernel,) if bias is None else (kernel, bias)

    def images(self, value: Value) -> Value:
        """Return the value as the convolution sees it."""
        return value

    def forward(self, emit: Emission) -> None:
        x, out = self.images(self.inputs[0]), self.images(self.out)
        emit("Conv2DForward", x, self.kernel, self.bias, out, self.window, self.activation)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dout = self.images(emit.gradient(self.out))
        if self.learns:
            dkernel = emit.share(self.kernel)
            dbias = None if self.bias is None else emit.share(self.bias)
            emit("Conv2DBackwardKernel", self.images(x), dout, dkernel, dbias, self.window)
        if x.requires_gradient:
            activation, y = emit.chain(self.images(x))
            dx = self.images(emit.share(x))
            emit("Conv2DBackwardInput", dout, self.kernel, dx, self.window, activation, y)


class Dense(Conv2D):
    """Matrix product (..., in) with (in, out): the 1x1 convolution of an image that is one row, a pixel a vector."""

    def __init__(self, x: Value, kernel: Variable, bias: Variable | None) -> None:
        super().__init__(self.images(x), kernel, bias, POINTWISE)
        self.shape, self.inputs = (*x.shape[:-1], kernel.shape[-1]), (x,)

    def images(self, value: Value) -> Value:
        return value.view((1, 1, math.prod(value.shape[:-1]), value.shape[-1]))
