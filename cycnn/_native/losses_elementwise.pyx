"""Losses that are the mean, or the sum, of a function of each target y and prediction x: a table of functions.

                                    f(y, x)                                                  mean or sum over C columns
    mean_squared_error              (x - y)^2                                                mean
    mean_absolute_error             |x - y|                                                  mean
    mean_absolute_percentage_error  100 |x - y| / max(|y|, u)                                mean
    mean_squared_logarithmic_error  (log(1 + max(x, u)) - log(1 + max(y, u)))^2              mean
    huber                           e^2 / 2 where |e| <= a, a |e| - a^2 / 2 elsewhere        mean; e = x - y
    log_cosh                        log cosh(x - y)                                          mean
    kl_divergence                   y log(y / x), both clipped to [u, 1]                     sum
    poisson                         x - y log(x + u)                                         mean
    hinge                           max(1 - y x, 0)                                          mean
    squared_hinge                   max(1 - y x, 0)^2                                        mean

The definitions are Keras's, u = 1e-7. Where f has a kink its slope is that of TensorFlow: 0 for |e| at 0. For the
hinges, targets that are all 0 or 1 stand for -1 and 1.

`value` and `slope` are inlined with a constant `kind`, so that every function has a loop of its own without a branch.
"""

from cycnn._native.runtime cimport Buffer
from .activations cimport real_exp, real_t, real_tanh
from .losses cimport Loss, loss_loop, real_log, real_log1p
from .rows cimport row_sum

cdef enum:
    SQUARED
    ABSOLUTE
    PERCENTAGE
    LOGARITHMIC
    HUBER
    LOG_COSH
    DIVERGENCE
    POISSON
    HINGE
    SQUARED_HINGE

NAMES = (
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error",
    "huber", "log_cosh", "kl_divergence", "poisson", "hinge", "squared_hinge",
)


cdef inline real_t _magnitude(real_t x) noexcept nogil:
    return -x if x < 0 else x


cdef inline real_t _sign(real_t x) noexcept nogil:
    """Return -1, 1, or x itself where it is zero or NaN."""
    cdef real_t one = 1
    return one if x > 0 else -one if x < 0 else x


cdef inline real_t _between(real_t x, real_t low, real_t high) noexcept nogil:
    """Return x within bounds; NaN stays NaN."""
    return low if x < low else high if x > high else x


cdef inline real_t value(int kind, real_t y, real_t x, real_t a) noexcept nogil:
    """Return f(y, x)."""
    cdef real_t one = 1, half = 0.5, two = 2, tiny = 1e-7, ln_2 = 0.6931471805599453, e = x - y, size
    if kind == SQUARED:
        return e * e
    elif kind == ABSOLUTE:
        return _magnitude(e)
    elif kind == PERCENTAGE:
        size = _magnitude(y)
        return 100 * _magnitude(e) / (tiny if size < tiny else size)
    elif kind == LOGARITHMIC:
        e = real_log1p(tiny if x < tiny else x) - real_log1p(tiny if y < tiny else y)
        return e * e
    elif kind == HUBER:
        size = _magnitude(e)
        return half * e * e if size <= a else a * size - half * a * a
    elif kind == LOG_COSH:
        size = _magnitude(e)
        return size + real_log1p(real_exp(-two * size)) - ln_2
    elif kind == DIVERGENCE:
        y = _between(y, tiny, one)
        return y * real_log(y / _between(x, tiny, one))
    elif kind == POISSON:
        return x - y * real_log(x + tiny)
    size = one - y * x
    size = 0 if size < 0 else size
    return size if kind == HINGE else size * size


