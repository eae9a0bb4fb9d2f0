"""Steps on arrays of any shape: activations, softmax, dropout, rescaling.

    ActivationForward   out = act(x)
    ActivationBackward  dx = dout * act'(z), where y = act(z)
    SoftmaxForward      out_i = e^x_i / sum_j e^x_j
    SoftmaxBackward     dx_i = y_i (dout_i - sum_j dout_j y_j)
    Dropout             out_i = x_i / (1 - rate) or 0
    Rescale             out = scale * x + offset

The loops are plain, and the compiler turns them into vectors: each exists for float and double, and a step calls the
one for its buffers through a pointer. Work is divided into chunks that stay in the first-level cache, so a second
loop over a chunk costs little.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memmove

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport activate, activation_code, chain_activation, real_t
from .random cimport hash32, mix64
from .rows cimport exponentiate, row_dot, row_sum, rows_per_task, scale_row, shift_rows

cdef enum:
    CHUNK = 8192  # numbers per task: 32 KiB of float32

ctypedef void (*activate_loop)(int activation, void* z, Py_ssize_t n) noexcept nogil
ctypedef void (*chain_loop)(int activation, const void* y, void* gradient, Py_ssize_t n) noexcept nogil
ctypedef void (*softmax_loop)(const void* x, void* out, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
ctypedef void (*softmax_backward_loop)(
    const void* dout, const void* y, void* dx, Py_ssize_t rows, Py_ssize_t columns
) noexcept nogil
ctypedef void (*dropout_loop)(
    const void* x, void* out, Py_ssize_t n, double scale, uint32_t threshold, uint64_t key
) noexcept nogil
ctypedef void (*rescale_loop)(const void* x, void* out, Py_ssize_t n, double scale, double offset) noexcept nogil

ctypedef fused pixel_t:
    uint8_t
    int32_t
    int64_t
    float
    double


cdef void _activate(int activation, real_t* z, Py_ssize_t n) noexcept nogil:
    activate(activation, z, n)


cdef void _chain_activation(int activation, const real_t* y, real_t* gradient, Py_ssize_t n) noexcept nogil:
    chain_activation(activation, y, gradient, n)


cdef void _softmax(const real_t* x, real_t* out, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    cdef Py_ssize_t r
    shift_rows(x, out, rows, columns)
    exponentiate(out, rows * columns)
    for r in range(rows):
        scale_row(out + r * columns, 1 / row_sum(out + r * columns, columns), columns)


cdef void _softmax_backward(
    const real_t* dout, const real_t* y, real_t* dx, Py_ssize_t rows, Py_ssize_t columns
) noexcept nogil:
    cdef:
        Py_ssize_t r, i
        real_t mean
    for r in range(rows):
        mean = row_dot(dout + r * columns, y + r * columns, columns)
        for i in range(r * columns, (r + 1) * columns):
            dx[i] = y[i] * (dout[i] - mean)


cdef void _dropout(
    const real_t* x, real_t* out, Py_ssize_t n, double scale, uint32_t threshold, uint64_t key
) noexcept nogil:
    cdef:
        Py_ssize_t i
        real_t factor = <real_t> scale, kept
        uint32_t key_low = <uint32_t> key, key_high = <uint32_t> (key >> 32)
    for i in range(n):
        kept = factor * x[i]
        out[i] = kept if hash32(<uint32_t> i, key_low, key_high) >= threshold else 0


cdef void _rescale(const pixel_t* x, real_t* out, Py_ssize_t n, double scale, double offset) noexcept nogil:
    cdef:
        Py_ssize_t i
        real_t factor = <real_t> scale, shift = <real_t> offset
    for i in range(n):
        out[i] = factor * <real_t> x[i] + shift


cdef class Elementwise(Step):
    """A step on `size` numbers, divided into chunks that `chunk` works on."""

    cdef void run(self) noexcept nogil:
        self.split((self.size + CHUNK - 1) // CHUNK, 4.0 * self.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        self.chunk(i * CHUNK, min(<Py_ssize_t> CHUNK, self.size - i * CHUNK))

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        pass


cdef class ActivationForward(Elementwise):
    """out = act(x)."""

    cdef:
        Buffer x    # IN
        Buffer out  # OUT, of x's shape; may be x
        int activation
        activate_loop loop

    def __init__(self, Buffer x, Buffer out, str activation):
        self.x, self.out = x, out
        self.size = x.size
        self.activation = activation_code(activation)
        self.loop = <activate_loop> _activate[float] if x.dtype == "float32" else <activate_loop> _activate[double]

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t itemsize = self.x.itemsize
        memmove(self.out.data + start * itemsize, self.x.data + start * itemsize, n * itemsize)
        self.loop(self.activation, self.out.data + start * itemsize, n)


cdef class ActivationBackward(Elementwise):
    """dx = dout * act'(z), expressed through y = act(z)."""

    cdef:
        Buffer dout  # IN
        Buffer y     # IN, of dout's shape
        Buffer dx    # OUT, of dout's shape; may be dout
        int activation
        chain_loop loop

    def __init__(self, Buffer dout, Buffer y, Buffer dx, str activation):
        self.dout, self.y, self.dx = dout, y, dx
        self.size = dout.size
        self.activation = activation_code(activation)
        if dout.dtype == "float32":
            self.loop = <chain_loop> _chain_activation[float]
        else:
            self.loop = <chain_loop> _chain_activation[double]

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t itemsize = self.dx.itemsize, at = start * itemsize
        memmove(self.dx.data + at, self.dout.data + at, n * itemsize)
        self.loop(self.activation, self.y.data + at, self.dx.data + at, n)


