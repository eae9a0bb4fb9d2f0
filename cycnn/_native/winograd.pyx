"""Winograd's convolution F(4x4, 3x3), float32, stride 1: forward and gradient to the input.

    out[n, oh, ow, oc] = act(bias[oc] + sum over kh, kw, ic of
        x[n, oh + kh - pad_top, ow + kw - pad_left, ic] kernel[kh, kw, ic, oc])

Tiles of 4 x 4 outputs, whose windows cover 6 x 6 pixels, are computed at 36 points (`winograd_tiles.pxd`):

    V[k][t][c] = B^T x B     M[k][t][o] = sum over c of V[k][t][c] U[k][c][o]     out = A^T M A     k = 0..35

where U = G kernel G^T is made when the kernel has changed. The gradient to the input is the same with the channels
exchanged and the taps in reverse order.

The idea: a block of tiles, of as many images as it takes, goes through all three steps while V and M stay in the
second-level cache; the 36 products keep tiles x channels in registers and read U in panels [o / (2 VL)][k][c][2 VL], in
order. Where there are too few blocks to divide, V is made of all tiles first, and the panels are divided as well.

Extents: N, OH, OW, OC of the output, SH, SW, C of the source. M begins with the bias at point (1, 1), which reaches all
outputs with the factor one.
"""

from libc.string cimport memset

from cycnn._native.runtime cimport MULTIPLY_ADD, Buffer, GatedStep, Memory, Step
from cycnn._native.threads cimport begin_copy, end_copy
from .activations cimport activation_code
from .correlation cimport PANEL, copy_rows, transpose_rows
from .fetch cimport fetch
from .gated_norm cimport Norm, clear_sums, norm_of
from .simd cimport TILE_ROWS, VL
from .tiles cimport ceil_div, check_scratch
from .winograd_outputs cimport AREA, Outputs, copy_tile, store_outputs
from .winograd_points cimport product_of
from .winograd_tiles cimport (
    MATRICES, OUTPUTS, POINTS, kernel_line, tile_room, transform_columns, transform_tile, whole_vectors,
)

cdef enum:
    BLOCK = 262144           # floats of V and M: 1 MiB, to stay in the second-level cache
    NEAR = 7168              # floats of V where M takes its place: 28 KiB, to stay in the first-level cache
    FEWEST = 2 * TILE_ROWS   # tiles of a block, so that the panels of U are worth reading
    MOST = 6 * TILE_ROWS
    MIN_TASKS = 16           # divide small problems at least into so many tasks
    MOST_LARGE = 12 * TILE_ROWS  # where each block transforms the kernel anew
    LARGE = 4194304          # floats of a transformed kernel: 16 MiB, about what caches hold for long
    DEPTH = 64               # channels of a large kernel that are transformed at a time
    CHUNK = 16               # channels whose taps are gathered at a time
    TAPS = 27 * CHUNK * PANEL  # floats that this takes: 9 taps, and 18 of which the columns are transformed
    ONE = POINTS + 1         # the point (1, 1)
    ALIGNMENT = 64           # bytes, of what is in the workspace
    AHEAD = 8                # tiles from the one that is worked on to the one that is fetched


