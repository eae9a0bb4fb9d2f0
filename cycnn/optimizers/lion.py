"""Steps of one size, of which only the sign is learned."""

from __future__ import annotations

from typing import Unpack

from .base import Optimizer
from .settings import Common, number


class Lion(Optimizer):
    """Steps of the size of the learning rate, in the direction of the sign of a mean gradient.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        0.001 by default.
    beta_1 : float
        Share of the mean in the gradient whose sign counts, more than 0; 0.9 by default.
    beta_2 : float
        Decay of the mean, 0.99 by default.
    **common
        As of all optimizers: see `Optimizer`.

    Notes
    -----
    ``w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g)``, then
    ``m = beta_2 * m + (1 - beta_2) * g``.

    References
    ----------
    Chen et al.: Symbolic discovery of optimization algorithms. NeurIPS 2023.

    Examples
    --------
    >>> Lion(1e-4, weight_decay=0.1).weight_decay
    0.1
    """

    arguments = ("learning_rate", "beta_1", "beta_2")
    rule = "lion"
    beta_1 = number(0, 1, above=True)
    beta_2 = number(0, 1)

    def __init__(
        self, learning_rate: object = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **common: Unpack[Common]
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def slot_names(self) -> tuple[str | None, ...]:
        return ("momentum",)

    def values(self, rate: float, t: int) -> tuple[float, ...]:
        return rate, self.beta_1, self.beta_2
