"""Checks between a user's data and a model: what comes out fits its programs, or an error says what does not.

Arrays are checked as a whole before any work is done; batches of generators and data sets as they come.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import validation
from ..validation import message, received
from .adapters import Batch, Names, as_array, columns, same_rows, weight_columns
from .sources import ArraySource, LimitedSource, Source
from .streams import stream

if TYPE_CHECKING:
    from ..models import Model

Arrays = list[NDArray[Any]]

# What integers are converted to on their way into a layer that takes them.
_INTEGERS = {
    "uint8": "uint8",
    "int8": "int32",
    "int16": "int32",
    "uint16": "int32",
    "int32": "int32",
    "uint32": "int64",
    "int64": "int64",
}


class Feed:
    """What a method of a model takes as data.

    Parameters
    ----------
    model : Model
    owner : str
        The method, for error messages.
    targets : bool
        Whether it takes targets and weights.
    class_weight : dict of int to float, optional
        Weights of the rows of each class.
    """

    def __init__(self, model: Model, owner: str, targets: bool = True, class_weight: object = None) -> None:
        self.model, self.owner, self.targets = model, owner, targets
        self.class_weight = _class_weight(owner, class_weight) if class_weight is not None else None
        outputs = [model.output_names[objective.output] for objective in model.objectives] if targets else ()
        self.names = Names(owner, tuple(model.input_names), tuple(outputs))
        if self.class_weight is not None and len(outputs) != 1:
            what = f"{len(outputs)} outputs with a loss"
            raise ValueError(message(owner, "class_weight", "be used with a single output", what))

    def source(
        self,
        x: object,
        y: object = None,
        weight: object = None,
        batch_size: int | None = None,
        steps: int | None = None,
        labels: tuple[str, str, str] = ("x", "y", "sample_weight"),
        goes_on: bool = False,
    ) -> Source:
        """Return the source of batches that were checked, `steps` an epoch if that is given.

        `labels` is what error messages call the arguments; `goes_on` as of `LimitedSource`.
        """
        inner = stream(x, y, weight, steps, self.names)
        if inner is not None:
            if batch_size is not None:
                what = received("batch_size", batch_size)
                raise ValueError(message(self.owner, "batch_size", "be None where `x` hands out batches", what))
            return _Checked(self, inner)
        size = validation.positive_int(self.owner, "batch_size", 32 if batch_size is None else batch_size)
        source = self.arrays(x, y, weight, size, labels)
        return source if steps is None else LimitedSource(source, steps, goes_on)

    def arrays(
        self,
        x: object,
        y: object,
        weight: object,
        batch_size: int | None,
        labels: tuple[str, str, str] = ("x", "y", "sample_weight"),
    ) -> ArraySource:
        """Return arrays that were checked, in batches or as one."""
        owner, model = self.owner, self.model
        xs = columns(owner, labels[0], x, self.names.inputs)
        x_names = _labels(labels[0], xs)
        flags = model.takes_integers
        x_dtypes = [
            _input_dtype(owner, name, array, model.dtype, flag)
            for name, array, flag in zip(x_names, xs, flags, strict=True)
        ]
        rows = same_rows(owner, {labels[0]: xs})
        output_shapes = model.resolve_shapes([array.shape for array in xs], owner, x_names)
        ys, weights, y_dtypes = None, None, None
        if self.targets:
            if rows == 0:
                what = received(f"{labels[0]}.shape", xs[0].shape)
                raise ValueError(message(owner, labels[0], "have at least one row", what))
            ys, y_dtypes = self._targets(y, labels[1], output_shapes)
            same_rows(owner, {labels[0]: xs, labels[1]: ys})
            weights = self._weights(weight, labels[2], ys, output_shapes)
        return ArraySource(
            xs, ys, weights, batch_size or max(rows, 1), x_dtypes=x_dtypes, y_dtypes=y_dtypes, weight_dtype=model.dtype
        )

    def _targets(self, y: object, label: str, output_shapes: list[Any]) -> tuple[Arrays, list[str]]:
        """Return targets as their losses want them, and the types of their batches."""
        if y is None:
            raise TypeError(message(self.owner, label, "be an array of targets", received(label, y)))
        objectives = self.model.objectives
        if len(objectives) == 1 and not isinstance(y, dict):
            # A list of one array is Keras's list of all outputs; of numbers or rows, it is the array itself.
            alone = isinstance(y, (list, tuple)) and len(y) == 1 and getattr(y[0], "ndim", 0) > 0
            given: list[Any] = [y[0] if alone else y]  # type: ignore[index]
        else:
            given = list(columns(self.owner, label, y, self.names.outputs))
        found, dtypes = [], []
        for name, value, objective in zip(_labels(label, given), given, objectives, strict=True):
            shape = output_shapes[objective.output]
            if hasattr(value, "__dlpack__"):
                value = as_array(self.owner, name, value)
            array = objective.loss.coerce(self.owner, name, value, shape)
            found.append(array)
            dtypes.append("int32" if array.ndim < len(shape) else self.model.dtype)
        return found, dtypes

    def _weights(self, weight: object, label: str, ys: Arrays, output_shapes: list[Any]) -> Arrays | None:
        """Return a weight for each row of each output, or None where all count the same."""
        if weight is None and self.class_weight is None:
            return None
        if weight is None:
            given = [np.ones(len(y)) for y in ys]
        else:
            given = weight_columns(self.owner, label, weight, self.names.outputs)
        weights = []
        for name, array, y, objective in zip(_labels(label, given), given, ys, self.model.objectives, strict=True):
            rows = (len(y), *objective.loss.weighted_axes(self.owner, output_shapes[objective.output]))
            if array.dtype.kind not in "fiu":
                raise TypeError(message(self.owner, name, "be an array of real numbers", f"{name}.dtype={array.dtype}"))
            if array.ndim == len(rows) + 1 and array.shape[-1] == 1:
                array = array[..., 0]
            if array.shape not in (rows[:1], rows):
                rule = f"have the shape {rows[:1]}" + (f" or {rows}" if rows[1:] else "")
                raise ValueError(message(self.owner, name, rule, received(f"{name}.shape", array.shape)))
            array = np.broadcast_to(array.reshape(array.shape + (1,) * (len(rows) - array.ndim)), rows)
            if self.class_weight is not None:
                factors = self._weights_of_classes(y, output_shapes[objective.output])
                if factors.shape != rows:
                    rule = "be used with a loss of rows, not of whole images"
                    what = received("class_weight", self.class_weight)
                    raise ValueError(message(self.owner, "class_weight", rule, what))
                array = array * factors
            weights.append(array)
        return weights

    def _weights_of_classes(self, y: NDArray[Any], output_shape: Any) -> NDArray[Any]:
        """Return the weight of each row's class."""
        assert self.class_weight is not None
        labels = y.ndim < len(output_shape)
        classes = y if labels else y.argmax(-1) if y.shape[-1] > 1 else y[..., 0].astype(np.int64)
        table = np.ones(max(int(classes.max(initial=0)), *self.class_weight, 0) + 1)
        for number, value in self.class_weight.items():
            table[number] = value
        return np.asarray(table[classes])


