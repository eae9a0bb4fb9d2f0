"""From what users pass as data to lists of arrays: one for each input or output of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import validation
from ..validation import message, received

Arrays = list[NDArray[Any]]

_CPU = 1  # kDLCPU of the DLPack specification


class Batch(NamedTuple):
    """One array for each input, target and weight; None where there are none."""

    x: Arrays
    y: Arrays | None
    weight: Arrays | None


@dataclass(frozen=True)
class Names:
    """Who reads the data, for error messages, and what the model calls its inputs and outputs."""

    owner: str = "fit"
    inputs: Sequence[str] = ("x",)
    outputs: Sequence[str] = ("y",)  # none in prediction


def as_array(owner: str, name: str, value: object) -> NDArray[Any]:
    """Return `value` as an array, without a copy of an array of NumPy or, through DLPack, of another library."""
    if isinstance(value, np.ndarray):
        return value
    if not hasattr(value, "__dlpack_device__"):
        return validation.any_array(owner, name, value)
    what = f"{name} of type {type(value).__name__}"
    try:
        device = value.__dlpack_device__()[0]
        if device == _CPU:
            try:
                return np.from_dlpack(value)  # type: ignore[arg-type]
            except (BufferError, TypeError):  # a type that DLPack cannot describe, and __array__ perhaps can
                return np.asarray(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        remedy = f"NumPy cannot read it: {str(error).rstrip('.')}."
        raise TypeError(message(owner, name, "be an array of numbers", what, remedy)) from error
    remedy = f"Copy it to the CPU first, as {name}.cpu() of PyTorch does."
    raise ValueError(message(owner, name, "be in the memory of the CPU", f"{what} on another device", remedy))


def columns(owner: str, name: str, value: object, names: Sequence[str]) -> Arrays:
    """Return one array for each of the inputs or outputs `names`.

    Parameters
    ----------
    owner, name : str
        What an error message names: the method and its argument.
    value : object
        An array; a list of them, if there are several names or the list is of one; a dict with the names as keys,
        which may have others too.
    names : sequence of str
        What the model calls its inputs or outputs.
    """
    if isinstance(value, Mapping):
        if not all(key in value for key in names):
            rule = f"have the keys {', '.join(map(repr, names))}"
            raise ValueError(message(owner, name, rule, received(f"{name}.keys()", list(value))))
        return [as_array(owner, f"{name}[{key!r}]", value[key]) for key in names]
    if isinstance(value, (list, tuple)):
        # A list of one row is a list of numbers or of lists; of one array, it is Keras's list of all inputs.
        if len(names) == len(value) == 1 and getattr(value[0], "ndim", 0) > 0:
            return [as_array(owner, f"{name}[0]", value[0])]
        if len(names) == len(value) > 1:
            return [as_array(owner, f"{name}[{i}]", part) for i, part in enumerate(value)]
    if len(names) == 1:
        return [as_array(owner, name, value)]
    rule = f"be a list of {len(names)} arrays, or a dict with the keys {', '.join(map(repr, names))}"
    if isinstance(value, (list, tuple)):
        raise ValueError(message(owner, name, rule, received(f"len({name})", len(value))))
    raise TypeError(message(owner, name, rule, f"{name} of type {type(value).__name__}"))


def weight_columns(owner: str, name: str, value: object, names: Sequence[str]) -> Arrays:
    """Return weights likewise; one array stands for the weights of every output."""
    if isinstance(value, (list, tuple, Mapping)) or len(names) == 1:
        return columns(owner, name, value, names)
    return [as_array(owner, name, value)] * len(names)


def same_rows(owner: str, groups: Mapping[str, Arrays | None]) -> int:
    """Return the number of rows of all arrays, which are given by argument; the first array's counts."""
    rows, first = None, ""
    for name, arrays in groups.items():
        for i, array in enumerate(arrays or []):
            label = name if len(arrays or []) == 1 else f"{name}[{i}]"
            if array.ndim == 0:
                raise ValueError(message(owner, label, "be an array of rows", received(label, array.item())))
            if rows is None:
                rows, first = len(array), label
            elif len(array) != rows:
                rule = f"have as many rows as `{first}`, {rows}"
                raise ValueError(message(owner, label, rule, received(f"len({label})", len(array))))
    assert rows is not None
    return rows


def unpack(names: Names, batch: object) -> Batch:
    """Return the parts of a batch: x, or a tuple (x,), (x, y) or (x, y, sample_weight).

    Where no outputs are named, as in prediction, targets and weights are left out.
    """
    parts = tuple(batch) if isinstance(batch, (list, tuple)) else (batch,)
    if not 1 <= len(parts) <= 3:
        rule = "give batches (x,), (x, y) or (x, y, sample_weight)"
        raise ValueError(message(names.owner, "x", rule, f"a {type(batch).__name__} of {len(parts)}"))
    x, y, weight = (*(parts if names.outputs else parts[:1]), None, None)[:3]
    split = Batch(
        columns(names.owner, "x", x, names.inputs),
        None if y is None else columns(names.owner, "y", y, names.outputs),
        None if weight is None else weight_columns(names.owner, "sample_weight", weight, names.outputs),
    )
    same_rows(names.owner, {"x": split.x, "y": split.y, "sample_weight": split.weight})
    return split
