"""Depthwise convolution with windows of 3 x 3 pixels, by the tiles of `depthwise_tiles`: forward, and gradient to the
input for a stride of 1, which is a convolution of dout with the kernel turned round.

A tile is TILE_H x TILE_W target pixels by one vector of channels. A tile goes through the channels of a task before
the next pixels, and meanwhile fetches what a later tile will meet: no processor foresees so many streams as there
are pixels. The epilogue of the commonest activations, and of their derivatives, is done in registers.

Where channels are half a vector, a vector holds two pixels side by side, and the taps are written twice.
"""

from libc.math cimport INFINITY, NAN
from libc.string cimport memcpy

from .activations cimport LINEAR, RELU, RELU6
from .depthwise_tiles cimport TILE_H, TILE_W, meet_row, pixels_t, prefetch, taps_t
from .select cimport load_lanes, store_lanes, vf_clip, vf_gate
from .simd cimport VL, vf, vf_set1, vf_zero
from .sliding cimport finish_row, sliding_t
from .tiles cimport ceil_div

cdef enum:
    AHEAD = 8          # vectors from what is computed to what is fetched, at least, and in a task, at most
    DISTANT = 1 << 18  # floats of source and target that are too many for the caches of a core

cdef struct target_t:
    # The arrays that a tile reads and writes, from its first pixel.
    const float* rows[9]       # of x that the tile meets; NULL outside of the image
    bint left, right           # whether the first and the last column that it meets are in the image
    Py_ssize_t vectors, channels
    Py_ssize_t lanes           # channels, where there are less than a vector of them, or VL
    bint pairs                 # of pixels are in a vector
    const float* kernel
    Py_ssize_t tap             # floats from one tap to the next
    Py_ssize_t pixel           # and from one pixel to the next in all arrays
    bint turned                # the kernel
    const float* bias          # or NULL
    float* out
    Py_ssize_t out_row
    const float* y             # of out's shape: the gradient is chained; or NULL: the activation is applied
    int activation
    bint distant               # whether the arrays are too large for the caches of a core
    const float* ahead         # the new pixels that a later tile will meet, to be fetched in time; its rows are
    Py_ssize_t ahead_row       # so many floats apart,
    Py_ssize_t out_ahead       # and its pixels in out and y are so many floats away


cdef bint windows_fit(const sliding_t* s) noexcept nogil:
    """Tell whether `correlate_windows` can do it."""
    cdef Py_ssize_t pad = 2 - s.g.pad_left if s.transposed else s.g.pad_left
    return (
        s.M == 1 and s.g.OC > 0 and s.g.KH == 3 and s.g.KW == 3 and s.g.dilation_h == 1 and s.g.dilation_w == 1
        and s.g.stride_h == s.g.stride_w and s.g.stride_h <= (1 if s.transposed else 2)
        and 0 <= pad <= 1 and (s.TW - 1) * s.g.stride_w - pad + 2 <= s.SW
    )


cdef Py_ssize_t window_chunks(const sliding_t* s) noexcept nogil:
    """Return into how many chunks of channels to divide the work."""
    return max(ceil_div(ceil_div(s.g.OC, VL), AHEAD), 1)


cdef inline void load_taps(const target_t* p, Py_ssize_t c, const bint few, vf (*k)[3]) noexcept nogil:
    cdef Py_ssize_t kh, kw
    cdef const float* kernel = p.kernel + c
    if p.turned:
        for kh in range(3):
            for kw in range(3):
                k[kh][kw] = load_lanes(kernel + (8 - 3 * kh - kw) * p.tap, few, p.lanes)
    else:
        for kh in range(3):
            for kw in range(3):
                k[kh][kw] = load_lanes(kernel + (3 * kh + kw) * p.tap, few, p.lanes)


cdef inline void fetch_ahead(
    const Py_ssize_t R, const Py_ssize_t W, const Py_ssize_t S, const bint pairs, const target_t* p, Py_ssize_t c
) noexcept nogil:
    """Fetch what a later tile will need of a vector of channels."""
    cdef Py_ssize_t r, j, column = (1 + pairs) * p.pixel
    for r in range(R * S):
        for j in range(W * S):
            prefetch(p.ahead + c + r * p.ahead_row + j * column)
    for r in range(R):
        for j in range(W):
            prefetch(p.out + p.out_ahead + c + r * p.out_row + j * column)
    if p.y != NULL:
        for r in range(R):
            for j in range(W):
                prefetch(p.y + p.out_ahead + c + r * p.out_row + j * column)