cdef class WinogradKernel(Step):
    """The kernel at the 36 points, in panels [panel][point][c][PANEL], made again only when the kernel has changed.

    One that is `large` is not kept, for reading it from memory would take longer than to make it. One that is not
    `kept` has no memory of its own, and is made anew wherever its only user says.
    """

    cdef:
        Buffer kernel  # IN  (3, 3, IC, OC)
        Memory memory
        float* data    # OUT
        unsigned long long packed_version
        Py_ssize_t C, OC, panels, chunks, nbytes
        bint transposed  # channels exchanged, taps in reverse order
        bint large

    def __init__(self, Buffer kernel, bint transposed, bint kept):
        cdef Py_ssize_t IC = kernel.shape[2], OC = kernel.shape[3]
        self.kernel = kernel
        self.transposed = transposed
        self.C, self.OC = (OC, IC) if transposed else (IC, OC)
        self.panels, self.chunks = ceil_div(self.OC, PANEL), ceil_div(self.C, CHUNK)
        self.large = MATRICES * self.C * self.panels * PANEL > LARGE
        self.nbytes = 0 if self.large else self.panels * MATRICES * self.C * PANEL * sizeof(float)
        if kept and not self.large:
            self.memory = Memory(self.nbytes)
            self.data = <float*> self.memory.data
        self.scratch = TAPS * sizeof(float)

    cdef void place(self, char* data) noexcept nogil:
        """Be made at `data` in the next run, if there is no memory of its own."""
        if self.memory is None and not self.large:
            self.data, self.packed_version = <float*> data, 0

    cdef void run(self) noexcept nogil:
        cdef unsigned long long version = self.kernel.version  # before, for the kernel may change meanwhile
        if not self.large and begin_copy(&self.packed_version, version):
            self.split(self.panels * self.chunks, 16.0 * self.kernel.size)
            end_copy(&self.packed_version, version)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t p = i // self.chunks, first = i % self.chunks * CHUNK, width = self.width(p)
            float* panel = self.data + p * MATRICES * self.C * PANEL
        self.transform(p, first, panel + first * width, self.C * width, <float*> scratch)

    cdef Py_ssize_t width(self, Py_ssize_t p) noexcept nogil:
        """Return the channels of a panel's vectors."""
        return VL if self.OC - p * PANEL <= VL else PANEL

    cdef void transform(self, Py_ssize_t p, Py_ssize_t first, float* u, Py_ssize_t matrix, float* taps) noexcept nogil:
        """Transform CHUNK channels of a panel: columns of all, then rows, so that few streams are written at a time."""
        cdef:
            Py_ssize_t count = min(<Py_ssize_t> CHUNK, self.C - first), width = self.width(p), numbers = count * width
            Py_ssize_t channels = min(<Py_ssize_t> PANEL, self.OC - p * PANEL), tap, j, i
            float* columns = taps + 9 * numbers
            const float* kernel
        for tap in range(9):
            kernel = <const float*> self.kernel.data
            if self.transposed:
                kernel += ((8 - tap) * self.OC + p * PANEL) * self.C + first
                for i in range(channels):
                    fetch(kernel + CHUNK + i * self.C, CHUNK)
                transpose_rows(kernel, self.C, channels, count, taps + tap * numbers, width)
            else:
                kernel += (tap * self.C + first) * self.OC + p * PANEL
                for i in range(CHUNK):
                    fetch(kernel + (CHUNK + i) * self.OC, PANEL)
                copy_rows(kernel, self.OC, channels, count, taps + tap * numbers, width)
        for j in range(3):
            for i in range(numbers // VL):
                kernel_line(taps + j * numbers + i * VL, 3 * numbers, columns + j * numbers + i * VL, 3 * numbers)
        for j in range(POINTS):
            for i in range(numbers // VL):
                kernel_line(columns + 3 * j * numbers + i * VL, numbers, u + POINTS * j * matrix + i * VL, matrix)


cdef WinogradKernel winograd_kernel(Buffer kernel, bint transposed):
    """Return the transformed copy that all steps share."""
    key = ("winograd", VL, transposed)
    if key not in kernel.cache:
        kernel.cache[key] = WinogradKernel(kernel, transposed, True)
    return kernel.cache[key]


cdef class WinogradCorrelation(GatedStep):
    """A correlation of 3 x 3 taps, stride 1, divided into blocks of tiles."""

    cdef:
        Buffer source  # IN  (N, SH, SW, C)
        Buffer bias    # IN  (OC,) or None
        Buffer target  # OUT (N, OH, OW, OC)
        public Buffer residual  # IN  of the target's shape: is added before; or None
        WinogradKernel packed
        Py_ssize_t SH, SW, C, OH, OW, OC, pad_top, pad_left
        Py_ssize_t tiles_h, tiles_w, tiles, block, blocks    # tiles of an image; of all, of a block, and the blocks
        Py_ssize_t bundle, bundles                           # panels of a task, and into how many they are divided
        Py_ssize_t pixel, v_matrix, m_matrix                 # floats from tile to tile of V, and between matrices
        Py_ssize_t outputs, m, v                             # where they are in the scratch memory
        Py_ssize_t copy                                      # where in the workspace the transformed kernel is
        int activation
        bint in_place    # M takes the place of V: a product has read the tiles that it replaces
        bint shared      # V is made of all tiles before any is used
        bint transforms  # and that is being done
        Norm norm        # whose gradient the target is

    cdef _read(
        self, Buffer source, WinogradKernel packed, Buffer bias, Buffer target, str activation, Buffer y,
        Py_ssize_t pad_top, Py_ssize_t pad_left,
    ):
        self.source, self.packed, self.bias, self.target, self.y = source, packed, bias, target, y
        self.activation = activation_code(activation)
        self.pad_top, self.pad_left = pad_top, pad_left
        N, self.SH, self.SW, self.C = source.shape
        _, self.OH, self.OW, self.OC = target.shape
        self.tiles_h, self.tiles_w = ceil_div(self.OH, OUTPUTS), ceil_div(self.OW, OUTPUTS)
        self.tiles = N * self.tiles_h * self.tiles_w
        self._divide()

    cdef _divide(self):
        """Choose blocks whose V and M fit into BLOCK floats, and smaller ones where that makes too few tasks."""
        cdef Py_ssize_t fit, room, whole, fewest = FEWEST if self.packed.panels > 1 else TILE_ROWS
        check_scratch(POINTS * FEWEST, POINTS, whole_vectors(self.C) + PANEL)
        self.pixel = whole_vectors(self.C)
        fit = NEAR // (MATRICES * max(self.pixel, <Py_ssize_t> VL)) // TILE_ROWS * TILE_ROWS
        self.in_place = fit > 0 and self.packed.panels == 1 and self.packed.width(0) == self.pixel
        if not self.in_place:
            fit = BLOCK // (MATRICES * (self.pixel + PANEL)) // TILE_ROWS * TILE_ROWS
        self.block = max(min(fit, ceil_div(self.tiles, MIN_TASKS), <Py_ssize_t> MOST), fewest)
        if self.packed.large:  # few blocks, and of about the same size
            self.blocks = max(ceil_div(self.tiles, MOST_LARGE), ceil_div(MIN_TASKS, max(self.packed.panels, 1)))
            self.block = max(ceil_div(self.tiles, self.blocks), <Py_ssize_t> 1)
        if self.block > TILE_ROWS:  # a tile of the products that is not full costs as much
            self.block = ceil_div(self.block, TILE_ROWS) * TILE_ROWS
        else:
            self.blocks = max(ceil_div(self.tiles, self.block), <Py_ssize_t> 1)
            self.block = max(ceil_div(self.tiles, self.blocks), <Py_ssize_t> 1)
        self.blocks = ceil_div(self.tiles, self.block)
        self.bundles = min(self.packed.panels, ceil_div(MIN_TASKS, max(self.blocks, 1)))
        if self.packed.large:
            self.bundles = self.packed.panels
        self.bundle = ceil_div(self.packed.panels, max(self.bundles, 1))
        self.bundles = ceil_div(self.packed.panels, max(self.bundle, 1))
        whole = ceil_div(self.block, TILE_ROWS) * TILE_ROWS
        self.v_matrix = self.m_matrix = whole * self.pixel + VL  # not all in one set
        if not self.in_place:
            self.m_matrix = whole * PANEL + VL
        self.outputs = tile_room(self.C)
        self.m = self.outputs + 2 * AREA * VL
        self.v = self.m if self.in_place else self.m + MATRICES * self.m_matrix  # or, of a large kernel, some of U
        self.shared = self.bundles > 1 or self.packed.large
        if self.shared:
            self.workspace = self.blocks * MATRICES * self.v_matrix * sizeof(float)
        room = 0 if self.shared else MATRICES * self.v_matrix
        if self.packed.large:
            room = MATRICES * DEPTH * PANEL + TAPS
        self.scratch = max(self.packed.scratch, <Py_ssize_t> ((self.v + room) * sizeof(float)))

    def repack(self):
        """Keep no transformed kernel, but make it in the workspace in every run: for kernels that change in between."""
        self.packed = WinogradKernel(self.packed.kernel, self.packed.transposed, False)
        self.copy = ceil_div(self.workspace, ALIGNMENT) * ALIGNMENT
        self.workspace = self.copy + self.packed.nbytes

    cdef void run(self) noexcept nogil:
        cdef double work = MULTIPLY_ADD * MATRICES * self.tiles * self.C * self.OC
        self.norm = norm_of(self)
        self.packed.place(self.work + self.copy)
        self.packed.run()
        if self.shared:
            self.transforms = True
            self.split(self.tiles, 2.0 * MATRICES * self.tiles * self.C)
            self.transforms = False
        self.split(self.blocks * self.bundles, work)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            float* room = <float*> scratch
            float* all_v = <float*> self.work
            float* v = room + self.v
            Py_ssize_t block_v = MATRICES * self.v_matrix, block = i // self.bundles, t, tile, place, r
        if self.transforms:
            self.transform(i, room, all_v + i // self.block * block_v + i % self.block * self.pixel)
        elif self.shared:
            self.multiply(block, i % self.bundles, all_v + block * block_v, room)
        else:
            for t in range(min(self.block, self.tiles - i * self.block)):
                tile = i * self.block + t
                place = self.place(tile + AHEAD, self.SH, self.SW, self.C)
                for r in range(OUTPUTS):
                    fetch(<const float*> self.source.data + place + r * self.SW * self.C, OUTPUTS * self.C)
                self.transform(tile, room, v + t * self.pixel)
            self.multiply(i, 0, v, room)

    cdef Py_ssize_t place(
        self, Py_ssize_t tile, Py_ssize_t height, Py_ssize_t width, Py_ssize_t channels,
    ) noexcept nogil:
        """Return where the pixels of a tile begin in images of this size."""
        cdef Py_ssize_t area = self.tiles_h * self.tiles_w, th = tile % area // self.tiles_w, tw = tile % self.tiles_w
        return ((tile // area * height + th * OUTPUTS) * width + tw * OUTPUTS) * channels

    cdef void transform(self, Py_ssize_t tile, float* room, float* v) noexcept nogil:
        """Make V of one tile."""
        cdef Py_ssize_t area = self.tiles_h * self.tiles_w, n = tile // area
        transform_tile(
            <const float*> self.source.data + n * self.SH * self.SW * self.C, self.SH, self.SW, self.C,
            tile % area // self.tiles_w * OUTPUTS - self.pad_top, tile % self.tiles_w * OUTPUTS - self.pad_left,
            room, v, self.v_matrix,
        )

    cdef void multiply(self, Py_ssize_t block, Py_ssize_t bundle, const float* v, float* room) noexcept nogil:
        """Make M of a block for some panels, and the output of it."""
        cdef:
            Py_ssize_t tiles = min(self.block, self.tiles - block * self.block), p, t, width
            float* m = room + self.m
            float bias[2 * PANEL]  # none, and the panel's
        for p in range(bundle * self.bundle, min((bundle + 1) * self.bundle, self.packed.panels)):
            width = self.packed.width(p)
            if self.norm.sums != NULL:
                clear_sums(&self.norm, block, p * PANEL, width)
            memset(bias, 0, sizeof(bias))
            if self.bias is not None:
                copy_tile(
                    <const float*> self.bias.data + p * PANEL, 0, 0, bias + PANEL, 0, 0, 1, 1,
                    min(width, self.OC - p * PANEL))
            if self.packed.large:
                self.multiply_large(tiles, p, v, bias, m, room + self.v)
            else:
                self.product(
                    tiles, width, self.C, v, self.packed.data + p * MATRICES * self.C * PANEL, self.C * width, bias, m)
            for t in range(tiles):
                self.prepare(block * self.block + t + AHEAD, p * PANEL, width)
                self.finish(block, t, p * PANEL, width, m + t * width, room)

    cdef void multiply_large(
        self, Py_ssize_t tiles, Py_ssize_t p, const float* v, const float* bias, float* m, float* u,
    ) noexcept nogil:
        """Make M for one panel, of which a few channels at a time are transformed and used."""
        cdef Py_ssize_t width = self.packed.width(p), d, c, C
        for d in range(ceil_div(self.C, DEPTH)):
            C = min(<Py_ssize_t> DEPTH, self.C - d * DEPTH)
            for c in range(ceil_div(C, CHUNK)):
                self.packed.transform(
                    p, d * DEPTH + c * CHUNK, u + c * CHUNK * width, DEPTH * width, u + MATRICES * DEPTH * PANEL)
            self.product(tiles, width, C, v + d * DEPTH, u, DEPTH * width, bias if d == 0 else NULL, m)

    cdef void product(
        self, Py_ssize_t tiles, Py_ssize_t width, Py_ssize_t C, const float* v, const float* u, Py_ssize_t u_matrix,
        const float* bias, float* m,
    ) noexcept nogil:
        """M = V U for some channels of a panel, at all points; to what M holds already if `bias` is NULL."""
        cdef:
            Py_ssize_t k, start_row = width if bias == NULL else 0
            const float* start
        for k in range(MATRICES):
            if bias == NULL:
                start = m
            else:
                start = &bias[PANEL if k == ONE else 0]
            if width == PANEL:
                product_of(2, tiles, C, v, self.pixel, u, start, start_row, m)
            else:
                product_of(1, tiles, C, v, self.pixel, u, start, start_row, m)
            v += self.v_matrix
            u += u_matrix
            m += self.m_matrix

    cdef void prepare(self, Py_ssize_t tile, Py_ssize_t first, Py_ssize_t width) noexcept nogil:
        """Fetch what the end of a tile reads and writes: it is in memory, in pieces too short to be foreseen."""
        cdef Py_ssize_t start = self.place(tile, self.OH, self.OW, self.OC) + first, place, r, i
        for r in range(OUTPUTS):
            for i in range(OUTPUTS):
                place = start + (r * self.OW + i) * self.OC
                fetch(<const float*> self.target.data + place, width)
                if self.residual is not None:
                    fetch(<const float*> self.residual.data + place, width)
                if self.y is not None:
                    fetch(<const float*> self.y.data + place, width)

    cdef void finish(
        self, Py_ssize_t block, Py_ssize_t t, Py_ssize_t first, Py_ssize_t width, const float* m, float* room,
    ) noexcept nogil:
        """Transform a tile of M back to some channels of the output, and apply the epilogue."""
        cdef:
            Py_ssize_t tile = block * self.block + t, area = self.tiles_h * self.tiles_w, channels = self.OC - first, v
            Py_ssize_t oh = tile % area // self.tiles_w * OUTPUTS, ow = tile % self.tiles_w * OUTPUTS
            Py_ssize_t rows = min(<Py_ssize_t> OUTPUTS, self.OH - oh), columns = min(<Py_ssize_t> OUTPUTS, self.OW - ow)
            Py_ssize_t place = self.place(tile, self.OH, self.OW, self.OC) + first
            Outputs outputs
        outputs.out, outputs.row, outputs.pixel = <float*> self.target.data + place, self.OW * self.OC, self.OC
        outputs.residual = <const float*> self.residual.data + place if self.residual is not None else NULL
        outputs.y = <const float*> self.y.data + place if self.y is not None else NULL
        outputs.activation = self.activation
        outputs.norm, outputs.part, outputs.c = &self.norm if self.norm.sums != NULL else NULL, block, first
        for v in range(width // VL):
            transform_columns(m + v * VL, self.m_matrix, room)
            store_outputs(&outputs, v * VL, channels - v * VL, rows, columns, room, room + self.outputs)


cdef class WinogradForward(WinogradCorrelation):
    """out = act(conv(x, kernel) + bias)."""

    def __init__(
        self,
        Buffer x,       # IN  (N, IH, IW, IC)
        Buffer kernel,  # IN  (3, 3, IC, OC)
        Buffer bias,    # IN  (OC,) or None
        Buffer out,     # OUT (N, OH, OW, OC)
        window, str activation,
    ):
        self._read(x, winograd_kernel(kernel, False), bias, out, activation, None, window.pad_top, window.pad_left)


cdef class WinogradBackwardInput(WinogradCorrelation):
    """dx = the transpose of the convolution applied to dout, times act'(y) of the layer before."""

    def __init__(
        self,
        Buffer dout,    # IN  (N, OH, OW, OC)
        Buffer kernel,  # IN  (3, 3, IC, OC)
        Buffer dx,      # OUT (N, IH, IW, IC)
        window, str activation,
        Buffer y,       # IN  of dx's shape, or None
    ):
        packed = winograd_kernel(kernel, True)
        self._read(dout, packed, None, dx, activation, y, 2 - window.pad_top, 2 - window.pad_left)
        self.parts = self.blocks if self.OC % VL == 0 else 0
