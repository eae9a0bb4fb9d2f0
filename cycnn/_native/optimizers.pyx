"""Parameter updates, in one pass over memory. w is the parameter, g its gradient:

    SGDUpdate   w <- w - learning_rate g                                 without a velocity
                v <- momentum v - learning_rate g, w <- w + v            with one
                v as above, w <- w + momentum v - learning_rate g        Nesterov
    AdamUpdate  m <- m + (1 - beta_1) (g - m), v <- v + (1 - beta_2) (g^2 - v)
                w <- w - alpha m / (sqrt(v) + epsilon)

Keras's formulas. The hyperparameters are read from a float64 buffer when the step runs, so a schedule only writes
there. A step raises the version of its parameter: packed copies of it are then made anew.
"""

from libc.math cimport sqrt, sqrtf

from cycnn._native.runtime cimport Buffer
from .activations cimport real_t
from .elementwise cimport Elementwise

ctypedef void (*sgd_loop)(
    void* w, const void* g, void* v, Py_ssize_t n, double learning_rate, double momentum, bint nesterov
) noexcept nogil
ctypedef void (*adam_loop)(
    void* w, const void* g, void* m, void* v, Py_ssize_t n, const double* hyper
) noexcept nogil


cdef inline real_t _sqrt(real_t x) noexcept nogil:
    if real_t is float:
        return sqrtf(x)
    else:
        return sqrt(x)


cdef void _sgd(
    real_t* w, const real_t* g, real_t* v, Py_ssize_t n, double learning_rate, double momentum, bint nesterov
) noexcept nogil:
    cdef:
        Py_ssize_t i
        real_t rate = <real_t> learning_rate, inertia = <real_t> momentum
    if v == NULL:
        for i in range(n):
            w[i] -= rate * g[i]
    elif nesterov:
        for i in range(n):
            v[i] = inertia * v[i] - rate * g[i]
            w[i] += inertia * v[i] - rate * g[i]
    else:
        for i in range(n):
            v[i] = inertia * v[i] - rate * g[i]
            w[i] += v[i]


cdef void _adam(real_t* w, const real_t* g, real_t* m, real_t* v, Py_ssize_t n, const double* hyper) noexcept nogil:
    cdef:
        Py_ssize_t i
        real_t alpha = <real_t> hyper[0], rest_1 = <real_t> (1 - hyper[1]), rest_2 = <real_t> (1 - hyper[2])
        real_t epsilon = <real_t> hyper[3], m_i, v_i
    for i in range(n):
        m_i = m[i] + rest_1 * (g[i] - m[i])
        v_i = v[i] + rest_2 * (g[i] * g[i] - v[i])
        m[i] = m_i
        v[i] = v_i
        w[i] -= alpha * m_i / (_sqrt(v_i) + epsilon)


cdef class SGDUpdate(Elementwise):
    """Gradient descent, with momentum where there is a velocity."""

    cdef:
        Buffer parameter  # INOUT
        Buffer gradient   # IN, of the parameter's shape
        Buffer velocity   # INOUT, of the parameter's shape, or None
        Buffer hyper      # IN: float64, (learning_rate, momentum)
        bint nesterov
        sgd_loop loop

    def __init__(self, Buffer parameter, Buffer gradient, Buffer velocity, Buffer hyper, bint nesterov):
        self.parameter, self.gradient, self.velocity, self.hyper = parameter, gradient, velocity, hyper
        self.nesterov = nesterov
        self.size = parameter.size
        self.loop = <sgd_loop> _sgd[float] if parameter.dtype == "float32" else <sgd_loop> _sgd[double]

    cdef void run(self) noexcept nogil:
        Elementwise.run(self)
        self.parameter.version += 1

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef:
            Py_ssize_t at = start * self.parameter.itemsize
            const double* hyper = <const double*> self.hyper.data
            char* velocity = NULL if self.velocity is None else self.velocity.data + at
        self.loop(self.parameter.data + at, self.gradient.data + at, velocity, n, hyper[0], hyper[1], self.nesterov)


cdef class AdamUpdate(Elementwise):
    """Adam. The bias corrections are in alpha = learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t)."""

    cdef:
        Buffer parameter  # INOUT
        Buffer gradient   # IN, of the parameter's shape
        Buffer m, v       # INOUT, of the parameter's shape
        Buffer hyper      # IN: float64, (alpha, beta_1, beta_2, epsilon)
        adam_loop loop

    def __init__(self, Buffer parameter, Buffer gradient, Buffer m, Buffer v, Buffer hyper):
        self.parameter, self.gradient, self.m, self.v, self.hyper = parameter, gradient, m, v, hyper
        self.size = parameter.size
        self.loop = <adam_loop> _adam[float] if parameter.dtype == "float32" else <adam_loop> _adam[double]

    cdef void run(self) noexcept nogil:
        Elementwise.run(self)
        self.parameter.version += 1

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t at = start * self.parameter.itemsize
        self.loop(
            self.parameter.data + at, self.gradient.data + at, self.m.data + at, self.v.data + at, n,
            <const double*> self.hyper.data
        )
