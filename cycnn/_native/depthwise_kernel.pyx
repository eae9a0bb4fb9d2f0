"""Depthwise convolution, float32: gradient to the kernel and to the bias.

    dkernel[kh, kw, c, m] = sum over n, oh, ow of x[n, ih, iw, c] dout[n, oh, ow, c M + m]
    dbias[c M + m]        = sum over n, oh, ow of dout[n, oh, ow, c M + m]

where ih = oh * stride_h - pad_top + kh * dilation_h, iw = ow * stride_w - pad_left + kw * dilation_w. Images are
N x IH x IW x IC, outputs N x OH x OW x OC, OC = IC M, kernels KH x KW x IC x M.

The idea: TAPS neighbouring taps of a kernel row by 2 VL channels stay in registers while the pixels of a
block go by. The block's patch of x, each channel M times, and its part of dout are first packed into [pixel][2 VL], so
that they stay in the first-level cache, whatever the distance between pixels; the pass that packs dout sums the
gradient of the bias. The blocks are divided into a fixed number of parts, with sums of their own that are added in
order at the end: the bits do not depend on the number of threads.
"""

from libc.string cimport memset

from cycnn._native.runtime cimport Buffer, Step
from .depthwise_strips cimport strip_place_t, strips_of
from .depthwise_tiles cimport MOST_ROWS, STRIDED_ROWS
from .geometry cimport geometry_t, read_geometry
from .select cimport store_lanes
from .simd cimport TILE_ROWS, VL, tile_t, vf, vf_add, vf_fma, vf_load, vf_load_first, vf_store, vf_zero
from .tiles cimport Pixels, ceil_div, check_scratch

cdef enum:
    PANEL = 2 * VL
    TAPS = 6         # taps in a tile, at most
    BLOCK_W = 16     # columns and pixels of a block, at most
    PIXELS = 96
    CHUNK = 8        # vectors of channels in a task, at most
    AHEAD = 16 // VL    # vectors that come into the cache together: so many on is what is fetched
    DISTANT = 1 << 18   # floats of both arrays that are too many for the caches of a core
    SUMS = 10 * VL   # floats: for each vector of channels, those of the taps and of the bias
    TASKS = 16       # parts x panels, at least, where there are so many blocks


