"""The losses' compiled loops against NumPy, on every instruction set this machine can run."""

import itertools

import numpy as np
import pytest
import reference
from guard_pages import guarded
from helpers import assert_same, assert_within_rounding, integers

from cycnn import _native
from cycnn._native import Buffer, run_step

# Rows and columns: around the widths of vectors, and around the 8192 numbers of a task.
SHAPES = (
    (1, 1),
    (1, 10),
    (2, 16),
    (5, 7),
    (3, 33),
    (128, 10),
    (819, 10),
    (820, 10),
    (2000, 10),
    (3, 8192),
    (2, 8193),
    (50, 1000),
)
CROSSENTROPIES = ("SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy")
LOSSES = (*itertools.product(CROSSENTROPIES, (True, False)), ("MeanSquaredError", None))

every_isa = pytest.mark.parametrize("isa", _native.supported)
every_dtype = pytest.mark.parametrize("dtype", ("float32", "float64"))
every_loss = pytest.mark.parametrize(("name", "from_logits"), LOSSES)


@pytest.fixture
def rng():
    return np.random.default_rng(20240918)


@pytest.fixture
def restore_threads():
    threads = _native.get_num_threads()
    yield
    _native.set_num_threads(threads)


def make_data(rng, name, from_logits, shape, dtype="float64"):
    """Return truth and predictions of a loss; probabilities stay clear of the bounds of clipping."""
    rows, columns = shape
    if name == "SparseCategoricalCrossentropy":
        y = rng.integers(0, columns, rows).astype("int32")
    elif name == "CategoricalCrossentropy":
        y = rng.dirichlet(np.ones(columns), rows).astype(dtype)
    elif name == "BinaryCrossentropy":
        y = rng.random(shape).astype(dtype)
    else:
        y = rng.standard_normal(shape).astype(dtype)
    x = rng.uniform(0.1, 0.9, shape) if from_logits is False else 3 * rng.standard_normal(shape)
    return y, x.astype(dtype)


def compute(name, from_logits, y, x, isa=_native.isa, gradient=True, probabilities=True):
    """Return the loss of each row, the gradient and the probabilities of the compiled step."""
    losses, dx, p = (np.full(shape, np.nan, x.dtype) for shape in (x.shape[:1], x.shape, x.shape))
    p_buffer = Buffer.of(p) if probabilities else None
    buffers = [Buffer.of(y), Buffer.of(x), p_buffer, Buffer.of(losses), Buffer.of(dx) if gradient else None]
    step = getattr(_native.kernels(x.dtype.name, isa), name)
    if name == "MeanSquaredError":
        run_step(step(buffers[0], buffers[1], buffers[3], buffers[4]))
    else:
        run_step(step(*buffers, from_logits))
    return losses, dx, p


def expected(name, from_logits, y, x):
    functions = {
        "SparseCategoricalCrossentropy": reference.sparse_categorical_crossentropy,
        "CategoricalCrossentropy": reference.categorical_crossentropy,
        "BinaryCrossentropy": reference.binary_crossentropy,
    }
    if name == "MeanSquaredError":
        return reference.mean_squared_error(y, x)
    return functions[name](y, x, from_logits)


@every_isa
@every_dtype
@every_loss
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_loss_and_gradient_agree_with_numpy(rng, isa, dtype, name, from_logits, shape):
    y, x = make_data(rng, name, from_logits, shape, dtype)
    losses, dx, p = compute(name, from_logits, y, x, isa)
    exact_losses, exact_dx = expected(name, from_logits, y, x)
    assert losses.dtype == dx.dtype == dtype
    # Numbers of up to spread + log C are added and exponentiated; a sum over C has C / 16 roundings, or C one by one.
    spread = np.ptp(x.astype("float64")) + np.log(shape[1]) + 1
    terms = shape[1] + 20
    magnitude = spread**2 if name == "MeanSquaredError" else spread
    assert_within_rounding(losses, exact_losses, magnitude, terms)
    largest = np.abs(exact_dx).max() + 1 / dx.size
    assert_within_rounding(dx, exact_dx, largest * spread, min(terms, 100) if from_logits else terms)
    if from_logits:
        exact_p = reference.activation(x, "sigmoid") if name == "BinaryCrossentropy" else reference.softmax(x)
        assert_within_rounding(p, exact_p, exact_p, shape[1] / 16 + 12 + spread)


