"""Dropout and normal noise: what the steps are defined to draw, and whether that is random."""

import math

import numpy as np
import pytest
from helpers import assert_same

from cycnn import _native
from cycnn._native import Buffer, run_step

every_isa = pytest.mark.parametrize("isa", _native.supported)
every_dtype = pytest.mark.parametrize("dtype", ("float32", "float64"))


@pytest.fixture
def rng():
    return np.random.default_rng(20240917)


@pytest.fixture
def restore_threads():
    threads = _native.get_num_threads()
    yield
    _native.set_num_threads(threads)


def drop(x, rate, isa=_native.isa, seed=1, step=2, stream=3, noise_shape=None, affine=None):
    out, key = np.full_like(x, np.nan), Buffer.of(np.array([seed, step], "uint64"))
    affine = affine or (1 / (1 - rate) if rate < 1 else 0.0, 0.0, 0.0)
    step_class = _native.kernels(x.dtype.name, isa).Dropout
    run_step(step_class(Buffer.of(x), Buffer.of(out), rate, key, stream, noise_shape or x.shape, affine))
    return out


def gaussian(x, stddev=1.0, multiply=False, isa=_native.isa, seed=1, step=2, stream=3):
    out, key = np.full_like(x, np.nan), Buffer.of(np.array([seed, step], "uint64"))
    step_class = _native.kernels(x.dtype.name, isa).Gaussian
    run_step(step_class(Buffer.of(x), Buffer.of(out), stddev, multiply, key, stream))
    return out


# --- dropout ---------------------------------------------------------------------------------------


def mix64(h):
    """SplitMix64's step, on a Python int."""
    h = (h + 0x9E3779B97F4A7C15) % 2**64
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    h = (h ^ (h >> 27)) * 0x94D049BB133111EB % 2**64
    return h ^ (h >> 31)


def hash32(key):
    """Return 32 bits for each element of a block."""
    h = np.arange(8192, dtype="uint32") + np.uint32(key % 2**32)
    h = (h ^ (h >> 17)) * np.uint32(0xED5AD4BB) + np.uint32(key >> 32)
    h = (h ^ (h >> 11)) * np.uint32(0xAC4C1B51)
    h = (h ^ (h >> 15)) * np.uint32(0x31848BAB)
    return h ^ (h >> 14)


def random_bits(size, seed=1, step=2, stream=3):
    """Return 32 bits per element, as the step defines them: 8192 elements share a key."""
    bits = []
    for start in range(0, size, 8192):
        key = mix64(mix64(mix64(mix64(seed) ^ step) ^ stream) ^ start)
        bits.append(hash32(key))
    return np.concatenate(bits)[:size]


def deviations(sample, mean, variance):
    """Return how many standard deviations the mean of a sample is off."""
    return abs(sample.mean() - mean) / np.sqrt(variance / sample.size)


@every_isa
@every_dtype
@pytest.mark.parametrize("rate", (0.1, 0.5, 0.8))
@pytest.mark.parametrize("size", (1, 17, 8191, 8193, 40000))
def test_dropout_mask_is_as_defined(isa, dtype, rate, size):
    kept = random_bits(size) >= int(rate * 2**32)
    expected = np.where(kept, np.array(1 / (1 - rate), dtype), np.array(0, dtype))
    assert_same(drop(np.ones(size, dtype), rate, isa), expected)


@every_isa
@every_dtype
def test_dropout_scales_what_it_keeps(rng, isa, dtype):
    x = rng.standard_normal((4, 50, 51)).astype(dtype)
    mask = drop(np.ones_like(x), 0.25, isa)
    assert_same(drop(x, 0.25, isa), x * mask)
    expected = x * mask
    buffer, key = Buffer.of(x), Buffer.of(np.array([1, 2], "uint64"))
    run_step(_native.kernels(dtype, isa).Dropout(buffer, buffer, 0.25, key, 3, x.shape, (1 / 0.75, 0.0, 0.0)))
    assert_same(x, expected)


@every_isa
@every_dtype
def test_dropout_of_rate_zero_keeps_all_and_of_rate_one_nothing(rng, isa, dtype):
    x = rng.standard_normal(10000).astype(dtype)
    assert_same(drop(x, 0.0, isa), x)
    assert_same(drop(x, 1.0, isa), np.zeros_like(x))


@every_isa
def test_dropout_drops_nan_and_infinity_too(isa):
    x = np.tile(np.array([np.nan, np.inf], "float32"), 500)
    kept = random_bits(1000) >= 2**31
    out = drop(x, 0.5, isa)
    assert np.all(out[~kept] == 0)
    assert np.all(np.isnan(out[kept]) == np.isnan(x[kept]))


