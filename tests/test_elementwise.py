"""Activations, softmax, dropout and rescaling against NumPy, on every instruction set this machine can run."""

import numpy as np
import pytest
import reference
from helpers import assert_same, assert_within_rounding, integers

from cycnn import _native
from cycnn._native import Buffer, run_step

# Around the widths of vectors, and around the 8192 numbers of a task.
SIZES = (0, 1, 3, 7, 8, 15, 16, 17, 33, 63, 65, 1000, 8191, 8192, 8193, 20000)
COLUMNS = (1, 2, 3, 7, 10, 15, 16, 17, 33, 100, 1000, 8192, 9001)
ACTIVATIONS = tuple(reference.ACTIVATIONS)

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


def empty(shape, dtype):
    """Return an output that shows what was not written."""
    return np.full(shape, np.nan, dtype)


def activate(x, activation, isa):
    out = empty(x.shape, x.dtype)
    kernels = _native.kernels(x.dtype.name, isa)
    run_step(kernels.ActivationForward(Buffer.of(x), Buffer.of(out), activation))
    return out


def softmax(x, isa):
    out = empty(x.shape, x.dtype)
    run_step(_native.kernels(x.dtype.name, isa).SoftmaxForward(Buffer.of(x), Buffer.of(out)))
    return out


def softmax_backward(dout, y, isa):
    dx = empty(y.shape, y.dtype)
    step = _native.kernels(y.dtype.name, isa).SoftmaxBackward
    run_step(step(Buffer.of(dout), Buffer.of(y), Buffer.of(dx)))
    return dx


def drop(x, rate, isa=_native.isa, seed=1, step=2, stream=3):
    out, key = empty(x.shape, x.dtype), Buffer.of(np.array([seed, step], "uint64"))
    kernels = _native.kernels(x.dtype.name, isa)
    run_step(kernels.Dropout(Buffer.of(x), Buffer.of(out), rate, key, stream))
    return out


def rescale(x, dtype, scale, offset, isa=_native.isa):
    out = empty(x.shape, dtype)
    kernels = _native.kernels(dtype, isa)
    run_step(kernels.Rescale(Buffer.of(x), Buffer.of(out), scale, offset))
    return out


# --- activations -----------------------------------------------------------------------------------


@every_isa
@every_dtype
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("size", SIZES)
def test_activation_agrees_with_numpy(rng, isa, dtype, activation, size):
    x = (4 * rng.standard_normal(size)).astype(dtype)
    exact = reference.activation(x, activation)
    # sigmoid: two roundings, and two units in the last place, 4 roundings, for the exponential; softplus has 1 + e^-|x|
    # rounded and its logarithm besides
    assert_within_rounding(activate(x, activation, isa), exact, np.abs(exact), 8)


@every_isa
@every_dtype
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("size", SIZES)
def test_activation_backward_agrees_with_numpy(rng, isa, dtype, activation, size):
    y = activate(rng.standard_normal(size).astype(dtype), activation, isa)
    dout, dx = rng.standard_normal(size).astype(dtype), empty(size, dtype)
    step = _native.kernels(dtype, isa).ActivationBackward
    run_step(step(Buffer.of(dout), Buffer.of(y), Buffer.of(dx), activation))
    exact = dout * reference.activation_derivative(y, activation)
    assert_within_rounding(dx, exact, np.abs(dout.astype("float64")) * np.maximum(1, np.abs(y)), 6)
    run_step(step(Buffer.of(dout), Buffer.of(y), Buffer.of(dout), activation))
    assert_same(dout, dx)


@every_isa
@every_dtype
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_in_place_gives_the_same(rng, isa, dtype, activation):
    x = rng.standard_normal(10000).astype(dtype)
    expected = activate(x, activation, isa)
    buffer = Buffer.of(x)
    run_step(_native.kernels(dtype, isa).ActivationForward(buffer, buffer, activation))
    assert_same(x, expected)


