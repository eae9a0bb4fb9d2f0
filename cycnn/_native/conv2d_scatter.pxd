"""Gradient of a convolution to an input of few channels."""

from cycnn._native.runtime cimport Buffer, Memory, Step

cdef struct Phase:
    # Rows phase, phase + stride_h, ... of dx: their row j is reached from rows j - pad + a dilation of dout, a < taps.
    Py_ssize_t taps, dilation, pad
    void* packed  # the PackedKernel of these taps, kept alive by the step

cdef class ScatterInput(Step):
    cdef:
        Buffer dout   # IN  (N, OH, OW, OC)
        Buffer bias   # IN  (IC,) or None
        Buffer dx     # OUT (N, IH, IW, IC)
        Buffer y      # IN  of dx's shape, or None
        tuple packed
        Phase* phases
        Memory lists  # for each column of dx how many products it adds, and where these are
        Py_ssize_t N, IH, IW, IC, OH, OW, OC, KW, stride_h
        Py_ssize_t lanes, products   # numbers that one pixel of dout becomes in a row of dx; in whole panels
        Py_ssize_t block_h, blocks   # rows of dx for each task, and tasks for each image
        int activation
    cdef int list_products(self, window) except -1
    cdef void multiply(self, Py_ssize_t n, Py_ssize_t ih, float* products, Py_ssize_t* starts) noexcept nogil
    cdef void add(self, Py_ssize_t n, Py_ssize_t ih, const float* products) noexcept nogil
