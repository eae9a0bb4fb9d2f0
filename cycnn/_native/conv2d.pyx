"""Convolution by register tiles, float32: forward and gradient to the input.

    out[n, oh, ow, oc] = act(bias[oc] + sum over kh, kw, ic of
        x[n, oh stride_h + kh dilation_h - pad_top, ow stride_w + kw dilation_w - pad_left, ic] kernel[kh, kw, ic, oc])

The gradient to the input is the same sum with the roles of the channels exchanged and the taps in reverse order: one
stride-1 correlation of dout for each of the stride_h x stride_w output phases, so that nothing is multiplied by zero.
Both are a `Correlation`. A transposed convolution is that gradient with a bias and an activation. Where the kernel has
fewer channels than x, each of IC / KC groups of input channels meets a part of the filters of its own.

The idea: TILE_ROWS neighbouring output pixels by 2 VL output channels stay in registers while the taps go by. In NHWC
the taps of one kernel row are a contiguous run of KW * IC numbers of x; the kernel is packed into panels
[OC / (2 VL)][KH * KW * IC][2 VL], so both operands are read in order. A block of the output whose windows touch the
padding, or whose pixels would all fall into one set of the first-level cache, first copies its patch of x. Kernel rows
that lie outside of the image are left out. To a 1x1 kernel all images are one row of pixels.

Extents: N, OH, OW, OC of the output, SH, SW, C of the source, KH, KW taps; C and OC are the channels of one group.
"""

from libc.stdlib cimport calloc, free

from cycnn._native.runtime cimport Buffer, GatedStep
from .activations cimport LINEAR, activation_code
from .conv2d_plan cimport Correlation, Phase, cost, divide
from .conv2d_scatter cimport ScatterInput
from .correlation cimport PANEL, PackedKernel, correlate_tile, packed_kernel, phase_taps, slide_tile
from .epilogue cimport Ahead, fetch_ahead, fetch_row, finish_row, fuse
from .fetch cimport LINE
from .gated_norm cimport clear_sums, gate_row, norm_of
from .geometry cimport real_taps
from .simd cimport TILE_ROWS, VL
from .tiles cimport SLIDE_ROWS, Epilogue, Taps, ceil_div, copy_patch


cdef Py_ssize_t list_runs(
    const Correlation* c, const Phase* phase, Py_ssize_t source_row, Py_ssize_t pixel, Py_ssize_t* starts
) noexcept nogil:
    """Find where the runs of a window start, in a source whose rows and pixels are so many floats apart; count them."""
    cdef Py_ssize_t kh, kw, channel, i = 0
    for kh in range(phase.KH):
        for kw in range(phase.run_columns):
            for channel in range(phase.run_channels):
                starts[i] = kh * phase.dilation_h * source_row + kw * phase.dilation_w * pixel + channel
                i += 1
    return i


cdef void correlate_row(
    const Correlation* c, const Phase* phase, const float* source, Py_ssize_t source_row, Py_ssize_t pixel,
    Py_ssize_t* starts, Py_ssize_t top, const float* panel, const Epilogue* epilogue, float* out, Py_ssize_t columns,
    Py_ssize_t channels, Py_ssize_t row, Py_ssize_t rows, const Ahead* ahead,
) noexcept nogil:
    """Compute one panel of a row of pixels, by tiles of nearly equal width; its windows begin in row `top` of x.

    Where the kernel is large and a panel of it is not, each tile of the block, of which this is row `row` of `rows`,
    fetches its share of the next panel.
    """
    cdef:
        bint slides = phase.slides and channels <= VL
        Py_ssize_t tiles = ceil_div(columns, SLIDE_ROWS if slides else TILE_ROWS)
        Py_ssize_t per_row = phase.run_columns * phase.run_channels, first, stop, t, start, end
        Py_ssize_t size = phase.KH * phase.KW * c.C * PANEL if phase.fetches else 0, shares = rows * tiles
        Py_ssize_t step = ceil_div(ahead.stop - ahead.first, tiles) if ahead.lines > 0 else 0, line
        const float* next_panel = panel + size
        Taps taps
    real_taps(top, c.SH, phase.KH, phase.dilation_h, &first, &stop)
    if stop <= first:
        first = stop = 0
    taps.runs, taps.length, taps.starts = (stop - first) * per_row, phase.length, starts + first * per_row
    taps.ahead_step = ceil_div(PANEL, shares) if phase.fetches else 0
    panel += first * phase.KW * c.C * (VL if channels <= VL else PANEL)
    for t in range(tiles):
        start, end = columns * t // tiles, columns * (t + 1) // tiles
        taps.ahead = next_panel + size * (row * tiles + t) // shares
        if step > 0:
            line = ahead.first + t * step
            fetch_ahead(ahead, line, min(line + step, ahead.stop))
        if slides:
            slide_tile(
                end - start, phase.KW, stop - first, phase.dilation_h * source_row, c.C,
                source + first * phase.dilation_h * source_row + start * pixel, pixel, panel, epilogue,
                out + start * c.out_pixel, c.out_pixel, channels,
            )
        else:
            correlate_tile(
                end - start, &taps, source + start * c.stride_w * pixel, c.stride_w * pixel, panel, epilogue,
                out + start * c.out_pixel, c.out_pixel, channels,
            )


