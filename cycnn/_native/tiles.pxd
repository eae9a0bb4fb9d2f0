"""Register tiles: the innermost loops of convolution, and the patches of images that they read.

A tile keeps up to TILE_ROWS x 2 vectors of results in registers. `rows` and `vectors` are constants wherever these
functions are inlined, so that the loops over them unroll and the accumulators never leave their registers. With one
vector there is a broadcast for every multiply-add, as many as a core can load; where the windows of neighbouring pixels
overlap, a sliding tile uses each for all columns of the kernel.
"""

from libc.string cimport memcpy, memset

from cycnn._native.runtime cimport MOST_BYTES
from .simd cimport (
    TILE_ROWS, VL, tile_t, vf, vf_add, vf_fma, vf_load, vf_set1, vf_store, vf_store_first, vf_zero,
)

cdef extern from "tiles.h" nogil:
    enum:
        SLIDE_ROWS
    ctypedef float slide_t[16]
    vf vf_clamp(vf a, vf low, vf high) noexcept
    void slide_over(
        Py_ssize_t rows, Py_ssize_t columns, vf* acc, const float* x, Py_ssize_t pixel, const vf* b
    ) noexcept

cdef struct Taps:
    # The values under a window: contiguous runs of equal length, and where each starts, seen from the window's start.
    Py_ssize_t runs, length
    Py_ssize_t* starts

cdef struct Epilogue:
    # What is done to sums before they are stored.
    const float* bias  # whole vectors of it
    bint clamps        # to low..high
    float low, high

cdef struct Pixels:
    # The pixels that a gradient tile sums over, and where their windows start in x.
    Py_ssize_t images, image_step
    Py_ssize_t rows, row_step
    Py_ssize_t columns, column_step


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline int check_scratch(double height, double width, double channels) except -1:
    """Raise MemoryError where a patch would have more bytes than can be counted."""
    if height * width * channels * sizeof(float) > MOST_BYTES:
        raise MemoryError(f"a patch of {height:.0f} x {width:.0f} pixels of {channels:.0f} channels is too large")
    return 0


cdef inline void add_tap(
    Py_ssize_t rows, const Py_ssize_t vectors, vf (*acc)[2], const float* x, Py_ssize_t pixel, const float* panel,
) noexcept nogil:
    """acc[r][o] += x[r] panel[o] for `rows` neighbouring pixels r."""
    cdef:
        const float* fourth[3]  # every fourth row: x86 addresses p, p + d, p + 2 d and p + 3 d with two registers
        vf b[2]
        vf a
        Py_ssize_t r, v
    fourth[0] = x
    fourth[1] = x + 4 * pixel
    fourth[2] = x + 8 * pixel
    for v in range(vectors):
        b[v] = vf_load(panel + v * VL)
    for r in range(rows):
        a = vf_set1(fourth[r // 4][r % 4 * pixel])
        for v in range(vectors):
            acc[r][v] = vf_fma(a, b[v], acc[r][v])


cdef inline void correlation_tile(
    Py_ssize_t rows, const Py_ssize_t vectors, const Taps* taps, const float* x, Py_ssize_t pixel,
    const float* panel, const Epilogue* epilogue, float* out, Py_ssize_t out_pixel, Py_ssize_t channels,
) noexcept nogil:
    """out[r][o] = bias[o] + sum over taps t of x[r][t] panel[t][o], for `rows` neighbouring pixels r.

    A sum waits four cycles for the one before it, so few rows take turns with several sums each.
    """
    cdef:
        tile_t acc
        vf bias, low, high
        Py_ssize_t r, v, i, t, k, sums = 4 if rows == 1 else 2 if rows <= min(3, TILE_ROWS // 2) else 1
    rows = min(rows, <Py_ssize_t> TILE_ROWS)  # so the compiler knows it where no such tile is called
    for v in range(vectors):
        bias = vf_load(epilogue.bias + v * VL)
        for r in range(rows):
            acc[r][v] = bias
        for r in range(rows, rows * sums):
            acc[r][v] = vf_zero()
    if taps.length == 1:
        for i in range(taps.runs):
            add_tap(rows, vectors, acc, x + taps.starts[i], pixel, panel)
            panel += vectors * VL
    else:
        for i in range(taps.runs):
            if sums > 1:
                for t in range(taps.length // sums):
                    for k in range(sums):
                        add_tap(rows, vectors, acc + k * rows, x + taps.starts[i] + t * sums + k, pixel, panel)
                        panel += vectors * VL
            for t in range(taps.length // sums * sums if sums > 1 else 0, taps.length):
                add_tap(rows, vectors, acc, x + taps.starts[i] + t, pixel, panel)
                panel += vectors * VL
    for v in range(vectors):
        for k in range(1, sums):
            for r in range(rows):
                acc[r][v] = vf_add(acc[r][v], acc[k * rows + r][v])
    if epilogue.clamps:
        low, high = vf_set1(epilogue.low), vf_set1(epilogue.high)
        for r in range(rows):
            for v in range(vectors):
                acc[r][v] = vf_clamp(acc[r][v], low, high)
    for r in range(rows):
        for v in range(vectors - 1):
            vf_store(out + r * out_pixel + v * VL, acc[r][v])
    v = vectors - 1
    if channels == vectors * VL:
        for r in range(rows):
            vf_store(out + r * out_pixel + v * VL, acc[r][v])
    else:
        for r in range(rows):
            vf_store_first(out + r * out_pixel + v * VL, acc[r][v], channels - v * VL)


cdef inline void sliding_tile(
    Py_ssize_t rows, const Py_ssize_t KW, Py_ssize_t KH, Py_ssize_t row, Py_ssize_t C, const float* x, Py_ssize_t pixel,
    const float* panel, const Epilogue* epilogue, float* out, Py_ssize_t out_pixel, Py_ssize_t channels,
) noexcept nogil:
    """out[r][o] = bias[o] + sum over kh, kw, c of x[kh][r + kw][c] panel[kh][kw][c][o], for `rows` pixels r.

    Rows and pixels of x are `row` and `pixel` floats apart. Each number of x meets the whole kernel row at once.
    """
    cdef:
        slide_t acc
        vf b[5]
        vf bias = vf_load(epilogue.bias), low, high
        Py_ssize_t r, kh, kw, c
    rows = min(rows, <Py_ssize_t> SLIDE_ROWS)
    for r in range(rows):
        acc[r] = bias
    for kh in range(KH):
        for c in range(C):
            for kw in range(KW):
                b[kw] = vf_load(panel + (kw * C + c) * VL)
            slide_over(rows, KW, acc, x + c, pixel, b)
        x += row
        panel += KW * C * VL
    if epilogue.clamps:
        low, high = vf_set1(epilogue.low), vf_set1(epilogue.high)
        for r in range(rows):
            acc[r] = vf_clamp(acc[r], low, high)
    if channels == VL:
        for r in range(rows):
            vf_store(out + r * out_pixel, acc[r])
    else:
        for r in range(rows):
            vf_store_first(out + r * out_pixel, acc[r], channels)


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
                memcpy(patch + before * channels, source + before * channels, (inside - before) * channels * sizeof(float))
            else:
                for c in range(before, inside):
                    memcpy(patch + c * patch_pixel, source + c * pixel, channels * sizeof(float))
            if inside < columns:
                memset(patch + inside * patch_pixel, 0, (columns - inside) * patch_pixel * sizeof(float))
        patch += columns * patch_pixel
