"""Layers whose computation is written in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cycnn.program.nodes.base import Node
from cycnn.program.value import Shape, Value

if TYPE_CHECKING:
    from cycnn._native import Buffer
    from cycnn.layers.custom import PythonLayer
    from cycnn.program.emission import Emission
    from cycnn.variable import Variable


class PythonCall(Node):
    """A call of a layer's `forward` and `backward` between native steps."""

    def __init__(
        self, x: Value, shape: Shape, layer: PythonLayer, parameters: tuple[Variable, ...], training: bool
    ) -> None:
        super().__init__(shape, x)
        self.layer, self.parameters, self.training = layer, parameters, training

    def forward(self, emit: Emission) -> None:
        x, out = emit.use(self.inputs[0]), emit.use(self.out)
        emit.append(lambda: self.layer.call_forward(_array(x), np.asarray(out), self.training))

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x) if x.requires_gradient else None
        into = [emit.use(emit.share(parameter)) for parameter in self.parameters]
        values = emit.use(x), emit.use(self.out), emit.use(emit.gradient(self.out))
        to = None if dx is None else emit.use(dx)

        def call() -> None:
            given = _array(values[0]), _array(values[1]), _array(values[2])
            stored = None if to is None else np.asarray(to)
            self.layer.call_backward(*given, stored, [np.asarray(buffer) for buffer in into])

        emit.append(call)
        if dx is not None:
            emit.finish(x, dx)


def _array(buffer: Buffer) -> NDArray[Any]:
    """Return what stands in a buffer, to be read."""
    array = np.asarray(buffer)
    array.flags.writeable = False
    return array