cdef Ahead look_ahead(
    const Correlation* c, const float* residual, const float* y, Py_ssize_t n, Py_ssize_t oh, Py_ssize_t ow
) noexcept nogil:
    """Find what the epilogue will read of the block behind that which begins at this pixel."""
    cdef:
        Ahead ahead
        Py_ssize_t place = min(n * c.out_image + oh * c.out_row + ow * c.out_pixel + c.ahead, (n + 1) * c.out_image)
    ahead.residual = residual + place if residual != NULL else NULL
    ahead.y = y + place if y != NULL else NULL
    ahead.first = ahead.stop = 0
    ahead.lines = 0 if residual == NULL and y == NULL else min(c.ahead, c.N * c.out_image - place) // LINE
    return ahead


cdef void correlate_block(
    const Correlation* c, const float* x, const float* bias, const float* residual, float* out, const float* y,
    int activation, Py_ssize_t task, float* patch,
) noexcept nogil:
    """Compute one block of one image's output, in all phases, for some panels of one group of channels."""
    cdef:
        Py_ssize_t bundle = task % c.bundles, g = task // c.bundles % c.groups, block = task // (c.bundles * c.groups)
        Py_ssize_t n = block // (c.blocks_h * c.blocks_w), oh = block // c.blocks_w % c.blocks_h * c.block_h
        Py_ssize_t ow = block % c.blocks_w * c.block_w
        Py_ssize_t rows = min(c.block_h, c.OH - oh), columns = min(c.block_w, c.OW - ow)
        Py_ssize_t top = oh * c.stride_h - c.pad_top, left = ow * c.stride_w - c.pad_left
        Py_ssize_t height = (rows - 1) * c.stride_h + c.span_h, width = (columns - 1) * c.stride_w + c.span_w
        Py_ssize_t pixel = c.pixel, source_pixel = c.groups * c.C, source_row, p, r, f, i, place, channels, taps
        Py_ssize_t oc, share, shares, pieces, t, start
        Py_ssize_t* starts = <Py_ssize_t*> (patch + c.patch)
        const Phase* phase
        const float* source
        float panel_bias[PANEL]
        Epilogue epilogue
        Ahead ahead
        bint normalizes = c.norm.sums != NULL, gates, rest
    if rows <= 0 or columns <= 0:
        return
    source = x + n * c.SH * c.SW * source_pixel + g * c.C
    if pixel == source_pixel and top >= 0 and left >= 0 and top + height <= c.SH and left + width <= c.SW:
        source += (top * c.SW + left) * c.C
        source_row = c.SW * c.C
    else:
        copy_patch(source, c.SH, c.SW, source_pixel, c.C, top, left, height, width, patch, pixel)
        source = patch
        source_row = width * pixel
    for f in range(c.count):
        starts += list_runs(c, &c.phases[f], source_row, pixel, starts)
    epilogue.bias, epilogue.out = panel_bias, out
    ahead = look_ahead(c, residual, y, n, oh, ow)
    shares = c.panels * rows * c.count
    for p in range(bundle * c.bundle, min((bundle + 1) * c.bundle, c.panels)):
        channels = min(<Py_ssize_t> PANEL, c.OC - p * PANEL)
        oc = g * c.OC + p * PANEL  # of all groups
        for i in range(PANEL):
            panel_bias[i] = bias[oc + i] if bias != NULL and i < channels else 0
        if normalizes:
            clear_sums(&c.norm, block, oc, channels)
        for r in range(rows):
            starts = <Py_ssize_t*> (patch + c.patch)
            for f in range(c.count):
                phase = &c.phases[f]
                i = min(columns, phase.OW - ow)
                if oh + r < phase.OH and i > 0:
                    place = phase.out_start + n * c.out_image + (oh + r) * c.out_row + ow * c.out_pixel + oc
                    taps = phase.KH * phase.KW
                    gates = y != NULL and (taps > 0 or residual != NULL)  # else the gradient is zero, whatever y is
                    rest = fuse(
                        &epilogue, activation if (y == NULL or gates) and not normalizes else LINEAR, residual,
                        y if gates and not normalizes else NULL, taps, channels)
                    if c.ahead == 0 or block == 0:
                        fetch_row(y + place if gates else NULL, i, c.out_pixel, channels)
                        fetch_row(residual + place if residual != NULL else NULL, i, c.out_pixel, channels)
                    pieces = ceil_div(i, c.span) if y != NULL or residual != NULL else 1
                    for t in range(pieces):
                        start, width = i * t // pieces, i * (t + 1) // pieces - i * t // pieces
                        if ahead.lines > 0:
                            share = ((p * rows + r) * c.count + f) * pieces + t
                            ahead.first = ahead.lines * share // (shares * pieces)
                            ahead.stop = ahead.lines * (share + 1) // (shares * pieces)
                        correlate_row(
                            c, phase, source + (r * c.stride_h + c.pad_top - phase.pad_top) * source_row
                            + (start * c.stride_w + c.pad_left - phase.pad_left) * pixel, source_row, pixel, starts,
                            (oh + r) * c.stride_h - phase.pad_top, (<PackedKernel> phase.packed).data
                            + (g * c.panels + p) * taps * c.C * PANEL, &epilogue, out + place, width, channels,
                            r * pieces + t, rows * pieces, &ahead,
                        )
                        if normalizes and gates:
                            gate_row(&c.norm, block, oc, y + place, out + place, width, c.out_pixel, channels)
                        elif rest:
                            finish_row(
                                activation, residual + place if residual != NULL else NULL,
                                y + place if y != NULL else NULL, out + place, width, c.out_pixel, channels,
                            )
                        place += width * c.out_pixel
                starts += phase.KH * phase.run_columns * phase.run_channels


