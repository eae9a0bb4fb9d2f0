"""Normalisation's compiled loops against NumPy, on every instruction set this machine can run."""

import numpy as np
import pytest
import reference
from guard_pages import guarded
from helpers import assert_same, assert_within_rounding, integers

from cycnn import _native
from cycnn._native import Buffer, run_step

# Images, rows and channels: lines of several rows, wide lines of several panels, several parts, rows left over.
SHAPES = (
    (1, 1, 1),
    (1, 7, 3),
    (1, 1000, 1),
    (1, 4099, 3),
    (1, 700, 16),
    (1, 333, 33),
    (1, 3000, 64),
    (1, 40, 100),
    (1, 35, 1030),
    (3, 50, 6),
    (5, 9, 32),
    (2, 1, 48),
)
ROWS = ((1, 1), (5, 3), (1000, 2), (7, 16), (300, 33), (3, 4096), (3, 9001), (40, 1100))

every_isa = pytest.mark.parametrize("isa", _native.supported)
every_dtype = pytest.mark.parametrize("dtype", ("float32", "float64"))
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@pytest.fixture
def rng():
    return np.random.default_rng(20240921)


@pytest.fixture
def restore_threads():
    threads = _native.get_num_threads()
    yield
    _native.set_num_threads(threads)


def run(name, *arguments, isa=_native.isa):
    """Run a step on arrays, numbers and strings; None is left out."""
    dtype = next(argument.dtype.name for argument in arguments if isinstance(argument, np.ndarray))
    step = getattr(_native.kernels(dtype, isa), name)
    run_step(step(*[Buffer.of(a) if isinstance(a, np.ndarray) else a for a in arguments]))


def empty(shape, dtype):
    """Return an output that shows what was not written."""
    return np.full(shape, np.nan, dtype)


def moments(x, isa=_native.isa):
    mean, variance = empty((x.shape[0], x.shape[2]), x.dtype), empty((x.shape[0], x.shape[2]), x.dtype)
    run("ChannelMoments", x, mean, variance, isa=isa)
    return mean, variance


def groups_of(channels):
    return 3 if channels % 3 == 0 else channels


# --- statistics of channels ------------------------------------------------------------------------


@every_isa
@every_dtype
@every_shape
def test_channel_moments_agree_with_numpy(rng, isa, dtype, shape):
    x = (2 + 3 * rng.standard_normal(shape)).astype(dtype)
    mean, variance = moments(x, isa)
    exact_mean, exact_variance = reference.moments(x, axis=1)
    assert_within_rounding(mean, exact_mean, np.abs(x.astype("float64")).mean(axis=1), 40)
    assert_within_rounding(variance, exact_variance, exact_variance, 72 + (shape[1] if dtype == "float64" else 0))


@every_isa
@every_shape
def test_channel_moments_do_not_suffer_from_a_mean_far_from_zero(rng, isa, shape):
    """The variance is as good at mean / deviation = 4096 as at 0, and the mean has its own rounding only."""
    x = (4096 + rng.standard_normal(shape)).astype("float32")
    mean, variance = moments(x, isa)
    exact_mean, exact_variance = reference.moments(x, axis=1)
    assert_within_rounding(mean, exact_mean, np.abs(exact_mean), 1.01)
    assert_within_rounding(variance, exact_variance, exact_variance, 72)


@every_isa
@every_dtype
def test_channel_moments_of_equal_numbers_have_no_variance(isa, dtype):
    for value in (3.0, 0.1, -1e3):
        x = np.full((2, 1001, 5), value, dtype)
        mean, variance = moments(x, isa)
        assert np.all(variance <= (4 * np.finfo(dtype).eps * value) ** 2)
        np.testing.assert_allclose(mean, x[:, 0], rtol=8 * np.finfo(dtype).eps)