cdef inline void store_row(
    const target_t* p, Py_ssize_t at, const Py_ssize_t W, const bint pairs, const bint few, vf* t, vf low, vf high
) noexcept nogil:
    """Store a row of a tile, `at` floats into out; RELU and RELU6 are applied or chained in passing."""
    cdef Py_ssize_t j, column = (1 + pairs) * p.pixel
    cdef vf y
    if p.activation == RELU or p.activation == RELU6:
        for j in range(W):
            if p.y != NULL:
                y = load_lanes(p.y + at + j * column, few, p.lanes)
                t[j] = vf_gate(t[j], y, low, high)
            else:
                t[j] = vf_clip(t[j], low, high)
    for j in range(W):
        store_lanes(p.out + at + j * column, t[j], few, p.lanes)


cdef inline void meet_rows(
    const Py_ssize_t R, const Py_ssize_t W, const Py_ssize_t S, const bint pairs, const bint few, const target_t* p,
    Py_ssize_t c, vf (*t)[4], vf (*k)[3]
) noexcept nogil:
    """Let all rows that a tile meets do so."""
    cdef Py_ssize_t last = (R - 1) * S + 2
    if p.rows[0] != NULL:
        meet_row(0, R, W, S, pairs, p.rows[0] + c, p.pixel, p.left, p.right, few, p.lanes, t, k)
    if p.rows[1] != NULL:
        meet_row(1, R, W, S, pairs, p.rows[1] + c, p.pixel, p.left, p.right, few, p.lanes, t, k)
    if p.rows[2] != NULL:
        meet_row(2, R, W, S, pairs, p.rows[2] + c, p.pixel, p.left, p.right, few, p.lanes, t, k)
    if last > 2 and p.rows[3] != NULL:
        meet_row(3, R, W, S, pairs, p.rows[3] + c, p.pixel, p.left, p.right, few, p.lanes, t, k)
    if last > 3 and p.rows[4] != NULL:
        meet_row(4, R, W, S, pairs, p.rows[4] + c, p.pixel, p.left, p.right, few, p.lanes, t, k)
    if last > 4 and p.rows[5] != NULL:
        meet_row(5, R, W, S, pairs, p.rows[5] + c, p.pixel, p.left, p.right, few, p.lanes, t, k)


cdef inline void window_tile(
    const Py_ssize_t R, const Py_ssize_t W, const Py_ssize_t S, const bint pairs, const bint few, const target_t* place
) noexcept nogil:
    """Compute a tile for all channels; the last vector of channels is moved back to end with them."""
    cdef:
        pixels_t t
        taps_t k
        vf start, low = vf_zero(), high
        Py_ssize_t v, c, r, j
        target_t here = place[0]  # a copy that no store can change
        const target_t* p = &here
    if p.y != NULL:
        high = vf_set1(6 if p.activation == RELU6 else NAN)
    else:
        high = vf_set1(6 if p.activation == RELU6 else INFINITY)
    for v in range(p.vectors):
        c = 0 if few else min(v * VL, p.channels - VL)
        load_taps(p, c, few, k)
        start = load_lanes(p.bias + c, few, p.lanes) if p.bias != NULL else vf_zero()
        for r in range(R):
            for j in range(W):
                t[r][j] = start
        if p.distant:
            fetch_ahead(R, W, S, pairs, p, c)
        meet_rows(R, W, S, pairs, few, p, c, t, k)
        store_row(p, c, W, pairs, few, t[0], low, high)
        if R > 1:
            store_row(p, c + p.out_row, W, pairs, few, t[1], low, high)
        if R > 2:
            store_row(p, c + 2 * p.out_row, W, pairs, few, t[2], low, high)
            store_row(p, c + 3 * p.out_row, W, pairs, few, t[3], low, high)


cdef inline void tiles_of_width(
    const Py_ssize_t R, Py_ssize_t W, const Py_ssize_t S, const bint pairs, const bint few, const target_t* p
) noexcept nogil:
    if W == 4:
        window_tile(R, 4, S, pairs, few, p)
    elif W == 3:
        window_tile(R, 3, S, pairs, few, p)
    elif W == 2:
        window_tile(R, 2, S, pairs, few, p)
    else:
        window_tile(R, 1, S, pairs, few, p)


cdef inline void tiles_of_rows(
    Py_ssize_t R, Py_ssize_t W, Py_ssize_t S, const bint pairs, const bint few, const target_t* p
) noexcept nogil:
    if (S == 1 or pairs) and R == 4 <= TILE_H:
        tiles_of_width(4, W, 1, pairs, few, p)
    elif (S == 1 or pairs) and R == 2:
        tiles_of_width(2, W, 1, pairs, few, p)
    elif S == 1 or pairs:
        tiles_of_width(1, W, 1, pairs, few, p)
    elif R == 2:
        tiles_of_width(2, W, 2, pairs, few, p)
    else:
        tiles_of_width(1, W, 2, pairs, few, p)


