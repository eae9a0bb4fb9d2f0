"""What is done to the sums of a convolution, float32.

    out = act(out + residual)    or, with the output y of the layer before,    out = (out + residual) act'(y)

Rectifiers, which most networks have, are applied in the registers of a tile if its vectors are full and it has several
taps: with one, tile after tile would wait for what it reads here. Else a row of pixels is finished once it is stored,
while it is in the cache: rectifiers take one loop over vectors, other activations follow in loops of their own.
"""

from libc.math cimport INFINITY, NAN

from .activations cimport LINEAR, RELU, RELU6, activate, chain_activation
from .fetch cimport fetch, fetch_lines
from .simd cimport VL, vf, vf_add, vf_load, vf_load_first, vf_set1, vf_store, vf_store_first, vf_zero
from .tiles cimport Epilogue

cdef extern from "select.h" nogil:
    vf vf_clip(vf z, vf low, vf high) noexcept
    vf vf_gate(vf gradient, vf y, vf low, vf high) noexcept

cdef struct Ahead:
    # What the epilogue will read of the next block, one piece of memory each or NULL, and which lines to fetch now.
    const float* residual
    const float* y
    Py_ssize_t lines, first, stop


cdef inline void fetch_ahead(const Ahead* ahead, Py_ssize_t first, Py_ssize_t stop) noexcept nogil:
    """Fetch some lines: between multiply-adds, and in the order of memory, they are not waited for."""
    if ahead.residual != NULL:
        fetch_lines(ahead.residual, first, stop)
    if ahead.y != NULL:
        fetch_lines(ahead.y, first, stop)


cdef inline void fetch_row(const float* a, Py_ssize_t pixels, Py_ssize_t pixel, Py_ssize_t channels) noexcept nogil:
    """Fetch what the epilogue of a row will read: it comes from memory, in pieces too short to be foreseen."""
    cdef Py_ssize_t i
    if a != NULL:
        for i in range(pixels):
            fetch(a + i * pixel, channels)


cdef inline bint fuse(
    Epilogue* epilogue, int activation, const float* residual, const float* y, Py_ssize_t taps, Py_ssize_t channels
) noexcept nogil:
    """Let tiles of so many taps and channels do what they can; return whether finish_row has to do the rest."""
    cdef:
        bint rectifies = activation == RELU or activation == RELU6
        bint all = (rectifies or activation == LINEAR) and channels % VL == 0 and taps != 1
    epilogue.residual = residual if all else NULL
    epilogue.y = y if all and rectifies else NULL
    epilogue.clamps = rectifies and y == NULL and (all or residual == NULL)
    epilogue.low = 0
    epilogue.high = 6 if activation == RELU6 else (INFINITY if y == NULL else NAN)  # nothing is at least NaN
    return not (all or epilogue.clamps)


cdef inline vf finish_vector(
    const bint adds, const bint gates, const bint clips, vf a, vf residual, vf y, vf high
) noexcept nogil:
    if adds:
        a = vf_add(a, residual)
    if gates:
        a = vf_gate(a, y, vf_zero(), high)
    if clips:
        a = vf_clip(a, vf_zero(), high)
    return a


cdef inline void finish_vectors(
    const bint adds, const bint gates, const bint clips, const float* residual, const float* y, float* out,
    Py_ssize_t pixels, Py_ssize_t pixel, Py_ssize_t channels, float most,
) noexcept nogil:
    """Add, multiply by a rectifier's derivative, rectify: what of it is asked for; `most` is the rectifier's limit."""
    cdef:
        Py_ssize_t i, v, at, whole = channels // VL * VL, rest = channels - whole
        vf high = vf_set1(most), b = vf_zero(), c = vf_zero()
    for i in range(pixels):
        for v in range(channels // VL):
            at = i * pixel + v * VL
            if adds:
                b = vf_load(residual + at)
            if gates:
                c = vf_load(y + at)
            vf_store(out + at, finish_vector(adds, gates, clips, vf_load(out + at), b, c, high))
        if rest > 0:
            at = i * pixel + whole
            if adds:
                b = vf_load_first(residual + at, rest)
            if gates:
                c = vf_load_first(y + at, rest)
            vf_store_first(out + at, finish_vector(adds, gates, clips, vf_load_first(out + at, rest), b, c, high), rest)


cdef inline void finish_row(
    int activation, const float* residual, const float* y, float* out, Py_ssize_t pixels, Py_ssize_t pixel,
    Py_ssize_t channels,
) noexcept nogil:
    """Apply the epilogue to some channels of a row of pixels, `pixel` apart; there may be no residual, and no y."""
    cdef:
        Py_ssize_t i
        bint rectifies = activation == RELU or activation == RELU6
        float most = 6 if activation == RELU6 else (INFINITY if y == NULL else NAN)
    if pixel == channels:  # nothing between the pixels: one long row
        pixels, pixel, channels = 1, pixels * channels, pixels * channels
    if rectifies and y != NULL and residual != NULL:
        finish_vectors(True, True, False, residual, y, out, pixels, pixel, channels, most)
    elif rectifies and y != NULL:
        finish_vectors(False, True, False, residual, y, out, pixels, pixel, channels, most)
    elif rectifies and residual != NULL:
        finish_vectors(True, False, True, residual, y, out, pixels, pixel, channels, most)
    elif residual != NULL:
        finish_vectors(True, False, False, residual, y, out, pixels, pixel, channels, most)
    if activation == LINEAR or (rectifies and (y != NULL or residual != NULL)):
        return
    for i in range(pixels):
        if y != NULL:
            chain_activation(activation, y + i * pixel, out + i * pixel, channels)
        else:
            activate(activation, out + i * pixel, channels)
