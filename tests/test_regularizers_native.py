"""The compiled penalty against NumPy, on every instruction set this machine can run."""

import numpy as np
import pytest
from helpers import assert_same, integers

from cycnn import _native
from cycnn._native import Buffer, run_step

SIZES = (0, 1, 3, 8, 15, 16, 17, 1000, 8191, 8192, 8193, 20000)

every_isa = pytest.mark.parametrize("isa", _native.supported)
every_dtype = pytest.mark.parametrize("dtype", ("float32", "float64"))
every_size = pytest.mark.parametrize("size", SIZES)
every_kind = pytest.mark.parametrize(("l1", "l2"), [(0.5, 0), (0, 0.25), (0.5, 0.25), (0, 0)])


@pytest.fixture
def rng():
    return np.random.default_rng(20241123)


def penalty(w, l1, l2, dw=None, isa=_native.isa):
    """Return the penalty by the compiled step, which adds its gradient to `dw`."""
    out = np.full(1, np.nan, w.dtype)
    gradient = None if dw is None else Buffer.of(dw)
    run_step(_native.kernels(w.dtype.name, isa).Penalty(Buffer.of(w), l1, l2, Buffer.of(out), gradient))
    return out


@every_isa
@every_dtype
@every_size
@every_kind
def test_small_whole_numbers_are_exact(rng, isa, dtype, size, l1, l2):
    w, dw = integers(rng, size, dtype), integers(rng, size, dtype)
    wanted = l1 * np.abs(w).sum() + l2 * np.square(w).sum()
    assert_same(penalty(w, l1, l2, None, isa), np.array([wanted], dtype))
    gradient = dw + l1 * np.sign(w) + 2 * l2 * w
    assert_same(penalty(w, l1, l2, dw, isa), np.array([wanted], dtype))
    assert_same(dw, gradient.astype(dtype))


@every_isa
@every_dtype
def test_nan_and_infinity_are_passed_on(isa, dtype):
    w, dw = np.array([1, np.nan, -np.inf], dtype), np.zeros(3, dtype)
    assert np.isnan(penalty(w, 1, 0, dw, isa))
    np.testing.assert_array_equal(dw, [1, np.nan, -1])
    assert penalty(w[::2].copy(), 1, 0, None, isa) == penalty(w[::2].copy(), 0, 1, None, isa) == np.inf


@every_isa
@every_dtype
def test_results_do_not_depend_on_threads(rng, isa, dtype):
    w, before = rng.standard_normal((2, 100_001)).astype(dtype)
    threads, results = _native.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            _native.set_num_threads(count)
            dw = before.copy()
            results.append((penalty(w, 0.3, 0.7, dw, isa), dw))
    finally:
        _native.set_num_threads(threads)
    for other in results[1:]:
        for actual, first in zip(other, results[0], strict=True):
            assert_same(actual, first)
