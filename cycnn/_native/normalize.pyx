"""Normalisation over rows: statistics of each channel, and the affine map that applies them.

    ChannelMoments   mean_c = sum_r x_rc / R,  variance_c = sum_r (x_rc - mean_c)^2 / R
    GroupMoments     the same of a group of channels, from those of its channels
    ScaleAndShift    scale_c = gamma_c / sqrt(variance_g + epsilon),  shift_c = beta_c - mean_g scale_c
    ChannelAffine    out_rc = act(scale_c x_rc + shift_c + residual_rc)
    MovingAverage    m <- momentum m + (1 - momentum) batch

M images x R rows x C channels in G groups; g is the group of channel c. Batch normalisation is M = 1, all pixels of all
images the rows, and G = C; group normalisation has an M for each image. `normalize_backward` holds the gradients.

Memory bandwidth is the floor: forward reads x twice and writes out once; inference reads once and writes once. So all
arithmetic on a number happens while it is in the cache. A block of 8192 numbers is summed, then read again for the sums
of x - mean and of its square around the block's own mean (Chan, Golub and LeVeque's corrected two-pass algorithm), and
joins the part's double sums by Chan's formula. Differences, not squares, are what is rounded: the variance is good to
about R_block / 2 + 8 <= 72 roundings of real_t, whatever mean / deviation is, and the mean to one rounding and some
of the deviation. The output then has the rounding of a shift of the size of mean / deviation, as x itself has.

Tasks are divided as `channels.pyx` says; none of it depends on the number of threads.
"""

from libc.math cimport sqrt
from libc.string cimport memset

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport activate, activation_code, real_t
from .channels cimport COLUMNS, Channels, add_rows, ceil_div, repeat_rows
from .strips cimport STRIP, strip_moments

ctypedef void (*moments_loop)(
    const void* x, Py_ssize_t width, Py_ssize_t rows, Py_ssize_t columns, double before, double* mean, double* spread,
    void* scratch
) noexcept nogil
ctypedef void (*combine_loop)(
    Channels s, Py_ssize_t image, Py_ssize_t first, Py_ssize_t columns, const void* rest, void* mean, void* variance
) noexcept nogil
ctypedef void (*group_loop)(
    const void* means, const void* variances, Py_ssize_t n, void* mean, void* variance
) noexcept nogil
ctypedef void (*scale_loop)(
    const void* mean, const void* variance, const void* gamma, const void* beta, void* scale, void* shift,
    Py_ssize_t groups, Py_ssize_t per_group, double epsilon
) noexcept nogil
ctypedef void (*affine_loop)(
    const void* x, const void* scale, const void* shift, const void* residual, void* out, Py_ssize_t n,
    Py_ssize_t width, int activation
) noexcept nogil
ctypedef void (*repeat_loop)(const void* a, void* out, Py_ssize_t C, Py_ssize_t repeats) noexcept nogil
ctypedef void (*average_loop)(void* moving, const void* batch, Py_ssize_t n, double momentum) noexcept nogil


