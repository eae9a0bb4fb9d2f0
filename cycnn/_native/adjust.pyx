"""Changes of brightness and contrast, and normalization: numbers shifted, scaled and clipped where they are.

    Contrast     out[n, h, w, c] = (x[n, h, w, c] - m) draws[n, 0] + m, clipped;   m = mean of x[n, :, :, c]
    Brightness   out[n, h, w, c] = x[n, h, w, c] + draws[n, 0], clipped
    Standardize  out = (x - mean) / std, or the inverse  out = x std + mean;   std = max(sqrt(variance), EPSILON)

All are out = (x - before) scale + after, where before, scale and after repeat themselves from pixel to pixel, or from
image to image. They are spread out into tiles of a few hundred numbers, so that the loop over a tile fills vectors
although images have one channel or three.
"""

from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int64_t

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_t

cdef enum:
    TILE = 512    # numbers in a tile, or more where one pixel or image has more
    TASK = 16384  # numbers per task of Standardize, about

cdef double EPSILON = 1e-7  # Keras's

ctypedef void (*adjust_loop)(
    const void* x, void* out, Py_ssize_t n, const void* tile, Py_ssize_t period, double low, double high
) noexcept nogil
ctypedef void (*contrast_loop)(
    const void* x, Py_ssize_t n, Py_ssize_t C, double factor, double* sums, void* tile, Py_ssize_t period
) noexcept nogil
ctypedef void (*brightness_loop)(double delta, void* tile, Py_ssize_t period) noexcept nogil
ctypedef void (*normalize_loop)(
    const void* mean, const void* variance, const int64_t* index, Py_ssize_t n, bint invert, bint shift, void* tile,
    Py_ssize_t period
) noexcept nogil


