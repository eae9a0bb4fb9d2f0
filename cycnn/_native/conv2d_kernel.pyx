"""Convolution by register tiles, float32: gradient to the kernel and to the bias.

    dkernel[kh, kw, ic, oc] = sum over n, oh, ow of
        x[n, oh stride_h + kh dilation_h - pad_top, ow stride_w + kw dilation_w - pad_left, ic] dout[n, oh, ow, oc]

The idea: neighbouring taps (in NHWC the taps of one kernel row are a contiguous run of KW * IC numbers of x) by vectors
of output channels stay in registers while the pixels of a block go by; x and dout are read in place, unless the cache
holds few such pixels at once, and the next block is fetched meanwhile. Where output channels are few, the tile is
transposed: output channels by vectors of taps.

A block is some PIXELS pixels, of several images where these are small. Its patch of x is copied where windows touch the
padding; where x has one channel, it is copied again so that all taps of a window are neighbours. A 1x1 kernel without
stride is a product of matrices: all its images are one row of pixels.

Where the kernel has fewer channels than x, IC and OC below are those of one group, and tasks are multiplied by groups.

The sum over images is divided into a fixed number of parts, each with sums of its own that are added in order at the
end: the bits do not depend on the number of threads. Where this gives few tasks, output channels and taps are divided
as well.
"""

from libc.string cimport memset

from cycnn._native.runtime cimport MULTIPLY_ADD, Buffer, Step
from .gradient_tiles cimport (
    LINE, Product, Stream, add_pixels, add_product, exchange, last_channels, last_vectors, pack_panel, set_stream,
)
from .simd cimport VL
from .tiles cimport ceil_div, check_scratch, copy_patch

