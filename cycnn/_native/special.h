/* More functions of a float without branches, that the compiler can turn into vectors: logarithms, e^x - 1, the
   normal distribution and the sine of a turn. The polynomials are minimax fits made for this file; errors are given
   in units in the last place and were measured over the ranges named. */

#ifndef CYCNN_SPECIAL_H
#define CYCNN_SPECIAL_H

#include "exp.h"

/* ln x for normal x > 0, within 0.9 units: x = m 2^e with m from sqrt(1/2) to sqrt 2, ln m = f - f^2/2 + f^3 P(f),
   f = m - 1. */
static inline float log_float(float x)
{
    const uint32_t root = 0x3f3504f3u; /* sqrt(1/2) */
    uint32_t bits;
    int32_t e;
    float f, n, p = -7.634429837e-2f, q;
    memcpy(&bits, &x, 4);
    e = (int32_t) (bits - root) >> 23;
    bits -= (uint32_t) e << 23;
    memcpy(&f, &bits, 4);
    f -= 1.0f;
    n = (float) e;
    p = p * f + 1.276155034e-1f;
    p = p * f - 1.316019507e-1f;
    p = p * f + 1.420176247e-1f;
    p = p * f - 1.662335648e-1f;
    p = p * f + 2.000122667e-1f;
    p = p * f - 2.500082106e-1f;
    p = p * f + 3.333333171e-1f;
    q = (f * f) * (f * p - 0.5f);
    return ((n * -2.12194440e-4f + q) + f) + n * 0.693359375f; /* ln 2 in two parts */
}

/* ln(1 + x) for 0 <= x <= 1, within 1.3 units: what rounding 1 + x lost is added again. NaN stays NaN. */
static inline float log1p_float(float x)
{
    float sum = 1.0f + x, lost = x - (sum - 1.0f);
    return log_float(sum) + lost / sum;
}

/* e^x - 1 for x <= 0, within 0.9 units: 2^n (e^r - 1) + (2^n - 1). Positive x count as 0; NaN stays NaN. */
static inline float expm1_float(float x)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves an integer in the low bits */
    float clipped = x < -40.0f ? -40.0f : x > 0.0f ? 0.0f : x;
    float shifted = clipped * 1.44269504f + round, n = shifted - round;
    float r = (clipped - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.984588432e-4f, power;
    uint32_t bits;
    p = p * r + 1.394072045e-3f;
    p = p * r + 8.333389575e-3f;
    p = p * r + 4.166635981e-2f;
    p = p * r + 1.666666637e-1f;
    p = p * r + 5.000000044e-1f;
    p = (p * r) * r + r;
    memcpy(&bits, &shifted, 4);
    bits = (bits + 127u) << 23;
    memcpy(&power, &bits, 4);
    return power * p + (power - 1.0f);
}

/* How much of the normal distribution lies below x, given bell = e^(-x^2/2): the bell times a polynomial in
   t = 1 / (1 + 0.35 |x|) is the smaller tail. Within 3 + x^2 units; NaN stays NaN. */
static inline float normal_below_float(float x, float bell)
{
    float t = 1.0f / (1.0f + 0.35f * fabsf(x)), p = -2.914613450e-2f;
    p = p * t + 1.439726829e-1f;
    p = p * t - 2.557162682e-1f;
    p = p * t + 1.591764318e-1f;
    p = p * t - 2.311137557e-2f;
    p = p * t + 1.055086448e-1f;
    p = p * t + 1.198327086e-1f;
    p = p * t + 1.398618911e-1f;
    p = p * t + 1.396214031e-1f;
    p = (p * t) * bell;
    return x > 0.0f ? 1.0f - p : p;
}

/* sin(2 pi b) for -1/4 <= b <= 1/4, within 3.4 units. */
static inline float sin_turn_float(float b)
{
    float s = b * b, p = 3.971091767e1f;
    p = p * s - 7.657499212e1f;
    p = p * s + 8.160223124e1f;
    p = p * s - 4.134167748e1f;
    p = p * s + 6.283185274f;
    return p * b;
}

#endif
