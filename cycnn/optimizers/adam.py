"""Adam and its relatives: means of the gradients and of their sizes, corrected for the zeros they start from."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Unpack

from ..validation import message, received
from .base import Optimizer
from .settings import Common, flag, number


class Adam(Optimizer):
    """Gradient descent with a step size of its own for each number of each parameter.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        0.001 by default.
    beta_1, beta_2 : float
        Decay of the means of the gradients and of their squares, 0.9 and 0.999 by default.
    epsilon : float
        Added to the denominator, 1e-7 by default.
    amsgrad : bool
        Whether to divide by the largest mean of squares so far, False by default.
    **common
        As of all optimizers: see `Optimizer`.

    Notes
    -----
    With ``m = beta_1 * m + (1 - beta_1) * g`` and ``v = beta_2 * v + (1 - beta_2) * g**2``, step t
    is ``w -= learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)``.

    References
    ----------
    Kingma, Ba: Adam: a method for stochastic optimization. ICLR 2015.
    Reddi, Kale, Kumar: On the convergence of Adam and beyond. ICLR 2018.

    Examples
    --------
    >>> Adam(3e-4).learning_rate
    0.0003
    """

    arguments: ClassVar[tuple[str, ...]] = ("learning_rate", "beta_1", "beta_2", "epsilon", "amsgrad")
    rule = "adam"
    beta_1 = number(0, 1, below=True)
    beta_2 = number(0, 1, below=True)
    epsilon = number()
    amsgrad = flag(fixed=True)

    def __init__(
        self,
        learning_rate: object = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def slot_names(self) -> tuple[str | None, ...]:
        return ("momentum", "velocity", "velocity_hat" if self.amsgrad else None)

    def values(self, rate: float, t: int) -> tuple[float, ...]:
        correction = math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        return rate * correction, self.beta_1, self.beta_2, self.epsilon


class AdamW(Adam):
    """Adam with weight decay, which is not part of the gradient.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        0.001 by default.
    weight_decay : float
        ``w -= weight_decay * learning_rate * w`` goes before each step, 0.004 by default.
    beta_1, beta_2, epsilon, amsgrad
        As of `Adam`.
    **common
        As of all optimizers: see `Optimizer`.

    References
    ----------
    Loshchilov, Hutter: Decoupled weight decay regularization. ICLR 2019.

    Examples
    --------
    >>> optimizer = AdamW(weight_decay=0.01)
    >>> optimizer.exclude_from_weight_decay(var_names=["bias"])
    """

    arguments = ("learning_rate", "weight_decay", "beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate: object = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Any,
    ) -> None:
        if weight_decay is None:
            what = received("weight_decay", weight_decay)
            raise TypeError(message("AdamW", "weight_decay", "be a finite number of at least 0", what))
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **common)


class Adamax(Optimizer):
    """Adam with the largest of the faded gradients in place of the root of their mean square.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        0.001 by default.
    beta_1, beta_2 : float
        Decay of the mean of the gradients and of their largest size, 0.9 and 0.999 by default.
    epsilon : float
        Added to the denominator, 1e-7 by default.
    **common
        As of all optimizers: see `Optimizer`.

    Notes
    -----
    With ``m = beta_1 * m + (1 - beta_1) * g`` and ``u = max(beta_2 * u, abs(g))``, step t is
    ``w -= learning_rate / (1 - beta_1**t) * m / (u + epsilon)``.

    References
    ----------
    Kingma, Ba: Adam: a method for stochastic optimization, section 7.1. ICLR 2015.

    Examples
    --------
    >>> Adamax(0.002).beta_2
    0.999
    """

    arguments = ("learning_rate", "beta_1", "beta_2", "epsilon")
    rule = "adamax"
    beta_1 = number(0, 1, below=True)
    beta_2 = number(0, 1)
    epsilon = number()

    def __init__(
        self,
        learning_rate: object = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def slot_names(self) -> tuple[str | None, ...]:
        return "momentum", "norm"

    def values(self, rate: float, t: int) -> tuple[float, ...]:
        return rate / (1 - self.beta_1**t), self.beta_1, self.beta_2, self.epsilon


class Nadam(Optimizer):
    """Adam with Nesterov's momentum.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        0.001 by default.
    beta_1, beta_2 : float
        Decay of the means of the gradients and of their squares, 0.9 and 0.999 by default.
    epsilon : float
        Added to the denominator, 1e-7 by default.
    **common
        As of all optimizers: see `Optimizer`.

    Notes
    -----
    With m and v as of `Adam`, ``u(t) = beta_1 * (1 - 0.5 * 0.96**t)`` and p(t) the product of
    u(1), ..., u(t), step t is ``w -= learning_rate * n / (sqrt(v / (1 - beta_2**t)) + epsilon)``
    where ``n = u(t+1) * m / (1 - p(t+1)) + (1 - u(t)) * g / (1 - p(t))``.

    References
    ----------
    Dozat: Incorporating Nesterov momentum into Adam. ICLR 2016 workshop.

    Examples
    --------
    >>> Nadam().learning_rate
    0.001
    """

    arguments = ("learning_rate", "beta_1", "beta_2", "epsilon")
    rule = "nadam"
    scalars = ("u_product",)
    beta_1 = number(0, 1, below=True)
    beta_2 = number(0, 1, below=True)
    epsilon = number()

    def __init__(
        self,
        learning_rate: object = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.u_product = 1.0

    def slot_names(self) -> tuple[str | None, ...]:
        return "momentum", "velocity"

    def values(self, rate: float, t: int) -> tuple[float, ...]:
        now, later = (self.beta_1 * (1 - 0.5 * 0.96**step) for step in (t, t + 1))
        self.u_product *= now
        alpha = rate * later / (1 - self.u_product * later)
        alpha_g = rate * (1 - now) / (1 - self.u_product)
        return alpha, alpha_g, 1 / (1 - self.beta_2**t), self.beta_1, self.beta_2, self.epsilon
