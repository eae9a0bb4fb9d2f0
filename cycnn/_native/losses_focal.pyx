"""Focal losses: cross-entropies in which what is already right counts little (Lin et al., 2017).

R rows, C columns; x are logits or probabilities, y the truth, g is gamma:

    CategoricalFocalCrossentropy  loss = -sum_j alpha_j (1 - q_j)^g y_j log q_j, q = clip(x / sum_k x_k)
    BinaryFocalCrossentropy       loss = mean_j w_j (1 - t_j)^g b_j, t = y x + (1 - y) (1 - x),
                                  b = -y log q - (1 - y) log(1 - q), q = clip(x),
                                  w = alpha y + (1 - alpha) (1 - y), or 1 without balancing

The definitions are Keras's; clip is to [1e-7, 1 - 1e-7] and has no slope outside. Logits first become the
probabilities x, softmax or sigmoid, whose derivative multiplies the gradient at the end.
"""

from libc.math cimport pow, powf

from cycnn._native.runtime cimport Buffer, Memory
from .activations cimport SIGMOID, activate, real_t
from .losses cimport Loss, clip, loss_loop, real_log
from .rows cimport exponentiate, row_dot, row_sum, scale_row, shift_rows


cdef inline real_t _power(real_t x, real_t exponent) noexcept nogil:
    if real_t is float:
        return powf(x, exponent)
    else:
        return pow(x, exponent)


cdef inline real_t _power_slope(real_t x, real_t exponent) noexcept nogil:
    """Return the derivative of x^exponent to x, 0 for a constant even at x = 0."""
    return 0 if exponent == 0 else exponent * _power(x, exponent - 1)


cdef void _categorical_focal(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, const double* options
) noexcept nogil:
    cdef:
        Py_ssize_t r, i, j, first
        real_t one = 1, gamma = <real_t> options[0], total, loss, q, wrong, factor, mean
        bint from_logits = options[1] != 0
    if from_logits:
        shift_rows(x, p, rows, columns)
        exponentiate(p, rows * columns)
    for r in range(rows):
        first = r * columns
        if from_logits:
            total = row_sum(p + first, columns)
            scale_row(p + first, one / total, columns)
        else:
            total = row_sum(x + first, columns)
            for i in range(first, first + columns):
                p[i] = x[i] / total
        loss = 0
        for j in range(columns):
            i = first + j
            q = clip(p[i])
            wrong = one - q
            factor = -<real_t> options[2 + j] * y[i]
            loss += factor * _power(wrong, gamma) * real_log(q)
            if dx != NULL:
                dx[i] = factor * (_power(wrong, gamma) / q - _power_slope(wrong, gamma) * real_log(q))
                dx[i] = 0 if q != p[i] and p[i] == p[i] else dx[i]
        losses[r] = loss
        if dx != NULL:
            mean = row_dot(dx + first, p + first, columns)
            for i in range(first, first + columns):
                factor = <real_t> share * p[i] if from_logits else <real_t> share / total
                dx[i] = factor * (dx[i] - mean)


cdef void _binary_focal(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, const double* options
) noexcept nogil:
    cdef:
        Py_ssize_t r, i
        real_t one = 1, alpha = <real_t> options[0], gamma = <real_t> options[1], part = <real_t> (share / columns)
        real_t loss, q, wrong, weight, entropy, turn
        bint balanced = options[2] != 0, from_logits = options[3] != 0
    for i in range(rows * columns):
        p[i] = x[i]
    if from_logits:
        activate(SIGMOID, p, rows * columns)
    for r in range(rows):
        loss = 0
        for i in range(r * columns, (r + 1) * columns):
            q = clip(p[i])
            wrong = one - (y[i] * p[i] + (one - y[i]) * (one - p[i]))
            weight = alpha * y[i] + (one - alpha) * (one - y[i]) if balanced else one
            entropy = -y[i] * real_log(q) - (one - y[i]) * real_log(one - q)
            loss += weight * _power(wrong, gamma) * entropy
            if dx != NULL:
                turn = (one - y[i]) / (one - q) - y[i] / q
                turn = 0 if q != p[i] and p[i] == p[i] else turn
                turn = _power(wrong, gamma) * turn - _power_slope(wrong, gamma) * (2 * y[i] - one) * entropy
                dx[i] = part * weight * turn * (p[i] * (one - p[i]) if from_logits else one)
        losses[r] = loss / columns


cdef class CategoricalFocalCrossentropy(Loss):
    """Focal cross-entropy with a distribution over the columns as truth; `alpha` is a tuple of one float per column.

    From logits, `probabilities` receives their softmax.
    """

    cdef Memory memory  # the options: gamma, whether from logits, alpha

    def __init__(
        self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, Buffer weights,
        double scale, bint average, bint from_logits, double label_smoothing, tuple alpha, double gamma
    ):
        cdef Py_ssize_t i
        super().__init__(y_true, x, probabilities if from_logits else None, losses, dx, weights, scale, average)
        self.smooth(label_smoothing, self.columns)
        self.memory = Memory((2 + self.columns) * sizeof(double))
        self.options = <double*> self.memory.data
        self.options[0], self.options[1] = gamma, from_logits
        for i in range(self.columns):
            self.options[2 + i] = alpha[i]
        if x.dtype == "float32":
            self.loop = <loss_loop> _categorical_focal[float]
        else:
            self.loop = <loss_loop> _categorical_focal[double]


cdef class BinaryFocalCrossentropy(Loss):
    """Focal cross-entropy of each column for itself, averaged over the columns.

    From logits, `probabilities` receives their sigmoid.
    """

    def __init__(
        self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, Buffer weights,
        double scale, bint average, bint from_logits, double label_smoothing, double alpha, double gamma, bint balanced
    ):
        super().__init__(y_true, x, probabilities if from_logits else None, losses, dx, weights, scale, average)
        self.smooth(label_smoothing, 2)
        self.options[0], self.options[1], self.options[2], self.options[3] = alpha, gamma, balanced, from_logits
        self.loop = <loss_loop> _binary_focal[float] if x.dtype == "float32" else <loss_loop> _binary_focal[double]
