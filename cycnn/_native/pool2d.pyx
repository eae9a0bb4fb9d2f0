"""Maximum and average pooling and their gradients, float32 and float64.

    maximum   out[n, oh, ow, c] = max of x[n, ih, iw, c] over the real pixels of window (oh, ow)
    average   out[n, oh, ow, c] = sum of x[n, ih, iw, c] over the real pixels of window (oh, ow) / their number

Window (oh, ow) holds the pixels ih = oh * stride_h - pad_top + kh, iw = ow * stride_w - pad_left + kw for kh < KH,
kw < KW; pooling has no dilation. Of equal maxima the first in row-major order counts, and a NaN counts as larger than
any number. `index` keeps kh * KW + kw of the maximum. A window without a real pixel yields 0 and index 0.

Images are N x IH x IW x C, outputs N x OH x OW x C. Every pass computes what it stores in one go: a forward pass
gathers the pixels of an output, a backward pass the outputs whose windows hold a pixel, in row-major order. So each
number is written once, nothing is cleared beforehand, and overlapping windows need no special case.

All loops are over blocks of LANES channels, a constant that the compiler turns into whole vectors. With C >= LANES
the last block is moved back to end at C. With fewer channels a block runs on into the next pixel, which is computed
later and overwrites it; only where that would leave the task's rows or an array are exactly C channels done.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport activation_code, chain_activation, real_t
from .geometry cimport geometry_t, read_geometry, real_taps

ctypedef fused index_t:
    uint8_t
    int32_t

cdef enum:
    LANES = 32
    TASK = 16384  # numbers that a task reads, about

# Each loop exists for every pair of types; a step calls the one for its buffers through a pointer.
ctypedef void (*max_forward_loop)(
    const geometry_t* g, const void* x, void* out, void* index, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil
ctypedef void (*max_backward_loop)(
    const geometry_t* g, const void* dout, const void* index, const void* y, void* dx, int activation,
    Py_ssize_t first, Py_ssize_t stop
) noexcept nogil
ctypedef void (*average_forward_loop)(
    const geometry_t* g, const void* x, void* out, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil
ctypedef void (*average_backward_loop)(
    const geometry_t* g, const void* dout, const void* y, void* dx, int activation, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil


cdef struct patch_t:
    # The real pixels of a window, or the windows that hold a pixel: a rectangle of an image of C channels.
    Py_ssize_t start, last    # its first and last pixel: elements from the start of the array
    Py_ssize_t row            # elements from one row to the next
    Py_ssize_t rows, columns  # both zero where it is empty


cdef inline patch_t _patch(
    Py_ssize_t n, Py_ssize_t H, Py_ssize_t W, Py_ssize_t C,
    Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right
) noexcept nogil:
    """Return rows top..bottom-1 and columns left..right-1 of image n of an N x H x W x C array."""
    cdef patch_t p
    p.start = p.last = p.row = p.rows = p.columns = 0
    if top < bottom and left < right:
        p.row = W * C
        p.rows, p.columns = bottom - top, right - left
        p.start = (n * H + top) * p.row + left * C
        p.last = p.start + (p.rows - 1) * p.row + (p.columns - 1) * C
    return p


cdef inline patch_t _pixels(
    const geometry_t* g, Py_ssize_t n, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t* position
) noexcept nogil:
    """Return the real pixels of window (oh, ow); `position` tells where in the window the first is."""
    cdef Py_ssize_t kh, kh_stop, kw, kw_stop
    cdef Py_ssize_t top = oh * g.stride_h - g.pad_top, left = ow * g.stride_w - g.pad_left
    real_taps(top, g.IH, g.KH, 1, &kh, &kh_stop)
    real_taps(left, g.IW, g.KW, 1, &kw, &kw_stop)
    position[0] = kh * g.KW + kw
    return _patch(n, g.IH, g.IW, g.IC, top + kh, top + kh_stop, left + kw, left + kw_stop)


cdef inline void _cover(
    Py_ssize_t pixel, Py_ssize_t K, Py_ssize_t stride, Py_ssize_t O, Py_ssize_t* first, Py_ssize_t* stop
) noexcept nogil:
    """Move `first` and `stop` on to the windows that hold the padded `pixel`, no smaller than the one before."""
    while first[0] < O and first[0] * stride + K <= pixel:
        first[0] += 1
    while stop[0] < O and stop[0] * stride <= pixel:
        stop[0] += 1


cdef inline Py_ssize_t _next_block(Py_ssize_t c, Py_ssize_t C) noexcept nogil:
    """Return the first channel of the block after that at `c`; the last ends at C unless C < LANES."""
    return C if c + LANES >= C else min(c + LANES, C - LANES)


# --- maximum ---------------------------------------------------------------------------------------


cdef inline void _max_block(
    const real_t* x,  # IN: the first pixel of the patch
    patch_t p, Py_ssize_t C, int32_t position, int32_t KW,
    real_t* out,      # OUT (n,)
    index_t* index,   # OUT (n,)
    bint keep, Py_ssize_t n
) noexcept nogil:
    """Take the maxima of a patch whose first pixel is at `position` in the window, for n <= LANES channels."""
    cdef:
        real_t best[LANES]
        int32_t found[LANES]
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


cdef inline void _max_rows(
    const geometry_t* g, const real_t* x, real_t* out, index_t* index, bint keep, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    cdef:
        Py_ssize_t r, n, oh, ow, c, position = 0, o = first * g.OW * g.IC
        Py_ssize_t x_end = g.N * g.IH * g.IW * g.IC - LANES, out_end = stop * g.OW * g.IC - LANES
        int32_t KW = <int32_t> g.KW
        patch_t p
    for r in range(first, stop):
        n, oh = r // g.OH, r % g.OH
        for ow in range(g.OW):
            p = _pixels(g, n, oh, ow, &position)
            c = 0
            while c < g.IC:
                if p.last + c <= x_end and o + c <= out_end:
                    _max_block(x + p.start + c, p, g.IC, <int32_t> position, KW, out + o + c,
                               index + o + c if keep else NULL, keep, LANES)
                else:
                    _max_block(x + p.start, p, g.IC, <int32_t> position, KW, out + o,
                               index + o if keep else NULL, keep, g.IC)
                c = _next_block(c, g.IC)
            o += g.IC


cdef void _max_forward(
    const geometry_t* g, const real_t* x, real_t* out, index_t* index, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    """Compute the rows first..stop-1 of all N * OH rows of outputs."""
    if index == NULL:
        _max_rows(g, x, out, index, False, first, stop)
    else:
        _max_rows(g, x, out, index, True, first, stop)


cdef inline void _max_gradient_block(
    const geometry_t* g,
    const real_t* dout,    # IN: the first output of the patch, as are index and y
    const index_t* index,  # IN
    const real_t* y,       # IN
    patch_t p, Py_ssize_t position,
    real_t* dx,            # OUT (n,)
    int activation, Py_ssize_t n
) noexcept nogil:
    """Gather the gradient of a pixel, at `position` in the first window of a patch, for n <= LANES channels."""
    cdef:
        real_t total[LANES]
        real_t gradient[LANES]
        real_t value
        Py_ssize_t row, column, c, o
        index_t here
    for c in range(n):
        total[c] = 0
    for row in range(p.rows):
        for column in range(p.columns):
            o = row * p.row + column * g.IC
            here = <index_t> (position - row * g.stride_h * g.KW - column * g.stride_w)
            for c in range(n):
                gradient[c] = dout[o + c]
            chain_activation(activation, y + o, gradient, n)
            for c in range(n):
                value = gradient[c]
                total[c] += value if index[o + c] == here else 0
    for c in range(n):
        dx[c] = total[c]


cdef void _max_backward(
    const geometry_t* g, const real_t* dout, const index_t* index, const real_t* y, real_t* dx, int activation,
    Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    """Compute the rows first..stop-1 of all N * IH rows of pixels."""
    cdef:
        Py_ssize_t r, ih, iw, c, o, oh, oh_stop, ow, ow_stop, position, i = first * g.IW * g.IC
        Py_ssize_t out_end = g.N * g.OH * g.OW * g.IC - LANES, dx_end = stop * g.IW * g.IC - LANES
        patch_t p
    for r in range(first, stop):
        ih = r % g.IH + g.pad_top
        oh = oh_stop = ow = ow_stop = 0
        _cover(ih, g.KH, g.stride_h, g.OH, &oh, &oh_stop)
        for iw in range(g.pad_left, g.pad_left + g.IW):
            _cover(iw, g.KW, g.stride_w, g.OW, &ow, &ow_stop)
            p = _patch(r // g.IH, g.OH, g.OW, g.IC, oh, oh_stop, ow, ow_stop)
            position = (ih - oh * g.stride_h) * g.KW + iw - ow * g.stride_w
            c, o = 0, p.start
            while c < g.IC:
                if p.last + c <= out_end and i + c <= dx_end:
                    _max_gradient_block(g, dout + o + c, index + o + c, y + o + c, p, position, dx + i + c,
                                        activation, LANES)
                else:
                    _max_gradient_block(g, dout + o, index + o, y + o, p, position, dx + i, activation, g.IC)
                c = _next_block(c, g.IC)
            i += g.IC


# --- average ---------------------------------------------------------------------------------------


cdef inline void _average_block(
    const real_t* x,  # IN: the first pixel of the patch
    patch_t p, Py_ssize_t C,
    real_t* out,      # OUT (n,)
    Py_ssize_t n
) noexcept nogil:
    """Average a patch, for n <= LANES channels."""
    cdef:
        real_t total[LANES]
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


cdef void _average_forward(
    const geometry_t* g, const real_t* x, real_t* out, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    """Compute the rows first..stop-1 of all N * OH rows of outputs."""
    cdef:
        Py_ssize_t r, n, oh, ow, c, position = 0, o = first * g.OW * g.IC
        Py_ssize_t x_end = g.N * g.IH * g.IW * g.IC - LANES, out_end = stop * g.OW * g.IC - LANES
        patch_t p
    for r in range(first, stop):
        n, oh = r // g.OH, r % g.OH
        for ow in range(g.OW):
            p = _pixels(g, n, oh, ow, &position)
            c = 0
            while c < g.IC:
                if p.last + c <= x_end and o + c <= out_end:
                    _average_block(x + p.start + c, p, g.IC, out + o + c, LANES)
                else:
                    _average_block(x + p.start, p, g.IC, out + o, g.IC)
                c = _next_block(c, g.IC)
            o += g.IC


cdef inline void _average_gradient_block(
    const geometry_t* g,
    const real_t* dout,  # IN: the first output of the patch
    const real_t* y,     # IN (n,)
    patch_t p, Py_ssize_t top, Py_ssize_t left,
    real_t* dx,          # OUT (n,)
    int activation, Py_ssize_t n
) noexcept nogil:
    """Gather the gradient of a pixel from windows of which the first begins at (top, left), for n <= LANES channels."""
    cdef:
        real_t total[LANES]
        real_t count
        Py_ssize_t row, column, c, kh, kh_stop, kw, kw_stop
    for c in range(n):
        total[c] = 0
    for row in range(p.rows):
        real_taps(top + row * g.stride_h, g.IH, g.KH, 1, &kh, &kh_stop)
        for column in range(p.columns):
            real_taps(left + column * g.stride_w, g.IW, g.KW, 1, &kw, &kw_stop)
            count = (kh_stop - kh) * (kw_stop - kw)
            for c in range(n):
                total[c] += dout[column * g.IC + c] / count
        dout += p.row
    chain_activation(activation, y, total, n)
    for c in range(n):
        dx[c] = total[c]


cdef void _average_backward(
    const geometry_t* g, const real_t* dout, const real_t* y, real_t* dx, int activation,
    Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    """Compute the rows first..stop-1 of all N * IH rows of pixels."""
    cdef:
        Py_ssize_t r, ih, iw, c, top, left, oh, oh_stop, ow, ow_stop, i = first * g.IW * g.IC
        Py_ssize_t out_end = g.N * g.OH * g.OW * g.IC - LANES, dx_end = stop * g.IW * g.IC - LANES
        patch_t p
    for r in range(first, stop):
        ih = r % g.IH + g.pad_top
        oh = oh_stop = ow = ow_stop = 0
        _cover(ih, g.KH, g.stride_h, g.OH, &oh, &oh_stop)
        top = oh * g.stride_h - g.pad_top
        for iw in range(g.pad_left, g.pad_left + g.IW):
            _cover(iw, g.KW, g.stride_w, g.OW, &ow, &ow_stop)
            left = ow * g.stride_w - g.pad_left
            p = _patch(r // g.IH, g.OH, g.OW, g.IC, oh, oh_stop, ow, ow_stop)
            c = 0
            while c < g.IC:
                if p.last + c <= out_end and i + c <= dx_end:
                    _average_gradient_block(
                        g, dout + p.start + c, y + i + c, p, top, left, dx + i + c, activation, LANES
                    )
                else:
                    _average_gradient_block(g, dout + p.start, y + i, p, top, left, dx + i, activation, g.IC)
                c = _next_block(c, g.IC)
            i += g.IC


# --- steps -----------------------------------------------------------------------------------------


cdef class Pooling(Step):
    """What the steps below have in common: the division into tasks of some rows of the array that is written."""

    cdef:
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

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t first = i * self.rows_per_task
        self.do_rows(first, min(first + self.rows_per_task, self.rows))

    cdef void do_rows(self, Py_ssize_t first, Py_ssize_t stop) noexcept nogil:
        pass


cdef class MaxPool2DForward(Pooling):
    """out = the maximum of each window, index = where in the window it is."""

    cdef:
        Buffer x      # IN (N, IH, IW, C)
        Buffer out    # OUT (N, OH, OW, C)
        Buffer index  # OUT of out's shape, uint8, or int32 for windows of more than 256 pixels; or None
        max_forward_loop loop

    def __init__(self, Buffer x, Buffer out, Buffer index, window):
        self.x, self.out, self.index = x, out, index
        self._divide(x, out, window, x.shape[0] * out.shape[1])
        narrow = index is not None and index.dtype == "uint8"
        if x.dtype == "float32" and narrow:
            self.loop = <max_forward_loop> _max_forward[float, uint8_t]
        elif x.dtype == "float32":
            self.loop = <max_forward_loop> _max_forward[float, int32_t]
        elif narrow:
            self.loop = <max_forward_loop> _max_forward[double, uint8_t]
        else:
            self.loop = <max_forward_loop> _max_forward[double, int32_t]

    cdef void do_rows(self, Py_ssize_t first, Py_ssize_t stop) noexcept nogil:
        cdef void* index = NULL if self.index is None else self.index.data
        self.loop(&self.g, self.x.data, self.out.data, index, first, stop)


cdef class MaxPool2DBackward(Pooling):
    """dx = dout at the maximum of each window, times act' there, and 0 elsewhere."""

    cdef:
        Buffer dout   # IN (N, OH, OW, C)
        Buffer index  # IN of dout's shape, as MaxPool2DForward left it
        Buffer dx     # OUT (N, IH, IW, C)
        Buffer y      # IN of dout's shape: the maxima; or None, where there is no activation
        int activation
        max_backward_loop loop

    def __init__(self, Buffer dout, Buffer index, Buffer dx, window, str activation, Buffer y):
        self.dout, self.index, self.dx, self.y = dout, index, dx, dout if y is None else y
        self.activation = activation_code(activation)
        self._divide(dx, dout, window, dx.shape[0] * dx.shape[1])
        narrow = index.dtype == "uint8"
        if dx.dtype == "float32" and narrow:
            self.loop = <max_backward_loop> _max_backward[float, uint8_t]
        elif dx.dtype == "float32":
            self.loop = <max_backward_loop> _max_backward[float, int32_t]
        elif narrow:
            self.loop = <max_backward_loop> _max_backward[double, uint8_t]
        else:
            self.loop = <max_backward_loop> _max_backward[double, int32_t]

    cdef void do_rows(self, Py_ssize_t first, Py_ssize_t stop) noexcept nogil:
        self.loop(
            &self.g, self.dout.data, self.index.data, self.y.data, self.dx.data, self.activation, first, stop
        )