@every_isa
def test_channel_moments_keep_nan_and_infinity_to_their_channel(rng, isa):
    x = rng.standard_normal((1, 500, 20)).astype("float32")
    x[0, 250, 3], x[0, 499, 7] = np.nan, np.inf
    mean, variance = moments(x, isa)
    wrong = np.arange(20) == 3
    assert np.isnan(mean[0, wrong]).all() and np.isnan(variance[0, [3, 7]]).all()
    assert np.isfinite(mean[0, ~wrong & (np.arange(20) != 7)]).all()


@pytest.mark.parametrize("shape", ((1, 0, 4), (0, 5, 4), (1, 5, 0)), ids=str)
def test_empty_arrays_do_not_crash(shape):
    x, channels = np.zeros(shape, "float32"), np.zeros((shape[0], shape[2]), "float32")
    moments(x)
    run("ScaleAndShift", channels, channels, None, None, channels.copy(), channels.copy(), 1e-3)
    run("ChannelAffine", x, channels, channels, x, x.copy(), "relu")
    run("ChannelSums", x, x, channels, channels, channels.copy(), channels.copy(), 1e-3)
    run("ChannelNormBackward", x, x, channels, channels, None, channels, channels, x.copy(), 1e-3, "linear", None)
    run("ChannelAffineBackward", x, channels, x.copy(), "linear", None)
    rows = x.reshape(shape[0] * shape[1], shape[2])
    inverse = np.zeros(len(rows), "float32")
    run("RowNormForward", rows, None, None, None, inverse, rows.copy(), 1.0, 1e-3, np.inf, "linear")


@every_isa
@every_dtype
@pytest.mark.parametrize("groups", (1, 2, 12))
def test_group_moments_agree_with_numpy(rng, isa, dtype, groups):
    x = rng.standard_normal((3, 40, 12)).astype(dtype)
    mean, variance = empty((3, groups), dtype), empty((3, groups), dtype)
    run("GroupMoments", *moments(x, isa), mean, variance, isa=isa)
    exact = reference.moments(x.reshape(3, 40, groups, -1), axis=(1, 3))
    assert_within_rounding(mean, exact[0], 1, 40)
    assert_within_rounding(variance, exact[1], exact[1], 100)


@every_isa
@every_dtype
def test_moving_average_agrees_with_keras_formula(rng, isa, dtype):
    moving, batch = rng.standard_normal((2, 50)).astype(dtype)
    exact = 0.9 * moving.astype("longdouble") + (1 - np.longdouble(0.9)) * batch
    buffer = Buffer.of(moving)
    version = buffer.version
    step = _native.kernels(dtype, isa).MovingAverage
    run_step(step(buffer, Buffer.of(batch), 0.9))
    assert_within_rounding(moving, exact, np.abs(exact) + np.abs(batch) + np.abs(moving), 3)
    assert buffer.version > version


# --- the affine map --------------------------------------------------------------------------------


@every_isa
@every_dtype
@every_shape
@pytest.mark.parametrize("activation", ("linear", "relu"))
def test_channel_affine_is_exact_on_integers(rng, isa, dtype, shape, activation):
    x, scale, shift = (integers(rng, s, dtype) for s in (shape, (shape[0], shape[2]), (shape[0], shape[2])))
    out = empty(shape, dtype)
    run("ChannelAffine", x, scale, shift, None, out, activation, isa=isa)
    assert_same(out, reference.activation(scale[:, None] * x + shift[:, None], activation).astype(dtype))
    residual = integers(rng, shape, dtype)
    run("ChannelAffine", x, scale, shift, residual, out, activation, isa=isa)
    assert_same(out, reference.activation(scale[:, None] * x + shift[:, None] + residual, activation).astype(dtype))


