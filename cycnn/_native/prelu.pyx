"""Leaky rectification with learned slopes, float32 and float64.

    out_i = x_i where x_i > 0, else alpha_k x_i
    dx_i = dout_i where x_i > 0, alpha_k dout_i where x_i < 0, else 0
    dalpha_k = sum over the i that share alpha_k of dout_i min(x_i, 0)

k is the place of i in alpha, an array that is repeated along the batch and along shared axes (`broadcast.pxd`). The
sums go into doubles, PARTS of the rows side by side, and the parts are added in order.
"""

from libc.string cimport memset

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_t
from .broadcast cimport broadcast_t, make_broadcast, place_of_run
from .elementwise cimport CHUNK, Elementwise

cdef enum:
    PARTS = 16

ctypedef void (*forward_loop)(
    const void* x, const void* alpha, void* out, Py_ssize_t n, bint repeats
) noexcept nogil
ctypedef void (*backward_loop)(
    const void* dout, const void* x, const void* alpha, void* dx, Py_ssize_t n, bint repeats
) noexcept nogil
ctypedef void (*sum_loop)(const void* dout, const void* x, double* sums, Py_ssize_t n, bint repeats) noexcept nogil
ctypedef void (*total_loop)(const double* sums, void* dalpha, Py_ssize_t parts, Py_ssize_t n) noexcept nogil


cdef void _forward(const real_t* x, const real_t* alpha, real_t* out, Py_ssize_t n, bint repeats) noexcept nogil:
    cdef:
        Py_ssize_t i
        real_t slope = alpha[0], a
    if repeats:
        for i in range(n):
            a = slope * x[i]
            out[i] = x[i] if x[i] > 0 else a
    else:
        for i in range(n):
            a = alpha[i] * x[i]
            out[i] = x[i] if x[i] > 0 else a


cdef void _backward(
    const real_t* dout, const real_t* x, const real_t* alpha, real_t* dx, Py_ssize_t n, bint repeats
) noexcept nogil:
    cdef:
        Py_ssize_t i
        real_t zero = 0, slope = alpha[0], a
    for i in range(n):
        a = (slope if repeats else alpha[i]) * dout[i]
        a = a if x[i] < 0 else zero
        dx[i] = dout[i] if x[i] > 0 else a


cdef void _sum(const real_t* dout, const real_t* x, double* sums, Py_ssize_t n, bint repeats) noexcept nogil:
    """Add dout_i min(x_i, 0) to sums_i, or all of them to sums_0. A NaN is added too."""
    cdef:
        Py_ssize_t i
        real_t zero = 0
        double total = 0
    if repeats:
        for i in range(n):
            total += <double> dout[i] * <double> (zero if x[i] > 0 else x[i])
        sums[0] += total
    else:
        for i in range(n):
            sums[i] += <double> dout[i] * <double> (zero if x[i] > 0 else x[i])


cdef void _total(const double* sums, real_t* dalpha, Py_ssize_t parts, Py_ssize_t n) noexcept nogil:
    cdef:
        Py_ssize_t i, part
        double total
    for i in range(n):
        total = 0
        for part in range(parts):
            total += sums[part * n + i]
        dalpha[i] = <real_t> total


cdef class PReLUForward(Elementwise):
    """out = x where x > 0, else alpha x."""

    cdef:
        Buffer x      # IN
        Buffer alpha  # IN, of x's shape but for the batch and for axes of 1
        Buffer out    # OUT, of x's shape
        broadcast_t b
        forward_loop loop

    def __init__(self, Buffer x, Buffer alpha, Buffer out):
        self.x, self.alpha, self.out = x, alpha, out
        self.size = x.size
        make_broadcast(&self.b, x.shape, (1, *alpha.shape))
        self.loop = <forward_loop> _forward[float] if x.dtype == "float32" else <forward_loop> _forward[double]

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t stop = start + n, itemsize = self.x.itemsize, place, count
        while start < stop:
            place = place_of_run(&self.b, start // self.b.run) + (0 if self.b.repeats else start % self.b.run)
            count = min(self.b.run - start % self.b.run, stop - start)
            self.loop(
                self.x.data + start * itemsize, self.alpha.data + place * itemsize, self.out.data + start * itemsize,
                count, self.b.repeats,
            )
            start += count


cdef class PReLUBackward(Step):
    """The gradients to x, and to alpha where it is wanted."""

    cdef:
        Buffer dout    # IN
        Buffer x       # IN, of dout's shape
        Buffer alpha   # IN, of x's shape but for the batch and for axes of 1
        Buffer dx      # OUT, of x's shape; or None
        Buffer dalpha  # OUT, of alpha's shape; or None
        broadcast_t b
        Py_ssize_t runs, parts
        backward_loop backward
        sum_loop sum
        total_loop total

    def __init__(self, Buffer dout, Buffer x, Buffer alpha, Buffer dx, Buffer dalpha):
        self.dout, self.x, self.alpha, self.dx, self.dalpha = dout, x, alpha, dx, dalpha
        make_broadcast(&self.b, x.shape, (1, *alpha.shape))
        self.runs = x.size // self.b.run
        # Sums that take less than the numbers they are of.
        self.parts = min(<Py_ssize_t> PARTS, 1 + x.size // (8 * max(<Py_ssize_t> CHUNK, alpha.size)))
        if dalpha is not None:
            self.workspace = self.parts * alpha.size * <Py_ssize_t> sizeof(double)
        if x.dtype == "float32":
            self.backward, self.sum = <backward_loop> _backward[float], <sum_loop> _sum[float]
            self.total = <total_loop> _total[float]
        else:
            self.backward, self.sum = <backward_loop> _backward[double], <sum_loop> _sum[double]
            self.total = <total_loop> _total[double]

    cdef void run(self) noexcept nogil:
        if self.dalpha is not None:
            memset(self.work, 0, self.workspace)
        self.split(self.parts, 8.0 * self.x.size)
        if self.dalpha is not None:
            self.total(<const double*> self.work, self.dalpha.data, self.parts, self.alpha.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t run, at, place, n = self.b.run, itemsize = self.x.itemsize
            double* sums = <double*> self.work + i * self.alpha.size
        for run in range(self.runs * i // self.parts, self.runs * (i + 1) // self.parts):
            at = run * n * itemsize
            place = place_of_run(&self.b, run)
            if self.dx is not None:
                self.backward(
                    self.dout.data + at, self.x.data + at, self.alpha.data + place * itemsize, self.dx.data + at, n,
                    self.b.repeats,
                )
            if self.dalpha is not None:
                self.sum(self.dout.data + at, self.x.data + at, sums + place, n, self.b.repeats)
