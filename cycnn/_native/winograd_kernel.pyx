"""Convolution by Winograd's F(3x3, 4x4), float32: gradient to a 3x3 kernel with stride 1, and to the bias.

    dkernel[kh, kw, ic, oc] = sum over n, oh, ow of x[n, oh + kh - pad_top, ow + kw - pad_left, ic] dout[n, oh, ow, oc]
                            = G^T (sum over tiles t of X[t, ic] * D[t, oc]) G,    X = B^T x B,    D = A dout A^T

A tile is 4x4 pixels of dout and the 6x6 of x that they meet; the transforms are those of `winograd_tiles.pxd`. Between
them stand MATRICES products of matrices, (IC x tiles) (tiles x OC): a quarter of the multiplications of the direct sum.
They are added up over all tiles before they are transformed back. D at the points (1, 1) is the sum of a tile's pixels,
so the gradient of the bias is a sum over one of the matrices.

The idea: X and D of a block of tiles are stored in panels [matrix][channels / 2 VL][tile][2 VL], which the products
read in order, with TILE_ROWS input channels by 2 VL output channels in registers. Where the sums are small, the tiles
are divided into parts that are one task each and keep blocks and sums in a core's own cache. Where channels are many, a
block is larger: its tasks first transform it for all, then each takes the sums of a rectangle of channels; those of the
only block are transformed back at once and never stored as a whole.

Parts and blocks are fixed and their sums are added in order: the bits do not depend on the number of threads.
"""

from libc.string cimport memset

from cycnn._native.runtime cimport MULTIPLY_ADD, Buffer, Step
from .simd cimport TILE_ROWS, VL, vf, vf_add, vf_load, vf_load_first, vf_store, vf_store_first
from .tiles cimport ceil_div
from .winograd_products cimport Ahead, add_product, add_vectors, find_ahead
from .winograd_tiles cimport (
    MATRICES, OUTPUTS, POINTS, transform_gradient, transform_input, transform_taps, whole_vectors,
)

cdef enum:
    PANEL = 2 * VL
    ONES = POINTS + 1      # the matrix of the points (1, 1)
    OWN_SUMS = 64 * 64     # channels by channels: more of them are divided among the tasks of a block
    OWN_BLOCK = 96 * 1024  # floats of X and D that a task keeps to itself
    BLOCK = 1024 * 1024    # floats of X and D that the tasks of a block share
    PARTS = 16
    PARTS_SUMS = 1200 * 1024  # floats of all parts' sums, at most
    EDGE = 64              # channels along a rectangle's edge
    GROUP = 8              # tiles that a task transforms
    DEPTH = 128            # tiles in a row of a product: two panels of so many fit into the first-level cache
    ROWS = 4               # input channels that a task transforms back
    ROOM = 2 * MATRICES * VL  # floats for one transform: its columns, and a patch

cdef enum Phase:
    PART        # transform and multiply a part of the tiles
    TRANSFORM   # GROUP tiles of a shared block
    MULTIPLY    # a rectangle of channels of a shared block
    INVERT      # ROWS input channels of the sums of all parts

cdef struct Sums:
    # The sums of a rectangle of channels, and those for the bias where the rectangle holds input channel 0.
    float* start
    float* bias
    Py_ssize_t matrix, row                # floats from one matrix and input channel to the next
    Py_ssize_t ic, ic_stop, oc, oc_stop   # channels


cdef struct Tile:
    # An image, and the pixels of a tile that are inside of it.
    const float* pixel           # the channels of the tile's first pixel, which may be outside
    Py_ssize_t row, column       # floats from one row and pixel to the next
    Py_ssize_t top, bottom, left, right


cdef inline Tile find_tile(
    const float* image, Py_ssize_t H, Py_ssize_t W, Py_ssize_t C, Py_ssize_t top, Py_ssize_t left, Py_ssize_t size
) noexcept nogil:
    """Return the tile of size x size pixels at (top, left) of an image."""
    cdef Tile tile
    tile.row, tile.column = W * C, C
    tile.pixel = image + top * tile.row + left * C
    tile.top, tile.left = max(-top, 0), max(-left, 0)
    tile.bottom, tile.right = min(size, H - top), min(size, W - left)
    return tile