@every_isa
@every_dtype
@pytest.mark.parametrize("affine", ("both", "gamma", "beta", "neither"))
def test_scale_and_shift_agree_with_numpy(rng, isa, dtype, affine):
    mean, variance = rng.standard_normal((2, 4)).astype(dtype), rng.random((2, 4)).astype(dtype)
    gamma = rng.standard_normal(12).astype(dtype) if affine in ("both", "gamma") else None
    beta = rng.standard_normal(12).astype(dtype) if affine in ("both", "beta") else None
    scale, shift = empty((2, 12), dtype), empty((2, 12), dtype)
    run("ScaleAndShift", mean, variance, gamma, beta, scale, shift, 1e-3, isa=isa)
    repeated = [np.repeat(a, 3, axis=1).astype("float64") for a in (mean, variance)]
    exact = (1 if gamma is None else gamma) / np.sqrt(repeated[1] + 1e-3)
    assert_within_rounding(scale, exact, np.abs(exact), 6)
    exact_shift = (0 if beta is None else beta) - repeated[0] * exact
    assert_within_rounding(shift, exact_shift, np.abs(exact_shift) + np.abs(repeated[0] * exact), 8)


@every_isa
@every_dtype
@every_shape
@pytest.mark.parametrize("activation", ("linear", "relu", "tanh"))
def test_channel_affine_backward_agrees_with_numpy(rng, isa, dtype, shape, activation):
    dout, scale = integers(rng, shape, dtype), integers(rng, (shape[0], shape[2]), dtype)
    y = np.round(rng.random(shape) * 4).astype(dtype) / 4
    dx = empty(shape, dtype)
    run("ChannelAffineBackward", dout, scale, dx, activation, None if activation == "linear" else y, isa=isa)
    assert_same(dx, dout * scale[:, None] * reference.activation_derivative(y, activation).astype(dtype))


# --- gradients of channels -------------------------------------------------------------------------


def channel_data(rng, shape, dtype, groups):
    x, dout = (2 + rng.standard_normal(shape)).astype(dtype), rng.standard_normal(shape).astype(dtype)
    grouped = x.reshape(*shape[:2], groups, -1)
    mean, variance = (a.astype(dtype) for a in reference.moments(grouped, axis=(1, 3)))
    return x, dout, mean, variance


@every_isa
@every_dtype
@every_shape
def test_channel_sums_are_exact_on_integers(rng, isa, dtype, shape):
    x, dout = integers(rng, shape, dtype), integers(rng, shape, dtype)
    mean = integers(rng, (shape[0], shape[2]), dtype)
    variance = np.full((shape[0], shape[2]), 0.25, dtype)
    by_scale, by_shift = empty(mean.shape, dtype), empty(mean.shape, dtype)
    run("ChannelSums", x, dout, mean, variance, by_scale, by_shift, 0.0, isa=isa)
    assert_same(by_shift, dout.sum(axis=1))
    assert_same(by_scale, (dout * (x - mean[:, None]) * 2).sum(axis=1))


@every_isa
@every_dtype
@every_shape
@pytest.mark.parametrize("grouped", (False, True))
@pytest.mark.parametrize("scaled", (False, True))
def test_channel_norm_backward_agrees_with_numpy(rng, isa, dtype, shape, grouped, scaled):
    groups = groups_of(shape[2]) if grouped else shape[2]
    x, dout, mean, variance = channel_data(rng, shape, dtype, groups)
    gamma = rng.standard_normal(shape[2]).astype(dtype) if scaled else None
    channels = (shape[0], shape[2])
    by_scale, by_shift, dx = empty(channels, dtype), empty(channels, dtype), empty(shape, dtype)
    run("ChannelSums", x, dout, mean, variance, by_scale, by_shift, 1e-2, isa=isa)
    arguments = (dout, x, mean, variance, gamma, by_scale, by_shift, dx, 1e-2)
    run("ChannelNormBackward", *arguments, "linear", None, isa=isa)
    exact = reference.group_norm_backward(x, dout, gamma, groups, 1e-2)
    scale = {"float32": 3e-5, "float64": 1e-12}[dtype]
    for actual, expected in zip((dx, by_scale.sum(axis=0), by_shift.sum(axis=0)), exact, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=scale * max(np.abs(expected).max(), 10))
    y = integers(rng, shape, dtype)
    chained = empty(shape, dtype)
    run("ChannelNormBackward", *arguments[:7], chained, 1e-2, "relu", y, isa=isa)
    assert_same(chained, np.where(y > 0, dx, np.array(0, dtype)))


