"""Random changes of images that move pixels: flips, crops, erased rectangles, mixtures of two images.

    UniformDraws   draws[n, p] = low_p + (high_p - low_p) u,   u in [0, 1) random
    FlipImages     out[n] = x[n], mirrored where draws[n, 0] <= 1/2
    CropImages     out[n, oh, ow] = x[n, top + oh, left + ow],   (top, left) = whole part of draws[n]
    DrawnBoxes     the rectangles that random erasing erases
    EraseBoxes     out[n] = x[n], but a constant or noise inside boxes[n]
    PasteBoxes     out[n] = x[n], but x[partners[n]] inside boxes[n]
    MixImages      out[n] = weights[n] x[n] + (1 - weights[n]) x[partners[n]]

Images are N x IH x IW x C. What is random is drawn first, a few numbers for each image, by hashing (seed, step, image,
number): the same on every run and for any number of threads. The changes are then functions of these numbers, which
tests can choose. One task is one image; rows are copied whole wherever a change leaves them whole.
"""

from libc.math cimport ceil, cos, log, sqrt
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_t
from .random cimport hash32, mix64

cdef double TAU = 6.283185307179586476925286766559

ctypedef void (*mirror_loop)(const void* x, void* out, Py_ssize_t pixels, Py_ssize_t C) noexcept nogil
ctypedef void (*fill_loop)(void* out, const double* values, Py_ssize_t n, Py_ssize_t C) noexcept nogil
ctypedef void (*noise_loop)(
    void* out, Py_ssize_t first, Py_ssize_t n, uint64_t key, double low, double high
) noexcept nogil
ctypedef void (*mix_loop)(const void* x, const void* other, void* out, Py_ssize_t n, double weight) noexcept nogil


cdef inline uint64_t _image_key(const uint64_t* key, uint64_t stream, Py_ssize_t image) noexcept nogil:
    """Return the key of an image's random numbers, from seed, step, the layer's stream and its place in the batch."""
    return mix64(mix64(mix64(mix64(key[0]) ^ key[1]) ^ stream) ^ <uint64_t> image)


cdef inline void _mirror_pixels(const real_t* x, real_t* out, Py_ssize_t pixels, Py_ssize_t C) noexcept nogil:
    cdef Py_ssize_t i, c
    for i in range(pixels):
        for c in range(C):
            out[i * C + c] = x[(pixels - 1 - i) * C + c]


cdef void _mirror(const real_t* x, real_t* out, Py_ssize_t pixels, Py_ssize_t C) noexcept nogil:
    """Reverse the order of pixels; with a constant number of channels the compiler needs no loop over them."""
    if C == 1:
        _mirror_pixels(x, out, pixels, 1)
    elif C == 3:
        _mirror_pixels(x, out, pixels, 3)
    else:
        _mirror_pixels(x, out, pixels, C)


cdef void _fill(real_t* out, const double* values, Py_ssize_t n, Py_ssize_t C) noexcept nogil:
    """Set n pixels to one value for each channel."""
    cdef Py_ssize_t i, c
    for i in range(n):
        for c in range(C):
            out[i * C + c] = <real_t> values[c]


cdef void _noise(real_t* out, Py_ssize_t first, Py_ssize_t n, uint64_t key, double low, double high) noexcept nogil:
    """Set n numbers, of which the first has the given place in its image, to normal noise between low and high.

    Its deviation is `high`. Number i is made of the random bits 2i and 2i + 1 (Box and Muller).
    """
    cdef:
        Py_ssize_t i
        uint32_t place, key_low = <uint32_t> key, key_high = <uint32_t> (key >> 32)
        double radius, angle, value
    for i in range(n):
        place = 2 * <uint32_t> (first + i)
        radius = sqrt(-2 * log((hash32(place, key_low, key_high) + 1.0) / 4294967296.0))
        angle = TAU * hash32(place + 1, key_low, key_high) / 4294967296.0
        value = high * radius * cos(angle)
        out[i] = <real_t> min(max(value, low), high)


cdef void _mix(const real_t* x, const real_t* other, real_t* out, Py_ssize_t n, double weight) noexcept nogil:
    cdef:
        real_t own = <real_t> weight, partner = <real_t> (1 - weight)
        Py_ssize_t i
    for i in range(n):
        out[i] = own * x[i] + partner * other[i]


