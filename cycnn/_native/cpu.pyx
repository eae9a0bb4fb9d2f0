"""Which instruction sets the CPU and the operating system support.

Compiled without any -m flag, so that asking is safe everywhere. The probe (`cpu.h`) reads CPUID and, for the wide
registers, XCR0: a CPU whose operating system does not save them counts as not having them.
"""

cdef extern from "cpu.h":
    int x86_level() noexcept
    bint has_neon() noexcept


def supported():
    """Return the names of the instruction sets that may run here, best first."""
    level = x86_level()
    found = {"v4": level >= 4, "v3": level >= 3, "v2": level >= 2, "neon": has_neon(), "portable": True}
    return tuple(name for name, present in found.items() if present)
