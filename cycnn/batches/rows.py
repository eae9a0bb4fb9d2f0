"""Rows of an array, handed out as contiguous arrays of a given type without a copy of the whole.

In order, they are slices of the array itself. In another order, or where type or layout differ, they are
gathered into one array that is used again for each batch. What a memory-mapped file has shown of itself is
given back to the operating system every few megabytes, so that an epoch over a file that is larger than
the memory does not fill it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_GIVEN_BACK_EVERY = 64 << 20  # bytes of a memory-mapped file
_NEIGHBOURHOOD = 2 << 20  # what Linux may map around a page that is asked for: up to a huge page


class Rows:
    """An array whose rows are handed out in batches.

    Parameters
    ----------
    array : ndarray
        At least one dimension. It is not copied.
    dtype : dtype
        Type of the batches.
    size : int
        The most rows in a batch.
    """

    def __init__(self, array: NDArray[Any], dtype: DTypeLike, size: int) -> None:
        self._mapping = _mapping(array)
        # A slice of a subclass would cost several times as much, for nothing.
        self._array = array = np.asarray(array)
        self._as_is = array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned
        self._shape = (size, *array.shape[1:])
        self._dtype = dtype
        self._batch: NDArray[Any] | None = None
        self._row_nbytes = array[:1].nbytes
        self._seen = 0

    def slice(self, start: int, stop: int) -> NDArray[Any]:
        """Return rows from `start` to `stop`."""
        self._give_back((stop - start) * self._row_nbytes)
        rows = self._array[start:stop]
        if self._as_is:
            return rows
        batch = self._room(stop - start)
        batch[...] = rows
        return batch

    def take(self, index: NDArray[np.intp]) -> NDArray[Any]:
        """Return the rows of these numbers."""
        self._give_back(len(index) * (self._row_nbytes + _NEIGHBOURHOOD))
        batch = self._room(len(index))
        if self._mapping is not None:
            # Forwards through the file: a disk reads ahead, and never back.
            for i in np.argsort(index):
                batch[i] = self._array[index[i]]
        elif self._as_is:
            # The other modes of take gather into a hidden copy of the batch first.
            np.take(self._array, index, axis=0, out=batch, mode="clip")
        else:
            batch[...] = self._array[index]
        return batch

    def _room(self, size: int) -> NDArray[Any]:
        if self._batch is None:
            self._batch = np.empty(self._shape, self._dtype)
        return self._batch[:size]

    def _give_back(self, nbytes: int) -> None:
        """Let go of the pages of a mapped file before so many bytes more are read."""
        if self._mapping is None:
            return
        self._seen += nbytes
        if self._seen > _GIVEN_BACK_EVERY:
            self._seen = 0
            # Of a shared mapping this forgets nothing but where the pages are: a row that is still read comes back.
            self._mapping.give_back()


class _Mapping:
    """A shared mapping of a file."""

    def __init__(self, mapping: Any, advice: int) -> None:
        self._mapping, self._advice = mapping, advice

    def give_back(self) -> None:
        self._mapping.madvise(self._advice)


def _mapping(array: NDArray[Any]) -> _Mapping | None:
    """Return the mapping that an array lies in; None if that is memory, or private, with changes of its own."""
    modes = []
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.memmap):
            modes.append(owner.mode)
        owner = owner.base
    if not modes or "c" in modes:
        return None
    import mmap

    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        return _Mapping(owner, mmap.MADV_DONTNEED)
    return None
