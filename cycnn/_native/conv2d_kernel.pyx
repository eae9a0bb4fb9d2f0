"""Convolution by register tiles, float32: gradient to the kernel and to the bias.

    dkernel[kh, kw, ic, oc] = sum over n, oh, ow of
        x[n, oh stride_h + kh dilation_h - pad_top, ow stride_w + kw dilation_w - pad_left, ic] dout[n, oh, ow, oc]

The idea: TILE_ROWS neighbouring taps (in NHWC the taps of one kernel row are a contiguous run of KW * IC numbers of x)
by 2 VL output channels stay in registers while the pixels of a block go by. A block is some 256 pixels, of several
images where these are small; its slice of dout is first packed into [pixel][2 VL], and the pass that packs it sums the
gradient of the bias.

Where the kernel has fewer channels than x, IC and OC below are those of one group, and tasks are multiplied by groups.

The sum over images is divided into a fixed number of parts, each with sums of its own that are added in order at the
end: the bits do not depend on the number of threads. Where this gives few tasks, the taps are divided as well.
"""

from libc.string cimport memset

from cycnn._native.runtime cimport Buffer, Step
from .simd cimport TILE_ROWS, VL, vf, vf_add, vf_load, vf_load_first, vf_store, vf_zero
from .tiles cimport Pixels, ceil_div, check_scratch, copy_patch, gradient_tile

cdef enum:
    PANEL = 2 * VL
    PIXELS = 192           # pixels per block
    PATCH = 65536          # floats of a block's patch of x, at most (unless one row needs more)
    TASKS = 16             # parts x divisions of the taps
    SUMS = 1024 * 1024     # floats of all parts' sums, at most
    CONFLICT = 64          # pixels a multiple of so many floats apart share few sets of the first-level cache
    REDUCED = 4096         # floats per task of the final sum


cdef inline void add_rows(
    const Py_ssize_t vectors, Py_ssize_t rows, const Pixels* pixels, const float* x, const float* dpanel, float* sums,
    Py_ssize_t sums_row,
) noexcept nogil:
    """Call the tile of `rows` rows with a constant in their place."""
    if rows == 1:
        gradient_tile(1, vectors, pixels, x, dpanel, sums, sums_row)
    elif rows == 2:
        gradient_tile(2, vectors, pixels, x, dpanel, sums, sums_row)
    elif rows == 3:
        gradient_tile(3, vectors, pixels, x, dpanel, sums, sums_row)
    elif rows == 4:
        gradient_tile(4, vectors, pixels, x, dpanel, sums, sums_row)
    elif rows == 5 <= TILE_ROWS:
        gradient_tile(5, vectors, pixels, x, dpanel, sums, sums_row)
    elif rows == 6 <= TILE_ROWS:
        gradient_tile(6, vectors, pixels, x, dpanel, sums, sums_row)
    elif rows == 7 <= TILE_ROWS:
        gradient_tile(7, vectors, pixels, x, dpanel, sums, sums_row)
    elif rows == 8 <= TILE_ROWS:
        gradient_tile(8, vectors, pixels, x, dpanel, sums, sums_row)
    elif rows == 9 <= TILE_ROWS:
        gradient_tile(9, vectors, pixels, x, dpanel, sums, sums_row)
    elif rows == 10 <= TILE_ROWS:
        gradient_tile(10, vectors, pixels, x, dpanel, sums, sums_row)
    elif rows == 11 <= TILE_ROWS:
        gradient_tile(11, vectors, pixels, x, dpanel, sums, sums_row)
    elif rows == 12 <= TILE_ROWS:
        gradient_tile(12, vectors, pixels, x, dpanel, sums, sums_row)


cdef void add_tile(
    Py_ssize_t rows, Py_ssize_t channels, const Pixels* pixels, const float* x, const float* dpanel, float* sums,
    Py_ssize_t sums_row,
) noexcept nogil:
    """Call the tile of `rows` rows and of as many vectors as `channels` fill."""
    if channels > VL:
        add_rows(2, rows, pixels, x, dpanel, sums, sums_row)
    else:
        add_rows(1, rows, pixels, x, dpanel, sums, sums_row)


