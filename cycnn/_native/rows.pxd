"""Sums, maxima and softmax over the rows of a contiguous array, shared by softmax and the losses.

A sum goes into LANES accumulators and then through a fixed tree: it can be turned into vectors, and its order of
additions is the same on every instruction set.
"""

from libc.math cimport INFINITY

from .activations cimport real_exp, real_t

cdef enum:
    LANES = 16


cdef inline Py_ssize_t rows_per_task(Py_ssize_t columns) noexcept nogil:
    """Return how many rows make about 8192 numbers, so that a task stays in the first-level cache."""
    return max(<Py_ssize_t> 1, 8192 // max(<Py_ssize_t> 1, columns))


cdef inline real_t fold(real_t* lanes) noexcept nogil:
    """Return the sum of LANES numbers, halves upon halves."""
    cdef Py_ssize_t lane, width = LANES
    while width > 1:
        width //= 2
        for lane in range(width):
            lanes[lane] += lanes[lane + width]
    return lanes[0]


cdef inline real_t row_sum(const real_t* a, Py_ssize_t n) noexcept nogil:
    """Return the sum of a[i]."""
    cdef:
        real_t[LANES] lanes
        Py_ssize_t block, lane
    for lane in range(LANES):
        lanes[lane] = 0
    for block in range(n // LANES):
        for lane in range(LANES):
            lanes[lane] += a[block * LANES + lane]
    for lane in range(n % LANES):
        lanes[lane] += a[n - n % LANES + lane]
    return fold(lanes)


cdef inline real_t row_absolute_sum(const real_t* a, Py_ssize_t n) noexcept nogil:
    """Return the sum of |a[i]|."""
    cdef:
        real_t[LANES] lanes
        Py_ssize_t block, lane
        real_t number
    for lane in range(LANES):
        lanes[lane] = 0
    for block in range(n // LANES):
        for lane in range(LANES):
            number = a[block * LANES + lane]
            lanes[lane] += -number if number < 0 else number
    for lane in range(n % LANES):
        number = a[n - n % LANES + lane]
        lanes[lane] += -number if number < 0 else number
    return fold(lanes)


cdef inline real_t row_dot(const real_t* a, const real_t* b, Py_ssize_t n) noexcept nogil:
    """Return the sum of a[i] * b[i]."""
    cdef:
        real_t[LANES] lanes
        Py_ssize_t block, lane
    for lane in range(LANES):
        lanes[lane] = 0
    for block in range(n // LANES):
        for lane in range(LANES):
            lanes[lane] += a[block * LANES + lane] * b[block * LANES + lane]
    for lane in range(n % LANES):
        lanes[lane] += a[n - n % LANES + lane] * b[n - n % LANES + lane]
    return fold(lanes)


cdef inline real_t row_max(const real_t* a, Py_ssize_t n) noexcept nogil:
    """Return the largest a[i]; a NaN among them is passed over."""
    cdef:
        real_t[LANES] lanes
        real_t largest = -INFINITY
        Py_ssize_t block, lane
    for lane in range(LANES):
        lanes[lane] = -INFINITY
    for block in range(n // LANES):
        for lane in range(LANES):
            lanes[lane] = max(lanes[lane], a[block * LANES + lane])
    for lane in range(n % LANES):
        lanes[lane] = max(lanes[lane], a[n - n % LANES + lane])
    for lane in range(LANES):
        largest = max(largest, lanes[lane])
    return largest


cdef inline void shift_rows(const real_t* x, real_t* out, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """out = x - max of x, row by row: no exponential of it overflows. A row with a NaN or +inf gets a NaN."""
    cdef:
        Py_ssize_t r, i
        real_t largest
    for r in range(rows):
        largest = row_max(x + r * columns, columns)
        for i in range(r * columns, (r + 1) * columns):
            out[i] = x[i] - largest


cdef inline void exponentiate(real_t* x, Py_ssize_t n) noexcept nogil:
    """x <- e^x, over many rows at once, so that short rows fill vectors too."""
    cdef Py_ssize_t i
    for i in range(n):
        x[i] = real_exp(x[i])


cdef inline void scale_row(real_t* x, real_t factor, Py_ssize_t n) noexcept nogil:
    """x <- factor * x."""
    cdef Py_ssize_t i
    for i in range(n):
        x[i] = factor * x[i]
