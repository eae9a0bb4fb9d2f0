"""What convolutions by register tiles share: the kernel packed into panels, and the call of a tile by its rows."""

from cycnn._native.runtime cimport Buffer, Memory, Step
from cycnn._native.threads cimport begin_copy, end_copy
from .simd cimport TILE_ROWS, VL, vf, vf_load, vf_load_first, vf_store, vf_zero
from .tiles cimport SLIDE_ROWS, Epilogue, Taps, ceil_div, correlation_tile, sliding_tile

from math import gcd

cdef extern from "transpose.h" nogil:
    void vf_transpose(vf* rows) noexcept

cdef enum:
    ROWS = 16    # source channels that a task copies: as many streams as the prefetcher follows
    CHUNK = 512  # source channels that a task transposes


cdef void copy_rows(
    const float* source, Py_ssize_t row, Py_ssize_t channels, Py_ssize_t C, float* panel, Py_ssize_t width,
) noexcept nogil:
    """panel[c][o] = source[c][o], and zero from `channels` up to `width`; rows of the source are `row` floats apart."""
    cdef Py_ssize_t last = channels - width + VL
    for _ in range(C):
        if width == PANEL:
            vf_store(panel, vf_load(source))
        vf_store(panel + width - VL, vf_load_first(source + width - VL, last))
        source += row
        panel += width


cdef void transpose_rows(
    const float* source, Py_ssize_t row, Py_ssize_t channels, Py_ssize_t C, float* panel, Py_ssize_t width,
) noexcept nogil:
    """panel[c][o] = source[o][c], and zero from `channels` up to `width`; rows of the source are `row` floats apart."""
    cdef:
        vf rows[VL]
        Py_ssize_t c = 0, o, i
    while c < C:
        o = 0
        while o < width:
            if o + VL <= channels and c + VL <= C:
                for i in range(VL):
                    rows[i] = vf_load(source + (o + i) * row + c)
            else:
                for i in range(VL):
                    rows[i] = vf_zero()
                for i in range(min(<Py_ssize_t> VL, channels - o)):
                    rows[i] = vf_load_first(source + (o + i) * row + c, min(<Py_ssize_t> VL, C - c))
            vf_transpose(rows)
            if c + VL <= C:
                for i in range(VL):
                    vf_store(panel + (c + i) * width + o, rows[i])
            else:
                for i in range(C - c):
                    vf_store(panel + (c + i) * width + o, rows[i])
            o += VL
        c += VL


