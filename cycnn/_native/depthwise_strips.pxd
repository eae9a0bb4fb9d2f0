"""The gradient to a kernel of 3 x 3 taps, float32: strips of the output's gradient that go along rows of x.

Three columns of a strip of R rows stay in registers beside the sums of the nine taps; each pixel of x that the strip
meets is loaded once and multiplied by all of dout that it meets. S is the stride; `pairs` takes two pixels of half a
vector of channels for one.
"""

from .depthwise_tiles cimport MOST_ROWS, STRIDED_ROWS, load_pixels, meet_column, prefetch, strip_t, taps_t
from .simd cimport VL, vf, vf_add, vf_load, vf_store, vf_zero


cdef struct strip_place_t:
    # The arrays that a strip reads, at its vector of channels.
    const float* rows[9]                 # of x that the strip meets; NULL outside of the image
    Py_ssize_t width, pad                # columns of x, and those missing before the first that the strip meets
    Py_ssize_t pixel                     # floats from one pixel to the next, in both arrays
    const float* dout
    Py_ssize_t columns, dout_row         # columns, or pairs of them,
    bint odd                             # of which the last has but one
    Py_ssize_t lanes                     # channels, where there are less than a vector of them
    float* sums                          # of the taps and of dout
    bint with_bias
    bint fetches                         # what a later strip will read: of dout,
    const float* dout_ahead
    const float* ahead                   # and of x, in rows so many floats apart
    Py_ssize_t ahead_row


cdef inline void fetch_column(
    const Py_ssize_t R, const Py_ssize_t S, const strip_place_t* p, Py_ssize_t column
) noexcept nogil:
    """Fetch a column of dout, and the columns of x that are new with it."""
    cdef Py_ssize_t r, i
    for r in range(R):
        prefetch(p.dout_ahead + r * p.dout_row + column)
    for r in range(R * S):
        for i in range(S):
            prefetch(p.ahead + r * p.ahead_row + S * column + i * p.pixel)


cdef inline void gradient_strip(
    const Py_ssize_t R, const Py_ssize_t S, const bint pairs, const bint few, const strip_place_t* p
) noexcept nogil:
    """Add the products of a strip of dout and what it meets in x to the sums."""
    cdef:
        strip_t t
        taps_t k
        vf total = vf_load(p.sums + 9 * VL)
        Py_ssize_t j, m, r, column, T = 2 if pairs else S, last = 2 // T
        int side
    for m in range(9):
        k[m // 3][m % 3] = vf_load(p.sums + m * VL)
    for m in range(3):
        for r in range(R):
            t[m][r] = vf_zero()
    for j in range(-last, p.columns):
        for r in range(R):
            t[0][r] = t[1][r]
            if T == 1:
                t[1][r] = t[2][r]
            t[last][r] = vf_zero()
        if p.fetches and j + last < p.columns:
            fetch_column(R, S, p, (j + last) * (1 + pairs) * p.pixel)
        if j + last < p.columns:
            side, column = p.odd and j + last == p.columns - 1, (j + last) * (1 + pairs) * p.pixel
            for r in range(R):
                t[last][r] = load_pixels(p.dout + r * p.dout_row + column, side, pairs, few, p.lanes)
            if p.with_bias:
                for r in range(R):
                    total = vf_add(total, t[last][r])
        column = j * T - p.pad + 1
        if T > 1 and -pairs <= column < p.width:
            side = -1 if column < 0 else column == p.width - 1
            meet_column(1, R, S, pairs, p.rows, column * p.pixel, side, few, p.lanes, t, k)
        column += 1
        if -pairs <= column < p.width:
            side = -1 if column < 0 else column == p.width - 1
            meet_column(2, R, S, pairs, p.rows, column * p.pixel, side, few, p.lanes, t, k)
    for m in range(9):
        vf_store(p.sums + m * VL, k[m // 3][m % 3])
    vf_store(p.sums + 9 * VL, total)


cdef inline void strips_of(
    Py_ssize_t R, const Py_ssize_t S, const bint pairs, const bint few, const strip_place_t* p
) noexcept nogil:
    """Call the strip with a constant for its rows."""
    if R == 1:
        gradient_strip(1, S, pairs, few, p)
    elif R == 2:
        gradient_strip(2, S, pairs, few, p)
    elif R == 3 <= (MOST_ROWS if S == 1 else STRIDED_ROWS):
        gradient_strip(3, S, pairs, few, p)
    elif S == 1 and R == 4 <= MOST_ROWS:
        gradient_strip(4, S, pairs, few, p)
    elif S == 1 and R == 5 <= MOST_ROWS:
        gradient_strip(5, S, pairs, few, p)
    elif S == 1 and R == 6 <= MOST_ROWS:
        gradient_strip(6, S, pairs, few, p)
    elif S == 1 and R == 7 <= MOST_ROWS:
        gradient_strip(7, S, pairs, few, p)