cdef void compute_tile(Py_ssize_t R, Py_ssize_t W, Py_ssize_t S, const target_t* p) noexcept nogil:
    """Call the tile with constants for what it is."""
    if p.pairs:
        tiles_of_rows(R, W, 1, True, False, p)
    elif p.lanes == VL:
        tiles_of_rows(R, W, S, False, False, p)
    else:
        tiles_of_rows(R, W, S, False, True, p)


cdef inline void write_twice(const float* a, Py_ssize_t rows, float* out) noexcept nogil:
    """Write each row of half a vector twice."""
    cdef Py_ssize_t i, half = VL // 2
    for i in range(2 * rows):
        memcpy(out + i * half, a + i // 2 * half, half * sizeof(float))


cdef void correlate_windows(
    const sliding_t* s, const float* source, const float* kernel, const float* bias, float* target, const float* y,
    int activation, Py_ssize_t task, char* scratch
) noexcept nogil:
    """Compute one chunk of channels of one block of rows of one image."""
    cdef:
        Py_ssize_t chunk = task % s.chunks, block = task // s.chunks % s.blocks, n = task // (s.chunks * s.blocks)
        Py_ssize_t C = s.g.OC, S = s.g.stride_h, vectors = ceil_div(C, VL), row = block * s.block, R, W, i, ih, left
        bint pairs = 2 * C == VL and S == 1 and s.TW > 1
        Py_ssize_t stop = min(row + s.block, s.TH), ow, at, step = 1 + pairs, columns = s.TW // step, tile
        Py_ssize_t tiles = ceil_div(columns, TILE_W), place
        Py_ssize_t pad_top = 2 - s.g.pad_top if s.transposed else s.g.pad_top
        Py_ssize_t pad_left = 2 - s.g.pad_left if s.transposed else s.g.pad_left
        Py_ssize_t first = vectors * chunk // s.chunks * VL, distance, next_row, next_ow
        float[10 * VL] doubled
        target_t p
    p.vectors = vectors * (chunk + 1) // s.chunks - first // VL
    p.channels = VL if pairs else min(p.vectors * VL, C - first)
    p.lanes = VL if pairs else min(C, <Py_ssize_t> VL)
    p.pixel, p.out_row, p.ahead_row, p.turned, p.activation = C, s.TW * C, s.SW * C, s.transposed, activation
    p.distant = s.g.N * C * (s.SH * s.SW + s.TH * s.TW) > DISTANT
    p.pairs, p.tap = pairs, step * C
    p.kernel, p.bias = kernel + first, bias + first if bias != NULL else NULL
    if pairs:
        write_twice(p.kernel, 9, doubled)
        p.kernel = doubled
    if pairs and p.bias != NULL:
        write_twice(p.bias, 1, doubled + 9 * VL)
        p.bias = doubled + 9 * VL
    source += n * s.SH * s.SW * C + first
    distance = max(AHEAD // p.vectors, 1) * TILE_W * step
    while row < stop:
        R = TILE_H if S == 1 else 2
        while R > stop - row:
            R //= 2
        for i in range((R - 1) * S + 3):
            ih = row * S - pad_top + i
            p.rows[i] = source + (ih * s.SW - pad_left) * C if 0 <= ih < s.SH else NULL
        at = 0
        for tile in range(tiles + s.TW % step):
            if tile < tiles:
                ow = columns * tile // tiles
                ow, W = ow * step, columns * (tile + 1) // tiles - ow
            else:
                ow, W = s.TW - step, 1  # an odd pixel, in a pair that ends with the row
            for i in range((R - 1) * S + 3):
                if p.rows[i] != NULL:
                    p.rows[i] += (ow - at) * S * C
            at, left = ow, ow * S - pad_left
            p.left = left >= 0
            p.right = left + (W * step - 1) * S + 2 < s.SW
            next_row, next_ow = row, ow + distance
            if next_ow >= s.TW:
                next_row, next_ow = row + R, next_ow - s.TW
            p.ahead = source + ((next_row * S - pad_top + 3 - S) * s.SW + next_ow * S - pad_left + 3 - S) * C
            p.out_ahead = ((next_row - row) * s.TW + next_ow - ow) * C
            place = ((n * s.TH + row) * s.TW + ow) * C + first
            p.out = target + place
            p.y = y + place if y != NULL else NULL
            compute_tile(R, W, S, &p)
        if activation != LINEAR and activation != RELU and activation != RELU6:
            for i in range(R):
                place = (n * s.TH + row + i) * s.TW * C + first
                finish_row(activation, y + place if y != NULL else NULL, target + place, s.TW, C, min(C, p.channels))
        row += R
