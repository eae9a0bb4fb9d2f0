"""Depthwise convolution with windows of 3 x 3 pixels, by the tiles of `depthwise_tiles`: forward, and gradient to the
input, which is a convolution of dout with the kernel turned round.

A tile is TILE_H x TILE_W target pixels by one vector of channels. For the gradient with a stride of 2 its first pixel
is one where windows overlap, so that two by two of its pixels always meet 4, 2, 2 and 1 taps: the first tiles may begin
a pixel before the target and the last ones end after it. A tile goes through the channels of a task before the next
pixels, and meanwhile fetches what a later tile will meet: no processor foresees so many streams as there are pixels.
The epilogue of the commonest activations, and of their derivatives, is done in registers.

Where channels are half a vector, a vector holds two pixels side by side, and the taps are written twice.
"""

from libc.math cimport INFINITY, NAN
from libc.string cimport memcpy

from .activations cimport LINEAR, RELU, RELU6
from .depthwise_tiles cimport TILE_H, TILE_W, meet_row, pixels_t, prefetch, taps_t
from .gated_norm cimport Gate, Norm, clear_sums, gate_of, keep_sums, pass_gate
from .select cimport load_lanes, store_lanes, vf_clip, vf_gate
from .simd cimport VL, vf, vf_set1, vf_zero
from .sliding cimport finish_row, sliding_t
from .tiles cimport ceil_div

cdef enum:
    AHEAD = 8          # vectors from what is computed to what is fetched, at least, and in a task, at most
    LINE = 16          # floats that are fetched at once
    DISTANT = 1 << 18  # floats of source and target that are too many for the caches of a core

cdef struct target_t:
    # The arrays that a tile reads and writes, from its first pixel.
    const float* rows[9]       # of x that the tile meets; NULL outside of the image
    bint left, right           # whether the first and the last column that it meets are in the image
    Py_ssize_t vectors, channels
    Py_ssize_t lanes           # channels, where there are less than a vector of them, or VL
    bint pairs                 # of pixels are in a vector
    const float* kernel
    Py_ssize_t tap             # floats from one tap to the next, backwards where the kernel is turned round
    Py_ssize_t pixel           # and from one pixel to the next in all arrays
    const float* bias          # or NULL
    float* out
    Py_ssize_t out_row
    bint first_row, last_row, first_column, last_column  # whether these of the tile are in the target; all are if U = 1
    const float* y             # of out's shape: the gradient is chained; or NULL: the activation is applied
    int activation
    const Norm* norm           # what y went into, if that is a normalisation, or NULL; which part of its sums,
    Py_ssize_t part, channel   # and the first of the channels
    bint distant               # whether the arrays are too large for the caches of a core
    const float* ahead         # the new pixels that a later tile will meet, to be fetched in time; its rows are
    Py_ssize_t ahead_row       # so many floats apart,
    Py_ssize_t out_ahead       # and its pixels in out and y are so many floats away


cdef bint windows_fit(const sliding_t* s) noexcept nogil:
    """Tell whether `correlate_windows` can do it."""
    cdef:
        Py_ssize_t S = 1 if s.transposed else s.g.stride_w, U = s.g.stride_w if s.transposed else 1
        Py_ssize_t pad = 2 - s.g.pad_left if s.transposed else s.g.pad_left, before = s.g.pad_left % U
        Py_ssize_t left = -(before + pad) // U  # the first column that is met, and the last one is
        Py_ssize_t right = left + ((ceil_div(s.TW + before, U) * U - 1) * S + 2) // U
    return (
        s.M == 1 and s.g.OC > 0 and s.g.KH == 3 and s.g.KW == 3 and s.g.dilation_h == 1 and s.g.dilation_w == 1
        and s.g.stride_h == s.g.stride_w and s.g.stride_h <= 2 and left >= -1 and right <= s.SW
    )


cdef Py_ssize_t window_chunks(const sliding_t* s) noexcept nogil:
    """Return into how many chunks of channels to divide the work."""
    return max(ceil_div(ceil_div(s.g.OC, VL), AHEAD), 1)


cdef inline void load_taps(const target_t* p, Py_ssize_t c, const bint few, vf (*k)[3]) noexcept nogil:
    cdef Py_ssize_t kh, kw
    for kh in range(3):
        for kw in range(3):
            k[kh][kw] = load_lanes(p.kernel + c + (3 * kh + kw) * p.tap, few, p.lanes)


