"""The native steps of one update: norms of gradients where they are clipped, then one pass over each parameter."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from .._native import Buffer
from ..variable import Variable

if TYPE_CHECKING:
    from .._native import Step
    from .base import Optimizer


def update_steps(
    optimizer: Optimizer, kernels: SimpleNamespace, pairs: Sequence[tuple[Variable, Buffer]]
) -> list[Step]:
    """Return the steps of an update of parameters, by their gradients, in the order in which they are to run."""
    every = optimizer.gradient_accumulation_steps or 1
    across = bool(optimizer.global_clipnorm)
    most = optimizer.global_clipnorm or optimizer.clipnorm or 0.0
    shared = Buffer.of(np.zeros(len(pairs))) if across else None
    norms: list[Step] = []
    updates: list[Step] = []
    for i, (variable, gradient) in enumerate(pairs):
        slots = {name: slot.buffer for name, slot in optimizer.slots[variable].items()}
        accumulator, squares = slots.get("gradient_accumulator"), shared
        if most:
            squares = Buffer.of(np.zeros(1)) if shared is None else shared
            place = i if across else 0
            norms.append(kernels.SquaredNorm(gradient, accumulator, squares, place, optimizer.buffer, every))
        update = kernels.ParameterUpdate(
            optimizer.rule,
            variable.buffer,
            gradient,
            [name and slots[name] for name in optimizer.slot_names()],
            optimizer.buffer,
            accumulator=accumulator,
            steps=every,
            squares=squares,
            most=most,
            across=across,
            bound=optimizer.clipvalue or 0.0,
            decays=optimizer.decays(variable),
            average=slots.get("average"),
        )
        updates.append(update)
    return norms + updates
