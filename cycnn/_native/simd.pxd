"""The vector type of this build and its functions, as `simd.h` defines them."""

cdef extern from "simd.h" nogil:
    enum:
        VL
        TILE_ROWS
    ctypedef struct vf:  # no number: only the functions below take it apart
        pass
    ctypedef vf tile_t[12][2]
    vf vf_zero() noexcept
    vf vf_set1(float a) noexcept
    vf vf_load(const float* p) noexcept
    vf vf_load_first(const float* p, Py_ssize_t n) noexcept
    void vf_store(float* p, vf a) noexcept
    void vf_store_first(float* p, vf a, Py_ssize_t n) noexcept
    vf vf_add(vf a, vf b) noexcept
    vf vf_fma(vf a, vf b, vf c) noexcept