@every_isa
@every_dtype
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_mean_squared_error_of_whole_numbers_is_exact(rng, isa, dtype, shape):
    y, x = integers(rng, shape, dtype), integers(rng, shape, dtype)
    losses, dx, _ = compute("MeanSquaredError", None, y, x, isa)
    squares = ((x - y) ** 2).sum(axis=1)  # whole numbers below 2^24
    assert_same(losses, squares / np.array(shape[1], dtype))
    exact = reference.mean_squared_error(y, x)[1]
    assert_within_rounding(dx, exact, np.abs(exact), 3)


@every_loss
@pytest.mark.parametrize("shape", ((1, 2), (7, 10), (20, 33), (900, 10)), ids=str)
def test_gradient_by_central_differences(rng, name, from_logits, shape):
    y, x = make_data(rng, name, from_logits, shape)
    direction, step = rng.standard_normal(shape), 1e-5
    means = [compute(name, from_logits, y, x + s * direction)[0].mean() for s in (step, -step)]
    dx = compute(name, from_logits, y, x)[1]
    slope = (means[0] - means[1]) / (2 * step)
    largest = np.linalg.norm(dx) * np.linalg.norm(direction)
    np.testing.assert_allclose(np.sum(dx * direction), slope, rtol=1e-7, atol=1e-8 * largest)


@every_isa
@every_dtype
@every_loss
def test_gradient_may_overwrite_the_predictions(rng, isa, dtype, name, from_logits):
    y, x = make_data(rng, name, from_logits, (1000, 10), dtype)
    losses, dx, _ = compute(name, from_logits, y, x, isa, probabilities=False)
    again, buffer = np.full_like(losses, np.nan), Buffer.of(x)
    step = getattr(_native.kernels(dtype, isa), name)
    if name == "MeanSquaredError":
        run_step(step(Buffer.of(y), buffer, Buffer.of(again), buffer))
    else:
        run_step(step(Buffer.of(y), buffer, None, Buffer.of(again), buffer, from_logits))
    assert_same(again, losses)
    assert_same(x, dx)


@every_isa
@every_dtype
@every_loss
def test_gradient_and_probabilities_are_optional(rng, isa, dtype, name, from_logits):
    y, x = make_data(rng, name, from_logits, (1000, 10), dtype)
    losses, dx, p = compute(name, from_logits, y, x, isa)
    for gradient, probabilities in itertools.product((True, False), repeat=2):
        other = compute(name, from_logits, y, x, isa, gradient, probabilities)
        assert_same(other[0], losses)
        if gradient:
            assert_same(other[1], dx)
        if probabilities and from_logits:
            assert_same(other[2], p)


@every_isa
@every_loss
@pytest.mark.parametrize("shape", ((0, 10), (0, 1)), ids=str)
def test_no_rows_are_no_work(rng, isa, name, from_logits, shape):
    y, x = make_data(rng, name, from_logits, shape, "float32")
    compute(name, from_logits, y, x, isa)


@every_isa
@every_dtype
def test_sparse_and_one_hot_labels_agree(rng, isa, dtype):
    y, x = make_data(rng, "SparseCategoricalCrossentropy", True, (400, 12), dtype)
    one_hot = reference.one_hot(y, 12).astype(dtype)
    for from_logits, predictions in ((True, x), (False, reference.softmax(x).astype(dtype))):
        sparse = compute("SparseCategoricalCrossentropy", from_logits, y, predictions, isa)
        dense = compute("CategoricalCrossentropy", from_logits, one_hot, predictions, isa)
        tolerance = 20 * np.finfo(dtype).eps
        for a, b in zip(sparse[:2], dense[:2], strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


@every_isa
@every_dtype
@pytest.mark.parametrize("from_logits", (True, False))
@pytest.mark.parametrize("label", (-1, 10, 2**31 - 1, -(2**31)))
def test_label_out_of_range_gives_nan_in_its_row_alone(rng, isa, dtype, from_logits, label):
    y, x = make_data(rng, "SparseCategoricalCrossentropy", from_logits, (5, 10), dtype)
    good = compute("SparseCategoricalCrossentropy", from_logits, y, x, isa)
    y[[0, 4]] = label
    for at_end in (True, False):
        bad = compute("SparseCategoricalCrossentropy", from_logits, y, guarded(x, at_end), isa)
        for before, after in zip(good[:2], bad[:2], strict=True):
            assert np.all(np.isnan(after[[0, 4]]))
            assert_same(after[1:4], before[1:4])


@every_isa
@every_dtype
@pytest.mark.parametrize("name", CROSSENTROPIES)
def test_large_logits_give_finite_losses(isa, dtype, name):
    x = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 3.0]], dtype)
    labels = np.array([0, 0], "int32")
    y = labels if name.startswith("Sparse") else reference.one_hot(labels, 3).astype(dtype)
    losses, dx, p = compute(name, True, y, x, isa)
    wanted = [0, 2e4]
    if name == "BinaryCrossentropy":
        wanted = [np.log(2) / 3, (2e4 + np.log1p(np.exp(3.0))) / 3]
    np.testing.assert_allclose(losses, wanted, rtol=1e-6)
    assert np.all(np.isfinite(dx))
    assert np.all((p >= 0) & (p <= 1))


