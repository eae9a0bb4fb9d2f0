"""Cross-entropies, of one class among several and of decisions each for itself.

R rows, C columns; x are logits or probabilities, y the truth (one hot where it is given as a label):

    SparseCategoricalCrossentropy, CategoricalCrossentropy
        logits         loss = sum_j y_j (log sum_k e^x_k - x_j)            dx = (p sum_j y_j - y) / R, p = softmax(x)
        probabilities  loss = -sum_j y_j log q_j, q = clip(p), p = x / sum_k x_k
    BinaryCrossentropy
        logits         loss = mean_j (max(x_j, 0) - x_j y_j + log(1 + e^-|x_j|))    dx = (sigmoid(x) - y) / (C R)
        probabilities  loss = -mean_j (y_j log q_j + (1 - y_j) log(1 - q_j)), q = clip(x)

The definitions are Keras's; clip is to [1e-7, 1 - 1e-7] and has no slope outside. From logits, no logarithm is taken
of a softmax or a sigmoid: nothing overflows, and nothing vanishes. The exponentials of a block of rows are computed in
one loop, so that short rows fill vectors too.
"""

from libc.math cimport NAN
from libc.stdint cimport int32_t

from cycnn._native.runtime cimport Buffer
from .activations cimport SIGMOID, activate, real_exp, real_t
from .losses cimport Loss, clip, loss_loop, real_log, real_log1p
from .rows cimport exponentiate, row_dot, row_sum, scale_row, shift_rows


cdef void _sparse_from_logits(
    const int32_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, const double* options
) noexcept nogil:
    cdef:
        Py_ssize_t r, i, first
        real_t total, part
    shift_rows(x, p, rows, columns)
    for r in range(rows):
        losses[r] = -p[r * columns + y[r]] if 0 <= y[r] < columns else NAN
    exponentiate(p, rows * columns)
    for r in range(rows):
        first = r * columns
        total = row_sum(p + first, columns)
        losses[r] += real_log(total)
        scale_row(p + first, 1 / total, columns)
        if dx != NULL:
            part = <real_t> share if 0 <= y[r] < columns else NAN
            for i in range(first, first + columns):
                dx[i] = part * p[i]
            if 0 <= y[r] < columns:
                dx[first + y[r]] -= part


cdef void _sparse_from_probabilities(
    const int32_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, const double* options
) noexcept nogil:
    cdef:
        Py_ssize_t r, i, first
        real_t total, chosen, clipped, slope, others
    for r in range(rows):
        first = r * columns
        total = row_sum(x + first, columns)
        chosen = x[first + y[r]] / total if 0 <= y[r] < columns else NAN
        clipped = clip(chosen)
        losses[r] = -real_log(clipped)
        if dx != NULL:
            slope = -<real_t> share / (clipped * total) if clipped == chosen else 0
            others = -slope * chosen  # all share in the sum that divides the chosen one
            for i in range(first, first + columns):
                dx[i] = others
            if 0 <= y[r] < columns:
                dx[first + y[r]] += slope


cdef void _categorical_from_logits(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, const double* options
) noexcept nogil:
    cdef:
        Py_ssize_t r, i, first
        real_t total, mass, part = <real_t> share
    shift_rows(x, p, rows, columns)
    for r in range(rows):
        losses[r] = -row_dot(y + r * columns, p + r * columns, columns)
    exponentiate(p, rows * columns)
    for r in range(rows):
        first = r * columns
        total = row_sum(p + first, columns)
        mass = row_sum(y + first, columns)
        losses[r] += mass * real_log(total)
        scale_row(p + first, 1 / total, columns)
        if dx != NULL:
            for i in range(first, first + columns):
                dx[i] = part * (mass * p[i] - y[i])


cdef void _categorical_from_probabilities(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, const double* options
) noexcept nogil:
    cdef:
        Py_ssize_t r, i, first
        real_t total, loss, clipped, mean
    for r in range(rows):
        first = r * columns
        total = row_sum(x + first, columns)
        loss = 0
        for i in range(first, first + columns):
            p[i] = x[i] / total
            loss -= y[i] * real_log(clip(p[i]))
        losses[r] = loss
        if dx != NULL:
            for i in range(first, first + columns):
                clipped = clip(p[i])
                dx[i] = -y[i] / clipped if clipped == p[i] else 0
            mean = row_dot(dx + first, p + first, columns)
            for i in range(first, first + columns):
                dx[i] = (dx[i] - mean) * (<real_t> share / total)


