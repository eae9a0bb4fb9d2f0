"""What follows the losses: the nodes' backward steps, penalties on parameters, and updates.

A parameter is updated as soon as its gradient is whole and the nodes that read it have passed it on: the gradient is
still in the cache then, and its memory is free for the next one's. Where an update needs the gradients of all, or must
not be made if anything goes wrong before the end, all of them come last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from cycnn._native import Step
from cycnn.program.value import Value
from cycnn.variable import Variable

if TYPE_CHECKING:
    from cycnn.models import Model
    from cycnn.program.emission import Emission
    from cycnn.program.graph import Graph
    from cycnn.program.nodes import Node


class NotFinite(ArithmeticError):
    """A loss or a gradient is not a finite number; says whose gradient, or nothing."""


class Learning:
    """The steps from the losses on, while they are being emitted.

    Parameters
    ----------
    model : Model
    graph : Graph
    emission : Emission
        With all forward steps.
    """

    def __init__(self, model: Model, graph: Graph, emission: Emission) -> None:
        self.model, self.graph, self.emission = model, graph, emission
        self.gradients: dict[Variable, Value] = {}
        self.penalties: dict[Variable, Value] = {}

    def emit(self, mode: str) -> dict[Variable, Value]:
        """Emit all that a mode asks for; return the gradients that it leaves."""
        if mode != "evaluate":
            self._emit_backward(at_once=mode == "train" and self._divisible())
        variables = self.model.trainable_variables
        rest = [variable for variable in variables if variable not in self.gradients]
        self._finish(rest)
        self.graph.penalties += [self.penalties[variable] for variable in variables if variable in self.penalties]
        learnt = [variable for variable in variables if variable in self.gradients]
        if mode != "train":
            return {variable: self.gradients[variable] for variable in learnt}
        if self.model.guarded:
            self._emit_guard(learnt)
        self._emit_updates([variable for variable in rest if variable in self.gradients])
        for variable in learnt:
            if variable.constraint is not None:
                self.emission.append(variable.constrain)
        return {}

    def _divisible(self) -> bool:
        """Return whether parameters may be updated one by one, while other gradients are still to come."""
        assert self.model.optimizer is not None
        fails = any(not isinstance(step, Step) for step in self.emission.steps)  # as functions in Python may
        return not (fails or self.model.guarded or self.model.optimizer.global_clipnorm)

    def _emit_backward(self, at_once: bool) -> None:
        """Emit the nodes' backward steps in reverse, and at once, if so, the updates of what they have read."""
        emission, trained = self.emission, set(self.model.trainable_variables)
        readers: dict[Variable, Node] = {}
        for node in reversed(self.graph.nodes):
            readers |= dict.fromkeys(node.parameters, node)  # the first is the last to pass a gradient on
        for node in reversed(self.graph.nodes):
            if node.out.requires_gradient and node.out in emission.gradients:
                emission.node = node
                node.backward(emission)
                emission.settle()
                emission.node = None
            if at_once:
                read = [variable for variable in node.parameters if readers[variable] is node and variable in trained]
                self._finish(read)
                self._emit_updates([variable for variable in read if variable in self.gradients])

    def _finish(self, variables: Iterable[Variable]) -> None:
        """Note the gradients of parameters, and emit what regularizers add to them."""
        for variable in variables:
            if variable in self.emission.gradients:
                self.gradients[variable] = self.emission.gradient(variable)
            if variable.regularizer is not None:
                self.penalties[variable] = penalty = Value((1,), variable.dtype)
                factors = variable.regularizer.l1, variable.regularizer.l2
                self.emission("Penalty", variable, *factors, penalty, self.gradients.get(variable))

    def _emit_guard(self, variables: list[Variable]) -> None:
        """Emit a check that raises NotFinite before anything is updated."""
        losses = [self.emission.use(node.out) for node in self.graph.losses]
        buffers = {variable.path: self.emission.use(self.gradients[variable]) for variable in variables}

        def guard() -> None:
            if not all(np.isfinite(np.asarray(loss)).all() for loss in losses):
                raise NotFinite
            for path, buffer in buffers.items():
                if not np.isfinite(np.asarray(buffer)).all():
                    raise NotFinite(f"the gradient of {path!r}")

        self.emission.append(guard)

    def _emit_updates(self, variables: list[Variable]) -> None:
        """Emit the optimizer's steps for some parameters."""
        assert self.model.optimizer is not None
        pairs = [(variable, self.emission.use(self.gradients[variable])) for variable in variables]
        for step in self.model.optimizer.update_steps(self.emission.kernels, pairs):
            for variable in variables:
                self.emission.use(self.gradients[variable])
            self.emission.append(step)