@every_isa
@every_dtype
@pytest.mark.parametrize("name", CROSSENTROPIES)
def test_certain_probabilities_are_clipped_and_have_no_slope(isa, dtype, name):
    x = np.array([[1.0, 0.0], [0.0, 1.0]], dtype)
    labels = np.array([0, 0], "int32")
    y = labels if name.startswith("Sparse") else reference.one_hot(labels, 2).astype(dtype)
    losses, dx, _ = compute(name, False, y, x, isa)
    low, high = np.array(1e-7, dtype), np.array(1 - 1e-7, dtype)
    nothing, much = -np.log(high), -np.log(low)
    if name == "BinaryCrossentropy":  # the columns are judged each for itself, by log(1 - q) too
        nothing, much = (nothing - np.log(1 - low)) / 2, (much - np.log(1 - high)) / 2
    np.testing.assert_allclose(losses, [nothing, much], rtol=1e-6)
    assert_same(dx, np.zeros_like(dx))


@every_isa
@every_dtype
def test_probabilities_are_normalised_as_keras_does(rng, isa, dtype):
    for name in CROSSENTROPIES[:2]:
        y, x = make_data(rng, name, False, (30, 10), dtype)
        losses, dx, _ = compute(name, False, y, x, isa)
        doubled, half_dx, _ = compute(name, False, y, 2 * x, isa)
        assert_same(doubled, losses)
        assert_same(half_dx * 2, dx)


@every_isa
def test_examples_of_keras_documentation(isa):
    y = np.array([[0, 1, 0], [0, 0, 1]], "float32")
    x = np.array([[0.05, 0.95, 0], [0.1, 0.8, 0.1]], "float32")
    for name, truth in (("CategoricalCrossentropy", y), ("SparseCategoricalCrossentropy", np.array([1, 2], "int32"))):
        losses = compute(name, False, truth, x, isa)[0]
        # Near 1 a probability is rounded by up to 6e-8, and Keras's figures differ by as much.
        np.testing.assert_allclose(losses, [0.05129339, 2.3025851], rtol=1e-6, atol=1.2e-7)
    y, x = np.array([[0, 1], [0, 0]], "float32"), np.array([[0.6, 0.4], [0.4, 0.6]], "float32")
    np.testing.assert_allclose(compute("BinaryCrossentropy", False, y, x, isa)[0], [0.916, 0.714], atol=5e-4)


@every_isa
@every_dtype
@every_loss
def test_nan_stays_in_its_row(rng, isa, dtype, name, from_logits):
    y, x = make_data(rng, name, from_logits, (4, 20), dtype)
    good = compute(name, from_logits, y, x, isa)[0]
    x[2, 17] = np.nan
    losses = compute(name, from_logits, y, x, isa)[0]
    assert np.isnan(losses[2])
    assert_same(losses[[0, 1, 3]], good[[0, 1, 3]])


@every_isa
@every_dtype
@every_loss
def test_results_do_not_depend_on_threads(rng, restore_threads, isa, dtype, name, from_logits):
    y, x = make_data(rng, name, from_logits, (9000, 10), dtype)
    results = []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        results.append(compute(name, from_logits, y, x, isa)[:2])
    for other in results[1:]:
        for actual, first in zip(other, results[0], strict=True):
            assert_same(actual, first)