cdef class UniformDraws(Step):
    """draws[n, p] = low_p + (high_p - low_p) u, where u depends on (seed, step, stream, n, first + p) alone.

    `first` gives layers that share a seed different numbers.
    """

    cdef:
        Buffer draws   # OUT float64 (N, P)
        Buffer key     # IN uint64 (2,), seed and step
        Buffer ranges  # IN float64 (P, 2), low and high
        uint64_t stream, first
        Py_ssize_t N, P

    def __init__(self, Buffer draws, Buffer key, Buffer ranges, uint64_t stream, uint64_t first):
        self.draws, self.key, self.ranges = draws, key, ranges
        self.stream, self.first = stream, first
        self.N, self.P = draws.shape

    cdef void run(self) noexcept nogil:
        cdef:
            const uint64_t* key = <const uint64_t*> self.key.data
            const double* ranges = <const double*> self.ranges.data
            double* draws = <double*> self.draws.data
            uint64_t image
            double u
            Py_ssize_t n, p
        for n in range(self.N):
            image = _image_key(key, self.stream, n)
            for p in range(self.P):
                u = <double> (mix64(image ^ (self.first + <uint64_t> p)) >> 11) / 9007199254740992.0
                draws[n * self.P + p] = ranges[2 * p] + (ranges[2 * p + 1] - ranges[2 * p]) * u


cdef class Images(Step):
    """A step that makes each image of `out` in a task of its own."""

    cdef:
        Buffer x    # IN (N, IH, IW, C)
        Buffer out  # OUT, not x
        Py_ssize_t N, IH, IW, C
        Py_ssize_t pixel, row, image  # bytes of x

    def __init__(self, Buffer x, Buffer out):
        self.x, self.out = x, out
        self.N, self.IH, self.IW, self.C = x.shape
        self.pixel = self.C * x.itemsize
        self.row = self.IW * self.pixel
        self.image = self.IH * self.row

    cdef void run(self) noexcept nogil:
        if self.out.size > 0:
            self.split(self.N, 2.0 * self.out.size)


cdef class FlipImages(Images):
    """out[n] = x[n], mirrored where draws[n, 0] <= 1/2. It is its own adjoint."""

    cdef:
        Buffer draws  # IN float64 (N, 1)
        bint horizontal, vertical
        mirror_loop loop

    def __init__(self, Buffer x, Buffer draws, Buffer out, bint horizontal, bint vertical):
        super().__init__(x, out)
        self.draws = draws
        self.horizontal, self.vertical = horizontal, vertical
        self.loop = <mirror_loop> _mirror[float] if x.dtype == "float32" else <mirror_loop> _mirror[double]

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            const char* x = self.x.data + i * self.image
            char* out = self.out.data + i * self.image
            bint flipped = (<const double*> self.draws.data)[i] <= 0.5
            bint horizontal = flipped and self.horizontal, vertical = flipped and self.vertical
            Py_ssize_t h, source
        if not horizontal and not vertical:
            memcpy(out, x, self.image)
            return
        for h in range(self.IH):
            source = self.IH - 1 - h if vertical else h
            if horizontal:
                self.loop(x + source * self.row, out + h * self.row, self.IW, self.C)
            else:
                memcpy(out + h * self.row, x + source * self.row, self.row)


cdef class CropImages(Images):
    """out[n, oh, ow] = x[n, top + oh, left + ow], where (top, left) are the whole parts of draws[n]."""

    cdef:
        Buffer draws  # IN float64 (N, 2), or (1, 2) for all images
        Py_ssize_t OH, OW, stride

    def __init__(self, Buffer x, Buffer draws, Buffer out):
        super().__init__(x, out)
        self.draws = draws
        _, self.OH, self.OW, _ = out.shape
        self.stride = 2 if draws.shape[0] > 1 else 0

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            const double* draw = <const double*> self.draws.data + i * self.stride
            Py_ssize_t top = min(<Py_ssize_t> draw[0], self.IH - self.OH)
            Py_ssize_t left = min(<Py_ssize_t> draw[1], self.IW - self.OW)
            const char* x = self.x.data + i * self.image + top * self.row + left * self.pixel
            Py_ssize_t bytes = self.OW * self.pixel, h
            char* out = self.out.data + i * self.OH * bytes
        for h in range(self.OH):
            memcpy(out + h * bytes, x + h * self.row, bytes)


