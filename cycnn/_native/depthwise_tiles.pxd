"""Register strips of 3x3 depthwise windows: the innermost loops of `depthwise` and `depthwise_kernel`, float32.

    t[j][r] += sum over kh, kw of x[SH r + kh][SW j + kw] k[kh][kw]      forward, and gradient to the input for a stride of 1
    k[kh][kw] += sum over r, j of x[SH r + kh][SW j + kw] t[j][r]        gradient to the kernel

for R rows r of pixels, one vector of channels, and the strides SH and SW. The two are the same nest of products. A strip
goes along the columns j: t holds those that the columns of x next to come still meet, three of them or, for SW = 2, two.
So each pixel of x is loaded once for a whole strip, and neither pixels nor taps ever leave their registers.
"""

from .simd cimport VL, vf, vf_fma, vf_load

cdef extern from *:
    """
    #define TILE_W 4
    #define TILE_H (TILE_ROWS > 6 ? 4 : 2)     /* 4 x 4 pixels and 9 taps in 32 registers, or 2 x 4 pixels in 16 */
    #define MOST_ROWS (TILE_ROWS > 6 ? 7 : 4)  /* 3 x 7 pixels and 9 taps in 32 registers, or 3 x 4 pixels in 16 */
    #if defined(__GNUC__)
    #define prefetch(p) __builtin_prefetch(p, 0, 2)
    #else
    #define prefetch(p) ((void)(p))
    #endif
    """
    const Py_ssize_t TILE_H, TILE_W, MOST_ROWS
    void prefetch(const float* p) noexcept nogil

ctypedef vf taps_t[3][3]
ctypedef vf strip_t[3][7]


cdef inline void meet(
    const Py_ssize_t i, const Py_ssize_t q, const Py_ssize_t R, const Py_ssize_t SH, const Py_ssize_t SW,
    const float* x, vf (*t)[7], vf (*k)[3], const bint gradient,
) noexcept nogil:
    """Multiply a pixel of x, in row i and q columns from the first that the first of t meets, by all that it meets."""
    cdef Py_ssize_t kh, kw
    cdef vf value = vf_load(x)
    for kh in range(3):
        for kw in range(3):
            if (i - kh) % SH == 0 and 0 <= i - kh < R * SH and (q - kw) % SW == 0 and 0 <= q - kw:
                if gradient:
                    k[kh][kw] = vf_fma(value, t[(q - kw) // SW][(i - kh) // SH], k[kh][kw])
                else:
                    t[(q - kw) // SW][(i - kh) // SH] = vf_fma(value, k[kh][kw], t[(q - kw) // SW][(i - kh) // SH])


cdef inline void meet_column(
    const Py_ssize_t q, const Py_ssize_t R, const Py_ssize_t SH, const Py_ssize_t SW, const float* const* rows,
    Py_ssize_t at, vf (*t)[7], vf (*k)[3], const bint gradient,
) noexcept nogil:
    """Let a column of x do so; rows outside of the image are NULL. Written out, for no compiler unrolls such a loop."""
    cdef Py_ssize_t last = (R - 1) * SH + 2
    if rows[0] != NULL:
        meet(0, q, R, SH, SW, rows[0] + at, t, k, gradient)
    if rows[1] != NULL:
        meet(1, q, R, SH, SW, rows[1] + at, t, k, gradient)
    if rows[2] != NULL:
        meet(2, q, R, SH, SW, rows[2] + at, t, k, gradient)
    if last > 2 and rows[3] != NULL:
        meet(3, q, R, SH, SW, rows[3] + at, t, k, gradient)
    if last > 3 and rows[4] != NULL:
        meet(4, q, R, SH, SW, rows[4] + at, t, k, gradient)
    if last > 4 and rows[5] != NULL:
        meet(5, q, R, SH, SW, rows[5] + at, t, k, gradient)
    if last > 5 and rows[6] != NULL:
        meet(6, q, R, SH, SW, rows[6] + at, t, k, gradient)
    if last > 6 and rows[7] != NULL:
        meet(7, q, R, SH, SW, rows[7] + at, t, k, gradient)
    if last > 7 and rows[8] != NULL:
        meet(8, q, R, SH, SW, rows[8] + at, t, k, gradient)


# --- tiles -----------------------------------------------------------------------------------------

ctypedef vf pixels_t[4][4]


cdef inline void meet_tile(
    const Py_ssize_t i, const Py_ssize_t c, const Py_ssize_t R, const Py_ssize_t W, const Py_ssize_t S,
    const float* x, vf (*t)[4], vf (*k)[3],
) noexcept nogil:
    """Multiply pixel x, row i and column c of what a tile meets, by all taps that it meets."""
    cdef Py_ssize_t kh, kw
    cdef vf value = vf_load(x)
    for kh in range(3):
        for kw in range(3):
            if (i - kh) % S == 0 and 0 <= i - kh < R * S and (c - kw) % S == 0 and 0 <= c - kw < W * S:
                t[(i - kh) // S][(c - kw) // S] = vf_fma(value, k[kh][kw], t[(i - kh) // S][(c - kw) // S])


cdef inline void meet_row(
    const Py_ssize_t i, const Py_ssize_t R, const Py_ssize_t W, const Py_ssize_t S, const float* x, Py_ssize_t pixel,
    bint left, bint right, vf (*t)[4], vf (*k)[3],
) noexcept nogil:
    """Let row i of what a tile meets do so; its first and last pixel only if they are `left` and `right`."""
    cdef Py_ssize_t last = (W - 1) * S + 2
    if left:
        meet_tile(i, 0, R, W, S, x, t, k)
    meet_tile(i, 1, R, W, S, x + pixel, t, k)
    if last > 2:
        meet_tile(i, 2, R, W, S, x + 2 * pixel, t, k)
    if last > 3:
        meet_tile(i, 3, R, W, S, x + 3 * pixel, t, k)
    if last > 4:
        meet_tile(i, 4, R, W, S, x + 4 * pixel, t, k)
    if last > 5:
        meet_tile(i, 5, R, W, S, x + 5 * pixel, t, k)
    if last > 6:
        meet_tile(i, 6, R, W, S, x + 6 * pixel, t, k)
    if last > 7:
        meet_tile(i, 7, R, W, S, x + 7 * pixel, t, k)
    if right:
        meet_tile(i, last, R, W, S, x + last * pixel, t, k)
