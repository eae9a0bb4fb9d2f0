"""The step that works on number after number, for the families that are made of such steps."""

from cycnn._native.runtime cimport Step

cdef enum:
    CHUNK = 8192  # numbers per task: 32 KiB of float32

cdef class Elementwise(Step):
    cdef Py_ssize_t size  # how many numbers
    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil
