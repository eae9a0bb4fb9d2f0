"""Sums over tiles of products, for Winograd's kernel gradient: X of some input channels by D of some output channels.

    sums[r][o] += sum over tiles t of x[t][r] d[t][o]

TILE_ROWS input channels by 2 VL output channels stay in registers while the tiles of a block go by. Before each such
product a few lines of what the next block will read are fetched, so that memory is read all the time.
"""

from .depthwise_tiles cimport prefetch
from .simd cimport TILE_ROWS, VL, tile_t, vf, vf_add, vf_fma, vf_load, vf_set1, vf_store, vf_zero
from .tiles cimport ceil_div

cdef enum:
    LINE = 16  # floats that come into the cache together

cdef struct Ahead:
    # What will be read soon: lines of x and of dout, and how many of them to fetch before each product.
    const float* place[2]
    Py_ssize_t lines[2]
    Py_ssize_t rate


cdef inline void find_ahead(
    Ahead* ahead, Py_ssize_t which, const float* data, Py_ssize_t size, Py_ssize_t share, Py_ssize_t shares
) noexcept nogil:
    """Fetch a share of `size` floats."""
    cdef Py_ssize_t first = size * share // shares
    ahead.place[which] = data + first
    ahead.lines[which] = ceil_div(size * (share + 1) // shares - first, LINE)


cdef inline void fetch(Ahead* ahead) noexcept nogil:
    """Fetch the next lines."""
    cdef Py_ssize_t which = 0 if ahead.lines[0] > 0 else 1, i
    for i in range(min(ahead.rate, ahead.lines[which])):
        prefetch(ahead.place[which] + i * LINE)
    ahead.place[which] += ahead.rate * LINE
    ahead.lines[which] -= ahead.rate


cdef inline void product_tile(
    Py_ssize_t rows, const Py_ssize_t vectors, Py_ssize_t depth, const float* x, Py_ssize_t x_step, const float* d,
    Py_ssize_t d_step, float* sums, Py_ssize_t sums_row, bint fresh,
) noexcept nogil:
    """sums[r][o] = (0 if fresh else sums[r][o]) + sum over t of x[t][r] d[t][o]."""
    cdef:
        tile_t acc
        vf b[2]
        vf a
        Py_ssize_t r, v
    rows = min(rows, <Py_ssize_t> TILE_ROWS)  # so the compiler knows it where no such tile is called
    if fresh:
        for r in range(rows):
            for v in range(vectors):
                acc[r][v] = vf_zero()
    else:
        for r in range(rows):
            for v in range(vectors):
                acc[r][v] = vf_load(sums + r * sums_row + v * VL)
    for _ in range(depth):
        for v in range(vectors):
            b[v] = vf_load(d + v * VL)
        for r in range(rows):
            a = vf_set1(x[r])
            for v in range(vectors):
                acc[r][v] = vf_fma(a, b[v], acc[r][v])
        x += x_step
        d += d_step
    for r in range(rows):
        for v in range(vectors):
            vf_store(sums + r * sums_row + v * VL, acc[r][v])


cdef inline void product_rows(
    const Py_ssize_t vectors, Py_ssize_t rows, Py_ssize_t depth, const float* x, Py_ssize_t x_step, const float* d,
    Py_ssize_t d_step, float* sums, Py_ssize_t sums_row, bint fresh,
) noexcept nogil:
    """Call the tile of `rows` rows with a constant in their place."""
    if rows == 1:
        product_tile(1, vectors, depth, x, x_step, d, d_step, sums, sums_row, fresh)
    elif rows == 2:
        product_tile(2, vectors, depth, x, x_step, d, d_step, sums, sums_row, fresh)
    elif rows == 3:
        product_tile(3, vectors, depth, x, x_step, d, d_step, sums, sums_row, fresh)
    elif rows == 4:
        product_tile(4, vectors, depth, x, x_step, d, d_step, sums, sums_row, fresh)
    elif rows == 5 <= TILE_ROWS:
        product_tile(5, vectors, depth, x, x_step, d, d_step, sums, sums_row, fresh)
    elif rows == 6 <= TILE_ROWS:
        product_tile(6, vectors, depth, x, x_step, d, d_step, sums, sums_row, fresh)
    elif rows == 7 <= TILE_ROWS:
        product_tile(7, vectors, depth, x, x_step, d, d_step, sums, sums_row, fresh)
    elif rows == 8 <= TILE_ROWS:
        product_tile(8, vectors, depth, x, x_step, d, d_step, sums, sums_row, fresh)
    elif rows == 9 <= TILE_ROWS:
        product_tile(9, vectors, depth, x, x_step, d, d_step, sums, sums_row, fresh)
    elif rows == 10 <= TILE_ROWS:
        product_tile(10, vectors, depth, x, x_step, d, d_step, sums, sums_row, fresh)
    elif rows == 11 <= TILE_ROWS:
        product_tile(11, vectors, depth, x, x_step, d, d_step, sums, sums_row, fresh)
    elif rows == 12 <= TILE_ROWS:
        product_tile(12, vectors, depth, x, x_step, d, d_step, sums, sums_row, fresh)


cdef inline void add_product(
    Py_ssize_t rows, Py_ssize_t channels, Py_ssize_t depth, const float* x, Py_ssize_t x_step, const float* d,
    Py_ssize_t d_step, float* sums, Py_ssize_t sums_row, bint fresh, Ahead* ahead,
) noexcept nogil:
    """Add to the sums the product of a panel of `rows` input channels and one of `channels` output channels."""
    cdef Py_ssize_t tiles = ceil_div(rows, TILE_ROWS), i, start, stop
    for i in range(tiles):
        start, stop = rows * i // tiles, rows * (i + 1) // tiles
        fetch(ahead)
        if channels > VL:
            product_rows(
                2, stop - start, depth, x + start, x_step, d, d_step, sums + start * sums_row, sums_row, fresh)
        else:
            product_rows(
                1, stop - start, depth, x + start, x_step, d, d_step, sums + start * sums_row, sums_row, fresh)


cdef inline void add_vectors(
    Py_ssize_t depth, const float* d, Py_ssize_t d_step, Py_ssize_t channels, float* sums, bint fresh
) noexcept nogil:
    """sums[o] = (0 if fresh else sums[o]) + sum over t of d[t][o], for a panel."""
    cdef:
        Py_ssize_t t, v
        vf total
    for v in range(2 if channels > VL else 1):
        total = vf_zero() if fresh else vf_load(sums + v * VL)
        for t in range(depth):
            total = vf_add(total, vf_load(d + t * d_step + v * VL))
        vf_store(sums + v * VL, total)
