"""The thread pool, for those who limit every pool of a process with threadpoolctl."""

from __future__ import annotations

import os
from typing import Any

import cycnn
from cycnn import _native
from cycnn._native import threads


def register_with_threadpoolctl() -> None:
    """Let threadpoolctl see and limit cycnn's threads, as the user API "cycnn".

    Registering again changes nothing.

    Raises
    ------
    ImportError
        If threadpoolctl, of version 3.2 at least, is not installed.

    Examples
    --------
    >>> import cycnn
    >>> cycnn.utils.register_with_threadpoolctl()
    >>> from threadpoolctl import threadpool_limits
    >>> with threadpool_limits(limits=1, user_api="cycnn"):
    ...     cycnn.get_num_threads()
    1
    """
    try:
        from threadpoolctl import LibController, register
    except ImportError as error:
        raise ImportError(
            "register_with_threadpoolctl: threadpoolctl 3.2 or later must be installed: pip install threadpoolctl"
        ) from error

    ours = os.path.realpath(threads.__file__)

    class Controller(LibController):  # type: ignore[misc]
        user_api = "cycnn"
        internal_api = "cycnn"
        filename_prefixes = (os.path.basename(ours),)
        check_symbols = ("PyInit_threads",)

        def get_num_threads(self) -> int:
            return _native.get_num_threads()

        def set_num_threads(self, num_threads: Any) -> None:
            _native.set_num_threads(num_threads)

        def get_version(self) -> str:
            return cycnn.__version__

    register(Controller)
