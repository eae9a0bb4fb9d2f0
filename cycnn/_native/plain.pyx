"""Convolution as plain loops, float32 and float64: float64's only one, and the yardstick of the register tiles.

    out[n, oh, ow, oc]       = act(bias[oc] + sum over kh, kw, ic of x[n, ih, iw, ic] kernel[kh, kw, ic, oc])
    dx[n, ih, iw, ic]        = act'(y) sum over kh, kw, oc of dout[n, oh, ow, oc] kernel[kh, kw, ic, oc]
    dkernel[kh, kw, ic, oc]  = sum over n, oh, ow of x[n, ih, iw, ic] dout[n, oh, ow, oc]
    dbias[oc]                = sum over n, oh, ow of dout[n, oh, ow, oc]

where ih = oh * stride_h - pad_top + kh * dilation_h and iw = ow * stride_w - pad_left + kw * dilation_w; what falls
outside an array is left out. Images are N x IH x IW x IC, outputs N x OH x OW x OC, kernels KH x KW x KC x OC, where KC
is IC, or less: then each of IC / KC groups of input channels meets a part of the output channels of its own. A
transposed convolution is dx with a bias and an activation.

Every loop computes what it stores from start to end, in the order of the formula; so tasks share nothing, and the
innermost loop runs over contiguous channels.
"""

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport activate, activation_code, chain_activation, real_t
from .geometry cimport geometry_t, read_geometry, real_taps

cdef enum:
    PIXELS = 16  # pixels per task, in a row or not: a dense layer's batch is a row of its own

# Each loop exists for float and double; a step calls the one for its buffers through a pointer.
ctypedef void (*forward_loop)(
    const geometry_t* g, const void* x, const void* kernel, const void* bias, void* out, int activation, Py_ssize_t i
) noexcept nogil
ctypedef void (*transpose_loop)(const geometry_t* g, const void* kernel, void* transposed) noexcept nogil
ctypedef void (*backward_input_loop)(
    const geometry_t* g, const void* dout, const void* transposed, const void* bias, const void* y, void* dx,
    int activation, Py_ssize_t i
) noexcept nogil
ctypedef void (*backward_kernel_loop)(
    const geometry_t* g, const void* x, const void* dout, void* dkernel, Py_ssize_t i
) noexcept nogil
ctypedef void (*backward_bias_loop)(const geometry_t* g, const void* dout, void* dbias) noexcept nogil


cdef inline void _add_product(real_t* total, real_t a, const real_t* b, Py_ssize_t n) noexcept nogil:
    """total += a * b for n channels."""
    cdef Py_ssize_t c
    for c in range(n):
        total[c] += a * b[c]


cdef void _forward(
    const geometry_t* g, const real_t* x, const real_t* kernel, const real_t* bias, real_t* out, int activation,
    Py_ssize_t i
) noexcept nogil:
    """Compute output pixel i of all N * OH * OW."""
    cdef:
        Py_ssize_t n = i // (g.OH * g.OW), oh = i // g.OW % g.OH, ow = i % g.OW
        Py_ssize_t top = oh * g.stride_h - g.pad_top, left = ow * g.stride_w - g.pad_left
        Py_ssize_t kh, kh_first, kh_stop, kw, kw_first, kw_stop, ic, oc, pixel, tap, group
        Py_ssize_t KC = g.IC // g.groups, filters = g.OC // g.groups
    out += i * g.OC
    for oc in range(g.OC):
        out[oc] = 0 if bias == NULL else bias[oc]
    real_taps(top, g.IH, g.KH, g.dilation_h, &kh_first, &kh_stop)
    real_taps(left, g.IW, g.KW, g.dilation_w, &kw_first, &kw_stop)
    for kh in range(kh_first, kh_stop):
        for kw in range(kw_first, kw_stop):
            pixel = (n * g.IH + top + kh * g.dilation_h) * g.IW + left + kw * g.dilation_w
            tap = kh * g.KW + kw
            for group in range(g.groups):
                for ic in range(KC):
                    oc = group * filters
                    _add_product(
                        out + oc, x[pixel * g.IC + group * KC + ic], kernel + (tap * KC + ic) * g.OC + oc, filters)
    activate(activation, out, g.OC)


