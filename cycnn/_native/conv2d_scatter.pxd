"""Gradient of a convolution to an input of few channels."""

from cycnn._native.runtime cimport Buffer, Step
from .correlation cimport PackedKernel

cdef class ScatterInput(Step):
    cdef:
        Buffer dout  # IN  (N, OH, OW, OC)
        Buffer bias  # IN  (IC,) or None
        Buffer dx    # OUT (N, IH, IW, IC)
        Buffer y     # IN  of dx's shape, or None
        PackedKernel packed
        Py_ssize_t N, IH, IW, IC, OH, OW, OC, KH, KW
        Py_ssize_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left
        Py_ssize_t height, width        # of the padded image
        Py_ssize_t runs, length         # contiguous runs of a row of the kernel, and their length
        Py_ssize_t products             # numbers that one pixel of dout becomes, in whole panels
        int activation
    cdef void add_products(self, const float* products, Py_ssize_t oh, Py_ssize_t ow, float* image) noexcept nogil
    cdef void crop(self, const float* image, Py_ssize_t n) noexcept nogil
