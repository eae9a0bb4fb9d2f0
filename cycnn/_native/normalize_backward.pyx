"""Gradients of normalisation over rows. With h = 1 / sqrt(variance_g + epsilon) and xhat = (x - mean_g) h:

    ChannelSums             by_shift_c = sum_r dout_rc,  by_scale_c = sum_r dout_rc xhat_rc
    ChannelNormBackward     dx_rc = h (gamma_c dout_rc - sum_g(gamma by_shift) / n - xhat_rc sum_g(gamma by_scale) / n)
    ChannelAffineBackward   dx_rc = scale_c dout_rc
    SumOfImages             dgamma_c = sum_m by_scale_mc, and dbeta_c likewise
    NormSums                those of ChannelSums for one image, from parts that other steps have summed in passing

M images x R rows x C channels in G groups; sum_g goes over the channels of a group, and n = R C / G are its numbers.
For batch normalisation by_scale and by_shift are dgamma and dbeta themselves. dx is multiplied by act'(y) of the layer
before. Memory bandwidth is the floor here too: x and dout are read once for the sums and once for dx, which takes two
multiply-adds with four factors of the channel, laid out in lines as `channels.pyx` says.
"""

from libc.math cimport sqrt
from libc.string cimport memset

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport activation_code, chain_activation, real_t
from .channels cimport COLUMNS, Channels, add_rows, ceil_div, repeat_rows
from .simd cimport VL
from .strips cimport STRIP, strip_products

cdef enum:
    ROWS = 128       # rows that are summed in real_t, at most, before they join the double sums
    BAND = 512 * VL  # numbers of a band of rows, about: strips go down one band after the other, in the order of memory
    BAND_ROWS = 8    # and its rows, at least

ctypedef void (*centers_loop)(
    const void* mean, void* out, Py_ssize_t C, Py_ssize_t G, Py_ssize_t repeats
) noexcept nogil
ctypedef void (*sums_loop)(
    const void* x, const void* dout, const void* center, Py_ssize_t width, Py_ssize_t rows, Py_ssize_t columns,
    double* sums, void* scratch
) noexcept nogil
ctypedef void (*combine_loop)(
    Channels s, Py_ssize_t image, Py_ssize_t first, Py_ssize_t columns, const void* x, const void* dout,
    const void* center, const void* variance, void* by_scale, void* by_shift, double epsilon
) noexcept nogil
ctypedef void (*factors_loop)(
    const void* mean, const void* variance, const void* gamma, const void* by_scale, const void* by_shift,
    void* factors, Py_ssize_t rows, Py_ssize_t C, Py_ssize_t G, Py_ssize_t repeats, double epsilon
) noexcept nogil
ctypedef void (*backward_loop)(
    const void* dout, const void* x, const void* factors, void* dx, Py_ssize_t n, Py_ssize_t width, int activation,
    const void* y
) noexcept nogil
ctypedef void (*repeat_loop)(const void* a, void* out, Py_ssize_t C, Py_ssize_t repeats) noexcept nogil
ctypedef void (*images_loop)(const void* a, void* out, Py_ssize_t images, Py_ssize_t channels) noexcept nogil