cdef class AveragePool2DForward(Pooling):
    """out = the average of the real pixels of each window."""

    cdef:
        Buffer x    # IN (N, IH, IW, C)
        Buffer out  # OUT (N, OH, OW, C)
        average_forward_loop loop

    def __init__(self, Buffer x, Buffer out, window):
        self.x, self.out = x, out
        self._divide(x, out, window, x.shape[0] * out.shape[1])
        if x.dtype == "float32":
            self.loop = <average_forward_loop> _average_forward[float]
        else:
            self.loop = <average_forward_loop> _average_forward[double]

    cdef void do_rows(self, Py_ssize_t first, Py_ssize_t stop) noexcept nogil:
        self.loop(&self.g, self.x.data, self.out.data, first, stop)


cdef class AveragePool2DBackward(Pooling):
    """dx = the sum over the windows that hold a pixel of dout / number of real pixels, times act'."""

    cdef:
        Buffer dout  # IN (N, OH, OW, C)
        Buffer dx    # OUT (N, IH, IW, C)
        Buffer y     # IN of dx's shape; or None, where there is no activation
        int activation
        average_backward_loop loop

    def __init__(self, Buffer dout, Buffer dx, window, str activation, Buffer y):
        self.dout, self.dx, self.y = dout, dx, dx if y is None else y
        self.activation = activation_code(activation)
        self._divide(dx, dout, window, dx.shape[0] * dx.shape[1])
        if dx.dtype == "float32":
            self.loop = <average_backward_loop> _average_backward[float]
        else:
            self.loop = <average_backward_loop> _average_backward[double]

    cdef void do_rows(self, Py_ssize_t first, Py_ssize_t stop) noexcept nogil:
        self.loop(&self.g, self.dout.data, self.y.data, self.dx.data, self.activation, first, stop)
