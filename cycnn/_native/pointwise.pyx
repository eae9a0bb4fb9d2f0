"""Activations whose derivative needs the number that went in: out = f(x), or dx = dout f'(x) where dout is given.

    silu          x s(x), where s is the sigmoid     log_sigmoid     ln s(x)
    gelu          x P(x), P the normal distribution  gelu_tanh       x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
    mish          x tanh(softplus(x))                tanh_shrink     x - tanh(x)
    hard_silu     x relu6(x + 3) / 6                 hard_tanh       x cut off at -1 and 1
    sparse_plus   0, (x + 1)^2 / 4, x                sparse_sigmoid  0, (x + 1) / 2, 1: below, between, above -1 and 1
    squareplus    (x + sqrt(x^2 + a)) / 2            threshold       x above a, else b
    soft_shrink   x - a, 0, x + a: above, between, below a and -a
    hard_shrink   x, but 0 between -a and a
    leaky_relu    x, but a x below 0
    elu           x, but a (e^x - 1) below 0
    celu          x, but a (e^(x / a) - 1) below 0
    rectifier     min(x, c) above the threshold b, else a (x - b): Keras's ReLU with all of its arguments

A function is one line for its value and one for its slope; a loop over them is compiled for each with its code as a
constant, so that the choice is made once a chunk. Conditions are such that NaN stays NaN. At corners the slope is
TensorFlow's.
"""

from libc.math cimport erfc, sqrt

from cycnn._native.runtime cimport Buffer
from .activations cimport real_abs, real_exp, real_expm1, real_t, real_tanh, sigmoid_of, softplus_of
from .elementwise cimport Elementwise

cdef extern from "special.h" nogil:
    float normal_below_float(float x, float bell) noexcept

cdef enum:
    SILU
    LOG_SIGMOID
    GELU
    GELU_TANH
    MISH
    TANH_SHRINK
    HARD_SILU
    HARD_TANH
    SPARSE_PLUS
    SPARSE_SIGMOID
    SQUAREPLUS
    THRESHOLD
    SOFT_SHRINK
    HARD_SHRINK
    LEAKY_RELU
    ELU
    CELU
    RECTIFIER

ctypedef void (*pointwise_loop)(
    int code, const void* x, const void* dout, void* out, Py_ssize_t n, double a, double b, double c
) noexcept nogil


cdef int _code(str name) except -1:
    """Return the number of a function, its place in the enumeration above."""
    return (
        "silu", "log_sigmoid", "gelu", "gelu_tanh", "mish", "tanh_shrink", "hard_silu", "hard_tanh", "sparse_plus",
        "sparse_sigmoid", "squareplus", "threshold", "soft_shrink", "hard_shrink", "leaky_relu", "elu", "celu",
        "rectifier",
    ).index(name)


cdef inline real_t _normal_below(real_t x) noexcept nogil:
    """Return how much of the normal distribution lies below x."""
    if real_t is float:
        return normal_below_float(x, real_exp(<real_t> -0.5 * x * x))
    else:
        return 0.5 * erfc(-0.7071067811865476 * x)


cdef inline real_t _gate(real_t x) noexcept nogil:
    """Return (1 + tanh u) / 2 = s(2 u) of gelu_tanh: as a sigmoid its tail is not lost to rounding."""
    cdef real_t one = 1
    return sigmoid_of(<real_t> 1.5957691216057308 * x * (one + <real_t> 0.044715 * x * x))


cdef inline real_t _between(real_t low, real_t x, real_t high) noexcept nogil:
    """Return x cut off at low and high."""
    cdef real_t a = low if x < low else x
    return high if a > high else a


