"""The steps of a program while they are being emitted, and which of them use which memory."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from cycnn._native import Buffer, Memory, Step
from cycnn.program.arena import Span, plan
from cycnn.program.value import Value
from cycnn.variable import Variable

if TYPE_CHECKING:
    from cycnn.program.nodes import Node


class Emission:
    """A growing list of native steps whose buffers are not bound to memory yet.

    Parameters
    ----------
    kernels : namespace of step classes
    training : bool
        Whether backward steps will follow.
    """

    def __init__(self, kernels: SimpleNamespace, training: bool) -> None:
        self.kernels, self.training = kernels, training
        self.steps: list[Step | Callable[[], None]] = []
        self.node: Node | None = None  # the one that is emitting
        self.makers: list[Node | None] = []  # of the steps
        self.spans: dict[Value, Span] = {}  # by root value
        self.buffers: dict[Value, Buffer] = {}
        self.gradients: dict[Value | Variable, Value] = {}  # by root value or variable
        self._more: list[tuple[Value | Variable, Value]] = []  # shares that are not in `gradients` yet
        self._borrowed: set[Value] = set()  # gradients that stand for several values: not to be added to
        self._awaited: dict[Value | Variable, int] = {}  # shares that are still to come before a derivative is applied
        self._last: list[tuple[str, tuple[Any, ...]]] = []
        self.outside: set[Value] = set()  # bound by the caller, not placed in the arena

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Append the step `name` and return it; values and variables stand for their buffers."""
        step = self._make(name, arguments)
        self.append(step)
        return step

    def _make(self, name: str, arguments: tuple[Any, ...]) -> Any:
        step = getattr(self.kernels, name)(*[self._argument(argument) for argument in arguments])
        if self.training and hasattr(step, "repack") and any(_changes(argument) for argument in arguments):
            step.repack()  # a copy would serve once: before the next run the kernel is another
        return step

    def gating(self, name: str, x: Value, *arguments: Any) -> None:
        """Append the step `name` that stores the gradient of `x`, and let it sum up what the normalisation that made x
        asks for, where it can."""
        step, norm = self._make(name, arguments), x.root.node
        parts = getattr(step, "parts", 0)
        if norm is not None and parts and norm.sums_in_passing(x):
            step.gate(*[self._argument(argument) for argument in norm.gate(parts)])
        self.append(step)

    def adding(self, name: str, residual: Value, *arguments: Any) -> None:
        """Append the step `name` and let it add a value to what it stores, before its activation."""
        buffer = self.use(residual)
        self(name, *arguments).residual = buffer

    def adds(self, name: str) -> bool:
        """Return whether the step `name` can add a value to what it stores."""
        return hasattr(getattr(self.kernels, name), "residual")

    def append(self, step: Step | Callable[[], None]) -> None:
        """Append a step made elsewhere, or a Python function that is called between native steps."""
        self.steps.append(step)
        self.makers.append(self.node)

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, Value):
            return self.use(argument)
        return argument.buffer if isinstance(argument, Variable) else argument

    def use(self, value: Value) -> Buffer:
        """Return the buffer of a value, which lives until the next step at least, or to the end of the program."""
        root, now = value.root, len(self.steps)
        if value not in self.buffers:
            self.buffers[value] = Buffer(value.shape, value.dtype)
        if root not in self.spans:
            self.spans[root] = Span(self.buffers[value].nbytes, now, now)
        self.spans[root].last = now
        return self.buffers[value]

    def views(self, value: Value | None) -> list[Buffer]:
        """Return the buffers of a value in all the shapes in which steps see it."""
        return [buffer for seen, buffer in self.buffers.items() if value is not None and seen.root is value.root]

    def gradient(self, of: Value | Variable) -> Value:
        """Return the gradient of a value or of a parameter: the sum of all shares, in its shape."""
        root = _root(of)
        if isinstance(root, Value) and self._awaited.pop(root, 0):  # of readers that store none
            activation, y = _fused(root)
            dout = self.gradients[root]
            self.gradients[root] = dx = Value(root.shape, root.dtype) if dout.root in self._borrowed else dout
            self("ActivationBackward", dout, y, dx, activation)
        return self.gradients[root].view(of.shape)

    def share(self, of: Value | Variable, over: Value | None = None) -> Value:
        """Return where a node stores its share of the gradient of a value or a parameter, in its shape.

        That may be the place of `over`, a gradient of the same size that nobody else needs any more.
        """
        root = _root(of)
        own = over is None or over.root in self._borrowed
        share = Value(root.shape, root.dtype, root=None if own else over)
        self._put(root, share)
        return share.view(of.shape)

    def total(self, x: Value, name: str) -> tuple[Value, Value | None, str, Value | None]:
        """Like `share` and `chain`, for a step `name` that may be able to add what other nodes have stored.

        Returns where it stores its share, or the sum; what it adds, if anything; and what it multiplies that by.
        """
        root = x.root
        if root not in self.gradients or not self.adds(name):
            return self.share(x), None, *self.chain(x)
        more, total = self.gradients[root], Value(root.shape, root.dtype)
        self.gradients[root] = total
        activation, y = self._chain_sum(root)
        return total.view(x.shape), more.view(x.shape), activation, None if y is None else x

    def hand_on(self, x: Value, dout: Value) -> None:
        """Let `dout` be a share of the gradient of `x`, without a copy where no activation comes between."""
        activation, y = self.chain(x)
        if y is not None:
            self("ActivationBackward", dout, y, self.share(x).view(dout.shape), activation)
        else:
            self._put(x.root, dout.view(x.root.shape))
            self._borrowed.add(dout.root)

    def _put(self, root: Value | Variable, share: Value) -> None:
        if root in self.gradients:
            self._more.append((root, share))
            return
        self.gradients[root] = share
        if isinstance(root, Value) and root.users > 1 and _fused(root)[1] is not None:
            self._awaited[root] = root.users - 1

    def settle(self) -> None:
        """Add up the shares that the last node has stored beside those of other nodes."""
        for root, share in self._more:
            a, b = self.gradients[root], share
            if a.root in self._borrowed:
                a, b = b, a
            out = Value(root.shape, root.dtype) if a.root in self._borrowed else a
            self("AddShares", a, b, out, *self._chain_sum(root))
            self.gradients[root] = out
        self._more.clear()

    def _chain_sum(self, root: Value | Variable) -> tuple[str, Value | None]:
        """Return what the sum of the shares so far is multiplied by: a derivative, where this was the last of them."""
        if isinstance(root, Variable) or root not in self._awaited:
            return "linear", None
        self._awaited[root] -= 1
        if self._awaited[root] > 0:
            return "linear", None
        del self._awaited[root]
        return _fused(root)

    def after(self, name: str, *arguments: Any) -> None:
        """Append a step to those that come at the very end of a step of training."""
        self._last.append((name, arguments))

    def emit_last(self) -> None:
        """Append the steps that were kept for the end."""
        for name, arguments in self._last:
            self(name, *arguments)

    def chain(self, x: Value) -> tuple[str, Value | None]:
        """Return the activation that was fused into the node that made `x`, and its output: what a step that stores
        a share of the gradient of `x` multiplies by, so that it becomes one of the pre-activation.

        Where several nodes read `x`, it is the sum of their shares that is multiplied.
        """
        return _fused(x) if x.root.users < 2 else ("linear", None)

    def finish(self, x: Value, dx: Value) -> None:
        """Do to the share `dx` in a pass of its own what `chain` asks for, where the step that stored it could not."""
        activation, y = self.chain(x)
        if y is not None:
            self("ActivationBackward", dx, y, dx, activation)

    def place(self) -> Memory:
        """Bind every buffer and workspace to its place in one block of memory, and return it."""
        inside = {root: span for root, span in self.spans.items() if root not in self.outside}
        natives = [(i, step) for i, step in enumerate(self.steps) if isinstance(step, Step)]
        workspaces = {step: Span(step.workspace, i, i) for i, step in natives if step.workspace}
        memory = Memory(plan([*inside.values(), *workspaces.values()]))
        for value, buffer in self.buffers.items():
            if value.root in inside:
                buffer.place(memory, inside[value.root].offset)
        for step, span in workspaces.items():
            step.place_workspace(memory, span.offset)
        return memory


def _fused(x: Value) -> tuple[str, Value | None]:
    """Return the activation that was fused into the node that made `x`, and its output."""
    activation = "linear" if x.root.node is None else x.root.node.activation
    return activation, None if activation == "linear" else x


def _changes(argument: Any) -> bool:
    return isinstance(argument, Variable) and argument.trainable


def _root(of: Value | Variable) -> Value | Variable:
    return of.root if isinstance(of, Value) else of
