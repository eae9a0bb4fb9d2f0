"""The assertion helpers fail when they should."""

import numpy as np
import pytest
from helpers import assert_adjoint, assert_same, assert_within_rounding, inner, integers, rounding


def test_integers_are_whole_and_reach_both_ends():
    values = integers(np.random.default_rng(0), (40, 50), "float64")
    assert values.dtype == np.float64
    assert values.shape == (40, 50)
    assert set(np.unique(values)) == set(range(-8, 9))


def test_assert_same_accepts_equal_arrays():
    a = np.array([[1.5, -0.0], [np.inf, 3.0]], np.float32)
    assert_same(a, np.array([[1.5, 0.0], [np.inf, 3.0]], np.float32))
    assert_same(np.zeros((0, 3)), np.zeros((0, 3)))


@pytest.mark.parametrize(
    ("actual", "expected", "message"),
    [
        (np.zeros(3, np.float32), np.zeros(3), "dtype float32, expected float64"),
        (np.zeros(3), np.zeros((3, 1)), r"shape \(3,\), expected \(3, 1\)"),
        (np.zeros(0), np.zeros(1), "shape"),
        (np.array([1.0, np.nextafter(2.0, 3.0)]), np.array([1.0, 2.0]), "1 of 2 values differ"),
        (np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]]), r"the first at \(0, 0\)"),
        (np.array([np.nan]), np.array([0.0]), "1 of 1 values differ"),
        (np.array([np.nan]), np.array([np.nan]), "1 of 1 values differ"),
        (np.array([np.inf]), np.array([-np.inf]), "1 of 1 values differ"),
    ],
)
def test_assert_same_refuses(actual, expected, message):
    with pytest.raises(AssertionError, match=message):
        assert_same(actual, expected)


def test_rounding_is_the_classic_bound():
    u = 2.0**-24
    assert rounding(1, np.float32) == u / (1 - u)
    np.testing.assert_array_equal(rounding([2, 3], "float32"), [2 * u / (1 - 2 * u), 3 * u / (1 - 3 * u)])
    with pytest.raises(AssertionError, match="leave nothing"):
        rounding(2**24, np.float32)


def test_assert_within_rounding_accepts_any_order_of_summation():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 200, 300)).astype(np.float32)
    exact = (a.astype(np.float64) * b).sum(axis=1)
    magnitude = np.abs(a.astype(np.float64) * b).sum(axis=1)
    for order in (slice(None), slice(None, None, -1), rng.permutation(300)):
        out = np.zeros(200, np.float32)
        for column in np.arange(300)[order]:
            out += a[:, column] * b[:, column]
        assert_within_rounding(out, exact, magnitude, 300)


def test_assert_within_rounding_allows_flushed_denormals():
    assert_within_rounding(np.zeros(1, np.float32), np.array([1e-39]), np.array([1e-39]), 1)


@pytest.mark.parametrize(
    ("out", "exact", "message"),
    [
        (np.float32([1.0, 1 + 2.0**-20]), np.array([1.0, 1.0]), r"1 of 2 errors .* at \(1,\)"),
        (np.float32([1.0, 0.0]), np.array([1.0, 1.0]), "1 of 2 errors"),
        (np.float32([1.0, np.nan]), np.array([1.0, 1.0]), "a result is not finite"),
        (np.float32([1.0, np.inf]), np.array([1.0, 1.0]), "a result is not finite"),
        (np.float32([1.0, 1.0]), np.array([1.0, np.nan]), "a reference is not finite"),
        (np.float32([1.0]), np.array([1.0, 1.0]), "shape"),
        (np.array([1.0, 1.0]), np.float32([1.0, 1.0]), "is no reference"),
    ],
)
def test_assert_within_rounding_refuses(out, exact, message):
    with pytest.raises(AssertionError, match=message):
        assert_within_rounding(out, exact, np.ones(2), 4)


def test_assert_within_rounding_is_tight():
    """An error just within the bound passes, one just beyond it fails."""
    u = 2.0**-24
    exact, magnitude = np.array([1.0]), np.array([1.0])
    assert_within_rounding(np.float32([1 + 4 * u]), exact, magnitude, 4)
    with pytest.raises(AssertionError, match="exceed their bound"):
        assert_within_rounding(np.float32([1 + 6 * u]), exact, magnitude, 4)


def test_inner_sums_without_rounding():
    assert inner(np.array([1e16, 1.0, -1e16]), np.ones(3)) == 1.0
    with pytest.raises(AssertionError, match="no inner product"):
        inner(np.ones(3), np.ones((3, 1)))


def test_assert_adjoint_accepts_a_matrix_and_its_transpose():
    rng = np.random.default_rng(2)
    a, x, g = integers(rng, (4, 5)), integers(rng, 5), integers(rng, 4)
    assert_adjoint((a @ x, g), (x, a.T @ g), (a, np.outer(g, x)))


def test_assert_adjoint_refuses():
    rng = np.random.default_rng(3)
    a, x, g = integers(rng, (4, 5)), integers(rng, 5), integers(rng, 4)
    wrong = a.T @ g
    wrong[np.flatnonzero(x)[0]] += 1
    with pytest.raises(AssertionError, match="inner products"):
        assert_adjoint((a @ x, g), (x, wrong))
    assert_adjoint((a @ x, g), (x, wrong), bound=8)
    with pytest.raises(AssertionError, match="inner products"):
        assert_adjoint((np.array([np.nan]), np.ones(1)), (np.array([np.nan]), np.ones(1)), bound=8)
    with pytest.raises(AssertionError, match="two sides"):
        assert_adjoint((x, x))
