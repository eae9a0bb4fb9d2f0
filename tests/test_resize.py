"""Resized images against matrices in NumPy, and the tables of weights against their definitions."""

import numpy as np
import pytest
from helpers import assert_adjoint, assert_same, assert_within_rounding, integers

from cycnn import _native
from cycnn._native import Buffer, run_step
from cycnn.interpolation import METHODS, Taps, taps

every_isa = pytest.mark.parametrize("isa", _native.supported)
every_dtype = pytest.mark.parametrize("dtype", ("float32", "float64"))
every_method = pytest.mark.parametrize("method", METHODS)

SIZES = ((1, 1), (1, 7), (7, 1), (2, 3), (5, 5), (4, 8), (8, 4), (5, 13), (13, 5), (40, 3), (3, 40))


@pytest.fixture
def rng():
    return np.random.default_rng(20240917)


@pytest.fixture
def restore_threads():
    threads = _native.get_num_threads()
    yield
    _native.set_num_threads(threads)


def matrix(table, inputs):
    """Return the weights as a matrix (outputs, inputs)."""
    dense = np.zeros((len(table.first), inputs))
    for o, first in enumerate(table.first):
        weights = table.weights[table.starts[o] : table.starts[o + 1]]
        dense[o, first : first + len(weights)] += weights
    return dense


def resize(x, rows, columns, isa=_native.isa):
    out = np.full((len(x), len(rows.first), len(columns.first), x.shape[3]), np.nan, x.dtype)
    tables = [tuple(Buffer.of(a) for a in (t.first, t.starts, t.weights.astype(x.dtype))) for t in (rows, columns)]
    run_step(_native.kernels(x.dtype.name, isa).Resize(Buffer.of(x), Buffer.of(out), *tables))
    return out


def random_taps(rng, inputs, outputs):
    """Return whole weights, of none to four inputs each."""
    counts = rng.integers(0, min(4, inputs), outputs, endpoint=True)
    first = np.array([rng.integers(0, inputs - count, endpoint=True) for count in counts], "int64")
    starts = np.concatenate([[0], np.cumsum(counts)]).astype("int64")
    return Taps(first, starts, integers(rng, int(starts[-1]), "float64"))


# --- the kernel ------------------------------------------------------------------------------------


@every_isa
@every_dtype
@pytest.mark.parametrize("channels", [1, 3, 8, 17])
@pytest.mark.parametrize(("heights", "widths"), [*zip(SIZES, SIZES[::-1], strict=True), ((120, 60), (90, 100))])
def test_resize_with_whole_weights_is_exact(rng, isa, dtype, channels, heights, widths):
    x = integers(rng, (2, heights[0], widths[0], channels), dtype)
    rows, columns = random_taps(rng, *heights), random_taps(rng, *widths)
    by_rows, by_columns = matrix(rows, heights[0]), matrix(columns, widths[0])
    expected = np.einsum("yh,xw,nhwc->nyxc", by_rows, by_columns, x, optimize=True).astype(dtype)
    assert_same(resize(x, rows, columns, isa), expected)


@every_isa
@every_dtype
@pytest.mark.parametrize("size", [(8, 4), (4, 8), (3, 6), (16, 4), (4, 16)])
def test_bilinear_by_powers_of_two_is_exact(rng, isa, dtype, size):
    x = integers(rng, (2, size[0], size[0], 5), dtype)
    table = taps(*size)
    dense = matrix(table, size[0])
    assert_same(resize(x, table, table, isa), np.einsum("yh,xw,nhwc->nyxc", dense, dense, x).astype(dtype))


@every_isa
@every_dtype
@every_method
@pytest.mark.parametrize("size", SIZES)
def test_the_transposed_tables_are_the_adjoint(rng, isa, dtype, method, size):
    table = taps(*size, method)
    back = table.transpose(size[0])
    assert_same(matrix(back, size[1]), matrix(table, size[0]).T)
    x = rng.standard_normal((2, size[0], size[0], 3)).astype(dtype)
    dout = rng.standard_normal((2, size[1], size[1], 3)).astype(dtype)
    bound = 1e-3 if dtype == "float32" else 1e-12
    assert_adjoint((resize(x, table, table, isa), dout), (x, resize(dout, back, back, isa)), bound=bound)


