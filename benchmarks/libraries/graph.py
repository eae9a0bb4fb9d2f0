"""A network as an ONNX graph, for the libraries that only predict: what an export of the trained network holds.

Batch normalisation is a node of its own, which the libraries fold into the convolutions before it by themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.libraries import EPSILON, Weights
from benchmarks.zoo import (
    AveragePool,
    Conv,
    Dense,
    Depthwise,
    Dropout,
    Flatten,
    GlobalAverage,
    MaxPool,
    Network,
    Norm,
    Place,
    Residual,
    placed,
)

OPSET, IR = 17, 8
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh"}


class Builder:
    """Collects nodes and constants."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def chain(self, places: tuple[Place, ...], x: str) -> str:
        """Append layers behind `x`; return the name of the result."""
        for place in places:
            x = self.layer(place, x)
        return x

    def layer(self, place: Place, x: str) -> str:
        """Append one layer behind `x`; return the name of the result."""
        name = place.name
        match place.layer:
            case Conv(_, size, stride, padding, _, activation):
                inputs = [x, self._constant(name, 0, (3, 2, 0, 1)), *self._rest(name, 1)]
                return self._activation(activation, self._node("Conv", inputs, **_window(size, stride, padding)))
            case Depthwise(size, stride, padding):
                inputs = [x, self._constant(name, 0, (2, 3, 0, 1))]
                return self._node("Conv", inputs, group=place.input[-1], **_window(size, stride, padding))
            case Norm(activation):
                out = self._node("BatchNormalization", [x, *self._rest(name, 0)], epsilon=EPSILON)
                return self._activation(activation, out)
            case MaxPool(size, stride, padding):
                return self._node("MaxPool", [x], **_window(size, stride, padding))
            case AveragePool(size):
                return self._node("AveragePool", [x], **_window(size, size, 0))
            case GlobalAverage():
                return self._node("Flatten", [self._node("GlobalAveragePool", [x])])
            case Flatten():
                return self._node("Flatten", [self._node("Transpose", [x], perm=(0, 2, 3, 1))])
            case Dropout():
                return x
            case Dense(_, activation):
                return self._activation(activation, self._node("Gemm", [x, *self._rest(name, 0)]))
            case Residual():
                main, shortcut = (self.chain(chain, x) for chain in place.chains)
                return self._node("Relu", [self._node("Add", [main, shortcut])])

    def _node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def _activation(self, name: str, x: str) -> str:
        if name == "relu6":
            return self._node("Clip", [x, self._array("zero", np.float32(0)), self._array("six", np.float32(6))])
        return self._node(ACTIVATIONS[name], [x]) if name in ACTIVATIONS else x

    def _array(self, name: str, array: Any) -> str:
        if all(constant.name != name for constant in self.constants):
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(np.shape(array)), name))
        return name

    def _constant(self, name: str, number: int, order: tuple[int, ...] = ()) -> str:
        array = self.weights[f"{name}.{number}"]
        return self._array(f"{name}.{number}", array.transpose(order) if order else array)

    def _rest(self, name: str, first: int) -> list[str]:
        """Return the constants of a layer from this number on, as they are."""
        count = sum(key.startswith(f"{name}.") for key in self.weights)
        return [self._constant(name, number) for number in range(first, count)]


def _window(size: int, stride: int, padding: int) -> dict[str, Any]:
    return {"kernel_shape": (size, size), "strides": (stride, stride), "pads": (padding,) * 4}


def onnx_model(network: Network, weights: Weights, rows: int) -> bytes:
    """Return a network for a batch of this size as an ONNX file; images are N x C x H x W there."""
    height, width, channels = network.shape
    builder = Builder(weights)
    last = builder.chain(placed(network), "x")
    graph = helper.make_graph(
        builder.nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (rows, channels, height, width))],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, (rows, network.classes))],
        builder.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def trained_parameters(weights: Weights) -> int:
    """Return the number of trained parameters: all but the moving statistics of batch normalisation."""
    return sum(array.size for name, array in weights.items() if not (name.startswith("norm") and name[-1] in "23"))