cdef class Conv2DBackwardKernel(Step):
    """dkernel and dbias from x and dout."""

    cdef:
        Buffer x        # IN  (N, IH, IW, groups * IC)
        Buffer dout     # IN  (N, OH, OW, groups * OC)
        Buffer dkernel  # OUT (KH, KW, IC, groups * OC)
        Buffer dbias    # OUT (groups * OC,) or None
        Py_ssize_t N, IH, IW, IC, OH, OW, OC, KH, KW, groups
        Py_ssize_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left
        Py_ssize_t segments, run_length          # per kernel row: contiguous runs of taps, and their length
        Py_ssize_t images, block_h, block_w      # images, rows and columns of pixels in a block
        Py_ssize_t blocks_h, blocks_w, blocks    # blocks of an image, and of all
        Py_ssize_t patch_h, patch_w, patch_pixel  # of a block's patch of one image
        Py_ssize_t parts, cuts, cut              # parts of the blocks; cuts of a run, and taps in each
        Py_ssize_t width, rows                   # of the sums: channels in whole vectors, taps and one for the bias
        Py_ssize_t reduced                       # rows of the sums per task of the final sum
        bint copies, reducing

    def __init__(self, Buffer x, Buffer dout, Buffer dkernel, Buffer dbias, window):
        self.x, self.dout, self.dkernel, self.dbias = x, dout, dkernel, dbias
        self.N, self.IH, self.IW, IC = x.shape
        _, self.OH, self.OW, OC = dout.shape
        self.IC = dkernel.shape[len(dkernel.shape) - 2]
        self.groups = IC // self.IC
        self.OC = OC // self.groups
        (self.KH, self.KW, self.stride_h, self.stride_w, self.pad_top, _, self.pad_left, _, self.dilation_h,
         self.dilation_w) = window
        self._choose_blocks()
        self._choose_parts()
        self.workspace = self.parts * self.groups * self.rows * self.width * sizeof(float)
        self.scratch = sizeof(float) * self.images * (
            self.patch_h * self.patch_w * self.patch_pixel + self.block_h * self.block_w * PANEL)

    cdef _choose_blocks(self):
        """Choose blocks of about PIXELS pixels whose patches of x fit into PATCH floats."""
        cdef:
            Py_ssize_t span_h = (self.KH - 1) * self.dilation_h + 1, span_w = (self.KW - 1) * self.dilation_w + 1, fit
        self.patch_pixel = self.IC + VL if self.IC % CONFLICT == 0 else self.IC
        self.copies = self.patch_pixel != self.IC or self.groups > 1 or self.pad_top > 0 or self.pad_left > 0 \
            or (self.OH - 1) * self.stride_h + span_h > self.IH or (self.OW - 1) * self.stride_w + span_w > self.IW
        check_scratch(
            <double> self.OH * self.stride_h + span_h, <double> self.OW * self.stride_w + span_w, self.patch_pixel)
        self.blocks_w = ceil_div(max(self.OW, 1), PIXELS)
        self.block_w = ceil_div(self.OW, self.blocks_w)
        self.patch_w = (self.block_w - 1) * self.stride_w + span_w
        fit = (PATCH // (self.patch_w * self.patch_pixel) - span_h) // self.stride_h + 1
        self.blocks_h = ceil_div(self.OH, max(1, min(self.OH, ceil_div(PIXELS, self.block_w), fit)))
        self.block_h = ceil_div(self.OH, self.blocks_h)
        self.patch_h = (self.block_h - 1) * self.stride_h + span_h
        self.images = 1
        if self.blocks_h * self.blocks_w == 1:
            fit = PATCH // (self.patch_h * self.patch_w * self.patch_pixel)
            self.images = max(1, min(PIXELS // max(self.OH * self.OW, 1), fit, ceil_div(self.N, TASKS)))
        self.blocks = ceil_div(self.N, self.images) * self.blocks_h * self.blocks_w

    cdef _choose_parts(self):
        """Divide the blocks into parts and, where these are few, the taps of a run into cuts of whole tiles."""
        if self.dilation_w == 1 and self.patch_pixel == self.IC:
            self.segments, self.run_length = 1, self.KW * self.IC
        else:
            self.segments, self.run_length = self.KW, self.IC
        self.width = ceil_div(self.OC, VL) * VL
        self.rows = self.KH * self.KW * self.IC + 1
        self.reduced = max(1, REDUCED // self.width)
        self.parts = min(self.blocks, max(1, min(TASKS, SUMS // (self.groups * self.rows * self.width))))
        self.cut = ceil_div(self.run_length, ceil_div(TASKS, max(self.parts * self.groups, 1)))
        self.cut = min(ceil_div(self.cut, TILE_ROWS) * TILE_ROWS, self.run_length)
        self.cuts = ceil_div(self.run_length, self.cut)
        if self.copies and self.KH * self.KW == 1:
            self.patch_pixel = self.cut + VL  # a cut of a 1x1 kernel needs no other channels

    cdef void run(self) noexcept nogil:
        cdef double work = 2.0 * self.N * self.OH * self.OW * self.groups * self.OC * self.rows
        self.reducing = False
        self.split(self.parts * self.groups * self.cuts, work)
        self.reducing = True
        self.split(self.groups * ceil_div(self.rows, self.reduced), <double> self.workspace)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t group = i // self.cuts % self.groups
        if self.reducing:
            self.reduce(i % self.groups, i // self.groups)
        else:
            self.accumulate(i // (self.cuts * self.groups), group, i % self.cuts, <float*> scratch)

    cdef float* sums_of(self, Py_ssize_t part, Py_ssize_t group) noexcept nogil:
        return <float*> self.work + (part * self.groups + group) * self.rows * self.width

    cdef void accumulate(self, Py_ssize_t part, Py_ssize_t group, Py_ssize_t cut, float* scratch) noexcept nogil:
        """Sum one part of the blocks into its sums, for one group of channels and one cut of the taps."""
        cdef:
            Py_ssize_t begin = cut * self.cut, end = min((cut + 1) * self.cut, self.run_length), run, block
            float* sums = self.sums_of(part, group)
        for run in range(self.KH * self.segments):
            memset(sums + (run * self.run_length + begin) * self.width, 0, (end - begin) * self.width * sizeof(float))
        if cut == 0:
            memset(sums + (self.rows - 1) * self.width, 0, self.width * sizeof(float))
        for block in range(self.blocks * part // self.parts, self.blocks * (part + 1) // self.parts):
            self.accumulate_block(block, group, begin, end, sums, scratch)

    cdef void accumulate_block(
        self, Py_ssize_t block, Py_ssize_t group, Py_ssize_t begin, Py_ssize_t end, float* sums, float* scratch,
    ) noexcept nogil:
        cdef:
            Py_ssize_t n = block // (self.blocks_h * self.blocks_w) * self.images
            Py_ssize_t oh = block // self.blocks_w % self.blocks_h * self.block_h
            Py_ssize_t ow = block % self.blocks_w * self.block_w
            Py_ssize_t top = oh * self.stride_h - self.pad_top, left = ow * self.stride_w - self.pad_left
            Py_ssize_t pixel = self.groups * self.IC, row = self.IW * pixel, image = self.IH * row
            Py_ssize_t first = begin if self.KH * self.KW == 1 else 0  # of the channels that are copied
            Py_ssize_t tiles = ceil_div(end - begin, TILE_ROWS), c, kh, s, t, start, stop, i, channels
            const float* x = <const float*> self.x.data + n * image + group * self.IC
            float* dpanel = scratch + self.images * self.patch_h * self.patch_w * self.patch_pixel
            Pixels pixels
        pixels.images, pixels.rows = min(self.images, self.N - n), min(self.block_h, self.OH - oh)
        pixels.columns = min(self.block_w, self.OW - ow)
        if pixels.rows <= 0 or pixels.columns <= 0:
            return
        if self.copies:
            pixel = self.patch_pixel
            for i in range(pixels.images):
                copy_patch(
                    x + i * image + first, self.IH, self.IW, self.groups * self.IC, end - begin if self.KH * self.KW == 1 else self.IC,
                    top, left, self.patch_h, self.patch_w, scratch + i * self.patch_h * self.patch_w * pixel, pixel,
                )
            x = scratch - first
            row, image = self.patch_w * pixel, self.patch_h * self.patch_w * pixel
        else:
            x += top * row + left * pixel
        pixels.image_step, pixels.row_step, pixels.column_step = image, self.stride_h * row, self.stride_w * pixel
        c = 0
        while c < self.OC:
            channels = min(<Py_ssize_t> PANEL, self.OC - c)
            self.pack(n, oh, ow, group, c, &pixels, dpanel, sums + (self.rows - 1) * self.width + c if begin == 0 else NULL)
            for kh in range(self.KH):
                for s in range(self.segments):
                    for t in range(tiles):
                        start = begin + (end - begin) * t // tiles
                        stop = begin + (end - begin) * (t + 1) // tiles
                        add_tile(
                            stop - start, channels, &pixels,
                            x + kh * self.dilation_h * row + s * self.dilation_w * pixel + start, dpanel,
                            sums + ((kh * self.segments + s) * self.run_length + start) * self.width + c, self.width,
                        )
            c += PANEL

    cdef void pack(
        self, Py_ssize_t n, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t group, Py_ssize_t c, const Pixels* pixels,
        float* dpanel, float* dbias,
    ) noexcept nogil:
        """dpanel[pixel][o] = dout of PANEL channels of a group from c on, and dbias[o] += its sum, where wanted."""
        cdef:
            Py_ssize_t channels = min(<Py_ssize_t> PANEL, self.OC - c), vectors = 2 if channels > VL else 1
            Py_ssize_t i, r, q, v, last = channels - (vectors - 1) * VL, pixel = self.groups * self.OC
            const float* dout
            vf sums[2]
            vf value
        for v in range(2):
            sums[v] = vf_zero()
        for i in range(pixels.images):
            for r in range(pixels.rows):
                dout = <const float*> self.dout.data + (((n + i) * self.OH + oh + r) * self.OW + ow) * pixel
                dout += group * self.OC + c
                for q in range(pixels.columns):
                    if vectors == 2:
                        value = vf_load(dout)
                        vf_store(dpanel, value)
                        sums[0] = vf_add(sums[0], value)
                    value = vf_load_first(dout + (vectors - 1) * VL, last)
                    vf_store(dpanel + (vectors - 1) * VL, value)
                    sums[1] = vf_add(sums[1], value)
                    dpanel += vectors * VL
                    dout += pixel
        if dbias != NULL:
            if vectors == 2:
                vf_store(dbias, vf_add(sums[0], vf_load(dbias)))
            dbias += (vectors - 1) * VL
            vf_store(dbias, vf_add(sums[1], vf_load(dbias)))

    cdef void reduce(self, Py_ssize_t group, Py_ssize_t task) noexcept nogil:
        """Add the parts' sums of a group in order and store what belongs to real channels."""
        cdef:
            Py_ssize_t k, p, o
            float* out
            const float* sums
        for k in range(task * self.reduced, min((task + 1) * self.reduced, self.rows)):
            if k < self.rows - 1:
                out = <float*> self.dkernel.data + k * self.groups * self.OC
            elif self.dbias is not None:
                out = <float*> self.dbias.data
            else:
                return
            out += group * self.OC
            memset(out, 0, self.OC * sizeof(float))
            for p in range(self.parts):
                sums = self.sums_of(p, group) + k * self.width
                for o in range(self.OC):
                    out[o] += sums[o]