def test_dropout_mask_of_an_element_does_not_depend_on_the_others():
    short, long = (drop(np.ones(size, "float32"), 0.5) for size in (9000, 30000))
    assert_same(short, long[:9000])


@pytest.mark.parametrize("seed", (0, 1, 2**64 - 1))
@pytest.mark.parametrize("rate", (0.01, 0.3, 0.5, 0.9))
def test_dropout_keeps_the_stated_share(seed, rate):
    kept = drop(np.ones(2**20, "float32"), rate, seed=seed) != 0
    assert deviations(kept, 1 - rate, rate * (1 - rate)) < 5
    per_window = kept.reshape(-1, 64).sum(axis=1)
    assert abs(per_window.var() / (64 * rate * (1 - rate)) - 1) < 5 * np.sqrt(2 / len(per_window))


@pytest.mark.parametrize("lag", (1, 2, 3, 8, 16, 64, 127, 512, 1024, 4096, 8192))
def test_dropout_neighbours_are_independent(lag):
    kept = drop(np.ones(2**21, "float32"), 0.5) != 0
    assert deviations(kept[lag:] ^ kept[:-lag], 0.5, 0.25) < 5


@pytest.mark.parametrize("lag", (1, 8, 512))
def test_dropout_bits_of_pairs_are_uniform(lag):
    """Chi-squared over pairs of bytes; a hash of two rounds fails it by 30 to 60 deviations."""
    top = (random_bits(2**21) >> 24).astype(int)
    counts = np.bincount(top[lag:] * 256 + top[:-lag], minlength=65536)
    expected = (top.size - lag) / 65536
    squared = np.sum((counts - expected) ** 2) / expected
    assert abs(squared - 65535) < 5 * np.sqrt(2 * 65535)


@pytest.mark.parametrize(
    "other",
    ({"seed": 2}, {"step": 3}, {"stream": 4}, {"seed": 2, "step": 1}, {"step": 3, "stream": 2}),
    ids=str,
)
def test_dropout_masks_of_other_keys_are_independent(other):
    ones = np.ones(2**20, "float32")
    differ = (drop(ones, 0.5) != 0) ^ (drop(ones, 0.5, **other) != 0)
    assert deviations(differ, 0.5, 0.25) < 5


def test_dropout_steps_are_independent_at_each_position():
    masks = np.stack([drop(np.ones(32, "float32"), 0.5, step=step) != 0 for step in range(4000)])
    correlation = np.corrcoef(masks.T)[np.triu_indices(32, 1)]
    assert np.max(np.abs(correlation)) * np.sqrt(4000) < 5
    assert deviations(masks[1:] ^ masks[:-1], 0.5, 0.25) < 5


SHAPES = [
    ((4, 5, 6, 3), (4, 1, 1, 3)),
    ((4, 5, 6, 3), (1, 5, 1, 3)),
    ((4, 5, 6, 3), (4, 5, 6, 1)),
    ((4, 5, 6, 3), (1, 1, 1, 1)),
    ((3, 1, 70), (1, 1, 70)),
    ((2, 3, 9000), (2, 1, 9000)),  # masks of several blocks, which do not begin where runs do
    ((2, 5000, 3), (2, 5000, 1)),
    ((7, 3000), (1, 3000)),
    ((1, 1), (1, 1)),
    ((0, 4), (1, 4)),
]


@every_isa
@every_dtype
@pytest.mark.parametrize(("shape", "noise_shape"), SHAPES, ids=str)
def test_dropout_repeats_its_mask(isa, dtype, shape, noise_shape):
    kept = (random_bits(math.prod(noise_shape)) >= 2**31).reshape(noise_shape)
    out = drop(np.ones(shape, dtype), 0.5, isa, noise_shape=noise_shape)
    assert_same(out, np.broadcast_to(2 * kept, shape).astype(dtype))


@every_isa
@every_dtype
@pytest.mark.parametrize("noise_shape", ((30, 40), (30, 1)))
def test_dropout_shifts_and_fills(rng, isa, dtype, noise_shape):
    x = rng.integers(-8, 9, (30, 40)).astype(dtype)
    kept = (random_bits(math.prod(noise_shape)) >= 2**30).reshape(noise_shape)
    out = drop(x, 0.25, isa, noise_shape=noise_shape, affine=(2.0, 3.0, -7.0))
    assert_same(out, np.where(kept, 2 * x + 3, -7).astype(dtype))


# --- normal noise ----------------------------------------------------------------------------------


def normal_numbers(size, seed=1, step=2, stream=3):
    """Return what the step is defined to draw, in float64."""
    numbers = []
    for start in range(0, size, 8192):
        key = mix64(mix64(mix64(mix64(mix64(seed) ^ step) ^ stream)) ^ start)
        first, second = hash32(key), hash32(mix64(key))
        u = ((first >> 1).astype("float64") + 0.5) / 2**31
        turn = np.abs(second.view("int32") / 2**32) - 0.25
        numbers.append(np.sqrt(-2 * np.log(u)) * np.sin(2 * np.pi * turn))
    return np.concatenate(numbers)[:size]


