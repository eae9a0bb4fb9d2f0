"""The step that all losses are, and what their loops share."""

from libc.math cimport log, log1p, log1pf, logf

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_t

# `p` has room for a block of numbers: it is where the probabilities go, or scratch memory. `dx` may be NULL.
# `share` is what a row counts in the total, `options` what is special to a loss.
ctypedef void (*loss_loop)(
    const void* y, const void* x, void* p, void* losses, void* dx, Py_ssize_t rows, Py_ssize_t columns,
    double share, const double* options
) noexcept nogil

cdef class Loss(Step):
    cdef:
        Buffer y_true         # IN
        Buffer x              # IN: the last axis has the columns
        Buffer probabilities  # OUT, of x's shape, or None
        Buffer losses         # OUT, a number per row
        Buffer dx             # OUT, of x's shape, or None; may be x
        Buffer weights        # IN, of as many numbers as divide the rows, or None
        bint average          # of the rows, or their sum
        double share          # of a row in the total
        double factor         # of all rows, on top of their weights
        double gain, offset   # targets are gain y + offset
        bint ignoring         # rows whose label is `ignored`
        int ignored
        double[4] numbers     # where a few `options` are kept
        double* options
        Py_ssize_t rows, columns, block, y_bytes
        loss_loop loop
    cdef void prepare(self) noexcept nogil
    cdef void smooth(self, double label_smoothing, double classes)


cdef inline real_t real_log(real_t x) noexcept nogil:
    if real_t is float:
        return logf(x)
    else:
        return log(x)


cdef inline real_t real_log1p(real_t x) noexcept nogil:
    if real_t is float:
        return log1pf(x)
    else:
        return log1p(x)


cdef inline real_t clip(real_t p) noexcept nogil:
    """Return p within Keras's bounds of a probability; NaN stays NaN."""
    cdef real_t low = 1e-7, high = 1 - 1e-7
    return low if p < low else high if p > high else p
