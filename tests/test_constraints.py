"""Constraints against their formulas."""

import numpy as np
import pytest
from helpers import assert_same

from cycnn import constraints

every_dtype = pytest.mark.parametrize("dtype", ("float32", "float64"))
ALL = [constraints.MaxNorm(1.0, [0, 1]), constraints.MinMaxNorm(0.5, 1.0, 0.5, 1), constraints.NonNeg(),
       constraints.UnitNorm(-1)]  # fmt: skip


@every_dtype
def test_norms_come_within_their_bounds(dtype):
    w = np.random.default_rng(0).standard_normal((4, 3, 5)).astype(dtype)
    norms = np.sqrt(np.square(w).sum((0, 1)))
    result = constraints.MaxNorm(3.0, (0, 1))(w)
    np.testing.assert_allclose(np.sqrt(np.square(result).sum((0, 1))), np.minimum(norms, 3), rtol=1e-6)
    result = constraints.MinMaxNorm(2.0, 3.0, axis=(0, 1))(w)
    np.testing.assert_allclose(np.sqrt(np.square(result).sum((0, 1))), np.clip(norms, 2, 3), rtol=1e-6)
    result = constraints.UnitNorm((0, 1))(w)
    np.testing.assert_allclose(np.sqrt(np.square(result).sum((0, 1))), 1, rtol=1e-6)
    assert_same(constraints.NonNeg()(w), np.where(w > 0, w, np.zeros((), dtype)))


@every_dtype
@pytest.mark.parametrize("constraint", ALL, ids=lambda constraint: type(constraint).__name__)
def test_types_stay_and_zeros_are_no_divisors(dtype, constraint):
    result = constraint(np.zeros((2, 3, 4), dtype))
    assert_same(result, np.zeros((2, 3, 4), dtype))
    assert np.isnan(constraint(np.full((2, 3, 4), np.nan, dtype))).all()


@pytest.mark.parametrize("constraint", ALL, ids=lambda constraint: type(constraint).__name__)
def test_configurations_give_the_constraint_back(constraint):
    again = constraints.deserialize(constraints.serialize(constraint))
    assert type(again) is type(constraint) and again.get_config() == constraint.get_config()


def test_names_and_errors():
    assert constraints.get(None) is None
    assert constraints.get("max_norm").max_value == constraints.get("MaxNorm").max_value == 2
    with pytest.raises(ValueError, match="identifier` must be one of max_norm, min_max_norm, non_neg, unit_norm"):
        constraints.get("small")
    with pytest.raises(TypeError, match="MaxNorm: `axis` must be an int or a list of ints"):
        constraints.MaxNorm(axis="rows")
