/* What the tiles of convolution need of the vector type beyond simd.h. */

#ifndef CYCNN_TILES_H
#define CYCNN_TILES_H

#include "simd.h"

#if defined(__GNUC__) || defined(__clang__)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE inline
#endif

/* Rows of a tile of one vector that slides over the taps of a kernel row, which stay in registers too. */
#if TILE_ROWS > 8
#define SLIDE_ROWS 16
#elif VL == 8
#define SLIDE_ROWS 8
#else
#define SLIDE_ROWS 6
#endif

/* low <= a <= high in every lane; NaN stays NaN, as max and min of x86 return their second operand then. */
#if defined(__AVX512F__) && VL == 16
static inline vf vf_clamp(vf a, vf low, vf high)
{
    return (vf)_mm512_min_ps((__m512)high, _mm512_max_ps((__m512)low, (__m512)a));
}
#elif defined(__AVX2__) && VL == 8
static inline vf vf_clamp(vf a, vf low, vf high)
{
    return (vf)_mm256_min_ps((__m256)high, _mm256_max_ps((__m256)low, (__m256)a));
}
#else
static inline vf vf_clamp(vf a, vf low, vf high)
{
    float lanes[VL], least[VL], most[VL];
    vf_store(lanes, a);
    vf_store(least, low);
    vf_store(most, high);
    for (int i = 0; i < VL; i++) {
        float above = lanes[i] < least[i] ? least[i] : lanes[i];
        lanes[i] = above > most[i] ? most[i] : above;
    }
    return vf_load(lanes);
}
#endif

typedef vf slide_t[SLIDE_ROWS]; /* the accumulators of a sliding tile */

/* acc[r] += sum over kw < columns of x[r + kw] b[kw], for pixels `pixel` floats apart. `rows` and `columns` are constants;
   gcc unrolls such nested loops only when told to. */
static ALWAYS_INLINE void slide_over(
    ptrdiff_t rows, ptrdiff_t columns, vf *acc, const float *x, ptrdiff_t pixel, const vf *b)
{
    const float *fourth[5]; /* every fourth pixel: x86 addresses p, p + d, p + 2 d and p + 3 d with two registers */
    for (int i = 0; i < 5; i++) fourth[i] = x + 4 * i * pixel;
#pragma GCC unroll 20
    for (int r = 0; r < rows + columns - 1; r++) {
        vf a = vf_set1(fourth[r / 4][r % 4 * pixel]);
#pragma GCC unroll 5
        for (int kw = 0; kw < columns; kw++)
            if (r - kw >= 0 && r - kw < rows) acc[r - kw] = vf_fma(a, b[kw], acc[r - kw]);
    }
}

#endif
