"""Ctrl-C between two steps of training, never within one."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class AtomicStep:
    """Context in which Ctrl-C waits for the end of the block; the second one does not wait.

    Only the main thread receives signals, and a handler that the user has set is left in place.
    """

    def __enter__(self) -> None:
        self._waiting = False
        self._handling = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._handling:
            signal.signal(signal.SIGINT, self._note)

    def __exit__(self, *exception: object) -> None:
        if self._handling:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._waiting:
            raise KeyboardInterrupt

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self._waiting:
            raise KeyboardInterrupt
        self._waiting = True