@every_isa
@every_dtype
def test_activation_of_special_values(isa, dtype):
    x = np.array([np.inf, -np.inf, np.nan, 1e-310, 1e-40, 0.0, -1e-40, 1e30, -1e30], dtype)
    x = np.tile(x, 5)  # in whole vectors and in what is left over
    zero = 0.0  # denormal numbers are flushed while a program runs
    half, low, top = np.log(2), -reference.SELU_SCALE * reference.SELU_ALPHA, np.inf
    expected = {
        "relu": [np.inf, 0, np.nan, zero, zero, 0, 0, 1e30, 0],
        "sigmoid": [1, 0, np.nan, 0.5, 0.5, 0.5, 0.5, 1, 0],
        "tanh": [1, -1, np.nan, zero, zero, 0, zero, 1, -1],
        "relu6": [6, 0, np.nan, zero, zero, 0, 0, 6, 0],
        "leaky_relu": [np.inf, -np.inf, np.nan, zero, zero, 0, zero, 1e30, -2e29],
        "elu": [np.inf, -1, np.nan, zero, zero, 0, zero, 1e30, -1],
        "selu": [np.inf, low, np.nan, zero, zero, 0, zero, reference.SELU_SCALE * 1e30, low],
        "hard_sigmoid": [1, 0, np.nan, 0.5, 0.5, 0.5, 0.5, 1, 0],
        "softplus": [np.inf, 0, np.nan, half, half, half, half, 1e30, 0],
        "softsign": [np.nan, np.nan, np.nan, zero, zero, 0, zero, 1, -1],  # as inf / inf in TensorFlow
        "exponential": [np.inf, 0, np.nan, 1, 1, 1, 1, top, 0],
    }
    for activation, values in expected.items():
        out = activate(x, activation, isa)
        np.testing.assert_allclose(out, np.tile(np.array(values, dtype), 5), rtol=3e-7, atol=1e-37)


# The largest errors in units in the last place over all floats, and a margin for other ways to contract multiply-adds.
UNITS = {"tanh": 1.4, "sigmoid": 3.0, "elu": 1.0, "selu": 2.5, "softplus": 3.0, "exponential": 1.1, "softsign": 1.6}


@every_isa
@pytest.mark.parametrize("activation", UNITS)
def test_activation_is_accurate_over_all_floats(isa, activation):
    """Every 4001st float: 1.4 units in the last place for tanh, 1.5 more roundings for sigmoid."""
    x = np.arange(0, 2**32, 4001, dtype="uint64").astype("uint32").view("float32")
    x = x[np.abs(x) < 80] if activation == "exponential" else x[np.isfinite(x)]
    out, exact = activate(x, activation, isa), reference.activation(x, activation)
    limits = np.finfo("float32")
    unit = np.spacing(np.clip(np.abs(exact), limits.tiny, limits.max / 4).astype("float32"))
    # Results below the smallest normal number are zero, and so are exponentials below twice that.
    normal = (np.abs(exact) > 4 * limits.tiny) & (np.abs(exact) < limits.max / 4)
    error = np.abs(out[normal] - exact[normal]) / unit[normal]
    assert np.max(error) < UNITS[activation]
    assert np.all(np.abs(out[np.abs(exact) <= 4 * limits.tiny]) <= 4 * limits.tiny)


_SELU_FALLS_TO = reference.SELU_SCALE * reference.SELU_ALPHA
CORNERS = {
    "relu": [0, 0, 1, 1],
    "relu6": [0, 0, 1, 0],
    "leaky_relu": [0.2, 0.2, 1, 1],
    "elu": [np.exp(-3), 1, 1, 1],
    "selu": [_SELU_FALLS_TO * np.exp(-3), reference.SELU_SCALE, reference.SELU_SCALE, reference.SELU_SCALE],
    "hard_sigmoid": [0, 1 / 6, 0, 0],
}


