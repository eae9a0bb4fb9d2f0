"""The losses' compiled loops against NumPy, on every instruction set this machine can run."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
import reference
import reference_losses
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


class Case(NamedTuple):
    """A native step, what it takes last, and how the numbers that it is given are distributed."""

    step: str
    options: tuple = ()
    y: str = "normal"
    x: str = "normal"
    # How much smaller than the largest intermediate result the losses may be: what rounding is relative to.
    magnitude: float = 1.0

    def __str__(self):
        return "-".join(map(str, (self.step, *self.options)))

    def options_for(self, columns):
        if self.step == "CategoricalFocalCrossentropy":
            from_logits, smoothing, alpha, gamma = self.options
            return from_logits, smoothing, tuple(np.resize(alpha, columns).tolist()), gamma
        return self.options


def _elementwise(name, *distributions, parameter=0.0, magnitude=1.0):
    return Case("ElementwiseLoss", (name, parameter), *distributions, magnitude)


CROSSENTROPIES = (
    Case("SparseCategoricalCrossentropy", (True, None), "labels", "logits"),
    Case("SparseCategoricalCrossentropy", (False, None), "labels", "shares"),
    Case("CategoricalCrossentropy", (True, 0.0), "distribution", "logits"),
    Case("CategoricalCrossentropy", (False, 0.0), "distribution", "shares"),
    Case("BinaryCrossentropy", (True, 0.0), "shares", "logits"),
    Case("BinaryCrossentropy", (False, 0.0), "shares", "shares"),
)
SQUARED = _elementwise("mean_squared_error")
CASES = (
    *CROSSENTROPIES,
    Case("SparseCategoricalCrossentropy", (True, 0), "labels", "logits"),
    Case("SparseCategoricalCrossentropy", (False, 0), "labels", "shares"),
    Case("CategoricalCrossentropy", (True, 0.2), "distribution", "logits"),
    Case("CategoricalCrossentropy", (False, 0.2), "distribution", "shares"),
    Case("BinaryCrossentropy", (True, 0.2), "shares", "logits"),
    Case("BinaryCrossentropy", (False, 0.2), "shares", "shares"),
    Case("CategoricalFocalCrossentropy", (True, 0.0, (0.25,), 2.0), "distribution", "logits"),
    Case("CategoricalFocalCrossentropy", (False, 0.1, (0.25, 1.0, 0.5), 0.5), "distribution", "shares"),
    Case("CategoricalFocalCrossentropy", (False, 0.0, (1.0,), 0.0), "distribution", "shares"),
    Case("BinaryFocalCrossentropy", (True, 0.1, 0.3, 2.0, True), "shares", "logits"),
    Case("BinaryFocalCrossentropy", (False, 0.0, 0.25, 1.5, False), "shares", "shares"),
    Case("BinaryFocalCrossentropy", (False, 0.0, 0.25, 0.0, True), "shares", "shares"),
    SQUARED,
    _elementwise("mean_absolute_error"),
    _elementwise("mean_absolute_percentage_error", "shares", magnitude=100.0),
    _elementwise("mean_squared_logarithmic_error", "shares", "shares"),
    _elementwise("huber", parameter=0.7),
    _elementwise("log_cosh"),
    _elementwise("kl_divergence", "distribution", "shares"),
    _elementwise("poisson", "shares", "shares"),
    _elementwise("hinge", "bits"),
    _elementwise("hinge", "signs"),
    _elementwise("squared_hinge", "bits"),
    Case("CosineSimilarity"),
    Case("CategoricalHinge", (), "distribution"),
    Case("OverlapLoss", (2.0, 0.0, 1.0, 1.0), "bits", "shares"),
    Case("OverlapLoss", (1.0, 0.0, 0.7, 0.3), "bits", "shares"),
)

every_isa = pytest.mark.parametrize("isa", _native.supported)
every_dtype = pytest.mark.parametrize("dtype", ("float32", "float64"))
every_loss = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture
def rng():
    return np.random.default_rng(20240918)


@pytest.fixture
def restore_threads():
    threads = _native.get_num_threads()
    yield
    _native.set_num_threads(threads)


def draw(rng, kind, shape, dtype):
    """Return numbers of a distribution; shares stay clear of the bounds of clipping."""
    rows, columns = shape
    if kind == "labels":
        return rng.integers(0, columns, rows).astype("int32")
    if kind == "distribution":
        return rng.dirichlet(np.ones(columns), rows).astype(dtype)
    if kind in ("bits", "signs"):
        y = rng.integers(0, 2, shape) * (1 if kind == "bits" else 2) - (0 if kind == "bits" else 1)
        if rows:
            y[0, 0] = min(y[0, 0], 0) if kind == "bits" else -1  # signs are not all 1, which would be bits
        return y.astype(dtype)
    scale = 3 if kind == "logits" else 1
    numbers = rng.uniform(0.1, 0.9, shape) if kind == "shares" else scale * rng.standard_normal(shape)
    return numbers.astype(dtype)


def make_data(rng, case, shape, dtype="float64"):
    """Return truth and predictions."""
    return draw(rng, case.y, shape, dtype), draw(rng, case.x, shape, dtype)


def step_of(case, y, x, p, losses, dx, isa, weights=None, scale=1.0, average=True):
    """Return the compiled step, bound to arrays."""
    buffers = [None if array is None else Buffer.of(array) for array in (y, x, p, losses, dx, weights)]
    step = getattr(_native.kernels(x.dtype.name, isa), case.step)
    return step(*buffers, scale, average, *case.options_for(x.shape[-1]))


def compute(case, y, x, isa=_native.isa, gradient=True, probabilities=True, **more):
    """Return the loss of each row, the gradient and the probabilities of the compiled step."""
    losses, dx, p = (np.full(shape, np.nan, x.dtype) for shape in (x.shape[:1], x.shape, x.shape))
    run_step(step_of(case, y, x, p if probabilities else None, losses, dx if gradient else None, isa, **more))
    return losses, dx, p


def from_logits(case):
    return bool(case.options) and case.options[0] is True


def ignored_share(case, y):
    """Return what the losses of the rows that are not ignored are multiplied by."""
    ignored = case.step.startswith("Sparse") and case.options[1] is not None
    return len(y) / max(np.sum(y != case.options[1]), 1) if ignored else 1.0


# --- values and gradients -----------------------------------------------------------------------


@every_isa
@every_dtype
@every_loss
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_losses_agree_with_numpy(rng, isa, dtype, case, shape):
    y, x = make_data(rng, case, shape, dtype)
    losses, dx, p = compute(case, y, x, isa)
    exact = reference_losses.row_losses(case.step, y, x, case.options_for(shape[1])) * ignored_share(case, y)
    assert losses.dtype == dx.dtype == dtype
    # Numbers of up to spread + log C are added and exponentiated; a sum over C has C / 16 roundings, or C one by one.
    spread = np.ptp(x.astype("float64")) + np.log(shape[1]) + 2
    if case.y not in ("labels", "distribution"):
        spread += np.ptp(y.astype("float64"))
    assert_within_rounding(losses, exact, case.magnitude * ignored_share(case, y) * spread**2, shape[1] + 40)
    if case in CROSSENTROPIES and from_logits(case):
        exact_p = reference.activation(x, "sigmoid") if case.step.startswith("Binary") else reference.softmax(x)
        assert_within_rounding(p, exact_p, exact_p, shape[1] / 16 + 12 + spread)


@every_isa
@every_loss
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_float32_gradients_agree_with_float64(rng, isa, case, shape):
    y, x = make_data(rng, case, shape, "float32")
    dx = compute(case, y, x, isa)[1]
    exact = compute(case, y if case.y == "labels" else y.astype("float64"), x.astype("float64"), isa)[1]
    spread = np.ptp(x.astype("float64")) + np.log(shape[1]) + 2
    largest = np.abs(exact).max() + 1 / dx.size
    assert_within_rounding(dx, exact, largest * spread**2, shape[1] / 16 + 60)


@every_isa
@every_dtype
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_mean_squared_error_of_whole_numbers_is_exact(rng, isa, dtype, shape):
    y, x = integers(rng, shape, dtype), integers(rng, shape, dtype)
    losses, dx, _ = compute(SQUARED, y, x, isa)
    squares = ((x - y) ** 2).sum(axis=1)  # whole numbers below 2^24
    assert_same(losses, squares / np.array(shape[1], dtype))
    exact = reference.mean_squared_error(y, x)[1]
    assert_within_rounding(dx, exact, np.abs(exact), 3)


@every_loss
@pytest.mark.parametrize("average", (True, False))
@pytest.mark.parametrize("shape", ((1, 2), (7, 10), (20, 33), (900, 10)), ids=str)
def test_gradient_by_central_differences(rng, case, average, shape):
    y, x = make_data(rng, case, shape)
    direction, step = rng.standard_normal(shape), 1e-6
    weights = rng.uniform(0.5, 2, shape[0])
    ends = [compute(case, y, x + s * direction, weights=weights, average=average)[0] for s in (step, -step)]
    means = [losses.mean() if average else losses.sum() for losses in ends]
    dx = compute(case, y, x, weights=weights, scale=0.5, average=average)[1]
    slope = (means[0] - means[1]) / (2 * step)
    largest = np.linalg.norm(dx) * np.linalg.norm(direction)
    # A kink between the ends of the difference, or rounding of losses far larger than their difference.
    loose = case.options[:1] in (("hinge",), ("mean_absolute_error",), ("mean_absolute_percentage_error",))
    tolerance = 1e-3 if loose or case.step == "CategoricalHinge" else 1e-7
    np.testing.assert_allclose(np.sum(dx * direction), 0.5 * slope, rtol=tolerance, atol=tolerance * largest)


# --- weights and reductions ---------------------------------------------------------------------


@every_isa
@every_dtype
@every_loss
@pytest.mark.parametrize("groups", (1, 3, 300, 900))
def test_weights_multiply_the_losses_and_gradients_of_their_rows(rng, isa, dtype, case, groups):
    y, x = make_data(rng, case, (900, 10), dtype)
    weights = integers(rng, groups, dtype)
    losses, dx, p = compute(case, y, x, isa)
    weighted = compute(case, y, x, isa, weights=weights)
    each = np.repeat(weights, 900 // groups)
    if ignored_share(case, y) == 1:
        assert_same(weighted[0], each * losses)
        assert_same(weighted[1], each[:, None] * dx)
    else:
        np.testing.assert_allclose(weighted[0], each * losses, rtol=1e-6)
    if from_logits(case):
        assert_same(weighted[2], p)  # predictions have no weight


@every_isa
@every_dtype
@every_loss
def test_scale_and_sum_are_those_of_the_gradient_alone(rng, isa, dtype, case):
    y, x = make_data(rng, case, (64, 10), dtype)
    losses, dx, _ = compute(case, y, x, isa)
    scaled = compute(case, y, x, isa, scale=0.25)
    total = compute(case, y, x, isa, average=False)
    assert_same(scaled[0], losses)
    assert_same(scaled[1], dx / 4)
    if ignored_share(case, y) == 1:
        assert_same(total[0], losses)
        np.testing.assert_allclose(total[1], dx * 64, rtol=1e-5 if dtype == "float32" else 1e-12)
    else:
        np.testing.assert_allclose(total[0] * ignored_share(case, y), losses, rtol=1e-6)


@every_isa
@every_dtype
@pytest.mark.parametrize("ignored", (0, -1, 255, -(2**31)))
@pytest.mark.parametrize("logits", (True, False))
def test_ignored_rows_have_no_share(rng, isa, dtype, ignored, logits):
    case = Case("SparseCategoricalCrossentropy", (logits, ignored), "labels", "shares")
    plain = Case("SparseCategoricalCrossentropy", (logits, None))
    y, x = make_data(rng, case, (2000, 10), dtype)
    y[1::2] = ignored
    x[1] = np.nan  # a row without a label may have any prediction
    kept = y != ignored
    losses, dx, _ = compute(case, y, x, isa)
    alone, dalone, _ = compute(plain, y[kept], x[kept], isa)
    assert_same(losses[~kept], np.zeros(np.sum(~kept), dtype))
    assert_same(dx[~kept], np.zeros((np.sum(~kept), 10), dtype))
    eps = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(losses[kept] * kept.mean(), alone, rtol=eps)
    np.testing.assert_allclose(dx[kept], dalone, rtol=eps, atol=eps * np.abs(dalone).max())


@every_isa
@every_dtype
def test_all_rows_ignored_are_no_loss(rng, isa, dtype):
    x = rng.standard_normal((5, 3)).astype(dtype)
    case = Case("SparseCategoricalCrossentropy", (True, 255))
    losses, dx, _ = compute(case, np.full(5, 255, "int32"), x, isa)
    assert_same(losses, np.zeros(5, dtype))
    assert_same(dx, np.zeros((5, 3), dtype))


@every_isa
@every_dtype
def test_a_whole_batch_may_be_one_mask(rng, isa, dtype):
    dice = Case("OverlapLoss", (2.0, 0.0, 1.0, 1.0))
    y, x = integers(rng, (4, 5000), dtype) > 0, rng.integers(0, 5, (4, 5000)).astype(dtype) / 4
    losses, dx = np.full(1, np.nan, dtype), np.full_like(x, np.nan)
    run_step(step_of(dice, y.astype(dtype), x, None, losses, dx, isa))
    both, either = (y * x).sum(dtype="float64"), (y + x).sum(dtype="float64")
    np.testing.assert_allclose(losses[0], 1 - 2 * both / either, rtol=1e-6)
    np.testing.assert_allclose(dx, (2 * both / either - 2 * y) / either, rtol=1e-5)


# --- memory -------------------------------------------------------------------------------------


@every_isa
@every_dtype
@every_loss
def test_gradient_may_overwrite_the_predictions(rng, isa, dtype, case):
    y, x = make_data(rng, case, (1000, 10), dtype)
    weights = rng.random(1000).astype(dtype)
    losses, dx, _ = compute(case, y, x, isa, probabilities=False, weights=weights)
    again = np.full_like(losses, np.nan)
    run_step(step_of(case, y, x, None, again, x, isa, weights))
    assert_same(again, losses)
    assert_same(x, dx)


@every_isa
@every_dtype
@every_loss
def test_gradient_and_probabilities_are_optional(rng, isa, dtype, case):
    y, x = make_data(rng, case, (1000, 10), dtype)
    losses, dx, p = compute(case, y, x, isa)
    for gradient, probabilities in itertools.product((True, False), repeat=2):
        other = compute(case, y, x, isa, gradient, probabilities)
        assert_same(other[0], losses)
        if gradient:
            assert_same(other[1], dx)
        if probabilities and from_logits(case):
            assert_same(other[2], p)


@every_isa
@every_loss
@pytest.mark.parametrize("shape", ((0, 10), (0, 1)), ids=str)
def test_no_rows_are_no_work(rng, isa, case, shape):
    y, x = make_data(rng, case, shape, "float32")
    compute(case, y, x, isa)
    compute(case, y, x, isa, weights=np.zeros(0, "float32"))


@every_isa
@every_loss
def test_only_the_arrays_are_touched(rng, isa, case):
    y, x = make_data(rng, case, (83, 99), "float32")
    weights = rng.random(83).astype("float32")
    expected = compute(case, y, x, isa, weights=weights)
    for at_end in (True, False):
        arrays = [guarded(array, at_end) for array in (y, x, weights)]
        actual = compute(case, arrays[0], arrays[1], isa, weights=arrays[2])
        assert_same(actual[0], expected[0])
        assert_same(actual[1], expected[1])


# --- special numbers ----------------------------------------------------------------------------


@every_isa
@every_dtype
def test_sparse_and_one_hot_labels_agree(rng, isa, dtype):
    for sparse, dense in (CROSSENTROPIES[:3:2], CROSSENTROPIES[1:4:2]):
        y, x = make_data(rng, sparse, (400, 12), dtype)
        one_hot = reference.one_hot(y, 12).astype(dtype)
        tolerance = 20 * np.finfo(dtype).eps
        both = compute(sparse, y, x, isa), compute(dense, one_hot, x, isa)
        for a, b in zip(both[0][:2], both[1][:2], strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


@every_isa
@every_dtype
@pytest.mark.parametrize("case", CROSSENTROPIES[:2], ids=str)
@pytest.mark.parametrize("label", (-1, 10, 2**31 - 1, -(2**31)))
def test_label_out_of_range_gives_nan_in_its_row_alone(rng, isa, dtype, case, label):
    y, x = make_data(rng, case, (5, 10), dtype)
    good = compute(case, y, x, isa)
    y[[0, 4]] = label
    for at_end in (True, False):
        bad = compute(case, y, guarded(x, at_end), isa)
        for before, after in zip(good[:2], bad[:2], strict=True):
            assert np.all(np.isnan(after[[0, 4]]))
            assert_same(after[1:4], before[1:4])


@every_isa
@every_dtype
@pytest.mark.parametrize("case", CROSSENTROPIES[::2], ids=str)
def test_large_logits_give_finite_losses(isa, dtype, case):
    x = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 3.0]], dtype)
    labels = np.array([0, 0], "int32")
    y = labels if case.y == "labels" else reference.one_hot(labels, 3).astype(dtype)
    losses, dx, p = compute(case, y, x, isa)
    wanted = [0, 2e4]
    if case.step == "BinaryCrossentropy":
        wanted = [np.log(2) / 3, (2e4 + np.log1p(np.exp(3.0))) / 3]
    np.testing.assert_allclose(losses, wanted, rtol=1e-6)
    assert np.all(np.isfinite(dx))
    assert np.all((p >= 0) & (p <= 1))


@every_isa
@every_dtype
@pytest.mark.parametrize("case", CROSSENTROPIES[1::2], ids=str)
def test_certain_probabilities_are_clipped_and_have_no_slope(isa, dtype, case):
    x = np.array([[1.0, 0.0], [0.0, 1.0]], dtype)
    labels = np.array([0, 0], "int32")
    y = labels if case.y == "labels" else reference.one_hot(labels, 2).astype(dtype)
    losses, dx, _ = compute(case, y, x, isa)
    low, high = np.array(1e-7, dtype), np.array(1 - 1e-7, dtype)
    nothing, much = -np.log(high), -np.log(low)
    if case.step == "BinaryCrossentropy":  # the columns are judged each for itself, by log(1 - q) too
        nothing, much = (nothing - np.log(1 - low)) / 2, (much - np.log(1 - high)) / 2
    np.testing.assert_allclose(losses, [nothing, much], rtol=1e-6)
    assert_same(dx, np.zeros_like(dx))


@every_isa
@every_dtype
def test_probabilities_are_normalised_as_keras_does(rng, isa, dtype):
    for case in CROSSENTROPIES[1:4:2]:
        y, x = make_data(rng, case, (30, 10), dtype)
        losses, dx, _ = compute(case, y, x, isa)
        doubled, half_dx, _ = compute(case, y, 2 * x, isa)
        assert_same(doubled, losses)
        assert_same(half_dx * 2, dx)


@every_isa
def test_examples_of_keras_documentation(isa):
    y = np.array([[0, 1, 0], [0, 0, 1]], "float32")
    x = np.array([[0.05, 0.95, 0], [0.1, 0.8, 0.1]], "float32")
    for case, truth in ((CROSSENTROPIES[3], y), (CROSSENTROPIES[1], np.array([1, 2], "int32"))):
        losses = compute(case, truth, x, isa)[0]
        # Near 1 a probability is rounded by up to 6e-8, and Keras's figures differ by as much.
        np.testing.assert_allclose(losses, [0.05129339, 2.3025851], rtol=1e-6, atol=1.2e-7)
    y, x = np.array([[0, 1], [0, 0]], "float32"), np.array([[0.6, 0.4], [0.4, 0.6]], "float32")
    np.testing.assert_allclose(compute(CROSSENTROPIES[5], y, x, isa)[0], [0.916, 0.714], atol=5e-4)


@every_isa
@every_dtype
def test_slopes_at_kinks(isa, dtype):
    y, x = np.full((1, 4), 2, dtype), np.array([[1.0, 2.0, 4.0, 2.5]], dtype)
    for name, parameter, wanted in (
        ("mean_absolute_error", 0.0, [-1, 0, 1, 1]),
        ("huber", 1.0, [-1, 0, 1, 0.5]),
        ("mean_absolute_percentage_error", 0.0, [-50, 0, 50, 50]),
    ):
        dx = compute(_elementwise(name, parameter=parameter), y, x, isa, average=False)[1]
        assert_same(dx * 4, np.array([wanted], dtype))
    zeros = np.zeros((1, 3), dtype)
    assert_same(compute(Case("CosineSimilarity"), zeros, zeros, isa)[1], zeros)
    assert_same(compute(Case("OverlapLoss", (2.0, 0.0, 1.0, 1.0)), zeros, zeros, isa)[0], np.ones(1, dtype))


@every_isa
@every_dtype
@every_loss
def test_nan_stays_in_its_row(rng, isa, dtype, case):
    y, x = make_data(rng, case, (4, 20), dtype)
    good = compute(case, y, x, isa)[0]
    if case.y == "labels":
        y[2] = 5  # not to be ignored
        good = compute(case, y, x, isa)[0]
    x[2, 17] = np.nan
    losses = compute(case, y, x, isa)[0]
    assert np.isnan(losses[2])
    assert_same(losses[[0, 1, 3]], good[[0, 1, 3]])


@every_isa
@every_dtype
@every_loss
def test_results_do_not_depend_on_threads(rng, restore_threads, isa, dtype, case):
    y, x = make_data(rng, case, (9000, 10), dtype)
    weights = rng.random(9000).astype(dtype)
    results = []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        results.append(compute(case, y, x, isa, weights=weights)[:2])
    for other in results[1:]:
        for actual, first in zip(other, results[0], strict=True):
            assert_same(actual, first)
