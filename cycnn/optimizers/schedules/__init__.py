"""Learning rates as functions of the number of steps taken: Keras's schedules.

A schedule takes the place of the learning rate of an optimizer, which calls it before each step with the number of
steps taken before, 0 at first. Everything is computed in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import identifiers
from .base import LearningRateSchedule
from .cosine import CosineDecay, CosineDecayRestarts
from .decay import ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]

_BY_NAME: dict[str, type[LearningRateSchedule]] = {
    cls.__name__: cls
    for cls in (
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
    )
}


def serialize(learning_rate_schedule: object) -> dict[str, Any]:
    """Return the class and the arguments of a schedule as plain JSON values, for `deserialize`.

    Examples
    --------
    >>> serialize(ExponentialDecay(0.1, 100, 0.9))["class_name"]
    'ExponentialDecay'
    """
    owner, name = "schedules.serialize", "learning_rate_schedule"
    return identifiers.serialized(owner, name, learning_rate_schedule, LearningRateSchedule, "a LearningRateSchedule")


def deserialize(
    config: dict[str, Any], custom_objects: Mapping[str, type[LearningRateSchedule]] | None = None
) -> LearningRateSchedule:
    """Return the schedule that `serialize` described; `custom_objects` are further classes by name.

    Examples
    --------
    >>> deserialize(serialize(CosineDecay(0.1, 100)))(0)
    0.1
    """
    owner, name, what = "schedules.deserialize", "config", "a schedule"
    with identifiers.custom_objects(custom_objects):
        return identifiers.resolve(config, LearningRateSchedule, _BY_NAME, owner=owner, name=name, what=what)
