"""Depthwise convolution, float32 and float64: forward and gradient to the input.

    out[n, oh, ow, c M + m] = act(bias[c M + m] + sum over kh, kw of x[n, ih, iw, c] kernel[kh, kw, c, m])
    dx[n, ih, iw, c]        = act'(y) sum over m, kh, kw of dout[n, oh, ow, c M + m] kernel[kh, kw, c, m]

where ih = oh * stride_h - pad_top + kh * dilation_h, iw = ow * stride_w - pad_left + kw * dilation_w; what falls
outside an array is left out. Images are N x IH x IW x IC, outputs N x OH x OW x OC, OC = IC M, kernels
KH x KW x IC x M.

Both go over the rows of a target and gather from a source: x for out, dout for dx. A tap meets one source pixel, the
next target pixel another at a fixed distance; for dx this holds of the pixels stride_w apart, a phase of the stride, so
that nothing is multiplied by zero. With a multiplier M > 1 the channels of x are first written M times beside each
other, or the M gradients of each channel are added up in the end; between the two there are OC channels of one kernel.

The idea: ROWS target pixels by 2 VL channels stay in registers while the taps go by; a vector of the kernel is loaded
once for all of them, so that a multiply-add costs little more than the one load of its source. Pixels whose windows
reach over the border are done one by one, with the taps that meet something. Work is also divided into chunks of
channels whose rows stay in the first-level cache from one target row to the next. float64, and less than a vector of
channels, go through a plain loop.
"""

from libc.stdlib cimport free, malloc

from cycnn._native.runtime cimport Buffer, GatedStep
from .activations cimport LINEAR, activation_code, real_t
from .depthwise_tiles cimport TILE_H
from .depthwise_windows cimport correlate_windows, window_chunks, windows_fit
from .gated_norm cimport norm_of
from .geometry cimport read_geometry
from .simd cimport TILE_ROWS, VL, tile_t, vf, vf_fma, vf_load, vf_store, vf_zero
from .sliding cimport axis_t, combine_taps, find_inside, finish_row, list_taps, sliding_t, tap_t
from .tiles cimport ceil_div, check_scratch

cdef enum:
    ROWS = 6        # target pixels in a tile, at most
    CHUNK = 128     # channels in a task, about
    TASK = 1 << 17  # multiplications in a task, about

ctypedef void (*correlate_loop)(
    const sliding_t* s, const void* source, const void* kernel, const void* bias, void* target, const void* y,
    int activation, Py_ssize_t task, char* scratch
) noexcept nogil


# --- rows of the target ----------------------------------------------------------------------------


