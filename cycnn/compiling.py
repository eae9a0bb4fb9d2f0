"""What `compile` is told, spread over the outputs of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import losses, metrics, validation
from .meter import Objective
from .validation import message, received


def spread(name: str, value: Any, names: list[str], single: tuple[type, ...]) -> list[Any]:
    """Return one value for each output: from a dict by name, from a list, or from one value for all.

    Parameters
    ----------
    name : str
        The argument, for error messages.
    value : object
    names : list of str
        Of the outputs.
    single : tuple of type
        What a value for one output is.
    """
    if value is None or isinstance(value, single):
        return [value] * len(names)
    if isinstance(value, Mapping):
        for key in value:
            if key not in names:
                rule = f"have only outputs as keys: {', '.join(map(repr, names))}"
                raise ValueError(message("compile", name, rule, received("key", key)))
        return [value.get(key) for key in names]
    if isinstance(value, (list, tuple)):
        if len(value) != len(names):
            rule = f"have {len(names)} items, one for each output"
            raise ValueError(message("compile", name, rule, received(f"len({name})", len(value))))
        return list(value)
    return [value] * len(names)


def objectives(loss: Any, loss_weights: Any, names: list[str]) -> list[Objective]:
    """Return the losses of the outputs that have one."""
    chosen = spread("loss", loss, names, (str, losses.Loss))
    weights = spread("loss_weights", loss_weights, names, (int, float))
    found = []
    for output, (each, weight) in enumerate(zip(chosen, weights, strict=True)):
        if each is not None:
            number = 1.0 if weight is None else validation.number("compile", "loss_weights", weight, 0)
            found.append(Objective(losses.get(each, owner="compile", name="loss"), number, output))
    return found


def chosen_metrics(plain: Any, weighted: Any, names: list[str], goals: list[Objective]) -> list[tuple[int, Any, bool]]:
    """Return (output, metric, whether weights count) for each metric of each output."""
    found: list[tuple[int, Any, bool]] = []
    trained = {objective.output for objective in goals}
    for argument, value, counts in (("metrics", plain, False), ("weighted_metrics", weighted, True)):
        lists = [value] if len(names) == 1 and not isinstance(value, Mapping) else spread(argument, value, names, ())
        if len(names) == 1 and isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], list):
            lists = list(value)
        for output, each in enumerate(lists):
            single = (isinstance(each, str) or callable(each)) and len(names) > 1
            identifiers = metrics.check("compile", [each] if single else each)
            if identifiers and output not in trained:
                rule = "be of outputs that have a loss"
                raise ValueError(message("compile", argument, rule, received("output", names[output])))
            found += [(output, identifier, counts) for identifier in identifiers]
    return found
