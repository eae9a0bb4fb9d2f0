"""Maximum and average pooling, float32 and float64; `pool2d_backward` has the gradients.

    maximum   out[n, oh, ow, c] = max of x[n, ih, iw, c] over the real pixels of window (oh, ow)
    average   out[n, oh, ow, c] = sum of x[n, ih, iw, c] over the real pixels of window (oh, ow) / their number

Window (oh, ow) holds the pixels ih = oh * stride_h - pad_top + kh, iw = ow * stride_w - pad_left + kw for kh < KH,
kw < KW; pooling has no dilation. Of equal maxima the first in row-major order counts, and a NaN counts as larger than
any number. `index` keeps kh * KW + kw of the maximum. A window without a real pixel yields 0 and index 0.

Images are N x IH x IW x C, outputs N x OH x OW x C. The result is written once and in order: the pixels of each window
are gathered.

Maxima of float32 with one-byte indices are whole vectors of channels in registers, each with its index. The other
innermost loops are over blocks of channels whose size is a constant, so that the compiler makes whole vectors of
them. Where C is no multiple of it, the last block is moved back to end at C; where C is smaller, a block runs on into
the next pixel, which is written later. Only where that would leave the task's rows or an array, exactly C channels are
done.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_t
from .geometry cimport geometry_t, patch, patch_t, read_geometry, real_taps
from .select cimport (
    load_lanes, store_lanes, vf_any_nan, vf_larger, vi, vi_set1, vi_store_bytes, vi_store_first_bytes, vi_where_equal,
)
from .simd cimport VL, vf, vf_add, vf_zero

cdef enum:
    TASK = 16384  # numbers that a task reads, about

# Each loop exists for every pair of types; a step calls the one for its buffers through a pointer. It computes the
# rows first..stop-1 of all rows of the array that is written, over all images.
ctypedef void (*forward_loop)(
    const geometry_t* g, const void* x, void* out, void* index, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil


cdef inline void _max_block(
    const real_t* x,  # IN: the first pixel of the patch
    patch_t p, Py_ssize_t C, int32_t position, int32_t KW,
    real_t* out,      # OUT (n,)
    index_t* index,   # OUT (n,), written where `keep`
    bint keep, Py_ssize_t n
) noexcept nogil:
    """Take the maxima of a patch whose first pixel is at `position` in the window, for n <= MAX_LANES channels."""
    cdef:
        real_t best[MAX_LANES]
        int32_t found[MAX_LANES]
        real_t value, old
        int32_t here, old_position
        Py_ssize_t column, c
        bint better
    for c in range(n):
        best[c] = -INFINITY if p.rows > 0 else 0
        found[c] = position if p.rows > 0 else 0
    for _ in range(p.rows):
        for column in range(p.columns):
            here = position + <int32_t> column
            for c in range(n):
                value, old = x[column * C + c], best[c]
                better = (not (value <= old)) & (old == old)  # a NaN is taken, and kept
                best[c] = value if better else old
                if keep:
                    old_position = found[c]
                    found[c] = here if better else old_position
        x += p.row
        position += KW
    for c in range(n):
        out[c] = best[c]
    if keep:
        for c in range(n):
            index[c] = <index_t> found[c]


cdef inline bint _max_vector(
    const float* x,  # IN: the first pixel of the patch
    const patch_t* p, Py_ssize_t C, int position, Py_ssize_t KW,
    float* out,      # OUT (VL,) or (C,)
    uint8_t* index,  # OUT likewise, or NULL
    const bint few
) noexcept nogil:
    """Take the maxima of a vector of channels, or do nothing and return False: where there may be a NaN.

    First the maxima, then the first pixel that is equal: so no comparison waits for another.
    """
    cdef:
        vf best = load_lanes(x, few, C), total = vf_zero(), value
        vi found = vi_set1(position)
        Py_ssize_t row, column
    for row in range(p.rows):
        for column in range(p.columns):
            value = load_lanes(x + row * p.row + column * C, few, C)
            best = vf_larger(value, best)
            total = vf_add(total, value)
    if vf_any_nan(total):  # also +inf - inf
        return False
    store_lanes(out, best, few, C)
    if index != NULL:
        for row in range(p.rows - 1, -1, -1):
            for column in range(p.columns - 1, -1, -1):
                value = load_lanes(x + row * p.row + column * C, few, C)
                found = vi_where_equal(value, best, vi_set1(<int> (position + row * KW + column)), found)
        if few:
            vi_store_first_bytes(index, found, C)
        else:
            vi_store_bytes(index, found)
    return True


cdef inline void _max_vectors(
    const float* x, const patch_t* p, Py_ssize_t C, int32_t position, int32_t KW, float* out, uint8_t* index, bint keep
) noexcept nogil:
    """Take the maxima of a patch, for all C channels."""
    cdef Py_ssize_t c = 0
    cdef bint done
    while c < C:
        if C < VL:
            done = p.rows > 0 and _max_vector(x, p, C, position, KW, out, index if keep else NULL, True)
        else:
            done = p.rows > 0 and _max_vector(x + c, p, C, position, KW, out + c, index + c if keep else NULL, False)
        if not done:
            _max_block(x + c, p[0], C, position, KW, out + c, index + c, keep, min(C, <Py_ssize_t> VL))
        c = next_block(c, C, VL)


cdef inline void _average_block(
    const real_t* x,  # IN: the first pixel of the patch
    patch_t p, Py_ssize_t C,
    real_t* out,      # OUT (n,)
    Py_ssize_t n
) noexcept nogil:
    """Average a patch, for n <= AVERAGE_LANES channels."""
    cdef:
        real_t total[AVERAGE_LANES]
        real_t count = max(1, p.rows * p.columns)
        Py_ssize_t column, c
    for c in range(n):
        total[c] = 0
    for _ in range(p.rows):
        for column in range(p.columns):
            for c in range(n):
                total[c] += x[column * C + c]
        x += p.row
    for c in range(n):
        out[c] = total[c] / count


cdef inline void _forward_rows(
    const geometry_t* g, const real_t* x, real_t* out, index_t* index, bint average, bint keep, Py_ssize_t lanes,
    Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    cdef:
        Py_ssize_t r, oh, ow, c, top, left, kh, kh_stop, kw, kw_stop, n, C = g.IC, o = first * g.OW * C
        Py_ssize_t x_end = g.N * g.IH * g.IW * C - lanes, out_end = stop * g.OW * C - lanes
        int32_t position, KW = <int32_t> g.KW
        patch_t p
    for r in range(first, stop):
        n, oh = r // g.OH, r % g.OH
        top = oh * g.stride_h - g.pad_top
        real_taps(top, g.IH, g.KH, 1, &kh, &kh_stop)
        for ow in range(g.OW):
            left = ow * g.stride_w - g.pad_left
            real_taps(left, g.IW, g.KW, 1, &kw, &kw_stop)
            p = patch(n, g.IH, g.IW, C, top + kh, top + kh_stop, left + kw, left + kw_stop)
            position = <int32_t> (kh * g.KW + kw)
            c = 0
            if real_t is float and index_t is uint8_t:
                if not average:
                    _max_vectors(x + p.start, &p, C, position, KW, out + o, index + o, keep)
                    c = C
            while c < C:
                if p.last + c <= x_end and o + c <= out_end:
                    if average:
                        _average_block(x + p.start + c, p, C, out + o + c, lanes)
                    else:
                        _max_block(x + p.start + c, p, C, position, KW, out + o + c, index + o + c, keep, lanes)
                elif average:
                    _average_block(x + p.start, p, C, out + o, C)
                else:
                    _max_block(x + p.start, p, C, position, KW, out + o, index + o, keep, C)
                c = next_block(c, C, lanes)
            o += C


cdef void _max_forward(
    const geometry_t* g, const real_t* x, real_t* out, index_t* index, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    if index == NULL:
        _forward_rows(g, x, out, <index_t*> out, False, False, MAX_LANES, first, stop)
    else:
        _forward_rows(g, x, out, index, False, True, MAX_LANES, first, stop)


cdef void _average_forward(
    const geometry_t* g, const real_t* x, real_t* out, uint8_t* index, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    _forward_rows(g, x, out, <uint8_t*> out, True, False, AVERAGE_LANES, first, stop)


# --- steps -----------------------------------------------------------------------------------------


cdef class Pooling(Step):
    """What the steps have in common: the division into tasks of some rows of the array that is written."""

    cdef divide(self, Buffer x, Buffer out, window, Py_ssize_t rows):
        read_geometry(&self.g, x.shape, out.shape, window)
        self.rows = rows
        self.cost = x.size + 1.0 * out.size * self.g.KH * self.g.KW
        self.rows_per_task = max(1, <Py_ssize_t> (TASK * rows / max(1.0, self.cost)))

    cdef void run(self) noexcept nogil:
        self.split((self.rows + self.rows_per_task - 1) // self.rows_per_task, self.cost)

    cdef void* index_data(self) noexcept nogil:
        return NULL if self.index is None else self.index.data


cdef class PoolingForward(Pooling):
    """What a forward step reads and writes, and the loop that does it."""

    cdef:
        Buffer x    # IN (N, IH, IW, C)
        Buffer out  # OUT (N, OH, OW, C)
        forward_loop loop

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t first = i * self.rows_per_task, stop = min(first + self.rows_per_task, self.rows)
        self.loop(&self.g, self.x.data, self.out.data, self.index_data(), first, stop)


cdef class MaxPool2DForward(PoolingForward):
    """out = the maximum of each window, index = where in the window it is, unless that is None."""

    def __init__(self, Buffer x, Buffer out, Buffer index, window):
        self.x, self.out, self.index = x, out, index
        self.divide(x, out, window, x.shape[0] * out.shape[1])
        narrow = index is None or index.dtype == "uint8"
        if x.dtype == "float32" and narrow:
            self.loop = <forward_loop> _max_forward[float, uint8_t]
        elif x.dtype == "float32":
            self.loop = <forward_loop> _max_forward[float, int32_t]
        elif narrow:
            self.loop = <forward_loop> _max_forward[double, uint8_t]
        else:
            self.loop = <forward_loop> _max_forward[double, int32_t]


cdef class AveragePool2DForward(PoolingForward):
    """out = the average of the real pixels of each window."""

    def __init__(self, Buffer x, Buffer out, window):
        self.x, self.out = x, out
        self.divide(x, out, window, x.shape[0] * out.shape[1])
        if x.dtype == "float32":
            self.loop = <forward_loop> _average_forward[float]
        else:
            self.loop = <forward_loop> _average_forward[double]
