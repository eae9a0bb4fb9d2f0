"""Copies, sums and fills through strides: concatenation, padding, cropping, permutation, repetition.

    StridedCopy   out[i . out_strides] = x[i . x_strides]            for every index i of the walk's shape
    StridedSum    out[i . out_strides] = sum of x[i . x_strides]     over the axes whose out_stride is zero
    Fill          out[i . out_strides] = value

The adjoint of a copy is a sum: x repeated by strides of zero gets the sum of its copies' gradients. Copies are divided
into equal numbers of elements, and each task goes from run to run (`rearrange.pxd`) with memcpy. Sums are divided by
their results, so each is added up by one task, in an order that only the shape determines.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_t
from .rearrange cimport advance, close, copy_loop, copy_walk, item_t, join, place_t, read_walk, seek, walk_t
from .rows cimport row_sum

cdef enum:
    CHUNK = 8192  # numbers per task
    PIECE = 1024  # sums that are added up side by side
    PART = 64     # terms that are added up before they join the total: errors grow with n / PART + PART, not with n

ctypedef void (*fill_loop)(const walk_t* w, void* out, Py_ssize_t start, Py_ssize_t n, double value) noexcept nogil

cdef struct sum_t:
    # A piece of the innermost kept axis, summed over all steps of the summed axes, is a unit of work.
    walk_t kept        # all kept axes but the innermost
    walk_t summed      # all summed axes but one that is innermost of all
    Py_ssize_t length, x_stride, out_stride  # the innermost kept axis
    Py_ssize_t row, row_stride               # the summed axis that is innermost of all; 1 where there is none
    Py_ssize_t pieces                        # into which `length` is divided
    Py_ssize_t terms                         # steps of `summed`

ctypedef void (*sum_loop)(const sum_t* s, const void* x, void* out, Py_ssize_t unit, void* part) noexcept nogil


cdef void _copy(const walk_t* w, const item_t* x, item_t* out, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    copy_walk(w, x, out, start, n)


cdef copy_loop _copy_loop(Py_ssize_t itemsize) noexcept:
    """Return the copy for elements of 1, 4 or 8 bytes."""
    if itemsize == 1:
        return <copy_loop> _copy[uint8_t]
    return <copy_loop> _copy[uint32_t] if itemsize == 4 else <copy_loop> _copy[uint64_t]


cdef void _fill(const walk_t* w, real_t* out, Py_ssize_t start, Py_ssize_t n, double value) noexcept nogil:
    cdef:
        Py_ssize_t last = w.axes - 1, length = w.extent[last], within = start % length, run, i
        Py_ssize_t out_stride = w.out_stride[last]
        real_t item = <real_t> value
        real_t* place_out
        place_t place
    seek(w, last, start // length, &place)
    while n > 0:
        run = min(n, length - within)
        place_out = out + place.out + within * out_stride
        if out_stride == 1:
            for i in range(run):
                place_out[i] = item
        else:
            for i in range(run):
                place_out[i * out_stride] = item
        advance(w, last, &place)
        within = 0
        n -= run


cdef inline void _add_term(
    const sum_t* s, const real_t* x, real_t* part, Py_ssize_t n, bint first
) noexcept nogil:
    """part[i] += x[i], or the sum of the row there; = instead of += where it is the first."""
    cdef:
        Py_ssize_t i, r
        real_t total
    if s.row == 1 and s.x_stride == 1:
        if first:
            for i in range(n):
                part[i] = x[i]
        else:
            for i in range(n):
                part[i] += x[i]
        return
    for i in range(n):
        if s.row_stride == 1:
            total = row_sum(x + i * s.x_stride, s.row)
        else:
            total = 0
            for r in range(s.row):
                total += x[i * s.x_stride + r * s.row_stride]
        part[i] = total if first else part[i] + total


cdef inline void _flush(real_t* part, real_t* out, Py_ssize_t out_stride, Py_ssize_t n, bint first) noexcept nogil:
    """out[i] += part[i]; = where it is the first."""
    cdef Py_ssize_t i
    for i in range(n):
        out[i * out_stride] = part[i] if first else out[i * out_stride] + part[i]


cdef void _sum(const sum_t* s, const real_t* x, real_t* out, Py_ssize_t unit, real_t* part) noexcept nogil:
    """Sum one unit; `part` has room for PIECE numbers."""
    cdef:
        Py_ssize_t start = unit % s.pieces * PIECE, n = min(<Py_ssize_t> PIECE, s.length - start), t, i
        place_t kept, term
    seek(&s.kept, s.kept.axes, unit // s.pieces, &kept)
    x += kept.x + start * s.x_stride
    out += kept.out + start * s.out_stride
    if s.terms == 0:
        for i in range(n):
            out[i * s.out_stride] = 0
        return
    seek(&s.summed, s.summed.axes, 0, &term)
    for t in range(s.terms):
        _add_term(s, x + term.x, part, n, t % PART == 0)
        if t % PART == PART - 1 or t == s.terms - 1:
            _flush(part, out, s.out_stride, n, t < PART)
        advance(&s.summed, s.summed.axes, &term)


cdef class StridedCopy(Step):
    """out[i . out_strides] = x[i . x_strides]."""

    cdef:
        Buffer x    # IN, of any type
        Buffer out  # OUT, of x's type; other elements than the walk's keep their values
        walk_t walk
        copy_loop loop

    def __init__(self, Buffer x, Buffer out, walk):
        self.x, self.out = x, out
        read_walk(&self.walk, walk)
        self.loop = _copy_loop(x.itemsize)

    cdef void run(self) noexcept nogil:
        self.split((self.walk.size + CHUNK - 1) // CHUNK, <double> self.walk.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t start = i * CHUNK
        self.loop(&self.walk, self.x.data, self.out.data, start, min(<Py_ssize_t> CHUNK, self.walk.size - start))


cdef class Fill(Step):
    """out[i . out_strides] = value."""

    cdef:
        Buffer out  # OUT; other elements than the walk's keep their values
        walk_t walk
        double value
        fill_loop loop

    def __init__(self, Buffer out, double value, walk):
        self.out, self.value = out, value
        read_walk(&self.walk, walk)
        self.loop = <fill_loop> _fill[float] if out.dtype == "float32" else <fill_loop> _fill[double]

    cdef void run(self) noexcept nogil:
        self.split((self.walk.size + CHUNK - 1) // CHUNK, <double> self.walk.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t start = i * CHUNK
        self.loop(&self.walk, self.out.data, start, min(<Py_ssize_t> CHUNK, self.walk.size - start), self.value)


cdef class StridedSum(Step):
    """out[i . out_strides] = sum of x[i . x_strides] over the axes whose out_stride is zero."""

    cdef:
        Buffer x    # IN
        Buffer out  # OUT; other elements than the walk's keep their values
        sum_t s
        Py_ssize_t units, block
        double cost
        sum_loop loop

    def __init__(self, Buffer x, Buffer out, walk):
        cdef walk_t w
        cdef Py_ssize_t a, last, unit
        self.x, self.out = x, out
        w.axes = 0
        read_walk(&w, walk)
        last = w.axes - 1
        self.s.row = self.s.row_stride = 1
        if w.out_stride[last] == 0:
            self.s.row, self.s.row_stride = w.extent[last], w.x_stride[last]
            w.axes -= 1
        last = w.axes - 1
        while last >= 0 and w.out_stride[last] == 0:
            last -= 1
        self.s.length = self.s.x_stride = self.s.out_stride = 1
        if last >= 0:
            self.s.length, self.s.x_stride, self.s.out_stride = w.extent[last], w.x_stride[last], w.out_stride[last]
        self.s.kept.axes = self.s.summed.axes = 0
        for a in range(w.axes):
            if w.out_stride[a] == 0:
                join(&self.s.summed, w.extent[a], w.x_stride[a], 0)
            elif a != last:
                join(&self.s.kept, w.extent[a], w.x_stride[a], w.out_stride[a])
        close(&self.s.kept)
        close(&self.s.summed)
        self.s.kept.x_offset, self.s.kept.out_offset = w.x_offset, w.out_offset
        self.s.summed.x_offset = self.s.summed.out_offset = 0
        self.s.terms = self.s.summed.size
        self.s.pieces = (self.s.length + PIECE - 1) // PIECE
        self.units = self.s.kept.size * self.s.pieces
        unit = min(self.s.length, <Py_ssize_t> PIECE) * self.s.row * self.s.terms
        self.block = max(<Py_ssize_t> 1, CHUNK // max(<Py_ssize_t> 1, unit))
        self.scratch = PIECE * x.itemsize
        self.cost = <double> w.size
        self.loop = <sum_loop> _sum[float] if x.dtype == "float32" else <sum_loop> _sum[double]

    cdef void run(self) noexcept nogil:
        self.split((self.units + self.block - 1) // self.block, self.cost)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t unit
        for unit in range(i * self.block, min((i + 1) * self.block, self.units)):
            self.loop(&self.s, self.x.data, self.out.data, unit, scratch)
