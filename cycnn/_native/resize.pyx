"""Resized images: a weighted sum of a few neighbouring rows, and of a few neighbouring columns.

    Resize  out[n, oh, ow, c] = sum over r, s of v[oh, r] h[ow, s] x[n, rows[oh] + r, columns[ow] + s, c]
    Round   out = the whole number next to x

    N x IH x IW x C, N x OH x OW x C   extents of x and out

Which rows and columns, with which weights, stands in tables (`cycnn.interpolation`), so that all interpolations are
this one loop, and so are their gradients, whose tables are transposed. Rows first: their weighted sum is one long
contiguous loop, and is read again at once from the first-level cache, when the columns are summed up.
"""

from libc.math cimport rint
from libc.stdint cimport int64_t

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_t
from .elementwise cimport Elementwise

cdef enum:
    CHUNK = 8192  # numbers per task, or one row

cdef struct taps_t:
    # Output o reads the inputs first[o], first[o] + 1, ... with the weights starts[o]..starts[o + 1]-1.
    Py_ssize_t outputs
    const int64_t* first
    const int64_t* starts
    const void* weights

ctypedef void (*round_loop)(const void* x, void* out, Py_ssize_t n, double low, double high) noexcept nogil
ctypedef void (*resize_loop)(
    const taps_t* rows, const taps_t* columns, const void* image, Py_ssize_t IW, Py_ssize_t C, Py_ssize_t oh,
    void* out, void* sums
) noexcept nogil


cdef inline void _add_weighted(
    const real_t* x, real_t weight, real_t* out, Py_ssize_t n, bint first
) noexcept nogil:
    """out += weight * x; = instead of += where it is the first."""
    cdef Py_ssize_t i
    if first:
        for i in range(n):
            out[i] = weight * x[i]
    else:
        for i in range(n):
            out[i] += weight * x[i]


cdef inline void _weighted_sum(
    const taps_t* taps, Py_ssize_t o, const real_t* x, Py_ssize_t step, real_t* out, Py_ssize_t n
) noexcept nogil:
    """out = sum over the taps t of o of weight[t] * x[t], vectors of n numbers, `step` numbers apart."""
    cdef:
        const real_t* weights = <const real_t*> taps.weights
        Py_ssize_t t, i
    x += taps.first[o] * step
    if taps.starts[o] == taps.starts[o + 1]:
        for i in range(n):
            out[i] = 0
    for t in range(taps.starts[o], taps.starts[o + 1]):
        _add_weighted(x, weights[t], out, n, t == taps.starts[o])
        x += step


cdef void _resize_row(
    const taps_t* rows, const taps_t* columns, const real_t* image, Py_ssize_t IW, Py_ssize_t C, Py_ssize_t oh,
    real_t* out, real_t* sums
) noexcept nogil:
    """Make one row of out; `sums` has room for a row of x."""
    cdef Py_ssize_t ow
    _weighted_sum(rows, oh, image, IW * C, sums, IW * C)
    for ow in range(columns.outputs):
        _weighted_sum(columns, ow, sums, C, out + ow * C, C)


cdef void _round(const real_t* x, real_t* out, Py_ssize_t n, double low, double high) noexcept nogil:
    cdef:
        Py_ssize_t i
        real_t whole, least = <real_t> low, most = <real_t> high
    for i in range(n):
        whole = <real_t> rint(x[i])
        whole = least if whole < least else whole
        out[i] = most if whole > most else whole


cdef class Resize(Step):
    """Resize each image of x to the size of out."""

    cdef:
        Buffer x     # IN (N, IH, IW, C)
        Buffer out   # OUT (N, OH, OW, C)
        tuple rows, columns  # IN: of each the first inputs (outputs,), starts (outputs + 1,) and weights (taps,)
        taps_t row_taps, column_taps
        Py_ssize_t N, IH, IW, C, OH, OW, block
        double cost
        resize_loop loop

    def __init__(self, Buffer x, Buffer out, tuple rows, tuple columns):
        cdef Py_ssize_t row
        self.x, self.out, self.rows, self.columns = x, out, rows, columns
        self.N, self.IH, self.IW, self.C = x.shape
        _, self.OH, self.OW, _ = out.shape
        _read_taps(&self.row_taps, rows)
        _read_taps(&self.column_taps, columns)
        row = max(self.OW, self.IW) * self.C
        self.block = max(<Py_ssize_t> 1, CHUNK // max(<Py_ssize_t> 1, row))
        self.cost = <double> row * self.N * (<Buffer> rows[2]).size + <double> out.size
        self.scratch = self.IW * self.C * x.itemsize
        self.loop = <resize_loop> _resize_row[float] if x.dtype == "float32" else <resize_loop> _resize_row[double]

    cdef void run(self) noexcept nogil:
        self.split((self.N * self.OH + self.block - 1) // self.block, self.cost)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t row, image = self.IH * self.IW * self.C * self.x.itemsize
        for row in range(i * self.block, min((i + 1) * self.block, self.N * self.OH)):
            self.loop(
                &self.row_taps, &self.column_taps, self.x.data + row // self.OH * image, self.IW, self.C,
                row % self.OH, self.out.data + row * self.OW * self.C * self.out.itemsize, scratch,
            )


cdef int _read_taps(taps_t* taps, tuple table) except -1:
    """Fill in `taps` from buffers that are bound to constants."""
    cdef Buffer first = table[0], starts = table[1], weights = table[2]
    taps.outputs = first.size
    taps.first, taps.starts = <const int64_t*> first.data, <const int64_t*> starts.data
    taps.weights = weights.data
    return 0


cdef class Round(Elementwise):
    """out = the whole number next to x, the even one of two, between low and high."""

    cdef:
        Buffer x    # IN
        Buffer out  # OUT, of x's shape; may be x
        double low, high
        round_loop loop

    def __init__(self, Buffer x, Buffer out, double low, double high):
        self.x, self.out = x, out
        self.size = x.size
        self.low, self.high = low, high
        self.loop = <round_loop> _round[float] if x.dtype == "float32" else <round_loop> _round[double]

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t at = start * self.x.itemsize
        self.loop(self.x.data + at, self.out.data + at, n, self.low, self.high)
