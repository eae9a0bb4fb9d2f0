"""Activations as functions of a few contiguous numbers, shared by the epilogues of all kernels.

`activate` replaces z by y = act(z). `chain_activation` multiplies a gradient by act'(z), expressed through the output
y alone (relu: [y > 0], sigmoid: y (1 - y), tanh: 1 - y^2, softplus: 1 - e^-y), so that the pre-activation z is never
kept.
"""

from libc.math cimport exp, expm1, log1p, tanh

cdef extern from "special.h" nogil:
    float exp_float(float x) noexcept
    float expm1_float(float x) noexcept
    float log1p_float(float x) noexcept
    float tanh_float(float x) noexcept

ctypedef fused real_t:
    float
    double

cdef enum:
    LINEAR
    RELU
    RELU6
    LEAKY_RELU
    ELU
    SELU
    SIGMOID
    HARD_SIGMOID
    TANH
    SOFTPLUS
    SOFTSIGN
    EXPONENTIAL

# Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks" (2017), equation 14.
cdef extern from *:
    """
    #define SELU_SCALE 1.0507009873554805
    #define SELU_ALPHA 1.6732632423543772
    """
    const double SELU_SCALE
    const double SELU_ALPHA


cdef inline int activation_code(str name) except -1:
    """Return the number of an activation, its place in the enumeration above."""
    return (
        "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "sigmoid", "hard_sigmoid", "tanh", "softplus",
        "softsign", "exponential",
    ).index(name)


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


cdef inline real_t real_expm1(real_t x) noexcept nogil:
    """Return e^x - 1 for x <= 0."""
    if real_t is float:
        return expm1_float(x)
    else:
        return expm1(x)


cdef inline real_t real_log1p(real_t x) noexcept nogil:
    """Return ln(1 + x) for 0 <= x <= 1."""
    if real_t is float:
        return log1p_float(x)
    else:
        return log1p(x)


cdef inline real_t real_abs(real_t x) noexcept nogil:
    return -x if x < 0 else x


cdef inline real_t sigmoid_of(real_t x) noexcept nogil:
    cdef real_t one = 1  # a literal would be a double, and the loops twice as slow
    return one / (one + real_exp(-x))


cdef inline real_t softplus_of(real_t x) noexcept nogil:
    """Return ln(1 + e^x) without overflow: the larger of x and 0, and ln(1 + e^-|x|)."""
    return (x if x > 0 else 0) + real_log1p(real_exp(-real_abs(x)))


cdef inline void activate(int activation, real_t* z, Py_ssize_t n) noexcept nogil:
    """z <- act(z). Conditions are such that NaN stays NaN."""
    cdef Py_ssize_t i
    cdef real_t a, one = 1, three = 3, six = 6, slope = <real_t> 0.2
    cdef real_t scale = <real_t> SELU_SCALE, alpha = <real_t> (SELU_SCALE * SELU_ALPHA)
    if activation == RELU:
        for i in range(n):
            z[i] = 0 if z[i] < 0 else z[i]
    elif activation == RELU6:
        for i in range(n):
            a = 0 if z[i] < 0 else z[i]
            z[i] = six if a > six else a
    elif activation == LEAKY_RELU:
        for i in range(n):
            a = slope * z[i]
            z[i] = z[i] if z[i] > 0 else a
    elif activation == ELU:
        for i in range(n):
            a = real_expm1(z[i])
            z[i] = z[i] if z[i] > 0 else a
    elif activation == SELU:
        for i in range(n):
            a = alpha * real_expm1(z[i])
            z[i] = scale * z[i] if z[i] > 0 else a
    elif activation == SIGMOID:
        for i in range(n):
            z[i] = sigmoid_of(z[i])
    elif activation == HARD_SIGMOID:
        for i in range(n):
            a = z[i] + three
            a = 0 if a < 0 else a
            z[i] = (six if a > six else a) / six
    elif activation == TANH:
        for i in range(n):
            z[i] = real_tanh(z[i])
    elif activation == SOFTPLUS:
        for i in range(n):
            z[i] = softplus_of(z[i])
    elif activation == SOFTSIGN:
        for i in range(n):
            z[i] = z[i] / (one + real_abs(z[i]))
    elif activation == EXPONENTIAL:
        for i in range(n):
            z[i] = real_exp(z[i])


cdef inline void chain_activation(int activation, const real_t* y, real_t* gradient, Py_ssize_t n) noexcept nogil:
    """gradient <- gradient * act'(z), where y = act(z). At its corners an activation has TensorFlow's derivative."""
    cdef Py_ssize_t i
    cdef real_t a, one = 1, six = 6, sixth = one / six, slope = <real_t> 0.2
    cdef real_t scale = <real_t> SELU_SCALE, alpha = <real_t> (SELU_SCALE * SELU_ALPHA)
    if activation == RELU:
        for i in range(n):
            gradient[i] = gradient[i] if y[i] > 0 else 0
    elif activation == RELU6:
        for i in range(n):
            a = gradient[i] if y[i] > 0 else 0
            gradient[i] = a if y[i] < six else 0
    elif activation == LEAKY_RELU:
        for i in range(n):
            a = slope * gradient[i]
            gradient[i] = gradient[i] if y[i] > 0 else a
    elif activation == ELU:  # e^z = y + 1
        for i in range(n):
            a = gradient[i] * (y[i] + one)
            gradient[i] = a if y[i] < 0 else gradient[i]
    elif activation == SELU:
        for i in range(n):
            a = y[i] + alpha
            gradient[i] = gradient[i] * (a if y[i] < 0 else scale)
    elif activation == SIGMOID:
        for i in range(n):
            gradient[i] = gradient[i] * (y[i] * (one - y[i]))
    elif activation == HARD_SIGMOID:
        for i in range(n):
            a = sixth * gradient[i] if y[i] > 0 else 0
            gradient[i] = a if y[i] < one else 0
    elif activation == TANH:
        for i in range(n):
            gradient[i] = gradient[i] * (one - y[i] * y[i])
    elif activation == SOFTPLUS:  # the sigmoid of z is 1 - e^-y
        for i in range(n):
            gradient[i] = gradient[i] * -real_expm1(-y[i])
    elif activation == SOFTSIGN:  # 1 / (1 + |z|) = 1 - |y|
        for i in range(n):
            a = one - real_abs(y[i])
            gradient[i] = gradient[i] * (a * a)
    elif activation == EXPONENTIAL:
        for i in range(n):
            gradient[i] = gradient[i] * y[i]
