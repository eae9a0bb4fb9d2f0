"""Softmax and its logarithm over one axis, and their gradients.

    softmax      y_i = e^x_i / sum_j e^x_j           dx_i = y_i (dout_i - sum_j dout_j y_j)
    log softmax  y_i = x_i - ln sum_j e^x_j          dx_i = dout_i - e^y_i sum_j dout_j

The array is seen as OUTER x COUNT x INNER, COUNT the extent of the axis. Where the axis is the last, INNER = 1, a row
is one contiguous piece. Otherwise the vectors of the machine go along INNER: STRIP columns are summed side by side.
The maximum is taken off first, so that no exponential overflows; a NaN makes its whole row NaN.
"""

from libc.math cimport INFINITY, log

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_exp, real_t
from .rows cimport exponentiate, row_dot, row_sum, rows_per_task, scale_row, shift_rows

cdef enum:
    STRIP = 64  # columns of one task where the axis is not the last

ctypedef void (*softmax_loop)(
    bint logarithm, const void* x, void* out, Py_ssize_t rows, Py_ssize_t count, Py_ssize_t inner
) noexcept nogil
ctypedef void (*softmax_backward_loop)(
    bint logarithm, const void* dout, const void* y, void* dx, Py_ssize_t rows, Py_ssize_t count, Py_ssize_t inner
) noexcept nogil


cdef void _rows(
    bint logarithm, const real_t* x, real_t* out, Py_ssize_t rows, Py_ssize_t count, Py_ssize_t inner
) noexcept nogil:
    cdef:
        Py_ssize_t r, i
        real_t norm
    shift_rows(x, out, rows, count)
    exponentiate(out, rows * count)
    if not logarithm:
        for r in range(rows):
            scale_row(out + r * count, 1 / row_sum(out + r * count, count), count)
        return
    for r in range(rows):
        norm = <real_t> log(row_sum(out + r * count, count))
        shift_rows(x + r * count, out + r * count, 1, count)
        for i in range(r * count, (r + 1) * count):
            out[i] = out[i] - norm


cdef void _strip(
    bint logarithm, const real_t* x, real_t* out, Py_ssize_t columns, Py_ssize_t count, Py_ssize_t inner
) noexcept nogil:
    """Work on so many columns, at most STRIP, the rows of which are `inner` apart."""
    cdef:
        real_t[STRIP] largest
        real_t[STRIP] norm
        real_t one = 1
        Py_ssize_t k, c
    for c in range(columns):
        largest[c], norm[c] = -INFINITY, 0
    for k in range(count):
        for c in range(columns):
            largest[c] = max(largest[c], x[k * inner + c])
    for k in range(count):
        for c in range(columns):
            norm[c] += real_exp(x[k * inner + c] - largest[c])
    for c in range(columns):
        norm[c] = <real_t> log(norm[c]) if logarithm else one / norm[c]
    for k in range(count):
        if logarithm:
            for c in range(columns):
                out[k * inner + c] = x[k * inner + c] - largest[c] - norm[c]
        else:
            for c in range(columns):
                out[k * inner + c] = norm[c] * real_exp(x[k * inner + c] - largest[c])


cdef void _rows_backward(
    bint logarithm, const real_t* dout, const real_t* y, real_t* dx, Py_ssize_t rows, Py_ssize_t count,
    Py_ssize_t inner
) noexcept nogil:
    cdef:
        Py_ssize_t r, i
        real_t total
    for r in range(rows):
        if logarithm:
            total = row_sum(dout + r * count, count)
            for i in range(r * count, (r + 1) * count):
                dx[i] = dout[i] - real_exp(y[i]) * total
        else:
            total = row_dot(dout + r * count, y + r * count, count)
            for i in range(r * count, (r + 1) * count):
                dx[i] = y[i] * (dout[i] - total)


cdef void _strip_backward(
    bint logarithm, const real_t* dout, const real_t* y, real_t* dx, Py_ssize_t columns, Py_ssize_t count,
    Py_ssize_t inner
) noexcept nogil:
    cdef:
        real_t[STRIP] total
        Py_ssize_t k, c, i
    for c in range(columns):
        total[c] = 0
    for k in range(count):
        for c in range(columns):
            i = k * inner + c
            total[c] += dout[i] if logarithm else dout[i] * y[i]
    for k in range(count):
        for c in range(columns):
            i = k * inner + c
            dx[i] = dout[i] - real_exp(y[i]) * total[c] if logarithm else y[i] * (dout[i] - total[c])


cdef class _OverAxis(Step):
    """A step on one axis: blocks of rows where it is the last, strips of columns otherwise."""

    cdef:
        Py_ssize_t outer, count, inner, strips, size
        bint logarithm

    cdef void view(self, tuple shape, Py_ssize_t axis):
        cdef Py_ssize_t i
        self.outer = self.inner = 1
        self.count = shape[axis]
        for i in range(len(shape)):
            if i < axis:
                self.outer *= shape[i]
            elif i > axis:
                self.inner *= shape[i]
        self.strips = (self.inner + STRIP - 1) // STRIP
        self.size = self.outer * self.count * self.inner

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t block = rows_per_task(self.count)
        if self.size == 0:
            return
        self.split((self.outer + block - 1) // block if self.inner == 1 else self.outer * self.strips, 8.0 * self.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t block = rows_per_task(self.count), first
        if self.inner == 1:
            self.piece(i * block * self.count, min(block, self.outer - i * block))
        else:
            first = i % self.strips * STRIP
            self.piece(i // self.strips * self.count * self.inner + first, min(<Py_ssize_t> STRIP, self.inner - first))

    cdef void piece(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        """Work on n rows or n columns, of which the first number is at `start`."""


cdef class SoftmaxForward(_OverAxis):
    """out = softmax(x) over an axis, or its logarithm."""

    cdef:
        Buffer x    # IN
        Buffer out  # OUT, of x's shape; may be x, but for the logarithm
        softmax_loop loop

    def __init__(self, Buffer x, Buffer out, Py_ssize_t axis, bint logarithm):
        self.x, self.out, self.logarithm = x, out, logarithm
        self.view(x.shape, axis)
        if x.dtype == "float32":
            self.loop = <softmax_loop> _rows[float] if self.inner == 1 else <softmax_loop> _strip[float]
        else:
            self.loop = <softmax_loop> _rows[double] if self.inner == 1 else <softmax_loop> _strip[double]

    cdef void piece(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t at = start * self.x.itemsize
        self.loop(self.logarithm, self.x.data + at, self.out.data + at, n, self.count, self.inner)


cdef class SoftmaxBackward(_OverAxis):
    """The gradient of softmax over an axis, or of its logarithm, from what it returned."""

    cdef:
        Buffer dout  # IN
        Buffer y     # IN, of dout's shape
        Buffer dx    # OUT, of dout's shape; may be dout
        softmax_backward_loop loop

    def __init__(self, Buffer dout, Buffer y, Buffer dx, Py_ssize_t axis, bint logarithm):
        self.dout, self.y, self.dx, self.logarithm = dout, y, dx, logarithm
        self.view(dout.shape, axis)
        if dout.dtype == "float32":
            self.loop = (
                <softmax_backward_loop> _rows_backward[float] if self.inner == 1
                else <softmax_backward_loop> _strip_backward[float]
            )
        else:
            self.loop = (
                <softmax_backward_loop> _rows_backward[double] if self.inner == 1
                else <softmax_backward_loop> _strip_backward[double]
            )

    cdef void piece(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t at = start * self.dx.itemsize
        self.loop(
            self.logarithm, self.dout.data + at, self.y.data + at, self.dx.data + at, n, self.count, self.inner
        )
