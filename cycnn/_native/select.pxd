"""Vectors that are chosen lane by lane, as `select.h` defines them."""

from libc.stdint cimport uint8_t

from .simd cimport vf, vf_load, vf_load_first, vf_store, vf_store_first

cdef extern from "select.h" nogil:
    ctypedef int vi
    vf vf_clip(vf z, vf low, vf high) noexcept
    vf vf_gate(vf gradient, vf y, vf low, vf high) noexcept
    vf vf_load_half(const float* p, int side) noexcept
    vi vi_set1(int a) noexcept
    vf vf_larger(vf a, vf b) noexcept
    bint vf_any_nan(vf a) noexcept
    vi vi_where_equal(vf a, vf b, vi here, vi there) noexcept
    vf vf_where_equal(vf value, vi a, vi b) noexcept
    vi vi_load_bytes(const uint8_t* p) noexcept
    void vi_store_bytes(uint8_t* p, vi a) noexcept
    vi vi_load_first_bytes(const uint8_t* p, Py_ssize_t n) noexcept
    void vi_store_first_bytes(uint8_t* p, vi a, Py_ssize_t n) noexcept


# Vectors of which only the first lanes are there, if `few`, a constant where these are inlined.


cdef inline vf load_lanes(const float* p, const bint few, Py_ssize_t lanes) noexcept nogil:
    return vf_load_first(p, lanes) if few else vf_load(p)


cdef inline void store_lanes(float* p, vf value, const bint few, Py_ssize_t lanes) noexcept nogil:
    if few:
        vf_store_first(p, value, lanes)
    else:
        vf_store(p, value)
