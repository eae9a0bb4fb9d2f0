"""How a convolution is divided: the phases of its output, blocks whose patches stay in the cache, and runs of taps."""

from cycnn._native.runtime cimport MULTIPLY_ADD
from .correlation cimport PANEL
from .gated_norm cimport Norm
from .simd cimport TILE_ROWS, VL
from .tiles cimport ceil_div, check_scratch

cdef enum:
    PATCH = 49152        # floats of a block's patch: 192 KiB, to stay in the second-level cache
    TILES = 3            # side by side in a block at least, however many channels: they share the panels that are read
    MIN_TASKS = 16       # divide small problems at least into so many tasks
    SHORT = 16           # runs shorter than this are not worth a loop of their own
    LARGE = 131072       # floats of a kernel that does not stay in the second-level cache beside all else
    SPAN = 128           # pixels that are finished at once, about: they are in the first-level cache
    NEAR = 1 << 20       # floats of an output that stays in the last cache
    FEW_SETS = 256       # pixels a multiple of so many floats apart share few sets of the first-level cache
    CONFLICT = 1024      # tile rows a multiple of so many floats apart share a set of the first-level cache


cdef struct Phase:
    # Pixels of the output as far apart as the strides of a gradient say, and the taps that reach them.
    Py_ssize_t OH, OW, KH, KW, dilation_h, dilation_w, pad_top, pad_left, out_start
    Py_ssize_t run_columns, run_channels, length  # contiguous runs of a kernel row's values, and their length
    bint slides                                   # windows of neighbouring pixels overlap in whole columns
    bint fetches                                  # the next panel of the kernel while one is used
    void* packed                                  # the PackedKernel, kept alive by the step
    Py_ssize_t copy                               # where in the workspace it is, if it has no memory of its own

cdef struct Correlation:
    Py_ssize_t N, SH, SW, C, OH, OW, OC           # the output's extents in each phase, at most
    Py_ssize_t stride_h, stride_w, groups
    Py_ssize_t out_image, out_row, out_pixel      # distances in the output
    Py_ssize_t ahead                              # from a block to the next, where each is one piece of memory, or 0
    Py_ssize_t pad_top, pad_left, span_h, span_w  # of a window that holds those of all phases
    Py_ssize_t block_h, block_w, blocks_h, blocks_w, panels, bundle, bundles, tasks  # its division into tasks
    Py_ssize_t span                               # pixels that are finished at once
    Py_ssize_t pixel, patch, runs                 # floats from pixel to pixel of a patch, and in all; all phases' runs
    Py_ssize_t count
    Phase* phases
    Norm norm                                     # whose gradient the output is


cdef inline void join_images(Correlation* c) noexcept nogil:
    """Take the pixels of all images for one row, where every window is the pixel itself."""
    cdef Phase* phase = c.phases
    if (
        c.count == phase.KH == phase.KW == c.stride_h == c.stride_w == 1 and c.pad_top == c.pad_left == 0
        and c.OH == c.SH and c.OW == c.SW and c.out_row == c.OW * c.out_pixel and c.out_image == c.OH * c.out_row
    ):
        c.SW = c.OW = phase.OW = c.N * c.OH * c.OW
        c.N = c.SH = c.OH = phase.OH = 1
        c.out_image = c.out_row = c.OW * c.out_pixel


cdef inline void find_window(Correlation* c) noexcept nogil:
    """Find the extents of the outputs and of the windows of all phases."""
    cdef:
        Py_ssize_t p
        Phase* phase
        bint found = False
    c.pad_top = c.pad_left = c.OH = c.OW = 0
    c.span_h = c.span_w = 1
    for p in range(c.count):
        phase = &c.phases[p]
        c.OH, c.OW = max(c.OH, phase.OH), max(c.OW, phase.OW)
        if phase.KH > 0 and phase.KW > 0:
            c.pad_top = max(c.pad_top, phase.pad_top) if found else phase.pad_top
            c.pad_left = max(c.pad_left, phase.pad_left) if found else phase.pad_left
            found = True
    for p in range(c.count):
        phase = &c.phases[p]
        if phase.KH > 0 and phase.KW > 0:
            c.span_h = max(c.span_h, c.pad_top - phase.pad_top + (phase.KH - 1) * phase.dilation_h + 1)
            c.span_w = max(c.span_w, c.pad_left - phase.pad_left + (phase.KW - 1) * phase.dilation_w + 1)


