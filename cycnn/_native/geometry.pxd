"""The extents and the window that plain loops over images share, and which taps meet real pixels.

Output `o` along an axis reads the pixels o * stride - pad + k * dilation for its taps k = 0..K-1. Taps that
fall outside the image meet padding and are left out, never read.
"""

cdef struct geometry_t:
    Py_ssize_t N, IH, IW, IC, OH, OW, OC, KH, KW
    Py_ssize_t stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w
    Py_ssize_t groups  # of channels, each of which meets a part of the output's alone


cdef inline int read_geometry(geometry_t* g, tuple x, tuple out, window, Py_ssize_t groups=1) except -1:
    """Fill in `g` from the shapes of the images and of the outputs, and a `cycnn.shapes.Window`."""
    g.groups = groups
    g.N, g.IH, g.IW, g.IC = x
    _, g.OH, g.OW, g.OC = out
    g.KH, g.KW, g.stride_h, g.stride_w, g.pad_top, _, g.pad_left, _, g.dilation_h, g.dilation_w = window
    return 0


cdef inline void real_taps(
    Py_ssize_t start, Py_ssize_t size, Py_ssize_t K, Py_ssize_t dilation, Py_ssize_t* first, Py_ssize_t* stop
) noexcept nogil:
    """Set first <= k < stop to the taps whose pixel, start + k * dilation, lies in 0..size-1.

    The divisions are slow and needed at the borders only. Where no tap qualifies, stop <= first.
    """
    first[0] = 0 if start >= 0 else (dilation - 1 - start) // dilation
    stop[0] = K if start + (K - 1) * dilation < size else (size - start + dilation - 1) // dilation


cdef struct patch_t:
    # The real pixels of a window, or the windows that hold a pixel: a rectangle of an image of C channels.
    Py_ssize_t start, last    # its first and last pixel: elements from the start of the array
    Py_ssize_t row            # elements from one row to the next
    Py_ssize_t rows, columns  # both zero where it is empty


cdef inline patch_t patch(
    Py_ssize_t n, Py_ssize_t H, Py_ssize_t W, Py_ssize_t C,
    Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right
) noexcept nogil:
    """Return rows top..bottom-1 and columns left..right-1 of image n of an N x H x W x C array."""
    cdef patch_t p
    p.start = p.last = p.row = p.rows = p.columns = 0
    if top < bottom and left < right:
        p.row = W * C
        p.rows, p.columns = bottom - top, right - left
        p.start = (n * H + top) * p.row + left * C
        p.last = p.start + (p.rows - 1) * p.row + (p.columns - 1) * C
    return p


cdef inline void cover(
    Py_ssize_t pixel, Py_ssize_t K, Py_ssize_t stride, Py_ssize_t O, Py_ssize_t* first, Py_ssize_t* stop
) noexcept nogil:
    """Move `first` and `stop` on to the windows that hold the padded `pixel`, no smaller than the one before."""
    while first[0] < O and first[0] * stride + K <= pixel:
        first[0] += 1
    while stop[0] < O and stop[0] * stride <= pixel:
        stop[0] += 1
