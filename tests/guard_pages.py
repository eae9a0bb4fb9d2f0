"""Arrays that end, or begin, where the process may not read: a step that oversteps them crashes the test."""

import ctypes
import mmap
import sys

import numpy as np
import pytest


def guarded(array, at_end=True):
    """Return a copy of `array` next to a page without access: behind its end, or before its start."""
    if not sys.platform.startswith("linux"):
        pytest.skip("page protection is set through Linux's mprotect")
    page = mmap.PAGESIZE
    pages = -(-max(array.nbytes, 1) // page)
    block = mmap.mmap(-1, (pages + 2) * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(block))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for guard in (address, address + (pages + 1) * page):
        if protect(ctypes.c_void_p(guard), ctypes.c_size_t(page), 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    offset = page + (pages * page - array.nbytes if at_end else 0)
    copy = np.frombuffer(block, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    return copy
