"""How gradients change parameters: optimizers by Keras's names, as objects or by name.

An optimizer lowers to one step per parameter. What these steps need to know before each run, such
as the learning rate, stands in one small array that `begin_step` fills.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from . import validation
from ._native import Buffer
from .validation import message, received
from .variable import Variable

if TYPE_CHECKING:
    from ._native import Step


class Optimizer:
    """Base of all optimizers.

    Parameters
    ----------
    learning_rate : float
        May be set between steps too.

    Attributes
    ----------
    iterations : int
        Number of steps taken.
    """

    arguments: ClassVar[tuple[str, ...]] = ("learning_rate",)

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.iterations = 0
        self._hyper = np.zeros(4)
        self._buffer = Buffer.of(self._hyper)
        self._slots: dict[Variable, tuple[Variable, ...]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_buffer"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._buffer = Buffer.of(self._hyper)

    @property
    def learning_rate(self) -> float:
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        owner = type(self).__name__
        self._learning_rate = validation.number(owner, "learning_rate", value, 0)

    @property
    def variables(self) -> list[Variable]:
        """What the optimizer remembers of each parameter."""
        return [slot for slots in self._slots.values() for slot in slots]

    def build(self, variables: list[Variable]) -> None:
        """Make what is to be remembered of the parameters that it is not remembered of yet."""
        for variable in variables:
            if variable not in self._slots:
                self._slots[variable] = tuple(
                    Variable(np.zeros_like(variable.value), name, f"{variable.path}/{name}")
                    for name in self._slot_names()
                )

    def begin_step(self) -> None:
        """Count a step, and set what its update steps are about to read."""
        self.iterations += 1
        values = self._values()
        self._hyper[: len(values)] = values

    def update_step(self, kernels: SimpleNamespace, variable: Variable, gradient: Buffer) -> Step:
        """Return the step that updates one parameter."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        return {name: getattr(self, name) for name in self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the optimizer that `get_config` described, without its memory."""
        return cls(**config)

    def _slot_names(self) -> tuple[str, ...]:
        raise NotImplementedError

    def _values(self) -> tuple[float, ...]:
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    Parameters
    ----------
    learning_rate : float
        0.01 by default.
    momentum : float
        Share of the last step that is taken again, 0 by default.
    nesterov : bool
        Whether to use Nesterov's momentum, False by default.

    Notes
    -----
    Without momentum ``p -= learning_rate * g``. With it ``v = momentum * v - learning_rate * g``,
    then ``p += v``, or with `nesterov` ``p += momentum * v - learning_rate * g``.

    Examples
    --------
    >>> SGD(0.1, momentum=0.9).get_config()
    {'learning_rate': 0.1, 'momentum': 0.9, 'nesterov': False}
    """

    arguments = ("learning_rate", "momentum", "nesterov")

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False) -> None:
        super().__init__(learning_rate)
        self.momentum = validation.number("SGD", "momentum", momentum, 0, 1)
        self.nesterov = validation.boolean("SGD", "nesterov", nesterov)

    def update_step(self, kernels: SimpleNamespace, variable: Variable, gradient: Buffer) -> Step:
        velocity = self._slots[variable][0].buffer if self.momentum else None
        step: Step = kernels.SGDUpdate(variable.buffer, gradient, velocity, self._buffer, self.nesterov)
        return step

    def _slot_names(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def _values(self) -> tuple[float, ...]:
        return self.learning_rate, self.momentum


class Adam(Optimizer):
    """Gradient descent with a step size of its own for each number of each parameter.

    Parameters
    ----------
    learning_rate : float
        0.001 by default.
    beta_1, beta_2 : float
        Decay of the means of the gradients and of their squares, 0.9 and 0.999 by default.
    epsilon : float
        Added to the denominator, 1e-7 by default.

    Notes
    -----
    With ``m = beta_1 * m + (1 - beta_1) * g`` and ``v = beta_2 * v + (1 - beta_2) * g**2``, step t
    is ``p -= learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)``.

    References
    ----------
    Kingma, Ba: Adam: a method for stochastic optimization. ICLR 2015.

    Examples
    --------
    >>> Adam(3e-4).learning_rate
    0.0003
    """

    arguments = ("learning_rate", "beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        super().__init__(learning_rate)
        self.beta_1 = validation.number("Adam", "beta_1", beta_1, 0, 1, below=True)
        self.beta_2 = validation.number("Adam", "beta_2", beta_2, 0, 1, below=True)
        self.epsilon = validation.number("Adam", "epsilon", epsilon, 0)

    def update_step(self, kernels: SimpleNamespace, variable: Variable, gradient: Buffer) -> Step:
        m, v = self._slots[variable]
        step: Step = kernels.AdamUpdate(variable.buffer, gradient, m.buffer, v.buffer, self._buffer)
        return step

    def _slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity")

    def _values(self) -> tuple[float, ...]:
        t = self.iterations
        correction = math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        return self.learning_rate * correction, self.beta_1, self.beta_2, self.epsilon


_BY_NAME: dict[str, type[SGD] | type[Adam]] = {"adam": Adam, "sgd": SGD}


def get(identifier: object, *, owner: str = "optimizers.get", name: str = "identifier") -> Optimizer:
    """Return the optimizer that `identifier` stands for.

    Parameters
    ----------
    identifier : str or Optimizer
        "adam" or "sgd", or an optimizer.
    owner, name : str
        What an error message names.

    Examples
    --------
    >>> get("sgd").learning_rate
    0.01
    """
    if isinstance(identifier, str):
        if identifier.lower() not in _BY_NAME:
            rule = "be one of " + ", ".join(_BY_NAME)
            raise ValueError(message(owner, name, rule, received(name, identifier)))
        return _BY_NAME[identifier.lower()]()
    if not isinstance(identifier, Optimizer):
        rule = "be the name of an optimizer or an Optimizer"
        raise TypeError(message(owner, name, rule, received(name, identifier)))
    return identifier
