/* What the tiles of convolution need of the vector type beyond simd.h. */

#ifndef CYCNN_TILES_H
#define CYCNN_TILES_H

#include "select.h"
#include "simd.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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
#elif defined(__SSE2__) && VL == 4 && !defined(CYCNN_PORTABLE)
static inline vf vf_clamp(vf a, vf low, vf high)
{
    return (vf)_mm_min_ps((__m128)high, _mm_max_ps((__m128)low, (__m128)a));
}
#else
#define vf_clamp vf_clip
#endif

typedef vf sums_t[36]; /* the accumulators of a tile of any kind, row after row */

/* What is done to a tile of `rows` x `vectors` accumulators, both constants. gcc unrolls such loops before it looks for
   variables to keep in registers only when told to; a tile would begin and end in memory otherwise. */
#if defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 24")
#else
#define UNROLL
#endif

/* acc[r][v] = value[v] */
static ALWAYS_INLINE void fill_tile(ptrdiff_t rows, ptrdiff_t vectors, vf *acc, const vf *value)
{
UNROLL
    for (int r = 0; r < rows; r++) {
UNROLL
        for (int v = 0; v < vectors; v++) acc[r * vectors + v] = value[v];
    }
}

/* acc[r] = the first `numbers` of row r, which fill all vectors but the last; zero behind them. */
static ALWAYS_INLINE void load_tile(
    ptrdiff_t rows, ptrdiff_t vectors, vf *acc, const float *sums, ptrdiff_t row, ptrdiff_t numbers)
{
    ptrdiff_t last = vectors - 1;
UNROLL
    for (int r = 0; r < rows; r++) {
UNROLL
        for (int v = 0; v < last; v++) acc[r * vectors + v] = vf_load(sums + r * row + v * VL);
        acc[r * vectors + last] = vf_load_first(sums + r * row + last * VL, numbers - last * VL);
    }
}

/* out[r] = the first `numbers` of acc[r], which fill all vectors but the last. */
static ALWAYS_INLINE void store_tile(
    ptrdiff_t rows, ptrdiff_t vectors, const vf *acc, float *out, ptrdiff_t row, ptrdiff_t numbers)
{
    ptrdiff_t last = vectors - 1;
UNROLL
    for (int r = 0; r < rows; r++) {
UNROLL
        for (int v = 0; v < last; v++) vf_store(out + r * row + v * VL, acc[r * vectors + v]);
    }
    if (numbers == vectors * VL) {
UNROLL
        for (int r = 0; r < rows; r++) vf_store(out + r * row + last * VL, acc[r * vectors + last]);
    } else {
UNROLL
        for (int r = 0; r < rows; r++)
            vf_store_first(out + r * row + last * VL, acc[r * vectors + last], numbers - last * VL);
    }
}

/* acc[r][v] += x[r] b[v] for numbers of x `step` floats apart. */
static ALWAYS_INLINE void add_tap(
    ptrdiff_t rows, ptrdiff_t vectors, vf *acc, const float *x, ptrdiff_t step, const float *b)
{
    /* every fourth row: x86 addresses p, p + d, p + 2 d and p + 3 d with two registers */
    const float *fourth[3] = {x, x + 4 * step, x + 8 * step};
    vf vectors_of_b[3];
UNROLL
    for (int v = 0; v < vectors; v++) vectors_of_b[v] = vf_load(b + v * VL);
UNROLL
    for (int r = 0; r < rows; r++) {
        vf a = vf_set1(fourth[r / 4][r % 4 * step]);
UNROLL
        for (int v = 0; v < vectors; v++) acc[r * vectors + v] = vf_fma(a, vectors_of_b[v], acc[r * vectors + v]);
    }
}

/* acc[i] += more[i] */
static ALWAYS_INLINE void add_sums(ptrdiff_t size, vf *acc, const vf *more)
{
UNROLL
    for (int i = 0; i < size; i++) acc[i] = vf_add(acc[i], more[i]);
}

/* acc[r][v] += more[r][v] of an array whose rows are so many floats apart; whole vectors. */
static ALWAYS_INLINE void add_residual(ptrdiff_t rows, ptrdiff_t vectors, vf *acc, const float *more, ptrdiff_t row)
{
UNROLL
    for (int r = 0; r < rows; r++) {
UNROLL
        for (int v = 0; v < vectors; v++)
            acc[r * vectors + v] = vf_add(acc[r * vectors + v], vf_load(more + r * row + v * VL));
    }
}

/* acc[r][v] = 0 where y[r][v] is not between low and high; whole vectors. */
static ALWAYS_INLINE void gate_tile(
    ptrdiff_t rows, ptrdiff_t vectors, vf *acc, const float *y, ptrdiff_t row, vf low, vf high)
{
UNROLL
    for (int r = 0; r < rows; r++) {
UNROLL
        for (int v = 0; v < vectors; v++)
            acc[r * vectors + v] = vf_gate(acc[r * vectors + v], vf_load(y + r * row + v * VL), low, high);
    }
}

static ALWAYS_INLINE void clamp_tile(ptrdiff_t size, vf *acc, vf low, vf high)
{
UNROLL
    for (int i = 0; i < size; i++) acc[i] = vf_clamp(acc[i], low, high);
}

/* acc[r] += sum over kw < columns of x[r + kw] b[kw], for pixels `pixel` floats apart. */
static ALWAYS_INLINE void slide_over(
    ptrdiff_t rows, ptrdiff_t columns, vf *acc, const float *x, ptrdiff_t pixel, const vf *b)
{
    const float *fourth[5]; /* every fourth pixel, as above */
    for (int i = 0; i < 5; i++) fourth[i] = x + 4 * i * pixel;
UNROLL
    for (int r = 0; r < rows + columns - 1; r++) {
        vf a = vf_set1(fourth[r / 4][r % 4 * pixel]);
UNROLL
        for (int kw = 0; kw < columns; kw++)
            if (r - kw >= 0 && r - kw < rows) acc[r - kw] = vf_fma(a, b[kw], acc[r - kw]);
    }
}

#endif