cdef void _transpose(const geometry_t* g, const real_t* kernel, real_t* transposed) noexcept nogil:
    """Exchange the channels of the kernel: KH x KW x OC x KC."""
    cdef Py_ssize_t tap, ic, oc, KC = g.IC // g.groups
    for tap in range(g.KH * g.KW):
        for oc in range(g.OC):
            for ic in range(KC):
                transposed[(tap * g.OC + oc) * KC + ic] = kernel[(tap * KC + ic) * g.OC + oc]


cdef inline Py_ssize_t _output_at(Py_ssize_t start, Py_ssize_t stride, Py_ssize_t O) noexcept nogil:
    """Return which of O outputs has its window begin at the padded pixel `start`, or -1."""
    if start < 0 or start % stride != 0 or start // stride >= O:
        return -1
    return start // stride


cdef void _backward_input(
    const geometry_t* g, const real_t* dout, const real_t* transposed, const real_t* bias, const real_t* y, real_t* dx,
    int activation, Py_ssize_t i
) noexcept nogil:
    """Compute the gradient of pixel i of all N * IH * IW."""
    cdef:
        Py_ssize_t n = i // (g.IH * g.IW), ih = i // g.IW % g.IH, iw = i % g.IW
        Py_ssize_t kh, kw, oh, ow, ic, oc, pixel, tap, group, KC = g.IC // g.groups, filters = g.OC // g.groups
    dx += i * g.IC
    for ic in range(g.IC):
        dx[ic] = 0 if bias == NULL else bias[ic]
    for kh in range(g.KH):
        oh = _output_at(ih + g.pad_top - kh * g.dilation_h, g.stride_h, g.OH)
        if oh < 0:
            continue
        for kw in range(g.KW):
            ow = _output_at(iw + g.pad_left - kw * g.dilation_w, g.stride_w, g.OW)
            if ow < 0:
                continue
            pixel = (n * g.OH + oh) * g.OW + ow
            tap = kh * g.KW + kw
            for group in range(g.groups):
                for oc in range(group * filters, (group + 1) * filters):
                    _add_product(dx + group * KC, dout[pixel * g.OC + oc], transposed + (tap * g.OC + oc) * KC, KC)
    if y == NULL:
        activate(activation, dx, g.IC)
    else:
        chain_activation(activation, y + i * g.IC, dx, g.IC)


cdef void _backward_kernel(
    const geometry_t* g, const real_t* x, const real_t* dout, real_t* dkernel, Py_ssize_t i
) noexcept nogil:
    """Compute the gradient of row i of all KH * KW * KC, OC numbers each."""
    cdef:
        Py_ssize_t KC = g.IC // g.groups, filters = g.OC // g.groups
        Py_ssize_t kh = i // (g.KW * KC), kw = i // KC % g.KW, ic = i % KC
        Py_ssize_t n, oh, ow, ih, iw, oc, pixel, group
    dkernel += i * g.OC
    for oc in range(g.OC):
        dkernel[oc] = 0
    for n in range(g.N):
        for oh in range(g.OH):
            ih = oh * g.stride_h - g.pad_top + kh * g.dilation_h
            if ih < 0 or ih >= g.IH:
                continue
            for ow in range(g.OW):
                iw = ow * g.stride_w - g.pad_left + kw * g.dilation_w
                if iw < 0 or iw >= g.IW:
                    continue
                pixel = (n * g.IH + ih) * g.IW + iw
                for group in range(g.groups):
                    oc = group * filters
                    _add_product(dkernel + oc, x[pixel * g.IC + group * KC + ic],
                                 dout + ((n * g.OH + oh) * g.OW + ow) * g.OC + oc, filters)


