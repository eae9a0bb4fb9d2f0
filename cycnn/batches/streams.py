"""Sources that hand out batches of their own: generators and other iterables, and data sets that load themselves."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..validation import message, received
from .adapters import Batch, Names, unpack
from .py_dataset import PyDataset
from .sources import Source

_END = object()


class IterableSource(Source):
    """A generator or another iterable of batches.

    What can be iterated over again starts anew in each epoch, unless epochs are of `steps_per_epoch` batches: then
    each goes on where the one before ended, and starts anew only at the end. An iterator can only go on. No batch
    is asked for before it is needed, so a generator may fill the same array again for each.

    Parameters
    ----------
    iterable : iterable
        Of batches x, (x,), (x, y) or (x, y, sample_weight).
    steps_per_epoch : int, optional
        Batches in an epoch. By default an epoch ends with the iterable.
    names : Names, optional
        Of the inputs and outputs.

    Examples
    --------
    >>> source = IterableSource(([row], [2 * row]) for row in (1.0, 2.0, 3.0))
    >>> [(batch.x[0].item(), batch.y[0].item()) for batch in source.batches()]
    [(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)]
    """

    def __init__(self, iterable: Iterable[Any], steps_per_epoch: int | None = None, names: Names | None = None) -> None:
        self.names = names or Names()
        self._iterable, self._wanted = iterable, steps_per_epoch
        self._iterator: Iterator[Any] | None = None
        self._first: Any = _END
        self._length: int | None = None

    @property
    def steps(self) -> int | None:
        """Batches in an epoch: those asked for, those that the iterable announces, or those of the last epoch."""
        if self._wanted is not None:
            return self._wanted
        try:
            return len(self._iterable)  # type: ignore[arg-type]
        except TypeError:  # it has no length, or does not know it
            return self._length

    def first(self) -> Batch:
        """Return the batch that the next epoch begins with, and will begin with still."""
        if self._first is _END:
            self._first = self._next(anew=self._wanted is None)
        if self._first is _END:
            raise self._exhausted()
        return unpack(self.names, self._first)

    def batches(self, order: NDArray[np.intp] | None = None) -> Iterator[Batch]:
        """Yield the batches of an epoch; `order` is None, for the iterable has its own."""
        assert order is None
        count = 0
        while self._wanted is None or count < self._wanted:
            batch = self._next(anew=self._wanted is None and count == 0)
            if batch is _END and self._wanted is not None:
                batch = self._next(anew=True)
            if batch is _END:
                break
            count += 1
            yield unpack(self.names, batch)
        if count == 0:
            raise self._exhausted()
        self._length = count
        if self._wanted is not None and count < self._wanted:
            text = f"`x` ended after {count} batches of an epoch of steps_per_epoch={self._wanted}"
            warnings.warn(f"{self.names.owner}: {text}.", stacklevel=2)

    def _next(self, anew: bool) -> Any:
        """Return the next batch, or _END; `anew` starts from the first one, which `first` may have kept."""
        batch, self._first = self._first, _END
        if batch is not _END:
            return batch
        if anew or self._iterator is None:
            self._iterator = iter(self._iterable)
        return next(self._iterator, _END)

    def _exhausted(self) -> ValueError:
        what = f"an object of type {type(self._iterable).__name__} without another batch"
        remedy = ""
        if self._iterator is self._iterable:
            remedy = "What can be iterated over only once serves several epochs with `steps_per_epoch`."
        return ValueError(message(self.names.owner, "x", "give at least one batch in each epoch", what, remedy))


class DatasetSource(Source):
    """A `PyDataset`, whose batches are made by its workers.

    Parameters
    ----------
    dataset : PyDataset
    steps_per_epoch : int, optional
        Batches in an epoch, which goes on where the one before ended. By default the whole data set.
    names : Names, optional
        Of the inputs and outputs.
    """

    def __init__(self, dataset: PyDataset, steps_per_epoch: int | None = None, names: Names | None = None) -> None:
        self.dataset, self.names = dataset, names or Names()
        self._wanted = steps_per_epoch
        self._at = 0  # batches of the running pass that were handed out
        self._pass: Sequence[int] = range(0)  # the numbers of its batches in order
        if self._count() is None and steps_per_epoch is None:
            rule, what = "be given for a data set without end", received("steps_per_epoch", None)
            raise ValueError(message(self.names.owner, "steps_per_epoch", rule, what))

    def _count(self) -> int | None:
        """Return the batches of a pass, of which a data set may have more or fewer after an epoch."""
        count = self.dataset.num_batches
        if count is not None and count < 1:
            what = f"a {type(self.dataset).__name__} of {count} batches"
            raise ValueError(message(self.names.owner, "x", "have at least one batch", what))
        return count

    @property
    def steps(self) -> int | None:
        return self.dataset.num_batches if self._wanted is None else self._wanted

    @property
    def shuffled(self) -> int | None:
        return self.dataset.num_batches

    def first(self) -> Batch:
        """Return the first batch, to look at: it is made again for the epoch."""
        return unpack(self.names, self.dataset[0])

    def batches(self, order: NDArray[np.intp] | None = None) -> Iterator[Batch]:
        """Yield the batches of an epoch, of numbers in their own order or in the one given.

        An epoch that goes on within a pass over the data set keeps the order of that pass; the next takes `order`.
        """
        self.dataset.on_epoch_begin()
        left = self._wanted
        while left is None or left > 0:
            numbers = self._numbers(left, None if order is None else order.tolist())
            for batch in self.dataset.fetch(numbers):
                self._at += 1
                parts = unpack(self.names, batch)
                if len(parts.x[0]):  # of a batch of damaged images nothing is left
                    yield parts
            left = 0 if left is None else left - len(numbers)
        self.dataset.on_epoch_end()

    def get_state(self) -> dict[str, Any]:
        """Return the place in the running pass, and what the data set says of itself."""
        order = self._pass if isinstance(self._pass, list) else None
        return {"at": self._at, "length": len(self._pass), "order": order, "dataset": self.dataset.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        self._at, self._pass = state["at"], state["order"] or range(state["length"])
        self.dataset.set_state(state["dataset"])

    def _numbers(self, left: int | None, order: Sequence[int] | None) -> Sequence[int]:
        """Return the numbers of the batches that come next, `left` of them or up to the end of the pass."""
        if left is None or self._at >= len(self._pass):
            count = self._count()
            self._at = 0
            self._pass = range(sys.maxsize if count is None else count) if order is None else order
        return self._pass[self._at : None if left is None else self._at + left]


def stream(
    x: object,
    y: object = None,
    sample_weight: object = None,
    steps_per_epoch: int | None = None,
    names: Names | None = None,
) -> IterableSource | DatasetSource | None:
    """Return the source of batches that `x` is, or None if `x` is arrays.

    What NumPy can read as an array, DLPack included, and lists, tuples and dicts are arrays.
    """
    names = names or Names()
    arrays = isinstance(x, (Sequence, Mapping, memoryview)) or any(
        hasattr(x, attribute) for attribute in ("__array__", "__array_interface__", "__dlpack__")
    )
    if not isinstance(x, PyDataset) and (arrays or not isinstance(x, Iterable)):
        return None
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            rule, what = "be None where `x` hands out batches", f"{name} of type {type(value).__name__}"
            remedy = f"Let the batches of `x` be tuples that hold `{name}`."
            raise ValueError(message(names.owner, name, rule, what, remedy))
    if isinstance(x, PyDataset):
        return DatasetSource(x, steps_per_epoch, names)
    assert isinstance(x, Iterable)
    return IterableSource(x, steps_per_epoch, names)