def test_sum_of_images():
    a, out = np.arange(12, dtype="float32").reshape(3, 4), empty(4, "float32")
    run("SumOfImages", a, out)
    assert_same(out, a.sum(axis=0))


# --- rows ------------------------------------------------------------------------------------------

KINDS = {"layer": (True, None, 1e-3, np.inf), "rms": (False, None, 1e-6, np.inf), "unit": (False, 1.0, 0.0, 1e12)}


def row_norm(x, kind, gamma, beta, isa, activation="linear"):
    centered, weight, epsilon, limit = KINDS[kind]
    weight = 1 / x.shape[1] if weight is None else weight
    mean = empty(len(x), x.dtype) if centered else None
    inverse, out = empty(len(x), x.dtype), empty(x.shape, x.dtype)
    run("RowNormForward", x, gamma, beta, mean, inverse, out, weight, epsilon, limit, activation, isa=isa)
    return out, mean, inverse, weight, limit


@every_isa
@every_dtype
@pytest.mark.parametrize("shape", ROWS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_row_norm_agrees_with_numpy(rng, isa, dtype, shape, kind):
    centered, weight, epsilon, limit = KINDS[kind]
    x, dout = (1 + rng.standard_normal(shape)).astype(dtype), rng.standard_normal(shape).astype(dtype)
    gamma, beta = (rng.standard_normal((2, shape[1])).astype(dtype)) if kind == "layer" else (None, None)
    out, mean, inverse, weight, limit = row_norm(x, kind, gamma, beta, isa)
    exact = reference.row_norm(x, gamma, beta, centered, weight, epsilon, limit)
    close = {"rtol": 0, "atol": {"float32": 3e-5, "float64": 1e-13}[dtype]}
    np.testing.assert_allclose(out, exact, **close)
    clipped = row_norm(x, kind, gamma, beta, isa, "relu")[0]
    assert_same(clipped, np.maximum(out, 0))

    dx, dgamma, dbeta = empty(shape, dtype), empty(shape[1], dtype), empty(shape[1], dtype)
    run("RowNormBackward", dout, x, gamma, mean, inverse, dx, weight, limit, "linear", None, isa=isa)
    run("RowNormSums", x, dout, mean, inverse, dgamma, dbeta, isa=isa)
    expected = reference.row_norm_backward(x, dout, gamma, centered, weight, epsilon, limit)
    for actual, wanted in zip((dx, dgamma, dbeta), expected, strict=True):
        scale = {"float32": 1e-5, "float64": 1e-12}[dtype] * max(np.abs(wanted).max(), 10)
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=scale)
    y, chained = integers(rng, shape, dtype), empty(shape, dtype)
    run("RowNormBackward", dout, x, gamma, mean, inverse, chained, weight, limit, "relu", y, isa=isa)
    assert_same(chained, np.where(y > 0, dx, np.array(0, dtype)))


@every_isa
def test_row_norm_does_not_suffer_from_a_mean_far_from_zero(rng, isa):
    x = (4096 + rng.standard_normal((20, 5000))).astype("float32")
    _, _, inverse, *_ = row_norm(x, "layer", None, None, isa)
    exact = 1 / np.sqrt(reference.moments(x, axis=1)[1] + 1e-3)
    np.testing.assert_allclose(inverse, exact, rtol=1e-5)


