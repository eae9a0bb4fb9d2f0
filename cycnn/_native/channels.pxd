"""How the sums over rows and the passes over channels are divided, for the families that normalise."""

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_t

cdef enum:
    COLUMNS = 64  # channels that a task combines


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef class Channels(Step):
    cdef:
        Py_ssize_t M, R, C, G       # images, rows of each, channels, groups of them
        Py_ssize_t repeats, width   # rows seen as one line, and its numbers: repeats * C
        Py_ssize_t lines, rest      # whole lines of an image, and the rows left over
        Py_ssize_t panel, panels    # columns of a line that a task sums, and how many such panels there are
        Py_ssize_t block, parts     # lines that stay in the cache; the tasks that share an image's blocks
        Py_ssize_t chunk, chunks    # numbers of an image that a task maps, whole lines; tasks of an image
        Py_ssize_t itemsize
        bint single                 # float32, not float64
        bint combining              # the second phase of a sum
    cdef divide(self, Buffer x, Py_ssize_t images, Py_ssize_t statistics)
    cdef Py_ssize_t first_line(self, Py_ssize_t part) noexcept nogil
    cdef double* partial(self, Py_ssize_t image, Py_ssize_t part) noexcept nogil
    cdef Py_ssize_t chunk_start(self, Py_ssize_t i) noexcept nogil
    cdef Py_ssize_t chunk_size(self, Py_ssize_t i) noexcept nogil
    cdef void run_sum(self, double cost) noexcept nogil
    cdef void accumulate(
        self, Py_ssize_t image, Py_ssize_t part, Py_ssize_t c, Py_ssize_t columns, char* scratch
    ) noexcept nogil
    cdef void combine(self, Py_ssize_t image, Py_ssize_t c, Py_ssize_t columns) noexcept nogil


cdef inline void repeat_rows(const real_t* a, real_t* out, Py_ssize_t n, Py_ssize_t repeats) noexcept nogil:
    """Write the n numbers of `a` to `out`, which may be `a`, `repeats` times."""
    cdef Py_ssize_t i, c
    for i in range(repeats):
        for c in range(n):
            out[i * n + c] = a[c]


cdef inline void add_rows(
    const real_t* x, Py_ssize_t width, Py_ssize_t rows, Py_ssize_t columns, real_t* sums
) noexcept nogil:
    """Add the rows of a block to `sums`, four at a time."""
    cdef:
        Py_ssize_t r, c
        const real_t* row
    for r in range(rows // 4):
        row = x + 4 * r * width
        for c in range(columns):
            sums[c] += (row[c] + row[width + c]) + (row[2 * width + c] + row[3 * width + c])
    for r in range(rows - rows % 4, rows):
        row = x + r * width
        for c in range(columns):
            sums[c] += row[c]
