"""What convolutions by register tiles share: the kernel packed into panels, and the call of a tile by its rows."""

from cycnn._native.runtime cimport Buffer, Memory, Step
from .simd cimport TILE_ROWS, VL
from .tiles cimport Taps, ceil_div, correlation_tile


cdef class PackedKernel(Step):
    """The kernel in panels [group][panel][tap row][tap column][c][PANEL], made again only when the kernel has changed.

    Tap (a, b) of the correlation is the kernel's (first_h + a step_h, first_w + b step_w); source and output channels
    are `c_step` and `o_step` apart in the kernel. C and OC are the channels of one group.
    """

    def __init__(self, Buffer kernel, tuple taps_h, tuple taps_w, bint transposed, bint flat, Py_ssize_t groups):
        cdef Py_ssize_t axes = len(kernel.shape), IC = kernel.shape[axes - 2], OC = kernel.shape[axes - 1]
        if flat:  # one tap of KH * KW * IC channels
            IC = kernel.size // OC
        self.kernel = kernel
        self.KW = kernel.shape[axes - 3] if axes > 2 else 1  # a dense kernel (IC, OC) is a 1x1 kernel
        self.tap_rows, self.first_h, self.step_h = taps_h
        self.tap_columns, self.first_w, self.step_w = taps_w
        self.groups, self.group_step, self.tap_step = groups, OC // groups, IC * OC
        if transposed:
            self.C, self.OC, self.c_step, self.o_step = OC // groups, IC, 1, OC
        else:
            self.C, self.OC, self.c_step, self.o_step = IC, OC // groups, OC, 1
        self.panels = ceil_div(self.OC, PANEL)
        self.memory = Memory(groups * self.panels * self.tap_rows * self.tap_columns * self.C * PANEL * sizeof(float))
        self.data = <float*> self.memory.data

    cdef void run(self) noexcept nogil:
        cdef unsigned long long version = self.kernel.version  # before, for the kernel may change meanwhile
        if self.packed_version != version:
            self.split(self.groups * self.panels, 4.0 * self.kernel.size)
            self.packed_version = version

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t a, b, c, o, first = i % self.panels * PANEL
            Py_ssize_t channels = min(<Py_ssize_t> PANEL, self.OC - first)
            Py_ssize_t width = VL if channels <= VL else PANEL
            float* panel = self.data + i * self.tap_rows * self.tap_columns * self.C * PANEL
            const float* tap
        for a in range(self.tap_rows):
            for b in range(self.tap_columns):
                tap = <const float*> self.kernel.data + i // self.panels * self.group_step + first * self.o_step
                tap += self.tap_step * (
                    (self.first_h + a * self.step_h) * self.KW + self.first_w + b * self.step_w
                )
                for c in range(self.C):
                    for o in range(channels):
                        panel[o] = tap[c * self.c_step + o * self.o_step]
                    for o in range(channels, width):
                        panel[o] = 0
                    panel += width


cdef PackedKernel packed_kernel(
    Buffer kernel, tuple taps_h, tuple taps_w, bint transposed, bint flat=False, Py_ssize_t groups=1
):
    """Return the packed copy that all steps with these taps share."""
    key = (VL, taps_h, taps_w, transposed, flat, groups)
    if key not in kernel.cache:
        kernel.cache[key] = PackedKernel(kernel, taps_h, taps_w, transposed, flat, groups)
    return kernel.cache[key]


cdef inline void correlate_rows(
    const Py_ssize_t vectors, Py_ssize_t rows, const Taps* taps, const float* x, Py_ssize_t pixel, const float* panel,
    const float* bias, float* out, Py_ssize_t out_pixel, Py_ssize_t channels,
) noexcept nogil:
    """Call the tile of `rows` rows with a constant in their place."""
    if rows == 1:
        correlation_tile(1, vectors, taps, x, pixel, panel, bias, out, out_pixel, channels)
    elif rows == 2:
        correlation_tile(2, vectors, taps, x, pixel, panel, bias, out, out_pixel, channels)
    elif rows == 3:
        correlation_tile(3, vectors, taps, x, pixel, panel, bias, out, out_pixel, channels)
    elif rows == 4:
        correlation_tile(4, vectors, taps, x, pixel, panel, bias, out, out_pixel, channels)
    elif rows == 5 <= TILE_ROWS:
        correlation_tile(5, vectors, taps, x, pixel, panel, bias, out, out_pixel, channels)
    elif rows == 6 <= TILE_ROWS:
        correlation_tile(6, vectors, taps, x, pixel, panel, bias, out, out_pixel, channels)
    elif rows == 7 <= TILE_ROWS:
        correlation_tile(7, vectors, taps, x, pixel, panel, bias, out, out_pixel, channels)
    elif rows == 8 <= TILE_ROWS:
        correlation_tile(8, vectors, taps, x, pixel, panel, bias, out, out_pixel, channels)
    elif rows == 9 <= TILE_ROWS:
        correlation_tile(9, vectors, taps, x, pixel, panel, bias, out, out_pixel, channels)
    elif rows == 10 <= TILE_ROWS:
        correlation_tile(10, vectors, taps, x, pixel, panel, bias, out, out_pixel, channels)
    elif rows == 11 <= TILE_ROWS:
        correlation_tile(11, vectors, taps, x, pixel, panel, bias, out, out_pixel, channels)
    elif rows == 12 <= TILE_ROWS:
        correlation_tile(12, vectors, taps, x, pixel, panel, bias, out, out_pixel, channels)


cdef void correlate_tile(
    Py_ssize_t rows, const Taps* taps, const float* x, Py_ssize_t pixel, const float* panel, const float* bias,
    float* out, Py_ssize_t out_pixel, Py_ssize_t channels,
) noexcept nogil:
    """Call the tile of `rows` rows and of as many vectors as `channels` fill."""
    if channels > VL:
        correlate_rows(2, rows, taps, x, pixel, panel, bias, out, out_pixel, channels)
    else:
        correlate_rows(1, rows, taps, x, pixel, panel, bias, out, out_pixel, channels)
