"""Data sets that make their own batches, several at a time in threads."""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .. import validation
from ..validation import message, received

if TYPE_CHECKING:
    from concurrent.futures import Future


class PyDataset:
    """Base of data sets that make one batch at a time.

    A data set defines ``__getitem__(index)``, which returns the batch of that number as ``(x,)``, ``(x, y)`` or
    ``(x, y, sample_weight)``, and ``__len__()``, the number of batches. It may define `on_epoch_begin` and
    `on_epoch_end`, and `get_state` and `set_state` if these change it. Batches are always handed out in order,
    whichever is ready first, so that the number of workers changes nothing but the time; a data set that draws random
    numbers should derive them from `index`.

    Parameters
    ----------
    workers : int
        Threads that make batches ahead of the one that is used, if there are at least 2. NumPy, Pillow and files
        let other threads run while they work; plain Python does not. 1 by default: each batch is made
        when it is needed, by the thread that needs it.
    use_multiprocessing : bool
        Must be False: threads do the work.
    max_queue_size : int
        The most batches that are made ahead, 10 by default.

    Examples
    --------
    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...
    ...     def __getitem__(self, index):
    ...         return [index], [index**2]
    >>> list(Squares(workers=2))
    [([0], [0]), ([1], [1]), ([2], [4])]
    """

    # Those of a subclass that does not call this class's constructor.
    _workers, _max_queue_size = 1, 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    @property
    def workers(self) -> int:
        """Threads that make batches."""
        return self._workers

    @workers.setter
    def workers(self, value: int) -> None:
        self._workers = validation.non_negative_int(type(self).__name__, "workers", value)

    @property
    def max_queue_size(self) -> int:
        """The most batches that are made ahead."""
        return self._max_queue_size

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> None:
        self._max_queue_size = validation.positive_int(type(self).__name__, "max_queue_size", value)

    @property
    def use_multiprocessing(self) -> bool:
        """Always False."""
        return False

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        if validation.boolean(type(self).__name__, "use_multiprocessing", value):
            rule, remedy = "be False", "Batches are made in threads, `workers` of them."
            what = received("use_multiprocessing", value)
            raise ValueError(message(type(self).__name__, "use_multiprocessing", rule, what, remedy))

    @property
    def num_batches(self) -> int | None:
        """The number of batches; None if they never end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} must define __len__ or num_batches.")

    def __getitem__(self, index: int) -> Any:
        """Return the batch of this number, from 0."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__.")

    def __iter__(self) -> Iterator[Any]:
        """Yield every batch once, in order."""
        count = self.num_batches
        return self.fetch(itertools.count() if count is None else range(count))

    def on_epoch_begin(self) -> None:
        """Do what is to be done before an epoch: nothing."""

    def on_epoch_end(self) -> None:
        """Do what is to be done after an epoch: nothing."""

    def get_state(self) -> dict[str, Any]:
        """Return what earlier epochs have changed, as plain JSON values, for a run that is taken up again: nothing."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned."""

    def fetch(self, numbers: Iterable[int]) -> Iterator[Any]:
        """Yield the batches of these numbers in this order, made by `workers` threads.

        What a thread raises is raised here, in place of the batch, with a note of its number. The threads end with
        the iteration, or when the iterator is closed or forgotten.
        """
        if self.workers > 1:
            yield from self._fetch_ahead(iter(numbers))
        else:
            for number in numbers:
                yield self._note(number, functools.partial(self.__getitem__, number))

    def _fetch_ahead(self, numbers: Iterator[int]) -> Iterator[Any]:
        # Imported here so that importing the package stays cheap.
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(self.workers, f"{type(self).__name__} worker")
        ahead: deque[tuple[int, Future[Any]]] = deque()
        try:
            while True:
                for number in itertools.islice(numbers, self.max_queue_size - len(ahead)):
                    ahead.append((number, pool.submit(self.__getitem__, number)))
                if not ahead:
                    return
                number, future = ahead.popleft()
                batch = self._note(number, future.result)
                del future  # or the batch would live as long as the next one
                yield batch
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _note(self, number: int, get: Callable[[], Any]) -> Any:
        """Return a batch, or raise what its making raised."""
        try:
            return get()
        except Exception as error:
            error.add_note(f"This is about batch {number} of {type(self).__name__}.")
            raise
