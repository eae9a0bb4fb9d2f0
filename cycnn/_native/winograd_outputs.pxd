"""The end of Winograd's convolution: a tile's rows become 4 x 4 outputs, and go through the epilogue to their place.

    out = act(A^T m A + residual)    or, with the output y of the layer before,    out = (A^T m A + residual) act'(y)

A whole vector of channels with a rectifier, which most have, never leaves the registers. Others go through a patch.
"""

from libc.math cimport INFINITY, NAN

from .activations cimport LINEAR, RELU, RELU6, activate, chain_activation
from .gated_norm cimport Gate, Norm, gate_of, keep_sums, pass_gate
from .select cimport vf_clip, vf_gate
from .simd cimport VL, vf, vf_add, vf_load, vf_load_first, vf_set1, vf_store, vf_store_first, vf_zero
from .winograd_tiles cimport OUTPUTS, POINTS, output_values

cdef enum:
    AREA = OUTPUTS * OUTPUTS

cdef struct Outputs:
    # Where a tile is stored, and what the epilogue reads there, or NULL.
    float* out
    const float* residual
    const float* y
    Py_ssize_t row, pixel  # floats from one row and pixel to the next
    int activation
    const Norm* norm       # the normalisation that y went into, or NULL; which part of its sums,
    Py_ssize_t part, c     # and the first of the channels


cdef inline void copy_tile(
    const float* source, Py_ssize_t row, Py_ssize_t pixel, float* to, Py_ssize_t to_row, Py_ssize_t to_pixel,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t channels,
) noexcept nogil:
    """Copy some channels of rows x columns pixels."""
    cdef:
        Py_ssize_t r, i, v, whole = channels // VL * VL
        const float* a
        float* b
    for r in range(rows):
        for i in range(columns):
            a = source + r * row + i * pixel
            b = to + r * to_row + i * to_pixel
            for v in range(channels // VL):
                vf_store(b + v * VL, vf_load(a + v * VL))
            if whole < channels:
                vf_store_first(b + whole, vf_load_first(a + whole, channels - whole), channels - whole)


cdef inline void store_vectors(
    const Outputs* outputs, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t columns, const float* lines,
    const bint gated, Gate* gate
) noexcept nogil:
    """Store a vector of channels of the pixels that are inside; the activation is linear or a rectifier."""
    cdef:
        float* out = outputs.out + first
        const float* residual = outputs.residual
        const float* y = outputs.y
        bint activates = outputs.activation != LINEAR and not gated
        bint gates = activates and y != NULL, clips = activates and y == NULL
        vf high = vf_set1(6 if outputs.activation == RELU6 else INFINITY if clips else NAN)  # nothing is at least NaN
        vf values[OUTPUTS]
        vf a
        Py_ssize_t r, i, at
    for r in range(rows):
        output_values(lines + r * POINTS * VL, VL, values)
        for i in range(OUTPUTS):
            if i < columns:  # the compiler unrolls a loop to a constant
                at = r * outputs.row + i * outputs.pixel
                a = values[i]
                if residual != NULL:
                    a = vf_add(a, vf_load(residual + first + at))
                if gated:
                    a = pass_gate(gate, i % 2, a, vf_load(y + first + at))
                if gates:
                    a = vf_gate(a, vf_load(y + first + at), vf_zero(), high)
                if clips:
                    a = vf_clip(a, vf_zero(), high)
                vf_store(out + at, a)


cdef inline void store_patch(
    const Outputs* outputs, Py_ssize_t first, Py_ssize_t channels, Py_ssize_t rows, Py_ssize_t columns,
    const float* lines, float* patch
) noexcept nogil:
    """Store some channels of the pixels that are inside; `patch` is room for twice AREA vectors."""
    cdef:
        Py_ssize_t row = outputs.row, pixel = outputs.pixel, r, i
        float* there = patch + AREA * VL
        vf values[OUTPUTS]
    for r in range(OUTPUTS):
        output_values(lines + r * POINTS * VL, VL, values)
        for i in range(OUTPUTS):
            vf_store(patch + (r * OUTPUTS + i) * VL, values[i])
    if outputs.residual != NULL:
        copy_tile(outputs.residual + first, row, pixel, there, OUTPUTS * VL, VL, rows, columns, channels)
        for i in range(AREA):
            vf_store(patch + i * VL, vf_add(vf_load(patch + i * VL), vf_load(there + i * VL)))
    if outputs.y != NULL:
        copy_tile(outputs.y + first, row, pixel, there, OUTPUTS * VL, VL, rows, columns, channels)
        chain_activation(outputs.activation, there, patch, AREA * VL)
    else:
        activate(outputs.activation, patch, AREA * VL)
    copy_tile(patch, OUTPUTS * VL, VL, outputs.out + first, row, pixel, rows, columns, channels)


cdef inline void store_outputs(
    const Outputs* outputs, Py_ssize_t first, Py_ssize_t channels, Py_ssize_t rows, Py_ssize_t columns,
    const float* lines, float* patch
) noexcept nogil:
    """Store a vector of channels from `first` on, of which there are `channels`, or those that there are."""
    cdef Gate gate
    if outputs.norm != NULL:
        gate = gate_of(outputs.norm, outputs.c + first, False, VL)
        store_vectors(outputs, first, rows, columns, lines, True, &gate)
        keep_sums(outputs.norm, outputs.part, outputs.c + first, False, VL, &gate)
    elif channels >= VL and outputs.activation in (LINEAR, RELU, RELU6):
        store_vectors(outputs, first, rows, columns, lines, False, NULL)
    else:
        store_patch(outputs, first, min(channels, <Py_ssize_t> VL), rows, columns, lines, patch)
