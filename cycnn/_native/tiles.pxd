"""Register tiles: the innermost loops of convolution, and the patches of images that they read.

A tile keeps up to TILE_ROWS x 2 vectors of results in registers. `rows` and `vectors` are constants wherever these
functions are inlined, so that the loops over them unroll and the accumulators never leave their registers. With one
vector there is a broadcast for every multiply-add, as many as a core can load; where the windows of neighbouring pixels
overlap, a sliding tile uses each for all columns of the kernel.
"""

from libc.string cimport memcpy, memset

from cycnn._native.runtime cimport MOST_BYTES
from .fetch cimport fetch_line
from .simd cimport TILE_ROWS, VL, vf, vf_load, vf_set1, vf_zero

cdef extern from "tiles.h" nogil:
    enum:
        SLIDE_ROWS
    ctypedef vf sums_t[36]
    void fill_tile(Py_ssize_t rows, Py_ssize_t vectors, vf* acc, const vf* value) noexcept
    void load_tile(
        Py_ssize_t rows, Py_ssize_t vectors, vf* acc, const float* sums, Py_ssize_t row, Py_ssize_t numbers
    ) noexcept
    void store_tile(
        Py_ssize_t rows, Py_ssize_t vectors, const vf* acc, float* out, Py_ssize_t row, Py_ssize_t numbers
    ) noexcept
    void add_tap(
        Py_ssize_t rows, Py_ssize_t vectors, vf* acc, const float* x, Py_ssize_t step, const float* b
    ) noexcept
    void add_sums(Py_ssize_t size, vf* acc, const vf* more) noexcept
    void add_residual(Py_ssize_t rows, Py_ssize_t vectors, vf* acc, const float* more, Py_ssize_t row) noexcept
    void gate_tile(
        Py_ssize_t rows, Py_ssize_t vectors, vf* acc, const float* y, Py_ssize_t row, vf low, vf high
    ) noexcept
    void clamp_tile(Py_ssize_t size, vf* acc, vf low, vf high) noexcept
    void slide_over(
        Py_ssize_t rows, Py_ssize_t columns, vf* acc, const float* x, Py_ssize_t pixel, const vf* b
    ) noexcept

cdef struct Taps:
    # The values under a window: contiguous runs of equal length, and where each starts, seen from the window's start.
    Py_ssize_t runs, length
    Py_ssize_t* starts
    # Meanwhile the next panel of a large kernel is fetched: from where, and how many of its numbers for each tap, or 0.
    const float* ahead
    Py_ssize_t ahead_step

cdef struct Epilogue:
    # What is done to sums before they are stored. `residual` and `y` need whole vectors.
    const float* bias      # whole vectors of it
    const float* out       # where the output starts that the following belong to
    const float* residual  # to add, or NULL
    const float* y         # zeros where it is not between low and high, or NULL
    bint clamps            # to low..high
    float low, high

cdef struct Pixels:
    # The pixels that a gradient tile sums over, and where their windows start in x.
    Py_ssize_t images, image_step
    Py_ssize_t rows, row_step
    Py_ssize_t columns, column_step


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline void finish_tile(
    Py_ssize_t rows, const Py_ssize_t vectors, vf* acc, const Epilogue* epilogue, const float* out, Py_ssize_t pixel,
) noexcept nogil:
    """Apply the epilogue, but for the bias."""
    cdef Py_ssize_t place = out - epilogue.out
    if epilogue.residual != NULL:
        add_residual(rows, vectors, acc, epilogue.residual + place, pixel)
    if epilogue.y != NULL:
        gate_tile(rows, vectors, acc, epilogue.y + place, pixel, vf_set1(epilogue.low), vf_set1(epilogue.high))
    if epilogue.clamps:
        clamp_tile(rows * vectors, acc, vf_set1(epilogue.low), vf_set1(epilogue.high))


cdef inline int check_scratch(double height, double width, double channels) except -1:
    """Raise MemoryError where a patch would have more bytes than can be counted."""
    if height * width * channels * sizeof(float) > MOST_BYTES:
        raise MemoryError(f"a patch of {height:.0f} x {width:.0f} pixels of {channels:.0f} channels is too large")
    return 0


