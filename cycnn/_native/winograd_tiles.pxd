"""The transforms of Winograd's convolution F(4x4, 3x3), and of its kernel gradient F(3x3, 4x4), on vectors of channels.

Six points of a correlation with three taps, along one axis, from d (six pixels) and g (three taps):

    y = A^T [(G g) * (B^T d)]          y[i] = sum over k of d[i + k] g[k], i = 0..3

The points are 0, 1, -1, 1/2, -2 and infinity: column p of A^T holds the powers of point p, row p of G the same powers
over N_p, the product of p's distances to the other points, and row p of B^T the coefficients of the polynomial that
vanishes at the other points. In two dimensions each is applied to the columns and then to the rows, so that 4 x 4
outputs cost 36 multiplications in place of 144. Written as differences that several rows share, B^T takes 16 operations
and A^T 12. All vectors are VL channels; steps are in floats.

The gradient of the taps from that of four outputs is the transpose, F(3, 4) at the same points: G^T [(B^T d) * (A dy)].

Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016).
"""

from .simd cimport VL, vf, vf_add, vf_fma, vf_load, vf_set1, vf_store
from .tiles cimport ceil_div, copy_patch

cdef enum:
    POINTS = 6         # along one axis: pixels that a tile reads
    OUTPUTS = 4        # pixels that it computes
    MATRICES = 36      # POINTS * POINTS


cdef inline vf difference(vf a, vf b) noexcept nogil:
    return vf_fma(vf_set1(-1), b, a)


cdef inline void input_line(const float* d, Py_ssize_t step, float* t, Py_ssize_t t_step) noexcept nogil:
    """t = B^T d for six pixels.

        [1  -3/2   -2   3/2   1   0]
        [0   -1   1/2   5/2   1   0]
        [0    1  -5/2   1/2   1   0]
        [0   -2   -1     2    1   0]
        [0   1/2  -1   -1/2   1   0]
        [0    1  -3/2   -2   3/2  1]
    """
    cdef:
        vf d0 = vf_load(d), d1 = vf_load(d + step), d2 = vf_load(d + 2 * step)
        vf d3 = vf_load(d + 3 * step), d4 = vf_load(d + 4 * step), d5 = vf_load(d + 5 * step)
        vf p = difference(d1, d3), q = difference(d4, d2), half = vf_set1(1.5)
    vf_store(t, vf_add(vf_fma(vf_set1(-1.5), p, q), difference(d0, d2)))
    vf_store(t + t_step, vf_fma(half, vf_add(d2, d3), difference(q, p)))
    vf_store(t + 2 * t_step, vf_fma(half, difference(d3, d2), vf_add(q, p)))
    vf_store(t + 3 * t_step, vf_fma(vf_set1(-2), p, q))
    vf_store(t + 4 * t_step, vf_fma(vf_set1(0.5), p, q))
    vf_store(t + 5 * t_step, vf_add(vf_fma(half, q, p), difference(d5, d3)))


cdef inline void transform_input(
    const float* x, Py_ssize_t row, Py_ssize_t pixel, float* columns, float* v, Py_ssize_t matrix,
) noexcept nogil:
    """v[i][j] = (B^T x B)[i][j] for a tile of 6 x 6 pixels; `columns` is room for 36 vectors."""
    cdef Py_ssize_t i
    for i in range(POINTS):
        input_line(x + i * pixel, row, columns + i * VL, POINTS * VL)
    for i in range(POINTS):
        input_line(columns + i * POINTS * VL, VL, v + i * POINTS * matrix, matrix)


cdef inline Py_ssize_t whole_vectors(Py_ssize_t channels) noexcept nogil:
    """Return the channels of the vectors that hold so many."""
    return ceil_div(channels, VL) * VL


cdef inline Py_ssize_t tile_room(Py_ssize_t channels) noexcept nogil:
    """Return how many floats `transform_tile` needs for itself."""
    return MATRICES * (VL + whole_vectors(channels))


cdef inline void transform_tile(
    const float* image, Py_ssize_t height, Py_ssize_t width, Py_ssize_t channels, Py_ssize_t top, Py_ssize_t left,
    float* room, float* v, Py_ssize_t matrix,
) noexcept nogil:
    """v[i][j][c] = (B^T x B)[i][j] for all channels of the tile at (top, left) of an image, zero outside of it.

    The matrices are `matrix` floats apart. What is behind the last channel, in its vector, may be anything.
    """
    cdef:
        Py_ssize_t pixel = channels, row = width * channels, i
        const float* x
    if (channels % VL == 0 and top >= 0 and left >= 0 and top + POINTS <= height and left + POINTS <= width):
        x = image + top * row + left * pixel
    else:
        pixel = whole_vectors(channels)
        row = POINTS * pixel
        copy_patch(
            image, height, width, channels, channels, top, left, POINTS, POINTS, room + MATRICES * VL, pixel)
        x = room + MATRICES * VL
    for i in range(ceil_div(channels, VL)):
        transform_input(x + i * VL, row, pixel, room, v + i * VL, matrix)


cdef inline void output_values(const float* m, Py_ssize_t step, vf* y) noexcept nogil:
    """y = A^T m for four outputs.

        [1  1   1    1    1  0]
        [0  1  -1   1/2  -2  0]
        [0  1   1   1/4   4  0]
        [0  1  -1   1/8  -8  1]
    """
    cdef:
        vf m1 = vf_load(m + step), m2 = vf_load(m + 2 * step), m3 = vf_load(m + 3 * step), m4 = vf_load(m + 4 * step)
        vf even = vf_add(m1, m2), odd = difference(m1, m2)
    y[0] = vf_add(vf_add(vf_load(m), even), vf_add(m3, m4))
    y[1] = vf_fma(vf_set1(-2), m4, vf_fma(vf_set1(0.5), m3, odd))
    y[2] = vf_fma(vf_set1(4), m4, vf_fma(vf_set1(0.25), m3, even))
    y[3] = vf_add(vf_fma(vf_set1(-8), m4, vf_fma(vf_set1(0.125), m3, odd)), vf_load(m + 5 * step))


