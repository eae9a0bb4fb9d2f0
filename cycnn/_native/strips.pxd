"""Sums over rows in strips of columns, float32: a strip's accumulators stay in registers while the rows go by.

Even and odd rows have accumulators of their own, so that no addition waits for another and half as many roundings add
up. Memory is what takes long: while a block of rows is summed, the one behind it, `rows * width` numbers on, is fetched
into the second-level cache.
"""

from .fetch cimport fetch
from .simd cimport VL, vf, vf_add, vf_fma, vf_load, vf_set1, vf_store, vf_zero

cdef enum:
    VECTORS = 2 + VL // 16 * 2  # of a strip: as many as registers hold sums of
    STRIP = VECTORS * VL        # columns


cdef inline void add_moments(
    Py_ssize_t parity, const float* x, const vf* less, vf (*first)[VECTORS], vf (*second)[VECTORS]
) noexcept nogil:
    """Add a row to the sums of x - center and of its square; `less` is -center."""
    cdef:
        vf a
        Py_ssize_t v
    for v in range(VECTORS):
        a = vf_add(vf_load(x + v * VL), less[v])
        first[parity][v] = vf_add(first[parity][v], a)
        second[parity][v] = vf_fma(a, a, second[parity][v])


cdef inline void strip_moments(
    const float* x, Py_ssize_t width, Py_ssize_t rows, float* center, float* first, float* second
) noexcept nogil:
    """Find about the mean of each column, and the sums of x - center and of its square."""
    cdef:
        vf a[2][VECTORS]
        vf b[2][VECTORS]
        vf less[VECTORS]
        vf share = vf_set1(-1 / <float> rows)
        const float* row = x
        Py_ssize_t v
    for v in range(VECTORS):
        a[0][v] = a[1][v] = vf_zero()
    for _ in range(rows // 2):
        for v in range(VECTORS):
            a[0][v] = vf_add(a[0][v], vf_load(row + v * VL))
            a[1][v] = vf_add(a[1][v], vf_load(row + width + v * VL))
        row += 2 * width
    for v in range(VECTORS):
        if rows % 2:
            a[0][v] = vf_add(a[0][v], vf_load(row + v * VL))
        less[v] = vf_fma(vf_add(a[0][v], a[1][v]), share, vf_zero())
        vf_store(center + v * VL, vf_fma(less[v], vf_set1(-1), vf_zero()))
        a[0][v] = a[1][v] = b[0][v] = b[1][v] = vf_zero()
    row = x
    for _ in range(rows // 2):
        add_moments(0, row, less, a, b)
        add_moments(1, row + width, less, a, b)
        fetch(row + rows * width, STRIP)
        fetch(row + (rows + 1) * width, STRIP)
        row += 2 * width
    if rows % 2:
        add_moments(0, row, less, a, b)
        fetch(row + rows * width, STRIP)
    for v in range(VECTORS):
        vf_store(first + v * VL, vf_add(a[0][v], a[1][v]))
        vf_store(second + v * VL, vf_add(b[0][v], b[1][v]))


cdef inline void add_products(
    Py_ssize_t parity, const float* x, const float* dout, const vf* less, vf (*first)[VECTORS], vf (*second)[VECTORS]
) noexcept nogil:
    """Add a row to the sums of dout and of dout (x - center); `less` is -center."""
    cdef:
        vf a
        Py_ssize_t v
    for v in range(VECTORS):
        a = vf_load(dout + v * VL)
        first[parity][v] = vf_add(first[parity][v], a)
        second[parity][v] = vf_fma(a, vf_add(vf_load(x + v * VL), less[v]), second[parity][v])


cdef inline void strip_products(
    const float* x, const float* dout, const float* center, Py_ssize_t width, Py_ssize_t rows, float* first,
    float* second
) noexcept nogil:
    """Add up dout and dout (x - center) of each column."""
    cdef:
        vf a[2][VECTORS]
        vf b[2][VECTORS]
        vf less[VECTORS]
        Py_ssize_t v, ahead = rows * width
    for v in range(VECTORS):
        less[v] = vf_fma(vf_load(center + v * VL), vf_set1(-1), vf_zero())
        a[0][v] = a[1][v] = b[0][v] = b[1][v] = vf_zero()
    for _ in range(rows // 2):
        add_products(0, x, dout, less, a, b)
        add_products(1, x + width, dout + width, less, a, b)
        fetch(x + ahead, STRIP)
        fetch(x + ahead + width, STRIP)
        fetch(dout + ahead, STRIP)
        fetch(dout + ahead + width, STRIP)
        x += 2 * width
        dout += 2 * width
    if rows % 2:
        add_products(0, x, dout, less, a, b)
    for v in range(VECTORS):
        vf_store(first + v * VL, vf_add(vf_load(first + v * VL), vf_add(a[0][v], a[1][v])))
        vf_store(second + v * VL, vf_add(vf_load(second + v * VL), vf_add(b[0][v], b[1][v])))
