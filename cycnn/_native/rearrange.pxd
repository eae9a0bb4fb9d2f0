"""Walks: two arrays gone over together in row-major order, each with strides of its own.

A walk is a tuple (shape, x_strides, x_offset, out_strides, out_offset) in elements, `cycnn.strides.Walk`; a stride of
zero stays where it is. Neighbouring axes that both arrays run through evenly become one, so that the innermost axis,
the run, is as long as it can be.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    MOST = 8       # axes of a walk
    SHORT = 64     # bytes below which a call of memcpy costs more than the copy

ctypedef fused item_t:
    uint8_t
    uint32_t
    uint64_t

cdef struct walk_t:
    Py_ssize_t axes            # at least one
    Py_ssize_t size            # elements walked over
    Py_ssize_t[MOST] extent
    Py_ssize_t[MOST] x_stride
    Py_ssize_t[MOST] out_stride
    Py_ssize_t x_offset
    Py_ssize_t out_offset

cdef struct place_t:
    Py_ssize_t[MOST] index
    Py_ssize_t x    # elements from the start of x
    Py_ssize_t out  # and of out

ctypedef void (*copy_loop)(const walk_t* w, const void* x, void* out, Py_ssize_t start, Py_ssize_t n) noexcept nogil


cdef inline void join(walk_t* w, Py_ssize_t extent, Py_ssize_t x_stride, Py_ssize_t out_stride) noexcept nogil:
    """Append an axis, or make the last one longer where both arrays go on evenly."""
    cdef:
        Py_ssize_t last = w.axes - 1
        bint even = last >= 0 and extent > 0 and w.extent[last] > 0
    if extent == 1:
        return
    if even and w.x_stride[last] == x_stride * extent and w.out_stride[last] == out_stride * extent:
        w.extent[last] *= extent
    else:
        last = w.axes
        w.axes += 1
        w.extent[last] = extent
    w.x_stride[last], w.out_stride[last] = x_stride, out_stride


cdef inline void close(walk_t* w) noexcept nogil:
    """Give a walk over a single element an axis, and count the elements."""
    cdef Py_ssize_t a
    if w.axes == 0:
        w.axes = 1
        w.extent[0] = w.x_stride[0] = w.out_stride[0] = 1
    w.size = 1
    for a in range(w.axes):
        w.size *= w.extent[a]


cdef inline int read_walk(walk_t* w, walk) except -1:
    """Fill in `w` from a `cycnn.strides.Walk`."""
    shape, x_strides, x_offset, out_strides, out_offset = walk
    w.axes = 0
    w.x_offset, w.out_offset = x_offset, out_offset
    if len(shape) > MOST:
        raise ValueError(f"a walk has at most {MOST} axes, not {len(shape)}")
    for extent, x_stride, out_stride in zip(shape, x_strides, out_strides, strict=True):
        join(w, extent, x_stride, out_stride)
    close(w)
    return 0


cdef inline void seek(const walk_t* w, Py_ssize_t axes, Py_ssize_t step, place_t* place) noexcept nogil:
    """Go to step number `step` over the first `axes` axes."""
    cdef Py_ssize_t a
    place.x, place.out = w.x_offset, w.out_offset
    for a in range(axes - 1, -1, -1):
        place.index[a] = step % w.extent[a]
        step //= w.extent[a]
        place.x += place.index[a] * w.x_stride[a]
        place.out += place.index[a] * w.out_stride[a]


cdef inline void advance(const walk_t* w, Py_ssize_t axes, place_t* place) noexcept nogil:
    """Go one step on over the first `axes` axes; after the last step comes the first."""
    cdef Py_ssize_t a = axes - 1
    while a >= 0:
        place.index[a] += 1
        place.x += w.x_stride[a]
        place.out += w.out_stride[a]
        if place.index[a] < w.extent[a]:
            return
        place.x -= w.extent[a] * w.x_stride[a]
        place.out -= w.extent[a] * w.out_stride[a]
        place.index[a] = 0
        a -= 1


cdef inline void copy_run(
    const item_t* x, Py_ssize_t x_stride, item_t* out, Py_ssize_t out_stride, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t i
    cdef item_t item
    if out_stride == 1 and x_stride == 1 and n * <Py_ssize_t> sizeof(item_t) >= SHORT:
        memcpy(out, x, n * sizeof(item_t))
    elif out_stride == 1 and x_stride == 0:
        item = x[0]
        for i in range(n):
            out[i] = item
    else:
        for i in range(n):
            out[i * out_stride] = x[i * x_stride]


cdef inline void copy_walk(
    const walk_t* w, const item_t* x, item_t* out, Py_ssize_t start, Py_ssize_t n
) noexcept nogil:
    """Copy the elements start..start+n-1 of the walk."""
    cdef:
        Py_ssize_t last = w.axes - 1, length = w.extent[last], within = start % length, run
        Py_ssize_t x_stride = w.x_stride[last], out_stride = w.out_stride[last]
        place_t place
    seek(w, last, start // length, &place)
    while n > 0:
        run = min(n, length - within)
        copy_run(x + place.x + within * x_stride, x_stride, out + place.out + within * out_stride, out_stride, run)
        advance(w, last, &place)
        within = 0
        n -= run
