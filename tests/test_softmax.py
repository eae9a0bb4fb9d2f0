"""Softmax and its logarithm over each axis, against NumPy, on every instruction set this machine can run."""

import numpy as np
import pytest
import reference
from helpers import assert_same, assert_within_rounding

from cycnn import _native
from cycnn._native import Buffer, run_step

COLUMNS = (1, 2, 3, 7, 10, 15, 16, 17, 33, 100, 1000, 8192, 9001)


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


def softmax(x, isa=_native.isa, axis=-1, logarithm=False):
    out = np.full_like(x, np.nan)
    step = _native.kernels(x.dtype.name, isa).SoftmaxForward
    run_step(step(Buffer.of(x), Buffer.of(out), axis % x.ndim, logarithm))
    return out


def softmax_backward(dout, y, isa=_native.isa, axis=-1, logarithm=False):
    dx = np.full_like(y, np.nan)
    step = _native.kernels(y.dtype.name, isa).SoftmaxBackward
    run_step(step(Buffer.of(dout), Buffer.of(y), Buffer.of(dx), axis % y.ndim, logarithm))
    return dx


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
    run_step(kernels.SoftmaxForward(Buffer.of(x), Buffer.of(x), 2, False))
    assert_same(x, y)
    run_step(kernels.SoftmaxBackward(Buffer.of(dout), Buffer.of(y), Buffer.of(dout), 2, False))
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
    up, down = (softmax(x + s * direction) for s in (step, -step))
    dx = softmax_backward(dout, softmax(x))
    expected = np.sum(dout * (up - down)) / (2 * step)
    np.testing.assert_allclose(np.sum(dx * direction), expected, rtol=1e-7)


# Axes before, between and behind others; columns below, at and above the strips of 64.
SHAPES = [((3, 5), 0), ((2, 7, 3), 1), ((1, 4, 64), 1), ((2, 3, 130), 1), ((9, 65), 0), ((2, 3, 4, 5), 2), ((4, 6), -1)]


@every_isa
@every_dtype
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
@pytest.mark.parametrize("logarithm", (False, True), ids=("softmax", "log"))
def test_any_axis_agrees_with_numpy(rng, isa, dtype, shape, axis, logarithm):
    x, dout = ((3 * rng.standard_normal(shape)).astype(dtype) for _ in range(2))
    exact = np.moveaxis(reference.softmax(np.moveaxis(x, axis, -1)), -1, axis)
    y = softmax(x, isa, axis, logarithm)
    spread = np.max(x) - np.min(x)
    if logarithm:
        assert_within_rounding(y, np.log(exact), np.abs(np.log(exact)) + spread + 1, 12)
    else:
        assert_within_rounding(y, exact, exact, shape[axis] + 12 + spread)
    dx = softmax_backward(dout, y, isa, axis, logarithm)
    wide, y = dout.astype("float64"), y.astype("float64")
    if logarithm:
        total = wide.sum(axis=axis, keepdims=True)
        expected, magnitude = wide - np.exp(y) * total, np.abs(wide) + np.abs(wide).sum(axis=axis, keepdims=True)
    else:
        expected = y * (wide - (wide * y).sum(axis=axis, keepdims=True))
        magnitude = np.abs(y * wide) + y * np.abs(wide * y).sum(axis=axis, keepdims=True)
    assert_within_rounding(dx, expected, magnitude, shape[axis] + 20)


@every_isa
@pytest.mark.parametrize("axis", (0, 1))
def test_log_softmax_of_large_values_is_finite(isa, axis):
    x = np.array([[1e4, 0], [-1e30, 1e30]], "float32")
    out = softmax(x, isa, axis, logarithm=True)
    assert_same(out, np.array([[0, -1e4], [-2e30, 0]] if axis else [[0, -1e30], [-1e30, 0]], "float32"))


@every_isa
@pytest.mark.parametrize("axis", (0, 1))
@pytest.mark.parametrize("logarithm", (False, True), ids=("softmax", "log"))
def test_nan_spreads_along_its_axis_alone(isa, axis, logarithm):
    x = np.zeros((4, 70), "float32")
    x[1, 65] = np.nan
    expected = np.zeros(x.shape, bool)
    expected[(slice(None), 65) if axis == 0 else 1] = True
    assert_same(np.isnan(softmax(x, isa, axis, logarithm)), expected)


@pytest.mark.parametrize("axis", (0, 1, 2))
def test_log_softmax_gradient_by_central_differences(rng, axis):
    x, direction, dout = (rng.standard_normal((5, 6, 7)) for _ in range(3))
    up, down = (softmax(x + step * direction, axis=axis, logarithm=True) for step in (1e-5, -1e-5))
    dx = softmax_backward(dout, softmax(x, axis=axis, logarithm=True), axis=axis, logarithm=True)
    np.testing.assert_allclose(np.sum(dx * direction), np.sum(dout * (up - down)) / 2e-5, rtol=1e-7)


@pytest.mark.parametrize("shape", ((0, 3), (3, 0), (2, 0, 3)))
def test_nothing_is_done_for_nothing(shape):
    x = np.zeros(shape, "float32")
    for axis in range(x.ndim):
        assert softmax_backward(x, softmax(x, axis=axis), axis=axis).shape == shape


@every_isa
@every_dtype
def test_results_do_not_depend_on_threads(rng, restore_threads, isa, dtype):
    x = rng.standard_normal((31, 33, 100)).astype(dtype)
    results = []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        outs = [softmax(x, isa, axis, logarithm) for axis in range(3) for logarithm in (False, True)]
        results.append([*outs, *(softmax_backward(x, outs[2 * axis], isa, axis) for axis in range(3))])
    for other in results[1:]:
        for actual, expected in zip(other, results[0], strict=True):
            assert_same(actual, expected)
