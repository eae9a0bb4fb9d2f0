"""Normalisation of each row by its own statistics, and its gradients.

    RowNormForward   xhat_ri = (x_ri - mean_r) h_r,  out_ri = act(gamma_i xhat_ri + beta_i)
                     h_r = min(1 / sqrt(weight sum_i (x_ri - mean_r)^2 + epsilon), limit)
    RowNormSums      dgamma_i = sum_r dout_ri xhat_ri,  dbeta_i = sum_r dout_ri
    RowNormBackward  dx_ri = h_r (g_ri - sum_j g_rj / D - weight h_r xhat_ri sum_j g_rj (x_rj - mean_r)), g = gamma dout

R rows x D numbers. Layer normalisation has weight = 1 / D. Without means they count as zero, and the second term of dx
is missing: the root mean square (weight = 1 / D), and the norm (weight = 1, epsilon = 0). A row at the limit is only
scaled.

A row is read from memory once: pieces of it are summed in the cache, then read again for the sums around their own
mean, and join in double, as in `normalize.pyx` and as accurate: about PIECE / LANES / 2 + 8 roundings at worst.
"""

from libc.math cimport sqrt
from libc.string cimport memset

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport activate, activation_code, chain_activation, real_t
from .channels cimport COLUMNS, Channels, ceil_div
from .rows cimport LANES, fold, row_sum, rows_per_task

cdef enum:
    PIECE = 4096  # numbers of a row that are read twice in the first-level cache

ctypedef void (*forward_loop)(
    const void* x, const void* gamma, const void* beta, void* mean, void* inverse, void* out, Py_ssize_t rows,
    Py_ssize_t columns, double weight, double epsilon, double limit, int activation
) noexcept nogil
ctypedef void (*backward_loop)(
    const void* dout, const void* x, const void* gamma, const void* mean, const void* inverse, void* dx,
    Py_ssize_t rows, Py_ssize_t columns, double weight, double limit, int activation, const void* y
) noexcept nogil
ctypedef void (*sums_loop)(
    const void* x, const void* dout, const void* mean, const void* inverse, Py_ssize_t width, Py_ssize_t rows,
    Py_ssize_t columns, double* sums, void* scratch
) noexcept nogil
ctypedef void (*combine_loop)(
    Channels s, Py_ssize_t row, Py_ssize_t first, Py_ssize_t columns, void* out
) noexcept nogil


cdef inline real_t _sum(const real_t* x, Py_ssize_t n) noexcept nogil:
    """Return the sum of x, with less ado where it is short."""
    cdef:
        Py_ssize_t i
        real_t total = 0
    if n >= LANES:
        return row_sum(x, n)
    for i in range(n):
        total += x[i]
    return total


