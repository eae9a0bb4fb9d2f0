"""What convolutions by register tiles share: the kernel packed into panels, and the call of a tile by its rows."""

from cycnn._native.runtime cimport Buffer, Memory, Step
from .simd cimport VL
from .tiles cimport Epilogue, Taps

cdef enum:
    PANEL = 2 * VL  # channels per panel

cdef class PackedKernel(Step):
    cdef:
        Buffer kernel  # IN  (KH, KW, IC, OC), (KW, IC, OC) for one row, or (IC, OC) for 1x1
        Memory memory  # of its own, or None
        float* data    # OUT
        tuple form     # what it is made with besides the kernel
        unsigned long long packed_version
        Py_ssize_t nbytes, KW, C, OC, tap_rows, tap_columns, first_h, step_h, first_w, step_w
        Py_ssize_t groups, c_step, o_step, group_step, tap_step, panels  # panels of a group
        Py_ssize_t lots, chunk, chunks  # its division into tasks: lots of panels, chunks of source channels
    cdef void place(self, char* data) noexcept nogil

cdef PackedKernel packed_kernel(
    Buffer kernel, tuple taps_h, tuple taps_w, bint transposed, bint flat=*, Py_ssize_t groups=*
)
cdef tuple phase_taps(Py_ssize_t phase, Py_ssize_t K, Py_ssize_t stride, Py_ssize_t dilation, Py_ssize_t pad)
cdef void correlate_tile(
    Py_ssize_t rows, const Taps* taps, const float* x, Py_ssize_t pixel, const float* panel, const Epilogue* epilogue,
    float* out, Py_ssize_t out_pixel, Py_ssize_t channels,
) noexcept nogil
cdef void slide_tile(
    Py_ssize_t rows, Py_ssize_t KW, Py_ssize_t KH, Py_ssize_t row, Py_ssize_t C, const float* x, Py_ssize_t pixel,
    const float* panel, const Epilogue* epilogue, float* out, Py_ssize_t out_pixel, Py_ssize_t channels,
) noexcept nogil
cdef void copy_rows(
    const float* source, Py_ssize_t row, Py_ssize_t channels, Py_ssize_t C, float* panel, Py_ssize_t width,
) noexcept nogil
cdef void transpose_rows(
    const float* source, Py_ssize_t row, Py_ssize_t channels, Py_ssize_t C, float* panel, Py_ssize_t width,
) noexcept nogil