cdef class PackedKernel(Step):
    """The kernel in panels [group][panel][tap row][tap column][c][PANEL], made again only when the kernel has changed.

    Tap (a, b) of the correlation is the kernel's (first_h + a step_h, first_w + b step_w); source and output channels
    are `c_step` and `o_step` apart in the kernel. C and OC are the channels of one group. One that is not `kept` has
    no memory of its own, and is made anew wherever its only user says.
    """

    def __init__(self, Buffer kernel, tuple taps_h, tuple taps_w, bint transposed, bint flat, Py_ssize_t groups,
                 bint kept=True):
        cdef Py_ssize_t axes = len(kernel.shape), IC = kernel.shape[axes - 2], OC = kernel.shape[axes - 1]
        self.kernel = kernel
        self.form = (taps_h, taps_w, transposed, flat, groups)
        self.KW = kernel.shape[axes - 3] if axes > 2 else 1  # a dense kernel (IC, OC) is a 1x1 kernel
        if flat:  # one tap of KW * IC channels in every row
            IC, self.KW = self.KW * IC, 1
        self.tap_rows, self.first_h, self.step_h = taps_h
        self.tap_columns, self.first_w, self.step_w = taps_w
        self.groups, self.group_step, self.tap_step = groups, OC // groups, IC * OC
        if transposed:
            self.C, self.OC, self.c_step, self.o_step = OC // groups, IC, 1, OC
        else:
            self.C, self.OC, self.c_step, self.o_step = IC, OC // groups, OC, 1
        self.panels = ceil_div(self.OC, PANEL)
        self.lots = self.panels if transposed else 1
        self.chunk = CHUNK if transposed else ROWS
        self.chunks = ceil_div(self.C, self.chunk)
        self.nbytes = groups * self.panels * self.tap_rows * self.tap_columns * self.C * PANEL * sizeof(float)
        if kept:
            self.memory = Memory(self.nbytes)
            self.data = <float*> self.memory.data

    cdef void place(self, char* data) noexcept nogil:
        """Be made at `data` in the next run, if there is no memory of its own."""
        if self.memory is None:
            self.data, self.packed_version = <float*> data, 0

    cdef void run(self) noexcept nogil:
        cdef unsigned long long version = self.kernel.version  # before, for the kernel may change meanwhile
        if begin_copy(&self.packed_version, version):
            self.split(self.groups * self.tap_rows * self.tap_columns * self.lots * self.chunks, 4.0 * self.kernel.size)
            end_copy(&self.packed_version, version)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        """Pack a chunk of the source channels of one tap: for one panel where they are transposed, else for all."""
        cdef:
            Py_ssize_t start = i % self.chunks * self.chunk, lot = i // self.chunks % self.lots
            Py_ssize_t place = i // (self.chunks * self.lots), taps = self.tap_rows * self.tap_columns
            Py_ssize_t tap = place % taps, group = place // taps, C = min(self.chunk, self.C - start)
            Py_ssize_t p, channels, width
            const float* source = <const float*> self.kernel.data + group * self.group_step + start * self.c_step
            float* panel
        source += self.tap_step * (
            (self.first_h + tap // self.tap_columns * self.step_h) * self.KW
            + self.first_w + tap % self.tap_columns * self.step_w
        )
        for p in range(lot, lot + 1 if self.lots > 1 else self.panels):
            channels = min(<Py_ssize_t> PANEL, self.OC - p * PANEL)
            width = VL if channels <= VL else PANEL
            panel = self.data + (group * self.panels + p) * taps * self.C * PANEL + (tap * self.C + start) * width
            if self.c_step == 1:
                transpose_rows(source + p * PANEL * self.o_step, self.o_step, channels, C, panel, width)
            else:
                copy_rows(source + p * PANEL, self.c_step, channels, C, panel, width)


cdef PackedKernel packed_kernel(
    Buffer kernel, tuple taps_h, tuple taps_w, bint transposed, bint flat=False, Py_ssize_t groups=1
):
    """Return the packed copy that all steps with these taps share."""
    key = (VL, taps_h, taps_w, transposed, flat, groups)
    if key not in kernel.cache:
        kernel.cache[key] = PackedKernel(kernel, taps_h, taps_w, transposed, flat, groups)
    return kernel.cache[key]


cdef tuple phase_taps(Py_ssize_t phase, Py_ssize_t K, Py_ssize_t stride, Py_ssize_t dilation, Py_ssize_t pad):
    """Return (count, first, step), dilation and padding of the taps that reach the pixels phase, phase + stride, ...

    Pixel i is touched by tap k of output o where o stride + k dilation - pad = i, so k dilation = phase + pad modulo
    the stride. These k are stride / g apart and their outputs dilation / g, g = gcd(stride, dilation); as outputs
    fall with k, the correlation takes the taps in reverse.
    """
    g = gcd(stride, dilation)
    every = stride // g
    lowest = next((k for k in range(min(K, every)) if (phase + pad - k * dilation) % stride == 0), None)
    if lowest is None:
        return (0, 0, 0), 1, 0
    count = (K - 1 - lowest) // every + 1
    nearest = (phase + pad - lowest * dilation) // stride  # the output that tap `lowest` carries to pixel `phase`
    return (count, lowest + (count - 1) * every, -every), dilation // g, (count - 1) * (dilation // g) - nearest


cdef inline void correlate_rows(
    const Py_ssize_t vectors, Py_ssize_t rows, const Taps* taps, const float* x, Py_ssize_t pixel, const float* panel,
    const Epilogue* epilogue, float* out, Py_ssize_t out_pixel, Py_ssize_t channels,
) noexcept nogil:
    """Call the tile of `rows` rows with a constant in their place."""
    if rows == 1:
        correlation_tile(1, vectors, taps, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 2:
        correlation_tile(2, vectors, taps, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 3:
        correlation_tile(3, vectors, taps, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 4:
        correlation_tile(4, vectors, taps, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 5 <= TILE_ROWS:
        correlation_tile(5, vectors, taps, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 6 <= TILE_ROWS:
        correlation_tile(6, vectors, taps, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 7 <= TILE_ROWS:
        correlation_tile(7, vectors, taps, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 8 <= TILE_ROWS:
        correlation_tile(8, vectors, taps, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 9 <= TILE_ROWS:
        correlation_tile(9, vectors, taps, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 10 <= TILE_ROWS:
        correlation_tile(10, vectors, taps, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 11 <= TILE_ROWS:
        correlation_tile(11, vectors, taps, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 12 <= TILE_ROWS:
        correlation_tile(12, vectors, taps, x, pixel, panel, epilogue, out, out_pixel, channels)


cdef void correlate_tile(
    Py_ssize_t rows, const Taps* taps, const float* x, Py_ssize_t pixel, const float* panel, const Epilogue* epilogue,
    float* out, Py_ssize_t out_pixel, Py_ssize_t channels,
) noexcept nogil:
    """Call the tile of `rows` rows and of as many vectors as `channels` fill."""
    if channels > VL:
        correlate_rows(2, rows, taps, x, pixel, panel, epilogue, out, out_pixel, channels)
    else:
        correlate_rows(1, rows, taps, x, pixel, panel, epilogue, out, out_pixel, channels)


cdef inline void slide_rows(
    const Py_ssize_t KW, Py_ssize_t rows, Py_ssize_t KH, Py_ssize_t row, Py_ssize_t C, const float* x, Py_ssize_t pixel,
    const float* panel, const Epilogue* epilogue, float* out, Py_ssize_t out_pixel, Py_ssize_t channels,
) noexcept nogil:
    """Call the sliding tile of `rows` rows with a constant in their place."""
    if rows == 1:
        sliding_tile(1, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 2:
        sliding_tile(2, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 3:
        sliding_tile(3, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 4:
        sliding_tile(4, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 5:
        sliding_tile(5, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 6:
        sliding_tile(6, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 7:
        sliding_tile(7, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 8:
        sliding_tile(8, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 9 <= SLIDE_ROWS:
        sliding_tile(9, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 10 <= SLIDE_ROWS:
        sliding_tile(10, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 11 <= SLIDE_ROWS:
        sliding_tile(11, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 12 <= SLIDE_ROWS:
        sliding_tile(12, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 13 <= SLIDE_ROWS:
        sliding_tile(13, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 14 <= SLIDE_ROWS:
        sliding_tile(14, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 15 <= SLIDE_ROWS:
        sliding_tile(15, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    elif rows == 16 <= SLIDE_ROWS:
        sliding_tile(16, KW, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)


cdef void slide_tile(
    Py_ssize_t rows, Py_ssize_t KW, Py_ssize_t KH, Py_ssize_t row, Py_ssize_t C, const float* x, Py_ssize_t pixel,
    const float* panel, const Epilogue* epilogue, float* out, Py_ssize_t out_pixel, Py_ssize_t channels,
) noexcept nogil:
    """Call the sliding tile of `rows` rows for a kernel of 3 or 5 columns."""
    if KW == 3:
        slide_rows(3, rows, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
    else:
        slide_rows(5, rows, KH, row, C, x, pixel, panel, epilogue, out, out_pixel, channels)
