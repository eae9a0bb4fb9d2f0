"""Steps that combine arrays of the same size, number by number.

    AddShares   out = a + b

The loops are plain, and the compiler turns them into vectors. They are bound by memory: each number is read once and
written once.
"""

from cycnn._native.runtime cimport Buffer
from .activations cimport real_t
from .elementwise cimport Elementwise

ctypedef void (*add_loop)(const void* a, const void* b, void* out, Py_ssize_t n) noexcept nogil


cdef void _add(const real_t* a, const real_t* b, real_t* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = a[i] + b[i]


cdef class AddShares(Elementwise):
    """out = a + b: two shares of a gradient become one."""

    cdef:
        Buffer a    # IN
        Buffer b    # IN, of a's size
        Buffer out  # OUT, of a's size; may be a or b
        add_loop loop

    def __init__(self, Buffer a, Buffer b, Buffer out):
        self.a, self.b, self.out = a, b, out
        self.size = out.size
        self.loop = <add_loop> _add[float] if out.dtype == "float32" else <add_loop> _add[double]

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t at = start * self.out.itemsize
        self.loop(self.a.data + at, self.b.data + at, self.out.data + at, n)
