"""What all losses have in common: the loss of each row, and the gradient of their weighted mean or sum.

R rows, C columns; a row r has the loss l_r and the weight w_r, 1 without weights:

    losses[r] = w_r l_r
    dx        = the gradient of scale * sum_r w_r l_r / R to x, or without R for a sum

The weights are n numbers with n a divisor of R, each for R / n rows that follow one another: one for each image or one
for each pixel. Rows to be ignored are those of a label: their losses are 0, and the mean is over the others, which
w_r R / (rows not ignored) amounts to.

A task is a block of whole rows. A family brings a loop over a block for w_r = 1; what comes before it, targets that
are gain y + offset (smoothed, or -1 and 1 for 0 and 1), and what comes after it, the weights, are done here. The loop
writes dx last, so dx may be x.
"""

from libc.stdint cimport int32_t

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_t
from .rows cimport rows_per_task


cdef void _transform(const real_t* y, real_t* out, Py_ssize_t n, double gain, double offset) noexcept nogil:
    """out = gain y + offset."""
    cdef:
        Py_ssize_t i
        real_t factor = <real_t> gain, shift = <real_t> offset
    for i in range(n):
        out[i] = factor * y[i] + shift


cdef void _weigh(
    const real_t* weights, Py_ssize_t first, Py_ssize_t group, double factor, const int32_t* labels, int ignored,
    real_t* losses, real_t* dx, Py_ssize_t rows, Py_ssize_t columns
) noexcept nogil:
    """Multiply the losses and gradients of rows by factor * weights[(first + row) / group].

    The rows whose label is `ignored` get zeros, whatever their numbers are. `weights` and `labels` may be NULL.
    """
    cdef:
        Py_ssize_t r, i
        real_t weight
    for r in range(rows):
        weight = <real_t> factor
        if weights != NULL:
            weight *= weights[(first + r) // group]
        if labels != NULL and labels[r] == ignored:
            losses[r] = 0
            if dx != NULL:
                for i in range(r * columns, (r + 1) * columns):
                    dx[i] = 0
        else:
            losses[r] *= weight
            if dx != NULL:
                for i in range(r * columns, (r + 1) * columns):
                    dx[i] *= weight


cdef class Loss(Step):
    """The loss of each row, divided into blocks of rows that `loop` works on.

    `scale` multiplies the gradient, of the mean with `average` and of the sum without.
    """

    def __init__(
        self, Buffer y_true, Buffer x, Buffer probabilities, Buffer losses, Buffer dx, Buffer weights,
        double scale, bint average
    ):
        self.y_true, self.x, self.probabilities, self.losses, self.dx = y_true, x, probabilities, losses, dx
        self.weights, self.average = weights, average
        self.rows = losses.size
        self.columns = x.size // self.rows if self.rows else x.shape[len(x.shape) - 1]
        self.share = scale / max(self.rows, 1) if average else scale
        self.factor, self.gain, self.offset = 1, 1, 0
        self.options = self.numbers
        self.block = rows_per_task(self.columns)
        self.y_bytes = y_true.nbytes // max(self.rows, 1)  # of one row
        self.scratch = self.block * self.columns * x.itemsize

    cdef void smooth(self, double label_smoothing, double classes):
        """Let targets be (1 - label_smoothing) y + label_smoothing / classes; `loop` reads them in scratch memory."""
        self.gain, self.offset = 1 - label_smoothing, label_smoothing / classes
        self.scratch = 2 * self.block * self.columns * self.x.itemsize

    cdef void prepare(self) noexcept nogil:
        """Look at all targets before the rows are divided."""

    cdef void run(self) noexcept nogil:
        self.prepare()
        self.split((self.rows + self.block - 1) // self.block, 16.0 * self.x.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t first = i * self.block, rows = min(self.block, self.rows - first), group
            Py_ssize_t itemsize = self.x.itemsize, at = first * self.columns * itemsize
            char* p = scratch if self.probabilities is None else self.probabilities.data + at
            char* dx = NULL if self.dx is None else self.dx.data + at
            char* losses = self.losses.data + first * itemsize
            char* y = self.y_true.data + first * self.y_bytes
            char* smoothed = scratch + self.block * self.columns * itemsize
            char* weights = NULL if self.weights is None else self.weights.data
            int32_t* labels
        if self.gain != 1 or self.offset != 0:
            if itemsize == sizeof(float):
                _transform(<float*> y, <float*> smoothed, rows * self.columns, self.gain, self.offset)
            else:
                _transform(<double*> y, <double*> smoothed, rows * self.columns, self.gain, self.offset)
            self.loop(smoothed, self.x.data + at, p, losses, dx, rows, self.columns, self.share, self.options)
        else:
            self.loop(y, self.x.data + at, p, losses, dx, rows, self.columns, self.share, self.options)
        if weights != NULL or self.ignoring:
            labels = <int32_t*> y if self.ignoring else NULL
            group = self.rows // max(<Py_ssize_t> 1, self.weights.size) if weights != NULL else 1
            if itemsize == sizeof(float):
                _weigh(
                    <float*> weights, first, group, self.factor, labels, self.ignored,
                    <float*> losses, <float*> dx, rows, self.columns
                )
            else:
                _weigh(
                    <double*> weights, first, group, self.factor, labels, self.ignored,
                    <double*> losses, <double*> dx, rows, self.columns
                )
