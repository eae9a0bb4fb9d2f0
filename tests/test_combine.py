"""Sums, products and extremes of several arrays against NumPy, on every instruction set this machine can run."""

import numpy as np
import pytest
import reference
from helpers import assert_same, integers

from cycnn import _native
from cycnn._native import Buffer, run_step

# Around the widths of vectors, and around the 8192 numbers of a task.
SIZES = (0, 1, 7, 8, 16, 17, 33, 1000, 8191, 8193, 20000)

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


# --- shares of a gradient --------------------------------------------------------------------------


@every_isa
@every_dtype
@pytest.mark.parametrize("size", SIZES)
def test_add_shares_is_exact(rng, isa, dtype, size):
    a, b, out = integers(rng, size, dtype), integers(rng, size, dtype), empty(size, dtype)
    expected = a + b
    add_shares = _native.kernels(dtype, isa).AddShares
    run_step(add_shares(Buffer.of(a), Buffer.of(b), Buffer.of(out), "linear", None))
    assert_same(out, expected)
    buffer = Buffer.of(a)
    run_step(add_shares(buffer, Buffer.of(b), buffer, "linear", None))
    assert_same(a, expected)


@every_isa
@every_dtype
@pytest.mark.parametrize("place", ("new", "a"))
@pytest.mark.parametrize("activation", ("relu", "relu6", "leaky_relu"))
def test_add_shares_multiplies_the_sum_by_the_derivative(rng, isa, dtype, activation, place):
    a, b, y = integers(rng, 9001, dtype), integers(rng, 9001, dtype), integers(rng, 9001, dtype)
    expected = (a + b) * reference.activation_derivative(y, activation).astype(dtype)
    first = Buffer.of(a)
    out = first if place == "a" else Buffer.of(empty(a.shape, dtype))
    run_step(_native.kernels(dtype, isa).AddShares(first, Buffer.of(b), out, activation, Buffer.of(y)))
    assert_same(np.asarray(out), expected)


@every_isa
@every_dtype
def test_add_shares_of_views_of_other_shapes(rng, isa, dtype):
    a, b, out = integers(rng, (3, 5, 2), dtype), integers(rng, (15, 2), dtype), empty(30, dtype)
    run_step(_native.kernels(dtype, isa).AddShares(Buffer.of(a), Buffer.of(b), Buffer.of(out), "linear", None))
    assert_same(out, a.reshape(-1) + b.reshape(-1))


@every_isa
@every_dtype
def test_add_shares_does_not_depend_on_threads(rng, restore_threads, isa, dtype):
    a, b = (rng.standard_normal(30001).astype(dtype) for _ in range(2))
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        out = empty(a.shape, dtype)
        run_step(_native.kernels(dtype, isa).AddShares(Buffer.of(a), Buffer.of(b), Buffer.of(out), "linear", None))
        assert_same(out, a + b)


# --- combinations ----------------------------------------------------------------------------------

OPERATIONS = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "average": np.add,
    "maximum": np.maximum,
    "minimum": np.minimum,
}
# shapes of the sources; out has the largest extents
SHAPES = (
    ((5,), (5,)),
    ((2, 3, 4, 5), (2, 3, 4, 5)),
    ((3, 4100), (3, 4100)),
    ((2, 9, 10, 33), (2, 1, 1, 33)),
    ((2, 1, 1, 33), (2, 9, 10, 33)),
    ((2, 9, 10, 1), (2, 1, 1, 33)),
    ((2, 50, 60, 3), (2, 50, 60, 1)),
    ((3, 1, 7), (3, 8, 1), (1, 8, 7)),
    ((2, 700, 7), (2, 700, 7), (2, 1, 7), (2, 700, 1)),
    ((0, 4), (0, 1)),
)
every_shape = pytest.mark.parametrize("shapes", SHAPES, ids=str)
every_operation = pytest.mark.parametrize("operation", OPERATIONS)


def fold(operation, xs):
    """Return the combination of arrays, from the left."""
    out = xs[0]
    for x in xs[1:]:
        out = OPERATIONS[operation](out, x)
    return out / len(xs) if operation == "average" else out


