"""Register tiles and strips of 3x3 depthwise windows: innermost loops of `depthwise_windows` and `depthwise_kernel`.

    tile    t[r][j] += sum over i, c of x[i][c] k[kh][kw] where U i = S r + kh, U c = S j + kw
    strip   k[kh][kw] += sum over r, j of x[S r + kh][S j + kw] t[j][r]

for R rows r of pixels, one vector of channels, and the strides S and U: pixels of a tile are S apart and those of x U,
one of which is 1; U is the stride whose transpose is computed. A pixel of x is loaded once and meets all of up to nine
taps, while pixels and taps stay in registers. A tile has W columns j; a strip goes along all columns, and its t holds
those that the columns of x next to come still meet: three of them or, where T = 2, two. Rows and columns of x
outside of the image are left out. Where there are less than a vector of channels, `lanes` of them, `few` is set.

Where channels are half a vector and S = U = 1, a vector holds two pixels side by side, and `pairs` is set: the columns
of a tile or strip are two pixels apart, T = 2, else T = S.

Calls are written out, for compilers unroll no loops of this size.
"""

from .select cimport load_lanes, vf_load_half
from .simd cimport vf, vf_fma

cdef extern from *:
    """
    #define TILE_W 4
    #define TILE_H (TILE_ROWS > 6 ? 4 : 2)     /* 4 x 4 pixels and 9 taps in 32 registers, or 2 x 4 pixels in 16 */
    #define MOST_ROWS (TILE_ROWS > 6 ? 7 : 2)  /* 3 x 7 pixels and 9 taps in 32 registers, or 3 x 2 pixels in 16 */
    #define STRIDED_ROWS 3                     /* where S = 2: 2 x 3 pixels, which meet 7 rows */
    #if defined(__GNUC__)
    #define prefetch(p) __builtin_prefetch(p, 0, 2)
    #else
    #define prefetch(p) ((void)(p))
    #endif
    """
    const Py_ssize_t TILE_H, TILE_W, MOST_ROWS, STRIDED_ROWS
    void prefetch(const float* p) noexcept nogil

ctypedef vf taps_t[3][3]
ctypedef vf pixels_t[4][4]
ctypedef vf strip_t[3][7]


# --- tiles -----------------------------------------------------------------------------------------