cdef inline void correlation_tile(
    Py_ssize_t rows, const Py_ssize_t vectors, const Taps* taps, const float* x, Py_ssize_t pixel,
    const float* panel, const Epilogue* epilogue, float* out, Py_ssize_t out_pixel, Py_ssize_t channels,
) noexcept nogil:
    """out[r][o] = bias[o] + sum over taps t of x[r][t] panel[t][o], for `rows` neighbouring pixels r.

    A sum waits four cycles for the one before it, so few rows take turns with several sums each.
    """
    cdef:
        sums_t acc
        vf start[2]
        const float* ahead = taps.ahead
        Py_ssize_t v, i, t, k, rest, sums = 4 if rows == 1 else 2 if rows <= min(3, TILE_ROWS // 2) else 1, size
    rows = min(rows, <Py_ssize_t> TILE_ROWS)  # so the compiler knows it where no such tile is called
    size = rows * vectors
    for v in range(vectors):
        start[v] = vf_load(epilogue.bias + v * VL)
    fill_tile(rows, vectors, acc, start)
    if sums > 1:
        start[0] = start[1] = vf_zero()
        fill_tile(rows * (sums - 1), vectors, acc + size, start)
    if taps.length == 1:
        for i in range(taps.runs):
            add_tap(rows, vectors, acc, x + taps.starts[i], pixel, panel)
            panel += vectors * VL
    else:
        for i in range(taps.runs):
            if sums > 1:
                for t in range(taps.length // sums):
                    for k in range(sums):
                        add_tap(rows, vectors, acc + k * size, x + taps.starts[i] + t * sums + k, pixel, panel)
                        panel += vectors * VL
            rest = taps.length // sums * sums if sums > 1 else 0
            if taps.ahead_step > 0:
                for t in range(rest, taps.length):
                    add_tap(rows, vectors, acc, x + taps.starts[i] + t, pixel, panel)
                    panel += vectors * VL
                    fetch_line(ahead)
                    ahead += taps.ahead_step
            else:
                for t in range(rest, taps.length):
                    add_tap(rows, vectors, acc, x + taps.starts[i] + t, pixel, panel)
                    panel += vectors * VL
    for k in range(1, sums):
        add_sums(size, acc, acc + k * size)
    finish_tile(rows, vectors, acc, epilogue, out, out_pixel)
    store_tile(rows, vectors, acc, out, out_pixel, channels)


cdef inline void sliding_tile(
    Py_ssize_t rows, const Py_ssize_t KW, Py_ssize_t KH, Py_ssize_t row, Py_ssize_t C, const float* x, Py_ssize_t pixel,
    const float* panel, const Epilogue* epilogue, float* out, Py_ssize_t out_pixel, Py_ssize_t channels,
) noexcept nogil:
    """out[r][o] = bias[o] + sum over kh, kw, c of x[kh][r + kw][c] panel[kh][kw][c][o], for `rows` pixels r.

    Rows and pixels of x are `row` and `pixel` floats apart. Each number of x meets the whole kernel row at once.
    """
    cdef:
        sums_t acc
        vf b[5]
        vf bias = vf_load(epilogue.bias)
        Py_ssize_t kw, c
    rows = min(rows, <Py_ssize_t> SLIDE_ROWS)
    fill_tile(rows, 1, acc, &bias)
    for _ in range(KH):
        for c in range(C):
            for kw in range(KW):
                b[kw] = vf_load(panel + (kw * C + c) * VL)
            slide_over(rows, KW, acc, x + c, pixel, b)
        x += row
        panel += KW * C * VL
    finish_tile(rows, 1, acc, epilogue, out, out_pixel)
    store_tile(rows, 1, acc, out, out_pixel, channels)


cdef inline void copy_patch(
    const float* image, Py_ssize_t height, Py_ssize_t width, Py_ssize_t pixel, Py_ssize_t channels,
    Py_ssize_t top, Py_ssize_t left, Py_ssize_t rows, Py_ssize_t columns, float* patch, Py_ssize_t patch_pixel,
) noexcept nogil:
    """Copy rows x columns pixels from (top, left) of an image; what lies outside of it is zero.

    `pixel` and `patch_pixel` are the distances between neighbouring pixels; the first `channels` of each are copied.
    """
    cdef:
        Py_ssize_t before = min(max(-left, 0), columns)
        Py_ssize_t inside = max(min(columns, width - left), before)
        Py_ssize_t r, c
        const float* source
    for r in range(rows):
        if top + r < 0 or top + r >= height:
            memset(patch, 0, columns * patch_pixel * sizeof(float))
        else:
            source = image + ((top + r) * width + left) * pixel
            if before > 0:
                memset(patch, 0, before * patch_pixel * sizeof(float))
            if pixel == channels and patch_pixel == channels:
                memcpy(patch + before * channels, source + before * channels,
                       (inside - before) * channels * sizeof(float))
            else:
                for c in range(before, inside):
                    memcpy(patch + c * patch_pixel, source + c * pixel, channels * sizeof(float))
            if inside < columns:
                memset(patch + inside * patch_pixel, 0, (columns - inside) * patch_pixel * sizeof(float))
        patch += columns * patch_pixel