cdef inline real_t _value(int code, real_t x, real_t a, real_t b, real_t c) noexcept nogil:
    """Return f(x)."""
    cdef real_t zero = 0, one = 1, two = 2, three = 3, six = 6, twenty = 20, half = 0.5, quarter = 0.25, e, y, z
    if code == SILU:
        return x * sigmoid_of(x)
    elif code == LOG_SIGMOID:
        return -softplus_of(-x)
    elif code == GELU:
        return x * _normal_below(x)
    elif code == GELU_TANH:
        return x * _gate(x)
    elif code == MISH:  # with e = e^x, 1 + e squared is z + 1, and tanh(ln(1 + e)) is z / (z + 2); it is 1 from 20 on
        e = real_exp(twenty if x > twenty else x)
        z = e * (e + two)
        return x * (z / (z + two))
    elif code == TANH_SHRINK:
        return x - real_tanh(x)
    elif code == HARD_SILU:
        return x * (_between(zero, x + three, six) / six)
    elif code == HARD_TANH:
        return _between(-one, x, one)
    elif code == SPARSE_PLUS:
        y = x if x >= one else quarter * (x + one) * (x + one)
        return zero if x <= -one else y
    elif code == SPARSE_SIGMOID:
        return half * (_between(-one, x, one) + one)
    elif code == SQUAREPLUS:
        z = <real_t> sqrt(x * x + a)
        y = half * a / (z - x)  # the same where x < 0, but nothing cancels
        return y if x < zero else half * (x + z)
    elif code == THRESHOLD:
        return b if x <= a else x
    elif code == SOFT_SHRINK:
        y = x - a if x > zero else x + a
        return zero if real_abs(x) <= a else y
    elif code == HARD_SHRINK:
        return zero if real_abs(x) <= a else x
    elif code == LEAKY_RELU:
        y = a * x
        return x if x > zero else y
    elif code == ELU:
        y = a * real_expm1(x)
        return x if x > zero else y
    elif code == CELU:
        y = a * real_expm1(x / a)
        return x if x > zero else y
    else:  # RECTIFIER; without a slope infinity is no longer multiplied by it
        y = zero if x <= b else x
        z = b - x if x < b else zero
        z = z if a != zero else zero
        return (c if y > c else y) - a * z


cdef inline real_t _slope(int code, real_t x, real_t a, real_t b, real_t c) noexcept nogil:
    """Return f'(x)."""
    cdef real_t zero = 0, one = 1, two = 2, three = 3, four = 4, six = 6, twenty = 20, half = 0.5, e, y, z
    if code == SILU:
        y = sigmoid_of(x)
        return y * (one + x * (one - y))
    elif code == LOG_SIGMOID:
        return sigmoid_of(-x)
    elif code == GELU:
        return _normal_below(x) + x * (<real_t> 0.3989422804014327 * real_exp(-half * x * x))
    elif code == GELU_TANH:  # beyond 20 it is 0 and 1, but its parts overflow
        z = _between(-twenty, x, twenty)
        y = _gate(z)
        e = <real_t> 1.5957691216057308 * (one + <real_t> 0.134145 * z * z)
        return y + z * (y * (one - y)) * e
    elif code == MISH:
        x = twenty if x > twenty else x
        e = real_exp(x)
        z = e * (e + two)
        return z / (z + two) + x * (four * e * (e + one) / ((z + two) * (z + two)))
    elif code == TANH_SHRINK:
        y = real_tanh(x)
        return y * y
    elif code == HARD_SILU:
        z = x + three
        y = x / six if z > zero else zero
        return _between(zero, z, six) / six + (y if z < six else zero)
    elif code == HARD_TANH:
        return one if real_abs(x) <= one else zero
    elif code == SPARSE_PLUS:
        y = one if x >= one else half * (x + one)
        return zero if x <= -one else y
    elif code == SPARSE_SIGMOID:
        return half if real_abs(x) < one else zero
    elif code == SQUAREPLUS:
        return half * (one + x / <real_t> sqrt(x * x + a))
    elif code == THRESHOLD:
        return one if x > a else zero
    elif code == SOFT_SHRINK or code == HARD_SHRINK:
        return one if real_abs(x) > a else zero
    elif code == LEAKY_RELU:
        return one if x > zero else a
    elif code == ELU:
        y = a * real_exp(x)
        return one if x > zero else y
    elif code == CELU:
        y = real_exp(x / a)
        return one if x > zero else y
    else:  # RECTIFIER
        y = one if x <= c else zero
        z = a if x < b else zero
        return (y if x > b else zero) + z


