"""What every schedule is made of: a function of the number of steps, with a configuration."""

from __future__ import annotations

import math
from typing import Any

from ... import validation
from ...identifiers import Configured
from ...validation import message, received


class LearningRateSchedule(Configured):
    """Base of all schedules: a function from the number of steps taken to a learning rate.

    A user's schedule overrides `__call__`, and `get_config` if it is to be saved, which returns the constructor's
    arguments. One that lists them in `arguments`, and stores them under the same names, has that already.

    Examples
    --------
    >>> class Halving(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5 ** (step // 1000)
    >>> Halving()(2500)
    0.025
    """

    def __call__(self, step: int) -> float:
        """Return the learning rate after `step` steps."""
        raise NotImplementedError(f"{self.owner} must override `__call__(self, step)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        if not self.arguments:
            raise NotImplementedError(f"{self.owner} must override `get_config(self)` to be saved.")
        return super().get_config()

    def _number(self, name: str, value: object, low: float = -math.inf, *, above: bool = False) -> float:
        return validation.number(self.owner, name, value, low, above=above)

    def _label(self, value: object) -> str:
        if not isinstance(value, str):
            raise TypeError(message(self.owner, "name", "be a string", received("name", value)))
        return value
