"""How a depthwise convolution slides over a source: the taps of a target's rows and columns, and its tasks."""

from .activations cimport activate, chain_activation, real_t
from .gated_norm cimport Norm
from .geometry cimport geometry_t
from .tiles cimport ceil_div

cdef struct tap_t:
    Py_ssize_t kernel, source  # which tap, and which position it meets; or where the numbers of both are

cdef struct axis_t:
    # The taps of target columns `phase`, `phase` + distance, ... and the source columns that they meet in the first.
    tap_t* taps
    Py_ssize_t count, outputs, step  # taps; columns; source columns from one column to the next
    Py_ssize_t first, stop           # the columns for which all taps meet something

cdef struct sliding_t:
    geometry_t g
    Py_ssize_t M, SH, SW, TH, TW  # extents of the source and of the target
    bint transposed, tiles
    Py_ssize_t chunks, blocks, block  # chunks of channels; blocks of target rows, and rows in each
    Py_ssize_t phases, distance
    axis_t* columns
    Norm norm                         # whose gradient the target is


cdef inline Py_ssize_t list_taps(
    bint transposed, Py_ssize_t target, Py_ssize_t K, Py_ssize_t stride, Py_ssize_t pad, Py_ssize_t dilation,
    tap_t* taps
) noexcept nogil:
    """List the taps of a target position and the source positions that they meet, inside or not; return how many."""
    cdef Py_ssize_t k, count = 0, start
    for k in range(K):
        if transposed:
            start = target + pad - k * dilation
            if start % stride != 0:
                continue
            start //= stride
        else:
            start = target * stride - pad + k * dilation
        taps[count].kernel, taps[count].source = k, start
        count += 1
    return count


cdef inline void find_inside(axis_t* axis, Py_ssize_t size) noexcept nogil:
    """Find the columns for which all taps meet one of `size` source columns."""
    cdef Py_ssize_t k, at
    axis.first, axis.stop = 0, axis.outputs
    for k in range(axis.count):
        at = axis.taps[k].source
        if at < 0:
            axis.first = max(axis.first, ceil_div(-at, axis.step))
        axis.stop = min(axis.stop, ceil_div(size - at, axis.step) if at < size else 0)


cdef inline Py_ssize_t combine_taps(
    const sliding_t* s, const tap_t* rows, Py_ssize_t count, const axis_t* columns, Py_ssize_t j, Py_ssize_t pixel,
    tap_t* taps
) noexcept nogil:
    """List where the kernel and the source of each tap of column j are; return how many meet something."""
    cdef Py_ssize_t r, c, at, found = 0
    for r in range(count):
        if not 0 <= rows[r].source < s.SH:
            continue
        for c in range(columns.count):
            at = columns.taps[c].source + j * columns.step
            if 0 <= at < s.SW:
                taps[found].kernel = (rows[r].kernel * s.g.KW + columns.taps[c].kernel) * s.g.OC
                taps[found].source = (rows[r].source * s.SW + at) * pixel
                found += 1
    return found


cdef inline void finish_row(
    int activation, const real_t* y, real_t* out, Py_ssize_t pixels, Py_ssize_t pixel, Py_ssize_t channels
) noexcept nogil:
    """Apply the epilogue to some channels of a row: the activation, or the derivative where its output y is given."""
    cdef Py_ssize_t i
    if pixel == channels:  # nothing between the pixels: one long loop
        pixels, channels = 1, pixels * channels
    for i in range(pixels):
        if y != NULL:
            chain_activation(activation, y + i * pixel, out + i * pixel, channels)
        else:
            activate(activation, out + i * pixel, channels)
