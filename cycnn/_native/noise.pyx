"""Random steps for training: dropout and normal noise.

    Dropout   out_i = scale x_i + shift where the number of i is kept, else fill
    Gaussian  out_i = x_i + stddev z_i   or   x_i (1 + stddev z_i),   z_i normal

The number of an element is a function of (seed, step, stream, place) alone: it is the same for gradients as for values,
for float64 as for float32 and for any number of threads. So nothing is kept between the passes. Elements are numbered
in blocks of 8192 that share a key, so that hashing one costs a few 32-bit multiplications, many at a time.

A dropout mask may be smaller than x and be repeated along some axes; it is never stored either.
"""

from libc.math cimport log, sin, sqrt
from libc.stdint cimport int32_t, uint32_t, uint64_t

from cycnn._native.runtime cimport Buffer
from .activations cimport real_abs, real_t
from .broadcast cimport broadcast_t, make_broadcast, place_of_run
from .elementwise cimport CHUNK, Elementwise
from .random cimport hash32, mix64

cdef extern from "special.h" nogil:
    float log_float(float x) noexcept
    float sin_turn_float(float b) noexcept

ctypedef struct mask_t:
    double scale, shift, fill  # kept numbers become scale x + shift, the others fill
    uint32_t threshold         # a number is kept whose 32 bits are not below it

ctypedef void (*dropout_loop)(
    const mask_t* mask, const void* x, void* out, Py_ssize_t n, uint32_t first, bint repeats, uint64_t key
) noexcept nogil
ctypedef void (*gaussian_loop)(
    const void* x, void* out, Py_ssize_t n, double stddev, bint multiply, uint64_t key
) noexcept nogil


cdef uint64_t _key_of_stream(Buffer key, uint64_t stream) noexcept nogil:
    """Return what the keys of all blocks are made from."""
    cdef const uint64_t* numbers = <const uint64_t*> key.data
    return mix64(mix64(mix64(numbers[0]) ^ numbers[1]) ^ stream)


cdef void _dropout(
    const mask_t* mask, const real_t* x, real_t* out, Py_ssize_t n, uint32_t first, bint repeats, uint64_t key
) noexcept nogil:
    """Drop among n numbers whose places in their block are first, first + 1, ..., or all of them first."""
    cdef:
        Py_ssize_t i
        real_t scale = <real_t> mask.scale, shift = <real_t> mask.shift, fill = <real_t> mask.fill, kept
        uint32_t low = <uint32_t> key, high = <uint32_t> (key >> 32), threshold = mask.threshold
    if repeats and hash32(first, low, high) < threshold:
        for i in range(n):
            out[i] = fill
    elif repeats:
        for i in range(n):
            out[i] = scale * x[i] + shift
    else:
        for i in range(n):
            kept = scale * x[i] + shift
            out[i] = kept if hash32(first + <uint32_t> i, low, high) >= threshold else fill


cdef inline real_t _normal(real_t stddev, uint32_t first, uint32_t second) noexcept nogil:
    """Return a normal number made of 64 random bits, by the first half of Box and Muller's transform.

    The radius comes from 31 bits, so that the largest number is 6.7 and the tails beyond it, 3e-11 of all, are missing.
    """
    cdef:
        real_t half = 0.5, quarter = 0.25, two = 2
        real_t u = (<real_t> <int32_t> (first >> 1) + half) * <real_t> (1.0 / 2147483648.0)
        real_t turn = real_abs(<real_t> <int32_t> second * <real_t> (1.0 / 4294967296.0)) - quarter
    if real_t is float:
        return stddev * (<float> sqrt(-two * log_float(u)) * sin_turn_float(turn))
    else:
        return stddev * (sqrt(-two * log(u)) * sin(6.283185307179586 * turn))


cdef void _gaussian(
    const real_t* x, real_t* out, Py_ssize_t n, double stddev, bint multiply, uint64_t key
) noexcept nogil:
    cdef:
        Py_ssize_t i
        uint64_t other = mix64(key)
        uint32_t low = <uint32_t> key, high = <uint32_t> (key >> 32)
        uint32_t low_2 = <uint32_t> other, high_2 = <uint32_t> (other >> 32)
        real_t scale = <real_t> stddev, one = 1, z
    for i in range(n):
        z = _normal(scale, hash32(<uint32_t> i, low, high), hash32(<uint32_t> i, low_2, high_2))
        out[i] = x[i] * (one + z) if multiply else x[i] + z


cdef class Dropout(Elementwise):
    """out_i = scale x_i + shift with probability 1 - rate, else fill; `affine` is these three numbers.

    The mask has the shape `noise_shape`: of each axis the extent of x, or 1.
    """

    cdef:
        Buffer x    # IN: values, or gradients on the way back
        Buffer out  # OUT, of x's shape; may be x
        Buffer key  # IN: uint64 (2,), seed and step
        uint64_t stream
        mask_t mask
        broadcast_t b
        dropout_loop loop

    def __init__(
        self, Buffer x, Buffer out, double rate, Buffer key, uint64_t stream, tuple noise_shape, tuple affine
    ):
        self.x, self.out, self.key = x, out, key
        self.size = x.size
        self.stream = stream
        self.mask.threshold = <uint32_t> min(rate * 4294967296.0, 4294967295.0)
        self.mask.scale, self.mask.shift, self.mask.fill = affine
        make_broadcast(&self.b, x.shape, noise_shape)
        self.loop = <dropout_loop> _dropout[float] if x.dtype == "float32" else <dropout_loop> _dropout[double]

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef:
            uint64_t key = _key_of_stream(self.key, self.stream)
            Py_ssize_t run = self.b.run, itemsize = self.x.itemsize, stop = start + n, place, first, count
        while start < stop:
            place = place_of_run(&self.b, start // run) + (0 if self.b.repeats else start % run)
            first = place % CHUNK
            count = min(run - start % run, stop - start)
            if not self.b.repeats:
                count = min(count, CHUNK - first)
            self.loop(
                &self.mask, self.x.data + start * itemsize, self.out.data + start * itemsize, count,
                <uint32_t> first, self.b.repeats, mix64(key ^ <uint64_t> (place - first)),
            )
            start += count


cdef class Gaussian(Elementwise):
    """out_i = x_i + stddev z_i, or x_i (1 + stddev z_i) to `multiply`, where the z_i are normal."""

    cdef:
        Buffer x    # IN: values, or gradients on the way back
        Buffer out  # OUT, of x's shape; may be x
        Buffer key  # IN: uint64 (2,), seed and step
        uint64_t stream
        double stddev
        bint multiply
        gaussian_loop loop

    def __init__(self, Buffer x, Buffer out, double stddev, bint multiply, Buffer key, uint64_t stream):
        self.x, self.out, self.key = x, out, key
        self.size = x.size
        self.stddev, self.multiply, self.stream = stddev, multiply, stream
        self.loop = <gaussian_loop> _gaussian[float] if x.dtype == "float32" else <gaussian_loop> _gaussian[double]

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef:
            # Mixed once more than for dropout, so that layers of one seed do not draw from the same numbers.
            uint64_t key = mix64(mix64(_key_of_stream(self.key, self.stream)) ^ <uint64_t> start)
            Py_ssize_t at = start * self.x.itemsize
        self.loop(self.x.data + at, self.out.data + at, n, self.stddev, self.multiply, key)
