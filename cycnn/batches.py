"""Data sets, batch by batch, without a copy of the whole.

In order, batches are slices of the user's array, which programs read in place. In another order,
rows are gathered into one array that is used again for each batch. Only what has another type or
is not contiguous is copied, and then one batch at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import validation
from .validation import message, received

# What integers are converted to on their way into a Rescaling layer.
_INTEGERS = {
    "uint8": "uint8",
    "int8": "int32",
    "int16": "int32",
    "uint16": "int32",
    "int32": "int32",
    "uint32": "int64",
    "int64": "int64",
}


class Batch(NamedTuple):
    """Rows `start` to `stop`, in the order of the batches, of inputs and targets."""

    start: int
    stop: int
    x: NDArray[Any]
    y: NDArray[Any] | None

    def rows_of_y(self) -> NDArray[Any] | None:
        """Return the targets as programs read them: labels in a row, or a matrix."""
        if self.y is None or (self.y.ndim == 2 and self.y.dtype.kind == "f"):
            return self.y
        return self.y.reshape(-1) if self.y.dtype.kind == "i" else self.y.reshape(-1, self.y.shape[-1])


class _Rows:
    """An array whose rows are handed out as contiguous arrays of a given type."""

    def __init__(self, array: NDArray[Any], dtype: str, size: int) -> None:
        self._array = array
        self._as_is = array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned
        self._shape = (size, *array.shape[1:])
        self._dtype = dtype
        self._batch: NDArray[Any] | None = None

    def slice(self, start: int, stop: int) -> NDArray[Any]:
        """Return rows from `start` to `stop`."""
        rows = self._array[start:stop]
        if self._as_is:
            return rows
        batch = self._room(stop - start)
        batch[...] = rows
        return batch

    def take(self, index: NDArray[np.intp]) -> NDArray[Any]:
        """Return the rows of these numbers."""
        batch = self._room(len(index))
        if self._as_is:
            # The other modes of take gather into a hidden copy of the batch first.
            np.take(self._array, index, axis=0, out=batch, mode="clip")
        else:
            batch[...] = self._array[index]
        return batch

    def _room(self, size: int) -> NDArray[Any]:
        if self._batch is None:
            self._batch = np.empty(self._shape, self._dtype)
        return self._batch[:size]


class Batches:
    """A data set that has been checked, cut into batches; the last may be smaller.

    Parameters
    ----------
    x : ndarray
        Inputs.
    y : ndarray or None
        As many targets.
    batch_size : int
        Rows in a batch.
    x_dtype, y_dtype : str
        Types of the batches.
    """

    def __init__(
        self,
        x: NDArray[Any],
        y: NDArray[Any] | None,
        batch_size: int,
        x_dtype: str,
        y_dtype: str,
    ) -> None:
        self.x, self.y, self.batch_size = x, y, batch_size
        self.x_dtype, self.y_dtype = x_dtype, y_dtype
        self.rows = len(x)
        size = min(batch_size, self.rows)
        self._x = _Rows(x, x_dtype, size)
        self._y = _Rows(y, y_dtype, size) if y is not None else None

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def iterate(self, order: NDArray[np.intp] | None = None) -> Iterator[Batch]:
        """Yield the batches, of rows in their own order or in the one given.

        The arrays of a batch are valid until the next is asked for.
        """
        for start in range(0, self.rows, self.batch_size):
            stop = min(start + self.batch_size, self.rows)
            if order is None:
                y = self._y.slice(start, stop) if self._y else None
                yield Batch(start, stop, self._x.slice(start, stop), y)
            else:
                index = order[start:stop]
                y = self._y.take(index) if self._y else None
                yield Batch(start, stop, self._x.take(index), y)

    def split(self, owner: str, share: float) -> tuple[Batches, Batches]:
        """Return the first rows, and the last ones that make up this share of all."""
        at = int(self.rows * (1 - share))
        if not 0 < at < self.rows:
            rule = f"leave at least one of the {self.rows} rows on either side"
            what = received("validation_split", share)
            raise ValueError(message(owner, "validation_split", rule, what))
        assert self.y is not None
        types = self.batch_size, self.x_dtype, self.y_dtype
        return (
            Batches(self.x[:at], self.y[:at], *types),
            Batches(self.x[at:], self.y[at:], *types),
        )


def inputs(owner: str, name: str, x: object, dtype: str, takes_integers: bool) -> tuple[NDArray[Any], str]:
    """Return a data set as an array, not copied if it is one, and the type of its batches.

    `dtype` is the type that the model computes in.
    """
    array = validation.any_array(owner, name, x)
    if array.ndim == 0:
        rule, what = "be an array of rows", received(name, x)
        raise ValueError(message(owner, name, rule, what))
    if takes_integers and array.dtype.name in _INTEGERS:
        return array, _INTEGERS[array.dtype.name]
    if takes_integers and array.dtype.kind in "iu":
        rule = "be an array of floats, or of integers that fit into an int64"
        raise TypeError(message(owner, name, rule, f"{name}.dtype={array.dtype}"))
    if array.dtype.kind != "f":
        raise validation.not_floats(owner, name, x, array.dtype)
    return array, dtype