cdef inline void _sum_around(
    const real_t* x, real_t center, Py_ssize_t n, double* first, double* second
) noexcept nogil:
    """Return the sums of x - center and of its square."""
    cdef:
        Py_ssize_t block, lane
        real_t[LANES] ones
        real_t[LANES] squares
        real_t d, one = 0, square = 0
        const real_t* rest = x + n - n % LANES
    if n >= LANES:
        for lane in range(LANES):
            ones[lane] = squares[lane] = 0
        for block in range(n // LANES):
            for lane in range(LANES):
                d = x[block * LANES + lane] - center
                ones[lane] += d
                squares[lane] += d * d
        one, square = fold(ones), fold(squares)
    for lane in range(n % LANES):
        d = rest[lane] - center
        one += d
        square += d * d
    first[0], second[0] = one, square


cdef inline void _moments(const real_t* x, Py_ssize_t n, bint centered, double* mean, double* spread) noexcept nogil:
    """Return the mean of a row, or zero, and the sum of the squared differences from it."""
    cdef:
        Py_ssize_t start = 0, piece
        real_t center = 0
        double first, second, apart, share
    mean[0] = spread[0] = 0
    while start < n:
        piece = min(<Py_ssize_t> PIECE, n - start)
        if centered:
            center = _sum(x + start, piece) / <real_t> piece
        _sum_around(x + start, center, piece, &first, &second)
        if centered:
            share = <double> piece / (start + piece)
            apart = center + first / piece - mean[0]
            spread[0] += (second - first * (first / piece)) + apart * apart * (start * share)
            mean[0] += apart * share
        else:
            spread[0] += second
        start += piece
    spread[0] = 0.0 if spread[0] < 0 else spread[0]  # rounding may leave a little less than nothing; NaN stays NaN


# `scales` and `shifts` are constants where these are inlined. Asked in a loop whether a pointer is NULL, the compiler
# loads under a mask, and from NULL that takes a hundred times as long.


cdef inline void _norm_row(
    const bint scales, const bint shifts, const real_t* row, real_t m, real_t h, const real_t* gamma,
    const real_t* beta, real_t* out, Py_ssize_t columns
) noexcept nogil:
    cdef:
        Py_ssize_t i
        real_t one = 1, zero = 0
    for i in range(columns):
        out[i] = (row[i] - m) * h * (gamma[i] if scales else one) + (beta[i] if shifts else zero)


cdef void _norm_rows(
    const real_t* x, const real_t* gamma, const real_t* beta, real_t* mean, real_t* inverse, real_t* out,
    Py_ssize_t rows, Py_ssize_t columns, double weight, double epsilon, double limit, int activation
) noexcept nogil:
    cdef:
        Py_ssize_t r
        double center, spread, reciprocal
        real_t m, h
        const real_t* row
        real_t* out_row
    for r in range(rows):
        row, out_row = x + r * columns, out + r * columns
        _moments(row, columns, mean != NULL, &center, &spread)
        reciprocal = 1 / sqrt(weight * spread + epsilon)
        m, h = <real_t> center, <real_t> (limit if reciprocal > limit else reciprocal)
        inverse[r] = h
        if mean != NULL:
            mean[r] = m
        if gamma != NULL and beta != NULL:
            _norm_row(True, True, row, m, h, gamma, beta, out_row, columns)
        elif gamma != NULL:
            _norm_row(True, False, row, m, h, gamma, beta, out_row, columns)
        elif beta != NULL:
            _norm_row(False, True, row, m, h, gamma, beta, out_row, columns)
        else:
            _norm_row(False, False, row, m, h, gamma, beta, out_row, columns)
    activate(activation, out, rows * columns)


cdef inline void _dot_rows(
    const bint scales, const real_t* dout, const real_t* gamma, const real_t* row, real_t center, Py_ssize_t n,
    double* total, double* dot
) noexcept nogil:
    """Return the sums of g = gamma dout and of g (x - center)."""
    cdef:
        Py_ssize_t start = 0, piece, block, lane, i
        real_t[LANES] ones
        real_t[LANES] products
        real_t g, one, product, unit = 1
    total[0] = dot[0] = 0
    while start < n:
        piece = min(<Py_ssize_t> PIECE, n - start)
        one = product = 0
        if piece >= LANES:
            for lane in range(LANES):
                ones[lane] = products[lane] = 0
            for block in range(start // LANES, (start + piece) // LANES):
                for lane in range(LANES):
                    i = block * LANES + lane
                    g = dout[i] * (gamma[i] if scales else unit)
                    ones[lane] += g
                    products[lane] += g * (row[i] - center)
            one, product = fold(ones), fold(products)
        for i in range(start + piece - piece % LANES, start + piece):
            g = dout[i] * (gamma[i] if scales else unit)
            one += g
            product += g * (row[i] - center)
        total[0] += one
        dot[0] += product
        start += piece


cdef inline void _norm_row_backward(
    const bint scales, const real_t* dout, const real_t* row, const real_t* gamma, real_t m, real_t factor,
    real_t slope, real_t offset, real_t* dx, Py_ssize_t columns
) noexcept nogil:
    cdef:
        Py_ssize_t i
        real_t one = 1
    for i in range(columns):
        dx[i] = factor * dout[i] * (gamma[i] if scales else one) + (slope * (row[i] - m) + offset)


cdef void _norm_rows_backward(
    const real_t* dout, const real_t* x, const real_t* gamma, const real_t* mean, const real_t* inverse, real_t* dx,
    Py_ssize_t rows, Py_ssize_t columns, double weight, double limit, int activation, const real_t* y
) noexcept nogil:
    cdef:
        Py_ssize_t r, at
        double total, dot, h
        real_t m = 0, factor, slope, offset
    for r in range(rows):
        at, h = r * columns, inverse[r]
        if mean != NULL:
            m = mean[r]
        if gamma != NULL:
            _dot_rows(True, dout + at, gamma, x + at, m, columns, &total, &dot)
        else:
            _dot_rows(False, dout + at, gamma, x + at, m, columns, &total, &dot)
        if h >= limit:
            total = dot = 0
        factor, slope = <real_t> h, <real_t> (-h * h * h * weight * dot)
        offset = 0 if mean == NULL else <real_t> (-h * total / columns)
        if gamma != NULL:
            _norm_row_backward(True, dout + at, x + at, gamma, m, factor, slope, offset, dx + at, columns)
        else:
            _norm_row_backward(False, dout + at, x + at, gamma, m, factor, slope, offset, dx + at, columns)
    chain_activation(activation, y, dx, rows * columns)


cdef void _add_sums(
    const real_t* x, const real_t* dout, const real_t* mean, const real_t* inverse, Py_ssize_t width, Py_ssize_t rows,
    Py_ssize_t columns, double* sums, real_t* scratch
) noexcept nogil:
    """Add the sums of a block of rows: of dout to the first row of `sums`, of dout xhat to the second."""
    cdef:
        Py_ssize_t r, c
        real_t* first = scratch
        real_t* second = scratch + columns
        const real_t* row
        const real_t* gradient
        real_t m = 0, h
    for c in range(columns):
        first[c] = second[c] = 0
    for r in range(rows):
        row, gradient, h = x + r * width, dout + r * width, inverse[r]
        if mean != NULL:
            m = mean[r]
        for c in range(columns):
            first[c] += gradient[c]
            second[c] += gradient[c] * ((row[c] - m) * h)
    for c in range(columns):
        sums[c] += first[c]
        sums[width + c] += second[c]


cdef void _combine_sums(
    Channels s, Py_ssize_t row, Py_ssize_t first, Py_ssize_t columns, real_t* out
) noexcept nogil:
    """Add up the sums of all parts, their first or second row, for some channels."""
    cdef:
        Py_ssize_t part, c
        double[COLUMNS] total
        const double* sums
    for c in range(columns):
        total[c] = 0
    for part in range(s.parts):
        sums = s.partial(0, part) + row * s.width + first
        for c in range(columns):
            total[c] += sums[c]
    for c in range(columns):
        out[first + c] = <real_t> total[c]


cdef class RowNormForward(Step):
    """out = act(gamma (x - mean) h + beta), row by row."""

    cdef:
        Buffer x            # IN  (..., D)
        Buffer gamma, beta  # IN  D numbers, or None for ones and zeros
        Buffer mean         # OUT R numbers, or None where it counts as zero
        Buffer inverse      # OUT R numbers: h
        Buffer out          # OUT, of x's shape
        double weight, epsilon, limit
        int activation
        Py_ssize_t rows, columns
        forward_loop loop

    def __init__(
        self, Buffer x, Buffer gamma, Buffer beta, Buffer mean, Buffer inverse, Buffer out, double weight,
        double epsilon, double limit, str activation
    ):
        self.x, self.gamma, self.beta, self.mean, self.inverse, self.out = x, gamma, beta, mean, inverse, out
        self.weight, self.epsilon, self.limit = weight, epsilon, limit
        self.activation = activation_code(activation)
        self.rows, self.columns = inverse.size, x.size // max(inverse.size, 1)
        self.loop = <forward_loop> _norm_rows[float] if x.dtype == "float32" else <forward_loop> _norm_rows[double]

    cdef void run(self) noexcept nogil:
        self.split(ceil_div(self.rows, rows_per_task(self.columns)), 10.0 * self.x.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t block = rows_per_task(self.columns), start = i * block, itemsize = self.x.itemsize
            Py_ssize_t at = start * self.columns * itemsize
        self.loop(
            self.x.data + at, NULL if self.gamma is None else self.gamma.data,
            NULL if self.beta is None else self.beta.data,
            NULL if self.mean is None else self.mean.data + start * itemsize, self.inverse.data + start * itemsize,
            self.out.data + at, min(block, self.rows - start), self.columns, self.weight, self.epsilon, self.limit,
            self.activation
        )


cdef class RowNormBackward(Step):
    """dx of RowNormForward, of the same weight and limit."""

    cdef:
        Buffer dout, x        # IN  (..., D)
        Buffer gamma          # IN  D numbers, or None for ones
        Buffer mean, inverse  # IN  R numbers, of RowNormForward; mean or None
        Buffer dx             # OUT, of x's shape
        Buffer y              # IN, of x's shape, or None: the output of the activation before
        double weight, limit
        int activation
        Py_ssize_t rows, columns
        backward_loop loop

    def __init__(
        self, Buffer dout, Buffer x, Buffer gamma, Buffer mean, Buffer inverse, Buffer dx, double weight, double limit,
        str activation, Buffer y
    ):
        self.dout, self.x, self.gamma, self.mean, self.inverse = dout, x, gamma, mean, inverse
        self.dx, self.weight, self.limit, self.y = dx, weight, limit, y
        self.activation = activation_code(activation)
        self.rows, self.columns = inverse.size, x.size // max(inverse.size, 1)
        if x.dtype == "float32":
            self.loop = <backward_loop> _norm_rows_backward[float]
        else:
            self.loop = <backward_loop> _norm_rows_backward[double]

    cdef void run(self) noexcept nogil:
        self.split(ceil_div(self.rows, rows_per_task(self.columns)), 12.0 * self.x.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t block = rows_per_task(self.columns), start = i * block, itemsize = self.x.itemsize
            Py_ssize_t at = start * self.columns * itemsize
        self.loop(
            self.dout.data + at, self.x.data + at, NULL if self.gamma is None else self.gamma.data,
            NULL if self.mean is None else self.mean.data + start * itemsize, self.inverse.data + start * itemsize,
            self.dx.data + at, min(block, self.rows - start), self.columns, self.weight, self.limit, self.activation,
            NULL if self.y is None else self.y.data + at
        )


cdef class RowNormSums(Channels):
    """dgamma and dbeta of RowNormForward: sums over the rows, which are the lines here, of one image."""

    cdef:
        Buffer x, dout        # IN  (R, D)
        Buffer mean, inverse  # IN  R numbers, of RowNormForward; mean or None
        Buffer dgamma, dbeta  # OUT D numbers, either or None
        sums_loop loop
        combine_loop last

    def __init__(self, Buffer x, Buffer dout, Buffer mean, Buffer inverse, Buffer dgamma, Buffer dbeta):
        self.x, self.dout, self.mean, self.inverse, self.dgamma, self.dbeta = x, dout, mean, inverse, dgamma, dbeta
        self.divide(x, 1, 0)
        self.workspace = self.parts * 2 * self.width * sizeof(double)
        self.scratch = 2 * self.panel * self.itemsize
        self.loop = <sums_loop> _add_sums[float] if self.single else <sums_loop> _add_sums[double]
        self.last = <combine_loop> _combine_sums[float] if self.single else <combine_loop> _combine_sums[double]

    cdef void run(self) noexcept nogil:
        self.run_sum(5.0 * self.x.size)

    cdef void accumulate(
        self, Py_ssize_t image, Py_ssize_t part, Py_ssize_t c, Py_ssize_t columns, char* scratch
    ) noexcept nogil:
        cdef:
            Py_ssize_t line = self.first_line(part), end = self.first_line(part + 1), at
            double* sums = self.partial(0, part) + c
        memset(sums, 0, columns * sizeof(double))
        memset(sums + self.width, 0, columns * sizeof(double))
        while line < end:
            at = (line * self.width + c) * self.itemsize
            self.loop(
                self.x.data + at, self.dout.data + at,
                NULL if self.mean is None else self.mean.data + line * self.itemsize,
                self.inverse.data + line * self.itemsize, self.width, min(self.block, end - line), columns, sums,
                scratch
            )
            line += self.block

    cdef void combine(self, Py_ssize_t image, Py_ssize_t c, Py_ssize_t columns) noexcept nogil:
        if self.dbeta is not None:
            self.last(self, 0, c, columns, self.dbeta.data)
        if self.dgamma is not None:
            self.last(self, 1, c, columns, self.dgamma.data)