cdef void _adjust(
    const real_t* x, real_t* out, Py_ssize_t n,
    const real_t* tile,  # IN (3, period): before, scale, after
    Py_ssize_t period, double low, double high
) noexcept nogil:
    """out = (x - before) scale + after, clipped to low..high; NaN stays NaN."""
    cdef:
        const real_t* before = tile
        const real_t* scale = tile + period
        const real_t* after = tile + 2 * period
        real_t least = <real_t> low, most = <real_t> high, value
        Py_ssize_t block, start, i
    for block in range((n + period - 1) // period):
        start = block * period
        for i in range(min(period, n - start)):
            value = (x[start + i] - before[i]) * scale[i] + after[i]
            value = least if value < least else value
            out[start + i] = most if value > most else value


cdef void _contrast(
    const real_t* x, Py_ssize_t n, Py_ssize_t C, double factor,
    double* sums,  # OUT (period,)
    real_t* tile,  # OUT (3, period)
    Py_ssize_t period
) noexcept nogil:
    """Fill a tile with the means of the channels of one image and the factor."""
    cdef Py_ssize_t block, start, i, c
    for i in range(period):
        sums[i] = 0
    for block in range((n + period - 1) // period):
        start = block * period
        for i in range(min(period, n - start)):
            sums[i] += <double> x[start + i]
    for i in range(C, period):
        sums[i % C] += sums[i]
    for i in range(period):
        c = i % C
        tile[i] = tile[2 * period + i] = <real_t> (sums[c] / <double> (n // C))
        tile[period + i] = <real_t> factor


cdef void _brightness(double delta, real_t* tile, Py_ssize_t period) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(period):
        tile[i], tile[period + i], tile[2 * period + i] = 0, 1, <real_t> delta


cdef void _normalize(
    const real_t* mean, const real_t* variance,
    const int64_t* index,  # IN (n,): which mean each number has
    Py_ssize_t n, bint invert, bint shift,
    real_t* tile,          # OUT (3, period)
    Py_ssize_t period
) noexcept nogil:
    cdef:
        double deviation
        real_t offset
        Py_ssize_t i
    for i in range(period):
        # A variance below zero or NaN gives NaN, as a square root does.
        deviation = sqrt(<double> variance[index[i % n]])
        deviation = EPSILON if deviation < EPSILON else deviation
        offset = mean[index[i % n]] if shift else 0
        tile[i] = 0 if invert else offset
        tile[period + i] = <real_t> (deviation if invert else 1 / deviation)
        tile[2 * period + i] = offset if invert else 0


cdef class Adjustment(Step):
    """A change of each image, in a task of its own, by its draw."""

    cdef:
        Buffer x      # IN (N, IH, IW, C)
        Buffer draws  # IN float64 (N, 1)
        Buffer out    # OUT, of x's shape; may be x
        Py_ssize_t N, C, size, period
        double low, high
        adjust_loop adjust
        contrast_loop contrast
        brightness_loop brightness

    def __init__(self, Buffer x, Buffer draws, Buffer out, double low, double high):
        self.x, self.draws, self.out = x, draws, out
        self.N, _, _, self.C = x.shape
        self.size = x.size // max(self.N, 1)
        self.period = max(<Py_ssize_t> 1, TILE // max(self.C, 1)) * self.C
        self.low, self.high = low, high
        self.scratch = self.period * (8 + 3 * x.itemsize)
        if x.dtype == "float32":
            self.adjust = <adjust_loop> _adjust[float]
            self.contrast = <contrast_loop> _contrast[float]
            self.brightness = <brightness_loop> _brightness[float]
        else:
            self.adjust = <adjust_loop> _adjust[double]
            self.contrast = <contrast_loop> _contrast[double]
            self.brightness = <brightness_loop> _brightness[double]

    cdef void run(self) noexcept nogil:
        if self.x.size > 0:
            self.split(self.N, 4.0 * self.x.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t at = i * self.size * self.x.itemsize
            char* tile = scratch + 8 * self.period
        self.prepare(self.x.data + at, (<const double*> self.draws.data)[i], <double*> scratch, tile)
        self.adjust(self.x.data + at, self.out.data + at, self.size, tile, self.period, self.low, self.high)

    cdef void prepare(self, const char* x, double draw, double* sums, char* tile) noexcept nogil:
        pass


cdef class Contrast(Adjustment):
    """out = (x - m) draws[n, 0] + m, clipped to low..high, where m is the mean of the channel in the image."""

    cdef void prepare(self, const char* x, double draw, double* sums, char* tile) noexcept nogil:
        self.contrast(x, self.size, self.C, draw, sums, tile, self.period)


cdef class Brightness(Adjustment):
    """out = x + draws[n, 0], clipped to low..high."""

    cdef void prepare(self, const char* x, double draw, double* sums, char* tile) noexcept nogil:
        self.brightness(draw, tile, self.period)


cdef class Standardize(Step):
    """out = (x - mean) / std, or x std + mean; without `shift` the linear part, which is its own adjoint."""

    cdef:
        Buffer x         # IN
        Buffer mean      # IN
        Buffer variance  # IN, of mean's shape
        Buffer index     # IN int64 (n,): which mean each of n numbers has, and the next n, and so on
        Buffer out       # OUT, of x's shape; may be x
        bint invert, shift
        Py_ssize_t period, block
        adjust_loop adjust
        normalize_loop normalize

    def __init__(
        self, Buffer x, Buffer mean, Buffer variance, Buffer index, Buffer out, bint invert, bint shift
    ):
        self.x, self.mean, self.variance, self.index, self.out = x, mean, variance, index, out
        self.invert, self.shift = invert, shift
        self.period = max(<Py_ssize_t> 1, TILE // max(index.size, 1)) * index.size
        self.block = max(<Py_ssize_t> 1, TASK // max(self.period, 1)) * self.period
        self.workspace = 3 * self.period * x.itemsize
        if x.dtype == "float32":
            self.adjust = <adjust_loop> _adjust[float]
            self.normalize = <normalize_loop> _normalize[float]
        else:
            self.adjust = <adjust_loop> _adjust[double]
            self.normalize = <normalize_loop> _normalize[double]

    cdef void run(self) noexcept nogil:
        if self.x.size > 0:
            self.normalize(
                self.mean.data, self.variance.data, <const int64_t*> self.index.data, self.index.size, self.invert,
                self.shift, self.work, self.period
            )
            self.split((self.x.size + self.block - 1) // self.block, 2.0 * self.x.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t start = i * self.block, at = start * self.x.itemsize
        self.adjust(
            self.x.data + at, self.out.data + at, min(self.block, self.x.size - start), self.work, self.period,
            -INFINITY, INFINITY
        )
