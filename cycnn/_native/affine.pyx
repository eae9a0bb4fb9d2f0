"""Rotated, shifted and scaled images: each image is resampled along an affine map of its own.

    out[n, oh, ow, c] = x[n, ih, iw, c]   where   iw = a0 ow + a1 oh + a2,   ih = b0 ow + b1 oh + b2

and (a0, a1, a2, b0, b1, b2) are the coefficients of image n. Between pixels the nearest one counts ("nearest", halves
away from zero), or the four around are weighted by their distances ("bilinear"). Beyond the edges an image is
continued, as in Keras on TensorFlow:

    reflect   d c b a | a b c d | d c b a
    wrap      a b c d | a b c d | a b c d     beyond one width the period is that of TensorFlow, which is one pixel off
    nearest   a a a a | a b c d | d d d d
    constant  k k k k | a b c d | k k k k     pixels between the edge and k are weighted too

Images are N x IH x IW x C, outputs N x OH x OW x C. The coordinates of SPAN pixels at a time are computed in vectors;
then the pixels are gathered one by one, and a neighbour outside the image is a pointer to the fill value: no branch.
"""

from libc.math cimport copysign, cos, fabs, floor, sin

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_t

cdef enum:
    SPAN = 128    # pixels whose coordinates are computed at once
    TASK = 16384  # numbers that a task writes, about

cdef enum:
    REFLECT
    WRAP
    CONSTANT
    NEAREST

cdef double TAU = 6.283185307179586476925286766559

ctypedef struct resampling_t:
    Py_ssize_t IH, IW, C, OH, OW
    int fill_mode
    bint bilinear
    double fill_value

# The rows first..stop-1 of one image.
ctypedef void (*resample_loop)(
    const resampling_t* r, const float* coefficients, const void* image, void* out, void* fill,
    Py_ssize_t first, Py_ssize_t stop
) noexcept nogil


cdef inline void _continue(double* at, Py_ssize_t n, Py_ssize_t length, int fill_mode) noexcept nogil:
    """Bring coordinates into an image of this length; "constant" only near to it, where they are safe integers."""
    cdef:
        double extent = <double> length, last = extent - 1, period = 2 * extent, t
        Py_ssize_t i
    if fill_mode == CONSTANT:
        for i in range(n):
            at[i] = min(max(at[i], -2.0), extent + 1)
        return
    if fill_mode == REFLECT:
        for i in range(n):
            t = at[i] - period * floor(at[i] / period)
            at[i] = t if t < extent else period - 1 - t
    elif fill_mode == WRAP and length > 1:
        for i in range(n):
            t = floor(fabs(at[i]) / last)
            t = extent * (t + 1) if at[i] < 0 else -extent * t
            at[i] = at[i] if 0 <= at[i] <= last else at[i] + t
    for i in range(n):
        at[i] = min(max(at[i], 0.0), last)


cdef inline void _locate(
    const resampling_t* r, const float* coefficients, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t n,
    double* ih, double* iw  # OUT (n,)
) noexcept nogil:
    """Compute where in the image the output pixels ow..ow+n-1 of row oh are."""
    cdef:
        double a0 = coefficients[0], a = coefficients[1] * <double> oh + coefficients[2]
        double b0 = coefficients[3], b = coefficients[4] * <double> oh + coefficients[5]
        Py_ssize_t i
    for i in range(n):
        iw[i] = a0 * <double> (ow + i) + a
        ih[i] = b0 * <double> (ow + i) + b
    _continue(iw, n, r.IW, r.fill_mode)
    _continue(ih, n, r.IH, r.fill_mode)


cdef inline void _take_nearest(
    const resampling_t* r, const real_t* image, const real_t* fill, const double* ih, const double* iw,
    real_t* out, Py_ssize_t n, Py_ssize_t C
) noexcept nogil:
    cdef:
        const real_t* pixel
        Py_ssize_t i, c, row, column
    for i in range(n):
        row = <Py_ssize_t> copysign(floor(fabs(ih[i]) + 0.5), ih[i])
        column = <Py_ssize_t> copysign(floor(fabs(iw[i]) + 0.5), iw[i])
        pixel = image + (row * r.IW + column) * C if 0 <= row < r.IH and 0 <= column < r.IW else fill
        for c in range(C):
            out[i * C + c] = pixel[c]


cdef inline void _interpolate(
    const resampling_t* r, const real_t* image, const real_t* fill, const double* ih, const double* iw,
    real_t* out, Py_ssize_t n, Py_ssize_t C
) noexcept nogil:
    cdef:
        const real_t* corner00
        const real_t* corner01
        const real_t* corner10
        const real_t* corner11
        real_t one = 1, down, right, above, below
        double top, left
        Py_ssize_t i, c, at, W = r.IW * C
        bint above_in, below_in, left_in, right_in
    for i in range(n):
        top, left = floor(ih[i]), floor(iw[i])
        down, right = <real_t> (ih[i] - top), <real_t> (iw[i] - left)
        above_in, below_in = 0 <= top < r.IH, 0 <= top + 1 < r.IH
        left_in, right_in = 0 <= left < r.IW, 0 <= left + 1 < r.IW
        at = <Py_ssize_t> top * W + <Py_ssize_t> left * C
        corner00 = image + at if above_in and left_in else fill
        corner01 = image + at + C if above_in and right_in else fill
        corner10 = image + at + W if below_in and left_in else fill
        corner11 = image + at + W + C if below_in and right_in else fill
        for c in range(C):
            above = (one - right) * corner00[c] + right * corner01[c]
            below = (one - right) * corner10[c] + right * corner11[c]
            out[i * C + c] = (one - down) * above + down * below


