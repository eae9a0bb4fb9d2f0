"""Gradient descent."""

from __future__ import annotations

from typing import Unpack

from .base import Optimizer
from .settings import Common, flag, number


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        0.01 by default.
    momentum : float
        Share of the last step that is taken again, 0 by default.
    nesterov : bool
        Whether to use Nesterov's momentum, False by default.
    **common
        As of all optimizers: see `Optimizer`.

    Notes
    -----
    Without momentum ``w -= learning_rate * g``. With it ``v = momentum * v - learning_rate * g``,
    then ``w += v``, or with `nesterov` ``w += momentum * v - learning_rate * g``.

    Examples
    --------
    >>> SGD(0.1, momentum=0.9).momentum
    0.9
    """

    arguments = ("learning_rate", "momentum", "nesterov")
    rule = "sgd"
    momentum = number(0, 1, zero=True)
    nesterov = flag()

    def __init__(
        self, learning_rate: object = 0.01, momentum: float = 0.0, nesterov: bool = False, **common: Unpack[Common]
    ) -> None:
        super().__init__(learning_rate, **common)
        self.momentum = momentum
        self.nesterov = nesterov

    def slot_names(self) -> tuple[str | None, ...]:
        return ("momentum",) if self.momentum else ()

    def values(self, rate: float, t: int) -> tuple[float, ...]:
        return rate, self.momentum, self.nesterov
