"""Gradients of maximum and average pooling, float32 and float64.

    maximum   dx[n, ih, iw, c] = act'(y) sum of dout[n, oh, ow, c] over the windows (oh, ow) whose maximum is there
    average   dx[n, ih, iw, c] = act'(y) sum of dout[n, oh, ow, c] / number of its real pixels over those that hold it

Windows, extents and blocks of channels are those of `pool2d`. The result is written once and in order, pixel by pixel:
a window is spread over its pixels where windows do not overlap; where they do, the windows that hold a pixel are
gathered, in row-major order.
"""

from libc.math cimport NAN
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy, memset

from cycnn._native.runtime cimport Buffer
from .activations cimport LINEAR, RELU, RELU6, activation_code, chain_activation, real_t
from .geometry cimport cover, geometry_t, patch, patch_t, real_taps
from .pool2d cimport AVERAGE_LANES, MAX_LANES, Pooling, index_t, next_block
from .select cimport load_lanes, store_lanes, vf_gate, vf_where_equal, vi, vi_load_bytes, vi_load_first_bytes, vi_set1
from .simd cimport VL, vf, vf_add, vf_set1, vf_zero

# Each loop exists for every pair of types; a step calls the one for its buffers through a pointer. It computes the
# rows first..stop-1 of all rows of the array that is written, over all images.
ctypedef void (*backward_loop)(
    const geometry_t* g, const void* dout, const void* index, const void* y, void* dx, int activation,
    Py_ssize_t first, Py_ssize_t stop
) noexcept nogil


cdef inline bint simple(int activation) noexcept nogil:
    """Tell whether a derivative is 0 or 1, so that it can be applied to each share."""
    return activation == LINEAR or activation == RELU or activation == RELU6


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


cdef inline void _spread_vectors(
    const float* dout,     # IN (C,)
    const uint8_t* index,  # IN (C,), as is y
    const float* y,        # IN (C,)
    Py_ssize_t position, Py_ssize_t pixels, Py_ssize_t C,
    float* dx,             # OUT: the first of so many pixels
    int activation, const bint few
) noexcept nogil:
    """Give one row of pixels of a window its share of a maximum's gradient; `few`: C < VL channels."""
    cdef:
        vf gradient, zero = vf_zero(), high = vf_set1(6 if activation == RELU6 else NAN)
        vi found
        Py_ssize_t pixel, c = 0
    while c < C:
        gradient = load_lanes(dout + c, few, C)
        if activation != LINEAR:
            gradient = vf_gate(gradient, load_lanes(y + c, few, C), zero, high)
        found = vi_load_first_bytes(index, C) if few else vi_load_bytes(index + c)
        for pixel in range(pixels):
            store_lanes(dx + pixel * C + c, vf_where_equal(gradient, found, vi_set1(<int> (position + pixel))), few, C)
        c = next_block(c, C, VL)


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
        if average and 0 < kh < g.KH and r > first and r % g.IH > 0:  # the same windows hold the row before
            memcpy(dx + r * g.IW * C, dx + (r - 1) * g.IW * C, g.IW * C * sizeof(real_t))
            continue
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
            if real_t is float and index_t is uint8_t:
                if not average and simple(activation):
                    if C < VL:
                        _spread_vectors(dout + o, index + o, y + o,
                                        position, kw_stop - kw, C, dx + i, activation, True)
                    else:
                        _spread_vectors(dout + o, index + o, y + o,
                                        position, kw_stop - kw, C, dx + i, activation, False)
                    c = C
            while c < C:
                if o + c <= out_end and i + (kw_stop - kw - 1) * C + c <= dx_end:
                    _spread_block(dout + o + c, index + o + c, y + o + c,
                                  position, kw_stop - kw, count, C, dx + i + c, activation, average, lanes)
                else:
                    _spread_block(dout + o, index + o, y + o,
                                  position, kw_stop - kw, count, C, dx + i, activation, average, C)
                c = next_block(c, C, lanes)
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


cdef inline void _gather_vectors(
    const geometry_t* g,
    const float* dout,     # IN: the first output of the patch, as are index and y
    const uint8_t* index,  # IN
    const float* y,        # IN
    patch_t p, Py_ssize_t position,
    float* dx,             # OUT (C,)
    int activation, const bint few
) noexcept nogil:
    """Sum up the gradient of a pixel, at `position` in the first window of a patch of them; `few`: C < VL channels."""
    cdef:
        vf total, share, zero = vf_zero(), high = vf_set1(6 if activation == RELU6 else NAN)
        vi found
        Py_ssize_t row, column, o, c = 0, C = g.IC
    while c < C:
        total = vf_zero()
        for row in range(p.rows):
            for column in range(p.columns):
                o = row * p.row + column * C + c
                found = vi_load_first_bytes(index + o, C) if few else vi_load_bytes(index + o)
                share = load_lanes(dout + o, few, C)
                if activation != LINEAR:
                    share = vf_gate(share, load_lanes(y + o, few, C), zero, high)
                total = vf_add(total, vf_where_equal(
                    share, found, vi_set1(<int> (position - row * g.stride_h * g.KW - column * g.stride_w))))
        store_lanes(dx + c, total, few, C)
        c = next_block(c, C, VL)


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
            if real_t is float and index_t is uint8_t:
                if not average and simple(activation):
                    if C < VL:
                        _gather_vectors(g, dout + o, index + o, y + o, p, position, dx + i, activation, True)
                    else:
                        _gather_vectors(g, dout + o, index + o, y + o, p, position, dx + i, activation, False)
                    c = C
            while c < C:
                if p.last + c <= out_end and i + c <= dx_end:
                    _gather_block(g, dout + o + c, index + o + c, y + o + c,
                                  p, top, left, position, dx + i + c, activation, average, lanes)
                else:
                    _gather_block(g, dout + o, index + o, y + o,
                                  p, top, left, position, dx + i, activation, average, C)
                c = next_block(c, C, lanes)
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


cdef class MaxPool2DBackward(PoolingBackward):
    """dx = dout at the maximum of each window, times act' there, and 0 elsewhere; y has dout's shape."""

    def __init__(self, Buffer dout, Buffer index, Buffer dx, window, str activation, Buffer y):
        self.dout, self.index, self.dx, self.y = dout, index, dx, dout if y is None else y
        self.activation = activation_code(activation)
        self.divide(dx, dout, window, dx.shape[0] * dx.shape[1])
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
        self.divide(dx, dout, window, dx.shape[0] * dx.shape[1])
        if dx.dtype == "float32":
            self.loop = <backward_loop> _average_backward[float]
        else:
            self.loop = <backward_loop> _average_backward[double]
