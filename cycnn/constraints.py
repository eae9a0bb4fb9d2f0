"""What parameters are made to be after each update: Keras's constraints, by name, as objects or from configurations.

A constraint is a function from an array to an array of the same shape and dtype, in NumPy. A user's own is a subclass
of `Constraint`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import identifiers, validation
from .identifiers import Configured
from .validation import message, received

_EPSILON = 1e-7  # Keras's, beside norms that are divided by


class Constraint(Configured):
    """Base of all constraints.

    A subclass overrides `__call__`, and lists its constructor's arguments in `arguments`, which it stores under the
    same names, or overrides `get_config`.

    Examples
    --------
    >>> class Clip(Constraint):
    ...     def __call__(self, w):
    ...         return np.clip(w, -1, 1)
    >>> Clip()(np.array([0.5, 2.0]))
    array([0.5, 1. ])
    """

    def __call__(self, w: NDArray[Any]) -> NDArray[Any]:
        """Return what the parameter is to become; by default what it is."""
        return w

    def _number(self, name: str, value: object, high: float = np.inf) -> float:
        return validation.number(self.owner, name, value, 0, high)

    def _axis(self, value: object) -> int | list[int]:
        """Return one axis, or a list of them."""
        axes = value if isinstance(value, (list, tuple)) else (value,)
        for axis in axes:
            if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
                rule = "be an int or a list of ints"
                raise TypeError(message(self.owner, "axis", rule, received("axis", value)))
        ints = [int(axis) for axis in axes]
        return ints if isinstance(value, (list, tuple)) else ints[0]


def _norms(w: NDArray[Any], axis: int | list[int]) -> NDArray[Any]:
    """Return the root of the sum of squares over some axes, which stay with the extent 1."""
    norms: NDArray[Any] = np.sqrt(
        np.sum(np.square(w), axis=axis if isinstance(axis, int) else tuple(axis), keepdims=True)
    )
    return norms


class MaxNorm(Constraint):
    """Scale down what has a norm of more than `max_value`: ``w * min(norm, max_value) / (1e-7 + norm)``.

    Parameters
    ----------
    max_value : float
        2 by default.
    axis : int or list of int
        Over which norms are taken, 0 by default: for each unit of a dense layer. ``[0, 1, 2]`` is for each filter of
        a convolution.

    Examples
    --------
    >>> MaxNorm(1.0)(np.array([[3.0], [4.0]])).round(3).tolist()
    [[0.6], [0.8]]
    """

    arguments = ("max_value", "axis")

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        self.max_value = self._number("max_value", max_value)
        self.axis = self._axis(axis)

    def __call__(self, w: NDArray[Any]) -> NDArray[Any]:
        norms = _norms(w, self.axis)
        result: NDArray[Any] = w * (np.clip(norms, 0, self.max_value) / (_EPSILON + norms))
        return result


class MinMaxNorm(Constraint):
    """Scale what has a norm below `min_value` or above `max_value`, at once or at a `rate`.

    ``w * (rate * clip(norm, min_value, max_value) + (1 - rate) * norm) / (1e-7 + norm)``

    Parameters
    ----------
    min_value, max_value : float
        0 and 1 by default.
    rate : float
        Share of the way there that is taken each time, 1 by default.
    axis : int or list of int
        Over which norms are taken, 0 by default.

    Examples
    --------
    >>> MinMaxNorm(10.0, 20.0)(np.array([3.0, 4.0])).round(3).tolist()
    [6.0, 8.0]
    """

    arguments = ("min_value", "max_value", "rate", "axis")

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int | Sequence[int] = 0
    ) -> None:
        self.min_value = self._number("min_value", min_value)
        self.max_value = self._number("max_value", max_value)
        self.rate = self._number("rate", rate, 1)
        self.axis = self._axis(axis)

    def __call__(self, w: NDArray[Any]) -> NDArray[Any]:
        norms = _norms(w, self.axis)
        wanted = self.rate * np.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        result: NDArray[Any] = w * (wanted / (_EPSILON + norms))
        return result


class NonNeg(Constraint):
    """Replace negative numbers by 0.

    Examples
    --------
    >>> NonNeg()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __call__(self, w: NDArray[Any]) -> NDArray[Any]:
        result: NDArray[Any] = np.maximum(w, 0)
        return result


class UnitNorm(Constraint):
    """Divide by the norm: ``w / (1e-7 + norm)``.

    Parameters
    ----------
    axis : int or list of int
        Over which norms are taken, 0 by default.

    Examples
    --------
    >>> UnitNorm()(np.array([3.0, 4.0])).round(3).tolist()
    [0.6, 0.8]
    """

    arguments = ("axis",)

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = self._axis(axis)

    def __call__(self, w: NDArray[Any]) -> NDArray[Any]:
        result: NDArray[Any] = w / (_EPSILON + _norms(w, self.axis))
        return result


# Keras's other names of the classes.
max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

_BY_NAME: dict[str, type[Constraint]] = identifiers.names(MaxNorm, MinMaxNorm, NonNeg, UnitNorm)


def get(identifier: object, *, owner: str = "constraints.get", name: str = "identifier") -> Constraint | None:
    """Return the constraint that `identifier` stands for; None for None.

    Parameters
    ----------
    identifier : str, dict, Constraint or None
        A name such as "max_norm", a dict as `serialize` returns it, or a constraint.
    owner, name : str
        What an error message names: the layer and its argument.

    Examples
    --------
    >>> get("non_neg")(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    if identifier is None:
        return None
    return identifiers.resolve(identifier, Constraint, _BY_NAME, owner=owner, name=name, what="a constraint")


def serialize(constraint: object) -> dict[str, Any]:
    """Return the class and the arguments of a constraint as plain JSON values, for `get`.

    Examples
    --------
    >>> serialize(UnitNorm(1))
    {'class_name': 'UnitNorm', 'config': {'axis': 1}}
    """
    return identifiers.serialized("constraints.serialize", "constraint", constraint, Constraint, "a Constraint")


def deserialize(
    config: dict[str, Any], custom_objects: Mapping[str, type[Constraint]] | None = None
) -> Constraint | None:
    """Return the constraint that `serialize` described; `custom_objects` are further classes by name.

    Examples
    --------
    >>> deserialize({"class_name": "MaxNorm", "config": {"max_value": 3}}).max_value
    3.0
    """
    with identifiers.custom_objects(custom_objects):
        return get(config, owner="constraints.deserialize", name="config")
