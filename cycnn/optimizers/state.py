"""All that training changes in an optimizer, as arrays by name: to be saved, and to be restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..validation import message

if TYPE_CHECKING:
    from .base import Optimizer


def get_state(optimizer: Optimizer) -> dict[str, NDArray[Any]]:
    """Return the number of steps, the learning rate if it is a number, and copies of what is remembered, by path."""
    state: dict[str, NDArray[Any]] = {"iteration": np.array(optimizer.steps, np.int64)}
    if optimizer.constant_rate:
        state["learning_rate"] = np.array(optimizer.learning_rate)
    state |= {name: np.array(getattr(optimizer, name)) for name in optimizer.scalars}
    return state | {slot.path: slot.numpy() for slot in optimizer.variables}


def set_state(optimizer: Optimizer, state: Mapping[str, NDArray[Any]]) -> None:
    """Restore what `get_state` returned, after all of it has been checked."""
    owner = type(optimizer).__name__
    present = get_state(optimizer)
    if state.keys() != present.keys():
        differing = sorted(state.keys() ^ present.keys())
        rule = "have the keys that get_state has, once the optimizer is built"
        what = f"missing or unknown keys {', '.join(differing[:4])}{', ...' if len(differing) > 4 else ''}"
        raise ValueError(message(owner, "state", rule, what))
    for name, array in present.items():
        given = np.asarray(state[name])
        if (given.shape, given.dtype) != (array.shape, array.dtype):
            rule = f"have the shape {array.shape} and the dtype {array.dtype}"
            what = f"the shape {given.shape} and the dtype {given.dtype}"
            raise ValueError(message(owner, f"state[{name!r}]", rule, what))
    optimizer.steps = int(state["iteration"])
    if "learning_rate" in state:
        optimizer.learning_rate = float(state["learning_rate"])
    for name in optimizer.scalars:
        setattr(optimizer, name, float(state[name]))
    for slot in optimizer.variables:
        slot.assign(state[slot.path])
