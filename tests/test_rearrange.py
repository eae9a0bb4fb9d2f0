"""Copies, sums and fills through strides against NumPy's, on every instruction set this machine can run."""

import numpy as np
import pytest
from helpers import assert_adjoint, assert_same, integers
from numpy.lib.stride_tricks import as_strided

from cycnn import _native, strides
from cycnn._native import Buffer, run_step

every_isa = pytest.mark.parametrize("isa", _native.supported)
every_dtype = pytest.mark.parametrize("dtype", ("float32", "float64"))

# shape of x, shape of out: an extent of 1 in x is repeated
REPEATS = (
    ((1,), (1,)),
    ((1,), (20000,)),
    ((7, 1), (7, 9)),
    ((7, 1), (7, 16500)),
    ((1, 9), (7, 9)),
    ((3, 1, 1, 5), (3, 4, 6, 5)),
    ((3, 1, 1, 33), (3, 40, 30, 33)),
    ((3, 4, 6, 1), (3, 4, 6, 5)),
    ((3, 1, 6, 1), (3, 4, 6, 5)),
    ((1, 4, 1, 5), (3, 4, 6, 5)),
    ((2, 3, 1, 4, 1, 6), (2, 3, 2, 4, 3, 6)),
    ((2, 3000), (2, 3000)),
    ((1, 3000), (130, 3000)),
    ((1, 1, 1), (9, 20, 70)),
    ((0, 1, 5), (0, 4, 5)),
    ((3, 1, 5), (3, 0, 5)),
    ((3, 5, 1), (3, 5, 0)),
    ((2, 1, 2, 1, 2, 1, 2, 1), (2, 2, 2, 3, 2, 2, 2, 3)),
)
PERMUTATIONS = (
    ((5, 7), (1, 0)),
    ((4, 1, 3), (2, 0, 1)),
    ((2, 9, 10, 17), (0, 3, 1, 2)),
    ((2, 17, 9, 10), (0, 2, 3, 1)),
    ((2, 50, 101), (0, 2, 1)),
    ((0, 3, 2), (2, 1, 0)),
)
# shape, start of a box, its extents
BOXES = (
    ((9,), (2,), (5,)),
    ((9,), (0,), (9,)),
    ((4, 6, 7, 3), (0, 1, 2, 0), (4, 4, 4, 3)),
    ((4, 6, 7, 3), (0, 0, 0, 1), (4, 6, 7, 2)),
    ((2, 70, 80, 3), (0, 1, 1, 0), (2, 68, 78, 3)),
    ((3, 5), (0, 5), (3, 0)),
    ((0, 5), (0, 1), (0, 3)),
)

every_repeat = pytest.mark.parametrize(("x_shape", "out_shape"), REPEATS, ids=str)
every_permutation = pytest.mark.parametrize(("shape", "axes"), PERMUTATIONS, ids=str)
every_box = pytest.mark.parametrize(("shape", "start", "extents"), BOXES, ids=str)


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


def copy(x, out, walk, isa=_native.isa):
    run_step(_native.kernels("float32", isa).StridedCopy(Buffer.of(x), Buffer.of(out), walk))
    return out


def add_up(x, out, walk, isa=_native.isa):
    run_step(_native.kernels(x.dtype.name, isa).StridedSum(Buffer.of(x), Buffer.of(out), walk))
    return out


def fill(out, value, walk, isa=_native.isa):
    run_step(_native.kernels(out.dtype.name, isa).Fill(Buffer.of(out), value, walk))
    return out


def inside(start, extents):
    return tuple(slice(first, first + extent) for first, extent in zip(start, extents, strict=True))


# --- copies ----------------------------------------------------------------------------------------


@every_isa
@every_dtype
@every_repeat
def test_copy_repeats(rng, isa, dtype, x_shape, out_shape):
    x = integers(rng, x_shape, dtype)
    out = copy(x, empty(out_shape, dtype), strides.repeat(x_shape, out_shape), isa)
    assert_same(out, np.broadcast_to(x, out_shape))


@every_isa
@pytest.mark.parametrize("dtype", ("float32", "float64", "uint8", "int32", "int64"))
@every_permutation
def test_copy_permutes(rng, isa, dtype, shape, axes):
    x = rng.integers(0, 256, shape).astype(dtype)
    expected = x.transpose(axes)
    assert_same(copy(x, np.zeros_like(expected, order="C"), strides.permute(shape, axes), isa), expected)


@every_isa
@every_dtype
@every_box
def test_copy_of_a_box_leaves_the_rest(rng, isa, dtype, shape, start, extents):
    x = integers(rng, shape, dtype)
    origin = (0,) * len(shape)
    within = inside(start, extents)
    out = copy(x, empty(extents, dtype), strides.box(extents, shape, start, extents, origin), isa)
    assert_same(out, x[within])
    out = copy(x[within].copy(), np.full(shape, 9, dtype), strides.box(extents, extents, origin, shape, start), isa)
    expected = np.full(shape, 9, dtype)
    expected[within] = x[within]
    assert_same(out, expected)


@every_isa
def test_copy_walks_backwards(rng, isa):
    x = integers(rng, (5, 400))
    walk = strides.Walk((5, 400), (400, -1), 399, (400, 1), 0)
    assert_same(copy(x, empty(x.shape, "float32"), walk, isa), x[:, ::-1])


