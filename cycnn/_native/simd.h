/* The vector of this build: one type, `vf`, VL floats wide, and eight inline functions.

   Every instruction set gives the same names, so the kernels are written once. The compiler's own
   vector extensions are used where they exist; a struct of four floats stands in elsewhere.
   Tiles of TILE_ROWS x 2 vectors fill the register file and leave room for the operands:
   12 x 2 of 32 registers, 6 x 2 of 16, and 4 x 2 where a multiplication needs one of its own. */

#ifndef CYCNN_SIMD_H
#define CYCNN_SIMD_H

#include <string.h>

#if defined(__GNUC__) && !defined(CYCNN_PORTABLE)

#if defined(__AVX512F__)
#include <immintrin.h>
#define VL 16
#define TILE_ROWS 12
#elif defined(__AVX2__)
#include <immintrin.h>
#define VL 8
#define TILE_ROWS 6
#elif defined(__aarch64__)
#define VL 4
#define TILE_ROWS 12
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
static inline vf vf_load(const float *p) { vf a; memcpy(&a, p, sizeof a); return a; }
static inline void vf_store(float *p, vf a) { memcpy(p, &a, sizeof a); }

/* The first `n` lanes, 0 <= n <= VL; the others are read as zero and not written. */
static inline vf vf_load_first(const float *p, ptrdiff_t n)
{
#if defined(__AVX512F__) && !defined(CYCNN_PORTABLE)
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    vf a = vf_zero();
    for (ptrdiff_t i = 0; i < n; i++) ((float *)&a)[i] = p[i];
    return a;
#endif
}
static inline void vf_store_first(float *p, vf a, ptrdiff_t n)
{
#if defined(__AVX512F__) && !defined(CYCNN_PORTABLE)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)a);
#else
    for (ptrdiff_t i = 0; i < n; i++) p[i] = ((const float *)&a)[i];
#endif
}

typedef vf tile_t[TILE_ROWS][2]; /* the accumulators of one tile */

#endif
