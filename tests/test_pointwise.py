"""Activations that keep their input, and rectification with learned slopes, against NumPy on every instruction set."""

import math

import numpy as np
import pytest
from helpers import assert_same, inner, integers

from cycnn import _native
from cycnn._native import Buffer, run_step

INF, NAN = math.inf, math.nan
erf = np.vectorize(math.erf, otypes=[float])
erfc = np.vectorize(math.erfc, otypes=[float])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rectified(x, slope, threshold, highest):
    return np.where(x > threshold, np.minimum(x, highest), slope * (x - threshold))


# name, numbers: the function in NumPy
FUNCTIONS = {
    ("silu", ()): lambda x: x * sigmoid(x),
    ("log_sigmoid", ()): lambda x: -np.logaddexp(0, -x),
    ("gelu", ()): lambda x: 0.5 * x * erfc(-x / math.sqrt(2)),
    ("gelu_tanh", ()): lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ("mish", ()): lambda x: x * np.tanh(np.logaddexp(0, x)),
    ("tanh_shrink", ()): lambda x: x - np.tanh(x),
    ("hard_silu", ()): lambda x: x * np.clip(x + 3, 0, 6) / 6,
    ("hard_tanh", ()): lambda x: np.clip(x, -1, 1),
    ("sparse_plus", ()): lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)),
    ("sparse_sigmoid", ()): lambda x: np.clip((x + 1) / 2, 0, 1),
    ("squareplus", (4.0,)): lambda x: (x + np.sqrt(x * x + 4)) / 2,
    ("threshold", (0.75, -2.0)): lambda x: np.where(x > 0.75, x, -2),
    ("soft_shrink", (0.5,)): lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    ("hard_shrink", (0.5,)): lambda x: np.where(np.abs(x) > 0.5, x, 0),
    ("leaky_relu", (0.3,)): lambda x: np.where(x > 0, x, 0.3 * x),
    ("elu", (0.7,)): lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0))),
    ("celu", (0.7,)): lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0) / 0.7)),
    ("rectifier", (0.0, 0.0, 2.0)): lambda x: rectified(x, 0.0, 0.0, 2.0),
    ("rectifier", (0.25, 0.75, INF)): lambda x: rectified(x, 0.25, 0.75, INF),
    ("rectifier", (0.25, 0.5, 1.5)): lambda x: rectified(x, 0.25, 0.5, 1.5),
}

every_isa = pytest.mark.parametrize("isa", _native.supported)
every_dtype = pytest.mark.parametrize("dtype", ("float32", "float64"))
every_function = pytest.mark.parametrize("function", FUNCTIONS, ids=str)


@pytest.fixture
def rng():
    return np.random.default_rng(20240917)


@pytest.fixture
def restore_threads():
    threads = _native.get_num_threads()
    yield
    _native.set_num_threads(threads)


def apply(function, x, isa=_native.isa, dout=None):
    """Return f(x), or dout f'(x)."""
    out = np.full_like(x, np.nan)
    step = _native.kernels(x.dtype.name, isa).Pointwise
    run_step(step(Buffer.of(x), None if dout is None else Buffer.of(dout), Buffer.of(out), *function))
    return out


@every_isa
@every_dtype
@every_function
@pytest.mark.parametrize("size", (0, 1, 3, 17, 8193))
def test_values_agree_with_numpy(rng, isa, dtype, function, size):
    x = (3 * rng.standard_normal(size)).astype(dtype)
    exact = FUNCTIONS[function](x.astype("float64"))
    # In NumPy's formulas of these, numbers of the size of x cancel; so they do in our tanh_shrink.
    cancels = function[0] in ("tanh_shrink", "squareplus", "gelu_tanh")
    bound = 16 * np.finfo(dtype).eps * (np.abs(exact) + np.abs(x) * cancels)
    assert np.all(np.abs(apply(function, x, isa) - exact) <= bound + np.finfo(dtype).eps / 8)