@every_isa
def test_unit_norm_of_zeros_is_zero_and_its_gradient_is_scaled(isa):
    x, dout = np.zeros((2, 5), "float32"), np.ones((2, 5), "float32")
    out, mean, inverse, weight, limit = row_norm(x, "unit", None, None, isa)
    assert_same(out, x)
    dx = empty(x.shape, "float32")
    run("RowNormBackward", dout, x, None, mean, inverse, dx, weight, limit, "linear", None, isa=isa)
    assert_same(dx, np.full((2, 5), 1e12, "float32"))


# --- memory ----------------------------------------------------------------------------------------


@every_isa
@pytest.mark.parametrize("at_end", (True, False))
@pytest.mark.parametrize("shape", ((1, 4099, 3), (1, 35, 1030), (3, 50, 6)), ids=str)
def test_nothing_beyond_the_arrays_is_touched(rng, isa, shape, at_end):
    def place(*extents):
        return guarded(rng.random(extents).astype("float32"), at_end)

    x, dout, out, dx = (place(*shape) for _ in range(4))
    mean, variance, scale, shift, by_scale, by_shift = (place(shape[0], shape[2]) for _ in range(6))
    gamma, dgamma, dbeta = (place(shape[2]) for _ in range(3))
    run("ChannelMoments", x, mean, variance, isa=isa)
    run("ScaleAndShift", mean, variance, gamma, None, scale, shift, 1e-3, isa=isa)
    run("ChannelAffine", x, scale, shift, None, out, "relu", isa=isa)
    run("ChannelAffine", x, scale, shift, dout, out, "relu", isa=isa)
    run("ChannelSums", x, dout, mean, variance, by_scale, by_shift, 1e-3, isa=isa)
    sums = (by_scale, by_shift)
    run("ChannelNormBackward", dout, x, mean, variance, gamma, *sums, dx, 1e-3, "relu", out, isa=isa)
    run("ChannelAffineBackward", dout, scale, dx, "relu", out, isa=isa)
    rows, gradients = x.reshape(-1, shape[2]), dout.reshape(-1, shape[2])
    centers, inverse = place(len(rows)), place(len(rows))
    run("RowNormForward", rows, gamma, dbeta, centers, inverse, out, 0.1, 1e-3, np.inf, "linear", isa=isa)
    run("RowNormBackward", gradients, rows, gamma, centers, inverse, dx, 0.1, np.inf, "relu", out, isa=isa)
    run("RowNormSums", rows, gradients, centers, inverse, dgamma, dbeta, isa=isa)
    assert all(np.isfinite(array).all() for array in (out, dx, dgamma, dbeta))


# --- threads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ((1, 20000, 3), (1, 6000, 64), (1, 200, 3000), (4, 3000, 32)), ids=str)
def test_bits_do_not_depend_on_threads(rng, restore_threads, shape):
    x, dout, mean, variance = channel_data(rng, shape, "float32", shape[2])
    results = []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        by_scale, by_shift, dx, out = (empty(s, "float32") for s in (mean.shape, mean.shape, shape, shape))
        found = moments(x)
        run("ChannelAffine", x, mean, variance, dout, out, "linear")
        run("ChannelSums", x, dout, mean, variance, by_scale, by_shift, 1e-3)
        run("ChannelNormBackward", dout, x, mean, variance, None, by_scale, by_shift, dx, 1e-3, "linear", None)
        rows, gradients = x.reshape(-1, shape[2]), dout.reshape(-1, shape[2])
        y, centers, inverse, weight, limit = row_norm(rows, "layer", None, None, _native.isa)
        dgamma, dbeta, drows = empty(shape[2], "float32"), empty(shape[2], "float32"), empty(rows.shape, "float32")
        run("RowNormSums", rows, gradients, centers, inverse, dgamma, dbeta)
        run("RowNormBackward", gradients, rows, None, centers, inverse, drows, weight, limit, "linear", None)
        results.append((*found, out, by_scale, by_shift, dx, y, dgamma, dbeta, drows))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert_same(a, b)
