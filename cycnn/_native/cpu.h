/* What this processor can do, and what the operating system lets it: read from CPUID and XCR0.

   Written out because not every compiler brings a run-time library that knows (clang-cl brings none), and
   compiled without any -m flag, so that asking is safe everywhere. */

#ifndef CYCNN_CPU_H
#define CYCNN_CPU_H

#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)

#if defined(_WIN32)
#include <intrin.h>
static void read_cpuid(int leaf, uint32_t *registers) { __cpuidex((int *)registers, leaf, 0); }
#else
#include <cpuid.h>
static void read_cpuid(int leaf, uint32_t *registers)
{
    __cpuid_count(leaf, 0, registers[0], registers[1], registers[2], registers[3]);
}
#endif

/* The states that the operating system saves when it switches threads; only where OSXSAVE says that one may ask. */
static uint64_t saved_states(void)
{
#if defined(_MSC_VER)
    return _xgetbv(0);
#else
    uint32_t low, high;
    __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
#endif
}

enum { EAX, EBX, ECX, EDX };
#define BIT(word, n) ((word) >> (n) & 1u)
#define ALL(word, bits) (((word) & (bits)) == (bits))

/* The level of x86-64 that may run here: 0 (less than v2), 2, 3 or 4; of v3 and v4, what the kernels use. */
static int x86_level(void)
{
    uint32_t basic[4], extended[4] = {0};
    uint64_t states;
    const uint32_t ssse3_sse42_popcnt = 1u << 9 | 1u << 20 | 1u << 23, fma_osxsave_avx = 1u << 12 | 1u << 27 | 1u << 28;
    const uint32_t avx512_f_dq_cd_bw_vl = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
    const uint64_t ymm = 6, zmm = 0xe0;
    uint32_t leaves[4];

    read_cpuid(0, leaves);
    if (leaves[EAX] < 1) return 0;
    read_cpuid(1, basic);
    if (leaves[EAX] >= 7) read_cpuid(7, extended);
    if (!ALL(basic[ECX], ssse3_sse42_popcnt)) return 0;
    if (!ALL(basic[ECX], fma_osxsave_avx)) return 2;
    states = saved_states();
    if (!ALL(states, ymm) || !BIT(extended[EBX], 5)) return 2;
    if (!ALL(extended[EBX], avx512_f_dq_cd_bw_vl)) return 3;
#if defined(__APPLE__)
    return 4; /* the state is saved from its first use on, and not shown before */
#else
    return ALL(states, zmm) ? 4 : 3;
#endif
}

#else
static int x86_level(void) { return 0; }
#endif

static int has_neon(void)
{
#if defined(__aarch64__)
    return 1;
#else
    return 0;
#endif
}

#endif