@pytest.mark.parametrize("name", ("silu", "gelu", "gelu_tanh", "mish", "log_sigmoid", "squareplus"))
@every_isa
def test_tails_keep_their_digits(isa, name):
    """A tail that is computed as 1 - (1 - tail) would have lost them all at -6."""
    x = np.linspace(-9, 12, 100001).astype("float32")
    function = (name, (4.0,) if name == "squareplus" else ())
    exact = apply(function, x.astype("float64"))
    tiny = np.abs(exact) < 1e-30
    # The exponent x^2 / 2 of the normal distribution is rounded, and so may its tail be off by as many units.
    units = 6 + np.abs(x) ** (2 if name == "gelu" else 3 if name == "gelu_tanh" else 1)
    error = np.abs(apply(function, x, isa) - exact)[~tiny] / np.abs(exact)[~tiny]
    assert np.all(error <= units[~tiny] * 1.2e-7)


def test_gelu_in_double_agrees_with_erf(rng):
    x = rng.standard_normal(1000)
    np.testing.assert_allclose(apply(("gelu", ()), x), 0.5 * x * (1 + erf(x / math.sqrt(2))), rtol=1e-13)


@every_function
def test_slopes_agree_with_differences(rng, function):
    x, direction, dout = (rng.standard_normal(3000) for _ in range(3))
    x *= 2
    jumps = {"threshold": 0.75, "hard_shrink": 0.5}
    if function[0] in jumps:
        x = x[np.abs(np.abs(x) - jumps[function[0]]) > 1e-3]
        direction, dout = direction[: x.size], dout[: x.size]
    up, down = apply(function, x + 1e-6 * direction), apply(function, x - 1e-6 * direction)
    expected = np.sum(dout * (up - down)) / 2e-6
    np.testing.assert_allclose(inner(apply(function, x, dout=dout), direction), expected, rtol=2e-6, atol=1e-6)


@every_isa
@every_function
@pytest.mark.parametrize("size", (1, 17, 8193))
def test_slopes_of_floats_agree_with_those_of_doubles(rng, isa, function, size):
    x, dout = (3 * rng.standard_normal((2, size))).astype("float32")
    exact = apply(function, x.astype("float64"), isa, dout.astype("float64"))
    np.testing.assert_allclose(apply(function, x, isa, dout), exact, rtol=2e-5, atol=3e-6)


# At the corners of functions, as TensorFlow differentiates them.
CORNERS = {
    ("hard_silu", ()): ([-3, 0, 3], [0, 0.5, 1]),
    ("hard_tanh", ()): ([-1, 1], [1, 1]),
    ("sparse_plus", ()): ([-1, 1], [0, 1]),
    ("sparse_sigmoid", ()): ([-1, 1], [0, 0]),
    ("threshold", (0.75, -2.0)): ([0.75], [0]),
    ("soft_shrink", (0.5,)): ([-0.5, 0.5], [0, 0]),
    ("hard_shrink", (0.5,)): ([-0.5, 0.5], [0, 0]),
    ("leaky_relu", (0.25,)): ([0], [0.25]),
    ("elu", (0.5,)): ([0], [0.5]),
    ("celu", (0.5,)): ([0], [1]),
    ("rectifier", (0.25, 0.0, 2.0)): ([0, 2], [0, 1]),
    ("rectifier", (0.25, 0.5, INF)): ([0.5], [0]),
}


@every_isa
@every_dtype
@pytest.mark.parametrize("function", CORNERS, ids=str)
def test_slopes_at_corners(isa, dtype, function):
    x, expected = (np.array(values, dtype) for values in CORNERS[function])
    assert_same(apply(function, x, isa, np.ones_like(x)), expected)


@every_isa
@every_dtype
@every_function
def test_nan_stays_and_large_values_do_no_harm(isa, dtype, function):
    huge = {"float32": 1e30, "float64": 1e200}[dtype]
    x = np.tile(np.array([NAN, huge, -huge, 50, -50], dtype), 7)
    out = apply(function, x, isa).reshape(-1, 5)
    assert np.all(np.isnan(out[:, 0]))
    assert not np.any(np.isnan(out[:, 1:]))
    with np.errstate(over="ignore", invalid="ignore"):
        exact = FUNCTIONS[function](np.array([50.0, -50.0]))
    np.testing.assert_allclose(out[0, 3:], exact, rtol=1e-5, atol=1e-15)
    slopes = apply(function, x, isa, np.ones_like(x)).reshape(-1, 5)
    assert np.all(np.isfinite(slopes[:, 3:]))
    if function[0] != "squareplus":  # its root overflows
        assert np.all(np.isfinite(slopes[:, 1:]))


