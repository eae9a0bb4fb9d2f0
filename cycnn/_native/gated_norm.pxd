"""The way back through a rectified batch normalisation, float32, where a step stores the gradient of its output.

    z = scale_c x + shift_c,    dz = dout act'(z),    first_c += dz,    second_c += dz (x - mean_c)

Gated by z, which is computed from x as in `ChannelAffine`, the gradient needs no other output of the normalisation, and
its two sums over all pixels, of which the gradients of gamma, beta and x are made, need no pass of their own. Each task
has its part of the sums; `NormSums` adds them up in order.
"""

from libc.math cimport NAN

from cycnn._native.runtime cimport GatedStep
from .select cimport load_lanes, store_lanes, vf_gate
from .simd cimport VL, vf, vf_add, vf_fma, vf_set1, vf_zero

cdef struct Norm:
    const float* scale  # (channels,)
    const float* shift
    const float* mean
    float* sums         # (parts, 2, channels), or NULL: there is no normalisation
    Py_ssize_t channels
    float high          # where the rectifier ends, or NaN

cdef struct Gate:
    # A vector of channels, and what was summed so far: even and odd pixels, for no addition is to wait for another.
    vf scale, shift, less  # `less` is -mean
    vf high
    vf first[2]
    vf second[2]


cdef inline Norm norm_of(GatedStep step) noexcept nogil:
    """Return where the arrays of the normalisation are whose gradient a step stores, if there is one."""
    cdef Norm norm
    norm.sums = NULL
    if step.sums is not None:
        norm.scale, norm.shift = <const float*> step.scale.data, <const float*> step.shift.data
        norm.mean, norm.sums = <const float*> step.mean.data, <float*> step.sums.data
        norm.channels, norm.high = step.mean.size, 6 if step.ends else NAN  # nothing is at least NaN
    return norm


cdef inline void clear_sums(const Norm* norm, Py_ssize_t part, Py_ssize_t c, Py_ssize_t channels) noexcept nogil:
    """Begin a part's sums of some channels, from c on."""
    cdef Py_ssize_t i
    cdef float* sums = norm.sums + part * 2 * norm.channels + c
    for i in range(channels):
        sums[i] = sums[norm.channels + i] = 0


cdef inline Gate gate_of(const Norm* norm, Py_ssize_t c, const bint few, Py_ssize_t lanes) noexcept nogil:
    """Return the gate of a vector of channels from c on, or of so many lanes of it."""
    cdef Gate gate
    gate.scale, gate.shift = load_lanes(norm.scale + c, few, lanes), load_lanes(norm.shift + c, few, lanes)
    gate.less = vf_fma(load_lanes(norm.mean + c, few, lanes), vf_set1(-1), vf_zero())
    gate.high = vf_set1(norm.high)
    gate.first[0] = gate.first[1] = gate.second[0] = gate.second[1] = vf_zero()
    return gate


cdef inline vf pass_gate(Gate* gate, const Py_ssize_t odd, vf dout, vf x) noexcept nogil:
    """Return dz of an even or odd pixel, and add it to the sums."""
    cdef vf dz = vf_gate(dout, vf_fma(x, gate.scale, gate.shift), vf_zero(), gate.high)
    gate.first[odd] = vf_add(gate.first[odd], dz)
    gate.second[odd] = vf_fma(dz, vf_add(x, gate.less), gate.second[odd])
    return dz


cdef inline void keep_sums(
    const Norm* norm, Py_ssize_t part, Py_ssize_t c, const bint few, Py_ssize_t lanes, const Gate* gate
) noexcept nogil:
    """Add what a gate has summed to the sums of a part, of a vector of channels from c on or of some lanes of it."""
    cdef float* sums = norm.sums + part * 2 * norm.channels + c
    store_lanes(sums, vf_add(load_lanes(sums, few, lanes), vf_add(gate.first[0], gate.first[1])), few, lanes)
    sums += norm.channels
    store_lanes(sums, vf_add(load_lanes(sums, few, lanes), vf_add(gate.second[0], gate.second[1])), few, lanes)


cdef inline void gate_pixel(
    Gate* gate, const Py_ssize_t odd, const float* x, float* out, const bint few, Py_ssize_t lanes
) noexcept nogil:
    """Turn dout, which stands in `out`, into dz for a vector of one pixel."""
    store_lanes(out, pass_gate(gate, odd, load_lanes(out, few, lanes), load_lanes(x, few, lanes)), few, lanes)


cdef inline void gate_vectors(
    const Norm* norm, Py_ssize_t part, Py_ssize_t c, const float* x, float* out, Py_ssize_t pixels, Py_ssize_t pixel,
    const bint few, Py_ssize_t lanes
) noexcept nogil:
    """Pass a vector of each of some pixels."""
    cdef Gate gate = gate_of(norm, c, few, lanes)
    for _ in range(pixels // 2):
        gate_pixel(&gate, 0, x, out, few, lanes)
        gate_pixel(&gate, 1, x + pixel, out + pixel, few, lanes)
        x += 2 * pixel
        out += 2 * pixel
    if pixels % 2:
        gate_pixel(&gate, 0, x, out, few, lanes)
    keep_sums(norm, part, c, few, lanes, &gate)


cdef inline void gate_row(
    const Norm* norm, Py_ssize_t part, Py_ssize_t c, const float* x, float* out, Py_ssize_t pixels, Py_ssize_t pixel,
    Py_ssize_t channels
) noexcept nogil:
    """Turn dout into dz for some channels, from c on, of a row of pixels, `pixel` floats apart."""
    cdef Py_ssize_t v = 0
    while v + VL <= channels:
        gate_vectors(norm, part, c + v, x + v, out + v, pixels, pixel, False, VL)
        v += VL
    if v < channels:
        gate_vectors(norm, part, c + v, x + v, out + v, pixels, pixel, True, channels - v)
