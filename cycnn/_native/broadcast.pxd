"""A small array read along a large one: each of its axes is either as long as the large one's, or 1 and repeated.

Neighbouring axes of one kind are one group. A run is a row of the last group: contiguous in the large array, and in
the small one either contiguous too or a single number.
"""

from cycnn._native.runtime cimport MOST_AXES

cdef struct broadcast_t:
    Py_ssize_t groups              # but the last
    Py_ssize_t extents[MOST_AXES]
    Py_ssize_t strides[MOST_AXES]  # in the small array, 0 where it is repeated
    Py_ssize_t run                 # numbers in a run
    bint repeats                   # a run reads a single number


cdef inline int make_broadcast(broadcast_t* b, tuple shape, tuple small) except -1:
    """Describe how an array of the shape `small` is read along one of `shape`."""
    cdef list groups = [], group = None  # from the last to the first
    for extent, here in zip(reversed(shape), reversed(small), strict=True):
        if extent == 1:
            continue
        if group is not None and group[1] == (here == 1):
            group[0] *= extent
        else:
            group = [extent, here == 1]
            groups.append(group)
    b.run, b.repeats = groups[0] if groups else (1, False)
    stride = 1 if b.repeats else b.run
    b.run = max(b.run, 1)
    b.groups = len(groups[1:])
    for i, (extent, repeats) in enumerate(groups[1:]):
        b.extents[i], b.strides[i] = extent, 0 if repeats else stride
        stride *= 1 if repeats else extent
    return 0


cdef inline Py_ssize_t place_of_run(const broadcast_t* b, Py_ssize_t run) noexcept nogil:
    """Return where in the small array the run of that number begins."""
    cdef Py_ssize_t i, place = 0
    for i in range(b.groups):
        place += run % b.extents[i] * b.strides[i]
        run //= b.extents[i]
    return place
