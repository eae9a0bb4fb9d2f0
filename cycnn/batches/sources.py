"""Where batches come from: what training asks of a source, and the source that cuts arrays into batches.

A batch is three lists of arrays: one for each input of the model, each output, and the weights of each output.
What hands out batches of its own is in `streams`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..validation import message, received
from .adapters import Arrays, Batch
from .rows import Rows


class Source:
    """Base of what hands out the batches of an epoch.

    Attributes
    ----------
    rows : int or None
        Rows in an epoch, None if that shows only as they come.
    """

    rows: int | None = None

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, None if that shows only as they come."""
        raise NotImplementedError

    @property
    def shuffled(self) -> int | None:
        """How many things the order of an epoch is an order of: rows, or batches. None if there is no choosing."""
        return None

    def first(self) -> Batch:
        """Return a batch, to see shapes and types."""
        raise NotImplementedError

    def batches(self, order: NDArray[np.intp] | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch; the arrays of one are valid until the next is asked for."""
        raise NotImplementedError

    def split(self, owner: str, share: float) -> tuple[Source, Source]:
        """Return the first rows, and the last ones that make up this share of all."""
        what = received("validation_split", share)
        raise ValueError(message(owner, "validation_split", "be 0 where `x` hands out batches", what))

    def get_state(self) -> dict[str, Any]:
        """Return what epochs so far have changed, as plain JSON values: nothing, if `order` decides all."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned."""


class ArraySource(Source):
    """Arrays in memory or in mapped files, cut into batches; the last may be smaller.

    Parameters
    ----------
    x : list of ndarray
        Inputs, all of the same number of rows.
    y, weights : list of ndarray or None
        As many targets and weights.
    batch_size : int
        Rows in a batch.
    x_dtypes, y_dtypes : sequence of str, optional
        Types that batches are converted to, one for each array. By default they keep theirs.
    weight_dtype : str, optional
        Type of the batches of weights, likewise.

    Examples
    --------
    >>> source = ArraySource([np.arange(5)], None, None, 2)
    >>> [batch.x[0].tolist() for batch in source.batches()]
    [[0, 1], [2, 3], [4]]
    >>> [batch.x[0].tolist() for batch in source.batches(np.array([4, 0, 1, 3, 2]))]
    [[4, 0], [1, 3], [2]]
    """

    def __init__(
        self,
        x: Arrays,
        y: Arrays | None,
        weights: Arrays | None,
        batch_size: int,
        *,
        x_dtypes: Sequence[str] | None = None,
        y_dtypes: Sequence[str] | None = None,
        weight_dtype: str | None = None,
    ) -> None:
        self.x, self.y, self.weights = x, y, weights
        self.batch_size = batch_size
        self.x_dtypes, self.y_dtypes, self.weight_dtype = x_dtypes, y_dtypes, weight_dtype
        self.rows: int = len(x[0])
        weight_dtypes = [weight_dtype] * len(weights) if weights and weight_dtype else None
        self._columns = [
            self._rows_of(arrays or [], dtypes)
            for arrays, dtypes in ((x, x_dtypes), (y, y_dtypes), (weights, weight_dtypes))
        ]

    def _rows_of(self, arrays: Arrays, dtypes: Sequence[str] | None) -> list[Rows]:
        assert all(len(array) == self.rows for array in arrays), "the caller has compared the numbers of rows"
        types: Sequence[DTypeLike] = dtypes or [array.dtype.newbyteorder("=") for array in arrays]
        size = min(self.batch_size, self.rows)
        return [Rows(array, dtype, size) for array, dtype in zip(arrays, types, strict=True)]

    @property
    def steps(self) -> int:
        return -(-self.rows // self.batch_size)

    @property
    def shuffled(self) -> int:
        return self.rows

    def batches(
        self, order: NDArray[np.intp] | None = None, first: int = 0, last: int | None = None
    ) -> Iterator[Batch]:
        """Yield the batches, of rows in their own order or in the one given; of them those from `first` to `last`.

        Rows in their own order are slices of the arrays themselves, where type and layout allow it.
        """
        for start in range(0, self.rows, self.batch_size)[first:last]:
            stop = min(start + self.batch_size, self.rows)
            if order is None:
                x, y, weights = ([rows.slice(start, stop) for rows in columns] for columns in self._columns)
            else:
                index = order[start:stop]
                x, y, weights = ([rows.take(index) for rows in columns] for columns in self._columns)
            yield Batch(x, y if self.y is not None else None, weights if self.weights is not None else None)

    def first(self) -> Batch:
        """Return the first row, or the arrays where there is none."""
        return next(self.part(0, min(1, self.rows)).batches(), Batch(self.x, self.y, self.weights))

    def split(self, owner: str, share: float) -> tuple[ArraySource, ArraySource]:
        at = int(self.rows * (1 - share))
        if not 0 < at < self.rows:
            rule = f"leave at least one of the {self.rows} rows on either side"
            raise ValueError(message(owner, "validation_split", rule, received("validation_split", share)))
        return self.part(0, at), self.part(at, self.rows)

    def part(self, start: int, stop: int) -> ArraySource:
        """Return the rows from `start` to `stop`, which are not copied."""

        def cut(arrays: Arrays) -> Arrays:
            return [array[start:stop] for array in arrays]

        return ArraySource(
            cut(self.x),
            self.y and cut(self.y),
            self.weights and cut(self.weights),
            self.batch_size,
            x_dtypes=self.x_dtypes,
            y_dtypes=self.y_dtypes,
            weight_dtype=self.weight_dtype,
        )


class LimitedSource(Source):
    """Epochs of so many batches of arrays.

    Parameters
    ----------
    source : ArraySource
    steps : int
        Batches in an epoch.
    goes_on : bool
        Whether an epoch goes on where the one before ended, in the order of that, until the arrays end: then the
        next starts anew. Otherwise each has the first batches.

    Examples
    --------
    >>> source = LimitedSource(ArraySource([np.arange(5)], None, None, 2), 2, goes_on=True)
    >>> [[batch.x[0].tolist() for batch in source.batches()] for epoch in range(3)]
    [[[0, 1], [2, 3]], [[4]], [[0, 1], [2, 3]]]
    """

    def __init__(self, source: ArraySource, steps: int, goes_on: bool = False) -> None:
        self._source, self._steps, self._goes_on = source, steps, goes_on
        self.rows = min(source.rows, steps * source.batch_size)
        self._at = 0  # batches of the running pass that were handed out
        self._order: NDArray[np.intp] | None = None  # of the running pass

    @property
    def steps(self) -> int:
        return min(self._steps, self._source.steps)

    @property
    def shuffled(self) -> int:
        return self._source.shuffled

    def first(self) -> Batch:
        return self._source.first()

    def split(self, owner: str, share: float) -> tuple[LimitedSource, ArraySource]:
        """Return the first rows, of which so many batches are an epoch still, and all of the last ones."""
        first, last = self._source.split(owner, share)
        return LimitedSource(first, self._steps, self._goes_on), last

    def batches(self, order: NDArray[np.intp] | None = None) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        first = self._at
        last = min(first + self._steps, self._source.steps)
        if first == 0:
            self._order = order
        yield from self._source.batches(self._order, first, last)
        self._at = last if self._goes_on and last < self._source.steps else 0

    def get_state(self) -> dict[str, Any]:
        """Return the place in the running pass, and its order."""
        return {"at": self._at, "order": self._order if self._at else None}

    def set_state(self, state: dict[str, Any]) -> None:
        self._at, self._order = state["at"], state["order"]
