"""What all operations do with arrays: check them against one another, and run a step on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native, shapes, validation
from ..validation import message, received


def companion(owner: str, name: str, value: object, ndim: int | None, like: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an argument that must have the dtype of the argument `like`."""
    given = hasattr(value, "dtype")
    array = validation.float_array(owner, name, value, ndim, None if given else dtype)
    if array.dtype != dtype:
        what = f"{name}.dtype={array.dtype}"
        raise TypeError(message(owner, name, f"have the dtype of `{like}`, {dtype}", what))
    return array


def check_shape(owner: str, name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise ValueError if an argument does not have the shape that follows from the others."""
    if array.shape != shape:
        what = received(f"{name}.shape", array.shape)
        raise ValueError(message(owner, name, f"have the shape {shape}", what))


def empty(owner: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a new array for a result."""
    shapes.check_size(owner, "out", shape)
    return np.empty(shape, dtype)


def with_axis(owner: str, name: str, value: object, axis: object) -> tuple[NDArray[Any], int]:
    """Return an array with at least one axis, and the number of one of them, counted from the first."""
    array = validation.float_array(owner, name, value, None)
    if array.ndim == 0:
        what = received(f"{name}.shape", array.shape)
        raise ValueError(message(owner, name, "have at least one axis", what))
    number = validation.integer(owner, "axis", axis)
    if not -array.ndim <= number < array.ndim:
        rule = f"be one of the {array.ndim} axes"
        raise ValueError(message(owner, "axis", rule, received("axis", axis)))
    return array, number % array.ndim


def run(step_name: str, dtype: np.dtype[Any], *arguments: Any) -> None:
    """Run the step of that name for float32 or float64; arrays are bound where they are."""
    step_class = getattr(_native.kernels(dtype.name), step_name)
    bound = [_native.Buffer.of(a) if isinstance(a, np.ndarray) else a for a in arguments]
    _native.run_step(step_class(*bound))
    for buffer in bound:
        if isinstance(buffer, _native.Buffer):
            buffer.cache.clear()  # packed copies would live until the garbage collector comes
