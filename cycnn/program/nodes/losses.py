"""Where a graph ends: losses and their gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cycnn import strides
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
    from_logits : bool or None
        None for a step that does not ask.
    absorbs : str
        The activation that the loss can do without, if any.
    sparse : bool
        Whether targets are int32 labels, not rows.
    average : bool
        Whether the mean of the rows is minimised, not their sum.
    options : tuple
        What the step takes last.
    rows : int or None
        How many rows there are, where they are not along the last axis.
    """

    def __init__(
        self,
        y_pred: Value,
        step: str,
        scale: float,
        weighted: bool,
        from_logits: bool | None = None,
        absorbs: str = "",
        sparse: bool = False,
        *,
        average: bool = True,
        options: tuple[Any, ...] = (),
        rows: int | None = None,
    ) -> None:
        size = math.prod(y_pred.shape)
        count = math.prod(y_pred.shape[:-1]) if rows is None else rows
        super().__init__((count,), y_pred)
        self.step, self.scale, self.from_logits, self.absorbs, self.sparse = step, scale, from_logits, absorbs, sparse
        self.average, self.options = average, options
        self.probabilities: Value | None = None
        self.matrix = (count, size // max(count, 1))
        self.targets = Value((count,), "int32") if sparse else Value(self.matrix, y_pred.dtype)
        self.weights = Value((count,), y_pred.dtype) if weighted else None

    @property
    def multiple(self) -> float:
        """What the mean of the rows' losses is multiplied by in the total that is minimised."""
        return self.scale if self.average else self.scale * self.shape[0]

    def rows(self, value: Value | None) -> Value | None:
        """Return the value as a matrix of one row per loss."""
        return None if value is None else value.view(self.matrix)

    def forward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x) if emit.training and x.requires_gradient else None
        logits = () if self.from_logits is None else (self.from_logits,)
        emit(
            self.step,
            self.targets,
            self.rows(x),
            self.rows(self.probabilities),
            self.out,
            self.rows(dx),
            self.weights,
            self.scale,
            self.average,
            *logits,
            *self.options,
        )
        if dx is not None:
            emit.finish(x, dx)

    def backward(self, emit: Emission) -> None:
        """The gradient is stored in the forward pass."""


class Penalty(Node):
    """What a regularizer asks of an activity: l1 sum |x| + l2 sum x^2, and its gradient in the same pass."""

    def __init__(self, x: Value, l1: float, l2: float) -> None:
        super().__init__((1,), x)
        self.l1, self.l2 = l1, l2

    def forward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dx = emit.share(x) if emit.training and x.requires_gradient else None
        if dx is not None:
            emit("Fill", dx, 0.0, strides.repeat(x.shape, x.shape))
        emit("Penalty", x, self.l1, self.l2, self.out, dx)
        if dx is not None:
            emit.finish(x, dx)

    def backward(self, emit: Emission) -> None:
        """The gradient is stored in the forward pass."""
