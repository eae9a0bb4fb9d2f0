"""Random nodes: dropout and normal noise. Their numbers are computed again for the gradient, not kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cycnn.program.nodes.base import Node
from cycnn.program.value import Shape, Value

if TYPE_CHECKING:
    from cycnn.program.emission import Emission


class Dropout(Node):
    """Let numbers that are kept become ``scale * x + shift`` and the others `fill`; `affine` is these three."""

    def __init__(
        self, x: Value, rate: float, key: Value, stream: int, noise_shape: Shape, affine: tuple[float, float, float]
    ) -> None:
        super().__init__(x.shape, x)
        self.rate, self.key, self.stream, self.noise_shape, self.affine = rate, key, stream, noise_shape, affine

    def forward(self, emit: Emission) -> None:
        (x,) = self.inputs
        emit("Dropout", x, self.out, self.rate, self.key, self.stream, self.noise_shape, self.affine)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx, dout = emit.share(x), emit.gradient(self.out)
        emit("Dropout", dout, dx, self.rate, self.key, self.stream, self.noise_shape, (self.affine[0], 0.0, 0.0))
        emit.finish(x, dx)


class Gaussian(Node):
    """Add normal noise, or multiply by 1 and normal noise."""

    def __init__(self, x: Value, stddev: float, multiply: bool, key: Value, stream: int) -> None:
        super().__init__(x.shape, x)
        self.stddev, self.multiply, self.key, self.stream = stddev, multiply, key, stream

    def forward(self, emit: Emission) -> None:
        emit("Gaussian", self.inputs[0], self.out, self.stddev, self.multiply, self.key, self.stream)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dout = emit.gradient(self.out)
        if not self.multiply:
            emit.hand_on(x, dout)
            return
        dx = emit.share(x)
        emit("Gaussian", dout, dx, self.stddev, True, self.key, self.stream)
        emit.finish(x, dx)
