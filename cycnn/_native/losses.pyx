"""Losses of each row, and the gradient of their mean over the rows.

R rows, C columns; x are logits or probabilities, y the truth (one hot where it is given as a label):

    SparseCategoricalCrossentropy, CategoricalCrossentropy
        logits         loss = sum_j y_j (log sum_k e^x_k - x_j)            dx = (p sum_j y_j - y) / R, p = softmax(x)
        probabilities  loss = -sum_j y_j log q_j, q = clip(p), p = x / sum_k x_k
    BinaryCrossentropy
        logits         loss = mean_j (max(x_j, 0) - x_j y_j + log(1 + e^-|x_j|))    dx = (sigmoid(x) - y) / (C R)
        probabilities  loss = -mean_j (y_j log q_j + (1 - y_j) log(1 - q_j)), q = clip(x)
    MeanSquaredError   loss = mean_j (x_j - y_j)^2                             dx = 2 (x - y) / (C R)

The definitions are Keras's; clip is to [1e-7, 1 - 1e-7] and has no slope outside. From logits, no logarithm is taken
of a softmax or a sigmoid: nothing overflows, and nothing vanishes.

A task is a block of whole rows, and every loop is over a block. It writes dx last, so dx may be x.
"""

from libc.math cimport NAN, log, log1p, log1pf, logf
from libc.stdint cimport int32_t

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport SIGMOID, activate, real_exp, real_t
from .rows cimport exponentiate, row_dot, row_sum, rows_per_task, scale_row, shift_rows

# `p` has room for a block of numbers: it is where the probabilities go, or scratch memory. `dx` may be NULL.
# `weight` is that of a row in the mean, 1 / R.
ctypedef void (*loss_loop)(
    const void* y, const void* x, void* p, void* losses, void* dx, Py_ssize_t rows, Py_ssize_t columns, double weight
) noexcept nogil


cdef inline real_t _log(real_t x) noexcept nogil:
    if real_t is float:
        return logf(x)
    else:
        return log(x)


cdef inline real_t _log1p(real_t x) noexcept nogil:
    if real_t is float:
        return log1pf(x)
    else:
        return log1p(x)


cdef inline real_t _clip(real_t p) noexcept nogil:
    """Return p within Keras's bounds of a probability; NaN stays NaN."""
    cdef real_t low = 1e-7, high = 1 - 1e-7
    return low if p < low else high if p > high else p


cdef void _sparse_from_logits(
    const int32_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double weight
) noexcept nogil:
    cdef:
        Py_ssize_t r, i, first
        real_t total, share
    shift_rows(x, p, rows, columns)
    for r in range(rows):
        losses[r] = -p[r * columns + y[r]] if 0 <= y[r] < columns else NAN
    exponentiate(p, rows * columns)
    for r in range(rows):
        first = r * columns
        total = row_sum(p + first, columns)
        losses[r] += _log(total)
        scale_row(p + first, 1 / total, columns)
        if dx != NULL:
            share = <real_t> weight if 0 <= y[r] < columns else NAN
            for i in range(first, first + columns):
                dx[i] = share * p[i]
            if 0 <= y[r] < columns:
                dx[first + y[r]] -= share


cdef void _sparse_from_probabilities(
    const int32_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double weight
) noexcept nogil:
    cdef:
        Py_ssize_t r, i, first
        real_t total, chosen, clipped, slope, others
    for r in range(rows):
        first = r * columns
        total = row_sum(x + first, columns)
        chosen = x[first + y[r]] / total if 0 <= y[r] < columns else NAN
        clipped = _clip(chosen)
        losses[r] = -_log(clipped)
        if dx != NULL:
            slope = -<real_t> weight / (clipped * total) if clipped == chosen else 0
            others = -slope * chosen  # all share in the sum that divides the chosen one
            for i in range(first, first + columns):
                dx[i] = others
            if 0 <= y[r] < columns:
                dx[first + y[r]] += slope


cdef void _categorical_from_logits(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double weight
) noexcept nogil:
    cdef:
        Py_ssize_t r, i, first
        real_t total, mass, share = <real_t> weight
    shift_rows(x, p, rows, columns)
    for r in range(rows):
        losses[r] = -row_dot(y + r * columns, p + r * columns, columns)
    exponentiate(p, rows * columns)
    for r in range(rows):
        first = r * columns
        total = row_sum(p + first, columns)
        mass = row_sum(y + first, columns)
        losses[r] += mass * _log(total)
        scale_row(p + first, 1 / total, columns)
        if dx != NULL:
            for i in range(first, first + columns):
                dx[i] = share * (mass * p[i] - y[i])


