"""The floor of all arithmetic: how fast this core multiplies and adds with this instruction set's vectors.

Benchmarks and profiles measure it in the process whose shares of peak they report.
"""

from cycnn._native.runtime cimport Step
from .simd cimport VL, vf, vf_add, vf_fma, vf_set1, vf_store

cdef enum:
    CHAINS = 12  # independent sums: enough to cover the latency of two units, few enough for 16 registers
    ROUNDS = 100000


cdef class FmaPeak(Step):
    """ROUNDS times CHAINS independent multiply-adds of vectors in registers."""

    cdef float[VL] sink  # so that nothing can be left out

    operations = 2 * VL * CHAINS * ROUNDS

    cdef void run(self) noexcept nogil:
        cdef:
            vf sums[CHAINS]
            vf a = vf_set1(self.sink[0]), b = vf_set1(0.5)
            Py_ssize_t i, r
        for i in range(CHAINS):
            sums[i] = vf_set1(<float> i)
        for r in range(ROUNDS):
            for i in range(CHAINS):
                sums[i] = vf_fma(sums[i], b, a)
        for i in range(1, CHAINS):
            sums[0] = vf_add(sums[0], sums[i])
        vf_store(self.sink, sums[0])
