"""Activations as functions of a few contiguous numbers, shared by the epilogues of all kernels.

`activate` replaces z by y = act(z). `chain_activation` multiplies a gradient by act'(z), expressed through the output
y alone (relu: [y > 0], sigmoid: y (1 - y), tanh: 1 - y^2), so that the pre-activation z is never kept.
"""

from libc.math cimport exp, tanh

cdef extern from "exp.h" nogil:
    float exp_float(float x) noexcept
    float tanh_float(float x) noexcept

ctypedef fused real_t:
    float
    double

cdef enum:
    LINEAR
    RELU
    SIGMOID
    TANH


cdef inline int activation_code(str name) except -1:
    """Return the number of an activation, its place in the enumeration above."""
    return ("linear", "relu", "sigmoid", "tanh").index(name)


cdef inline real_t real_exp(real_t x) noexcept nogil:
    if real_t is float:
        return exp_float(x)
    else:
        return exp(x)


cdef inline real_t real_tanh(real_t x) noexcept nogil:
    if real_t is float:
        return tanh_float(x)
    else:
        return tanh(x)


cdef inline void activate(int activation, real_t* z, Py_ssize_t n) noexcept nogil:
    """z <- act(z)."""
    cdef Py_ssize_t i
    cdef real_t one = 1  # a literal would be a double, and the loops twice as slow
    if activation == RELU:
        for i in range(n):
            z[i] = 0 if z[i] < 0 else z[i]  # NaN stays NaN
    elif activation == SIGMOID:
        for i in range(n):
            z[i] = one / (one + real_exp(-z[i]))
    elif activation == TANH:
        for i in range(n):
            z[i] = real_tanh(z[i])


cdef inline void chain_activation(int activation, const real_t* y, real_t* gradient, Py_ssize_t n) noexcept nogil:
    """gradient <- gradient * act'(z), where y = act(z)."""
    cdef Py_ssize_t i
    cdef real_t one = 1
    if activation == RELU:
        for i in range(n):
            gradient[i] = gradient[i] if y[i] > 0 else 0
    elif activation == SIGMOID:
        for i in range(n):
            gradient[i] = gradient[i] * (y[i] * (one - y[i]))
    elif activation == TANH:
        for i in range(n):
            gradient[i] = gradient[i] * (one - y[i] * y[i])
