"""Steps on arrays of any shape: activations whose derivative follows from what they return, and rescaling.

    ActivationForward   out = act(x)
    ActivationBackward  dx = dout * act'(z), where y = act(z)
    Rescale             out = scale * x + offset

The loops are plain, and the compiler turns them into vectors: each exists for float and double, and a step calls the
one for its buffers through a pointer. Work is divided into chunks that stay in the first-level cache, so a second
loop over a chunk costs little.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memmove

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport activate, activation_code, chain_activation, real_t

ctypedef void (*activate_loop)(int activation, void* z, Py_ssize_t n) noexcept nogil
ctypedef void (*chain_loop)(int activation, const void* y, void* gradient, Py_ssize_t n) noexcept nogil
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
