"""Sums, products and extremes of several arrays against NumPy, on every instruction set this machine can run."""

import numpy as np
import pytest
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
    run_step(add_shares(Buffer.of(a), Buffer.of(b), Buffer.of(out)))
    assert_same(out, expected)
    buffer = Buffer.of(a)
    run_step(add_shares(buffer, Buffer.of(b), buffer))
    assert_same(a, expected)


@every_isa
@every_dtype
def test_add_shares_of_views_of_other_shapes(rng, isa, dtype):
    a, b, out = integers(rng, (3, 5, 2), dtype), integers(rng, (15, 2), dtype), empty(30, dtype)
    run_step(_native.kernels(dtype, isa).AddShares(Buffer.of(a), Buffer.of(b), Buffer.of(out)))
    assert_same(out, a.reshape(-1) + b.reshape(-1))


@every_isa
@every_dtype
def test_add_shares_does_not_depend_on_threads(rng, restore_threads, isa, dtype):
    a, b = (rng.standard_normal(30001).astype(dtype) for _ in range(2))
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        out = empty(a.shape, dtype)
        run_step(_native.kernels(dtype, isa).AddShares(Buffer.of(a), Buffer.of(b), Buffer.of(out)))
        assert_same(out, a + b)
