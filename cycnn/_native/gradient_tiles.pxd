"""Sums over pixels of products: what the tiles of kernel gradients are told."""

from .simd cimport VL
from .tiles cimport ceil_div

cdef enum:
    LINE = 64  # bytes that come into the cache together

cdef struct Stream:
    # Memory that will be read soon: in each of some calls a line for every pixel, `step` bytes apart.
    const char* start
    Py_ssize_t step, advance, calls

cdef struct Product:
    # The pixels that are summed over, and the steps in a and b from one image, row and column to the next.
    Py_ssize_t images, rows, columns
    Py_ssize_t a_image, a_row, a_column
    Py_ssize_t b_image, b_row, b_column
    Py_ssize_t sums_row
    bint fresh        # whether there are no sums yet
    Stream ahead[2]


cdef inline void set_stream(Stream* stream, Py_ssize_t pixels, Py_ssize_t step, Py_ssize_t nbytes) noexcept nogil:
    """Fetch so many bytes of each pixel: in the order of memory where they are neighbours, else line by line."""
    stream.calls = ceil_div(nbytes, LINE)
    stream.step, stream.advance = step, LINE
    if step == nbytes or step == LINE:
        stream.step, stream.advance = LINE, LINE * pixels


cdef inline Py_ssize_t last_vectors(Py_ssize_t numbers) noexcept nogil:
    """Return how many vectors the last tile takes of so many numbers: two, or three so that one is not alone."""
    cdef Py_ssize_t vectors = ceil_div(numbers, VL)
    return 1 if vectors == 1 else 2 + vectors % 2


cdef inline Py_ssize_t last_channels(Py_ssize_t numbers) noexcept nogil:
    """Return how many of the channels that are left go into the next panel: two vectors, or all where few are left."""
    return 2 * VL if ceil_div(numbers, VL) > 3 else numbers


cdef void add_product(
    Py_ssize_t rows, Py_ssize_t numbers, Product* product, const float* a, const float* b, float* sums,
) noexcept nogil
cdef Py_ssize_t pack_panel(
    Product* product, Py_ssize_t rows, Py_ssize_t numbers, const float* a, const float* b, float* panel, float* sums
) noexcept nogil
cdef void add_pixels(
    const float* b, Py_ssize_t pixel, Py_ssize_t pixels, Py_ssize_t numbers, bint fresh, float* sums
) noexcept nogil
cdef void exchange(Product* product) noexcept nogil