cdef inline void tile(
    Py_ssize_t rows, const Py_ssize_t vectors, const Pixels* pixels, const float* x, Py_ssize_t tap,
    const float* dpanel, float* sums, Py_ssize_t sums_row,
) noexcept nogil:
    """sums[r] += sum over pixels p of x[p + r] dpanel[p], for `rows` neighbouring taps r, `tap` floats apart."""
    cdef:
        tile_t acc
        vf d[2]
        const float* third[2]  # every third tap: x86 addresses p, p + d and p + 2 d with two registers
        Py_ssize_t r, v, oh
    rows = min(rows, <Py_ssize_t> TILE_ROWS)  # so the compiler knows it where no such tile is called
    for r in range(rows):
        for v in range(vectors):
            acc[r][v] = vf_load(sums + r * sums_row + v * VL)
    for oh in range(pixels.rows):
        third[0] = x + oh * pixels.row_step
        third[1] = third[0] + 3 * tap
        for _ in range(pixels.columns):
            for v in range(vectors):
                d[v] = vf_load(dpanel + v * VL)
            dpanel += vectors * VL
            for r in range(rows):
                for v in range(vectors):
                    acc[r][v] = vf_fma(vf_load(third[r // 3] + r % 3 * tap + v * VL), d[v], acc[r][v])
            third[0] += pixels.column_step
            third[1] += pixels.column_step
    for r in range(rows):
        for v in range(vectors):
            vf_store(sums + r * sums_row + v * VL, acc[r][v])


cdef inline void add_taps(
    const Py_ssize_t vectors, Py_ssize_t rows, const Pixels* pixels, const float* x, Py_ssize_t tap,
    const float* dpanel, float* sums, Py_ssize_t sums_row,
) noexcept nogil:
    """Call the tile of `rows` taps with a constant in their place."""
    if rows == 1:
        tile(1, vectors, pixels, x, tap, dpanel, sums, sums_row)
    elif rows == 2:
        tile(2, vectors, pixels, x, tap, dpanel, sums, sums_row)
    elif rows == 3:
        tile(3, vectors, pixels, x, tap, dpanel, sums, sums_row)
    elif rows == 4:
        tile(4, vectors, pixels, x, tap, dpanel, sums, sums_row)
    elif rows == 5 <= TILE_ROWS:
        tile(5, vectors, pixels, x, tap, dpanel, sums, sums_row)
    elif rows == 6 <= TILE_ROWS:
        tile(6, vectors, pixels, x, tap, dpanel, sums, sums_row)


cdef inline void pack_row(
    const float* source, Py_ssize_t pixel, Py_ssize_t pixels, Py_ssize_t first, Py_ssize_t channels, Py_ssize_t M,
    Py_ssize_t vectors, float* panel, vf* total,
) noexcept nogil:
    """Copy channels first..first + channels - 1 of some pixels, each written M times, to whole vectors.

    The vectors are also added up in `total`, if that is not NULL.
    """
    cdef Py_ssize_t v, c, last = channels - (vectors - 1) * VL
    cdef vf value
    for _ in range(pixels):
        if M == 1:
            for v in range(vectors):
                if v < vectors - 1:
                    value = vf_load(source + first + v * VL)
                else:
                    value = vf_load_first(source + first + v * VL, last)
                vf_store(panel + v * VL, value)
                if total != NULL:
                    total[v] = vf_add(total[v], value)
        else:
            for c in range(vectors * VL):
                panel[c] = source[(first + c) // M] if c < channels else 0
        panel += vectors * VL
        source += pixel


cdef void add_strip(Py_ssize_t R, Py_ssize_t S, bint pairs, const strip_place_t* p) noexcept nogil:
    """Call the strip with constants for what it is."""
    if pairs:
        strips_of(R, 1, True, False, p)
    elif p.lanes == VL and S == 1:
        strips_of(R, 1, False, False, p)
    elif p.lanes == VL:
        strips_of(R, 2, False, False, p)
    elif S == 1:
        strips_of(R, 1, False, True, p)
    else:
        strips_of(R, 2, False, True, p)


cdef class DepthwiseConv2DBackwardKernel(Step):
    """dkernel and dbias from x and dout."""

    cdef:
        Buffer x        # IN  (N, IH, IW, IC)
        Buffer dout     # IN  (N, OH, OW, OC)
        Buffer dkernel  # OUT (KH, KW, IC, M), or (KW, IC, M) for one row
        Buffer dbias    # OUT (OC,) or None
        geometry_t g
        Py_ssize_t M, panels, width                    # panels of channels; channels in whole vectors
        Py_ssize_t block_h, block_w, blocks_h, blocks_w, blocks, parts
        Py_ssize_t patch_h, patch_w                    # of a block's patch of x
        bint reducing
        # With 3 x 3 windows: strips of rows, divided into parts, and vectors of channels, into chunks.
        bint strips_fit, pairs                         # pairs of pixels of half a vector of channels are a vector
        Py_ssize_t strips, vectors, chunks

    def __init__(self, Buffer x, Buffer dout, Buffer dkernel, Buffer dbias, window):
        cdef geometry_t* g = &self.g
        self.x, self.dout, self.dkernel, self.dbias = x, dout, dkernel, dbias
        read_geometry(g, x.shape, dout.shape, window)
        self.M = g.OC // max(g.IC, 1)
        self.strips_fit = (
            self.M == 1 and g.OC > 0 and g.KH == 3 and g.KW == 3 and g.dilation_h == 1 and g.dilation_w == 1
            and g.stride_h == g.stride_w and g.stride_h <= 2 and g.N * g.OH * g.OW > 0
        )
        if self.strips_fit:
            self.strips = ceil_div(g.OH, MOST_ROWS if g.stride_h == 1 else STRIDED_ROWS)
            self.vectors = ceil_div(g.OC, VL)
            self.pairs = 2 * g.OC == VL and g.stride_h == 1 and g.OW > 1
            self.chunks = ceil_div(self.vectors, CHUNK)
            self.parts = min(g.N * self.strips, ceil_div(TASKS, self.chunks))
            self.workspace = self.parts * self.vectors * SUMS * sizeof(float)
            return
        self.panels, self.width = ceil_div(g.OC, PANEL), ceil_div(g.OC, VL) * VL
        self.blocks_w = ceil_div(g.OW, BLOCK_W)
        self.block_w = ceil_div(g.OW, max(self.blocks_w, 1))
        self.blocks_h = ceil_div(g.OH, max(PIXELS // max(self.block_w, 1), 1))
        self.block_h = ceil_div(g.OH, max(self.blocks_h, 1))
        self.blocks = g.N * self.blocks_h * self.blocks_w
        self.patch_h = (self.block_h - 1) * g.stride_h + (g.KH - 1) * g.dilation_h + 1
        self.patch_w = (self.block_w - 1) * g.stride_w + (g.KW - 1) * g.dilation_w + 1
        check_scratch(self.patch_h, self.patch_w, PANEL)
        self.parts = min(self.blocks, ceil_div(TASKS, max(self.panels, 1)))
        self.workspace = self.parts * (g.KH * g.KW + 1) * self.width * sizeof(float)
        self.scratch = (self.patch_h * self.patch_w + self.block_h * self.block_w) * PANEL * sizeof(float)

    cdef void run(self) noexcept nogil:
        self.reducing = False
        if self.strips_fit:
            self.split(self.parts * self.chunks, 20.0 * self.dout.size)
            self.reducing = True
            self.split(self.vectors, 10.0 * self.parts * self.g.OC)
            return
        self.split(self.parts * self.panels, 2.0 * self.dout.size * (self.g.KH * self.g.KW + 1))
        self.reducing = True
        self.split(self.g.KH * self.g.KW + 1, <double> self.workspace)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        if self.strips_fit:
            if self.reducing:
                self.reduce_strips(i)
            else:
                self.accumulate_strips(i // self.chunks, i % self.chunks)
        elif self.reducing:
            self.reduce(i)
        else:
            self.accumulate(i // self.panels, i % self.panels * PANEL, <float*> scratch)

    cdef void accumulate_strips(self, Py_ssize_t part, Py_ssize_t chunk) noexcept nogil:
        """Sum one part of the strips of all images, for one chunk of channels."""
        cdef:
            const geometry_t* g = &self.g
            Py_ssize_t C = g.OC, strip, n, oh, R, v, c, i, ih, strips = g.N * self.strips
            Py_ssize_t first = self.vectors * chunk // self.chunks, stop = self.vectors * (chunk + 1) // self.chunks
            float* sums = <float*> self.work + part * self.vectors * SUMS
            bint distant = self.x.size + self.dout.size > DISTANT
            strip_place_t p
        p.width, p.pad, p.pixel, p.dout_row = g.IW, g.pad_left, C, g.OW * C
        p.columns = ceil_div(g.OW, 1 + self.pairs)
        p.odd = self.pairs and g.OW % 2 == 1
        p.lanes = min(C, <Py_ssize_t> VL)
        p.with_bias = self.dbias is not None
        memset(sums + first * SUMS, 0, (stop - first) * SUMS * sizeof(float))
        for strip in range(strips * part // self.parts, strips * (part + 1) // self.parts):
            n, i = strip // self.strips, strip % self.strips
            oh = g.OH * i // self.strips
            R = g.OH * (i + 1) // self.strips - oh
            for v in range(first, stop):
                c = max(min(v * VL, C - VL), 0)
                p.fetches = distant and v % AHEAD == 0
                if v + AHEAD < stop:
                    self.look_ahead(&p, n, oh, (v + AHEAD) * VL)
                else:
                    self.look_ahead(&p, n, oh + R, first * VL)
                for i in range((R - 1) * g.stride_h + 3):
                    ih = oh * g.stride_h - g.pad_top + i
                    p.rows[i] = (
                        <const float*> self.x.data + (n * g.IH + ih) * g.IW * C + c if 0 <= ih < g.IH else NULL
                    )
                p.dout = <const float*> self.dout.data + (n * g.OH + oh) * g.OW * C + c
                p.sums = sums + v * SUMS
                add_strip(R, g.stride_h, self.pairs, &p)

    cdef void look_ahead(self, strip_place_t* p, Py_ssize_t n, Py_ssize_t oh, Py_ssize_t c) noexcept nogil:
        """Say what to fetch meanwhile: the strip from row `oh` on, at channel c, and what of x only it meets."""
        cdef const geometry_t* g = &self.g
        cdef Py_ssize_t ih = (oh - 1) * g.stride_h - g.pad_top + 3
        p.dout_ahead = <const float*> self.dout.data + (n * g.OH + oh) * g.OW * g.OC + c
        p.ahead = <const float*> self.x.data + ((n * g.IH + ih) * g.IW + 1 - g.pad_left) * g.OC + c
        p.ahead_row = g.IW * g.OC

    cdef void reduce_strips(self, Py_ssize_t v) noexcept nogil:
        """Add the parts' sums of a vector of channels, in order; the last vector is moved back to end with them."""
        cdef:
            Py_ssize_t c = max(min(v * VL, self.g.OC - VL), 0), k, part, lanes = min(self.g.OC, <Py_ssize_t> VL)
            const float* sums
            vf total
        for k in range(10):
            total = vf_zero()
            for part in range(self.parts):
                sums = <const float*> self.work + (part * self.vectors + v) * SUMS
                total = vf_add(total, vf_load(sums + k * VL))
                if self.pairs:
                    total = vf_add(total, vf_load_first(sums + k * VL + VL // 2, VL // 2))
            if k < 9:
                store_lanes(<float*> self.dkernel.data + k * self.g.OC + c, total, lanes < VL, lanes)
            elif self.dbias is not None:
                store_lanes(<float*> self.dbias.data + c, total, lanes < VL, lanes)

    cdef float* sums_of(self, Py_ssize_t part) noexcept nogil:
        return <float*> self.work + part * (self.g.KH * self.g.KW + 1) * self.width

    cdef void accumulate(self, Py_ssize_t part, Py_ssize_t oc, float* scratch) noexcept nogil:
        """Sum one part of the blocks into its sums, for one panel of channels."""
        cdef:
            Py_ssize_t taps = self.g.KH * self.g.KW, channels = min(<Py_ssize_t> PANEL, self.g.OC - oc), k, block
            Py_ssize_t vectors = ceil_div(channels, VL)
            float* sums = self.sums_of(part) + oc
        for k in range(taps + 1):
            memset(sums + k * self.width, 0, vectors * VL * sizeof(float))
        for block in range(self.blocks * part // self.parts, self.blocks * (part + 1) // self.parts):
            self.accumulate_block(block, oc, channels, vectors, sums, scratch)

    cdef void accumulate_block(
        self, Py_ssize_t block, Py_ssize_t oc, Py_ssize_t channels, Py_ssize_t vectors, float* sums, float* scratch,
    ) noexcept nogil:
        cdef:
            const geometry_t* g = &self.g
            Py_ssize_t n = block // (self.blocks_h * self.blocks_w)
            Py_ssize_t oh = block // self.blocks_w % self.blocks_h * self.block_h
            Py_ssize_t ow = block % self.blocks_w * self.block_w
            Py_ssize_t pixel = vectors * VL, row = self.patch_w * pixel, r, v, kh, kw, t, rows
            Py_ssize_t most = min(<Py_ssize_t> TAPS, <Py_ssize_t> TILE_ROWS)
            float* dpanel = scratch + self.patch_h * row
            float* dbias = sums + g.KH * g.KW * self.width
            const float* x
            vf total[2]
            Pixels pixels
        pixels.rows, pixels.columns = min(self.block_h, g.OH - oh), min(self.block_w, g.OW - ow)
        if pixels.rows <= 0 or pixels.columns <= 0:
            return
        pixels.row_step, pixels.column_step = g.stride_h * row, g.stride_w * pixel
        self.copy_patch(n, oh * g.stride_h - g.pad_top, ow * g.stride_w - g.pad_left, oc, channels, vectors, scratch)
        for v in range(vectors):
            total[v] = vf_load(dbias + v * VL)
        for r in range(pixels.rows):
            x = <const float*> self.dout.data + ((n * g.OH + oh + r) * g.OW + ow) * g.OC
            pack_row(x, g.OC, pixels.columns, oc, channels, 1, vectors, dpanel + r * pixels.columns * pixel, total)
        for v in range(vectors):
            vf_store(dbias + v * VL, total[v])
        for kh in range(g.KH):
            for t in range(ceil_div(g.KW, most)):
                kw = t * most
                rows = min(most, g.KW - kw)
                x = scratch + kh * g.dilation_h * row + kw * g.dilation_w * pixel
                if vectors == 2:
                    add_taps(2, rows, &pixels, x, g.dilation_w * pixel, dpanel,
                             sums + (kh * g.KW + kw) * self.width, self.width)
                else:
                    add_taps(1, rows, &pixels, x, g.dilation_w * pixel, dpanel,
                             sums + (kh * g.KW + kw) * self.width, self.width)

    cdef void copy_patch(
        self, Py_ssize_t n, Py_ssize_t top, Py_ssize_t left, Py_ssize_t oc, Py_ssize_t channels, Py_ssize_t vectors,
        float* patch,
    ) noexcept nogil:
        """Copy the pixels from (top, left) of image n; what lies outside of it is zero."""
        cdef:
            const geometry_t* g = &self.g
            Py_ssize_t before = min(max(-left, 0), self.patch_w), r, ih, pixel = vectors * VL
            Py_ssize_t inside = max(min(self.patch_w, g.IW - left), before)
            const float* x = <const float*> self.x.data
        for r in range(self.patch_h):
            ih = top + r
            if ih < 0 or ih >= g.IH:
                memset(patch, 0, self.patch_w * pixel * sizeof(float))
            else:
                memset(patch, 0, before * pixel * sizeof(float))
                pack_row(x + ((n * g.IH + ih) * g.IW + left + before) * g.IC, g.IC, inside - before, oc, channels,
                         self.M, vectors, patch + before * pixel, NULL)
                memset(patch + inside * pixel, 0, (self.patch_w - inside) * pixel * sizeof(float))
            patch += self.patch_w * pixel

    cdef void reduce(self, Py_ssize_t k) noexcept nogil:
        """Add the parts' sums of a tap, or of the bias, in order."""
        cdef:
            Py_ssize_t part, oc
            float* out
            const float* sums
        if k < self.g.KH * self.g.KW:
            out = <float*> self.dkernel.data + k * self.g.OC
        elif self.dbias is not None:
            out = <float*> self.dbias.data
        else:
            return
        memset(out, 0, self.g.OC * sizeof(float))
        for part in range(self.parts):
            sums = self.sums_of(part) + k * self.width
            for oc in range(self.g.OC):
                out[oc] += sums[oc]
