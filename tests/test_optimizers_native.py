"""The optimizers' compiled updates against NumPy, on every instruction set this machine can run."""

import numpy as np
import pytest
from helpers import assert_same, integers

from cycnn import _native
from cycnn._native import Buffer, Program, run_step

# Around the widths of vectors, and around the 8192 numbers of a task.
SIZES = (0, 1, 3, 7, 8, 15, 16, 17, 33, 1000, 8191, 8192, 8193, 20000)

every_isa = pytest.mark.parametrize("isa", _native.supported)
every_dtype = pytest.mark.parametrize("dtype", ("float32", "float64"))
every_size = pytest.mark.parametrize("size", SIZES)


@pytest.fixture
def rng():
    return np.random.default_rng(20240919)


@pytest.fixture
def restore_threads():
    threads = _native.get_num_threads()
    yield
    _native.set_num_threads(threads)


def sgd(w, g, v, learning_rate, momentum, nesterov, isa=_native.isa):
    """Update w and v by the compiled step."""
    hyper = Buffer.of(np.array([learning_rate, momentum]))
    velocity = None if v is None else Buffer.of(v)
    run_step(_native.kernels(w.dtype.name, isa).SGDUpdate(Buffer.of(w), Buffer.of(g), velocity, hyper, nesterov))


def reference_sgd(w, g, v, learning_rate, momentum, nesterov):
    """Return w and v after Keras's update."""
    if v is None:
        return w - learning_rate * g, None
    v = momentum * v - learning_rate * g
    return w + (momentum * v - learning_rate * g if nesterov else v), v


def reference_adam(w, g, m, v, alpha, beta_1, beta_2, epsilon):
    """Return w, m and v after Keras's update."""
    m = m + (g - m) * (1 - beta_1)
    v = v + (g**2 - v) * (1 - beta_2)
    return w - m * alpha / (np.sqrt(v) + epsilon), m, v


@every_isa
@every_dtype
@every_size
@pytest.mark.parametrize("kind", ("plain", "momentum", "nesterov"))
def test_sgd_of_small_whole_numbers_is_exact(rng, isa, dtype, size, kind):
    w, g, v = (integers(rng, size, dtype) for _ in range(3))
    v = None if kind == "plain" else v
    wanted_w, wanted_v = reference_sgd(w, g, v, 0.25, 0.5, kind == "nesterov")
    sgd(w, g, v, 0.25, 0.5, kind == "nesterov", isa)
    assert_same(w, wanted_w)
    if v is not None:
        assert_same(v, wanted_v)


@every_isa
@every_dtype
@pytest.mark.parametrize("kind", ("plain", "momentum", "nesterov"))
def test_sgd_agrees_with_numpy_over_many_steps(rng, isa, dtype, kind):
    w = rng.standard_normal(1000).astype(dtype)
    v = None if kind == "plain" else np.zeros(1000, dtype)
    exact_w, exact_v = w.astype("float64"), None if v is None else v.astype("float64")
    for t in range(20):
        g = rng.standard_normal(1000).astype(dtype)
        exact_w, exact_v = reference_sgd(exact_w, g.astype("float64"), exact_v, 0.1 / (t + 1), 0.9, kind == "nesterov")
        sgd(w, g, v, 0.1 / (t + 1), 0.9, kind == "nesterov", isa)
    # Each step rounds a number of the size of w a few times.
    np.testing.assert_allclose(w, exact_w, rtol=0, atol=60 * np.finfo(dtype).eps * np.abs(exact_w).max())


@every_isa
@every_dtype
@every_size
def test_adam_agrees_with_numpy(rng, isa, dtype, size):
    w, g, m = (rng.standard_normal(size).astype(dtype) for _ in range(3))
    v = rng.random(size).astype(dtype)
    hyper = (0.01, 0.9, 0.999, 1e-7)
    exact = reference_adam(*(array.astype("float64") for array in (w, g, m, v)), *hyper)
    buffers = [Buffer.of(array) for array in (w, g, m, v)]
    run_step(_native.kernels(dtype, isa).AdamUpdate(*buffers, Buffer.of(np.array(hyper))))
    magnitudes = np.abs(w) + 0.01 * np.abs(m) / np.sqrt(v), np.abs(m) + np.abs(g), v + g**2
    for actual, wanted, magnitude in zip((w, m, v), exact, magnitudes, strict=True):
        assert actual.dtype == dtype
        assert np.all(np.abs(actual - wanted) <= 4 * np.finfo(dtype).eps * magnitude)


