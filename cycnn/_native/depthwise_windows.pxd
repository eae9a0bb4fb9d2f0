"""Depthwise convolution with 3x3 windows, for `depthwise`."""

from .sliding cimport sliding_t

cdef bint windows_fit(const sliding_t* s) noexcept nogil
cdef Py_ssize_t window_chunks(const sliding_t* s) noexcept nogil
cdef void correlate_windows(
    const sliding_t* s, const float* source, const float* kernel, const float* bias, float* target, const float* y,
    int activation, Py_ssize_t task, char* scratch
) noexcept nogil