cdef void _depthwise_backward_kernel(
    const geometry_t* g, const real_t* x, const real_t* dout, real_t* dkernel, Py_ssize_t i
) noexcept nogil:
    """Compute the gradient of tap i of all KH * KW: OC numbers, some for each channel of x."""
    cdef Py_ssize_t M = g.OC // g.IC, n, oh, ow, ih, iw, ic, oc
    dkernel += i * g.OC
    for oc in range(g.OC):
        dkernel[oc] = 0
    for n in range(g.N):
        for oh in range(g.OH):
            ih = oh * g.stride_h - g.pad_top + i // g.KW * g.dilation_h
            if ih < 0 or ih >= g.IH:
                continue
            for ow in range(g.OW):
                iw = ow * g.stride_w - g.pad_left + i % g.KW * g.dilation_w
                if iw < 0 or iw >= g.IW:
                    continue
                for ic in range(g.IC):
                    _add_product(dkernel + ic * M, x[((n * g.IH + ih) * g.IW + iw) * g.IC + ic],
                                 dout + ((n * g.OH + oh) * g.OW + ow) * g.OC + ic * M, M)


cdef void _backward_bias(const geometry_t* g, const real_t* dout, real_t* dbias) noexcept nogil:
    cdef Py_ssize_t i, oc
    for oc in range(g.OC):
        dbias[oc] = 0
    for i in range(g.N * g.OH * g.OW):
        _add_product(dbias, 1, dout + i * g.OC, g.OC)


# --- steps -----------------------------------------------------------------------------------------


cdef Py_ssize_t _groups(Buffer x, Buffer kernel) except -1:
    """Return how many groups the channels of x make for the kernel."""
    return x.shape[3] // kernel.shape[len(kernel.shape) - 2]


