"""Parameters: arrays that the steps of programs read, and that training updates in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._native import Buffer
from .validation import message, received

if TYPE_CHECKING:
    from .regularizers import Regularizer


class Variable:
    """A parameter: an array that steps of a program read and update in place.

    Parameters
    ----------
    value : ndarray
        float32 or float64, C-contiguous; kept, not copied.
    name : str
        What it is to its layer: "kernel", "bias".
    path : str
        Name of the layer and of the parameter, as in "conv2d/kernel".
    trainable : bool
        Whether training updates it.

    Attributes
    ----------
    learnable : bool
        Whether it can be trained at all: `trainable`, until a layer is frozen.
    regularizer : Regularizer or None
        What is added to the loss for its values.
    constraint : Constraint or None
        What brings it back into bounds after each update.
    """

    regularizer: Regularizer | None = None
    constraint: Callable[[NDArray[Any]], NDArray[Any]] | None = None

    def __init__(self, value: NDArray[Any], name: str, path: str = "", trainable: bool = True) -> None:
        self._value = value
        self.name = name
        self.path = path or name
        self.learnable = self.trainable = trainable
        self.buffer = Buffer.of(value)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape

    @property
    def dtype(self) -> str:
        return self._value.dtype.name

    @property
    def value(self) -> NDArray[Any]:
        """The value, to be read; `assign` changes it, and tells the steps that hold packed copies."""
        view = self._value.view()
        view.flags.writeable = False
        return view

    def numpy(self) -> NDArray[Any]:
        """Return a copy of the value."""
        return self._value.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError(message(self.path, "copy", "be None or True", received("copy", copy)))
        return self._value.astype(dtype or self._value.dtype)

    def assign(self, value: ArrayLike) -> None:
        """Set the value to an array of the same shape."""
        array = np.asarray(value)
        if array.shape != self.shape:
            what = received("value.shape", array.shape)
            raise ValueError(message(self.path, "value", f"have the shape {self.shape}", what))
        np.copyto(self._value, array, casting="same_kind")
        self.buffer.touch()

    def constrain(self) -> None:
        """Bring the values back into bounds."""
        assert self.constraint is not None
        self.assign(self.constraint(self.value))

    def astype(self, dtype: str) -> Variable:
        """Return a variable of the same kind, with values of its own of another type."""
        clone = Variable(self._value.astype(dtype), self.name, self.path, self.learnable)
        clone.trainable, clone.regularizer, clone.constraint = self.trainable, self.regularizer, self.constraint
        return clone

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "buffer"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.buffer = Buffer.of(self._value)

    def __repr__(self) -> str:
        return f"<Variable {self.path}, shape={self.shape}, dtype={self.dtype}>"


_budget: ContextVar[list[int] | None] = ContextVar("budget", default=None)


@contextmanager
def limited_weights(elements: int) -> Iterator[None]:
    """Context in which parameters of no more numbers than these can be made, and are made as zeros.

    What a file describes is then no larger than what it holds.
    """
    token = _budget.set([elements])
    try:
        yield
    finally:
        _budget.reset(token)


def spend(owner: str, shape: tuple[int, ...]) -> bool:
    """Count a new parameter where there is a limit, or raise ValueError; return whether there is one."""
    budget = _budget.get()
    if budget is None:
        return False
    budget[0] -= prod(shape)
    if budget[0] < 0:
        raise ValueError(message(owner, "shape", "be that of values in the file", received("shape", shape)))
    return True


def assign_all(owner: str, variables: list[Variable], weights: object) -> None:
    """Assign one array to each variable, after all of them have been checked."""
    if not isinstance(weights, (list, tuple)):
        what = f"weights of type {type(weights).__name__}"
        raise TypeError(message(owner, "weights", "be a list of arrays", what))
    if len(weights) != len(variables):
        rule = f"have {len(variables)} arrays, one for each parameter"
        raise ValueError(message(owner, "weights", rule, received("len(weights)", len(weights))))
    arrays = [np.asarray(weight) for weight in weights]
    for i, (variable, array) in enumerate(zip(variables, arrays, strict=True)):
        if array.dtype.kind not in "fiu":
            what = received(f"weights[{i}].dtype", str(array.dtype))
            raise TypeError(message(owner, f"weights[{i}]", "be an array of real numbers", what))
        if array.shape != variable.shape:
            rule = f"have the shape {variable.shape} of {variable.path}"
            what = received(f"weights[{i}].shape", array.shape)
            raise ValueError(message(owner, f"weights[{i}]", rule, what))
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
