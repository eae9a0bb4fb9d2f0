"""Fetching into the second-level cache what will be read soon, where the processor cannot foresee it."""

cdef enum:
    LINE = 16  # floats of a line of the cache

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define fetch_line(p) __builtin_prefetch(p, 0, 2)
    #else
    #define fetch_line(p) ((void)(p))
    #endif
    """
    void fetch_line(const float* p) noexcept nogil


cdef inline void fetch(const float* p, Py_ssize_t numbers) noexcept nogil:
    """Fetch numbers, which may lie beyond the end of an array."""
    cdef Py_ssize_t i
    for i in range((numbers + LINE - 1) // LINE):
        fetch_line(p + i * LINE)


cdef inline void fetch_lines(const float* p, Py_ssize_t first, Py_ssize_t stop) noexcept nogil:
    """Fetch the lines first..stop-1 behind p."""
    cdef Py_ssize_t i
    for i in range(first, stop):
        fetch_line(p + i * LINE)