cdef class Conv2DForward(Step):
    """out = act(conv(x, kernel) + bias)."""

    cdef:
        Buffer x       # IN (N, IH, IW, IC)
        Buffer kernel  # IN (KH, KW, KC, OC)
        Buffer bias    # IN (OC,) or None
        Buffer out     # OUT (N, OH, OW, OC)
        geometry_t g
        int activation
        Py_ssize_t pixels
        forward_loop loop

    def __init__(self, Buffer x, Buffer kernel, Buffer bias, Buffer out, window, str activation):
        self.x, self.kernel, self.bias, self.out = x, kernel, bias, out
        self.activation = activation_code(activation)
        read_geometry(&self.g, x.shape, out.shape, window, _groups(x, kernel))
        self.pixels = self.g.N * self.g.OH * self.g.OW
        if x.dtype == "float32":
            self.loop = <forward_loop> _forward[float]
        else:
            self.loop = <forward_loop> _forward[double]

    cdef void run(self) noexcept nogil:
        self.split((self.pixels + PIXELS - 1) // PIXELS, 1.0 * self.pixels * self.kernel.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t pixel
        cdef void* bias = NULL if self.bias is None else self.bias.data
        for pixel in range(i * PIXELS, min((i + 1) * PIXELS, self.pixels)):
            self.loop(&self.g, self.x.data, self.kernel.data, bias, self.out.data, self.activation, pixel)


cdef class Transposed(Step):
    """dx = act(the transpose of the convolution applied to dout, + bias), or times act'(y) of the layer before."""

    cdef:
        Buffer dout    # IN (N, OH, OW, OC)
        Buffer kernel  # IN (KH, KW, KC, OC)
        Buffer bias    # IN (IC,) or None
        Buffer dx      # OUT (N, IH, IW, IC)
        Buffer y       # IN of dx's shape, or None
        geometry_t g
        int activation
        Py_ssize_t pixels
        transpose_loop transpose
        backward_input_loop loop

    cdef _read(self, Buffer dout, Buffer kernel, Buffer bias, Buffer dx, window, str activation, Buffer y):
        self.dout, self.kernel, self.bias, self.dx, self.y = dout, kernel, bias, dx, y
        self.activation = activation_code(activation)
        read_geometry(&self.g, dx.shape, dout.shape, window, _groups(dx, kernel))
        self.pixels = self.g.N * self.g.IH * self.g.IW
        self.workspace = kernel.nbytes  # for the kernel with its channels exchanged
        if dx.dtype == "float32":
            self.transpose = <transpose_loop> _transpose[float]
            self.loop = <backward_input_loop> _backward_input[float]
        else:
            self.transpose = <transpose_loop> _transpose[double]
            self.loop = <backward_input_loop> _backward_input[double]

    cdef void run(self) noexcept nogil:
        self.transpose(&self.g, self.kernel.data, self.work)
        self.split((self.pixels + PIXELS - 1) // PIXELS, 1.0 * self.g.N * self.g.OH * self.g.OW * self.kernel.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t pixel
        cdef void* bias = NULL if self.bias is None else self.bias.data
        cdef void* y = NULL if self.y is None else self.y.data
        for pixel in range(i * PIXELS, min((i + 1) * PIXELS, self.pixels)):
            self.loop(&self.g, self.dout.data, self.work, bias, y, self.dx.data, self.activation, pixel)


cdef class Conv2DBackwardInput(Transposed):
    """dx = the transpose of the convolution applied to dout, times act'(y) of the layer before."""

    def __init__(self, Buffer dout, Buffer kernel, Buffer dx, window, str activation, Buffer y):
        self._read(dout, kernel, None, dx, window, activation, y)


cdef class Conv2DTransposeForward(Transposed):
    """out = act(the transpose of the convolution applied to x, + bias)."""

    def __init__(self, Buffer x, Buffer kernel, Buffer bias, Buffer out, window, str activation):
        self._read(x, kernel, bias, out, window, activation, None)


cdef class BackwardKernel(Step):
    """dkernel = the sum of the products of pixels and gradients, dbias = the sum of the gradients."""

    cdef:
        Buffer x        # IN (N, IH, IW, IC)
        Buffer dout     # IN (N, OH, OW, OC)
        Buffer dkernel  # OUT (KH, KW, KC, OC), or of a depthwise convolution (KH, KW, IC, OC / IC)
        Buffer dbias    # OUT (OC,) or None
        geometry_t g
        Py_ssize_t rows
        backward_kernel_loop loop
        backward_bias_loop bias_loop

    cdef _read(self, Buffer x, Buffer dout, Buffer dkernel, Buffer dbias, window, Py_ssize_t groups):
        self.x, self.dout, self.dkernel, self.dbias = x, dout, dkernel, dbias
        read_geometry(&self.g, x.shape, dout.shape, window, groups)
        if x.dtype == "float32":
            self.bias_loop = <backward_bias_loop> _backward_bias[float]
        else:
            self.bias_loop = <backward_bias_loop> _backward_bias[double]

    cdef void run(self) noexcept nogil:
        # One task more than there are rows where the bias has a gradient.
        self.split(self.rows + (self.dbias is not None), 1.0 * self.dout.size * self.rows)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        if i < self.rows:
            self.loop(&self.g, self.x.data, self.dout.data, self.dkernel.data, i)
        else:
            self.bias_loop(&self.g, self.dout.data, self.dbias.data)


cdef class Conv2DBackwardKernel(BackwardKernel):
    """The gradient of a convolution's kernel, a task for each tap and channel."""

    def __init__(self, Buffer x, Buffer dout, Buffer dkernel, Buffer dbias, window):
        self._read(x, dout, dkernel, dbias, window, _groups(x, dkernel))
        self.rows = self.g.KH * self.g.KW * (self.g.IC // self.g.groups)
        if x.dtype == "float32":
            self.loop = <backward_kernel_loop> _backward_kernel[float]
        else:
            self.loop = <backward_kernel_loop> _backward_kernel[double]


cdef class DepthwiseConv2DBackwardKernel(BackwardKernel):
    """The gradient of a depthwise convolution's kernel, a task for each tap."""

    def __init__(self, Buffer x, Buffer dout, Buffer dkernel, Buffer dbias, window):
        self._read(x, dout, dkernel, dbias, window, 1)
        self.rows = self.g.KH * self.g.KW
        if x.dtype == "float32":
            self.loop = <backward_kernel_loop> _depthwise_backward_kernel[float]
        else:
            self.loop = <backward_kernel_loop> _depthwise_backward_kernel[double]
