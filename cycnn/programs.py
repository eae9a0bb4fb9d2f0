"""The programs that a model keeps: those that its last few shapes of batches were lowered to.

Threads that predict at once with one model have a program each, with memory of its own; parameters, and what is packed
of them, they share.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import config
from ._native import get_num_threads
from ._native.limits import available_cpus

if TYPE_CHECKING:
    from .program import Lowered

# Full batches and a smaller last one, in training, validation and prediction.
MOST_PROGRAMS = 6

# Of activations that a thread works in at a time, in prediction: what the second cache of a core holds, or nearly so.
PIECE = 1 << 20
FEWEST_ROWS = 4  # parameters are read anew for each piece
MANY_PIECES = 4  # for each thread: one more or less makes little difference


class Programs:
    """Lowered programs by what they were lowered for; those that were used least lately are forgotten first.

    Threads may run different programs of a model at once: they only read its parameters. A step of training writes
    them, and keeps the others from running: it holds the locks of all, and the gate through which new ones come.

    Of programs that predict there are several of a kind where threads have wanted to run them at once, or where a batch
    comes in pieces, which the threads of the pool take: as many as there are CPUs for each, for more would only take
    memory.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], list[Lowered]] = OrderedDict()
        self._keys: dict[tuple[Any, ...], tuple[Any, ...]] = {}  # of predictions, by what an array looks like
        self._begin()

    def _begin(self) -> None:
        self._process, self._gate = os.getpid(), threading.RLock()
        self._most, self._turn = available_cpus(), 0
        self._alive: weakref.WeakSet[Lowered] = weakref.WeakSet()

    def _enter(self) -> threading.RLock:
        """Return the gate; a forked child has its own, for a thread that it does not have may hold its parent's."""
        if self._process != os.getpid():
            self._begin()
        return self._gate

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let no program of the model run in other threads meanwhile."""
        with self._enter(), contextlib.ExitStack() as held:
            for lowered in sorted(self._alive, key=id):
                held.enter_context(lowered.lock)
            yield

    def get(self, key: tuple[Any, ...], lower: Callable[[], Lowered]) -> Lowered:
        """Return the program of this key, lowered if it is not kept."""
        with self._enter():
            return self._of(key, lower)[0]

    @contextlib.contextmanager
    def claim(
        self, key: tuple[Any, ...], rows: int, lower: Callable[[Lowered | None], Lowered]
    ) -> Iterator[list[Lowered]]:
        """Give the caller programs of this key that no other thread runs: one, or those that share a batch of `rows`.

        `lower` makes what there is not: the first of the kind, or another like the first, which it is given.
        """
        with self._enter():
            same = self._of(key, lambda: lower(None))
            wanted = lanes(same[0], rows)
            while len(same) < wanted:
                self._add(same, lower(same[0]))
            claimed = _lock_free(same, wanted)
            if not claimed and len(same) < self._most + wanted - 1:
                self._add(same, lower(same[0]))
                claimed = _lock_free(same[-1:], 1)
            self._turn += 1
            awaited = same[self._turn % len(same)]
        if not claimed:  # wait for one of them, each thread for another
            awaited.lock.acquire()
            claimed = [awaited]
        try:
            yield claimed
        finally:
            release(claimed)

    def _add(self, same: list[Lowered], lowered: Lowered) -> None:
        self._alive.add(lowered)
        same.append(lowered)

    def _of(self, key: tuple[Any, ...], lower: Callable[[], Lowered]) -> list[Lowered]:
        """Return all programs of this key, at least one; the gate is held."""
        same = self._kept.pop(key, None)
        if same is None:
            same = []
            self._add(same, lower())
        self._kept[key] = same
        while len(self._kept) > MOST_PROGRAMS:
            self._kept.popitem(last=False)
        return same

    def values(self) -> list[Lowered]:
        """Return the programs, those used last at the end."""
        return [lowered for same in self._kept.values() for lowered in same]

    def remember(self, x: object, read: list[NDArray[Any]], key: tuple[Any, ...]) -> None:
        """Say that the program of this key predicts arrays like `x`, if it read it as it is: they need no checks."""
        if type(x) is not np.ndarray or len(read) > 1 or (x.shape, x.dtype) != (read[0].shape, read[0].dtype):
            return
        if len(self._keys) > MOST_PROGRAMS:
            self._keys.clear()
        self._keys[x.shape, x.dtype, config.winograd, os.getpid()] = key

    def recall(self, x: object) -> list[Lowered]:
        """Return programs that have predicted an array of this shape and type before and that no other thread runs, if
        there are any; the caller releases their locks."""
        if type(x) is not np.ndarray or not x.flags.carray:
            return []
        key = self._keys.get((x.shape, x.dtype, config.winograd, os.getpid()))
        same = [] if key is None else self._kept.get(key, [])
        return _lock_free(same, lanes(same[0], len(x))) if same else []


def release(programs: list[Lowered]) -> None:
    """Let other threads run the programs again."""
    for lowered in programs:
        lowered.lock.release()


def _lock_free(same: list[Lowered], most: int) -> list[Lowered]:
    """Lock and return programs that no other thread runs: so many, but one only if another thread predicts too."""
    claimed: list[Lowered] = []
    for lowered in same:
        if len(claimed) >= most:
            break
        if lowered.lock.acquire(blocking=False):
            claimed.append(lowered)
        else:
            most = 1
    return claimed


def lanes(lowered: Lowered, rows: int) -> int:
    """Return how many programs like this are to share a batch: one for each thread, if all get as much to do."""
    if rows == lowered.rows:
        return 1
    threads, pieces = get_num_threads(), rows // lowered.rows
    return threads if pieces % threads == 0 or pieces >= MANY_PIECES * threads else 1


def piece(lowered: Lowered) -> int:
    """Return how many rows of a batch to predict at a time, so that what layers hand on is still in the cache.

    Rows are predicted each by itself, unless a layer in Python sees them together. A piece is a divisor of the batch.
    """
    rows = lowered.rows
    if lowered.nbytes <= PIECE or lowered.whole is None:
        return rows
    fit = max(FEWEST_ROWS, rows * PIECE // lowered.nbytes)
    return next((size for size in range(min(fit, rows), FEWEST_ROWS - 1, -1) if rows % size == 0), rows)