cdef class Correlations(GatedStep):
    """Correlations that write different pixels of one array, block by block."""

    cdef:
        Buffer source  # IN
        Buffer bias    # IN  (OC,) or None
        Buffer target  # OUT
        Buffer added   # IN  of the target's shape: is added before; or None
        tuple packed
        Correlation all
        int activation

    cdef _read(self, Buffer source, Buffer bias, Buffer target, str activation, Buffer y, Py_ssize_t most):
        """Store what all have in common, and make room for so many."""
        self.source, self.bias, self.target, self.y = source, bias, target, y
        self.activation = activation_code(activation)
        self.packed = ()
        self.all.N, self.all.SH, self.all.SW, _ = source.shape
        self.all.phases = <Phase*> calloc(most, sizeof(Phase))
        if self.all.phases == NULL:
            raise MemoryError("no memory for the phases of a convolution")

    cdef _add(self, PackedKernel packed):
        """Count one in whose geometry was filled in."""
        self.packed += (packed,)
        self.all.phases[self.all.count].packed = <void*> packed
        self.all.groups, self.all.C, self.all.OC = packed.groups, packed.C, packed.OC
        self.all.count += 1

    cdef _divide(self):
        """Divide the work, once all are there."""
        divide(&self.all)
        self.scratch = self.all.patch * sizeof(float) + self.all.runs * sizeof(Py_ssize_t)

    def repack(self):
        """Keep no packed kernel, but make it in the workspace in every run: for kernels that change in between."""
        cdef PackedKernel packed
        cdef Py_ssize_t p
        own = []
        for p in range(self.all.count):
            packed = self.packed[p]
            own.append(PackedKernel(packed.kernel, *packed.form, False))
            self.all.phases[p].packed, self.all.phases[p].copy = <void*> own[p], self.workspace
            self.workspace += packed.nbytes
        self.packed = tuple(own)

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t p
        self.all.norm = norm_of(self)
        for p in range(self.all.count):
            (<PackedKernel> self.all.phases[p].packed).place(self.work + self.all.phases[p].copy)
            (<PackedKernel> self.all.phases[p].packed).run()
        self.split(self.all.tasks, cost(&self.all))

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        correlate_block(
            &self.all, <const float*> self.source.data,
            <const float*> self.bias.data if self.bias is not None else NULL,
            <const float*> self.added.data if self.added is not None else NULL, <float*> self.target.data,
            <const float*> self.y.data if self.y is not None else NULL, self.activation, i, <float*> scratch,
        )

    def __dealloc__(self):
        free(self.all.phases)


