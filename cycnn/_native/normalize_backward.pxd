"""What a step that stores the gradient of a rectified batch normalisation is told of it."""

from cycnn._native.runtime cimport Buffer
from .gated_norm cimport Norm


cdef class GatedNorm:
    cdef:
        Buffer scale, shift, mean  # IN  (C,)
        Buffer sums                # OUT (parts, 2, C)
        float high
    cdef Norm pointers(self) noexcept nogil
