"""Steps divided by the root of a sum or a mean of squared gradients: Adagrad, Adadelta, RMSprop."""

from __future__ import annotations

from typing import Unpack

from .base import Optimizer
from .settings import Common, flag, number


class Adagrad(Optimizer):
    """Gradient descent with steps that shrink with the sum of the squared gradients so far.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        0.001 by default.
    initial_accumulator_value : float
        What the sums start from, 0.1 by default.
    epsilon : float
        Added under the root, 1e-7 by default.
    **common
        As of all optimizers: see `Optimizer`.

    Notes
    -----
    ``v += g**2``, then ``w -= learning_rate * g / sqrt(v + epsilon)``.

    References
    ----------
    Duchi, Hazan, Singer: Adaptive subgradient methods for online learning and stochastic
    optimization. JMLR 12, 2011.

    Examples
    --------
    >>> Adagrad(0.1).initial_accumulator_value
    0.1
    """

    arguments = ("learning_rate", "initial_accumulator_value", "epsilon")
    rule = "adagrad"
    initial_accumulator_value = number()
    epsilon = number()

    def __init__(
        self,
        learning_rate: object = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def slot_names(self) -> tuple[str | None, ...]:
        return ("accumulator",)

    def initial_value(self, slot: str) -> float:
        return self.initial_accumulator_value

    def values(self, rate: float, t: int) -> tuple[float, ...]:
        return rate, self.epsilon


class Adadelta(Optimizer):
    """Gradient descent with steps as large as the last ones, divided by the size of the last gradients.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        0.001 by default; 1.0 is that of the paper.
    rho : float
        Decay of the mean squares, 0.95 by default.
    epsilon : float
        Added under the roots, 1e-7 by default.
    **common
        As of all optimizers: see `Optimizer`.

    Notes
    -----
    With ``v = rho * v + (1 - rho) * g**2`` and ``s = g * sqrt(u + epsilon) / sqrt(v + epsilon)``,
    ``u = rho * u + (1 - rho) * s**2`` and ``w -= learning_rate * s``.

    References
    ----------
    Zeiler: ADADELTA: an adaptive learning rate method. 2012.

    Examples
    --------
    >>> Adadelta(1.0).rho
    0.95
    """

    arguments = ("learning_rate", "rho", "epsilon")
    rule = "adadelta"
    rho = number(0, 1)
    epsilon = number()

    def __init__(
        self, learning_rate: object = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **common: Unpack[Common]
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho = rho
        self.epsilon = epsilon

    def slot_names(self) -> tuple[str | None, ...]:
        return "accumulated_grad", "accumulated_delta_var"

    def values(self, rate: float, t: int) -> tuple[float, ...]:
        return rate, self.rho, self.epsilon


class RMSprop(Optimizer):
    """Gradient descent with steps divided by the root of the mean of the last squared gradients.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        0.001 by default.
    rho : float
        Decay of the means, 0.9 by default.
    momentum : float
        Share of the last step that is taken again, 0 by default.
    epsilon : float
        Added under the root, 1e-7 by default.
    centered : bool
        Whether to divide by the estimated deviation from the mean gradient, False by default.
    **common
        As of all optimizers: see `Optimizer`.

    Notes
    -----
    With ``v = rho * v + (1 - rho) * g**2`` the step is ``s = learning_rate * g / sqrt(v + epsilon)``;
    where it is centered, ``v - a**2`` stands for v, with ``a = rho * a + (1 - rho) * g``. Then
    ``w -= s``, or with momentum ``b = momentum * b + s``, ``w -= b``.

    References
    ----------
    Tieleman, Hinton: Lecture 6.5, rmsprop. Coursera: Neural networks for machine learning, 2012.

    Examples
    --------
    >>> RMSprop(momentum=0.9).centered
    False
    """

    arguments = ("learning_rate", "rho", "momentum", "epsilon", "centered")
    rule = "rmsprop"
    rho = number(0, 1)
    momentum = number(zero=True)
    epsilon = number()
    centered = flag(fixed=True)

    def __init__(
        self,
        learning_rate: object = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def slot_names(self) -> tuple[str | None, ...]:
        return "velocity", "momentum" if self.momentum else None, "average_gradient" if self.centered else None

    def values(self, rate: float, t: int) -> tuple[float, ...]:
        return rate, self.rho, self.momentum, self.epsilon
