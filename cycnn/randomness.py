"""The process-wide random generator.

Initial weights, the order of shuffled samples and the seeds of dropout layers are drawn from it, in
the order in which they are asked for, so a seed fixes them all. The bits of dropout themselves come
from counters, not from here.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from . import validation

if TYPE_CHECKING:
    from numpy.random import Generator

_generator: Generator | None = None


def default_rng() -> Generator:
    """Return the process-wide generator; until a seed is set, the operating system seeds it."""
    global _generator
    if _generator is None:
        _generator = np.random.default_rng()
    return _generator


def set_random_seed(seed: int) -> None:
    """Make everything random that follows repeatable.

    Seeds the generator that draws initial weights, the order of samples and the seeds of dropout
    layers. As in Keras, Python's `random` and NumPy's global generator are seeded too, for scripts
    that draw their data from those.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1. NumPy's global generator takes 32 bits of it.

    Raises
    ------
    TypeError, ValueError
        If `seed` is not such an int.

    Examples
    --------
    >>> import cycnn
    >>> cycnn.utils.set_random_seed(812)
    """
    global _generator
    value = validation.seed("set_random_seed", seed)
    if value is None:
        rule, what = "be a non-negative int less than 2**64", validation.received("seed", seed)
        raise TypeError(validation.message("set_random_seed", "seed", rule, what))
    random.seed(value)
    np.random.seed(value % 2**32)
    _generator = np.random.default_rng(value)
