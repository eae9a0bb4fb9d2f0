"""Where a graph ends: losses and their gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cycnn.program.nodes.base import Node
from cycnn.program.value import Value

if TYPE_CHECKING:
    from cycnn.program.emission import Emission


class Loss(Node):
    """A loss for each row of the predictions, and its gradient in the same pass.

    Where the predictions come from the softmax or sigmoid that it `absorbs`, a cross-entropy reads the logits instead
    and writes the predictions itself.

    Parameters
    ----------
    y_pred : Value
    step : str
        The native step.
    scale : float
        Weight of this loss in the sum of all.
    weighted : bool
        Whether rows have weights of their own.
    from_logits : bool
    absorbs : str
        The activation that the loss can do without, if any.
    sparse : bool
        Whether targets are int32 labels, not rows.
    """

    def __init__(
        self,
        y_pred: Value,
        step: str,
        scale: float,
        weighted: bool,
        from_logits: bool = False,
        absorbs: str = "",
        sparse: bool = False,
    ) -> None:
        rows, width = math.prod(y_pred.shape[:-1]), y_pred.shape[-1]
        super().__init__((rows,), y_pred)
        self.step, self.scale, self.from_logits, self.absorbs, self.sparse = step, scale, from_logits, absorbs, sparse
        self.probabilities: Value | None = None
        self.targets = Value((rows,), "int32") if sparse else Value((rows, width), y_pred.dtype)
        self.weights = Value((rows,), y_pred.dtype) if weighted else None

    def rows(self, value: Value | None) -> Value | None:
        """Return the value as a matrix of one row per prediction."""
        return None if value is None else value.view((math.prod(value.shape[:-1]), value.shape[-1]))

    def forward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x) if emit.training and x.requires_gradient else None
        self.emit_step(emit, self.rows(x), self.rows(dx))
        if dx is not None:
            emit.finish(x, dx)

    def emit_step(self, emit: Emission, x: Value | None, dx: Value | None) -> None:
        """Emit the step that computes losses and gradients."""
        emit(self.step, self.targets, x, self.rows(self.probabilities), self.out, dx, self.from_logits)

    def backward(self, emit: Emission) -> None:
        """The gradient is stored in the forward pass."""


class SquaredLoss(Loss):
    """The mean squared error of each row."""

    def __init__(self, y_pred: Value, scale: float, weighted: bool) -> None:
        super().__init__(y_pred, "MeanSquaredError", scale, weighted)

    def emit_step(self, emit: Emission, x: Value | None, dx: Value | None) -> None:
        emit(self.step, self.targets, x, self.out, dx)


class Penalty(Node):
    """What a regularizer asks of an activity: l1 sum |x| + l2 sum x^2, and its gradient in the same pass."""

    def __init__(self, x: Value, l1: float, l2: float) -> None:
        super().__init__((1,), x)
        self.l1, self.l2 = l1, l2

    def forward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x) if emit.training and x.requires_gradient else None
        if dx is not None:
            emit("Fill", dx, 0.0)
        emit("Penalty", x, self.l1, self.l2, self.out, dx)
        if dx is not None:
            emit.finish(x, dx)

    def backward(self, emit: Emission) -> None:
        """The gradient is stored in the forward pass."""