cdef inline real_t slope(int kind, real_t y, real_t x, real_t a) noexcept nogil:
    """Return the derivative of f(y, x) to x."""
    cdef real_t one = 1, two = 2, tiny = 1e-7, e = x - y, size
    if kind == SQUARED:
        return two * e
    elif kind == ABSOLUTE:
        return _sign(e)
    elif kind == PERCENTAGE:
        size = _magnitude(y)
        return 100 * _sign(e) / (tiny if size < tiny else size)
    elif kind == LOGARITHMIC:
        e = real_log1p(tiny if x < tiny else x) - real_log1p(tiny if y < tiny else y)
        return 0 if x < tiny else two * e / (x + one)
    elif kind == HUBER:
        return e if _magnitude(e) <= a else a * _sign(e)
    elif kind == LOG_COSH:
        return real_tanh(e)
    elif kind == DIVERGENCE:
        return 0 if x < tiny or x > one else -_between(y, tiny, one) / x
    elif kind == POISSON:
        return one - y / (x + tiny)
    size = one - y * x
    if kind == HINGE:
        return 0 if size < 0 else -y
    return 0 if size < 0 else -two * y * size


cdef inline void apply(
    int kind, const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, real_t a
) noexcept nogil:
    """Compute the losses and slopes of rows."""
    cdef:
        Py_ssize_t r, i
        real_t divisor = 1 if kind == DIVERGENCE else <real_t> columns
        real_t part = <real_t> (share / divisor)
    for i in range(rows * columns):
        p[i] = value(kind, y[i], x[i], a)
    for r in range(rows):
        losses[r] = row_sum(p + r * columns, columns) / divisor
    if dx != NULL:
        for i in range(rows * columns):
            dx[i] = part * slope(kind, y[i], x[i], a)


cdef void _elementwise(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, const double* options
) noexcept nogil:
    """Choose the loop of the function whose number is options[0]; options[1] is its parameter a."""
    cdef int kind = <int> options[0]
    cdef real_t a = <real_t> options[1]
    if kind == SQUARED:
        apply(SQUARED, y, x, p, losses, dx, rows, columns, share, a)
    elif kind == ABSOLUTE:
        apply(ABSOLUTE, y, x, p, losses, dx, rows, columns, share, a)
    elif kind == PERCENTAGE:
        apply(PERCENTAGE, y, x, p, losses, dx, rows, columns, share, a)
    elif kind == LOGARITHMIC:
        apply(LOGARITHMIC, y, x, p, losses, dx, rows, columns, share, a)
    elif kind == HUBER:
        apply(HUBER, y, x, p, losses, dx, rows, columns, share, a)
    elif kind == LOG_COSH:
        apply(LOG_COSH, y, x, p, losses, dx, rows, columns, share, a)
    elif kind == DIVERGENCE:
        apply(DIVERGENCE, y, x, p, losses, dx, rows, columns, share, a)
    elif kind == POISSON:
        apply(POISSON, y, x, p, losses, dx, rows, columns, share, a)
    elif kind == HINGE:
        apply(HINGE, y, x, p, losses, dx, rows, columns, share, a)
    else:
        apply(SQUARED_HINGE, y, x, p, losses, dx, rows, columns, share, a)


cdef bint _binary(const real_t* y, Py_ssize_t n) noexcept nogil:
    """Return whether all numbers are 0 or 1."""
    cdef Py_ssize_t i
    for i in range(n):
        if y[i] != 0 and y[i] != 1:
            return False
    return True


cdef class ElementwiseLoss(Loss):
    """The loss that `name` is in the table; `parameter` is its a, 0 where it has none."""

    cdef bint hinge

    def __init__(
        self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, Buffer weights,
        double scale, bint average, str name, double parameter
    ):
        super().__init__(y_true, x, None, losses, dx, weights, scale, average)
        kind = NAMES.index(name)
        self.options[0], self.options[1] = kind, parameter
        self.hinge = kind in (HINGE, SQUARED_HINGE)
        if self.hinge:
            self.smooth(0, 1)
        self.loop = <loss_loop> _elementwise[float] if x.dtype == "float32" else <loss_loop> _elementwise[double]

    cdef void prepare(self) noexcept nogil:
        """Let targets of 0 and 1 be -1 and 1."""
        cdef bint binary
        if self.hinge:
            if self.x.itemsize == sizeof(float):
                binary = _binary(<const float*> self.y_true.data, self.y_true.size)
            else:
                binary = _binary(<const double*> self.y_true.data, self.y_true.size)
            self.gain, self.offset = (2, -1) if binary else (1, 0)
