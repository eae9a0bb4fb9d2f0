"""Convolutions, depthwise and transposed ones among them, and dense layers as convolutions of one pixel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cycnn._native import Buffer, Memory
from cycnn.program import algorithms
from cycnn.program.nodes.base import Node
from cycnn.program.value import Value
from cycnn.shapes import POINTWISE, Window, pixels
from cycnn.strides import channel_sums

if TYPE_CHECKING:
    from collections.abc import Callable

    from cycnn.program.emission import Emission
    from cycnn.program.nodes.normalization import FrozenBatchNorm
    from cycnn.variable import Variable


class Convolution(Node):
    """What convolutions share: a kernel, a bias or none, and an epilogue.

    `norm` is the normalisation by fixed statistics that was folded into kernel and bias, in programs that do not learn
    them.
    """

    fuses = adds = True
    norm: FrozenBatchNorm | None = None
    kernel: Variable
    bias: Variable | None
    window: Window

    def weights(self, emit: Emission, inner: int = 1) -> tuple[Variable | Buffer, Variable | Buffer | None]:
        """Return kernel and bias, or what stands for them and the normalisation behind, which all programs share.

        `inner` is how many neighbouring numbers of the kernel belong to the same output channel.
        """
        if self.norm is None:
            return self.kernel, self.bias
        sources = (self.kernel, self.bias, *self.norm.moving, self.norm.gamma, self.norm.beta)
        buffers = tuple(None if variable is None else variable.buffer for variable in sources)
        cache, key = self.kernel.buffer.cache, (emit.kernels.FoldNorm, *buffers[1:], self.norm.epsilon)
        if key not in cache:
            kernel, shift = owned(self.kernel.shape, self.kernel.dtype), owned(self.norm.scale.shape, self.kernel.dtype)
            cache[key] = (emit.kernels.FoldNorm(*buffers, kernel, shift, inner, self.norm.epsilon), kernel, shift)
        step, kernel, shift = cache[key]
        emit.append(step)
        return kernel, shift

    def images(self, value: Value) -> Value:
        """Return the value as the convolution sees it."""
        return value

    def emit_output(self, emit: Emission, name: str, *arguments: Any) -> None:
        """Emit the step that stores the output, and adds to it where it can; else in a pass of its own."""
        out = self.images(self.out)
        if self.residual is None:
            emit(name, *arguments, out, self.window, self.activation)
        elif emit.adds(name):
            emit.adding(name, self.images(self.residual), *arguments, out, self.window, self.activation)
        else:
            convolved = Value(out.shape, out.dtype)
            emit(name, *arguments, convolved, self.window, "linear")
            terms = emit.use(convolved), emit.use(self.images(self.residual))
            emit("Combine", "add", terms, out, None, self.activation)


def owned(shape: tuple[int, ...], dtype: str) -> Buffer:
    """Return a buffer with memory of its own, outside of any program's."""
    buffer = Buffer(shape, dtype)
    buffer.place(Memory(buffer.nbytes), 0)
    return buffer