@every_isa
@every_dtype
def test_results_do_not_depend_on_threads(rng, restore_threads, isa, dtype):
    x = rng.standard_normal(40001).astype(dtype)
    alpha = rng.standard_normal((1, 7)).astype(dtype)
    results = []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        outs = [apply(function, x, isa) for function in FUNCTIONS]
        images = x[:39900].reshape(1900, 3, 7)
        results.append([*outs, prelu(images, alpha, isa), *prelu_backward(2 * images, images, alpha, isa)])
    for other in results[1:]:
        for actual, expected in zip(other, results[0], strict=True):
            assert_same(actual, expected)


# --- learned slopes --------------------------------------------------------------------------------


def prelu(x, alpha, isa):
    out = np.full_like(x, np.nan)
    run_step(_native.kernels(x.dtype.name, isa).PReLUForward(Buffer.of(x), Buffer.of(alpha), Buffer.of(out)))
    return out


def prelu_backward(dout, x, alpha, isa, dx=True, dalpha=True):
    gradients = [np.full_like(x, np.nan) if dx else None, np.full_like(alpha, np.nan) if dalpha else None]
    buffers = [None if gradient is None else Buffer.of(gradient) for gradient in gradients]
    step = _native.kernels(x.dtype.name, isa).PReLUBackward
    run_step(step(Buffer.of(dout), Buffer.of(x), Buffer.of(alpha), *buffers))
    return [gradient for gradient in gradients if gradient is not None]


PRELU = [
    ((3, 4, 5, 6), (4, 5, 6)),
    ((3, 4, 5, 6), (1, 1, 6)),
    ((3, 4, 5, 6), (4, 1, 6)),
    ((3, 4, 5, 6), (1, 5, 1)),
    ((3, 4, 5, 6), (4, 5, 1)),
    ((3, 4, 5, 6), (1, 1, 1)),
    ((5, 9), (9,)),
    ((5, 9), (1,)),
    ((40, 31, 33, 7), (1, 1, 7)),  # several parts of the sum
    ((40, 31, 33, 7), (31, 33, 1)),
    ((3, 1), (1,)),
    ((0, 4), (4,)),
]


@every_isa
@every_dtype
@pytest.mark.parametrize(("shape", "slopes"), PRELU, ids=str)
def test_learned_slopes_are_exact_on_integers(rng, isa, dtype, shape, slopes):
    x, dout, alpha = integers(rng, shape, dtype), integers(rng, shape, dtype), integers(rng, slopes, dtype)
    assert_same(prelu(x, alpha, isa), np.where(x > 0, x, alpha * x))
    dx = np.where(x > 0, dout, np.where(x < 0, alpha * dout, 0)).astype(dtype)
    axes = (0, *(i + 1 for i, extent in enumerate(slopes) if extent == 1))
    dalpha = np.sum(dout * np.minimum(x, 0), axis=axes, keepdims=True)[0].reshape(slopes)
    for wanted in ((True, True), (True, False), (False, True)):
        expected = [gradient for gradient, want in zip((dx, dalpha), wanted, strict=True) if want]
        for actual, gradient in zip(prelu_backward(dout, x, alpha, isa, *wanted), expected, strict=True):
            assert_same(actual, gradient.astype(dtype))


@every_isa
@every_dtype
@pytest.mark.parametrize("slopes", ((6,), (1,)))
def test_learned_slopes_hand_nan_on(isa, dtype, slopes):
    x, alpha = np.full((2, 6), NAN, dtype), np.full(slopes, 0.5, dtype)
    assert np.all(np.isnan(prelu(x, alpha, isa)))
    (dalpha,) = prelu_backward(np.ones_like(x), x, alpha, isa, dx=False)
    assert np.all(np.isnan(dalpha))
