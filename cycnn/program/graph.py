"""What a program computes: values, and the nodes that make them, as the layers record them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cycnn.program import nodes
from cycnn.program.value import Shape, Value
from cycnn.shapes import Window, output_size

if TYPE_CHECKING:
    from cycnn.layers.base import Variable
    from cycnn.program.nodes import Node


def _pixels(x: Value, window: Window, channels: int) -> Shape:
    """Return the shape of what a window makes of the images `x`."""
    batch, height, width, _ = x.shape
    return (batch, *output_size(window, (height, width)), channels)


class Graph:
    """The record of a model's computation for one batch size and mode.

    Parameters
    ----------
    dtype : str
        "float32" or "float64", of everything but the inputs.
    training : bool
        Whether dropout drops.
    """

    def __init__(self, dtype: str, training: bool) -> None:
        self.dtype, self.training = dtype, training
        self.nodes: list[Node] = []
        self.key = Value((2,), "uint64")
        self.targets: Value | None = None
        self.losses: Value | None = None

    def add(self, node: Node, shape: Shape) -> Value:
        """Append a node and return its output."""
        for x in node.inputs:
            x.root.users += 1
        node.out = Value(shape, self.dtype, node)
        learns = any(parameter.trainable for parameter in node.parameters)
        node.out.requires_gradient = learns or any(x.requires_gradient for x in node.inputs)
        self.nodes.append(node)
        return node.out

    def input(self, shape: Shape, dtype: str) -> Value:
        """Return a value that the caller binds to a batch."""
        return Value(shape, dtype)

    def conv2d(
        self, x: Value, kernel: Variable, bias: Variable | None, window: Window, activation: str = "linear"
    ) -> Value:
        """Convolve (N, IH, IW, IC) with a kernel (KH, KW, IC, OC)."""
        shape = _pixels(x, window, kernel.shape[-1])
        return self.activation(self.add(nodes.Conv2D(x, kernel, bias, window), shape), activation)

    def dense(self, x: Value, kernel: Variable, bias: Variable | None, activation: str = "linear") -> Value:
        """Multiply (..., in) by a kernel (in, out): a 1x1 convolution whose image is one row of all the vectors."""
        out = self.add(nodes.Dense(x, kernel, bias), (*x.shape[:-1], kernel.shape[-1]))
        return self.activation(out, activation)

    def max_pool2d(self, x: Value, window: Window) -> Value:
        """Take the maximum of each window of (N, IH, IW, C)."""
        return self.add(nodes.MaxPool2D(x, window), _pixels(x, window, x.shape[3]))

    def average_pool2d(self, x: Value, window: Window) -> Value:
        """Take the mean of the real pixels of each window of (N, IH, IW, C)."""
        return self.add(nodes.AveragePool2D(x, window), _pixels(x, window, x.shape[3]))

    def activation(self, x: Value, name: str) -> Value:
        """Apply an activation to each number, or softmax to each row."""
        if name == "linear":
            return x
        return self.add(nodes.Softmax(x) if name == "softmax" else nodes.Activation(x, name), x.shape)

    def reshape(self, x: Value, shape: Shape) -> Value:
        """Show a value in another shape; `shape` is without the batch axis. No step, no copy."""
        return x.view((x.shape[0], *shape))

    def dropout(self, x: Value, rate: float, seed: int) -> Value:
        """Drop numbers in training; in inference a value is itself."""
        if not self.training or rate == 0:
            return x
        return self.add(nodes.Dropout(x, rate, self.key, seed), x.shape)

    def rescale(self, x: Value, scale: float, offset: float) -> Value:
        """Compute x scale + offset, from integers too."""
        return self.add(nodes.Rescale(x, scale, offset), x.shape)

    def loss(self, node: nodes.Loss) -> None:
        """End the graph with a loss for each row of the predictions."""
        (y_pred,) = node.inputs
        rows, width = math.prod(y_pred.shape[:-1]), y_pred.shape[-1]
        self.targets = node.targets = Value((rows,), "int32") if node.sparse else Value((rows, width), self.dtype)
        self.losses = self.add(node, (rows,))

    def sparse_categorical_crossentropy(self, y_pred: Value, from_logits: bool) -> None:
        """End with -log of the true class's probability; targets are int32 labels."""
        self.loss(nodes.Loss(y_pred, "SparseCategoricalCrossentropy", from_logits, absorbs="softmax", sparse=True))

    def categorical_crossentropy(self, y_pred: Value, from_logits: bool) -> None:
        """End with -sum(target log probability); targets are one row of probabilities each."""
        self.loss(nodes.Loss(y_pred, "CategoricalCrossentropy", from_logits, absorbs="softmax"))

    def binary_crossentropy(self, y_pred: Value, from_logits: bool) -> None:
        """End with the mean over units of -log of the probability given to the target 0 or 1."""
        self.loss(nodes.Loss(y_pred, "BinaryCrossentropy", from_logits, absorbs="sigmoid"))

    def mean_squared_error(self, y_pred: Value) -> None:
        """End with the mean over units of the squared difference."""
        self.loss(nodes.SquaredLoss(y_pred))