cdef inline void find_runs(Correlation* c, Phase* phase) noexcept nogil:
    """Choose the contiguous runs in which the taps of a phase are read, and count them in."""
    if phase.KW * c.C < SHORT:
        phase.run_columns, phase.run_channels, phase.length = phase.KW, c.C, 1
    elif phase.dilation_w == 1 and c.pixel == c.C:  # in the patch; or in x, where there is one group
        phase.run_columns, phase.run_channels, phase.length = 1, 1, phase.KW * c.C
    else:
        phase.run_columns, phase.run_channels, phase.length = phase.KW, 1, c.C
    phase.slides = c.stride_w == phase.dilation_w == 1 and (phase.KW == 3 or phase.KW == 5)
    phase.fetches = phase.KH * phase.KW * c.C * PANEL <= LARGE // 4 and phase.KH * phase.KW * c.C * c.OC >= LARGE
    c.runs += phase.KH * phase.run_columns * phase.run_channels


cdef inline bint reaches_all(const Correlation* c) noexcept nogil:
    """Return whether some tap reaches each pixel of the output."""
    cdef Py_ssize_t p
    for p in range(c.count):
        if c.phases[p].KH == 0 or c.phases[p].KW == 0:
            return False
    return True


cdef inline int divide(Correlation* c) except -1:
    """Divide the output into blocks whose patches fit into PATCH floats, and few blocks also by panels."""
    cdef Py_ssize_t pixel = c.C + VL if c.C % CONFLICT == 0 else c.C, fit, most, p
    find_window(c)
    join_images(c)
    c.pixel = pixel
    c.panels = ceil_div(c.OC, PANEL)
    check_scratch(<double> c.OH * c.stride_h + c.span_h, <double> c.OW * c.stride_w + c.span_w, pixel + 1)
    fit = (PATCH // (c.span_h * pixel) - c.span_w) // c.stride_w + 1
    most = ceil_div(c.OW, ceil_div(MIN_TASKS, max(c.N * c.OH * c.groups * c.panels, 1)))
    c.block_w = max(min(max(fit // TILE_ROWS, <Py_ssize_t> TILES), ceil_div(most, TILE_ROWS)), 1) * TILE_ROWS
    c.blocks_w = ceil_div(c.OW, c.block_w)
    c.block_w = min(c.OW, ceil_div(ceil_div(c.OW, max(c.blocks_w, 1)), TILE_ROWS) * TILE_ROWS)
    fit = (PATCH // (((c.block_w - 1) * c.stride_w + c.span_w) * pixel) - c.span_h) // c.stride_h + 1
    most = ceil_div(c.N * c.OH * c.blocks_w, MIN_TASKS)  # rows per block where all rows make MIN_TASKS blocks
    c.blocks_h = ceil_div(c.OH, max(min(c.OH, fit, most), 1))
    c.block_h = ceil_div(c.OH, c.blocks_h)
    c.patch = ((c.block_h - 1) * c.stride_h + c.span_h) * ((c.block_w - 1) * c.stride_w + c.span_w) * pixel
    c.patch = ceil_div(c.patch, 2) * 2  # the starts of the runs follow, and need the alignment of a double
    for p in range(c.count):
        find_runs(c, &c.phases[p])
    c.bundles = min(c.panels, ceil_div(MIN_TASKS, max(c.N * c.blocks_h * c.blocks_w * c.groups, 1)))
    c.bundle = ceil_div(c.panels, c.bundles)
    c.bundles = ceil_div(c.panels, c.bundle)
    c.tasks = c.N * c.blocks_h * c.blocks_w * c.groups * c.bundles
    c.span = max(c.block_w, 1)
    if c.N * c.out_image <= NEAR:
        c.span = TILE_ROWS if c.out_pixel % FEW_SETS == 0 else SPAN
    if c.groups == c.bundles == 1 and reaches_all(c):
        if c.blocks_w == 1:
            c.ahead = c.block_h * c.out_row
        elif c.OH == c.count == 1:
            c.ahead = c.block_w * c.out_pixel
    return 0


cdef inline double cost(const Correlation* c) noexcept nogil:
    cdef Py_ssize_t p
    cdef double work = 0
    for p in range(c.count):
        work += c.phases[p].OH * c.phases[p].OW * max(c.phases[p].KH * c.phases[p].KW * c.C, 1)
    return MULTIPLY_ADD * work * c.N * c.groups * c.OC
