/* The vector of this build: one type, `vf`, VL floats wide, and eight inline functions.

   Every instruction set gives the same names, so the kernels are written once. The compiler's own
   vector extensions are used where they exist; a struct of four floats stands in elsewhere.
   Tiles of TILE_ROWS x 2 vectors fill the register file and leave room for the operands:
   11 x 2 of 32 registers (gcc 12 spills the twelfth), 6 x 2 of 16, and 4 x 2 where a multiplication needs one of
   its own. */

#ifndef CYCNN_SIMD_H
#define CYCNN_SIMD_H

#include <stddef.h>
#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && !defined(CYCNN_PORTABLE)

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VL 16
#define TILE_ROWS 11
#elif defined(__AVX2__)
#define VL 8
#define TILE_ROWS 6
#elif defined(__aarch64__)
#define VL 4
#define TILE_ROWS 11
#else
#define VL 4
#define TILE_ROWS 4
#endif

typedef float vf __attribute__((vector_size(4 * VL), aligned(4), may_alias));

static inline vf vf_set1(float a)
{
#if VL == 16
    return (vf){a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a};
#elif VL == 8
    return (vf){a, a, a, a, a, a, a, a};
#else
    return (vf){a, a, a, a};
#endif
}
static inline vf vf_add(vf a, vf b) { return a + b; }
static inline vf vf_fma(vf a, vf b, vf c) { return a * b + c; } /* one rounding where the CPU has FMA */

#else /* no vector extensions */

#define VL 4
#define TILE_ROWS 4
typedef struct { float lane[VL]; } vf;
#define VF_EACH(expression) vf out; for (int i = 0; i < VL; i++) out.lane[i] = (expression); return out
static inline vf vf_set1(float a) { VF_EACH(a); }
static inline vf vf_add(vf a, vf b) { VF_EACH(a.lane[i] + b.lane[i]); }
static inline vf vf_fma(vf a, vf b, vf c) { VF_EACH(a.lane[i] * b.lane[i] + c.lane[i]); }

#endif

static inline vf vf_zero(void) { return vf_set1(0.0f); }
static inline vf vf_load(const float *p) { return *(const vf *)p; }
static inline void vf_store(float *p, vf a) { *(vf *)p = a; }

/* The first `n` lanes, 0 <= n <= VL; the others are read as zero and not written. */
#if defined(__AVX512F__) && VL == 16
#define FIRST(n) ((__mmask16)((1u << (n)) - 1))
static inline vf vf_load_first(const float *p, ptrdiff_t n) { return (vf)_mm512_maskz_loadu_ps(FIRST(n), p); }
static inline void vf_store_first(float *p, vf a, ptrdiff_t n) { _mm512_mask_storeu_ps(p, FIRST(n), (__m512)a); }
#elif defined(__AVX2__) && VL == 8
static const int lanes_on[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
#define FIRST(n) _mm256_loadu_si256((const __m256i *)(lanes_on + 8 - (n)))
static inline vf vf_load_first(const float *p, ptrdiff_t n) { return (vf)_mm256_maskload_ps(p, FIRST(n)); }
static inline void vf_store_first(float *p, vf a, ptrdiff_t n) { _mm256_maskstore_ps(p, FIRST(n), (__m256)a); }
#else
static inline vf vf_load_first(const float *p, ptrdiff_t n)
{
    float lanes[VL] = {0};
    memcpy(lanes, p, (size_t)n * sizeof(float));
    return vf_load(lanes);
}
static inline void vf_store_first(float *p, vf a, ptrdiff_t n)
{
    float lanes[VL];
    vf_store(lanes, a);
    memcpy(p, lanes, (size_t)n * sizeof(float));
}
#endif

typedef vf tile_t[TILE_ROWS][2]; /* the accumulators of one tile */

#endif