cdef inline void copy_tile(
    const Tile* tile, Py_ssize_t c, Py_ssize_t channels, float* patch, Py_ssize_t size
) noexcept nogil:
    """Copy a vector of channels, from c on, of the pixels that are inside; the others stay zero from c = 0 on."""
    cdef:
        Py_ssize_t i, j
        const float* row
    if c == 0:
        memset(patch, 0, size * size * VL * sizeof(float))
    for i in range(tile.top, tile.bottom):
        row = tile.pixel + i * tile.row + c
        for j in range(tile.left, tile.right):
            if channels >= VL:
                vf_store(patch + (i * size + j) * VL, vf_load(row + j * tile.column))
            else:
                vf_store(patch + (i * size + j) * VL, vf_load_first(row + j * tile.column, channels))


cdef inline void transform_channels(
    const Py_ssize_t size, const Tile* tile, Py_ssize_t channels, float* room, float* out, Py_ssize_t panel,
    Py_ssize_t matrix,
) noexcept nogil:
    """Transform all channels of a tile, two vectors to a panel: one of x if its size is POINTS, else one of dout."""
    cdef:
        Py_ssize_t v, row = tile.row, column = tile.column
        bint inside = tile.top == 0 and tile.left == 0 and tile.bottom == size and tile.right == size
        const float* source
        float* target
    for v in range(ceil_div(channels, VL)):
        target = out + v // 2 * panel + v % 2 * VL
        if inside and (v + 1) * VL <= channels:
            source = tile.pixel + v * VL
        else:
            source = room + MATRICES * VL
            copy_tile(tile, v * VL, channels - v * VL, room + MATRICES * VL, size)
            row, column = size * VL, VL
        if size == POINTS:
            transform_input(source, row, column, room, target, matrix)
        else:
            transform_gradient(source, row, column, room, target, matrix)


cdef inline vf add_parts(const float* sums, Py_ssize_t parts, Py_ssize_t part) noexcept nogil:
    """Return the sum of a vector over the parts, `part` floats apart, in order."""
    cdef:
        Py_ssize_t p
        vf total = vf_load(sums)
    for p in range(1, parts):
        total = vf_add(total, vf_load(sums + p * part))
    return total


