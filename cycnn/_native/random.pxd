"""Random numbers by counting: each is a hash of a key and its place, so they depend on no order and on no thread.

A key is made of seed, step and stream by `mix64`; the numbers 0, 1, 2, ... under a key are `hash32(i, low, high)`.
"""

from libc.stdint cimport uint32_t, uint64_t


cdef inline uint64_t mix64(uint64_t h) noexcept nogil:
    """Scramble 64 bits one to one (the step of SplitMix64)."""
    h += <uint64_t> 0x9E3779B97F4A7C15
    h = (h ^ (h >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    h = (h ^ (h >> 27)) * <uint64_t> 0x94D049BB133111EB
    return h ^ (h >> 31)


cdef inline uint32_t hash32(uint32_t i, uint32_t key_low, uint32_t key_high) noexcept nogil:
    """Return 32 random bits for i: the scrambler triple32, with half of the key before each of its first two rounds.

    It needs nothing but 32-bit multiplications, which every vector unit from SSE4.1 on has. With two rounds (lowbias32)
    pairs of elements 8 or 512 apart fail a chi-squared test; with three none does. The second half of the key keeps two
    masks from being shifted copies of each other.
    """
    cdef uint32_t h = i + key_low
    h = (h ^ (h >> 17)) * <uint32_t> 0xED5AD4BB + key_high
    h = (h ^ (h >> 11)) * <uint32_t> 0xAC4C1B51
    h = (h ^ (h >> 15)) * <uint32_t> 0x31848BAB
    return h ^ (h >> 14)
