"""Maximum and average pooling and their gradients, float32 and float64.

    maximum   out[n, oh, ow, c] = max of x[n, ih, iw, c] over the real pixels of window (oh, ow)
    average   out[n, oh, ow, c] = sum of x[n, ih, iw, c] over the real pixels of window (oh, ow) / their number

Window (oh, ow) holds the pixels ih = oh * stride_h - pad_top + kh, iw = ow * stride_w - pad_left + kw for kh < KH,
kw < KW; pooling has no dilation. Of equal maxima the first in row-major order counts, and a NaN counts as larger than
any number. `index` keeps kh * KW + kw of the maximum. A window without a real pixel yields 0 and index 0.

Images are N x IH x IW x C, outputs N x OH x OW x C. Every pass writes its result once and in order, pixel by pixel: a
forward pass gathers the pixels of a window; a backward pass spreads a window over its pixels where windows do not
overlap, and gathers the windows that hold a pixel, in row-major order, where they do.

The innermost loops are over blocks of channels whose size is a constant, so that the compiler makes whole vectors of
them. Where C is no multiple of it, the last block is moved back to end at C; where C is smaller, a block runs on into
the next pixel, which is written later. Only where that would leave the task's rows or an array, exactly C channels are
done.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memset

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport LINEAR, activation_code, chain_activation, real_t
from .geometry cimport cover, geometry_t, patch, patch_t, read_geometry, real_taps

ctypedef fused index_t:
    uint8_t
    int32_t

cdef enum:
    # Channels per block. gcc unrolls loops of up to 16 rounds before it looks for vectors, and then finds none where
    # numbers are selected, as for maxima.
    MAX_LANES = 32
    AVERAGE_LANES = 16
    TASK = 16384  # numbers that a task reads, about

# Each loop exists for every pair of types; a step calls the one for its buffers through a pointer. It computes the
# rows first..stop-1 of all rows of the array that is written, over all images.
ctypedef void (*forward_loop)(
    const geometry_t* g, const void* x, void* out, void* index, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil
ctypedef void (*backward_loop)(
    const geometry_t* g, const void* dout, const void* index, const void* y, void* dx, int activation,
    Py_ssize_t first, Py_ssize_t stop
) noexcept nogil


cdef inline Py_ssize_t _next_block(Py_ssize_t c, Py_ssize_t C, Py_ssize_t lanes) noexcept nogil:
    """Return the first channel of the block after that at `c`; the last ends at C unless C < lanes."""
    return C if c + lanes >= C else min(c + lanes, C - lanes)


# --- forward ---------------------------------------------------------------------------------------


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
        Py_ssize_t row, column, c
        bint better
    for c in range(n):
        best[c] = -INFINITY if p.rows > 0 else 0
        found[c] = position if p.rows > 0 else 0
    for row in range(p.rows):
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
        Py_ssize_t row, column, c
    for c in range(n):
        total[c] = 0
    for row in range(p.rows):
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
                c = _next_block(c, C, lanes)
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


# --- backward --------------------------------------------------------------------------------------


cdef inline void _spread_block(
    const real_t* dout,    # IN (n,)
    const index_t* index,  # IN (n,), as is y; not read for an average
    const real_t* y,       # IN (n,)
    Py_ssize_t position, Py_ssize_t pixels, Py_ssize_t count, Py_ssize_t C,
    real_t* dx,            # OUT: the first of so many pixels
    int activation, bint average, Py_ssize_t n
) noexcept nogil:
    """Give one row of pixels of a window its share of the gradient, for n <= MAX_LANES channels."""
    cdef:
        real_t gradient[MAX_LANES]
        int32_t found[MAX_LANES]
        real_t value, divisor = count
        int32_t here
        Py_ssize_t pixel, c
    for c in range(n):
        gradient[c] = dout[c] / divisor if average else dout[c]
    if not average:
        chain_activation(activation, y, gradient, n)
        for c in range(n):
            found[c] = index[c]
    for pixel in range(pixels):
        here = <int32_t> (position + pixel)
        for c in range(n):
            value = gradient[c]
            if average:
                dx[pixel * C + c] = value
            else:
                dx[pixel * C + c] = value if found[c] == here else 0


cdef inline void _spread_rows(
    const geometry_t* g, const real_t* dout, const index_t* index, const real_t* y, real_t* dx, int activation,
    bint average, Py_ssize_t lanes, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    """Compute rows of pixels, each of which belongs to at most one window."""
    cdef:
        Py_ssize_t r, oh, ow, c, top, kh, kh_first, kh_stop, left, kw, kw_stop, position, count, o, i, done, C = g.IC
        Py_ssize_t out_end = g.N * g.OH * g.OW * C - lanes, dx_end = stop * g.IW * C - lanes
    for r in range(first, stop):
        oh, kh = (r % g.IH + g.pad_top) // g.stride_h, (r % g.IH + g.pad_top) % g.stride_h
        top = oh * g.stride_h - g.pad_top
        real_taps(top, g.IH, g.KH, 1, &kh_first, &kh_stop)
        done = 0  # columns of this row
        for ow in range(g.OW if kh < g.KH and oh < g.OH else 0):
            left = ow * g.stride_w - g.pad_left
            real_taps(left, g.IW, g.KW, 1, &kw, &kw_stop)
            if kw_stop <= kw:
                continue
            i = (r * g.IW + left + kw) * C
            if done < left + kw:
                memset(dx + (r * g.IW + done) * C, 0, (left + kw - done) * C * sizeof(real_t))
            done = left + kw_stop
            o = ((r // g.IH * g.OH + oh) * g.OW + ow) * C
            position = kh * g.KW + kw
            count = (kh_stop - kh_first) * (kw_stop - kw)
            c = 0
            while c < C:
                if o + c <= out_end and i + (kw_stop - kw - 1) * C + c <= dx_end:
                    _spread_block(dout + o + c, index + o + c, y + o + c,
                                  position, kw_stop - kw, count, C, dx + i + c, activation, average, lanes)
                else:
                    _spread_block(dout + o, index + o, y + o,
                                  position, kw_stop - kw, count, C, dx + i, activation, average, C)
                c = _next_block(c, C, lanes)
        memset(dx + (r * g.IW + done) * C, 0, (g.IW - done) * C * sizeof(real_t))


cdef inline void _gather_block(
    const geometry_t* g,
    const real_t* dout,    # IN: the first output of the patch, as are index and y
    const index_t* index,  # IN; not read for an average
    const real_t* y,       # IN; likewise
    patch_t p, Py_ssize_t top, Py_ssize_t left, Py_ssize_t position,
    real_t* dx,            # OUT (n,)
    int activation, bint average, Py_ssize_t n
) noexcept nogil:
    """Sum up the gradient of a pixel from a patch of windows, for n <= MAX_LANES channels.

    The first window begins at (top, left) of the image; the pixel is at `position` in it. All windows whose maximum it
    is have the same y, the pixel itself, so that their gradients are summed first and chained once.
    """
    cdef:
        real_t total[MAX_LANES]
        real_t maximum[MAX_LANES]
        real_t value, old, count
        Py_ssize_t row, column, c, o, kh, kh_stop, kw, kw_stop
        index_t here
    for c in range(n):
        total[c] = maximum[c] = -0.0  # -0 + a = a; a loop of zeros would become a slow string instruction
    for row in range(p.rows):
        if average:
            real_taps(top + row * g.stride_h, g.IH, g.KH, 1, &kh, &kh_stop)
        for column in range(p.columns):
            o = row * p.row + column * g.IC
            if average:
                real_taps(left + column * g.stride_w, g.IW, g.KW, 1, &kw, &kw_stop)
                count = (kh_stop - kh) * (kw_stop - kw)
                for c in range(n):
                    total[c] += dout[o + c] / count
            else:
                here = <index_t> (position - row * g.stride_h * g.KW - column * g.stride_w)
                for c in range(n):
                    value = dout[o + c]
                    total[c] += value if index[o + c] == here else 0
                if activation != LINEAR:
                    for c in range(n):
                        value, old = y[o + c], maximum[c]
                        maximum[c] = value if index[o + c] == here else old
    if not average:
        chain_activation(activation, maximum, total, n)
    for c in range(n):
        dx[c] = total[c]


cdef inline void _gather_rows(
    const geometry_t* g, const real_t* dout, const index_t* index, const real_t* y, real_t* dx, int activation,
    bint average, Py_ssize_t lanes, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    """Compute rows of pixels, each of which may belong to several windows."""
    cdef:
        Py_ssize_t r, ih, iw, c, top, left, oh, oh_stop, ow, ow_stop, position, C = g.IC, i = first * g.IW * C
        Py_ssize_t out_end = g.N * g.OH * g.OW * C - lanes, dx_end = stop * g.IW * C - lanes, o
        patch_t p
    for r in range(first, stop):
        ih = r % g.IH
        oh = oh_stop = ow = ow_stop = 0
        cover(ih + g.pad_top, g.KH, g.stride_h, g.OH, &oh, &oh_stop)
        top = oh * g.stride_h - g.pad_top
        for iw in range(g.IW):
            cover(iw + g.pad_left, g.KW, g.stride_w, g.OW, &ow, &ow_stop)
            left = ow * g.stride_w - g.pad_left
            p = patch(r // g.IH, g.OH, g.OW, C, oh, oh_stop, ow, ow_stop)
            position = (ih - top) * g.KW + iw - left
            c, o = 0, p.start
            while c < C:
                if p.last + c <= out_end and i + c <= dx_end:
                    _gather_block(g, dout + o + c, index + o + c, y + o + c,
                                  p, top, left, position, dx + i + c, activation, average, lanes)
                else:
                    _gather_block(g, dout + o, index + o, y + o,
                                  p, top, left, position, dx + i, activation, average, C)
                c = _next_block(c, C, lanes)
            i += C


cdef void _max_backward(
    const geometry_t* g, const real_t* dout, const index_t* index, const real_t* y, real_t* dx, int activation,
    Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    if g.stride_h >= g.KH and g.stride_w >= g.KW:
        _spread_rows(g, dout, index, y, dx, activation, False, MAX_LANES, first, stop)
    else:
        _gather_rows(g, dout, index, y, dx, activation, False, MAX_LANES, first, stop)


cdef void _average_backward(
    const geometry_t* g, const real_t* dout, const uint8_t* index, const real_t* y, real_t* dx, int activation,
    Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    cdef Py_ssize_t row = g.IW * g.IC
    if g.stride_h >= g.KH and g.stride_w >= g.KW:
        _spread_rows(g, dout, <const uint8_t*> dout, dout, dx, activation, True, AVERAGE_LANES, first, stop)
    else:
        _gather_rows(g, dout, <const uint8_t*> dout, dout, dx, activation, True, AVERAGE_LANES, first, stop)
    chain_activation(activation, y + first * row, dx + first * row, (stop - first) * row)


# --- steps -----------------------------------------------------------------------------------------


cdef class Pooling(Step):
    """What the steps below have in common: the division into tasks of some rows of the array that is written."""

    cdef:
        Buffer index  # uint8, or int32 for windows of more than 256 pixels: of out's shape; or None
        geometry_t g
        Py_ssize_t rows, rows_per_task
        double cost

    cdef _divide(self, Buffer x, Buffer out, window, Py_ssize_t rows):
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


cdef class PoolingBackward(Pooling):
    """What a backward step reads and writes, and the loop that does it."""

    cdef:
        Buffer dout  # IN (N, OH, OW, C)
        Buffer dx    # OUT (N, IH, IW, C)
        Buffer y     # IN: the output of the activation whose derivative is applied
        int activation
        backward_loop loop

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t first = i * self.rows_per_task, stop = min(first + self.rows_per_task, self.rows)
        self.loop(
            &self.g, self.dout.data, self.index_data(), self.y.data, self.dx.data, self.activation, first, stop
        )


cdef class MaxPool2DForward(PoolingForward):
    """out = the maximum of each window, index = where in the window it is, unless that is None."""

    def __init__(self, Buffer x, Buffer out, Buffer index, window):
        self.x, self.out, self.index = x, out, index
        self._divide(x, out, window, x.shape[0] * out.shape[1])
        narrow = index is not None and index.dtype == "uint8"
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
        self._divide(x, out, window, x.shape[0] * out.shape[1])
        if x.dtype == "float32":
            self.loop = <forward_loop> _average_forward[float]
        else:
            self.loop = <forward_loop> _average_forward[double]


cdef class MaxPool2DBackward(PoolingBackward):
    """dx = dout at the maximum of each window, times act' there, and 0 elsewhere; y has dout's shape."""

    def __init__(self, Buffer dout, Buffer index, Buffer dx, window, str activation, Buffer y):
        self.dout, self.index, self.dx, self.y = dout, index, dx, dout if y is None else y
        self.activation = activation_code(activation)
        self._divide(dx, dout, window, dx.shape[0] * dx.shape[1])
        narrow = index.dtype == "uint8"
        if dx.dtype == "float32" and narrow:
            self.loop = <backward_loop> _max_backward[float, uint8_t]
        elif dx.dtype == "float32":
            self.loop = <backward_loop> _max_backward[float, int32_t]
        elif narrow:
            self.loop = <backward_loop> _max_backward[double, uint8_t]
        else:
            self.loop = <backward_loop> _max_backward[double, int32_t]


cdef class AveragePool2DBackward(PoolingBackward):
    """dx = the sum over the windows that hold a pixel of dout / number of real pixels, times act'; y has dx's shape."""

    def __init__(self, Buffer dout, Buffer dx, window, str activation, Buffer y):
        self.dout, self.dx, self.y = dout, dx, dx if y is None else y
        self.activation = activation_code(activation)
        self._divide(dx, dout, window, dx.shape[0] * dx.shape[1])
        if dx.dtype == "float32":
            self.loop = <backward_loop> _average_backward[float]
        else:
            self.loop = <backward_loop> _average_backward[double]
