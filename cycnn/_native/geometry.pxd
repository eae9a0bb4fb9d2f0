"""The extents and the window that plain loops over images share, and which taps meet real pixels.

Output `o` along an axis reads the pixels o * stride - pad + k * dilation for its taps k = 0..K-1. Taps that
fall outside the image meet padding and are left out, never read.
"""

cdef struct geometry_t:
    Py_ssize_t N, IH, IW, IC, OH, OW, OC, KH, KW
    Py_ssize_t stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w


cdef inline int read_geometry(geometry_t* g, tuple x, tuple out, window) except -1:
    """Fill in `g` from the shapes of the images and of the outputs, and a `cycnn.shapes.Window`."""
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