cdef inline void _block_moments(
    const real_t* x, Py_ssize_t width, Py_ssize_t rows, Py_ssize_t columns, real_t* center, real_t* first,
    real_t* second
) noexcept nogil:
    """Find about the mean of each column of a block, and the sums of x - center and of its square."""
    cdef:
        Py_ssize_t r, c
        const real_t* row
        real_t a, b, count = rows
    for c in range(columns):
        center[c] = first[c] = second[c] = 0
    add_rows(x, width, rows, columns, center)
    for c in range(columns):
        center[c] = center[c] / count
    for r in range(rows // 2):  # with more rows at a time, the compiler would give up on telling the arrays apart
        row = x + 2 * r * width
        for c in range(columns):
            a, b = row[c] - center[c], row[width + c] - center[c]
            first[c] += a + b
            second[c] += a * a + b * b
    if rows % 2:
        row = x + (rows - 1) * width
        for c in range(columns):
            a = row[c] - center[c]
            first[c] += a
            second[c] += a * a


cdef void _add_moments(
    const real_t* x, Py_ssize_t width, Py_ssize_t rows, Py_ssize_t columns, double before, double* mean, double* spread,
    real_t* scratch
) noexcept nogil:
    """Let a block of rows join the mean and the sum of squared deviations of the `before` rows before it."""
    cdef:
        Py_ssize_t c = 0
        real_t* center = scratch            # mean of the block, rounded
        real_t* first = scratch + columns   # sum of x - center
        real_t* second = first + columns    # and of its square
        double offset, apart, share = rows / (before + rows)
    if real_t is float:
        while c + STRIP <= columns:
            strip_moments(x + c, width, rows, center + c, first + c, second + c)
            c += STRIP
    if c < columns:
        _block_moments(x + c, width, rows, columns - c, center + c, first + c, second + c)
    for c in range(columns):
        offset = <double> first[c] / rows
        apart = <double> center[c] + offset - mean[c]
        spread[c] += (<double> second[c] - first[c] * offset) + apart * apart * (before * share)
        mean[c] += apart * share


cdef void _combine_moments(
    Channels s, Py_ssize_t image, Py_ssize_t first, Py_ssize_t columns, const real_t* rest, real_t* mean,
    real_t* variance
) noexcept nogil:
    """Combine the moments of all parts, of all rows of a line and of the rows left over, for some channels."""
    cdef:
        Py_ssize_t part, i, c
        double rows, apart
        double[COLUMNS] total
        double[COLUMNS] spread
        const double* sums
    for c in range(columns):
        total[c] = spread[c] = 0
    for part in range(s.parts):
        rows = s.first_line(part + 1) - s.first_line(part)
        for i in range(s.repeats):
            sums = s.partial(image, part) + i * s.C + first
            for c in range(columns):
                total[c] += rows * sums[c]
    for i in range(s.rest):
        for c in range(columns):
            total[c] += rest[i * s.C + first + c]
    for c in range(columns):
        total[c] /= s.R
    for part in range(s.parts):
        rows = s.first_line(part + 1) - s.first_line(part)
        for i in range(s.repeats):
            sums = s.partial(image, part) + i * s.C + first
            for c in range(columns):
                apart = sums[c] - total[c]
                spread[c] += sums[s.width + c] + rows * apart * apart
    for i in range(s.rest):
        for c in range(columns):
            apart = rest[i * s.C + first + c] - total[c]
            spread[c] += apart * apart
    for c in range(columns):
        mean[first + c] = <real_t> total[c]
        # Rounding may leave a little less than nothing; NaN stays NaN.
        variance[first + c] = <real_t> (0.0 if spread[c] < 0 else spread[c] / s.R)


cdef void _group_moments(
    const real_t* means, const real_t* variances, Py_ssize_t n, real_t* mean, real_t* variance
) noexcept nogil:
    cdef:
        Py_ssize_t c
        double center = 0, spread = 0
    for c in range(n):
        center += means[c]
    center /= n
    for c in range(n):
        spread += variances[c] + (means[c] - center) * (means[c] - center)
    mean[0], variance[0] = <real_t> center, <real_t> (spread / n)


cdef void _scale_and_shift(
    const real_t* mean, const real_t* variance, const real_t* gamma, const real_t* beta, real_t* scale, real_t* shift,
    Py_ssize_t groups, Py_ssize_t per_group, double epsilon
) noexcept nogil:
    cdef:
        Py_ssize_t g, c
        double inverse, factor
    for g in range(groups):
        inverse = 1 / sqrt(variance[g] + epsilon)
        for c in range(g * per_group, (g + 1) * per_group):
            factor = inverse if gamma == NULL else inverse * gamma[c]
            scale[c] = <real_t> factor
            shift[c] = <real_t> ((0.0 if beta == NULL else beta[c]) - mean[g] * factor)


cdef void _repeat(const real_t* a, real_t* out, Py_ssize_t C, Py_ssize_t repeats) noexcept nogil:
    repeat_rows(a, out, C, repeats)


cdef void _affine(
    const real_t* x, const real_t* scale, const real_t* shift, const real_t* residual, real_t* out, Py_ssize_t n,
    Py_ssize_t width, int activation
) noexcept nogil:
    """Map n numbers, whole lines but for the last; there may be no residual."""
    cdef Py_ssize_t line, c, at
    for line in range(ceil_div(n, width)):
        at = line * width
        if residual == NULL:
            for c in range(min(width, n - at)):
                out[at + c] = scale[c] * x[at + c] + shift[c]
        else:
            for c in range(min(width, n - at)):
                out[at + c] = scale[c] * x[at + c] + shift[c] + residual[at + c]
    activate(activation, out, n)


cdef void _average(real_t* moving, const real_t* batch, Py_ssize_t n, double momentum) noexcept nogil:
    cdef:
        Py_ssize_t i
        real_t kept = <real_t> momentum, rest = <real_t> (1 - momentum)
    for i in range(n):
        moving[i] = moving[i] * kept + batch[i] * rest


cdef class ChannelMoments(Channels):
    """Mean and biased variance of each channel over the rows of each image."""

    cdef:
        Buffer x         # IN  (..., C), M x R x C in memory
        Buffer mean      # OUT (M, C), or (C,) for one image
        Buffer variance  # OUT, of mean's shape
        moments_loop loop
        combine_loop last

    def __init__(self, Buffer x, Buffer mean, Buffer variance):
        self.x, self.mean, self.variance = x, mean, variance
        self.divide(x, mean.size // max(x.shape[len(x.shape) - 1], 1), mean.size)
        self.workspace = self.M * self.parts * 2 * self.width * sizeof(double)
        self.scratch = 3 * self.panel * self.itemsize
        self.loop = <moments_loop> _add_moments[float] if self.single else <moments_loop> _add_moments[double]
        self.last = <combine_loop> _combine_moments[float] if self.single else <combine_loop> _combine_moments[double]

    cdef void run(self) noexcept nogil:
        self.run_sum(6.0 * self.x.size)

    cdef void accumulate(
        self, Py_ssize_t image, Py_ssize_t part, Py_ssize_t c, Py_ssize_t columns, char* scratch
    ) noexcept nogil:
        cdef:
            Py_ssize_t begin = self.first_line(part), end = self.first_line(part + 1), line = begin
            double* mean = self.partial(image, part) + c
            const char* x = self.x.data + image * self.R * self.C * self.itemsize
        memset(mean, 0, columns * sizeof(double))
        memset(mean + self.width, 0, columns * sizeof(double))
        while line < end:
            self.loop(
                x + (line * self.width + c) * self.itemsize, self.width, min(self.block, end - line), columns,
                line - begin, mean, mean + self.width, scratch
            )
            line += self.block

    cdef void combine(self, Py_ssize_t image, Py_ssize_t c, Py_ssize_t columns) noexcept nogil:
        cdef Py_ssize_t at = image * self.C * self.itemsize
        self.last(
            self, image, c, columns,
            self.x.data + (image * self.R + self.lines * self.repeats) * self.C * self.itemsize,
            self.mean.data + at, self.variance.data + at
        )


cdef class GroupMoments(Step):
    """Mean and variance of each group of channels, from those of the channels over equally many rows."""

    cdef:
        Buffer means, variances  # IN  (M, C)
        Buffer mean, variance    # OUT (M, G)
        group_loop loop

    def __init__(self, Buffer means, Buffer variances, Buffer mean, Buffer variance):
        self.means, self.variances, self.mean, self.variance = means, variances, mean, variance
        self.loop = <group_loop> _group_moments[float] if mean.dtype == "float32" else (
            <group_loop> _group_moments[double])

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t g, itemsize = self.mean.itemsize, n = self.means.size // max(self.mean.size, 1), at
        for g in range(self.mean.size):
            at = g * n * itemsize
            self.loop(
                self.means.data + at, self.variances.data + at, n, self.mean.data + g * itemsize,
                self.variance.data + g * itemsize
            )


cdef class ScaleAndShift(Step):
    """scale = gamma / sqrt(variance + epsilon), shift = beta - mean scale: what normalising does to each channel."""

    cdef:
        Buffer mean, variance  # IN  (M, G), or (C,) for one image and groups of one
        Buffer gamma, beta     # IN  (C,), or None for ones and zeros
        Buffer scale, shift    # OUT (M, C), or (C,)
        Py_ssize_t M, C
        double epsilon
        scale_loop loop

    def __init__(
        self, Buffer mean, Buffer variance, Buffer gamma, Buffer beta, Buffer scale, Buffer shift, double epsilon
    ):
        self.mean, self.variance, self.gamma, self.beta = mean, variance, gamma, beta
        self.scale, self.shift, self.epsilon = scale, shift, epsilon
        self.C = scale.shape[len(scale.shape) - 1]
        self.M = scale.size // max(self.C, 1)
        self.loop = <scale_loop> _scale_and_shift[float] if mean.dtype == "float32" else (
            <scale_loop> _scale_and_shift[double])

    cdef void run(self) noexcept nogil:
        cdef:
            Py_ssize_t image, groups = self.mean.size // max(self.M, 1), itemsize = self.mean.itemsize, at
            char* gamma = NULL if self.gamma is None else self.gamma.data
            char* beta = NULL if self.beta is None else self.beta.data
        for image in range(self.M):
            at = image * self.C * itemsize
            self.loop(
                self.mean.data + image * groups * itemsize, self.variance.data + image * groups * itemsize, gamma, beta,
                self.scale.data + at, self.shift.data + at, groups, self.C // max(groups, 1), self.epsilon
            )


cdef class ChannelAffine(Channels):
    """out = act(scale x + shift + residual), each channel of each image with its own scale and shift."""

    cdef:
        Buffer x             # IN  (..., C)
        Buffer scale, shift  # IN  (M, C), or (C,) for one image
        Buffer residual      # IN, of x's shape, or None
        Buffer out           # OUT, of x's shape
        int activation
        Py_ssize_t bytes     # of the lines of scales, or of shifts
        repeat_loop lay_out
        affine_loop loop

    def __init__(self, Buffer x, Buffer scale, Buffer shift, Buffer residual, Buffer out, str activation):
        self.x, self.scale, self.shift, self.residual, self.out = x, scale, shift, residual, out
        self.activation = activation_code(activation)
        self.divide(x, scale.size // max(x.shape[len(x.shape) - 1], 1), scale.size)
        self.bytes = self.M * self.width * self.itemsize
        self.workspace = 2 * self.bytes
        self.lay_out = <repeat_loop> _repeat[float] if self.single else <repeat_loop> _repeat[double]
        self.loop = <affine_loop> _affine[float] if self.single else <affine_loop> _affine[double]

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t image, channel, line
        for image in range(self.M):
            channel, line = image * self.C * self.itemsize, image * self.width * self.itemsize
            self.lay_out(self.scale.data + channel, self.work + line, self.C, self.repeats)
            self.lay_out(self.shift.data + channel, self.work + self.bytes + line, self.C, self.repeats)
        self.split(self.M * self.chunks, 4.0 * self.x.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t at = self.chunk_start(i) * self.itemsize
            const char* scale = self.work + i // self.chunks * self.width * self.itemsize
        self.loop(
            self.x.data + at, scale, scale + self.bytes, NULL if self.residual is None else self.residual.data + at,
            self.out.data + at, self.chunk_size(i), self.width, self.activation
        )


cdef class MovingAverage(Step):
    """moving <- momentum moving + (1 - momentum) batch."""

    cdef:
        Buffer moving  # INOUT
        Buffer batch   # IN, of moving's shape
        double momentum
        average_loop loop

    def __init__(self, Buffer moving, Buffer batch, double momentum):
        self.moving, self.batch, self.momentum = moving, batch, momentum
        self.loop = <average_loop> _average[float] if moving.dtype == "float32" else <average_loop> _average[double]

    cdef void run(self) noexcept nogil:
        self.loop(self.moving.data, self.batch.data, self.moving.size, self.momentum)
        self.moving.version += 1
