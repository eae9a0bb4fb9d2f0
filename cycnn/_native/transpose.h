/* A block of VL x VL numbers transposed in registers: rows of one matrix become columns of another.

   Stage by stage, for the distances 1, 2, 4, ... < VL, rows i and i + distance exchange the lanes in which the bit
   `distance` of the lane's number differs: log2(VL) stages of VL shuffles, and no number moves through memory alone. */

#ifndef CYCNN_TRANSPOSE_H
#define CYCNN_TRANSPOSE_H

#include "simd.h"

#if (defined(__GNUC__) || defined(__clang__)) && !defined(CYCNN_PORTABLE)

#if defined(__clang__) || __GNUC__ >= 12
#define LANES(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int lanes_t __attribute__((vector_size(4 * VL)));
#define LANES(a, b, ...) __builtin_shuffle(a, b, (lanes_t){__VA_ARGS__})
#endif

#if VL == 16
#define LOW_1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HIGH_1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define LOW_2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH_2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LOW_4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HIGH_4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LOW_8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#elif VL == 8
#define LOW_1 0, 8, 2, 10, 4, 12, 6, 14
#define HIGH_1 1, 9, 3, 11, 5, 13, 7, 15
#define LOW_2 0, 1, 8, 9, 4, 5, 12, 13
#define HIGH_2 2, 3, 10, 11, 6, 7, 14, 15
#define LOW_4 0, 1, 2, 3, 8, 9, 10, 11
#define HIGH_4 4, 5, 6, 7, 12, 13, 14, 15
#else
#define LOW_1 0, 4, 2, 6
#define HIGH_1 1, 5, 3, 7
#define LOW_2 0, 1, 4, 5
#define HIGH_2 2, 3, 6, 7
#endif

#define EXCHANGE(distance) do { \
    for (int i = 0; i < VL; i++) \
        if (!(i & (distance))) { \
            vf low = LANES(rows[i], rows[i + (distance)], LOW_##distance); \
            rows[i + (distance)] = LANES(rows[i], rows[i + (distance)], HIGH_##distance); \
            rows[i] = low; \
        } \
} while (0)

static inline void vf_transpose(vf rows[VL])
{
    EXCHANGE(1);
    EXCHANGE(2);
#if VL >= 8
    EXCHANGE(4);
#endif
#if VL >= 16
    EXCHANGE(8);
#endif
}

#else /* no vector extensions */

static inline void vf_transpose(vf rows[VL])
{
    for (int i = 0; i < VL; i++)
        for (int j = 0; j < i; j++) {
            float above = rows[j].lane[i];
            rows[j].lane[i] = rows[i].lane[j];
            rows[i].lane[j] = above;
        }
}

#endif

#endif