cdef inline void _take(
    const resampling_t* r, const real_t* image, const real_t* fill, const double* ih, const double* iw,
    real_t* out, Py_ssize_t n, Py_ssize_t C
) noexcept nogil:
    if r.bilinear:
        _interpolate(r, image, fill, ih, iw, out, n, C)
    else:
        _take_nearest(r, image, fill, ih, iw, out, n, C)


cdef void _resample(
    const resampling_t* r,
    const float* coefficients,  # IN (6,)
    const real_t* image,        # IN (IH, IW, C)
    real_t* out,                # OUT (OH, OW, C), the rows first..stop-1
    real_t* fill,               # OUT (C,), scratch
    Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    cdef:
        double ih[SPAN]
        double iw[SPAN]
        real_t* row
        Py_ssize_t oh, ow, n, c, span
    for c in range(r.C):
        fill[c] = <real_t> r.fill_value
    for oh in range(first, stop):
        for span in range((r.OW + SPAN - 1) // SPAN):
            ow = span * SPAN
            n = min(<Py_ssize_t> SPAN, r.OW - ow)
            row = out + (oh * r.OW + ow) * r.C
            _locate(r, coefficients, oh, ow, n, ih, iw)
            if r.C == 1:  # a constant, from which the compiler makes a loop without a loop
                _take(r, image, fill, ih, iw, row, n, 1)
            elif r.C == 3:
                _take(r, image, fill, ih, iw, row, n, 3)
            else:
                _take(r, image, fill, ih, iw, row, n, r.C)


cdef class AffineTransform(Step):
    """out[n] = x[n] resampled along the map of image n."""

    cdef:
        Buffer x             # IN (N, IH, IW, C)
        Buffer coefficients  # IN float32 (N, 6), or (1, 6) for all images
        Buffer out           # OUT (N, OH, OW, C), not x
        resampling_t r
        Py_ssize_t N, rows, blocks, stride
        resample_loop loop

    def __init__(
        self, Buffer x, Buffer coefficients, Buffer out, str interpolation, str fill_mode, double fill_value
    ):
        self.x, self.coefficients, self.out = x, coefficients, out
        self.N, self.r.IH, self.r.IW, self.r.C = x.shape
        _, self.r.OH, self.r.OW, _ = out.shape
        self.r.bilinear = interpolation == "bilinear"
        self.r.fill_mode = ("reflect", "wrap", "constant", "nearest").index(fill_mode)
        self.r.fill_value = fill_value
        self.stride = 6 if coefficients.shape[0] > 1 else 0
        self.rows = max(<Py_ssize_t> 1, TASK // max(<Py_ssize_t> 1, self.r.OW * self.r.C))
        self.blocks = (self.r.OH + self.rows - 1) // self.rows
        self.scratch = self.r.C * x.itemsize
        self.loop = <resample_loop> _resample[float] if x.dtype == "float32" else <resample_loop> _resample[double]

    cdef void run(self) noexcept nogil:
        if self.x.size > 0:
            self.split(self.N * self.blocks, 16.0 * self.out.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t n = i // self.blocks, first = i % self.blocks * self.rows
            Py_ssize_t image = self.r.IH * self.r.IW * self.r.C * self.x.itemsize
            Py_ssize_t result = self.r.OH * self.r.OW * self.r.C * self.x.itemsize
            const float* coefficients = <const float*> self.coefficients.data + n * self.stride
        self.loop(
            &self.r, coefficients, self.x.data + n * image, self.out.data + n * result, scratch, first,
            min(first + self.rows, self.r.OH)
        )


cdef class AffineCoefficients(Step):
    """The map of each image from its random draws, rounded to float32 as Keras's are.

    rotation     draw: turns counter-clockwise about the middle of the image, 1 for all around
    translation  draws: down and to the right, in heights and widths of the image
    zoom         draws: vertical and horizontal scale about the middle, or one for both; above 1 the image shrinks
    """

    cdef:
        Buffer draws         # IN float64 (N, 1 or 2)
        Buffer coefficients  # OUT float32 (N, 6)
        Py_ssize_t columns
        double height, width
        int kind

    def __init__(self, Buffer draws, Buffer coefficients, str kind, double height, double width):
        self.draws, self.coefficients = draws, coefficients
        self.height, self.width = height, width
        self.columns = draws.shape[1]
        self.kind = ("rotation", "translation", "zoom").index(kind)

    cdef void run(self) noexcept nogil:
        cdef:
            const double* draw = <const double*> self.draws.data
            float* to = <float*> self.coefficients.data
            double a0, a1 = 0, a2, b0 = 0, b1, b2, cx = (self.width - 1) / 2, cy = (self.height - 1) / 2
        for _ in range(self.draws.size // self.columns):
            if self.kind == 0:
                a0, b0 = cos(TAU * draw[0]), sin(TAU * draw[0])
                a1, b1 = -b0, a0
                a2, b2 = cx - cx * a0 - cy * a1, cy - cx * b0 - cy * b1
            elif self.kind == 1:
                a0, b1 = 1, 1
                a2, b2 = -draw[1] * self.width, -draw[0] * self.height
            else:
                a0, b1 = draw[self.columns - 1], draw[0]
                a2, b2 = cx * (1 - a0), cy * (1 - b1)
            to[0], to[1], to[2] = <float> a0, <float> a1, <float> a2
            to[3], to[4], to[5] = <float> b0, <float> b1, <float> b2
            draw += self.columns
            to += 6
