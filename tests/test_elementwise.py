"""Activations that others can fuse, and rescaling, against NumPy, on every instruction set this machine can run."""

import numpy as np
import pytest
import reference
from helpers import assert_same, assert_within_rounding, integers

from cycnn import _native
from cycnn._native import Buffer, run_step

# Around the widths of vectors, and around the 8192 numbers of a task.
SIZES = (0, 1, 3, 7, 8, 15, 16, 17, 33, 63, 65, 1000, 8191, 8192, 8193, 20000)
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
        results.append([*(activate(x, name, isa) for name in ACTIVATIONS), rescale(x, dtype, 0.1, 0.2, isa)])
    for other in results[1:]:
        for actual, expected in zip(other, results[0], strict=True):
            assert_same(actual, expected)