cdef inline void fetch_ahead(
    const Py_ssize_t R, const Py_ssize_t W, const Py_ssize_t S, const Py_ssize_t U, const bint pairs,
    const target_t* p, Py_ssize_t c
) noexcept nogil:
    """Fetch what a later tile will need of a vector of channels."""
    cdef Py_ssize_t r, j, column = (1 + pairs) * p.pixel
    for r in range(R * S // U):
        for j in range(W * S // U):
            prefetch(p.ahead + c + r * p.ahead_row + j * column)
    for r in range(R):
        for j in range(W):
            prefetch(p.out + p.out_ahead + c + r * p.out_row + j * column)
    if p.y != NULL:
        for r in range(R):
            for j in range(W):
                prefetch(p.y + p.out_ahead + c + r * p.out_row + j * column)


cdef inline bint is_inside(
    const Py_ssize_t r, const Py_ssize_t j, const Py_ssize_t R, const Py_ssize_t W, const target_t* p
) noexcept nogil:
    """Tell whether a pixel of a tile is in the target."""
    return (
        (r > 0 or p.first_row) and (r < R - 1 or p.last_row) and (j > 0 or p.first_column)
        and (j < W - 1 or p.last_column)
    )


cdef inline void store_row(
    const Py_ssize_t r, const Py_ssize_t R, const Py_ssize_t W, const bint whole, const bint pairs, const bint few,
    const bint gated, const target_t* p, Py_ssize_t c, vf* t, vf low, vf high, Gate* gate
) noexcept nogil:
    """Store row r of a tile; in passing RELU and RELU6 are applied or chained, or what is `gated` passes the gate."""
    cdef Py_ssize_t j, column = (1 + pairs) * p.pixel, at = c + r * p.out_row
    cdef vf y
    if gated:
        for j in range(W):
            if whole or is_inside(r, j, R, W, p):
                t[j] = pass_gate(gate, j % 2, t[j], load_lanes(p.y + at + j * column, few, p.lanes))
    elif p.activation == RELU or p.activation == RELU6:
        for j in range(W):
            if p.y == NULL:
                t[j] = vf_clip(t[j], low, high)
            elif whole or is_inside(r, j, R, W, p):
                y = load_lanes(p.y + at + j * column, few, p.lanes)
                t[j] = vf_gate(t[j], y, low, high)
    for j in range(W):
        if whole or is_inside(r, j, R, W, p):
            store_lanes(p.out + at + j * column, t[j], few, p.lanes)


cdef inline void store_tile(
    const Py_ssize_t R, const Py_ssize_t W, const bint whole, const bint pairs, const bint few,
    const bint gated, const target_t* p, Py_ssize_t c, vf (*t)[4], vf low, vf high, Gate* gate
) noexcept nogil:
    """Store a tile, all of which is in the target if it is `whole`."""
    store_row(0, R, W, whole, pairs, few, gated, p, c, t[0], low, high, gate)
    if R > 1:
        store_row(1, R, W, whole, pairs, few, gated, p, c, t[1], low, high, gate)
    if R > 2:
        store_row(2, R, W, whole, pairs, few, gated, p, c, t[2], low, high, gate)
        store_row(3, R, W, whole, pairs, few, gated, p, c, t[3], low, high, gate)


cdef inline void meet_rows(
    const Py_ssize_t R, const Py_ssize_t W, const Py_ssize_t S, const Py_ssize_t U, const bint pairs, const bint few,
    const target_t* p, Py_ssize_t c, vf (*t)[4], vf (*k)[3]
) noexcept nogil:
    """Let all rows that a tile meets do so."""
    cdef Py_ssize_t last = ((R - 1) * S + 2) // U
    if p.rows[0] != NULL:
        meet_row(0, R, W, S, U, pairs, p.rows[0] + c, p.pixel, p.left, p.right, few, p.lanes, t, k)
    if p.rows[1] != NULL:
        meet_row(1, R, W, S, U, pairs, p.rows[1] + c, p.pixel, p.left, p.right, few, p.lanes, t, k)
    if last > 1 and p.rows[2] != NULL:
        meet_row(2, R, W, S, U, pairs, p.rows[2] + c, p.pixel, p.left, p.right, few, p.lanes, t, k)
    if last > 2 and p.rows[3] != NULL:
        meet_row(3, R, W, S, U, pairs, p.rows[3] + c, p.pixel, p.left, p.right, few, p.lanes, t, k)
    if last > 3 and p.rows[4] != NULL:
        meet_row(4, R, W, S, U, pairs, p.rows[4] + c, p.pixel, p.left, p.right, few, p.lanes, t, k)
    if last > 4 and p.rows[5] != NULL:
        meet_row(5, R, W, S, U, pairs, p.rows[5] + c, p.pixel, p.left, p.right, few, p.lanes, t, k)


cdef inline void window_tile(
    const Py_ssize_t R, const Py_ssize_t W, const Py_ssize_t S, const Py_ssize_t U, const bint pairs, const bint few,
    const bint gated, const target_t* place
) noexcept nogil:
    """Compute a tile for all channels; the last vector of channels is moved back to end with them."""
    cdef:
        pixels_t t
        taps_t k
        vf start, low = vf_zero(), high
        Py_ssize_t v, c, r, j
        target_t here = place[0]  # a copy that no store can change
        const target_t* p = &here
        Gate gate
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
        if p.distant and v % (LINE // VL) == 0:
            fetch_ahead(R, W, S, U, pairs, p, c)
        meet_rows(R, W, S, U, pairs, few, p, c, t, k)
        if gated:
            gate = gate_of(p.norm, p.channel + c, False, VL)
        if U == 1 or (p.first_row and p.last_row and p.first_column and p.last_column):
            store_tile(R, W, True, pairs, few, gated, p, c, t, low, high, &gate)
        else:
            store_tile(R, W, False, pairs, few, gated, p, c, t, low, high, &gate)
        if gated:
            keep_sums(p.norm, p.part, p.channel + c, False, VL, &gate)


cdef inline void tiles_of_width(
    const Py_ssize_t R, Py_ssize_t W, const Py_ssize_t S, const Py_ssize_t U, const bint pairs, const bint few,
    const bint gated, const target_t* p
) noexcept nogil:
    if W == 4:
        window_tile(R, 4, S, U, pairs, few, gated, p)
    elif U == 1 and W == 3:
        window_tile(R, 3, S, U, pairs, few, gated, p)
    elif U > 1 or W == 2:
        window_tile(R, 2, S, U, pairs, few, gated, p)
    else:
        window_tile(R, 1, S, U, pairs, few, gated, p)


cdef inline void tiles_of_rows(
    Py_ssize_t R, Py_ssize_t W, const Py_ssize_t S, const Py_ssize_t U, const bint pairs, const bint few,
    const bint gated, const target_t* p
) noexcept nogil:
    if S == 1 and not few and not gated and R == 4 <= TILE_H:
        tiles_of_width(4, W, S, U, pairs, few, gated, p)
    elif U > 1 or R == 2:
        tiles_of_width(2, W, S, U, pairs, few, gated, p)
    else:
        tiles_of_width(1, W, S, U, pairs, few, gated, p)


cdef inline void tiles_of_strides(
    Py_ssize_t R, Py_ssize_t W, Py_ssize_t S, Py_ssize_t U, const bint few, const target_t* p
) noexcept nogil:
    if S == 2:
        tiles_of_rows(R, W, 2, 1, False, few, False, p)
    elif U == 2:
        tiles_of_rows(R, W, 1, 2, False, few, False, p)
    else:
        tiles_of_rows(R, W, 1, 1, False, few, False, p)


cdef void compute_tile(Py_ssize_t R, Py_ssize_t W, Py_ssize_t S, Py_ssize_t U, const target_t* p) noexcept nogil:
    """Call the tile with constants for what it is."""
    if p.pairs:
        tiles_of_rows(R, W, 1, 1, True, False, False, p)
    elif p.norm != NULL and U == 2:
        tiles_of_rows(R, W, 1, 2, False, False, True, p)
    elif p.norm != NULL:
        tiles_of_rows(R, W, 1, 1, False, False, True, p)
    elif p.lanes == VL:
        tiles_of_strides(R, W, S, U, False, p)
    else:
        tiles_of_strides(R, W, S, U, True, p)


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
        Py_ssize_t S = 1 if s.transposed else s.g.stride_h, U = s.g.stride_h if s.transposed else 1
        Py_ssize_t halve = U - 1  # x >> halve is x // U, and divisions are slow
        Py_ssize_t C = s.g.OC, vectors = ceil_div(C, VL), first = vectors * chunk // s.chunks * VL
        bint pairs = 2 * C == VL and S == 1 and U == 1 and s.TW > 1, tall
        Py_ssize_t pad_top = 2 - s.g.pad_top if s.transposed else s.g.pad_top
        Py_ssize_t pad_left = 2 - s.g.pad_left if s.transposed else s.g.pad_left
        Py_ssize_t row = block * s.block - s.g.pad_top % U, stop = s.TH if block == s.blocks - 1 else row + s.block
        # Tiles are made of `grains` of `grain` pixels, from column -before on.
        Py_ssize_t step = 1 + pairs, grain = step * U, before = s.g.pad_left % U
        Py_ssize_t grains = (s.TW + before + U - 1) // grain, tiles = ceil_div(grains * U, TILE_W)
        Py_ssize_t R, W, i, ih, ow, at, left, tile, met, distance, next_row, next_ow, place
        float[10 * VL] doubled
        target_t p
    p.vectors = vectors * (chunk + 1) // s.chunks - first // VL
    p.channels = VL if pairs else min(p.vectors * VL, C - first)
    p.lanes = VL if pairs else min(C, <Py_ssize_t> VL)
    p.pixel, p.out_row, p.ahead_row, p.activation = C, s.TW * C, s.SW * C, activation
    p.distant = s.g.N * C * (s.SH * s.SW + s.TH * s.TW) > DISTANT
    p.pairs, p.tap = pairs, step * C
    p.norm, p.part, p.channel = &s.norm if s.norm.sums != NULL else NULL, n * s.blocks + block, first
    if p.norm != NULL:
        clear_sums(p.norm, p.part, first, p.channels)
    p.kernel, p.bias = kernel + first, bias + first if bias != NULL else NULL
    if pairs:
        write_twice(p.kernel, 9, doubled)
        p.kernel = doubled
    if pairs and p.bias != NULL:
        write_twice(p.bias, 1, doubled + 9 * VL)
        p.bias = doubled + 9 * VL
    if s.transposed:
        p.kernel += 8 * p.tap
        p.tap = -p.tap
    # With y a tall tile is in more rows at once than a set of the first-level cache has lines, 8 or 12: rows are often
    # a multiple of 4096 bytes. Where pixels are side by side, a row of it is few lines. Vectors that are not full are
    # rare, and not worth the code of tall tiles.
    tall = S == 1 and p.lanes == VL and p.norm == NULL and not (U == 1 and y != NULL and p.distant and vectors > 1)
    source += n * s.SH * s.SW * C + first
    distance = max(AHEAD // p.vectors, 1) * TILE_W * step
    while row < stop:
        R = TILE_H if tall else 2
        while R - U >= stop - row:
            R //= 2
        met = ((R - 1) * S + 2 >> halve) + 1
        left = -before * S - pad_left >> halve
        for i in range(met):
            ih = (row * S - pad_top >> halve) + i
            p.rows[i] = source + (ih * s.SW + left) * C if 0 <= ih < s.SH else NULL
        p.first_row, p.last_row = row >= 0, row + R <= s.TH
        for tile in range(tiles + s.TW % step):
            at, ow, W = left, grains * tile // tiles, grains * (tile + 1) // tiles
            ow, W = ow * grain - before, (W - ow) * U
            if tile == tiles:
                ow, W = s.TW - step, 1  # an odd pixel, in a pair that ends with the row
            left = ow * S - pad_left >> halve
            for i in range(met):
                if p.rows[i] != NULL:
                    p.rows[i] += (left - at) * C
            p.left, p.right = left >= 0, left + ((W * step - 1) * S + 2 >> halve) < s.SW
            p.first_column, p.last_column = ow >= 0, ow + W * step <= s.TW
            next_row, next_ow = row, ow + distance
            if next_ow >= s.TW:
                next_row, next_ow = row + R, next_ow - grains * grain
            ih = next_row * S - pad_top + 3 - S >> halve
            p.ahead = source + (ih * s.SW + (next_ow * S - pad_left + 3 - S >> halve)) * C
            p.out_ahead = ((next_row - row) * s.TW + next_ow - ow) * C
            place = ((n * s.TH + row) * s.TW + ow) * C + first
            p.out = target + place
            p.y = y + place if y != NULL else NULL
            compute_tile(R, W, S, U, &p)
        if activation != LINEAR and activation != RELU and activation != RELU6:
            for i in range(max(row, 0), min(row + R, s.TH)):
                place = (n * s.TH + i) * s.TW * C + first
                finish_row(activation, y + place if y != NULL else NULL, target + place, s.TW, C, min(C, p.channels))
        row += R
