"""The kernel gradient by Winograd's convolution against the reference: every instruction set, within rounding."""

import functools
import itertools
import zlib

import numpy as np
import pytest
import reference
from guard_pages import guarded
from helpers import assert_adjoint, assert_same, assert_within_rounding, integers, rounding

from cycnn import _native, shapes
from cycnn._native import Buffer, kernels, run_step
from cycnn.program import algorithms

SAME, VALID, ASYMMETRIC = "same", "valid", ((0, 2), (3, 1))


def case(n, hw, ic, oc, padding=SAME):
    return n, hw, ic, oc, shapes.window("Conv2D", (3, 3), (1, 1), padding, (1, 1), hw)


CHANNELS = [case(1, (4, 7), ic, oc) for ic, oc in itertools.product((1, 3, 7, 8, 9, 15, 16, 17, 33, 64), repeat=2)]
SIZES = [
    case(n, (height, width), 3, 17, padding)
    for n in (1, 3)
    for height, width in ((3, 3), (4, 4), (5, 6), (7, 7), (8, 9), (13, 12))
    for padding in (SAME, VALID, ASYMMETRIC)
]
OTHERS = [
    case(2, (2, 2), 8, 16, ((5, 4), (4, 6))),  # more padding than kernel
    case(1, (1, 1), 5, 4),  # the taps outside meet padding alone
    case(1, (2, 40), 16, 16, ((1, 1), (0, 0))),
    case(70, (6, 7), 33, 40),  # parts of several blocks
    case(3, (9, 10), 70, 65),  # blocks that tasks share: one
    case(70, (15, 14), 65, 130),  # and more
]
CASES = [*CHANNELS, *SIZES, *OTHERS]
FEW = [*CHANNELS[::17], *SIZES[::7], *OTHERS]


def case_name(case):
    n, hw, ic, oc, w = case
    return f"{n}x{hw[0]}x{hw[1]}-{ic}to{oc}-pad" + ".".join(map(str, w[4:8]))


@pytest.fixture(params=_native.supported)
def steps(request):
    return kernels("float32", request.param)


@pytest.fixture
def threads():
    before = _native.get_num_threads()
    yield _native.set_num_threads
    _native.set_num_threads(before)


@functools.cache
def arrays(case):
    """Return normal numbers for x, kernel and dout."""
    n, hw, ic, oc, w = case
    rng = np.random.default_rng(zlib.crc32(case_name(case).encode()))
    extents = (n, *hw, ic), (3, 3, ic, oc), (n, *shapes.output_size(w, hw), oc)
    return tuple(rng.standard_normal(shape, dtype=np.float32) for shape in extents)


def backward_kernel(steps, x, dout, window, with_bias=True):
    dkernel = np.full((3, 3, x.shape[3], dout.shape[3]), np.nan, np.float32)
    dbias = np.full(dout.shape[3:], np.nan, np.float32) if with_bias else None
    buffers = [None if array is None else Buffer.of(array) for array in (x, dout, dkernel, dbias)]
    run_step(steps.WinogradBackwardKernel(*buffers, window))
    return dkernel, dbias


