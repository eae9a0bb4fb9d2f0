"""Learning rates that decay by a power, a fraction or a table."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from ... import validation
from ...validation import message, received
from .base import LearningRateSchedule


class _Decay(LearningRateSchedule):
    """A rate that decays with ``p = step / decay_steps``, rounded down if `staircase`."""

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool, name: str
    ) -> None:
        self.initial_learning_rate = self._number("initial_learning_rate", initial_learning_rate, 0)
        self.decay_steps = self._number("decay_steps", decay_steps, 0, above=True)
        self.decay_rate = self._number("decay_rate", decay_rate, 0)
        self.staircase = validation.boolean(self.owner, "staircase", staircase)
        self.name = self._label(name)

    def _periods(self, step: int) -> float:
        periods = step / self.decay_steps
        return math.floor(periods) if self.staircase else periods


class ExponentialDecay(_Decay):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
        More than 0.
    decay_rate : float
    staircase : bool
        Whether the exponent is rounded down, False by default.
    name : str
        Kept for the configuration.

    Examples
    --------
    >>> ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: int) -> float:
        return float(self.initial_learning_rate * self.decay_rate ** self._periods(step))


class InverseTimeDecay(_Decay):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
        More than 0.
    decay_rate : float
    staircase : bool
        Whether ``step / decay_steps`` is rounded down, False by default.
    name : str
        Kept for the configuration.

    Examples
    --------
    >>> InverseTimeDecay(0.1, decay_steps=1, decay_rate=0.5)(6)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate / (1 + self.decay_rate * self._periods(step))


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[i]`` after `boundaries[i - 1]` and up to `boundaries[i]`, which belongs to it.

    Parameters
    ----------
    boundaries : list of int
        Increasing numbers of steps.
    values : list of float
        One more than boundaries.
    name : str
        Kept for the configuration.

    Examples
    --------
    >>> schedule = PiecewiseConstantDecay([100, 200], [0.1, 0.05, 0.01])
    >>> schedule(100), schedule(101), schedule(201)
    (0.1, 0.05, 0.01)
    """

    arguments = ("boundaries", "values", "name")

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        owner = self.owner
        for argument, value in (("boundaries", boundaries), ("values", values)):
            if not isinstance(value, (list, tuple)):
                raise TypeError(message(owner, argument, "be a list of numbers", received(argument, value)))
        if len(values) != len(boundaries) + 1:
            what = f"{received('len(values)', len(values))}, {received('len(boundaries)', len(boundaries))}"
            raise ValueError(message(owner, "values", "have one number more than `boundaries`", what))
        for boundary in boundaries:
            self._number("boundaries", boundary)
        if sorted(set(boundaries)) != list(boundaries):
            raise ValueError(message(owner, "boundaries", "be increasing", received("boundaries", boundaries)))
        self.boundaries = list(boundaries)
        self.values = [self._number("values", value, 0) for value in values]
        self.name = self._label(name)

    def __call__(self, step: int) -> float:
        return self.values[bisect_left(self.boundaries, step)]


class PolynomialDecay(LearningRateSchedule):
    """A power of what is left of the steps, from one rate to another.

    ``(initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ** power + end_learning_rate``, where step
    is at most `decay_steps`; or with `cycle`, decay_steps is the next multiple of itself.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
        More than 0.
    end_learning_rate : float
        0.0001 by default.
    power : float
        1 by default: a straight line.
    cycle : bool
        Whether to start anew, from ever less, after `decay_steps`; False by default.
    name : str
        Kept for the configuration.

    Examples
    --------
    >>> PolynomialDecay(0.1, decay_steps=100, end_learning_rate=0.0)(50)
    0.05
    """

    arguments = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = self._number("initial_learning_rate", initial_learning_rate, 0)
        self.decay_steps = self._number("decay_steps", decay_steps, 0, above=True)
        self.end_learning_rate = self._number("end_learning_rate", end_learning_rate, 0)
        self.power = self._number("power", power, 0)
        self.cycle = validation.boolean("PolynomialDecay", "cycle", cycle)
        self.name = self._label(name)

    def __call__(self, step: int) -> float:
        decay_steps = self.decay_steps * (max(math.ceil(step / self.decay_steps), 1) if self.cycle else 1)
        left = max(1 - step / decay_steps, 0.0)
        return float((self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate)