cdef void _lay_out_centers(
    const real_t* mean, real_t* out, Py_ssize_t C, Py_ssize_t G, Py_ssize_t repeats
) noexcept nogil:
    """Write the mean of each channel's group, for all channels of a line."""
    cdef Py_ssize_t c
    for c in range(C):
        out[c] = mean[c // (C // G)]
    repeat_rows(out, out, C, repeats)


cdef inline void _block_sums(
    const real_t* x, const real_t* dout, const real_t* center, Py_ssize_t width, Py_ssize_t rows, Py_ssize_t columns,
    real_t* first, real_t* second
) noexcept nogil:
    """Add up dout and dout (x - center) of each column of a block."""
    cdef:
        Py_ssize_t r, c
        const real_t* row
        const real_t* gradient
        real_t m, a, b, d, e
    add_rows(dout, width, rows, columns, first)
    for r in range(rows // 4):
        row, gradient = x + 4 * r * width, dout + 4 * r * width
        for c in range(columns):
            m = center[c]
            a, b = gradient[c] * (row[c] - m), gradient[width + c] * (row[width + c] - m)
            d, e = gradient[2 * width + c], gradient[3 * width + c]
            second[c] += (a + b) + (d * (row[2 * width + c] - m) + e * (row[3 * width + c] - m))
    for r in range(rows - rows % 4, rows):
        row, gradient = x + r * width, dout + r * width
        for c in range(columns):
            second[c] += gradient[c] * (row[c] - center[c])


cdef void _add_sums(
    const real_t* x, const real_t* dout, const real_t* center, Py_ssize_t width, Py_ssize_t rows, Py_ssize_t columns,
    double* sums, real_t* scratch
) noexcept nogil:
    """Add the sums of a block of rows: of dout to the first row of `sums`, of dout (x - center) to the second."""
    cdef:
        Py_ssize_t c, row = 0, band, strips = columns // STRIP * STRIP if real_t is float else 0
        real_t* first = scratch
        real_t* second = scratch + columns
    for c in range(columns):
        first[c] = second[c] = 0
    if real_t is float:
        while row < rows:
            band = min(max(<Py_ssize_t> BAND // columns, <Py_ssize_t> BAND_ROWS), rows - row)
            c = 0
            while c < strips:
                strip_products(x + row * width + c, dout + row * width + c, center + c, width, band, first + c,
                               second + c)
                c += STRIP
            row += band
    if strips < columns:
        _block_sums(x + strips, dout + strips, center + strips, width, rows, columns - strips, first + strips,
                    second + strips)
    for c in range(columns):
        sums[c] += first[c]
        sums[width + c] += second[c]


cdef void _combine_sums(
    Channels s, Py_ssize_t image, Py_ssize_t first, Py_ssize_t columns, const real_t* x, const real_t* dout,
    const real_t* center, const real_t* variance, real_t* by_scale, real_t* by_shift, double epsilon
) noexcept nogil:
    """Add up all parts, all rows of a line and the rows left over (x and dout point to them), for some channels."""
    cdef:
        Py_ssize_t part, i, c, at, per_group
        double[COLUMNS] shift
        double[COLUMNS] scale
        const double* sums
    for c in range(columns):
        shift[c] = scale[c] = 0
    for part in range(s.parts):
        for i in range(s.repeats):
            sums = s.partial(image, part) + i * s.C + first
            for c in range(columns):
                shift[c] += sums[c]
                scale[c] += sums[s.width + c]
    for i in range(s.rest):
        for c in range(columns):
            at = i * s.C + first + c
            shift[c] += dout[at]
            scale[c] += dout[at] * (<double> x[at] - center[first + c])
    per_group = s.C // s.G
    for c in range(columns):
        by_shift[first + c] = <real_t> shift[c]
        by_scale[first + c] = <real_t> (scale[c] / sqrt(variance[(first + c) // per_group] + epsilon))


cdef void _lay_out_factors(
    const real_t* mean, const real_t* variance, const real_t* gamma, const real_t* by_scale, const real_t* by_shift,
    real_t* factors, Py_ssize_t rows, Py_ssize_t C, Py_ssize_t G, Py_ssize_t repeats, double epsilon
) noexcept nogil:
    """Write four lines: what dout, and what x - center is multiplied by, what is added, and the center."""
    cdef:
        Py_ssize_t g, c, per_group = C // G, width = C * repeats, line
        double inverse, scale, shift
    for g in range(G):
        inverse, scale, shift = 1 / sqrt(variance[g] + epsilon), 0, 0
        for c in range(g * per_group, (g + 1) * per_group):
            scale += by_scale[c] if gamma == NULL else <double> gamma[c] * by_scale[c]
            shift += by_shift[c] if gamma == NULL else <double> gamma[c] * by_shift[c]
        scale *= inverse * inverse / (rows * per_group)
        shift *= inverse / (rows * per_group)
        for c in range(g * per_group, (g + 1) * per_group):
            factors[c] = <real_t> (inverse if gamma == NULL else inverse * gamma[c])
            factors[width + c] = <real_t> -scale
            factors[2 * width + c] = <real_t> -shift
            factors[3 * width + c] = mean[g]
    for line in range(4):
        repeat_rows(factors + line * width, factors + line * width, C, repeats)


cdef inline void _map_lines(
    const real_t* dout, const real_t* x, const real_t* factors, real_t* dx, Py_ssize_t n, Py_ssize_t width
) noexcept nogil:
    """Map n numbers, whole lines but for the last."""
    cdef:
        Py_ssize_t line, c, at
        const real_t* slope = factors + width
        const real_t* offset = factors + 2 * width
        const real_t* center = factors + 3 * width
    for line in range(ceil_div(n, width)):
        at = line * width
        for c in range(min(width, n - at)):
            dx[at + c] = factors[c] * dout[at + c] + (slope[c] * (x[at + c] - center[c]) + offset[c])


cdef void _norm_backward(
    const real_t* dout, const real_t* x, const real_t* factors, real_t* dx, Py_ssize_t n, Py_ssize_t width,
    int activation, const real_t* y
) noexcept nogil:
    if dx == dout:  # said so, for the compiler makes no vectors of arrays that may overlap
        _map_lines(dx, x, factors, dx, n, width)
    else:
        _map_lines(dout, x, factors, dx, n, width)
    chain_activation(activation, y, dx, n)


cdef void _scale_backward(
    const real_t* dout, const real_t* x, const real_t* factors, real_t* dx, Py_ssize_t n, Py_ssize_t width,
    int activation, const real_t* y
) noexcept nogil:
    """Map n numbers, whole lines but for the last; x is not read."""
    cdef Py_ssize_t line, c
    for line in range(ceil_div(n, width)):
        for c in range(min(width, n - line * width)):
            dx[line * width + c] = factors[c] * dout[line * width + c]
    chain_activation(activation, y, dx, n)


cdef void _repeat(const real_t* a, real_t* out, Py_ssize_t C, Py_ssize_t repeats) noexcept nogil:
    repeat_rows(a, out, C, repeats)


cdef void _add_images(const real_t* a, real_t* out, Py_ssize_t images, Py_ssize_t channels) noexcept nogil:
    cdef:
        Py_ssize_t m, c
        double total
    for c in range(channels):
        total = 0
        for m in range(images):
            total += a[m * channels + c]
        out[c] = <real_t> total


cdef class ChannelSums(Channels):
    """Gradients of an affine map of xhat: by_shift = sum of dout, by_scale = sum of dout xhat, for each image."""

    cdef:
        Buffer x, dout             # IN  (..., C), M x R x C in memory
        Buffer mean, variance      # IN  (M, G), or (C,) for one image and groups of one
        Buffer by_scale, by_shift  # OUT (M, C), or (C,)
        double epsilon
        Py_ssize_t sums            # bytes of the parts' sums, behind which the lines of centers are
        centers_loop lay_out
        sums_loop loop
        combine_loop last

    def __init__(
        self, Buffer x, Buffer dout, Buffer mean, Buffer variance, Buffer by_scale, Buffer by_shift, double epsilon
    ):
        self.x, self.dout, self.mean, self.variance = x, dout, mean, variance
        self.by_scale, self.by_shift, self.epsilon = by_scale, by_shift, epsilon
        self.divide(x, by_scale.size // max(x.shape[len(x.shape) - 1], 1), mean.size)
        self.sums = self.M * self.parts * 2 * self.width * sizeof(double)
        self.workspace = self.sums + self.M * self.width * self.itemsize
        self.scratch = 2 * self.panel * self.itemsize
        if self.single:
            self.lay_out, self.loop = <centers_loop> _lay_out_centers[float], <sums_loop> _add_sums[float]
            self.last = <combine_loop> _combine_sums[float]
        else:
            self.lay_out, self.loop = <centers_loop> _lay_out_centers[double], <sums_loop> _add_sums[double]
            self.last = <combine_loop> _combine_sums[double]

    cdef char* center(self, Py_ssize_t image) noexcept nogil:
        return self.work + self.sums + image * self.width * self.itemsize

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t image
        for image in range(self.M):
            self.lay_out(
                self.mean.data + image * self.G * self.itemsize, self.center(image), self.C, self.G, self.repeats)
        self.run_sum(6.0 * self.x.size)

    cdef void accumulate(
        self, Py_ssize_t image, Py_ssize_t part, Py_ssize_t c, Py_ssize_t columns, char* scratch
    ) noexcept nogil:
        cdef:
            Py_ssize_t line = self.first_line(part), end = self.first_line(part + 1), at
            double* sums = self.partial(image, part) + c
        memset(sums, 0, columns * sizeof(double))
        memset(sums + self.width, 0, columns * sizeof(double))
        while line < end:
            at = (image * self.R * self.C + line * self.width + c) * self.itemsize
            self.loop(
                self.x.data + at, self.dout.data + at, self.center(image) + c * self.itemsize, self.width,
                min(<Py_ssize_t> ROWS, end - line), columns, sums, scratch
            )
            line += ROWS

    cdef void combine(self, Py_ssize_t image, Py_ssize_t c, Py_ssize_t columns) noexcept nogil:
        cdef:
            Py_ssize_t at = image * self.C * self.itemsize
            Py_ssize_t rest = (image * self.R + self.lines * self.repeats) * self.C * self.itemsize
        self.last(
            self, image, c, columns, self.x.data + rest, self.dout.data + rest, self.center(image),
            self.variance.data + image * self.G * self.itemsize, self.by_scale.data + at, self.by_shift.data + at,
            self.epsilon
        )


cdef class ChannelNormBackward(Channels):
    """dx of a normalisation whose statistics were those of x itself."""

    cdef:
        Buffer dout, x             # IN  (..., C), M x R x C in memory
        Buffer mean, variance      # IN  (M, G), or (C,) for one image and groups of one
        Buffer gamma               # IN  (C,), or None for ones
        Buffer by_scale, by_shift  # IN  (M, C), or (C,): of ChannelSums
        Buffer dx                  # OUT, of x's shape; may be dout
        Buffer y                   # IN, of x's shape, or None: the output of the activation before
        double epsilon
        int activation
        factors_loop lay_out
        backward_loop loop

    def __init__(
        self, Buffer dout, Buffer x, Buffer mean, Buffer variance, Buffer gamma, Buffer by_scale, Buffer by_shift,
        Buffer dx, double epsilon, str activation, Buffer y
    ):
        self.dout, self.x, self.mean, self.variance, self.gamma = dout, x, mean, variance, gamma
        self.by_scale, self.by_shift, self.dx, self.epsilon, self.y = by_scale, by_shift, dx, epsilon, y
        self.activation = activation_code(activation)
        self.divide(x, by_scale.size // max(x.shape[len(x.shape) - 1], 1), mean.size)
        self.workspace = self.M * 4 * self.width * self.itemsize
        if self.single:
            self.lay_out, self.loop = <factors_loop> _lay_out_factors[float], <backward_loop> _norm_backward[float]
        else:
            self.lay_out, self.loop = <factors_loop> _lay_out_factors[double], <backward_loop> _norm_backward[double]

    cdef void run(self) noexcept nogil:
        cdef:
            Py_ssize_t image, group, channel
            char* gamma = NULL if self.gamma is None else self.gamma.data
        for image in range(self.M):
            group, channel = image * self.G * self.itemsize, image * self.C * self.itemsize
            self.lay_out(
                self.mean.data + group, self.variance.data + group, gamma, self.by_scale.data + channel,
                self.by_shift.data + channel, self.work + image * 4 * self.width * self.itemsize, self.R, self.C,
                self.G, self.repeats, self.epsilon
            )
        self.split(self.M * self.chunks, 6.0 * self.x.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t image = i // self.chunks, at = self.chunk_start(i) * self.itemsize
        self.loop(
            self.dout.data + at, self.x.data + at, self.work + image * 4 * self.width * self.itemsize,
            self.dx.data + at, self.chunk_size(i), self.width, self.activation,
            NULL if self.y is None else self.y.data + at
        )


cdef class ChannelAffineBackward(Channels):
    """dx of out = scale x + shift, where scale and shift do not depend on x."""

    cdef:
        Buffer dout   # IN  (..., C)
        Buffer scale  # IN  (M, C), or (C,) for one image
        Buffer dx     # OUT, of dout's shape
        Buffer y      # IN, of dout's shape, or None: the output of the activation before
        int activation
        repeat_loop lay_out
        backward_loop loop

    def __init__(self, Buffer dout, Buffer scale, Buffer dx, str activation, Buffer y):
        self.dout, self.scale, self.dx, self.y = dout, scale, dx, y
        self.activation = activation_code(activation)
        self.divide(dout, scale.size // max(dout.shape[len(dout.shape) - 1], 1), scale.size)
        self.workspace = self.M * self.width * self.itemsize
        self.lay_out = <repeat_loop> _repeat[float] if self.single else <repeat_loop> _repeat[double]
        self.loop = <backward_loop> _scale_backward[float] if self.single else <backward_loop> _scale_backward[double]

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t image
        for image in range(self.M):
            self.lay_out(
                self.scale.data + image * self.C * self.itemsize, self.work + image * self.width * self.itemsize,
                self.C, self.repeats
            )
        self.split(self.M * self.chunks, 3.0 * self.dout.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t image = i // self.chunks, at = self.chunk_start(i) * self.itemsize
        self.loop(
            self.dout.data + at, NULL, self.work + image * self.width * self.itemsize, self.dx.data + at,
            self.chunk_size(i), self.width, self.activation, NULL if self.y is None else self.y.data + at
        )


cdef class SumOfImages(Step):
    """out_c = sum over images of a_mc."""

    cdef:
        Buffer a    # IN  (M, C)
        Buffer out  # OUT (C,)
        images_loop loop

    def __init__(self, Buffer a, Buffer out):
        self.a, self.out = a, out
        self.loop = <images_loop> _add_images[float] if a.dtype == "float32" else <images_loop> _add_images[double]

    cdef void run(self) noexcept nogil:
        self.loop(self.a.data, self.out.data, self.a.size // max(self.out.size, 1), self.out.size)


cdef class NormSums(Step):
    """by_shift = sum of dout, by_scale = sum of dout xhat, from the sums of dout and dout (x - mean) of some parts."""

    cdef:
        Buffer sums                # IN  (parts, 2, C)
        Buffer variance            # IN  (C,)
        Buffer by_scale, by_shift  # OUT (C,)
        double epsilon
        Py_ssize_t parts, C

    def __init__(self, Buffer sums, Buffer variance, Buffer by_scale, Buffer by_shift, double epsilon):
        self.sums, self.variance = sums, variance
        self.by_scale, self.by_shift, self.epsilon = by_scale, by_shift, epsilon
        self.parts, self.C = sums.shape[0], variance.size

    cdef void run(self) noexcept nogil:
        self.split(ceil_div(self.C, COLUMNS), 2.0 * self.parts * self.C)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t C = self.C, first = i * COLUMNS, columns = min(<Py_ssize_t> COLUMNS, C - first), c
            const float* sums = <const float*> self.sums.data + first
            double[COLUMNS] shift
            double[COLUMNS] scale
        for c in range(columns):
            shift[c] = scale[c] = 0
        for _ in range(self.parts):
            for c in range(columns):
                shift[c] += sums[c]
                scale[c] += sums[C + c]
            sums += 2 * C
        for c in range(columns):
            (<float*> self.by_shift.data)[first + c] = <float> shift[c]
            (<float*> self.by_scale.data)[first + c] = <float> (
                scale[c] / sqrt((<float*> self.variance.data)[first + c] + self.epsilon))