@every_isa
def test_copy_of_windows_that_overlap(rng, isa):
    x = integers(rng, 100)
    walk = strides.Walk((96, 5), (1, 1), 0, (5, 1), 0)
    assert_same(copy(x, empty((96, 5), "float32"), walk, isa), as_strided(x, (96, 5), (4, 4)))


def test_copy_keeps_nan_and_infinity():
    x = np.array([np.nan, np.inf, -np.inf, -0.0], "float32")
    out = copy(x, np.zeros((3, 4), "float32"), strides.repeat((1, 4), (3, 4)))
    np.testing.assert_array_equal(out, np.broadcast_to(x, (3, 4)))


# --- sums ------------------------------------------------------------------------------------------


@every_isa
@every_dtype
@every_repeat
def test_sum_adds_up_what_was_repeated(rng, isa, dtype, x_shape, out_shape):
    dout = integers(rng, out_shape, dtype)
    walk = strides.repeat(x_shape, out_shape)
    dx = add_up(dout, empty(x_shape, dtype), walk.reverse(), isa)
    axes = tuple(a for a, (before, after) in enumerate(zip(x_shape, out_shape, strict=True)) if before != after)
    assert_same(dx, dout.sum(axis=axes, keepdims=True))
    x = integers(rng, x_shape, dtype)
    assert_adjoint((copy(x, empty(out_shape, dtype), walk, isa), dout), (x, dx))


@every_isa
@every_dtype
@every_permutation
def test_sum_of_nothing_repeated_is_a_copy(rng, isa, dtype, shape, axes):
    x = integers(rng, shape, dtype)
    expected = np.ascontiguousarray(x.transpose(axes))
    assert_same(add_up(x, empty(expected.shape, dtype), strides.permute(shape, axes), isa), expected)


@every_isa
def test_sum_over_the_last_axis_with_any_stride(rng, isa):
    x = integers(rng, (4, 30, 9))
    walk = strides.Walk((4, 9, 30), (270, 1, 9), 0, (9, 1, 0), 0)
    assert_same(add_up(x, empty((4, 9), "float32"), walk, isa), x.sum(axis=1))


def test_sum_of_many_terms_is_accurate(rng):
    x = rng.random((100_000, 3)).astype("float32")
    for shape, walk in (
        ((1, 3), strides.repeat((1, 3), x.shape)),
        ((1, 1), strides.repeat((1, 1), x.shape)),
    ):
        out = add_up(x, empty(shape, "float32"), walk.reverse())
        exact = x.astype("float64").sum(axis=0 if shape == (1, 3) else None)
        # 64 terms, then the sums of 64: of 100000 terms in a row the error would be up to 1e-2
        np.testing.assert_allclose(out.ravel(), exact, rtol=1e-4)


def test_sum_with_a_nan_is_nan_and_no_other():
    x = np.ones((3, 70, 2), "float32")
    x[1, 66, 0] = np.nan
    out = add_up(x, np.zeros((3, 1, 2), "float32"), strides.repeat((3, 1, 2), x.shape).reverse())
    np.testing.assert_array_equal(out[:, 0], [[70, 70], [np.nan, 70], [70, 70]])


# --- fills -----------------------------------------------------------------------------------------


@every_isa
@every_dtype
@every_box
def test_fill_around_a_box(isa, dtype, shape, start, extents):
    out = empty(shape, dtype)
    out[inside(start, extents)] = 1
    for walk in strides.around(shape, start, extents):
        fill(out, 3.5, walk, isa)
    expected = np.full(shape, 3.5, dtype)
    expected[inside(start, extents)] = 1
    assert_same(out, expected)


def test_boxes_around_a_box_do_not_overlap(rng):
    for shape, start, extents in BOXES:
        walks = strides.around(shape, start, extents)
        assert sum(int(np.prod(walk.shape)) for walk in walks) == np.prod(shape) - np.prod(extents)


@every_isa
def test_fill_with_a_stride(isa):
    out = np.zeros((4, 6), "float32")
    fill(out, 1.0, strides.Walk((4, 3), (0, 0), 0, (6, 2), 1), isa)
    expected = np.zeros((4, 6), "float32")
    expected[:, 1::2] = 1
    assert_same(out, expected)


# --- threads ---------------------------------------------------------------------------------------


@every_isa
@every_dtype
def test_results_do_not_depend_on_threads(rng, restore_threads, isa, dtype):
    x = rng.standard_normal((4, 30, 40, 17)).astype(dtype)
    few = strides.repeat((4, 1, 1, 17), x.shape)
    results = []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        results.append(
            [
                copy(x, empty((4, 17, 30, 40), dtype), strides.permute(x.shape, (0, 3, 1, 2)), isa),
                add_up(x, empty((4, 1, 1, 17), dtype), few.reverse(), isa),
                add_up(x, empty((4, 30, 40, 1), dtype), strides.repeat((4, 30, 40, 1), x.shape).reverse(), isa),
            ]
        )
    for other in results[1:]:
        for actual, expected in zip(other, results[0], strict=True):
            assert_same(actual, expected)


def test_walks_of_too_many_axes_are_refused():
    x = np.zeros((1,) * 9, "float32")
    with pytest.raises(ValueError, match="a walk has at most 8 axes, not 9"):
        copy(x, x, strides.repeat(x.shape, x.shape))