cdef class Conv2DForward(Correlations):
    """out = act(conv(x, kernel) + bias)."""

    def __init__(
        self,
        Buffer x,       # IN  (N, IH, IW, IC)
        Buffer kernel,  # IN  (KH, KW, IC / groups, OC)
        Buffer bias,    # IN  (OC,) or None
        Buffer out,     # OUT (N, OH, OW, OC)
        window, str activation,
    ):
        cdef Correlation* c = &self.all
        cdef Phase* phase
        cdef Py_ssize_t groups = x.shape[3] // kernel.shape[len(kernel.shape) - 2]
        self._read(x, bias, out, activation, None, 1)
        phase = c.phases
        _, phase.OH, phase.OW, c.out_pixel = out.shape
        (phase.KH, phase.KW, c.stride_h, c.stride_w, phase.pad_top, _, phase.pad_left, _, phase.dilation_h,
         phase.dilation_w) = window
        c.out_row, c.out_image = phase.OW * c.out_pixel, phase.OH * phase.OW * c.out_pixel
        self._add(packed_kernel(kernel, (phase.KH, 0, 1), (phase.KW, 0, 1), False, False, groups))
        self._divide()

    @property
    def residual(self):
        """What is added to the output before the activation: a Buffer of its shape, or None."""
        return self.added

    @residual.setter
    def residual(self, Buffer residual):
        self.added = residual


cdef bint scatters(Py_ssize_t OW, Py_ssize_t IW, Py_ssize_t IC, Py_ssize_t KW, Py_ssize_t stride) noexcept nogil:
    """Return whether a row of dx takes fewer multiply-adds if lanes are columns of the kernel as well as channels."""
    return IC <= VL and OW * stride * ceil_div(KW * IC, PANEL) * PANEL <= IW * KW * VL


cdef class Transposed(Correlations):
    """The transpose of a convolution, of which a correlation computes every phase of the stride."""

    cdef ScatterInput scatter  # does it instead where that takes fewer multiply-adds

    cdef _divide_phases(
        self,
        Buffer dout,    # IN  (N, OH, OW, OC)
        Buffer kernel,  # IN  (KH, KW, IC / groups, OC)
        Buffer bias,    # IN  (IC,) or None
        Buffer dx,      # OUT (N, IH, IW, IC)
        window, str activation,
        Buffer y,       # IN  of dx's shape, or None
    ):
        cdef Py_ssize_t groups = dx.shape[3] // kernel.shape[len(kernel.shape) - 2]
        cdef Phase* phase
        if groups == 1 and scatters(dout.shape[2], dx.shape[2], dx.shape[3], window.kernel_w, window.stride_w):
            self.scatter = ScatterInput(dout, kernel, bias, dx, window, activation, y)
            self.scratch = self.scatter.scratch
            return
        KH, KW, stride_h, stride_w, pad_top, _, pad_left, _, dilation_h, dilation_w = window
        _, IH, IW, IC = dx.shape
        phases_h, phases_w = min(stride_h, IH), min(stride_w, IW)
        self._read(dout, bias, dx, activation, y, phases_h * phases_w)
        self.all.stride_h = self.all.stride_w = 1
        self.all.out_pixel, self.all.out_row, self.all.out_image = stride_w * IC, stride_h * IW * IC, IH * IW * IC
        for phase_h in range(phases_h):
            for phase_w in range(phases_w):
                phase = &self.all.phases[self.all.count]
                phase.OH, phase.OW = ceil_div(IH - phase_h, stride_h), ceil_div(IW - phase_w, stride_w)
                phase.out_start = (phase_h * IW + phase_w) * IC
                taps_h, phase.dilation_h, phase.pad_top = phase_taps(phase_h, KH, stride_h, dilation_h, pad_top)
                taps_w, phase.dilation_w, phase.pad_left = phase_taps(phase_w, KW, stride_w, dilation_w, pad_left)
                phase.KH, phase.KW = taps_h[0], taps_w[0]
                self._add(packed_kernel(kernel, taps_h, taps_w, True, False, groups))
        self._divide()

    cdef void run(self) noexcept nogil:
        if self.scatter is not None:
            self.scatter.run()
        else:
            Correlations.run(self)


cdef class Conv2DBackwardInput(Transposed):
    """dx = the transpose of the convolution applied to dout, times act'(y) of the layer before."""

    def __init__(self, Buffer dout, Buffer kernel, Buffer dx, window, str activation, Buffer y):
        self._divide_phases(dout, kernel, None, dx, window, activation, y)
        if self.scatter is None:
            self.parts = self.all.N * self.all.blocks_h * self.all.blocks_w


cdef class Conv2DTransposeForward(Transposed):
    """out = act(the transpose of the convolution applied to x, + bias)."""

    def __init__(self, Buffer x, Buffer kernel, Buffer bias, Buffer out, window, str activation):
        self._divide_phases(x, kernel, bias, out, window, activation, None)
