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


cdef inline Py_ssize_t last_vectors(Py_ssize_t numbers) noexcept nogil:
    """Return how many vectors the last tile takes of so many numbers: two, or three so that one is not alone."""
    cdef Py_ssize_t vectors = ceil_div(numbers, VL)
    return 1 if vectors == 1 else 2 + vectors % 2


cdef void add_product(
    Py_ssize_t rows, Py_ssize_t numbers, Product* product, const float* a, const float* b, float* sums,
) noexcept nogil
cdef void exchange(Product* product) noexcept nogil