cdef inline void transform_columns(const float* m, Py_ssize_t matrix, float* columns) noexcept nogil:
    """columns = A^T m for a tile, whose rows `output_values` turns into outputs: [4][6] vectors."""
    cdef:
        Py_ssize_t i, j
        vf y[OUTPUTS]
    for j in range(POINTS):
        output_values(m + j * matrix, POINTS * matrix, y)
        for i in range(OUTPUTS):
            vf_store(columns + (i * POINTS + j) * VL, y[i])


cdef inline void kernel_line(const float* g, Py_ssize_t step, float* t, Py_ssize_t t_step) noexcept nogil:
    """t = G g for three taps: their values at the points, over N = 1, 3, -3, -15/16, 15, and the last tap."""
    cdef:
        vf g0 = vf_load(g), g1 = vf_load(g + step), g2 = vf_load(g + 2 * step)
        vf ends = vf_add(g0, g2), third = vf_set1(<float> (1.0 / 3.0)), zero = vf_set1(0)
    vf_store(t, g0)
    vf_store(t + t_step, vf_fma(third, vf_add(ends, g1), zero))
    vf_store(t + 2 * t_step, vf_fma(third, difference(g1, ends), zero))
    vf_store(t + 3 * t_step, vf_fma(
        vf_set1(<float> (-16.0 / 15.0)), vf_fma(vf_set1(0.25), g2, vf_fma(vf_set1(0.5), g1, g0)), zero))
    vf_store(t + 4 * t_step, vf_fma(
        vf_set1(<float> (1.0 / 15.0)), vf_fma(vf_set1(4), g2, vf_fma(vf_set1(-2), g1, g0)), zero))
    vf_store(t + 5 * t_step, g2)


cdef inline void gradient_line(const float* d, Py_ssize_t step, float* t, Py_ssize_t t_step) noexcept nogil:
    """t = A d for the gradients of four outputs: the values at the points of the polynomial with these coefficients."""
    cdef:
        vf d0 = vf_load(d), d1 = vf_load(d + step), d2 = vf_load(d + 2 * step), d3 = vf_load(d + 3 * step)
        vf even = vf_add(d0, d2), odd = vf_add(d1, d3), half = vf_set1(0.5), minus_two = vf_set1(-2)
    vf_store(t, d0)
    vf_store(t + t_step, vf_add(even, odd))
    vf_store(t + 2 * t_step, difference(even, odd))
    vf_store(t + 3 * t_step, vf_fma(half, vf_fma(half, vf_fma(half, d3, d2), d1), d0))
    vf_store(t + 4 * t_step, vf_fma(minus_two, vf_fma(minus_two, vf_fma(minus_two, d3, d2), d1), d0))
    vf_store(t + 5 * t_step, d3)


cdef inline void transform_gradient(
    const float* d, Py_ssize_t row, Py_ssize_t pixel, float* columns, float* w, Py_ssize_t matrix,
) noexcept nogil:
    """w[i][j] = (A d A^T)[i][j] for a tile of 4 x 4 gradients; `columns` is room for 24 vectors."""
    cdef Py_ssize_t i
    for i in range(OUTPUTS):
        gradient_line(d + i * pixel, row, columns + i * VL, OUTPUTS * VL)
    for i in range(POINTS):
        gradient_line(columns + i * OUTPUTS * VL, VL, w + i * POINTS * matrix, matrix)


cdef inline void taps_line(const float* m, Py_ssize_t step, float* g, Py_ssize_t g_step) noexcept nogil:
    """g = G^T m for the gradients of three taps."""
    cdef:
        vf m1 = vf_load(m + step), m2 = vf_load(m + 2 * step), m3 = vf_load(m + 3 * step), m4 = vf_load(m + 4 * step)
        vf even = vf_add(m1, m2), odd = difference(m1, m2), third = vf_set1(<float> (1.0 / 3.0))
    vf_store(g, vf_fma(third, odd, vf_fma(
        vf_set1(<float> (-16.0 / 15.0)), m3, vf_fma(vf_set1(<float> (1.0 / 15.0)), m4, vf_load(m)))))
    vf_store(g + g_step, vf_fma(third, even, vf_fma(
        vf_set1(<float> (-8.0 / 15.0)), m3, vf_fma(vf_set1(<float> (-2.0 / 15.0)), m4, vf_set1(0)))))
    vf_store(g + 2 * g_step, vf_fma(third, odd, vf_fma(
        vf_set1(<float> (4.0 / 15.0)), difference(m4, m3), vf_load(m + 5 * step))))


cdef inline void transform_taps(
    const float* m, Py_ssize_t matrix, float* columns, float* g, Py_ssize_t row, Py_ssize_t column,
) noexcept nogil:
    """g[i][j] = (G^T m G)[i][j] for the gradients of 3 x 3 taps; `columns` is room for 18 vectors."""
    cdef Py_ssize_t i
    for i in range(POINTS):
        taps_line(m + i * matrix, POINTS * matrix, columns + i * VL, POINTS * VL)
    for i in range(3):
        taps_line(columns + i * POINTS * VL, VL, g + i * row, column)
