"""Losses that see a row of targets y and predictions x as a whole.

C columns; sums, maxima and norms are over a row:

    CosineSimilarity   loss = -sum y x / (|y| |x|), a norm of less than 1e-7 counting as that
    CategoricalHinge   loss = max(max((1 - y) x) - sum y x + 1, 0)
    OverlapLoss        loss = 1 - a I / (b I + c sum y + d sum x + 1e-7), I = sum y x
                       Dice: a, b, c, d = 2, 0, 1, 1;  Tversky: 1, 1 - alpha - beta, alpha, beta

The definitions are Keras's. The slope of a maximum is shared by the numbers that are it. For the overlap a row may be
a whole batch of masks: it is summed in pieces in float, and the pieces in double.
"""

from libc.math cimport sqrt

from cycnn._native.runtime cimport Buffer
from .activations cimport real_t
from .losses cimport Loss, loss_loop
from .rows cimport row_dot, row_sum

cdef enum:
    PIECE = 4096


cdef void _cosine_similarity(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, const double* options
) noexcept nogil:
    cdef:
        Py_ssize_t r, i, first
        double tiny = 1e-7, y_norm, x_norm, cosine
        real_t along, back
    for r in range(rows):
        first = r * columns
        y_norm = sqrt(row_dot(y + first, y + first, columns))
        x_norm = sqrt(row_dot(x + first, x + first, columns))
        y_norm = tiny if y_norm < tiny else y_norm
        along = <real_t> (-share / (y_norm * (tiny if x_norm < tiny else x_norm)))
        cosine = row_dot(y + first, x + first, columns) / (y_norm * (tiny if x_norm < tiny else x_norm))
        losses[r] = <real_t> -cosine
        if dx != NULL:
            back = 0 if x_norm < tiny else <real_t> (share * cosine / (x_norm * x_norm))
            for i in range(first, first + columns):
                dx[i] = along * y[i] + back * x[i]


cdef void _categorical_hinge(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, const double* options
) noexcept nogil:
    cdef:
        Py_ssize_t r, i, first, ties
        real_t one = 1, worst, loss, part = <real_t> share, each
    for i in range(rows * columns):
        p[i] = (one - y[i]) * x[i]
    for r in range(rows):
        first = r * columns
        worst = p[first]
        for i in range(first, first + columns):
            worst = worst if p[i] < worst else p[i]
        loss = worst - row_dot(y + first, x + first, columns) + one
        losses[r] = 0 if loss < 0 else loss
        if dx != NULL:
            ties = 0
            for i in range(first, first + columns):
                ties += p[i] == worst
            each = part / <real_t> max(<Py_ssize_t> 1, ties)
            for i in range(first, first + columns):
                dx[i] = 0 if loss < 0 else (each * (one - y[i]) if p[i] == worst else 0) - part * y[i]


cdef inline double _long_sum(const real_t* a, Py_ssize_t n) noexcept nogil:
    """Return the sum of a[i]."""
    cdef double total = 0
    cdef Py_ssize_t piece
    for piece in range((n + PIECE - 1) // PIECE):
        total += row_sum(a + piece * PIECE, min(<Py_ssize_t> PIECE, n - piece * PIECE))
    return total


cdef inline double _long_dot(const real_t* a, const real_t* b, Py_ssize_t n) noexcept nogil:
    """Return the sum of a[i] * b[i]."""
    cdef double total = 0
    cdef Py_ssize_t piece
    for piece in range((n + PIECE - 1) // PIECE):
        total += row_dot(a + piece * PIECE, b + piece * PIECE, min(<Py_ssize_t> PIECE, n - piece * PIECE))
    return total


cdef void _overlap(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, const double* options
) noexcept nogil:
    cdef:
        Py_ssize_t r, i, first
        double above = options[0], below = options[1], both, divisor, ratio
        real_t of_y, of_all
    for r in range(rows):
        first = r * columns
        both = _long_dot(y + first, x + first, columns)
        divisor = below * both + 1e-7
        divisor += options[2] * _long_sum(y + first, columns) + options[3] * _long_sum(x + first, columns)
        ratio = above * both / divisor
        losses[r] = <real_t> (1 - ratio)
        if dx != NULL:
            of_y = <real_t> (share * (ratio * below - above) / divisor)
            of_all = <real_t> (share * ratio * options[3] / divisor)
            for i in range(first, first + columns):
                dx[i] = of_y * y[i] + of_all


cdef class CosineSimilarity(Loss):
    """Minus the cosine of the angle between the target and the prediction."""

    def __init__(
        self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, Buffer weights,
        double scale, bint average
    ):
        super().__init__(y_true, x, None, losses, dx, weights, scale, average)
        if x.dtype == "float32":
            self.loop = <loss_loop> _cosine_similarity[float]
        else:
            self.loop = <loss_loop> _cosine_similarity[double]


cdef class CategoricalHinge(Loss):
    """By how much the right class is not ahead of the best wrong one by 1."""

    def __init__(
        self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, Buffer weights,
        double scale, bint average
    ):
        super().__init__(y_true, x, None, losses, dx, weights, scale, average)
        if x.dtype == "float32":
            self.loop = <loss_loop> _categorical_hinge[float]
        else:
            self.loop = <loss_loop> _categorical_hinge[double]


cdef class OverlapLoss(Loss):
    """One minus the overlap of two masks; `losses` has one number for each set of numbers that makes a mask."""

    def __init__(
        self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, Buffer weights,
        double scale, bint average, double a, double b, double c, double d
    ):
        super().__init__(y_true, x, None, losses, dx, weights, scale, average)
        self.options[0], self.options[1], self.options[2], self.options[3] = a, b, c, d
        self.scratch = 0
        self.loop = <loss_loop> _overlap[float] if x.dtype == "float32" else <loss_loop> _overlap[double]