def tiles(dout):
    """Return how many tiles of 4 x 4 pixels an image of gradients is divided into, and all images together."""
    return dout.shape[0] * -(-dout.shape[1] // 4) * -(-dout.shape[2] // 4)


# The transforms, from their points alone: row p of B^T holds the polynomial that vanishes at the others.
FINITE = (0, 1, -1, 0.5, -2)
OTHER = [[q for q in FINITE if q != p] for p in FINITE]
BT = np.array([[*np.poly(others)[::-1], 0] for others in OTHER] + [np.poly(FINITE)[::-1]])
A = np.array([[p**k for k in range(4)] for p in FINITE] + [[0, 0, 0, 1]])
G = np.array(
    [[p**k / np.prod(np.subtract(p, others)) for k in range(3)] for p, others in zip(FINITE, OTHER, strict=True)]
    + [[0, 0, 1]]
)
# Roundings of a number on its way through three transforms in two dimensions. They are written with differences whose
# terms cancel in part, up to five times as large as what remains: each counts for as many.
TRANSFORMS = 100


def winograd_sums(x, dout, window, matrices=(BT, A, G)):
    """Return G^T (sum over tiles of (B^T x B) (A dout A^T)) G, in float64."""
    bt, a, g = matrices
    _, height, width, _ = dout.shape
    rows, columns = -(-height // 4), -(-width // 4)
    dout = np.pad(dout, ((0, 0), (0, 4 * rows - height), (0, 4 * columns - width), (0, 0)))
    x = np.pad(x, ((0, 0), (window.pad_top, 4 * rows + 2), (window.pad_left, 4 * columns + 2), (0, 0)))
    total = 0
    for i, j in itertools.product(range(rows), range(columns)):
        x_tile, d_tile = x[:, 4 * i : 4 * i + 6, 4 * j : 4 * j + 6], dout[:, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4]
        x_points = np.einsum("pi,nijc,qj->npqc", bt, x_tile, bt, optimize=True)
        d_points = np.einsum("pi,nijo,qj->npqo", a, d_tile, a, optimize=True)
        total = total + np.einsum("npqc,npqo->pqco", x_points, d_points, optimize=True)
    return np.einsum("pi,pqco,qj->ijco", g, total, g, optimize=True)


@functools.cache
def expected(case):
    """Return the gradient of the kernel, and the same sums of absolute values as Winograd's convolution adds them."""
    x, _, dout = (array.astype(np.float64) for array in arrays(case))
    magnitude = winograd_sums(np.abs(x), np.abs(dout), case[4], [np.abs(matrix) for matrix in (BT, A, G)])
    return reference.conv2d_backward_kernel(x, dout, case[4]), magnitude


def test_the_reference_is_the_same_sum_in_another_order():
    for case in FEW[:4]:
        x, _, dout = (array.astype(np.float64) for array in arrays(case))
        assert np.allclose(winograd_sums(x, dout, case[4]), expected(case)[0], rtol=0, atol=1e-11)


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_gradients_stay_within_rounding(steps, case):
    x, _, dout = arrays(case)
    dkernel, dbias = backward_kernel(steps, x, dout, case[4])
    exact, magnitude = expected(case)
    assert_within_rounding(dkernel, exact, magnitude, tiles(dout) + TRANSFORMS)
    exact, magnitude = reference.bias_gradient(dout), reference.bias_gradient(np.abs(dout))
    assert_within_rounding(dbias, exact, magnitude, dout.size // dout.shape[3])


# What the root of the mean square of the error is to that of the gradient, measured and rounded up by a third. The
# direct sum has 1e-7 to 3e-7.
ACCURACY = [
    (case(8, (32, 32), 16, 16), 1.7e-6),
    (case(8, (16, 16), 32, 32), 1.3e-6),
    (case(8, (14, 14), 64, 64), 1.1e-6),
    (case(4, (28, 28), 128, 96), 2.5e-6),
    (case(8, (7, 7), 256, 64), 1.1e-6),
]


@pytest.mark.parametrize(("case", "error"), ACCURACY, ids=[case_name(row[0]) for row in ACCURACY])
def test_accuracy_is_as_measured(steps, case, error):
    x, _, dout = arrays(case)
    dkernel, _ = backward_kernel(steps, x, dout, case[4])
    exact = reference.conv2d_backward_kernel(x, dout, case[4])
    assert np.sqrt(np.mean((dkernel - exact) ** 2)) <= error * np.sqrt(np.mean(exact**2))


@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_bias_gradient_is_exact(steps, case):
    x, _, dout = arrays(case)
    dout = integers(np.random.default_rng(0), dout.shape)
    assert_same(backward_kernel(steps, x, dout, case[4])[1], reference.bias_gradient(dout).astype(np.float32))


@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_gradient_without_bias_is_the_same(steps, case):
    x, _, dout = arrays(case)
    assert_same(backward_kernel(steps, x, dout, case[4], False)[0], backward_kernel(steps, x, dout, case[4])[0])


@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_gradient_is_adjoint_to_the_convolution(steps, case):
    x, kernel, dout = arrays(case)
    dkernel, _ = backward_kernel(steps, x, dout, case[4])
    out = reference.conv2d(x, kernel, None, case[4])
    bound = np.sum(rounding(tiles(dout) + TRANSFORMS, np.float32) * expected(case)[1] * np.abs(kernel))
    assert_adjoint((out, dout), (kernel, dkernel), bound=bound)


@pytest.mark.parametrize(
    "case",
    [case(30, (17, 19), 16, 33), case(9, (40, 37), 64, 40), case(5, (15, 14), 65, 200), case(90, (8, 8), 96, 96)],
    ids=case_name,
)
def test_results_do_not_depend_on_threads(steps, case, threads):
    x, _, dout = arrays(case)
    results = []
    for count in (1, 2, 5):
        threads(count)
        results.append(backward_kernel(steps, x, dout, case[4]))
    for dkernel, dbias in results[1:]:
        assert_same(dkernel, results[0][0])
        assert_same(dbias, results[0][1])


@pytest.mark.parametrize("at_end", (True, False))
@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_arrays_are_not_overstepped(steps, case, at_end):
    x, kernel, dout = (Buffer.of(guarded(array, at_end)) for array in arrays(case))
    dbias = Buffer.of(guarded(np.full(case[3], np.nan, np.float32), at_end))
    run_step(steps.WinogradBackwardKernel(x, dout, kernel, dbias, case[4]))
    assert_same(np.asarray(kernel), backward_kernel(steps, *arrays(case)[::2], case[4])[0])


def test_a_nan_reaches_its_channels_alone(steps):
    case = OTHERS[4]
    x, _, dout = (array.copy() for array in arrays(case))
    x[1, 4, 5, 3] = np.nan
    dout[2, 8, 9, 64] = np.nan
    dkernel, dbias = backward_kernel(steps, x, dout, case[4])
    assert np.all(np.isnan(dkernel[:, :, 3])) and np.all(np.isnan(dkernel[..., 64]))
    assert np.isnan(dkernel).sum() == 9 * (70 + 65 - 1)
    assert np.isnan(dbias).sum() == 1


@pytest.mark.parametrize("extents", [(0, 6, 3, 4), (2, 6, 0, 4), (2, 6, 3, 0), (0, 6, 70, 80)], ids=str)
def test_no_images_or_channels_are_no_work(steps, extents):
    n, width, ic, oc = extents
    window = shapes.window("Conv2D", (3, 3), (1, 1), SAME, (1, 1), (5, width))
    x, dout = np.ones((n, 5, width, ic), np.float32), np.ones((n, 5, width, oc), np.float32)
    dkernel, dbias = backward_kernel(steps, x, dout, window)
    assert_same(dkernel, np.zeros_like(dkernel) if n == 0 else dkernel)
    assert_same(dbias, dout.sum(axis=(0, 1, 2)))


@pytest.mark.parametrize(
    ("channels", "strides", "dilation", "batch", "chosen"),
    [
        ((16, 16), (1, 1), (1, 1), 4, True),
        ((512, 512), (1, 1), (1, 1), 4, True),
        ((15, 64), (1, 1), (1, 1), 4, False),
        ((64, 64), (2, 2), (1, 1), 4, False),
        ((64, 64), (1, 1), (2, 2), 4, False),
        ((64, 64), (1, 1), (1, 1), 3, False),  # 12 tiles
    ],
)
def test_is_chosen_by_the_shape(channels, strides, dilation, batch, chosen):
    window = shapes.window("Conv2D", (3, 3), strides, SAME, dilation, (7, 7))
    for dtype, expected in (("float32", chosen), ("float64", False)):
        assert algorithms.winograd_kernel(kernels(dtype), (3, 3, *channels), window, (batch, 7, 7)) is expected


def test_can_be_turned_off(monkeypatch):
    monkeypatch.setattr("cycnn.config.winograd", "off")
    window = shapes.window("Conv2D", (3, 3), (1, 1), SAME, (1, 1), (7, 7))
    assert not algorithms.winograd_kernel(kernels("float32"), (3, 3, 64, 64), window, (8, 7, 7))