cdef enum:
    PIXELS = 128 * (1 + VL // 16)  # pixels per block: what 6 x 2 vectors read is to stay in the first-level cache
    PATCH = 65536          # floats of a block's patch of x, at most (unless one row needs more)
    TASKS = 16             # parts x divisions of the taps
    PART = 512             # pixels of a part, at least
    CUT = 16               # channels of a division of the taps, at least; twice as many where the kernel is 1x1
    SLICE = 256            # output channels of a task, at least, where they are divided
    SUMS = 256 * 1024      # floats of all parts' sums, at most; four times as many where the kernel is not 1x1
    SHORT = 5              # taps of a run and runs that are not worth tiles of their own
    CONFLICT = 512         # pixels a multiple of so many floats apart share few sets of the caches: x is copied
    PACKED = 64            # and dout may be packed; copies of x that would be so far apart have a gap between them
    GAP = 16               # of so many floats, a line of the cache
    REDUCED = 4096         # floats per task of the final sum


cdef struct Place:
    # A block: its first image, row and column, its extents, its pixels of dout and its windows in x or in a copy of it.
    Py_ssize_t n, oh, ow, images, rows, columns
    const float* dout
    const float* x
    Py_ssize_t x_image, x_row, x_pixel

cdef struct Share:
    # What a task computes: taps begin..end-1 of each run, and some output channels of a group from `first` on.
    Py_ssize_t group, begin, end, first, channels
    Py_ssize_t in_place  # how many of the channels fill tiles of whole vectors and are read in place


cdef class Conv2DBackwardKernel(Step):
    """dkernel and dbias from x and dout."""

    cdef:
        Buffer x        # IN  (N, IH, IW, groups * IC)
        Buffer dout     # IN  (N, OH, OW, groups * OC)
        Buffer dkernel  # OUT (KH, KW, IC, groups * OC)
        Buffer dbias    # OUT (groups * OC,) or None
        Py_ssize_t N, IH, IW, IC, OH, OW, OC, KH, KW, groups
        Py_ssize_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left
        bint copies, gathers, transposes          # the patch of x; all taps of a window; sums[oc][tap], not [tap][oc]
        bint packs                                # all vectors of dout, not only the last that are not whole
        Py_ssize_t taps, runs, run_length         # KH * KW * IC; contiguous runs of them, and their length
        Py_ssize_t cuts, cut, slices, slice       # cuts of a run, and taps in each; the same of output channels
        Py_ssize_t images, block_h, block_w       # images, rows and columns of pixels in a block
        Py_ssize_t blocks_h, blocks_w, blocks     # blocks of an image, and of all
        Py_ssize_t parts, kept                    # of the blocks, and those with sums in the workspace
        Py_ssize_t patch_h, patch_w, patch_pixel, patch_size   # of a block's patch of one image; numbers of all
        Py_ssize_t gathered_size
        Py_ssize_t rows, row, width               # of the sums; output channels in whole vectors
        Py_ssize_t reduced                        # taps per task of the final sum
        bint reducing

    def __init__(self, Buffer x, Buffer dout, Buffer dkernel, Buffer dbias, window):
        self.x, self.dout, self.dkernel, self.dbias = x, dout, dkernel, dbias
        self.N, self.IH, self.IW, IC = x.shape
        _, self.OH, self.OW, OC = dout.shape
        self.IC = dkernel.shape[len(dkernel.shape) - 2]
        self.groups = IC // self.IC
        self.OC = OC // self.groups
        (self.KH, self.KW, self.stride_h, self.stride_w, self.pad_top, _, self.pad_left, _, self.dilation_h,
         self.dilation_w) = window
        if (self.KH, self.KW, *window[2:8]) == (1, 1, 1, 1, 0, 0, 0, 0):  # a product of matrices: one row of pixels
            self.N, self.IH, self.IW = min(self.N, 1), 1, self.N * self.IH * self.IW
            self.OH, self.OW = self.IH, self.IW
        self._choose_tiles()
        self._choose_parts()
        self._choose_blocks()
        self._choose_memory()

    cdef _choose_tiles(self):
        """Choose runs of taps, and whether vectors are of taps or of output channels: the less arithmetic."""
        cdef Py_ssize_t by_channels, by_taps
        self.taps = self.KH * self.KW * self.IC
        self.run_length = self.KW * self.IC if self.dilation_w == 1 else self.IC
        self.gathers = self.IC == 1 and self.dilation_w == 1 and self.KW <= SHORT and 1 < self.KH <= SHORT
        if self.gathers:
            self.run_length = self.taps
        self.runs = self.taps // max(self.run_length, 1)
        by_channels, by_taps = ceil_div(self.OC, VL), ceil_div(self.run_length, VL)
        # One vector alone takes longer: its tile waits for the numbers that it multiplies by.
        by_channels = self.taps * by_channels * (4 if by_channels == 1 else 3)
        by_taps = self.OC * self.runs * by_taps * (4 if by_taps == 1 else 3)
        self.transposes = 10 * by_taps < 9 * by_channels

    cdef _choose_parts(self):
        """Divide the pixels into parts, as far as their sums stay small, then the channels of dout and of x."""
        cdef:
            bint pointwise = self.KH * self.KW == 1
            Py_ssize_t pixels = self.N * self.OH * self.OW, sums = max(self.groups * self.taps * self.OC, 1), tasks
        self.parts = max(1, min(TASKS, pixels // PART, (SUMS if pointwise else 4 * SUMS) // sums))
        tasks = ceil_div(TASKS, self.parts * self.groups)
        self.slices = 1 if self.transposes else max(1, min(tasks, self.OC // SLICE))
        self.slice = max(ceil_div(ceil_div(self.OC, self.slices), 2 * VL), 1) * 2 * VL
        self.slices = ceil_div(self.OC, self.slice)
        self.cuts = min(ceil_div(tasks, max(self.slices, 1)), self.IC // (2 * CUT if pointwise else CUT))
        if self.cuts <= 1 or self.gathers:
            self.cuts, self.cut = 1, self.run_length
        else:
            self.runs, self.run_length = self.KH * self.KW, self.IC
            self.cut = ceil_div(self.IC, self.cuts)
            if self.transposes:
                self.cut = ceil_div(self.cut, VL) * VL
            self.cuts = ceil_div(self.IC, self.cut)

    cdef _choose_blocks(self):
        """Choose blocks of about PIXELS pixels whose patches of x fit into PATCH floats."""
        cdef:
            Py_ssize_t span_h = (self.KH - 1) * self.dilation_h + 1, span_w = (self.KW - 1) * self.dilation_w + 1, fit
        self.patch_pixel = self.IC if self.cuts == 1 else self.cut
        if self.cuts > 1 and self.cut % PACKED == 0:
            self.patch_pixel += GAP
        self.copies = self.pad_top > 0 or self.pad_left > 0 or self.gathers \
            or (self.OH - 1) * self.stride_h + span_h > self.IH or (self.OW - 1) * self.stride_w + span_w > self.IW \
            or self.groups > 1 and self.KH * self.KW > 1 or self.transposes and self.run_length % VL > 0 \
            or not self.transposes and self.cuts > 1 and self.IC % CONFLICT == 0
        # Such pixels share few sets of the first-level cache, and 6 x 2 vectors ask more of the second than it gives;
        # 11 x 2 do not.
        self.packs = VL == 8 and not self.transposes and self.groups * self.OC % PACKED == 0 < self.OC \
            and self.runs * self.cut >= 2 * CUT
        if self.copies:
            check_scratch(<double> self.OH * self.stride_h + span_h, <double> self.OW * self.stride_w + span_w, self.IC)
        self.blocks_w = ceil_div(max(self.OW, 1), PIXELS)
        self.block_w = ceil_div(self.OW, self.blocks_w)
        self.patch_w = (self.block_w - 1) * self.stride_w + span_w
        fit = (PATCH // max(self.patch_w * self.patch_pixel, 1) - span_h) // self.stride_h + 1
        self.blocks_h = ceil_div(self.OH, max(1, min(self.OH, PIXELS // max(self.block_w, 1), fit)))
        self.block_h = ceil_div(self.OH, max(self.blocks_h, 1))
        self.patch_h = (self.block_h - 1) * self.stride_h + span_h
        self.images = 1
        if self.blocks_h * self.blocks_w == 1:
            fit = PATCH // max(self.patch_h * self.patch_w * self.patch_pixel, 1)
            self.images = max(1, min(PIXELS // max(self.OH * self.OW, 1), fit, ceil_div(self.N, self.parts)))
            self.images = ceil_div(self.N, max(ceil_div(self.N, self.images), 1))
        self.blocks = ceil_div(self.N, max(self.images, 1)) * self.blocks_h * self.blocks_w
        self.parts = min(self.parts, self.blocks)

    cdef _choose_memory(self):
        """Lay out the sums of parts and of the bias in the workspace, and copies of a block in the scratch memory."""
        cdef Py_ssize_t pixels = self.images * self.block_h * self.block_w
        self.width = ceil_div(self.OC, VL) * VL
        if self.transposes:
            self.rows, self.row = self.OC, self.runs * ceil_div(self.run_length, VL) * VL
        else:
            self.rows, self.row = self.taps, self.width
        self.reduced = max(1, REDUCED // self.width)
        if self.copies:
            self.patch_size = ceil_div(self.images * self.patch_h * self.patch_w * self.patch_pixel, VL) * VL + VL
        if self.gathers:
            self.gathered_size = ceil_div(self.images * self.block_h * self.patch_w * self.KH, VL) * VL + VL
        self.scratch = sizeof(float) * (self.patch_size + self.gathered_size)
        if self.packs or self.OC % VL > 0 and not self.transposes:
            self.scratch += sizeof(float) * pixels * 3 * VL
        # The first part's sums are the result itself, unless their order is another.
        self.kept = self.parts if self.transposes or self.gathers else max(self.parts - 1, 0)
        self.workspace = sizeof(float) * self.groups * (self.kept * self.rows * self.row + self.parts * self.width)

    cdef void run(self) noexcept nogil:
        cdef double work = MULTIPLY_ADD * self.N * self.OH * self.OW * self.groups * self.OC * self.taps
        if self.blocks == 0:
            memset(self.dkernel.data, 0, self.dkernel.nbytes)
            if self.dbias is not None:
                memset(self.dbias.data, 0, self.dbias.nbytes)
            return
        self.reducing = False
        self.split(self.parts * self.groups * self.slices * self.cuts, work)
        self.reducing = True
        if self.kept > 0 or self.dbias is not None:
            self.split(self.groups * ceil_div(self.taps + 1, self.reduced), <double> self.workspace)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Share share
        if self.reducing:
            self.reduce(i % self.groups, i // self.groups)
            return
        share.begin, share.first = i % self.cuts * self.cut, i // self.cuts % self.slices * self.slice
        share.end = min(share.begin + self.cut, self.run_length)
        share.group = i // (self.cuts * self.slices) % self.groups
        share.channels = share.in_place = min(self.slice, self.OC - share.first)
        if self.packs:
            share.in_place = 0
        elif share.channels % VL > 0 and not self.transposes:
            share.in_place = (ceil_div(share.channels, VL) - last_vectors(share.channels)) * VL
        self.accumulate(i // (self.cuts * self.slices * self.groups), &share, <float*> scratch)

    cdef float* sums_of(self, Py_ssize_t kept, Py_ssize_t group) noexcept nogil:
        return <float*> self.work + (kept * self.groups + group) * self.rows * self.row

    cdef float* bias_of(self, Py_ssize_t part, Py_ssize_t group) noexcept nogil:
        return self.sums_of(self.kept, 0) + (part * self.groups + group) * self.width

    cdef void accumulate(self, Py_ssize_t part, const Share* share, float* scratch) noexcept nogil:
        """Sum one part of the blocks, for a share of the kernel."""
        cdef:
            Py_ssize_t start = self.blocks * part // self.parts, stop = self.blocks * (part + 1) // self.parts, block
            float* sums
            Product product
            Place place
        if part > 0 or self.kept == self.parts:
            sums = self.sums_of(part - self.parts + self.kept, share.group)
            product.sums_row = self.row
        else:
            sums = <float*> self.dkernel.data + share.group * self.OC
            product.sums_row = self.groups * self.OC
        for block in range(start, stop):
            product.fresh = block == start
            self.look_ahead(&product, block + 1, block + 1 < stop, share)
            if share.begin == 0 and self.dbias is not None:
                place = self.place_of(block, share)
                add_pixels(
                    place.dout, self.groups * self.OC, place.images * place.rows * place.columns, share.channels,
                    product.fresh, self.bias_of(part, share.group) + share.first)
            self.accumulate_block(&product, block, share, sums + share.first, scratch)

    cdef Place place_of(self, Py_ssize_t block, const Share* share) noexcept nogil:
        cdef Place place
        place.x, place.x_image, place.x_row, place.x_pixel = NULL, 0, 0, 0
        place.n = block // (self.blocks_h * self.blocks_w) * self.images
        place.oh = block // self.blocks_w % self.blocks_h * self.block_h
        place.ow = block % self.blocks_w * self.block_w
        place.images = min(self.images, self.N - place.n)
        place.rows = max(min(self.block_h, self.OH - place.oh), <Py_ssize_t> 0)
        place.columns = max(min(self.block_w, self.OW - place.ow), <Py_ssize_t> 0)
        # The pixels of a block are neighbours: it has whole rows if there are several, and whole images.
        place.dout = <const float*> self.dout.data + share.group * self.OC + share.first
        place.dout += ((place.n * self.OH + place.oh) * self.OW + place.ow) * self.groups * self.OC
        return place

    cdef void look_ahead(
        self, Product* product, Py_ssize_t block, bint wanted, const Share* share,
    ) noexcept nogil:
        """Have the given block fetched while the one before is computed."""
        cdef:
            Place place
            Stream* dout = &product.ahead[0]
            Stream* x = &product.ahead[1]
            Py_ssize_t pixel = self.groups * self.IC * sizeof(float), row = self.IW * pixel, top, pixels, rows
        dout.calls = x.calls = 0
        if not wanted:
            return
        place = self.place_of(block, share)
        pixels = max(place.images * place.rows * place.columns, <Py_ssize_t> 1)
        dout.start = <const char*> place.dout
        set_stream(dout, pixels, self.groups * self.OC * sizeof(float), share.channels * sizeof(float))
        x.start = self.x.data + place.n * self.IH * row + share.group * self.IC * sizeof(float)
        if self.KH * self.KW * self.stride_h * self.stride_w == 1:
            x.start += ((place.oh - self.pad_top) * self.IW + place.ow - self.pad_left) * pixel
            x.start += share.begin * sizeof(float)
            set_stream(x, pixels, pixel, (share.end - share.begin) * sizeof(float))
        elif self.KH * self.KW > 1:  # whole rows
            top = place.oh * self.stride_h - self.pad_top
            rows = (place.images - 1) * self.IH + place.rows * self.stride_h
            if place.oh > 0:  # what windows of neighbouring blocks share is there already
                top += max(self.patch_h - self.block_h * self.stride_h, <Py_ssize_t> 0)
            x.start += max(top, <Py_ssize_t> 0) * row
            set_stream(x, pixels, LINE, ceil_div(rows * row, pixels))

    cdef void accumulate_block(
        self, Product* product, Py_ssize_t block, const Share* share, float* sums, float* scratch,
    ) noexcept nogil:
        cdef:
            Place place = self.place_of(block, share)
            Py_ssize_t pixel = self.groups * self.OC, row = place.columns * pixel, image = place.rows * row, run
            Py_ssize_t begin = share.begin, taken = share.end - share.begin, first = share.in_place, last, done
            float* panel = scratch + self.patch_size + self.gathered_size
            const float* taps
        self.place_taps(&place, share, scratch)
        product.images, product.rows, product.columns = place.images, place.rows, place.columns
        product.b_image, product.b_row, product.b_column = image, row, pixel
        product.a_image, product.a_column = place.x_image, self.stride_w * place.x_pixel
        product.a_row = place.x_row if self.gathers else self.stride_h * place.x_row
        if self.transposes:
            exchange(product)
        for run in range(self.runs):
            taps = place.x + begin + self.start_of(run, &place)
            if self.transposes:
                add_product(
                    self.OC, taken, product, place.dout, taps, sums + run * (self.row // self.runs) + begin)
            else:
                add_product(
                    taken, share.in_place, product, taps, place.dout,
                    sums + (run * self.run_length + begin) * product.sums_row)
        while first < share.channels:
            last = last_channels(share.channels - first)
            product.b_image, product.b_row, product.b_column = image, row, pixel
            done = pack_panel(
                product, taken, last, place.x + begin, place.dout + first, panel,
                sums + begin * product.sums_row + first)
            for run in range(self.runs):
                add_product(
                    taken - done, last, product, place.x + begin + done + self.start_of(run, &place), panel,
                    sums + (run * self.run_length + begin + done) * product.sums_row + first)
                done = 0
            first += last

    cdef Py_ssize_t start_of(self, Py_ssize_t run, const Place* place) noexcept nogil:
        """Return where a run of taps starts, seen from the start of the window."""
        cdef Py_ssize_t segments = max(self.runs // self.KH, <Py_ssize_t> 1)
        return run // segments * self.dilation_h * place.x_row + run % segments * self.dilation_w * place.x_pixel

    cdef void place_taps(
        self, Place* place, const Share* share, float* scratch,
    ) noexcept nogil:
        """Say where a block's windows are in x, or copy its patch, or its pixels x taps."""
        cdef:
            Py_ssize_t pixel = self.groups * self.IC, row = self.IW * pixel, image = self.IH * row, i
            Py_ssize_t top = place.oh * self.stride_h - self.pad_top, left = place.ow * self.stride_w - self.pad_left
            Py_ssize_t first = share.begin if self.cuts > 1 else 0  # of the channels that are copied
            Py_ssize_t copied = share.end - first if self.cuts > 1 else self.IC
            const float* x = <const float*> self.x.data + place.n * image + share.group * self.IC
        if not self.copies:
            place.x = x + top * row + left * pixel
            place.x_image, place.x_row, place.x_pixel = image, row, pixel
            return
        place.x_pixel = self.patch_pixel
        place.x_row = self.patch_w * self.patch_pixel
        place.x_image = self.patch_h * place.x_row
        for i in range(place.images):
            copy_patch(
                x + i * image + first, self.IH, self.IW, pixel, copied, top, left, self.patch_h, self.patch_w,
                scratch + i * place.x_image, self.patch_pixel)
        place.x = scratch - first
        if self.gathers:
            self.gather(place, scratch + self.patch_size)

    cdef void gather(self, Place* place, float* out) noexcept nogil:
        """Copy the patch as out[oh][column][kh]: there all taps of a window are neighbours."""
        cdef:
            Py_ssize_t step = self.dilation_h * place.x_row, n, r, kh
            const float* rows
            float* taps = out
        for n in range(place.images):
            for r in range(place.rows):
                rows = place.x + n * place.x_image + r * self.stride_h * place.x_row
                for _ in range(self.patch_w):
                    for kh in range(self.KH):
                        taps[kh] = rows[kh * step]
                    taps += self.KH
                    rows += 1
        place.x, place.x_pixel, place.x_row = out, self.KH, self.patch_w * self.KH
        place.x_image = place.rows * place.x_row

    cdef void reduce(self, Py_ssize_t group, Py_ssize_t task) noexcept nogil:
        """Add the parts' sums of some taps in order, and those of the bias behind the last tap."""
        cdef:
            Py_ssize_t start = task * self.reduced, stop = min(start + self.reduced, self.taps), k, p, o, i
            Py_ssize_t step = self.row if self.transposes else 1
            float* out
            const float* sums
        for k in range(start, stop if self.kept > 0 else start):
            out = <float*> self.dkernel.data + (k * self.groups + group) * self.OC
            i = k
            if self.gathers:
                i = k % self.KW * self.KH + k // self.KW
            if self.transposes:
                i = i // self.run_length * (self.row // self.runs) + i % self.run_length
            else:
                i *= self.row
            for p in range(self.kept):
                sums = self.sums_of(p, group) + i
                if p == 0 and self.kept == self.parts:
                    for o in range(self.OC):
                        out[o] = sums[o * step]
                else:
                    for o in range(self.OC):
                        out[o] += sums[o * step]
        if self.dbias is not None and start <= self.taps < start + self.reduced:
            out = <float*> self.dbias.data + group * self.OC
            memset(out, 0, self.OC * sizeof(float))
            for p in range(self.parts):
                sums = self.bias_of(p, group)
                for o in range(self.OC):
                    out[o] += sums[o]