cdef class DrawnBoxes(Step):
    """boxes[n] = (top, bottom, left, right), bottom and right beyond the last; empty where nothing is erased.

    Of the draws two are shares of the area, whose roots are the box's width and height in those of the image; two say
    where in the room that is left the box begins; the last two are the probability of a box and what it is compared to.
    """

    cdef:
        Buffer draws  # IN float64 (N, 6): width's share, height's share, place across, place down, probability, chance
        Buffer boxes  # OUT int64 (N, 4)
        double height, width

    def __init__(self, Buffer draws, Buffer boxes, double height, double width):
        self.draws, self.boxes = draws, boxes
        self.height, self.width = height, width

    cdef void run(self) noexcept nogil:
        cdef:
            const double* draw = <const double*> self.draws.data
            int64_t* box = <int64_t*> self.boxes.data
            double breadth, length, left, top
        for _ in range(self.draws.size // 6):
            breadth, length = self.width * sqrt(draw[0]), self.height * sqrt(draw[1])
            left, top = draw[2] * (self.width - breadth), draw[3] * (self.height - length)
            box[0], box[1] = <int64_t> ceil(top), <int64_t> min(ceil(top + length), self.height)
            box[2], box[3] = <int64_t> ceil(left), <int64_t> min(ceil(left + breadth), self.width)
            if draw[5] >= draw[4]:
                box[1] = box[0]
            draw += 6
            box += 4


cdef class Boxed(Images):
    """out[n] = x[n] outside boxes[n]; `cover` writes a row of the inside."""

    cdef Buffer boxes  # IN int64 (N, 4): top, bottom, left, right

    def __init__(self, Buffer x, Buffer boxes, Buffer out):
        super().__init__(x, out)
        self.boxes = boxes

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            const int64_t* box = <const int64_t*> self.boxes.data + 4 * i
            Py_ssize_t h
        memcpy(self.out.data + i * self.image, self.x.data + i * self.image, self.image)
        if box[3] > box[2]:
            for h in range(box[0], box[1]):
                self.cover(i, h * self.IW + box[2], box[3] - box[2])

    cdef void cover(self, Py_ssize_t image, Py_ssize_t first, Py_ssize_t pixels) noexcept nogil:
        pass


cdef class EraseBoxes(Boxed):
    """out[n] = x[n], but inside boxes[n] the fill value of the channel, or noise.

    Noise is normal, of mean 0 and deviation `high`, clipped to low..high.
    """

    cdef:
        Buffer values  # IN float64 (C,), or None for noise
        Buffer key     # IN uint64 (2,), seed and step
        uint64_t stream
        double low, high
        fill_loop fill
        noise_loop noise

    def __init__(
        self, Buffer x, Buffer boxes, Buffer out, Buffer values, Buffer key, uint64_t stream, double low, double high
    ):
        super().__init__(x, boxes, out)
        self.values, self.key = values, key
        self.stream, self.low, self.high = stream, low, high
        self.fill = <fill_loop> _fill[float] if x.dtype == "float32" else <fill_loop> _fill[double]
        self.noise = <noise_loop> _noise[float] if x.dtype == "float32" else <noise_loop> _noise[double]

    cdef void cover(self, Py_ssize_t image, Py_ssize_t first, Py_ssize_t pixels) noexcept nogil:
        cdef:
            char* out = self.out.data + image * self.image + first * self.pixel
            uint64_t key
        if self.values is not None:
            self.fill(out, <const double*> self.values.data, pixels, self.C)
        else:
            key = _image_key(<const uint64_t*> self.key.data, self.stream, image)
            self.noise(out, first * self.C, pixels * self.C, mix64(~key), self.low, self.high)


cdef class PasteBoxes(Boxed):
    """out[n] = x[n], but x[partners[n]] inside boxes[n]."""

    cdef Buffer partners  # IN int64 (N,)

    def __init__(self, Buffer x, Buffer boxes, Buffer out, Buffer partners):
        super().__init__(x, boxes, out)
        self.partners = partners

    cdef void cover(self, Py_ssize_t image, Py_ssize_t first, Py_ssize_t pixels) noexcept nogil:
        cdef Py_ssize_t partner = (<const int64_t*> self.partners.data)[image]
        memcpy(
            self.out.data + image * self.image + first * self.pixel,
            self.x.data + partner * self.image + first * self.pixel,
            pixels * self.pixel
        )


cdef class MixImages(Images):
    """out[n] = weights[n] x[n] + (1 - weights[n]) x[partners[n]]."""

    cdef:
        Buffer partners  # IN int64 (N,)
        Buffer weights   # IN float64 (N,)
        mix_loop loop

    def __init__(self, Buffer x, Buffer partners, Buffer weights, Buffer out):
        super().__init__(x, out)
        self.partners, self.weights = partners, weights
        self.loop = <mix_loop> _mix[float] if x.dtype == "float32" else <mix_loop> _mix[double]

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t partner = (<const int64_t*> self.partners.data)[i]
        self.loop(
            self.x.data + i * self.image, self.x.data + partner * self.image, self.out.data + i * self.image,
            self.IH * self.IW * self.C, (<const double*> self.weights.data)[i]
        )
