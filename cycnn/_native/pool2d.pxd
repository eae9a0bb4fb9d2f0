"""What pooling and its gradients share: the size of a block of channels, and the division into tasks."""

from libc.stdint cimport int32_t, uint8_t

from cycnn._native.runtime cimport Buffer, Step
from .geometry cimport geometry_t

ctypedef fused index_t:
    uint8_t
    int32_t

cdef enum:
    # Channels per block. gcc unrolls loops of up to 16 rounds before it looks for vectors, and then finds none where
    # numbers are selected, as for maxima.
    MAX_LANES = 32
    AVERAGE_LANES = 16


cdef inline Py_ssize_t next_block(Py_ssize_t c, Py_ssize_t C, Py_ssize_t lanes) noexcept nogil:
    """Return the first channel of the block after that at `c`; the last ends at C unless C < lanes."""
    return C if c + lanes >= C else min(c + lanes, C - lanes)


cdef class Pooling(Step):
    cdef:
        Buffer index  # uint8, or int32 for windows of more than 256 pixels: of out's shape; or None
        geometry_t g
        Py_ssize_t rows, rows_per_task
        double cost
    cdef divide(self, Buffer x, Buffer out, window, Py_ssize_t rows)
    cdef void* index_data(self) noexcept nogil
