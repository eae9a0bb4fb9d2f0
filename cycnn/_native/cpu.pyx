"""Which instruction sets the CPU and the operating system support.

Compiled without any -m flag, so that asking is safe everywhere. The compiler's probe reads CPUID and, for the
wide registers, XCR0: a CPU whose operating system does not save them counts as not having them.
"""

cdef extern from *:
    """
    #if defined(__x86_64__) && defined(__GNUC__)
    #define HAS(feature) (__builtin_cpu_supports(feature) != 0)
    static int has_v2(void) { return HAS("sse4.2") && HAS("ssse3") && HAS("popcnt"); }
    static int has_v3(void) { return has_v2() && HAS("avx2") && HAS("fma"); }
    static int has_v4(void)
    {
        return has_v3() && HAS("avx512f") && HAS("avx512bw") && HAS("avx512cd")
            && HAS("avx512dq") && HAS("avx512vl");
    }
    #else
    static int has_v2(void) { return 0; }
    static int has_v3(void) { return 0; }
    static int has_v4(void) { return 0; }
    #endif
    #if defined(__aarch64__)
    static int has_neon(void) { return 1; }
    #else
    static int has_neon(void) { return 0; }
    #endif
    """
    bint has_v2() noexcept
    bint has_v3() noexcept
    bint has_v4() noexcept
    bint has_neon() noexcept


def supported():
    """Return the names of the instruction sets that may run here, best first."""
    found = {"v4": has_v4(), "v3": has_v3(), "v2": has_v2(), "neon": has_neon(), "portable": True}
    return tuple(name for name, present in found.items() if present)