cdef class SoftmaxForward(Step):
    """out_i = e^x_i / sum_j e^x_j over the last axis; a row with a NaN becomes NaN."""

    cdef:
        Buffer x    # IN
        Buffer out  # OUT, of x's shape; may be x
        Py_ssize_t rows, columns
        softmax_loop loop

    def __init__(self, Buffer x, Buffer out):
        self.x, self.out = x, out
        self.columns = x.shape[len(x.shape) - 1]
        self.rows = x.size // max(self.columns, 1)
        self.loop = <softmax_loop> _softmax[float] if x.dtype == "float32" else <softmax_loop> _softmax[double]

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t block = rows_per_task(self.columns)
        self.split((self.rows + block - 1) // block, 8.0 * self.x.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t block = rows_per_task(self.columns), start = i * block
            Py_ssize_t at = start * self.columns * self.x.itemsize
        self.loop(self.x.data + at, self.out.data + at, min(block, self.rows - start), self.columns)


cdef class SoftmaxBackward(Step):
    """dx_i = y_i (dout_i - sum_j dout_j y_j) over the last axis, where y = softmax(x)."""

    cdef:
        Buffer dout  # IN
        Buffer y     # IN, of dout's shape
        Buffer dx    # OUT, of dout's shape; may be dout
        Py_ssize_t rows, columns
        softmax_backward_loop loop

    def __init__(self, Buffer dout, Buffer y, Buffer dx):
        self.dout, self.y, self.dx = dout, y, dx
        self.columns = dout.shape[len(dout.shape) - 1]
        self.rows = dout.size // max(self.columns, 1)
        if dout.dtype == "float32":
            self.loop = <softmax_backward_loop> _softmax_backward[float]
        else:
            self.loop = <softmax_backward_loop> _softmax_backward[double]

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t block = rows_per_task(self.columns)
        self.split((self.rows + block - 1) // block, 4.0 * self.dout.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t block = rows_per_task(self.columns), start = i * block
            Py_ssize_t at = start * self.columns * self.dout.itemsize
        self.loop(
            self.dout.data + at, self.y.data + at, self.dx.data + at, min(block, self.rows - start), self.columns
        )


cdef class Dropout(Elementwise):
    """out_i = x_i / (1 - rate) with probability 1 - rate, else 0.

    The choice for element i is a function of (seed, step, stream, i) alone: it is the same for gradients as for
    values, for float64 as for float32, and for any number of threads. So nothing is kept between the passes.
    """

    cdef:
        Buffer x    # IN: values, or gradients on the way back
        Buffer out  # OUT, of x's shape; may be x
        Buffer key  # IN: uint64 (2,), seed and step
        uint64_t stream
        uint32_t threshold
        double scale
        dropout_loop loop

    def __init__(self, Buffer x, Buffer out, double rate, Buffer key, uint64_t stream):
        self.x, self.out, self.key = x, out, key
        self.size = x.size
        self.stream = stream
        self.threshold = <uint32_t> min(rate * 4294967296.0, 4294967295.0)
        self.scale = 1 / (1 - rate) if rate < 1 else 0
        self.loop = <dropout_loop> _dropout[float] if x.dtype == "float32" else <dropout_loop> _dropout[double]

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef:
            const uint64_t* key = <const uint64_t*> self.key.data
            uint64_t mixed = mix64(mix64(mix64(mix64(key[0]) ^ key[1]) ^ self.stream) ^ <uint64_t> start)
            Py_ssize_t at = start * self.x.itemsize
        self.loop(self.x.data + at, self.out.data + at, n, self.scale, self.threshold, mixed)


cdef rescale_loop _rescale_loop(str dtype, real_t zero) except NULL:
    """Return the loop from numbers of `dtype` to numbers of the type of `zero`."""
    if dtype == "uint8":
        return <rescale_loop> _rescale[uint8_t, real_t]
    if dtype == "int32":
        return <rescale_loop> _rescale[int32_t, real_t]
    if dtype == "int64":
        return <rescale_loop> _rescale[int64_t, real_t]
    if dtype == "float32":
        return <rescale_loop> _rescale[float, real_t]
    return <rescale_loop> _rescale[double, real_t]


cdef class Rescale(Elementwise):
    """out = scale * x + offset."""

    cdef:
        Buffer x    # IN: uint8, int32, int64, float32 or float64
        Buffer out  # OUT, float32 or float64, of x's shape; may be x where it has its dtype
        double scale, offset
        rescale_loop loop

    def __init__(self, Buffer x, Buffer out, double scale, double offset):
        self.x, self.out = x, out
        self.size = x.size
        self.scale, self.offset = scale, offset
        self.loop = _rescale_loop(x.dtype, <float> 0) if out.dtype == "float32" else _rescale_loop(x.dtype, <double> 0)

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        self.loop(
            self.x.data + start * self.x.itemsize, self.out.data + start * self.out.itemsize, n, self.scale, self.offset
        )
