"""The losses and metrics of the rows that an epoch has seen so far."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import metrics

if TYPE_CHECKING:
    from .batches.adapters import Batch
    from .losses import Loss
    from .metrics import Metric
    from .program import Lowered


class Objective(NamedTuple):
    """A loss, its weight in the sum of all, and the place of its output."""

    loss: Loss
    weight: float
    output: int


class Watched(NamedTuple):
    """A metric of one output, and whether the weights of rows count for it."""

    metric: Metric
    objective: int  # place among the losses, whose targets it sees
    output: int
    weighted: bool
    name: str


class Meter:
    """The mean losses and the metrics of the rows seen so far.

    Parameters
    ----------
    objectives : list of Objective
    chosen : list of (output, identifier, weighted)
        The metrics of `compile`.
    names : list of str
        Of the outputs.
    """

    def __init__(
        self, objectives: list[Objective], chosen: list[tuple[int, str | Metric, bool]], names: list[str]
    ) -> None:
        self.objectives, self.names = objectives, names
        self._chosen = chosen
        self._places = {objective.output: i for i, objective in enumerate(objectives)}
        self.watched: list[Watched] = []

    def resolve(self, y_shapes: list[Any], output_shapes: list[Any]) -> None:
        """Choose the metrics that names stand for, and start anew; raise ValueError if targets do not fit."""
        for output, identifier, weighted in self._chosen:
            place = self._places[output]
            metric = metrics.resolve(identifier, y_shapes[place], output_shapes[output])
            metric.target_shape(y_shapes[place], output_shapes[output])
            name = self._free_name(metric.name, "" if len(self.names) == 1 else f"{self.names[output]}_", weighted)
            self.watched.append(Watched(metric, place, output, weighted, name))
        self.reset()

    def _free_name(self, name: str, prefix: str, weighted: bool) -> str:
        """Return what the logs call a metric: Keras's names, where several have the same."""
        taken = {each.name for each in self.watched}
        if weighted and f"{prefix}{name}" in taken:
            name = f"weighted_{name}"
        numbered = (f"{prefix}{name}_{i}" for i in itertools.count(1))
        return f"{prefix}{name}" if f"{prefix}{name}" not in taken else next(n for n in numbered if n not in taken)

    def reset(self) -> None:
        """Start anew."""
        self._total, self._rows = 0.0, 0
        self._sums, self._counts = [0.0] * len(self.objectives), [0] * len(self.objectives)
        for each in self.watched:
            each.metric.reset_state()

    def update(self, batch: Batch, lowered: Lowered) -> None:
        """Take the results of a batch into account."""
        assert batch.y is not None
        rows = len(batch.x[0])
        sums = lowered.sums()
        self._total += rows * lowered.total(sums)
        self._rows += rows
        for i, losses in enumerate(lowered.losses):
            self._sums[i] += sums[i]
            self._counts[i] += losses.size
        for metric, place, output, weighted, _ in self.watched:
            weights = batch.weight[place] if weighted and batch.weight else None
            if weights is None:
                metric.update_state(batch.y[place], lowered.outputs[output])
            else:
                metric.update_state(batch.y[place], lowered.outputs[output], sample_weight=weights)

    def logs(self, prefix: str = "") -> dict[str, float]:
        """Return the means by name."""
        logs = {f"{prefix}loss": self._total / max(self._rows, 1)}
        if len(self.names) > 1:
            for objective, total, count in zip(self.objectives, self._sums, self._counts, strict=True):
                logs[f"{prefix}{self.names[objective.output]}_loss"] = total / max(count, 1)
        return logs | {f"{prefix}{each.name}": each.metric.result() for each in self.watched}

    def get_state(self) -> dict[str, Any]:
        """Return the sums so far, for `set_state`."""
        plain = (int, float, np.ndarray)
        states = [
            {name: value for name, value in vars(each.metric).items() if isinstance(value, plain)}
            for each in self.watched
        ]
        return {"total": self._total, "rows": self._rows, "sums": self._sums, "counts": self._counts, "metrics": states}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from where `get_state` was called."""
        self._total, self._rows = state["total"], state["rows"]
        self._sums, self._counts = list(state["sums"]), list(state["counts"])
        for each, values in zip(self.watched, state["metrics"], strict=True):
            vars(each.metric).update(values)
