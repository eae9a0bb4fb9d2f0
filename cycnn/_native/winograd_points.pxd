"""Products of matrices whose rows are tiles, tuned for few rows: the arithmetic of Winograd's convolution.

TILE_ROWS tiles by `vectors` vectors of channels stay in registers while the channels of the source go by.
"""

from .simd cimport TILE_ROWS, VL
from .tiles cimport add_tap, ceil_div, load_tile, store_tile, sums_t


cdef inline void product_tile(
    const Py_ssize_t rows, const Py_ssize_t vectors, Py_ssize_t C, const float* v, Py_ssize_t pixel, const float* u,
    const float* start, Py_ssize_t start_row, float* m,
) noexcept nogil:
    """m[r][o] = start[r][o] + sum over c of v[r][c] u[c][o], for `rows` tiles r."""
    cdef:
        sums_t acc
        Py_ssize_t c
    load_tile(rows, vectors, acc, start, start_row, vectors * VL)
    for c in range(C):
        add_tap(rows, vectors, acc, v + c, pixel, u)
        u += vectors * VL
    store_tile(rows, vectors, acc, m, vectors * VL, vectors * VL)


cdef inline void product_rows(
    const Py_ssize_t rows, const Py_ssize_t vectors, Py_ssize_t tiles, Py_ssize_t C, const float* v, Py_ssize_t pixel,
    const float* u, const float* start, Py_ssize_t start_row, float* m,
) noexcept nogil:
    """Multiply all tiles, `rows` at a time; behind the last is room for as many as fill up."""
    cdef Py_ssize_t t = 0
    while t < tiles:
        product_tile(
            min(rows, <Py_ssize_t> TILE_ROWS), vectors, C, v + t * pixel, pixel, u, start + t * start_row, start_row,
            m + t * vectors * VL)
        t += rows


cdef inline void product_of(
    const Py_ssize_t vectors, Py_ssize_t tiles, Py_ssize_t C, const float* v, Py_ssize_t pixel, const float* u,
    const float* start, Py_ssize_t start_row, float* m,
) noexcept nogil:
    """Call the product by so many rows that the last has few to fill up."""
    cdef Py_ssize_t rows = ceil_div(tiles, ceil_div(tiles, TILE_ROWS))
    if rows <= 2:
        product_rows(2, vectors, tiles, C, v, pixel, u, start, start_row, m)
    elif rows <= 4:
        product_rows(4, vectors, tiles, C, v, pixel, u, start, start_row, m)
    elif rows <= 6 < TILE_ROWS:
        product_rows(6, vectors, tiles, C, v, pixel, u, start, start_row, m)
    elif rows <= 8 < TILE_ROWS:
        product_rows(8, vectors, tiles, C, v, pixel, u, start, start_row, m)
    else:
        product_rows(TILE_ROWS, vectors, tiles, C, v, pixel, u, start, start_row, m)
