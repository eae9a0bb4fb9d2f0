"""How inputs and outputs are given and named: one tensor, a list or a dict; and what their data must look like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from ..layers.base import Layer
from ..layers.core import InputLayer
from ..shapes import Shape
from ..tensor import Call, Tensor
from ..validation import message, received

Form: TypeAlias = Any  # how the tensors of a list were given: None for one alone, "list", or the keys of a dict


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return `name`, numbered if it is taken."""
    taken = set(taken)
    candidates = (name, *(f"{name}_{i}" for i in range(1, len(taken) + 1)))
    return next(candidate for candidate in candidates if candidate not in taken)


def check_rows(expected: Shape, shape: Shape, owner: str, name: str) -> None:
    """Raise ValueError if the rows of an array of some shape do not have the expected one."""
    if shape[1:] == expected:
        return
    remedy = ""
    if shape == expected:
        remedy = f"Add an axis for a batch of one with {name}[np.newaxis]."
    elif shape[1:] == expected[:-1] and expected[-1] == 1:
        remedy = f"Add an axis of one channel with {name}[..., np.newaxis]."
    rule = f"have the shape ({', '.join(map(str, ('batch', *expected)))})"
    raise ValueError(message(owner, name, rule, received(f"{name}.shape", shape), remedy))


def tensors_of(name: str, value: Any) -> tuple[list[Tensor], Form]:
    """Return what was given as inputs or outputs as a list, and its form."""
    form: Form = None
    if isinstance(value, dict):
        form, value = tuple(value), list(value.values())
    elif isinstance(value, (list, tuple)):
        form, value = "list", list(value)
    else:
        value = [value]
    if not value or not all(isinstance(tensor, Tensor) for tensor in value):
        rule = "be a symbolic tensor, or a list or dict of them"
        raise TypeError(message("Model", name, rule, received(name, value), "Begin with x = Input(shape)."))
    return value, form


def formed(items: list[Any], form: Form) -> Any:
    """Return a list of things in the form in which they were given."""
    if form is None:
        return items[0]
    return list(items) if form == "list" else dict(zip(form, items, strict=True))


def cut(inputs: list[Tensor], outputs: list[Tensor], calls: list[Call]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs and outputs of the same layers, drawn anew from inputs of their own."""
    new = {id(tensor): InputLayer(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name).draw() for tensor in inputs}
    for call in calls:
        if call.inputs:
            arguments = [new[id(tensor)] for tensor in call.inputs]
            results = call.layer(arguments if call.nested else arguments[0])
            made = results if isinstance(results, list) else [results]
            new |= {id(old): tensor for old, tensor in zip(call.outputs, made, strict=True)}
    return [new[id(tensor)] for tensor in inputs], [new[id(tensor)] for tensor in outputs]


def takes_integers(layer: Layer) -> bool:
    flags = layer.takes_integers
    return all(flags) if isinstance(flags, list) else flags