@every_isa
@every_dtype
@pytest.mark.parametrize("activation", CORNERS)
def test_activation_derivative_at_corners_is_that_of_tensorflow(isa, dtype, activation):
    y, dx = activate(np.array([-3, 0, 3, 6], dtype), activation, isa), empty(4, dtype)
    step = _native.kernels(dtype, isa).ActivationBackward
    run_step(step(Buffer.of(np.ones(4, dtype)), Buffer.of(y), Buffer.of(dx), activation))
    np.testing.assert_allclose(dx, CORNERS[activation], rtol=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_gradient_by_central_differences(rng, activation):
    x = rng.standard_normal(500)
    direction, dout = rng.standard_normal(500), rng.standard_normal(500)
    step = 1e-5
    up, down = (activate(x + s * direction, activation, _native.isa) for s in (step, -step))
    y, dx = activate(x, activation, _native.isa), empty(500, "float64")
    backward = _native.kernels("float64").ActivationBackward
    run_step(backward(Buffer.of(dout), Buffer.of(y), Buffer.of(dx), activation))
    np.testing.assert_allclose(dx @ direction, dout @ (up - down) / (2 * step), rtol=1e-7)


# --- softmax ---------------------------------------------------------------------------------------


@every_isa
@every_dtype
@pytest.mark.parametrize("columns", COLUMNS)
def test_softmax_agrees_with_numpy(rng, isa, dtype, columns):
    x = (3 * rng.standard_normal((20000 // columns + 1, columns))).astype(dtype)
    exact = reference.softmax(x)
    # x - max is rounded once, which the exponential turns into a relative error of |x - max| roundings.
    spread = np.max(x) - np.min(x)
    assert_within_rounding(softmax(x, isa), exact, exact, columns / 16 + 12 + spread)


@every_isa
@every_dtype
@pytest.mark.parametrize("columns", COLUMNS)
def test_softmax_backward_agrees_with_numpy(rng, isa, dtype, columns):
    y = reference.softmax(rng.standard_normal((20000 // columns + 1, columns))).astype(dtype)
    dout = rng.standard_normal(y.shape).astype(dtype)
    out = softmax_backward(dout, y, isa)
    exact = reference.softmax_backward(dout, y)
    dout64, y64 = np.abs(dout.astype("float64")), y.astype("float64")
    magnitude = y64 * (dout64 + (dout64 * y64).sum(axis=-1, keepdims=True))
    assert_within_rounding(out, exact, magnitude, columns / 16 + 8)


@every_isa
@every_dtype
def test_softmax_in_place_gives_the_same(rng, isa, dtype):
    kernels = _native.kernels(dtype, isa)
    x = rng.standard_normal((300, 10, 10)).astype(dtype)
    dout = rng.standard_normal(x.shape).astype(dtype)
    y = softmax(x, isa)
    dx = softmax_backward(dout, y, isa)
    run_step(kernels.SoftmaxForward(Buffer.of(x), Buffer.of(x)))
    assert_same(x, y)
    run_step(kernels.SoftmaxBackward(Buffer.of(dout), Buffer.of(y), Buffer.of(dout)))
    assert_same(dout, dx)


@every_isa
@every_dtype
@pytest.mark.parametrize("columns", (1, 10, 40))
def test_softmax_of_large_values_is_finite(rng, isa, dtype, columns):
    x = (1e4 * rng.standard_normal((50, columns))).astype(dtype)
    out = softmax(x, isa)
    np.testing.assert_allclose(out.sum(axis=-1), 1, rtol=1e-6)
    assert_same(out.argmax(axis=-1), x.argmax(axis=-1))
    assert_same(softmax(np.full((3, columns), -1e30, dtype), isa), softmax(x[:3] * 0, isa))


@every_isa
@every_dtype
@pytest.mark.parametrize("position", (0, 7, 16, 19))
@pytest.mark.parametrize("value", (np.nan, np.inf))
def test_softmax_row_with_nan_is_nan_and_no_other(isa, dtype, position, value):
    x = np.zeros((3, 20), dtype)
    x[1, position] = value
    out = softmax(x, isa)
    assert np.all(np.isnan(out[1]))
    assert_same(out[[0, 2]], np.full((2, 20), 0.05, dtype))


@every_isa
def test_softmax_of_minus_infinity_is_zero(isa):
    x = np.array([[0, -np.inf, 0], [-np.inf, 5, -np.inf]], "float32")
    assert_same(softmax(x, isa), np.array([[0.5, 0, 0.5], [0, 1, 0]], "float32"))


def test_softmax_gradient_by_central_differences(rng):
    x, direction, dout = (rng.standard_normal((40, 33)) for _ in range(3))
    step = 1e-5
    up, down = (softmax(x + s * direction, _native.isa) for s in (step, -step))
    dx = softmax_backward(dout, softmax(x, _native.isa), _native.isa)
    expected = np.sum(dout * (up - down)) / (2 * step)
    np.testing.assert_allclose(np.sum(dx * direction), expected, rtol=1e-7)


# --- dropout ---------------------------------------------------------------------------------------


def mix64(h):
    """SplitMix64's step, on a Python int."""
    h = (h + 0x9E3779B97F4A7C15) % 2**64
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    h = (h ^ (h >> 27)) * 0x94D049BB133111EB % 2**64
    return h ^ (h >> 31)


def random_bits(size, seed=1, step=2, stream=3):
    """Return 32 bits per element, as the step defines them: 8192 elements share a key."""
    bits = []
    for start in range(0, size, 8192):
        key = mix64(mix64(mix64(mix64(seed) ^ step) ^ stream) ^ start)
        h = np.arange(8192, dtype="uint32") + np.uint32(key % 2**32)
        h = (h ^ (h >> 17)) * np.uint32(0xED5AD4BB) + np.uint32(key >> 32)
        h = (h ^ (h >> 11)) * np.uint32(0xAC4C1B51)
        h = (h ^ (h >> 15)) * np.uint32(0x31848BAB)
        bits.append(h ^ (h >> 14))
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
    run_step(_native.kernels(dtype, isa).Dropout(buffer, buffer, 0.25, key, 3))
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


# --- rescaling -------------------------------------------------------------------------------------


@every_isa
@every_dtype
@pytest.mark.parametrize("source", ("uint8", "int32", "int64", "float32", "float64"))
@pytest.mark.parametrize("size", SIZES)
def test_rescale_of_whole_numbers_is_exact(rng, isa, dtype, source, size):
    x = integers(rng, size, "int64")
    x = (x + 8 if source == "uint8" else x).astype(source)
    assert_same(rescale(x, dtype, 0.25, -3.0, isa), (x.astype("float64") / 4 - 3).astype(dtype))


@every_isa
@every_dtype
def test_rescale_of_pixels_is_rounded_twice_at_most(isa, dtype):
    x = np.arange(256, dtype="uint8")
    exact = x.astype("longdouble") / 127.5 - 1
    # The constant 1 / 127.5 is rounded too.
    assert_within_rounding(rescale(x, dtype, 1 / 127.5, -1.0, isa), exact, 1 + x / 127.5, 3)


@every_isa
def test_rescale_reads_all_bits_of_large_integers(isa):
    x = np.array([2**31 - 1, -(2**31), 2**24 + 1, 2**40 + 1], "int64")
    assert_same(rescale(x, "float64", 1.0, 0.0, isa), x.astype("float64"))
    assert_same(rescale(x, "float32", 1.0, 0.0, isa), x.astype("float32"))


@every_isa
def test_rescale_in_place(rng, isa):
    x = integers(rng, 9000)
    expected = 2 * x + 1
    run_step(_native.kernels("float32", isa).Rescale(Buffer.of(x), Buffer.of(x), 2.0, 1.0))
    assert_same(x, expected)


# --- threads ---------------------------------------------------------------------------------------


@every_isa
@every_dtype
def test_results_do_not_depend_on_threads(rng, restore_threads, isa, dtype):
    x = rng.standard_normal((3001, 33)).astype(dtype)
    results = []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        y = softmax(x, isa)
        results.append(
            [
                activate(x, "tanh", isa),
                y,
                softmax_backward(x, y, isa),
                drop(x, 0.5, isa),
                rescale(x, dtype, 0.1, 0.2, isa),
            ]
        )
    for other in results[1:]:
        for actual, expected in zip(other, results[0], strict=True):
            assert_same(actual, expected)