@every_isa
@every_dtype
def test_adam_follows_keras_over_many_steps(rng, isa, dtype):
    """With the bias corrections in alpha, as the trainer computes them: the first steps have the size of the rate."""
    w = rng.standard_normal(300).astype(dtype)
    m, v, g, hyper = np.zeros(300, dtype), np.zeros(300, dtype), np.empty(300, dtype), np.empty(4)
    state = [array.astype("float64") for array in (w, m, v)]
    buffers = [Buffer.of(array) for array in (w, g, m, v, hyper)]
    program = Program([_native.kernels(dtype, isa).AdamUpdate(*buffers)])
    start = w.copy()
    for t in range(1, 21):
        g[:] = rng.standard_normal(300)
        hyper[:] = 0.001 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t), 0.9, 0.999, 1e-7
        program.run()  # reads what the hyperparameters are now
        state = reference_adam(state[0], g.astype("float64"), *state[1:], *hyper)
        if t == 1:
            moved = np.abs(w - start)[np.abs(g) > 0.1]  # where epsilon does not count
            np.testing.assert_allclose(moved, 0.001, rtol=1e-3)
    np.testing.assert_allclose(w, state[0], rtol=0, atol=50 * np.finfo(dtype).eps * np.abs(w).max())


@every_isa
@every_dtype
def test_adam_without_any_gradient_changes_nothing(rng, isa, dtype):
    """The square root of zero, and epsilon outside of it."""
    w = rng.standard_normal(100).astype(dtype)
    zeros = [np.zeros(100, dtype) for _ in range(3)]
    before = w.copy()
    buffers = [Buffer.of(array) for array in (w, *zeros)]
    hyper = Buffer.of(np.array([0.01, 0.9, 0.999, 1e-7]))
    run_step(_native.kernels(dtype, isa).AdamUpdate(*buffers, hyper))
    assert_same(w, before)


@every_isa
@every_dtype
def test_adam_adds_epsilon_outside_the_root(isa, dtype):
    g = np.full(20, 1e-3, dtype)
    w, m, v = np.zeros((3, 20), dtype)
    buffers = [Buffer.of(array) for array in (w, g, m, v)]
    run_step(_native.kernels(dtype, isa).AdamUpdate(*buffers, Buffer.of(np.array([1.0, 0.0, 0.0, 1e-3]))))
    np.testing.assert_allclose(w, -0.5, rtol=1e-6)  # m / (sqrt(v) + epsilon) = 1e-3 / (1e-3 + 1e-3)


@every_isa
@every_dtype
def test_nan_stays_where_it_is(rng, isa, dtype):
    w, g, m = (rng.standard_normal(50).astype(dtype) for _ in range(3))
    v = rng.random(50).astype(dtype)
    g[31] = np.nan
    buffers = [Buffer.of(array) for array in (w, g, m, v)]
    run_step(_native.kernels(dtype, isa).AdamUpdate(*buffers, Buffer.of(np.array([0.01, 0.9, 0.999, 1e-7]))))
    assert np.flatnonzero(np.isnan(w)).tolist() == [31]


@every_isa
@every_dtype
@pytest.mark.parametrize("kind", ("plain", "momentum", "nesterov", "adam"))
def test_results_do_not_depend_on_threads(rng, restore_threads, isa, dtype, kind):
    size = 100_001
    arrays = [rng.random(size).astype(dtype) for _ in range(4)]
    results = []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        w, g, m, v = (array.copy() for array in arrays)
        if kind == "adam":
            buffers = [Buffer.of(array) for array in (w, g, m, v)]
            hyper = Buffer.of(np.array([0.01, 0.9, 0.999, 1e-7]))
            run_step(_native.kernels(dtype, isa).AdamUpdate(*buffers, hyper))
        else:
            sgd(w, g, None if kind == "plain" else m, 0.1, 0.9, kind == "nesterov", isa)
        results.append((w, m, v))
    for other in results[1:]:
        for actual, first in zip(other, results[0], strict=True):
            assert_same(actual, first)
