/* Vectors that are chosen lane by lane: rectifiers and their derivatives, and maxima, as in activations.pxd. */

#ifndef CYCNN_SELECT_H
#define CYCNN_SELECT_H

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

#else

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

#endif
#endif