cdef inline void meet_value(
    const Py_ssize_t i, const Py_ssize_t c, const Py_ssize_t R, const Py_ssize_t W, const Py_ssize_t S,
    const Py_ssize_t T, const Py_ssize_t U, vf value, vf (*t)[4], vf (*k)[3],
) noexcept nogil:
    """Multiply a pixel, row i and column c of what a tile meets, by all taps that it meets."""
    cdef Py_ssize_t kh, kw, r, j
    for kh in range(3):
        for kw in range(3):
            r, j = U * i - kh, U * c - kw
            if r % S == 0 and 0 <= r < R * S and j % T == 0 and 0 <= j < W * T:
                t[r // S][j // T] = vf_fma(value, k[kh][kw], t[r // S][j // T])


cdef inline void meet_tile(
    const Py_ssize_t i, const Py_ssize_t c, const Py_ssize_t R, const Py_ssize_t W, const Py_ssize_t S,
    const Py_ssize_t T, const Py_ssize_t U, const float* x, const bint few, Py_ssize_t lanes, vf (*t)[4], vf (*k)[3],
) noexcept nogil:
    meet_value(i, c, R, W, S, T, U, load_lanes(x, few, lanes), t, k)


cdef inline void meet_row(
    const Py_ssize_t i, const Py_ssize_t R, const Py_ssize_t W, const Py_ssize_t S, const Py_ssize_t U,
    const bint pairs, const float* x, Py_ssize_t pixel, bint left, bint right, const bint few, Py_ssize_t lanes,
    vf (*t)[4], vf (*k)[3],
) noexcept nogil:
    """Let row i of what a tile meets do so; its first and last pixel only if they are `left` and `right`."""
    cdef Py_ssize_t T = 2 if pairs else S, last = ((W - 1) * T + 2) // U
    if left:
        meet_tile(i, 0, R, W, S, T, U, x, few, lanes, t, k)
    elif pairs:
        meet_value(i, 0, R, W, S, T, U, vf_load_half(x, -1), t, k)
    if last > 1:
        meet_tile(i, 1, R, W, S, T, U, x + pixel, few, lanes, t, k)
    if last > 2:
        meet_tile(i, 2, R, W, S, T, U, x + 2 * pixel, few, lanes, t, k)
    if last > 3:
        meet_tile(i, 3, R, W, S, T, U, x + 3 * pixel, few, lanes, t, k)
    if last > 4:
        meet_tile(i, 4, R, W, S, T, U, x + 4 * pixel, few, lanes, t, k)
    if last > 5:
        meet_tile(i, 5, R, W, S, T, U, x + 5 * pixel, few, lanes, t, k)
    if last > 6:
        meet_tile(i, 6, R, W, S, T, U, x + 6 * pixel, few, lanes, t, k)
    if last > 7:
        meet_tile(i, 7, R, W, S, T, U, x + 7 * pixel, few, lanes, t, k)
    if right:
        meet_tile(i, last, R, W, S, T, U, x + last * pixel, few, lanes, t, k)
    elif pairs:
        meet_value(i, last, R, W, S, T, U, vf_load_half(x + last * pixel, 1), t, k)


# --- strips ----------------------------------------------------------------------------------------


cdef inline vf load_pixels(
    const float* x, int side, const bint pairs, const bint few, Py_ssize_t lanes
) noexcept nogil:
    """Load a pixel, or a pair of them, of which the first (side < 0) or the second (side > 0) may be outside."""
    return vf_load_half(x, side) if pairs else load_lanes(x, few, lanes)


cdef inline void meet_strip(
    const Py_ssize_t i, const Py_ssize_t c, const Py_ssize_t R, const Py_ssize_t S, const bint pairs, const float* x,
    int side, const bint few, Py_ssize_t lanes, vf (*t)[7], vf (*k)[3],
) noexcept nogil:
    """Multiply pixel x, in row i and c columns from the first that the first of t meets, by all of t that it meets."""
    cdef Py_ssize_t T = 2 if pairs else S, kh, kw
    cdef vf value = load_pixels(x, side, pairs, few, lanes)
    for kh in range(3):
        for kw in range(3):
            if (i - kh) % S == 0 and 0 <= i - kh < R * S and (c - kw) % T == 0 and 0 <= c - kw:
                k[kh][kw] = vf_fma(value, t[(c - kw) // T][(i - kh) // S], k[kh][kw])


cdef inline void meet_column(
    const Py_ssize_t c, const Py_ssize_t R, const Py_ssize_t S, const bint pairs, const float* const* rows,
    Py_ssize_t at, int side, const bint few, Py_ssize_t lanes, vf (*t)[7], vf (*k)[3],
) noexcept nogil:
    """Let a column of x do so; rows outside of the image are NULL."""
    cdef Py_ssize_t last = (R - 1) * S + 2
    if rows[0] != NULL:
        meet_strip(0, c, R, S, pairs, rows[0] + at, side, few, lanes, t, k)
    if rows[1] != NULL:
        meet_strip(1, c, R, S, pairs, rows[1] + at, side, few, lanes, t, k)
    if rows[2] != NULL:
        meet_strip(2, c, R, S, pairs, rows[2] + at, side, few, lanes, t, k)
    if last > 2 and rows[3] != NULL:
        meet_strip(3, c, R, S, pairs, rows[3] + at, side, few, lanes, t, k)
    if last > 3 and rows[4] != NULL:
        meet_strip(4, c, R, S, pairs, rows[4] + at, side, few, lanes, t, k)
    if last > 4 and rows[5] != NULL:
        meet_strip(5, c, R, S, pairs, rows[5] + at, side, few, lanes, t, k)
    if last > 5 and rows[6] != NULL:
        meet_strip(6, c, R, S, pairs, rows[6] + at, side, few, lanes, t, k)
    if last > 6 and rows[7] != NULL:
        meet_strip(7, c, R, S, pairs, rows[7] + at, side, few, lanes, t, k)
    if last > 7 and rows[8] != NULL:
        meet_strip(8, c, R, S, pairs, rows[8] + at, side, few, lanes, t, k)
