"""The floors of all work: how fast this core multiplies and adds with this instruction set's vectors, and how fast it
reads and writes arrays.

Benchmarks and profiles measure them in the process whose shares of peak they report.
"""

from cycnn._native.runtime cimport Buffer, Step
from .simd cimport VL, vf, vf_add, vf_fma, vf_load, vf_set1, vf_store, vf_zero

cdef enum:
    CHAINS = 12  # independent sums: enough to cover the latency of two units, few enough for 16 registers
    ROUNDS = 100000
    MOST_SOURCES = 4
    PIECE = 4096  # bytes of the largest array in a piece: arrays are gone over side by side
    PIECES = 16   # in a task


cdef class FmaPeak(Step):
    """ROUNDS times CHAINS independent multiply-adds of vectors in registers."""

    cdef float[VL] sink  # so that nothing can be left out

    operations = 2 * VL * CHAINS * ROUNDS

    cdef void run(self) noexcept nogil:
        cdef:
            vf sums[CHAINS]
            vf a = vf_set1(self.sink[0]), b = vf_set1(0.5)
            Py_ssize_t i, _
        for i in range(CHAINS):
            sums[i] = vf_set1(<float> i)
        for _ in range(ROUNDS):
            for i in range(CHAINS):
                sums[i] = vf_fma(sums[i], b, a)
        for i in range(1, CHAINS):
            sums[0] = vf_add(sums[0], sums[i])
        vf_store(self.sink, sums[0])


cdef inline Py_ssize_t vectors_until(Py_ssize_t nbytes) noexcept nogil:
    return nbytes // <Py_ssize_t> (VL * sizeof(float))


cdef inline void read_piece(const char* data, Py_ssize_t start, Py_ssize_t stop, vf* sums) noexcept nogil:
    """Add up the vectors that end in bytes start..stop-1, four sums side by side."""
    cdef const float* numbers = <const float*> data
    cdef Py_ssize_t i = vectors_until(start), end = vectors_until(stop), v
    while i + 4 <= end:
        for v in range(4):
            sums[v] = vf_add(sums[v], vf_load(numbers + (i + v) * VL))
        i += 4
    while i < end:
        sums[0] = vf_add(sums[0], vf_load(numbers + i * VL))
        i += 1


cdef inline void write_piece(char* data, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    """Write zeros to the vectors that end in bytes start..stop-1."""
    cdef float* numbers = <float*> data
    cdef Py_ssize_t i
    for i in range(vectors_until(start), vectors_until(stop)):
        vf_store(numbers + i * VL, vf_zero())


cdef class MemoryPass(Step):
    """Read some arrays and write one, each once, side by side and with nothing else to do.

    This is the time that any step on the same arrays takes at least, for they are wherever that step finds them: in one
    of the caches, or in memory. Of each array whole vectors are gone over alone. `target` may be None.
    """

    cdef:
        tuple sources
        Buffer target                       # OUT: zeros
        const char* starts[MOST_SOURCES]
        Py_ssize_t nbytes[MOST_SOURCES]
        Py_ssize_t count, pieces

    def __init__(self, tuple sources, Buffer target):
        cdef Py_ssize_t i
        cdef Buffer source
        if len(sources) > MOST_SOURCES:
            raise ValueError(f"at most {MOST_SOURCES} sources, not {len(sources)}")
        self.sources, self.target, self.count = sources, target, len(sources)
        most = 0 if target is None else target.nbytes
        for i, source in enumerate(sources):
            self.starts[i], self.nbytes[i] = source.data, source.nbytes
            most = max(most, source.nbytes)
        self.pieces = most // PIECE + 1
        self.scratch = VL * sizeof(float)

    cdef void run(self) noexcept nogil:
        self.split((self.pieces + PIECES - 1) // PIECES, <double> (self.pieces * PIECE))

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            vf sums[4]
            Py_ssize_t piece, s, v
        for v in range(4):
            sums[v] = vf_zero()
        for piece in range(i * PIECES, min((i + 1) * PIECES, self.pieces)):
            for s in range(self.count):
                read_piece(self.starts[s], self.nbytes[s] * piece // self.pieces,
                           self.nbytes[s] * (piece + 1) // self.pieces, sums)
            if self.target is not None:
                write_piece(self.target.data, self.target.nbytes * piece // self.pieces,
                            self.target.nbytes * (piece + 1) // self.pieces)
        for v in range(1, 4):
            sums[0] = vf_add(sums[0], sums[v])
        vf_store(<float*> scratch, sums[0])