cdef inline void _map(
    int code, const real_t* x, const real_t* dout, real_t* out, Py_ssize_t n, real_t a, real_t b, real_t c
) noexcept nogil:
    cdef Py_ssize_t i
    if dout == NULL:
        for i in range(n):
            out[i] = _value(code, x[i], a, b, c)
    else:
        for i in range(n):
            out[i] = dout[i] * _slope(code, x[i], a, b, c)


cdef void _pointwise(
    int code, const real_t* x, const real_t* dout, real_t* out, Py_ssize_t n, double a, double b, double c
) noexcept nogil:
    """Choose the loop: one for each function, the code of which is a constant to the compiler."""
    cdef real_t p = <real_t> a, q = <real_t> b, r = <real_t> c
    if code == SILU:
        _map(SILU, x, dout, out, n, p, q, r)
    elif code == LOG_SIGMOID:
        _map(LOG_SIGMOID, x, dout, out, n, p, q, r)
    elif code == GELU:
        _map(GELU, x, dout, out, n, p, q, r)
    elif code == GELU_TANH:
        _map(GELU_TANH, x, dout, out, n, p, q, r)
    elif code == MISH:
        _map(MISH, x, dout, out, n, p, q, r)
    elif code == TANH_SHRINK:
        _map(TANH_SHRINK, x, dout, out, n, p, q, r)
    elif code == HARD_SILU:
        _map(HARD_SILU, x, dout, out, n, p, q, r)
    elif code == HARD_TANH:
        _map(HARD_TANH, x, dout, out, n, p, q, r)
    elif code == SPARSE_PLUS:
        _map(SPARSE_PLUS, x, dout, out, n, p, q, r)
    elif code == SPARSE_SIGMOID:
        _map(SPARSE_SIGMOID, x, dout, out, n, p, q, r)
    elif code == SQUAREPLUS:
        _map(SQUAREPLUS, x, dout, out, n, p, q, r)
    elif code == THRESHOLD:
        _map(THRESHOLD, x, dout, out, n, p, q, r)
    elif code == SOFT_SHRINK:
        _map(SOFT_SHRINK, x, dout, out, n, p, q, r)
    elif code == HARD_SHRINK:
        _map(HARD_SHRINK, x, dout, out, n, p, q, r)
    elif code == LEAKY_RELU:
        _map(LEAKY_RELU, x, dout, out, n, p, q, r)
    elif code == ELU:
        _map(ELU, x, dout, out, n, p, q, r)
    elif code == CELU:
        _map(CELU, x, dout, out, n, p, q, r)
    else:
        _map(RECTIFIER, x, dout, out, n, p, q, r)


cdef class Pointwise(Elementwise):
    """out = f(x), or dout f'(x) where dout is not None. `numbers` are the parameters of f: up to three, a, b and c."""

    cdef:
        Buffer x     # IN
        Buffer dout  # IN of x's size, or None
        Buffer out   # OUT of x's size
        int code
        double a, b, c
        pointwise_loop loop

    def __init__(self, Buffer x, Buffer dout, Buffer out, str name, tuple numbers):
        self.x, self.dout, self.out = x, dout, out
        self.size = x.size
        self.code = _code(name)
        self.a, self.b, self.c = (*numbers, 0, 0, 0)[:3]
        self.loop = <pointwise_loop> _pointwise[float] if x.dtype == "float32" else <pointwise_loop> _pointwise[double]

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t at = start * self.x.itemsize
        cdef const char* dout = self.dout.data + at if self.dout is not None else NULL
        self.loop(self.code, self.x.data + at, dout, self.out.data + at, n, self.a, self.b, self.c)