cdef class WinogradBackwardKernel(Step):
    """dkernel and dbias from x and dout."""

    cdef:
        Buffer x        # IN  (N, IH, IW, IC)
        Buffer dout     # IN  (N, OH, OW, OC)
        Buffer dkernel  # OUT (3, 3, IC, OC)
        Buffer dbias    # OUT (OC,) or None
        Py_ssize_t N, IH, IW, IC, OH, OW, OC, pad_top, pad_left
        Py_ssize_t tiles_h, tiles_w, tiles   # of an image, and of all
        Py_ssize_t parts, blocks, depth      # parts of the tiles, blocks of a part, tiles of a block
        Py_ssize_t width                     # output channels in whole vectors
        Py_ssize_t x_step, d_step            # channels of a panel
        Py_ssize_t x_matrix, d_matrix        # floats of a block's matrix
        Py_ssize_t edges_in, edges_out       # rectangles of channels
        Py_ssize_t products                  # of panels, in a block
        Py_ssize_t block                     # that the tasks share now
        Phase phase
        bint shared

    def __init__(self, Buffer x, Buffer dout, Buffer dkernel, Buffer dbias, window):
        self.x, self.dout, self.dkernel, self.dbias = x, dout, dkernel, dbias
        self.N, self.IH, self.IW, self.IC = x.shape
        _, self.OH, self.OW, self.OC = dout.shape
        self.pad_top, self.pad_left = window.pad_top, window.pad_left
        self.tiles_h, self.tiles_w = ceil_div(self.OH, OUTPUTS), ceil_div(self.OW, OUTPUTS)
        self.tiles = self.N * self.tiles_h * self.tiles_w
        self.x_step, self.d_step = min(whole_vectors(self.IC), PANEL), min(whole_vectors(self.OC), PANEL)
        self.width = whole_vectors(self.OC)
        self._choose_blocks()
        self._place_blocks()

    cdef _choose_blocks(self):
        """Divide the tiles into parts of blocks that a task keeps to itself, or into blocks that all tasks share."""
        cdef Py_ssize_t limit = OWN_BLOCK, blocks
        self.shared = self.IC * self.OC > OWN_SUMS
        if self.shared:  # what adds to large sums should be as large
            limit = max(<Py_ssize_t> BLOCK, MATRICES * self.IC * self.OC)
        blocks = ceil_div(self.tiles, max(1, limit // (MATRICES * max(1, self.IC + self.OC))))
        self.parts = 1
        if not self.shared:
            self.parts = max(1, min(PARTS, min(blocks, PARTS_SUMS // max(1, self.sums_size(self.IC, self.width)))))
        self.blocks = max(1, ceil_div(blocks, self.parts))
        self.depth = max(1, ceil_div(self.tiles, self.parts * self.blocks))
        self.products = MATRICES * max(1, ceil_div(self.IC, TILE_ROWS) * ceil_div(self.OC, PANEL))
        self.edges_in, self.edges_out = ceil_div(self.IC, EDGE), ceil_div(self.OC, EDGE)

    cdef _place_blocks(self):
        """Ask for memory: of a task for what it keeps to itself, in the workspace for what tasks share."""
        cdef Py_ssize_t block, sums
        # A vector more, so that the same place of all matrices is not in the same set of the caches.
        self.x_matrix = ceil_div(self.IC, PANEL) * self.depth * self.x_step + VL
        self.d_matrix = ceil_div(self.OC, PANEL) * self.depth * self.d_step + VL
        block = MATRICES * (self.x_matrix + self.d_matrix)
        sums = self.sums_size(self.IC, self.width)
        if not self.shared:
            self.workspace, self.scratch = self.parts * sums, ROOM + block
        elif self.blocks > 1:
            self.workspace, self.scratch = block + sums, ROOM
        else:
            self.workspace, self.scratch = block, ROOM + self.sums_size(EDGE, EDGE)
        self.workspace *= sizeof(float)
        self.scratch *= sizeof(float)

    cdef Py_ssize_t sums_size(self, Py_ssize_t channels_in, Py_ssize_t channels_out) noexcept nogil:
        """Return the floats of the sums of so many channels and of the bias."""
        return (MATRICES * channels_in + 1) * channels_out + MATRICES * VL

    cdef Sums sums_of(
        self, float* start, Py_ssize_t ic, Py_ssize_t rows, Py_ssize_t oc, Py_ssize_t channels
    ) noexcept nogil:
        """Return a rectangle of the sums of all channels that begin at `start`."""
        cdef Sums sums
        sums.matrix, sums.row = self.IC * self.width + VL, self.width
        sums.ic, sums.ic_stop = ic, min(self.IC, ic + rows)
        sums.oc, sums.oc_stop = oc, min(self.OC, oc + channels)
        sums.start = start + ic * sums.row + oc
        sums.bias = start + MATRICES * sums.matrix + oc if ic == 0 else NULL
        return sums

    cdef void run(self) noexcept nogil:
        cdef double work = MULTIPLY_ADD * MATRICES * self.tiles * self.IC * self.OC
        if self.shared:
            for self.block in range(self.blocks):
                self.phase = TRANSFORM
                self.split(ceil_div(self.depth, GROUP), work)
                self.phase = MULTIPLY
                self.split(self.edges_in * self.edges_out, work)
        else:
            self.phase = PART
            self.split(self.parts, work)
            self.phase = INVERT
            self.split(max(ceil_div(self.IC, ROWS), 1), <double> self.workspace)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            float* room = <float*> scratch
            float* work = <float*> self.work
            Py_ssize_t begin = self.block * self.depth, end = min(begin + self.depth, self.tiles), ic, oc
            Sums sums
            Ahead ahead
        if self.phase == PART:
            self.accumulate(i, room, work + i * self.sums_size(self.IC, self.width))
        elif self.phase == TRANSFORM:
            self.transform(begin + i * GROUP, min(begin + (i + 1) * GROUP, end), i * GROUP, room, work)
        elif self.phase == INVERT:
            self.invert(self.sums_of(work, i * ROWS, ROWS, 0, self.OC), room)
        else:
            ic, oc = i // self.edges_out * EDGE, i % self.edges_out * EDGE
            if self.blocks > 1:
                sums = self.sums_of(work + MATRICES * (self.x_matrix + self.d_matrix), ic, EDGE, oc, EDGE)
            else:
                sums = self.sums_of(room + ROOM, ic, EDGE, oc, EDGE)
                sums.matrix, sums.row, sums.start = EDGE * EDGE + VL, EDGE, room + ROOM
                sums.bias = sums.start + MATRICES * sums.matrix if ic == 0 else NULL
            ahead = self.ahead_of(end, i, self.edges_in * self.edges_out)
            self.multiply(work, end - begin, sums, self.block == 0, &ahead)
            if self.block == self.blocks - 1:
                self.invert(sums, room)

    cdef void accumulate(self, Py_ssize_t part, float* room, float* sums) noexcept nogil:
        """Sum a part of the tiles, in blocks that stay here."""
        cdef:
            Py_ssize_t b, begin, end
            Sums all = self.sums_of(sums, 0, self.IC, 0, self.OC)
            Ahead ahead
        for b in range(self.blocks):
            begin = min((part * self.blocks + b) * self.depth, self.tiles)
            end = min(begin + self.depth, self.tiles)
            self.transform(begin, end, 0, room, room + ROOM)
            ahead = self.ahead_of(end, 0, 1)
            self.multiply(room + ROOM, end - begin, all, b == 0, &ahead)

    cdef void transform(
        self, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t place, float* room, float* block
    ) noexcept nogil:
        """Transform some tiles of x and dout into a block, from its tile `place` on."""
        cdef:
            Py_ssize_t line = begin // self.tiles_w, row = line % self.tiles_h * OUTPUTS, image = line // self.tiles_h
            Py_ssize_t column = begin % self.tiles_w * OUTPUTS, t
            const float* x = <const float*> self.x.data
            const float* dout = <const float*> self.dout.data
            Tile of_x, of_dout
        for t in range(place, place + end - begin):
            of_x = find_tile(
                x + image * self.IH * self.IW * self.IC, self.IH, self.IW, self.IC, row - self.pad_top,
                column - self.pad_left, POINTS)
            of_dout = find_tile(
                dout + image * self.OH * self.OW * self.OC, self.OH, self.OW, self.OC, row, column, OUTPUTS)
            transform_channels(
                POINTS, &of_x, self.IC, room, block + t * self.x_step, self.depth * PANEL, self.x_matrix)
            transform_channels(
                OUTPUTS, &of_dout, self.OC, room, block + MATRICES * self.x_matrix + t * self.d_step,
                self.depth * PANEL, self.d_matrix)
            column += OUTPUTS
            if column >= self.OW:
                row, column = row + OUTPUTS, 0
            if row >= self.OH:
                row, image = 0, image + 1

    cdef void multiply(
        self, const float* block, Py_ssize_t tiles, Sums sums, bint fresh, Ahead* ahead
    ) noexcept nogil:
        """Add the products of a block's matrices to the sums of a rectangle of channels."""
        cdef:
            Py_ssize_t m, t = 0, ic, oc, depth
            const float* x
            const float* d
            float* out
        while t < tiles or fresh:
            depth = min(<Py_ssize_t> DEPTH, tiles - t)
            for m in range(MATRICES):
                ic = sums.ic
                while ic < sums.ic_stop:
                    x = block + m * self.x_matrix + ic * self.depth + t * self.x_step
                    out = sums.start + m * sums.matrix + (ic - sums.ic) * sums.row
                    oc = sums.oc
                    while oc < sums.oc_stop:
                        d = block + MATRICES * self.x_matrix + m * self.d_matrix + oc * self.depth + t * self.d_step
                        add_product(
                            min(<Py_ssize_t> PANEL, sums.ic_stop - ic), sums.oc_stop - oc, depth, x, self.x_step, d,
                            self.d_step, out + oc - sums.oc, sums.row, fresh, ahead)
                        oc += PANEL
                    ic += PANEL
            if sums.bias != NULL:
                d = block + MATRICES * self.x_matrix + ONES * self.d_matrix + t * self.d_step
                self.add_bias(d, depth, sums, fresh)
            fresh = False
            t += DEPTH

    cdef Ahead ahead_of(self, Py_ssize_t begin, Py_ssize_t share, Py_ssize_t shares) noexcept nogil:
        """Return a share of what a block from tile `begin` on reads, and none before it."""
        cdef:
            Py_ssize_t end = min(begin + self.depth, self.tiles), x_row = self.IW * self.IC, row = self.OW * self.OC
            Py_ssize_t x_begin = self.rows_of(begin, self.IH, POINTS - self.pad_top)
            Py_ssize_t dout_begin = self.rows_of(begin, self.OH, OUTPUTS)
            Ahead ahead
        find_ahead(
            &ahead, 0, <const float*> self.x.data + x_begin * x_row,
            (self.rows_of(end, self.IH, POINTS - self.pad_top) - x_begin) * x_row, share, shares)
        find_ahead(
            &ahead, 1, <const float*> self.dout.data + dout_begin * row,
            (self.rows_of(end, self.OH, OUTPUTS) - dout_begin) * row, share, shares)
        ahead.rate = 1 + (ahead.lines[0] + ahead.lines[1]) * shares // self.products
        return ahead

    cdef Py_ssize_t rows_of(self, Py_ssize_t tile, Py_ssize_t height, Py_ssize_t below) noexcept nogil:
        """Return how many rows of all images the tiles before `tile` read, `below` of each from its first output on."""
        cdef Py_ssize_t last = min(tile, self.tiles) - 1
        if last < 0:
            return 0
        return last // (self.tiles_h * self.tiles_w) * height + min(
            height, max(last // self.tiles_w % self.tiles_h * OUTPUTS + below, 0))

    cdef void add_bias(self, const float* d, Py_ssize_t depth, Sums sums, bint fresh) noexcept nogil:
        """Add the values at the points (1, 1) of some tiles to the sums for the bias."""
        cdef Py_ssize_t oc = sums.oc
        while oc < sums.oc_stop:
            add_vectors(depth, d + oc * self.depth, self.d_step, sums.oc_stop - oc, sums.bias + oc - sums.oc, fresh)
            oc += PANEL

    cdef void invert(self, Sums sums, float* room) noexcept nogil:
        """Add the parts' sums of a rectangle of channels in order, transform them back and store them."""
        cdef:
            Py_ssize_t part = self.sums_size(self.IC, self.width), ic, oc, m, tap
            float* taps = room + MATRICES * VL
            float* out
        for ic in range(sums.ic, sums.ic_stop):
            oc = sums.oc
            while oc < sums.oc_stop:
                out = sums.start + (ic - sums.ic) * sums.row + oc - sums.oc
                if self.parts == 1:
                    transform_taps(out, sums.matrix, room, taps, 3 * VL, VL)
                else:
                    for m in range(MATRICES):
                        vf_store(taps + m * VL, add_parts(out + m * sums.matrix, self.parts, part))
                    transform_taps(taps, VL, room, taps, 3 * VL, VL)
                out = <float*> self.dkernel.data + ic * self.OC + oc
                for tap in range(9):
                    vf_store_first(
                        out + tap * self.IC * self.OC, vf_load(taps + tap * VL),
                        min(<Py_ssize_t> VL, sums.oc_stop - oc))
                oc += VL
        oc = sums.oc
        while oc < sums.oc_stop and sums.bias != NULL and self.dbias is not None:
            vf_store_first(
                <float*> self.dbias.data + oc, add_parts(sums.bias + oc - sums.oc, self.parts, part),
                min(<Py_ssize_t> VL, sums.oc_stop - oc))
            oc += VL