class _Checked(Source):
    """A source of batches that are checked as they come."""

    def __init__(self, feed: Feed, inner: Source) -> None:
        self._feed, self._inner = feed, inner

    @property
    def steps(self) -> int | None:
        return self._inner.steps

    @property
    def shuffled(self) -> int | None:
        return self._inner.shuffled

    def first(self) -> Batch:
        return self._check(self._inner.first())

    def batches(self, order: NDArray[np.intp] | None = None) -> Iterator[Batch]:
        for batch in self._inner.batches(order):
            yield self._check(batch)

    def get_state(self) -> dict[str, Any]:
        return self._inner.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        self._inner.set_state(state)

    def _check(self, batch: Batch) -> Batch:
        y = None if batch.y is None else batch.y if len(batch.y) > 1 else batch.y[0]
        weight = None if batch.weight is None else batch.weight if len(batch.weight) > 1 else batch.weight[0]
        x = batch.x if len(batch.x) > 1 else batch.x[0]
        return next(iter(self._feed.arrays(x, y if self._feed.targets else None, weight, None).batches()))


def same_inputs(trained: Batch, held_out: Batch, rows: int | None) -> None:
    """Raise ValueError if what is held out, so many rows, has rows of other shapes than what is trained on."""
    for x, other in zip(trained.x, held_out.x, strict=True):
        if x.shape[1:] != other.shape[1:]:
            rule = f"have rows of the shape of those of `x`, {x.shape[1:]}"
            name = "validation_data[0]"
            whole = (rows, *other.shape[1:])
            raise ValueError(message("fit", name, rule, received(f"{name}.shape", whole)))


def _labels(name: str, values: list[Any]) -> list[str]:
    return [name] if len(values) == 1 else [f"{name}[{i}]" for i in range(len(values))]


def _input_dtype(owner: str, name: str, array: NDArray[Any], dtype: str, takes_integers: bool) -> str:
    """Return the type of the batches of an input; `dtype` is what the model computes in."""
    if array.ndim == 0:
        raise ValueError(message(owner, name, "be an array of rows", received(name, array.item())))
    if takes_integers and array.dtype.name in _INTEGERS:
        return _INTEGERS[array.dtype.name]
    if takes_integers and array.dtype.kind in "iu":
        rule = "be an array of floats, or of integers that fit into an int64"
        raise TypeError(message(owner, name, rule, f"{name}.dtype={array.dtype}"))
    if array.dtype.kind != "f":
        raise validation.not_floats(owner, name, array, array.dtype)
    return dtype


def _class_weight(owner: str, value: object) -> dict[int, float]:
    """Return weights of classes by number."""
    rule = "be a dict of class numbers and non-negative weights"
    if not isinstance(value, dict) or not all(isinstance(key, (int, np.integer)) for key in value):
        raise TypeError(message(owner, "class_weight", rule, received("class_weight", value)))
    if not all(isinstance(w, (int, float, np.number)) and w >= 0 for w in value.values()) or min(value, default=0) < 0:
        raise ValueError(message(owner, "class_weight", rule, received("class_weight", value)))
    return {int(key): float(w) for key, w in value.items()}
