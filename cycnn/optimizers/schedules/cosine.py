"""Learning rates along a cosine."""

from __future__ import annotations

import math

from .base import LearningRateSchedule


class CosineDecay(LearningRateSchedule):
    """Half a wave of the cosine, behind a straight line up if wanted.

    ``initial_learning_rate * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)``, where step is at most
    `decay_steps`. With `warmup_target` the rate first grows to it, in `warmup_steps` steps, and decays from it.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
        More than 0.
    alpha : float
        Share of the rate that is left, 0 by default.
    name : str
        Kept for the configuration.
    warmup_target : float, optional
    warmup_steps : float
        0 by default.

    References
    ----------
    Loshchilov, Hutter: SGDR: stochastic gradient descent with warm restarts. ICLR 2017.

    Examples
    --------
    >>> schedule = CosineDecay(0.0, decay_steps=1000, warmup_target=0.1, warmup_steps=100)
    >>> schedule(50), schedule(100), schedule(1100)
    (0.05, 0.1, 0.0)
    """

    arguments = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate = self._number("initial_learning_rate", initial_learning_rate, 0)
        self.decay_steps = self._number("decay_steps", decay_steps, 0, above=True)
        self.alpha = self._number("alpha", alpha, 0)
        self.name = self._label(name)
        self.warmup_target = None if warmup_target is None else self._number("warmup_target", warmup_target, 0)
        self.warmup_steps = self._number("warmup_steps", warmup_steps, 0)

    def __call__(self, step: int) -> float:
        top, begun = self.initial_learning_rate, float(step)
        if self.warmup_target is not None:
            top, begun = self.warmup_target, step - self.warmup_steps
            if begun < 0:
                return (top - self.initial_learning_rate) * (step / self.warmup_steps) + self.initial_learning_rate
        wave = _half_wave(min(begun / self.decay_steps, 1))
        return top * ((1 - self.alpha) * wave + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Half waves of the cosine, one behind the other, each longer and lower than the one before.

    In wave i, of ``first_decay_steps * t_mul**i`` steps, at the share p of them, the rate is
    ``initial_learning_rate * ((1 - alpha) * m_mul**i * (1 + cos(pi * p)) / 2 + alpha)``.

    Parameters
    ----------
    initial_learning_rate : float
    first_decay_steps : float
        Length of the first wave, more than 0.
    t_mul : float
        How much longer each wave is than the last, at least 1; 2 by default.
    m_mul : float
        How high it is beside the last, 1 by default.
    alpha : float
        Share of the rate that is left, 0 by default.
    name : str
        Kept for the configuration.

    References
    ----------
    Loshchilov, Hutter: SGDR: stochastic gradient descent with warm restarts. ICLR 2017.

    Examples
    --------
    >>> schedule = CosineDecayRestarts(0.1, first_decay_steps=10)
    >>> schedule(0), schedule(10), schedule(20)
    (0.1, 0.1, 0.05)
    """

    arguments = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = self._number("initial_learning_rate", initial_learning_rate, 0)
        self.first_decay_steps = self._number("first_decay_steps", first_decay_steps, 0, above=True)
        self.t_mul = self._number("t_mul", t_mul, 1)
        self.m_mul = self._number("m_mul", m_mul, 0)
        self.alpha = self._number("alpha", alpha, 0)
        self.name = self._label(name)

    def __call__(self, step: int) -> float:
        wave, share = self._place(step / self.first_decay_steps)
        return self.initial_learning_rate * ((1 - self.alpha) * self.m_mul**wave * _half_wave(share) + self.alpha)

    def _place(self, length: float) -> tuple[int, float]:
        """Return the number of the wave, and the share of it, after so many lengths of the first wave."""
        factor = self.t_mul
        if factor == 1:
            wave = math.floor(length)
            return wave, length - wave

        def start(wave: int) -> float:
            return (factor**wave - 1) / (factor - 1)

        wave = math.floor(math.log(1 + length * (factor - 1)) / math.log(factor))
        # A logarithm may round to either side of a whole number.
        wave += (start(wave + 1) <= length) - (start(wave) > length)
        return wave, (length - start(wave)) / factor**wave


def _half_wave(share: float) -> float:
    """Return the cosine's way from 1 to 0, for 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * share))
