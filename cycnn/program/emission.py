"""The steps of a program while they are being emitted, and which of them use which memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cycnn._native import Buffer, Memory, Step
from cycnn.layers.base import Variable
from cycnn.program.arena import Span, plan
from cycnn.program.value import Value


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
        self.steps: list[Step] = []
        self.spans: dict[Value, Span] = {}  # by root value
        self.buffers: dict[Value, Buffer] = {}
        self.gradients: dict[Value | Variable, Value] = {}  # by root value or variable
        self.outside: set[Value] = set()  # bound by the caller, not placed in the arena

    def __call__(self, name: str, *arguments: Any) -> None:
        """Append the step `name`; values and variables stand for their buffers."""
        step_class = getattr(self.kernels, name)
        self.append(step_class(*[self._argument(argument) for argument in arguments]))

    def append(self, step: Step) -> None:
        """Append a step made elsewhere."""
        self.steps.append(step)

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
        """Return the gradient of a value or of a parameter, in its shape."""
        root = of.root if isinstance(of, Value) else of
        if root not in self.gradients:
            self.gradients[root] = Value(root.shape, root.dtype)
        return self.gradients[root].view(of.shape)

    def chain(self, x: Value) -> tuple[str, Value | None]:
        """Return the activation that was fused into the node that made `x`, and its output: what a step that stores
        the gradient of `x` multiplies by, so that it becomes the gradient of the pre-activation."""
        node = x.root.node
        activation = "linear" if node is None else node.activation
        return activation, None if activation == "linear" else x

    def finish(self, x: Value) -> None:
        """Do in a pass of its own what `chain` asks for, where the step that stored the gradient could not."""
        activation, y = self.chain(x)
        if x.requires_gradient and y is not None:
            dx = self.gradient(x)
            self("ActivationBackward", dx, y, dx, activation)

    def place(self) -> Memory:
        """Bind every buffer and workspace to its place in one block of memory, and return it."""
        inside = {root: span for root, span in self.spans.items() if root not in self.outside}
        workspaces = {step: Span(step.workspace, i, i) for i, step in enumerate(self.steps) if step.workspace}
        memory = Memory(plan([*inside.values(), *workspaces.values()]))
        for value, buffer in self.buffers.items():
            if value.root in inside:
                buffer.place(memory, inside[value.root].offset)
        for step, span in workspaces.items():
            step.place_workspace(memory, span.offset)
        return memory