def receivers(operation, xs):
    """Return which of the arrays receives the gradient of a maximum or minimum: the first of equals."""
    xs = np.broadcast_arrays(*xs)
    return (np.argmax(xs, axis=0) if operation == "maximum" else np.argmin(xs, axis=0)).astype("uint8")


def combine(operation, xs, isa=_native.isa, activation="linear", with_index=False):
    dtype, shape = xs[0].dtype, np.broadcast_shapes(*(x.shape for x in xs))
    out, index = empty(shape, dtype), np.full(shape, 99, "uint8")
    kept = Buffer.of(index) if with_index else None
    sources = [Buffer.of(x) for x in xs]
    run_step(_native.kernels(dtype.name, isa).Combine(operation, sources, Buffer.of(out), kept, activation))
    return (out, index) if with_index else out


@every_isa
@every_dtype
@every_operation
@every_shape
def test_combine_is_exact(rng, isa, dtype, operation, shapes):
    xs = [integers(rng, shape, dtype) for shape in shapes]
    if operation == "average":  # thirds are rounded, once, as NumPy's are
        xs = [x * len(xs) for x in xs]
    assert_same(combine(operation, xs, isa), fold(operation, xs))


@every_isa
@every_dtype
@pytest.mark.parametrize("operation", ["maximum", "minimum"])
@every_shape
def test_the_first_of_equal_values_receives_the_gradient(rng, isa, dtype, operation, shapes):
    xs = [rng.integers(0, 3, shape).astype(dtype) for shape in shapes]
    out, index = combine(operation, xs, isa, with_index=True)
    assert_same(out, fold(operation, xs))
    assert_same(index, receivers(operation, xs))
    dout = integers(rng, out.shape, dtype)
    for k in range(len(xs)):
        dx = empty(out.shape, dtype)
        run_step(_native.kernels(dtype, isa).Select(Buffer.of(dout), Buffer.of(index), k, Buffer.of(dx)))
        assert_same(dx, np.where(index == k, dout, np.array(0, dtype)))


@every_isa
@every_dtype
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_combine_applies_the_activation(rng, isa, dtype, activation):
    xs = [rng.standard_normal((3, 5000)).astype(dtype) for _ in range(3)]
    plain = combine("add", xs, isa)
    expected = empty(plain.shape, dtype)
    step = _native.kernels(dtype, isa).ActivationForward
    run_step(step(Buffer.of(plain), Buffer.of(expected), activation))
    assert_same(combine("add", xs, isa, activation), expected)


@every_isa
@every_dtype
@pytest.mark.parametrize("operation", ["maximum", "minimum"])
def test_extremes_with_a_nan_are_nan_and_the_second_receives_the_gradient(isa, dtype, operation):
    a = np.tile(np.array([np.nan, 1, np.nan, np.inf, -np.inf, 2], dtype), 9)
    b = np.tile(np.array([1, np.nan, np.nan, -np.inf, np.inf, 2], dtype), 9)
    out, index = combine(operation, [a, b], isa, with_index=True)
    np.testing.assert_array_equal(out, OPERATIONS[operation](a, b))
    assert_same(index, np.tile(np.array([1, 1, 1, *([0, 1] if operation == "maximum" else [1, 0]), 0], "uint8"), 9))


@every_isa
@every_dtype
def test_combine_does_not_depend_on_threads(rng, restore_threads, isa, dtype):
    xs = [rng.standard_normal(shape).astype(dtype) for shape in ((4, 50, 60, 7), (4, 1, 1, 7), (4, 50, 60, 7))]
    for operation in OPERATIONS:
        expected = None
        for threads in (1, 2, 5):
            _native.set_num_threads(threads)
            out = combine(operation, xs, isa, "tanh")
            expected = out if expected is None else expected
            assert_same(out, expected)


def test_combine_of_too_many_axes_is_refused():
    x = np.zeros((1,) * 9, "float32")
    with pytest.raises(ValueError, match="arrays have at most 8 axes here, not 9"):
        combine("add", [x, x])