class Conv2D(Convolution):
    """Convolution of (N, IH, IW, IC) with a kernel (KH, KW, IC / groups, OC), with bias and activation in its epilogue.

    Where each group is one channel, it is a depthwise convolution: its kernel has the same numbers in the same order.
    A kernel of one row may lack its first axis.
    """

    def __init__(self, x: Value, kernel: Variable, bias: Variable | None, window: Window) -> None:
        super().__init__(pixels(x.shape, window, kernel.shape[-1]), x)
        self.kernel, self.bias, self.window = kernel, bias, window
        self.parameters = (kernel,) if bias is None else (kernel, bias)
        self.step = "DepthwiseConv2D" if kernel.shape[-2] == 1 < x.shape[-1] else "Conv2D"
        self.groups = x.shape[-1] // kernel.shape[-2]

    def algorithm(self, emit: Emission, pixels: Value, chooser: Callable[..., bool] = algorithms.winograd) -> str:
        """Return the kind of the step that computes images, the output or the gradient of the input, or what else is
        chosen by the pixels that are seen as tiles."""
        whole = self.step == "Conv2D" and self.groups == 1
        if whole and chooser(emit.kernels, self.kernel.shape, self.window, pixels.shape[:3]):
            return "Winograd"
        return self.step

    @property
    def operations(self) -> float:
        return 2.0 * math.prod(self.shape) * math.prod(self.kernel.shape[:-1])

    def forward(self, emit: Emission) -> None:
        name = f"{self.algorithm(emit, self.images(self.out))}Forward"
        self.emit_output(emit, name, self.images(self.inputs[0]), *self.weights(emit))

    def backward(self, emit: Emission) -> None:
        x, dout = self.inputs[0], self.images(emit.gradient(self.out))
        self.hand_on(emit, dout)
        if self.learns:
            dkernel = emit.share(self.kernel)
            dbias = None if self.bias is None else emit.share(self.bias)
            algorithm = self.algorithm(emit, dout, algorithms.winograd_kernel)
            emit(f"{algorithm}BackwardKernel", self.images(x), dout, dkernel, dbias, self.window)
        if x.requires_gradient:
            name = f"{self.algorithm(emit, self.images(x))}BackwardInput"
            dx, more, activation, y = emit.total(x, name)
            chain = activation, None if y is None else self.images(y)
            arguments = dout, self.kernel, self.images(dx), self.window, *chain
            if more is None:
                emit.gating(name, x, *arguments)
            else:
                emit.adding(name, self.images(more), *arguments)


class Dense(Conv2D):
    """Matrix product (..., in) with (in, out): the 1x1 convolution of an image that is one row, a pixel a vector."""

    def __init__(self, x: Value, kernel: Variable, bias: Variable | None) -> None:
        super().__init__(self.images(x), kernel, bias, POINTWISE)
        self.shape, self.inputs = (*x.shape[:-1], kernel.shape[-1]), (x,)

    def images(self, value: Value) -> Value:
        return value.view((1, 1, math.prod(value.shape[:-1]), value.shape[-1]))


class DepthwiseConv2D(Conv2D):
    """Convolution of each channel of (N, IH, IW, IC) with M kernels of its own, (KH, KW, IC, M): OC = IC M."""

    def __init__(self, x: Value, kernel: Variable, bias: Variable | None, window: Window) -> None:
        super().__init__(x, kernel, bias, window)
        self.shape = pixels(x.shape, window, kernel.shape[-2] * kernel.shape[-1])
        self.step = "DepthwiseConv2D"

    @property
    def operations(self) -> float:
        return 2.0 * math.prod(self.shape) * math.prod(self.kernel.shape[:-2])


class Conv2DTranspose(Convolution):
    """The transpose of the convolution with a kernel (KH, KW, OC, IC) that has (N, IH, IW, IC) for its output.

    Forward is that convolution's gradient to its input, and the gradients are that convolution and the gradient to its
    kernel.
    """

    def __init__(
        self, x: Value, kernel: Variable, bias: Variable | None, window: Window, output_hw: tuple[int, int]
    ) -> None:
        super().__init__((x.shape[0], *output_hw, kernel.shape[-2]), x)
        self.kernel, self.bias, self.window = kernel, bias, window
        self.parameters = (kernel,) if bias is None else (kernel, bias)

    @property
    def operations(self) -> float:
        return 2.0 * math.prod(self.inputs[0].shape) * math.prod(self.kernel.shape[:-1])

    def forward(self, emit: Emission) -> None:
        weights = self.weights(emit, self.kernel.shape[-1])
        self.emit_output(emit, "Conv2DTransposeForward", self.inputs[0], *weights)

    def backward(self, emit: Emission) -> None:
        x, dout = self.inputs[0], emit.gradient(self.out)
        self.hand_on(emit, dout)
        if self.learns:
            emit("Conv2DBackwardKernel", dout, x, emit.share(self.kernel), None, self.window)
        if self.learns and self.bias is not None:
            emit("StridedSum", dout, emit.share(self.bias), channel_sums(dout.shape))
        if x.requires_gradient:
            dx = emit.share(x)
            emit("Conv2DForward", dout, self.kernel, None, dx, self.window, "linear")
            emit.finish(x, dx)