@every_isa
@every_dtype
@pytest.mark.parametrize("size", (0, 1, 17, 8193, 20000))
def test_normal_numbers_are_as_defined(isa, dtype, size):
    # A float's logarithm near 1 has the rounding of its argument, 2^-25, so a radius near 0 is off by up to 2^-12.
    error = {"float32": 3e-4, "float64": 1e-13}[dtype]
    z, expected = gaussian(np.zeros(size, dtype), isa=isa), normal_numbers(size) if size else np.zeros(0)
    np.testing.assert_allclose(z, expected, rtol=0, atol=error)
    far = np.abs(expected) > 0.1
    np.testing.assert_allclose(z[far], expected[far], rtol=error / 30, atol=0)


@every_isa
@every_dtype
def test_normal_noise_is_added_or_multiplied(rng, isa, dtype):
    x = rng.standard_normal((40, 300)).astype(dtype)
    z = gaussian(np.zeros_like(x), isa=isa)
    bound = {"float32": 2e-6, "float64": 1e-14}[dtype]
    np.testing.assert_allclose(gaussian(x, 0.25, isa=isa), x + 0.25 * z, atol=bound)
    np.testing.assert_allclose(gaussian(x, 0.25, True, isa=isa), x * (1 + 0.25 * z), atol=bound)


@pytest.mark.parametrize("seed", (0, 1, 2**64 - 1))
def test_normal_moments(seed):
    z = gaussian(np.zeros(2**21, "float32"), seed=seed).astype("float64")
    assert deviations(z, 0, 1) < 5
    assert deviations(z**2, 1, 2) < 5
    assert deviations(z**3, 0, 15) < 5
    assert deviations(z**4, 3, 96) < 5


def normal_below(x):
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in x])


@pytest.mark.parametrize("seed", (0, 3))
def test_normal_numbers_pass_kolmogorov_and_smirnov(seed):
    z = np.sort(gaussian(np.zeros(2**18, "float32"), seed=seed).astype("float64"))
    steps = np.arange(z.size + 1) / z.size
    below = normal_below(z)
    distance = max(np.max(steps[1:] - below), np.max(below - steps[:-1]))
    assert distance * np.sqrt(z.size) < 1.95  # exceeded once in a thousand


@pytest.mark.parametrize("lag", (0, 1, 8, 512))
def test_normal_numbers_pass_chi_squared(lag):
    """Counts over 64 parts of equal probability, of single numbers or of pairs."""
    z = gaussian(np.zeros(2**20, "float32")).astype("float64")
    parts = np.minimum((normal_below(z) * 64).astype(int), 63)
    numbers, count = (parts, 64) if lag == 0 else (parts[lag:] * 64 + parts[:-lag], 4096)
    expected = numbers.size / count
    squared = np.sum((np.bincount(numbers, minlength=count) - expected) ** 2) / expected
    assert abs(squared - (count - 1)) < 5 * np.sqrt(2 * (count - 1))


def test_normal_tails_are_there():
    z = np.abs(gaussian(np.zeros(2**22, "float32")))
    for far in (3.0, 4.0, 4.5):
        expected = 2**22 * math.erfc(far / math.sqrt(2))
        assert abs(np.sum(z > far) - expected) < 5 * math.sqrt(expected)
    assert z.max() < 6.7


@pytest.mark.parametrize("other", ({"seed": 2}, {"step": 3}, {"stream": 4}), ids=str)
def test_normal_noise_of_other_keys_is_independent(other):
    zeros = np.zeros(2**20, "float32")
    assert deviations(gaussian(zeros) * gaussian(zeros, **other), 0, 1) < 5


def test_normal_noise_is_independent_of_dropout():
    masks = drop(np.ones(2**20, "float32"), 0.5) - 1
    assert deviations(masks * gaussian(np.zeros(2**20, "float32")) ** 2, 0, 3) < 5


# --- threads ---------------------------------------------------------------------------------------


@every_isa
@every_dtype
def test_results_do_not_depend_on_threads(rng, restore_threads, isa, dtype):
    x = rng.standard_normal((13, 77, 40)).astype(dtype)
    results = []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        results.append(
            [drop(x, 0.5, isa), drop(x, 0.5, isa, noise_shape=(13, 1, 40)), gaussian(x, isa=isa), gaussian(x, 1, True)]
        )
    for other in results[1:]:
        for actual, expected in zip(other, results[0], strict=True):
            assert_same(actual, expected)
