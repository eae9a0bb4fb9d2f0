"""Steps that treat every number alike: activations.

The loops are plain and compiled once per instruction set; the compiler turns them into vectors.
"""

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport activate, activation_code, chain_activation, real_t

cdef enum:
    CHUNK = 8192  # numbers per task: 32 KiB of float32, so that a chunk stays in the first-level cache


# Each loop exists for float and double; a step calls the one for its buffers through a pointer.
ctypedef void (*forward_loop)(const void* x, void* out, Py_ssize_t n, int activation) noexcept nogil
ctypedef void (*backward_loop)(const void* dout, const void* y, void* dx, Py_ssize_t n, int activation) noexcept nogil


cdef void _activation_forward(const real_t* x, real_t* out, Py_ssize_t n, int activation) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = x[i]
    activate(activation, out, n)


cdef void _activation_backward(
    const real_t* dout, const real_t* y, real_t* dx, Py_ssize_t n, int activation
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        dx[i] = dout[i]
    chain_activation(activation, y, dx, n)


cdef class ActivationForward(Step):
    """out = act(x)."""

    cdef:
        Buffer x    # IN
        Buffer out  # OUT, of x's shape; may be x
        int activation
        Py_ssize_t itemsize
        forward_loop loop

    def __init__(self, Buffer x, Buffer out, str activation):
        self.x, self.out = x, out
        self.activation = activation_code(activation)
        self.itemsize = x.itemsize
        if x.dtype == "float32":
            self.loop = <forward_loop> _activation_forward[float]
        else:
            self.loop = <forward_loop> _activation_forward[double]

    cdef void run(self) noexcept nogil:
        self.split((self.x.size + CHUNK - 1) // CHUNK, 4.0 * self.x.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t start = i * CHUNK, n = min(<Py_ssize_t> CHUNK, self.x.size - start)
        self.loop(
            self.x.data + start * self.itemsize, self.out.data + start * self.itemsize, n, self.activation
        )


cdef class ActivationBackward(Step):
    """dx = dout * act'(z), expressed through y = act(z)."""

    cdef:
        Buffer dout  # IN
        Buffer y     # IN, of dout's shape
        Buffer dx    # OUT, of dout's shape; may be dout
        int activation
        Py_ssize_t itemsize
        backward_loop loop

    def __init__(self, Buffer dout, Buffer y, Buffer dx, str activation):
        self.dout, self.y, self.dx = dout, y, dx
        self.activation = activation_code(activation)
        self.itemsize = dout.itemsize
        if dout.dtype == "float32":
            self.loop = <backward_loop> _activation_backward[float]
        else:
            self.loop = <backward_loop> _activation_backward[double]

    cdef void run(self) noexcept nogil:
        self.split((self.dout.size + CHUNK - 1) // CHUNK, 4.0 * self.dout.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t start = i * CHUNK, n = min(<Py_ssize_t> CHUNK, self.dout.size - start)
        cdef Py_ssize_t offset = start * self.itemsize
        self.loop(self.dout.data + offset, self.y.data + offset, self.dx.data + offset, n, self.activation)