cdef void _categorical_from_probabilities(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double weight
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
            loss -= y[i] * _log(_clip(p[i]))
        losses[r] = loss
        if dx != NULL:
            for i in range(first, first + columns):
                clipped = _clip(p[i])
                dx[i] = -y[i] / clipped if clipped == p[i] else 0
            mean = row_dot(dx + first, p + first, columns)
            for i in range(first, first + columns):
                dx[i] = (dx[i] - mean) * (<real_t> weight / total)


cdef void _binary_from_logits(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double weight
) noexcept nogil:
    cdef:
        Py_ssize_t r, i
        real_t loss, share = <real_t> (weight / columns)
    for i in range(rows * columns):
        p[i] = real_exp(x[i] if x[i] < 0 else -x[i])
    for r in range(rows):
        loss = 0
        for i in range(r * columns, (r + 1) * columns):
            loss += (x[i] if x[i] > 0 else 0) - x[i] * y[i] + _log1p(p[i])
        losses[r] = loss / columns
    for i in range(rows * columns):
        p[i] = x[i]
    activate(SIGMOID, p, rows * columns)
    if dx != NULL:
        for i in range(rows * columns):
            dx[i] = share * (p[i] - y[i])


cdef void _binary_from_probabilities(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double weight
) noexcept nogil:
    cdef:
        Py_ssize_t r, i
        real_t loss, clipped, share = <real_t> (weight / columns)
    for r in range(rows):
        loss = 0
        for i in range(r * columns, (r + 1) * columns):
            clipped = _clip(x[i])
            loss -= y[i] * _log(clipped) + (1 - y[i]) * _log(1 - clipped)
        losses[r] = loss / columns
    if dx != NULL:
        for i in range(rows * columns):
            clipped = _clip(x[i])
            dx[i] = share * (clipped - y[i]) / (clipped * (1 - clipped)) if clipped == x[i] else 0


cdef void _mean_squared_error(
    const real_t* y, const real_t* x, real_t* p, real_t* losses, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double weight
) noexcept nogil:
    cdef:
        Py_ssize_t r, i
        real_t share = <real_t> (2 * weight / columns)
    for i in range(rows * columns):
        p[i] = x[i] - y[i]
    for r in range(rows):
        losses[r] = row_dot(p + r * columns, p + r * columns, columns) / columns
    if dx != NULL:
        for i in range(rows * columns):
            dx[i] = share * p[i]


cdef class Loss(Step):
    """The loss of each row, divided into blocks of rows that `loop` works on."""

    cdef:
        Buffer y_true         # IN
        Buffer x              # IN: the last axis has the columns
        Buffer probabilities  # OUT, of x's shape, or None
        Buffer losses         # OUT, a number per row
        Buffer dx             # OUT, of x's shape, or None; may be x
        Py_ssize_t rows, columns, block, y_bytes
        loss_loop loop

    def __init__(self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx):
        self.y_true, self.x, self.probabilities, self.losses, self.dx = y_true, x, probabilities, losses, dx
        self.rows = losses.size
        self.columns = x.shape[len(x.shape) - 1]
        self.block = rows_per_task(self.columns)
        self.y_bytes = y_true.nbytes // max(self.rows, 1)  # of one row
        self.scratch = self.block * self.columns * x.itemsize

    cdef void run(self) noexcept nogil:
        self.split((self.rows + self.block - 1) // self.block, 16.0 * self.x.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t start = i * self.block, at = start * self.columns * self.x.itemsize
            char* p = scratch if self.probabilities is None else self.probabilities.data + at
            char* dx = NULL if self.dx is None else self.dx.data + at
        self.loop(
            self.y_true.data + start * self.y_bytes, self.x.data + at, p, self.losses.data + start * self.x.itemsize,
            dx, min(self.block, self.rows - start), self.columns, 1.0 / self.rows
        )


cdef class SparseCategoricalCrossentropy(Loss):
    """Cross-entropy with labels, int32 (rows,). A label that is no column gives NaN.

    From logits, `probabilities` receives their softmax.
    """

    def __init__(self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, bint from_logits):
        super().__init__(y_true, x, probabilities if from_logits else None, losses, dx)
        if x.dtype == "float32":
            self.loop = <loss_loop> (_sparse_from_logits[float] if from_logits else _sparse_from_probabilities[float])
        else:
            self.loop = <loss_loop> (_sparse_from_logits[double] if from_logits else _sparse_from_probabilities[double])


cdef class CategoricalCrossentropy(Loss):
    """Cross-entropy with a distribution over the columns as truth.

    From logits, `probabilities` receives their softmax.
    """

    def __init__(self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, bint from_logits):
        super().__init__(y_true, x, probabilities if from_logits else None, losses, dx)
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

    def __init__(self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, bint from_logits):
        super().__init__(y_true, x, probabilities if from_logits else None, losses, dx)
        if x.dtype == "float32":
            self.loop = <loss_loop> (_binary_from_logits[float] if from_logits else _binary_from_probabilities[float])
        else:
            self.loop = <loss_loop> (_binary_from_logits[double] if from_logits else _binary_from_probabilities[double])


cdef class MeanSquaredError(Loss):
    """The squared difference, averaged over the columns."""

    def __init__(self, Buffer y_true, Buffer x, Buffer losses, Buffer dx):
        super().__init__(y_true, x, None, losses, dx)
        if x.dtype == "float32":
            self.loop = <loss_loop> _mean_squared_error[float]
        else:
            self.loop = <loss_loop> _mean_squared_error[double]
