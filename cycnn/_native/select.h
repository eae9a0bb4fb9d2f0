/* Vectors that are chosen lane by lane: rectifiers and their derivatives as in activations.pxd; maxima and where they
   are. `vi` is a vector of as many integers. */

#ifndef CYCNN_SELECT_H
#define CYCNN_SELECT_H

#include <stdint.h>

#include "simd.h"

#if defined(__GNUC__) && !defined(CYCNN_PORTABLE)

typedef int vi __attribute__((vector_size(4 * VL), aligned(4), may_alias));
#define VF_CHOOSE(condition, a, b) ((vf)(((vi)(condition) & (vi)(a)) | (~(vi)(condition) & (vi)(b))))

/* z within low..high; NaN stays NaN */
static inline vf vf_clip(vf z, vf low, vf high)
{
    z = VF_CHOOSE(z < low, low, z);
    return VF_CHOOSE(z > high, high, z);
}
/* gradient where y > low and not y >= high, else 0 */
static inline vf vf_gate(vf gradient, vf y, vf low, vf high)
{
    return (vf)((vi)(y > low) & ~(vi)(y >= high) & (vi)gradient);
}
static inline vi vi_set1(int a) { return (vi){} + a; }
/* value where a = b, else 0 */
static inline vf vf_where_equal(vf value, vi a, vi b) { return (vf)((vi)value & (vi)(a == b)); }
/* here where a = b, else there */
static inline vi vi_where_equal(vf a, vf b, vi here, vi there)
{
    vi equal = (vi)(a == b);
    return (equal & here) | (~equal & there);
}

/* The larger, and b where one is NaN or both are zeros; whether there is a NaN; integers from and to bytes. */
typedef uint8_t vb __attribute__((vector_size(VL), aligned(1), may_alias));
#if defined(__AVX512F__)
static inline vf vf_larger(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
static inline int vf_any_nan(vf a) { return _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_UNORD_Q) != 0; }
static inline vi vi_load_bytes(const uint8_t *p)
{
    return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}
static inline void vi_store_bytes(uint8_t *p, vi a)
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)a));
}
#elif defined(__AVX2__)
static inline vf vf_larger(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
static inline int vf_any_nan(vf a)
{
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)a, _CMP_UNORD_Q)) != 0;
}
static inline vi vi_load_bytes(const uint8_t *p)
{
    return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}
static inline void vi_store_bytes(uint8_t *p, vi a)
{
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128((__m256i)a), _mm256_extracti128_si256((__m256i)a, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
}
#else
static inline vf vf_larger(vf a, vf b) { return VF_CHOOSE(a > b, a, b); }
static inline int vf_any_nan(vf a)
{
    int any = 0;
    for (int i = 0; i < VL; i++) any |= a[i] != a[i];
    return any;
}
static inline vi vi_load_bytes(const uint8_t *p)
{
    vi out;
    for (int i = 0; i < VL; i++) out[i] = p[i];
    return out;
}
static inline void vi_store_bytes(uint8_t *p, vi a) { *(vb *)p = __builtin_convertvector(a, vb); }
#endif

#else

typedef struct { int lane[VL]; } vi;

static inline vf vf_clip(vf z, vf low, vf high)
{
    for (int i = 0; i < VL; i++) {
        if (z.lane[i] < low.lane[i]) z.lane[i] = low.lane[i];
        if (z.lane[i] > high.lane[i]) z.lane[i] = high.lane[i];
    }
    return z;
}
static inline vf vf_gate(vf gradient, vf y, vf low, vf high)
{
    for (int i = 0; i < VL; i++)
        if (!(y.lane[i] > low.lane[i]) || y.lane[i] >= high.lane[i]) gradient.lane[i] = 0;
    return gradient;
}
static inline vi vi_set1(int a)
{
    vi out;
    for (int i = 0; i < VL; i++) out.lane[i] = a;
    return out;
}
static inline vf vf_larger(vf a, vf b)
{
    for (int i = 0; i < VL; i++)
        if (a.lane[i] > b.lane[i]) b.lane[i] = a.lane[i];
    return b;
}
static inline int vf_any_nan(vf a)
{
    int any = 0;
    for (int i = 0; i < VL; i++) any |= a.lane[i] != a.lane[i];
    return any;
}
static inline vi vi_where_equal(vf a, vf b, vi here, vi there)
{
    for (int i = 0; i < VL; i++)
        if (a.lane[i] == b.lane[i]) there.lane[i] = here.lane[i];
    return there;
}
static inline vf vf_where_equal(vf value, vi a, vi b)
{
    for (int i = 0; i < VL; i++)
        if (a.lane[i] != b.lane[i]) value.lane[i] = 0;
    return value;
}
static inline vi vi_load_bytes(const uint8_t *p)
{
    vi out;
    for (int i = 0; i < VL; i++) out.lane[i] = p[i];
    return out;
}
static inline void vi_store_bytes(uint8_t *p, vi a)
{
    for (int i = 0; i < VL; i++) p[i] = (uint8_t)a.lane[i];
}

#endif

/* All lanes, or where side < 0 the second half of them, or where side > 0 the first; the others are zero and not read.
   Masked loads would do, but next to them gcc keeps no arrays of accumulators in registers. */
#if defined(__AVX512F__) && VL == 16
typedef float vh __attribute__((vector_size(32), aligned(4), may_alias));
#define HALVES(low, high) ((vf)_mm512_insertf32x8(_mm512_zextps256_ps512((__m256)(low)), (__m256)(high), 1))
#elif defined(__AVX2__) && VL == 8
typedef float vh __attribute__((vector_size(16), aligned(4), may_alias));
#define HALVES(low, high) ((vf)_mm256_insertf128_ps(_mm256_zextps128_ps256((__m128)(low)), (__m128)(high), 1))
#endif
static inline vf vf_load_half(const float *p, int side)
{
#ifdef HALVES
    if (side < 0) return HALVES((vh){0}, *(const vh *)(p + VL / 2));
    if (side > 0) return HALVES(*(const vh *)p, (vh){0});
#else
    float lanes[VL] = {0};
    int first = side < 0 ? VL / 2 : 0;
    if (side) {
        memcpy(lanes + first, p + first, VL / 2 * sizeof(float));
        return vf_load(lanes);
    }
#endif
    return vf_load(p);
}

/* The first n lanes alone. */
static inline vi vi_load_first_bytes(const uint8_t *p, ptrdiff_t n)
{
    uint8_t lanes[VL] = {0};
    memcpy(lanes, p, (size_t)n);
    return vi_load_bytes(lanes);
}
static inline void vi_store_first_bytes(uint8_t *p, vi a, ptrdiff_t n)
{
    uint8_t lanes[VL];
    vi_store_bytes(lanes, a);
    memcpy(p, lanes, (size_t)n);
}

#endif