@every_isa
@every_method
def test_results_do_not_depend_on_threads(rng, restore_threads, isa, method):
    x = rng.standard_normal((3, 50, 60, 3)).astype("float32")
    rows, columns = taps(50, 81, method), taps(60, 33, method)
    results = []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        results.append(resize(x, rows, columns, isa))
    for other in results[1:]:
        assert_same(other, results[0])


@every_isa
def test_resize_of_no_images_is_none(isa):
    x = np.zeros((0, 4, 5, 3), "float32")
    assert resize(x, taps(4, 8), taps(5, 2), isa).shape == (0, 8, 2, 3)


def test_resize_rounds_as_a_sum_of_its_terms(rng):
    x = rng.standard_normal((1, 40, 50, 4)).astype("float32")
    rows, columns = taps(40, 17, "lanczos5", True), taps(50, 77, "bicubic")
    by_rows, by_columns = matrix(rows, 40), matrix(columns, 50)
    exact = np.einsum("yh,xw,nhwc->nyxc", by_rows, by_columns, x.astype("float64"))
    magnitude = np.einsum("yh,xw,nhwc->nyxc", abs(by_rows), abs(by_columns), abs(x.astype("float64")))
    terms = np.diff(rows.starts).max() + np.diff(columns.starts).max() + 4
    assert_within_rounding(resize(x, rows, columns), exact, magnitude, terms)


@every_isa
@every_dtype
@pytest.mark.parametrize("size", [1, 7, 33, 8200])
def test_round_takes_the_even_of_two_and_stays_within_bounds(rng, isa, dtype, size):
    x = (integers(rng, size, dtype) * 40 + rng.integers(0, 4, size) / 4).astype(dtype)
    out = np.full_like(x, np.nan)
    run_step(_native.kernels(dtype, isa).Round(Buffer.of(x), Buffer.of(out), 0.0, 255.0))
    assert_same(out, np.clip(np.rint(x), 0, 255))


# --- the tables ------------------------------------------------------------------------------------


@every_method
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_weights_sum_to_one_and_read_real_pixels(method, antialias, size):
    table = taps(*size, method, antialias)
    counts = np.diff(table.starts)
    assert np.all(counts >= 1)
    assert np.all(table.first >= 0) and np.all(table.first + counts <= size[0])
    np.testing.assert_allclose(matrix(table, size[0]).sum(axis=1), 1, rtol=1e-12)


@every_method
@pytest.mark.parametrize("size", [1, 2, 7, 30])
def test_an_axis_that_keeps_its_size_keeps_its_values(method, size):
    np.testing.assert_allclose(matrix(taps(size, size, method), size), np.eye(size), atol=1e-12)


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
def test_nearest_by_a_whole_factor_repeats(factor):
    assert_same(matrix(taps(5, 5 * factor, "nearest"), 5), np.repeat(np.eye(5), factor, axis=0))


@pytest.mark.parametrize("size", SIZES)
def test_bilinear_of_a_ramp_is_the_ramp(size):
    inputs, outputs = size
    centres = (np.arange(outputs) + 0.5) * inputs / outputs - 0.5
    ramp = matrix(taps(*size), inputs) @ np.arange(inputs)
    np.testing.assert_allclose(ramp, np.clip(centres, 0, inputs - 1), atol=1e-5)


def test_antialiased_bilinear_averages_what_it_covers():
    # A triangle that reaches two pixels to either side of the centre, at 2, in distances of 1/2 and 3/2.
    np.testing.assert_allclose(matrix(taps(8, 4, antialias=True), 8)[1], [0, 1 / 8, 3 / 8, 3 / 8, 1 / 8, 0, 0, 0])
