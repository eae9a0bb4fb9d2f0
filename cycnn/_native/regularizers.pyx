"""Penalties on the size of the numbers of an array w, a parameter or what a layer puts out:

    Penalty   penalty = l1 sum |w| + l2 sum w^2
              dw <- dw + l1 sign(w) + 2 l2 w

Both in one pass: w is read once, chunk by chunk, and its gradient is added to while the chunk is in the cache. The sum
of a chunk goes into fixed lanes, and those of the chunks are added in their order.
"""

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_t
from .rows cimport row_absolute_sum, row_dot

cdef enum:
    CHUNK = 8192  # numbers per task: 32 KiB of float32

ctypedef double (*penalty_loop)(const void* w, void* dw, Py_ssize_t n, double l1, double l2) noexcept nogil


cdef double _penalty(const real_t* w, real_t* dw, Py_ssize_t n, double l1, double l2) noexcept nogil:
    """Return the penalty of a chunk. A term whose factor is 0 is left out: 0 times infinity would be NaN."""
    cdef:
        Py_ssize_t i
        real_t first = <real_t> l1, second = <real_t> (2 * l2)
        double penalty = 0
    if l1 != 0:
        penalty += l1 * row_absolute_sum(w, n)
    if l2 != 0:
        penalty += l2 * row_dot(w, w, n)
    if dw != NULL and l1 != 0:
        for i in range(n):
            dw[i] += first if w[i] > 0 else -first if w[i] < 0 else w[i]  # zero and NaN are their own signs
    if dw != NULL and l2 != 0:
        for i in range(n):
            dw[i] += second * w[i]
    return penalty


cdef class Penalty(Step):
    """The penalty l1 sum |w| + l2 sum w^2, and its gradient."""

    cdef:
        Buffer w        # IN
        Buffer penalty  # OUT: one number, float32 or float64
        Buffer dw       # INOUT, of w's shape, or None; not w
        Py_ssize_t count
        double l1, l2
        penalty_loop loop

    def __init__(self, Buffer w, double l1, double l2, Buffer penalty, Buffer dw):
        self.w, self.penalty, self.dw = w, penalty, dw
        self.l1, self.l2 = l1, l2
        self.count = (w.size + CHUNK - 1) // CHUNK
        self.workspace = self.count * sizeof(double)
        self.loop = <penalty_loop> _penalty[float] if w.dtype == "float32" else <penalty_loop> _penalty[double]

    cdef void run(self) noexcept nogil:
        cdef double total = 0
        cdef Py_ssize_t i
        self.split(self.count, 4.0 * self.w.size)
        for i in range(self.count):
            total += (<double*> self.work)[i]
        if self.penalty.itemsize == sizeof(float):
            (<float*> self.penalty.data)[0] = <float> total
        else:
            (<double*> self.penalty.data)[0] = total

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t start = i * CHUNK, at = start * self.w.itemsize
            char* dw = NULL if self.dw is None else self.dw.data + at
        (<double*> self.work)[i] = self.loop(
            self.w.data + at, dw, min(<Py_ssize_t> CHUNK, self.w.size - start), self.l1, self.l2
        )