cdef void _binary_from_logits(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, const double* options
) noexcept nogil:
    cdef:
        Py_ssize_t r, i
        real_t loss, part = <real_t> (share / columns)
    for i in range(rows * columns):
        p[i] = real_exp(x[i] if x[i] < 0 else -x[i])
    for r in range(rows):
        loss = 0
        for i in range(r * columns, (r + 1) * columns):
            loss += (x[i] if x[i] > 0 else 0) - x[i] * y[i] + real_log1p(p[i])
        losses[r] = loss / columns
    for i in range(rows * columns):
        p[i] = x[i]
    activate(SIGMOID, p, rows * columns)
    if dx != NULL:
        for i in range(rows * columns):
            dx[i] = part * (p[i] - y[i])


cdef void _binary_from_probabilities(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double share, const double* options
) noexcept nogil:
    cdef:
        Py_ssize_t r, i
        real_t loss, clipped, part = <real_t> (share / columns)
    for r in range(rows):
        loss = 0
        for i in range(r * columns, (r + 1) * columns):
            clipped = clip(x[i])
            loss -= y[i] * real_log(clipped) + (1 - y[i]) * real_log(1 - clipped)
        losses[r] = loss / columns
    if dx != NULL:
        for i in range(rows * columns):
            clipped = clip(x[i])
            dx[i] = part * (clipped - y[i]) / (clipped * (1 - clipped)) if clipped == x[i] else 0


cdef class SparseCategoricalCrossentropy(Loss):
    """Cross-entropy with labels, int32 (rows,). A label of no column gives NaN, but `ignore_class`, an int or None.

    From logits, `probabilities` receives their softmax.
    """

    def __init__(
        self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, Buffer weights,
        double scale, bint average, bint from_logits, ignore_class
    ):
        super().__init__(y_true, x, probabilities if from_logits else None, losses, dx, weights, scale, average)
        self.ignoring = ignore_class is not None
        self.ignored = ignore_class or 0
        if x.dtype == "float32":
            self.loop = <loss_loop> (_sparse_from_logits[float] if from_logits else _sparse_from_probabilities[float])
        else:
            self.loop = <loss_loop> (_sparse_from_logits[double] if from_logits else _sparse_from_probabilities[double])

    cdef void prepare(self) noexcept nogil:
        """Let the mean be that of the rows that are not ignored."""
        cdef:
            const int32_t* labels = <const int32_t*> self.y_true.data
            Py_ssize_t r, valid = 0
        if self.ignoring and self.average:
            for r in range(self.rows):
                valid += labels[r] != self.ignored
            self.factor = <double> self.rows / max(<Py_ssize_t> 1, valid)


cdef class CategoricalCrossentropy(Loss):
    """Cross-entropy with a distribution over the columns as truth.

    From logits, `probabilities` receives their softmax.
    """

    def __init__(
        self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, Buffer weights,
        double scale, bint average, bint from_logits, double label_smoothing
    ):
        super().__init__(y_true, x, probabilities if from_logits else None, losses, dx, weights, scale, average)
        self.smooth(label_smoothing, self.columns)
        if x.dtype == "float32":
            self.loop = <loss_loop> (
                _categorical_from_logits[float] if from_logits else _categorical_from_probabilities[float]
            )
        else:
            self.loop = <loss_loop> (
                _categorical_from_logits[double] if from_logits else _categorical_from_probabilities[double]
            )


cdef class BinaryCrossentropy(Loss):
    """Cross-entropy of each column for itself, averaged over the columns.

    From logits, `probabilities` receives their sigmoid.
    """

    def __init__(
        self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, Buffer weights,
        double scale, bint average, bint from_logits, double label_smoothing
    ):
        super().__init__(y_true, x, probabilities if from_logits else None, losses, dx, weights, scale, average)
        self.smooth(label_smoothing, 2)
        if x.dtype == "float32":
            self.loop = <loss_loop> (_binary_from_logits[float] if from_logits else _binary_from_probabilities[float])
        else:
            self.loop = <loss_loop> (_binary_from_logits[double] if from_logits else _binary_from_probabilities[double])
