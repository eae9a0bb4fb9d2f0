"""The kinds of nodes: which native steps each emits, forward beside backward.

`emit(name, *arguments)` appends the step class `name` of the kernels; values and variables among the arguments stand
for their memory. The gradient of a value is that of the pre-activation wherever an activation was fused into the node
that made it: `chain(x)` tells which activation the step that stores a gradient must account for, and `finish` does it
in a pass of its own for steps that cannot.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cycnn.program.value import Value
from cycnn.shapes import POINTWISE, Window, index_dtype

if TYPE_CHECKING:
    from cycnn.layers.base import Variable
    from cycnn.program.emission import Emission


class Node:
    """One operation of a graph: its inputs, its parameters and its output."""

    out: Value
    activation = "linear"  # fused into the node; `fuses` says whether it can be
    fuses = False
    parameters: tuple[Variable, ...] = ()

    def __init__(self, *inputs: Value) -> None:
        self.inputs = inputs

    def forward(self, emit: Emission) -> None:
        """Emit the steps that compute `out`."""
        raise NotImplementedError

    def backward(self, emit: Emission) -> None:
        """Emit the steps that compute the gradients of the inputs and parameters from that of `out`."""
        raise NotImplementedError


class Conv2D(Node):
    """Convolution, with bias and activation in its epilogue."""

    fuses = True

    def __init__(self, x: Value, kernel: Variable, bias: Variable | None, window: Window) -> None:
        super().__init__(x)
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
        if any(parameter.trainable for parameter in self.parameters):
            dkernel = emit.gradient(self.kernel)
            dbias = None if self.bias is None else emit.gradient(self.bias)
            emit("Conv2DBackwardKernel", self.images(x), dout, dkernel, dbias, self.window)
        if x.requires_gradient:
            activation, y = emit.chain(self.images(x))
            dx = self.images(emit.gradient(x))
            emit("Conv2DBackwardInput", dout, self.kernel, dx, self.window, activation, y)


class Dense(Conv2D):
    """Matrix product: the 1x1 convolution of an image that is one row, a pixel for each vector."""

    def __init__(self, x: Value, kernel: Variable, bias: Variable | None) -> None:
        super().__init__(x, kernel, bias, POINTWISE)

    def images(self, value: Value) -> Value:
        return value.view((1, 1, math.prod(value.shape[:-1]), value.shape[-1]))


class MaxPool2D(Node):
    """Maximum pooling. Training keeps the place of each maximum, one byte for windows of up to 256 pixels."""

    def __init__(self, x: Value, window: Window) -> None:
        super().__init__(x)
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
        dout, dx = emit.gradient(self.out), emit.gradient(x)
        emit("MaxPool2DBackward", dout, self.index, dx, self.window, activation, pooled)


class AveragePool2D(Node):
    """Average pooling over the real pixels of each window."""

    def __init__(self, x: Value, window: Window) -> None:
        super().__init__(x)
        self.window = window

    def forward(self, emit: Emission) -> None:
        emit("AveragePool2DForward", self.inputs[0], self.out, self.window)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        emit("AveragePool2DBackward", emit.gradient(self.out), emit.gradient(x), self.window, *emit.chain(x))


class Activation(Node):
    """An activation that could not be fused into the node before it."""

    def __init__(self, x: Value, name: str) -> None:
        super().__init__(x)
        self.name = name

    def forward(self, emit: Emission) -> None:
        emit("ActivationForward", self.inputs[0], self.out, self.name)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        emit("ActivationBackward", emit.gradient(self.out), self.out, emit.gradient(x), self.name)
        emit.finish(x)


class Softmax(Node):
    """Softmax over the last axis."""

    name = "softmax"

    def forward(self, emit: Emission) -> None:
        emit("SoftmaxForward", self.inputs[0], self.out)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        emit("SoftmaxBackward", emit.gradient(self.out), self.out, emit.gradient(x))
        emit.finish(x)


class Dropout(Node):
    """Dropout; the mask is computed again for the gradient, not kept."""

    def __init__(self, x: Value, rate: float, key: Value, stream: int) -> None:
        super().__init__(x)
        self.rate, self.key, self.stream = rate, key, stream

    def forward(self, emit: Emission) -> None:
        emit("Dropout", self.inputs[0], self.out, self.rate, self.key, self.stream)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        emit("Dropout", emit.gradient(self.out), emit.gradient(x), self.rate, self.key, self.stream)
        emit.finish(x)


class Rescale(Node):
    """x scale + offset, for inputs of any number type."""

    def __init__(self, x: Value, scale: float, offset: float) -> None:
        super().__init__(x)
        self.scale, self.offset = scale, offset

    def forward(self, emit: Emission) -> None:
        emit("Rescale", self.inputs[0], self.out, self.scale, self.offset)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        emit("Rescale", emit.gradient(self.out), emit.gradient(x), self.scale, 0.0)
        emit.finish(x)


class Loss(Node):
    """A cross-entropy of each row, and its gradient in the same pass.

    Where the predictions come from the softmax or sigmoid that it `absorbs`, it reads the logits instead and writes
    the predictions itself.
    """

    targets: Value

    def __init__(self, y_pred: Value, step: str, from_logits: bool, absorbs: str, sparse: bool = False) -> None:
        super().__init__(y_pred)
        self.step, self.from_logits, self.absorbs, self.sparse = step, from_logits, absorbs, sparse
        self.probabilities: Value | None = None

    def rows(self, value: Value | None) -> Value | None:
        """Return the value as a matrix of one row per prediction."""
        return None if value is None else value.view((math.prod(value.shape[:-1]), value.shape[-1]))

    def gradient(self, emit: Emission) -> Value | None:
        """Return where the gradient of the input goes, None in evaluation."""
        (x,) = self.inputs
        return self.rows(emit.gradient(x)) if emit.training and x.requires_gradient else None

    def forward(self, emit: Emission) -> None:
        emit(
            self.step,
            self.targets,
            self.rows(self.inputs[0]),
            self.rows(self.probabilities),
            self.out,
            self.gradient(emit),
            self.from_logits,
        )

    def backward(self, emit: Emission) -> None:
        emit.finish(self.inputs[0])


class SquaredLoss(Loss):
    """The mean squared error of each row, and its gradient in the same pass."""

    def __init__(self, y_pred: Value) -> None:
        super().__init__(y_pred, "MeanSquaredError", from_logits=False, absorbs="")

    def forward(self, emit: Emission) -> None:
        emit(self.step, self.targets, self.rows(self.inputs[0]), self.out, self.gradient(emit))