cdef inline void tile(
    Py_ssize_t rows, const Py_ssize_t vectors, const tap_t* taps, Py_ssize_t count, const float* source,
    Py_ssize_t step, const float* kernel, const float* bias, float* out, Py_ssize_t out_step
) noexcept nogil:
    """out[r] = bias + sum over taps of source[r] * kernel, for `rows` pixels and some vectors of channels."""
    cdef:
        tile_t acc
        vf k[2]
        const float* third[2]  # every third pixel: x86 addresses p, p + d and p + 2 d with two registers
        Py_ssize_t t, r, v
    rows = min(rows, <Py_ssize_t> TILE_ROWS)  # so the compiler knows it where no such tile is called
    for v in range(vectors):
        k[v] = vf_load(bias + v * VL) if bias != NULL else vf_zero()
        for r in range(rows):
            acc[r][v] = k[v]
    for t in range(count):
        third[0] = source + taps[t].source
        third[1] = third[0] + 3 * step
        for v in range(vectors):
            k[v] = vf_load(kernel + taps[t].kernel + v * VL)
        for r in range(rows):
            for v in range(vectors):
                acc[r][v] = vf_fma(vf_load(third[r // 3] + r % 3 * step + v * VL), k[v], acc[r][v])
    for r in range(rows):
        for v in range(vectors):
            vf_store(out + r * out_step + v * VL, acc[r][v])


cdef inline void tiles_of(
    const Py_ssize_t rows, const tap_t* taps, Py_ssize_t count, const float* source, Py_ssize_t step,
    const float* kernel, const float* bias, float* out, Py_ssize_t out_step, Py_ssize_t n
) noexcept nogil:
    """Compute n >= VL channels of `rows` pixels; the last vector is moved back to end with them."""
    cdef Py_ssize_t c = 0, at
    while c + 2 * VL <= n:
        tile(rows, 2, taps, count, source + c, step, kernel + c, bias + c if bias != NULL else NULL, out + c, out_step)
        c += 2 * VL
    while c < n:
        at = min(c, n - VL)
        tile(rows, 1, taps, count, source + at, step, kernel + at, bias + at if bias != NULL else NULL, out + at,
             out_step)
        c += VL


cdef void compute_tiles(
    Py_ssize_t rows, const tap_t* taps, Py_ssize_t count, const float* source, Py_ssize_t step, const float* kernel,
    const float* bias, float* out, Py_ssize_t out_step, Py_ssize_t n
) noexcept nogil:
    """Call the tiles of `rows` pixels with a constant in their place."""
    if rows == 1:
        tiles_of(1, taps, count, source, step, kernel, bias, out, out_step, n)
    elif rows == 2:
        tiles_of(2, taps, count, source, step, kernel, bias, out, out_step, n)
    elif rows == 3:
        tiles_of(3, taps, count, source, step, kernel, bias, out, out_step, n)
    elif rows == 4:
        tiles_of(4, taps, count, source, step, kernel, bias, out, out_step, n)
    elif rows == 5 <= TILE_ROWS:
        tiles_of(5, taps, count, source, step, kernel, bias, out, out_step, n)
    elif rows == 6 <= TILE_ROWS:
        tiles_of(6, taps, count, source, step, kernel, bias, out, out_step, n)


cdef inline void compute_pixel(
    const tap_t* taps, Py_ssize_t count, const real_t* source, const real_t* kernel, const real_t* bias, real_t* out,
    Py_ssize_t n
) noexcept nogil:
    """Compute one pixel, as a plain loop."""
    cdef Py_ssize_t t, c
    for c in range(n):
        out[c] = 0 if bias == NULL else bias[c]
    for t in range(count):
        for c in range(n):
            out[c] += source[taps[t].source + c] * kernel[taps[t].kernel + c]


cdef inline void correlate_row(
    const sliding_t* s, const tap_t* rows, Py_ssize_t count, const axis_t* columns, const real_t* source,
    Py_ssize_t pixel, const real_t* kernel, const real_t* bias, real_t* out, Py_ssize_t out_step, Py_ssize_t n,
    tap_t* taps
) noexcept nogil:
    """Compute n channels of one phase of a target row; its taps are `rows` x those of `columns`."""
    cdef Py_ssize_t j = 0, found = 0, listed = 0, left, width
    while j < columns.outputs:
        left = columns.stop - j if j >= columns.first else 0
        if left <= 0 or j == columns.first:
            found, listed = combine_taps(s, rows, count, columns, j, pixel, taps), j
        width = 1
        if real_t is float:
            if s.tiles and left > 1:
                width = ceil_div(left, ceil_div(left, min(<Py_ssize_t> ROWS, <Py_ssize_t> TILE_ROWS)))
            if s.tiles:
                compute_tiles(width, taps, found, source + (j - listed) * columns.step * pixel, columns.step * pixel,
                              kernel, bias, out + j * out_step, out_step, n)
            else:
                compute_pixel(taps, found, source + (j - listed) * columns.step * pixel, kernel, bias,
                              out + j * out_step, n)
        else:
            compute_pixel(taps, found, source + (j - listed) * columns.step * pixel, kernel, bias,
                          out + j * out_step, n)
        j += width


# --- tasks -----------------------------------------------------------------------------------------


cdef inline void repeat_channels(
    const real_t* x, Py_ssize_t pixel, Py_ssize_t pixels, Py_ssize_t channels, Py_ssize_t M, real_t* out
) noexcept nogil:
    """Write each channel of some pixels M times."""
    cdef Py_ssize_t i, c, m
    for i in range(pixels):
        for c in range(channels):
            for m in range(M):
                out[(i * channels + c) * M + m] = x[i * pixel + c]


cdef inline void add_channels(
    const real_t* numbers, Py_ssize_t pixels, Py_ssize_t channels, Py_ssize_t M, real_t* out, Py_ssize_t pixel
) noexcept nogil:
    """Add up M neighbouring numbers for each channel of some pixels."""
    cdef:
        Py_ssize_t i, c, m
        real_t total
    for i in range(pixels):
        for c in range(channels):
            total = 0
            for m in range(M):
                total += numbers[(i * channels + c) * M + m]
            out[i * pixel + c] = total


cdef void correlate(
    const sliding_t* s, const real_t* source, const real_t* kernel, const real_t* bias, real_t* target,
    const real_t* y, int activation, Py_ssize_t task, char* scratch
) noexcept nogil:
    """Compute one chunk of channels of one block of rows of one image."""
    cdef:
        Py_ssize_t chunk = task % s.chunks, block = task // s.chunks % s.blocks, n = task // (s.chunks * s.blocks)
        Py_ssize_t M = s.M, IC = s.g.IC, OC = s.g.OC, c = IC * chunk // s.chunks
        Py_ssize_t channels = IC * (chunk + 1) // s.chunks - c, width = channels * M, pixel = OC, step = OC
        Py_ssize_t row, p, count, top = 0, bottom, place, stop = min((block + 1) * s.block, s.TH)
        tap_t* rows = <tap_t*> scratch
        tap_t* taps = rows + s.g.KH
        real_t* numbers = <real_t*> (taps + s.g.KH * s.g.KW)
        real_t* out
    kernel += c * M
    if bias != NULL:
        bias += c * M
    if M > 1 and not s.transposed:
        top = max(block * s.block * s.g.stride_h - s.g.pad_top, 0)
        bottom = min((stop - 1) * s.g.stride_h - s.g.pad_top + (s.g.KH - 1) * s.g.dilation_h + 1, s.SH)
        source += (n * s.SH + top) * s.SW * IC + c
        repeat_channels(source, IC, max(bottom - top, 0) * s.SW, channels, M, numbers)
        source, pixel = numbers, width
    else:
        source += n * s.SH * s.SW * OC + c * M
    for row in range(block * s.block, stop):
        count = list_taps(s.transposed, row, s.g.KH, s.g.stride_h, s.g.pad_top, s.g.dilation_h, rows)
        place = (n * s.TH + row) * s.TW
        if M > 1 and s.transposed:
            out, step = numbers, width
        else:
            out = target + place * OC + c * M
        for p in range(s.phases):
            correlate_row(s, rows, count, &s.columns[p], source - top * s.SW * pixel, pixel, kernel, bias,
                          out + p * step, s.distance * step, width, taps)
        if M > 1 and s.transposed:
            add_channels(numbers, s.TW, channels, M, target + place * IC + c, IC)
        if activation != LINEAR and s.transposed:
            finish_row(activation, y + place * IC + c if y != NULL else NULL, target + place * IC + c, s.TW, IC,
                       channels)
        elif activation != LINEAR:
            finish_row(activation, <const real_t*> NULL, out, s.TW, OC, width)


# --- steps -----------------------------------------------------------------------------------------


cdef class Depthwise(GatedStep):
    """What forward and gradient have in common: a source, a target, and the taps between them."""

    cdef:
        Buffer source  # IN
        Buffer kernel  # IN  (KH, KW, IC, M), or (KW, IC, M) for one row
        Buffer bias    # IN  (OC,) or None
        Buffer target  # OUT
        sliding_t s
        tap_t* taps
        int activation
        correlate_loop loop

    cdef _slide(self, Buffer x, Buffer out, window, bint transposed, str activation):
        """Divide the target into tasks, and list the taps of its columns."""
        cdef sliding_t* s = &self.s
        cdef Py_ssize_t width, rows, numbers
        cdef double row_cost
        self.activation = activation_code(activation)
        read_geometry(&s.g, x.shape, out.shape, window)
        s.M, s.transposed = s.g.OC // max(s.g.IC, 1), transposed
        s.tiles = x.dtype == "float32" and s.g.OC >= VL
        s.SH, s.SW, s.TH, s.TW = s.g.IH, s.g.IW, s.g.OH, s.g.OW
        if transposed:
            s.SH, s.SW, s.TH, s.TW = s.g.OH, s.g.OW, s.g.IH, s.g.IW
        windows = x.dtype == "float32" and windows_fit(s)
        s.chunks = window_chunks(s) if windows else max(min(s.g.IC, ceil_div(s.g.OC, CHUNK)), 1)
        row_cost = max(self.cost() / max(s.g.N * s.TH * s.chunks, 1), 1.0)
        s.block = max(min(<Py_ssize_t> (TASK / row_cost), s.TH), 1)
        if windows:
            s.block = ceil_div(s.block, TILE_H) * TILE_H
        s.blocks = ceil_div(s.TH, s.block)
        width = ceil_div(s.g.IC, s.chunks) * s.M
        rows = 1 if transposed else min(s.SH, (s.block - 1) * s.g.stride_h + (s.g.KH - 1) * s.g.dilation_h + 1)
        check_scratch(rows, max(s.SW, s.TW), 2.0 * width)
        numbers = rows * (s.TW if transposed else s.SW) * width if s.M > 1 else 0
        self.scratch = (s.g.KH + s.g.KH * s.g.KW) * sizeof(tap_t) + numbers * sizeof(double)
        self._list_columns()
        if windows:
            self.loop = <correlate_loop> correlate_windows
            self.parts = s.g.N * s.blocks if s.g.OC % VL == 0 else 0
        elif x.dtype == "float32":
            self.loop = <correlate_loop> correlate[float]
        else:
            self.loop = <correlate_loop> correlate[double]

    cdef _list_columns(self):
        cdef sliding_t* s = &self.s
        cdef Py_ssize_t p, used = 0
        cdef axis_t* axis
        s.distance = s.g.stride_w if s.transposed else 1
        s.phases = min(s.distance, s.TW)
        self.taps = <tap_t*> malloc(s.g.KW * sizeof(tap_t) + s.phases * sizeof(axis_t))  # a tap belongs to one phase
        if self.taps == NULL:
            raise MemoryError("no memory for the taps of a depthwise convolution")
        s.columns = <axis_t*> (self.taps + s.g.KW)
        for p in range(s.phases):
            axis = &s.columns[p]
            axis.taps, axis.step = self.taps + used, 1 if s.transposed else s.g.stride_w
            axis.outputs = ceil_div(s.TW - p, s.distance)
            axis.count = list_taps(
                s.transposed, p, s.g.KW, s.g.stride_w, s.g.pad_left, s.g.dilation_w, axis.taps)
            used += axis.count
            find_inside(axis, s.SW)

    cdef double cost(self) noexcept nogil:
        return 1.0 * self.s.g.N * self.s.g.OH * self.s.g.OW * self.s.g.OC * self.s.g.KH * self.s.g.KW

    cdef void run(self) noexcept nogil:
        self.s.norm = norm_of(self)
        self.split(self.s.g.N * self.s.blocks * self.s.chunks, self.cost())

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        self.loop(
            &self.s, self.source.data, self.kernel.data, NULL if self.bias is None else self.bias.data,
            self.target.data, NULL if self.y is None else self.y.data, self.activation, i, scratch,
        )

    def __dealloc__(self):
        free(self.taps)


cdef class DepthwiseConv2DForward(Depthwise):
    """out = act(depthwise(x, kernel) + bias), x (N, IH, IW, IC), out (N, OH, OW, OC)."""

    def __init__(self, Buffer x, Buffer kernel, Buffer bias, Buffer out, window, str activation):
        self.source, self.kernel, self.bias, self.target = x, kernel, bias, out
        self._slide(x, out, window, False, activation)


cdef class DepthwiseConv2DBackwardInput(Depthwise):
    """dx = the transpose of the depthwise convolution applied to dout, times act'(y) of the layer before."""

    def __init__(self, Buffer dout, Buffer kernel, Buffer dx, window, str activation, Buffer y):
        self.source, self.kernel, self.target, self.y = dout, kernel, dx, y
        self._slide(dx, dout, window, True, activation)
