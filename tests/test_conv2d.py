"""Convolution against the reference, by register tiles and by plain loops: every instruction set, exact."""

import functools
import itertools
import zlib

import numpy as np
import pytest
import reference
from guard_pages import guarded
from helpers import assert_adjoint, assert_same, assert_within_rounding, integers

from cycnn import _native, shapes
from cycnn._native import Buffer, Memory, Program, kernels, run_step

BACK_ENDS = [
    (isa, name, dtype)
    for isa in _native.supported
    for name, dtype in (("tiles", "float32"), ("plain", "float32"), ("plain", "float64"))
]
ACTIVATIONS = tuple(reference.ACTIVATIONS)
POLYNOMIAL = ("linear", "relu", "relu6", "elu", "sigmoid", "tanh", "softsign", "exponential")  # derivatives in y
SAME, VALID, ASYMMETRIC = "same", "valid", ((0, 2), (3, 1))


def case(n, hw, ic, oc, kernel, strides=(1, 1), padding=SAME, dilation=(1, 1)):
    return n, hw, ic, oc, shapes.window("Conv2D", kernel, strides, padding, dilation, hw)


GEOMETRIES = [
    case(1, (12, 13), 3, 9, kernel, strides, padding, dilation)
    for kernel in ((1, 1), (3, 3), (5, 5), (2, 3))
    for strides in ((1, 1), (2, 2), (3, 3), (2, 1))
    for padding in (VALID, SAME, ASYMMETRIC)
    for dilation in ((1, 1), (2, 2), (1, 3))
    if kernel != (5, 5) or dilation != (1, 3) or padding != VALID  # that one does not fit
]
WIDTHS = [
    case(n, (3, width), 3, 17, (3, 3), strides) for n, strides in ((1, (1, 1)), (3, (2, 2))) for width in range(1, 41)
]
CHANNELS = [
    case(1, (4, 7), ic, oc, kernel)
    for ic, oc in itertools.product((1, 3, 7, 8, 9, 16, 17, 33, 64), repeat=2)
    for kernel in ((3, 3), (1, 1))
]
OTHERS = [
    *(case(n, (8, 9), 7, 33, (3, 3), strides) for n in (1, 3) for strides in ((1, 1), (2, 2))),
    *(case(1, (1, rows), 33, 10, (1, 1)) for rows in (1, 5, 128)),  # dense layers: the batch is a row
    *(case(2, (5, 6), 16, 16, kernel, (1, 1), VALID) for kernel in ((5, 6), (1, 6), (5, 1))),
    case(1, (28, 28), 1, 32, (3, 3), (1, 1), VALID),
    case(2, (2, 2), 8, 16, (3, 3), (1, 1), ((5, 4), (4, 6))),  # more padding than kernel
    *(case(2, (6, 5), ic, 16, (1, 1), (1, 1), ((1, 2), (3, 0))) for ic in (3, 64, 128)),
    case(2, (9, 9), 8, 8, (2, 2), (4, 5), VALID),  # pixels that no window meets
    case(3, (16, 16), 64, 32, (3, 3)),
    case(1, (4, 4), 512, 32, (1, 1)),  # pixels as far apart as the sets of a cache
    case(1, (1, 9), 70, 520, (1, 1)),  # output channels and taps in several tasks
    case(3, (3, 4), 33, 512, (2, 2), (2, 1)),
    case(1, (1, 40), 200, 10, (1, 1)),  # few output channels: vectors of taps, the last of them short or not
    case(1, (1, 33), 208, 6, (1, 1)),
    case(2, (9, 8), 16, 5, (3, 3)),
    case(2, (14, 14), 6, 16, (5, 5), (1, 1), VALID),
    *(case(n, (19, 17), 1, oc, (5, 5)) for n, oc in ((1, 6), (3, 20))),  # one channel: all taps of a window together
    case(2, (9, 14), 1, 6, (3, 3), (2, 1), ASYMMETRIC, (2, 1)),
    case(5, (7, 7), 20, 24, (1, 1)),  # 1x1: all images are one row, in several blocks
]
CASES = [*GEOMETRIES, *WIDTHS, *CHANNELS, *OTHERS]
FEW = [GEOMETRIES[i] for i in range(0, len(GEOMETRIES), 9)] + OTHERS


def case_name(case):
    n, hw, ic, oc, w = case
    words = [f"{n}x{hw[0]}x{hw[1]}", f"{ic}to{oc}", f"kernel{w.kernel_h}x{w.kernel_w}"]
    words += [f"stride{w.stride_h}x{w.stride_w}", "pad" + ".".join(map(str, w[4:8]))]
    return "-".join([*words, f"dilation{w.dilation_h}x{w.dilation_w}"])


@pytest.fixture(params=BACK_ENDS, ids=lambda back_end: "-".join(back_end))
def back_end(request):
    """Return the step classes and the dtype."""
    isa, name, dtype = request.param
    return kernels(dtype, isa, plain=name == "plain"), dtype


@pytest.fixture
def threads():
    before = _native.get_num_threads()
    yield _native.set_num_threads
    _native.set_num_threads(before)


@functools.cache
def arrays(case):
    """Return small integers for x, kernel, bias and dout."""
    n, hw, ic, oc, w = case
    rng = np.random.default_rng(zlib.crc32(case_name(case).encode()))
    extents = (n, *hw, ic), (w.kernel_h, w.kernel_w, ic, oc), (oc,), (n, *shapes.output_size(w, hw), oc)
    return tuple(integers(rng, shape) for shape in extents)


@functools.cache
def expected(case):
    """Return what the reference makes of them: out without bias, dx, dkernel, dbias."""
    x, kernel, _, dout = arrays(case)
    return (
        reference.conv2d(x, kernel, None, case[4]),
        reference.conv2d_backward_input(dout, kernel, case[4], case[1]),
        reference.conv2d_backward_kernel(x, dout, case[4]),
        reference.bias_gradient(dout),
    )


def cast(arrays, dtype):
    return (array.astype(dtype) for array in arrays)


def buffer(array):
    return None if array is None else Buffer.of(np.ascontiguousarray(array))


def unwritten(shape, dtype):
    return np.full(shape, np.nan, dtype)


def forward(steps, x, kernel, bias, window, activation="linear"):
    out = unwritten((x.shape[0], *shapes.output_size(window, x.shape[1:3]), kernel.shape[3]), x.dtype)
    step = steps.Conv2DForward
    run_step(step(buffer(x), buffer(kernel), buffer(bias), Buffer.of(out), window, activation))
    return out


def backward_input(steps, dout, kernel, x_shape, window, activation="linear", y=None):
    dx = unwritten(x_shape, dout.dtype)
    step = steps.Conv2DBackwardInput
    run_step(step(buffer(dout), buffer(kernel), Buffer.of(dx), window, activation, buffer(y)))
    return dx


def backward_kernel(steps, x, dout, window, with_bias=True):
    shape = (window.kernel_h, window.kernel_w, x.shape[3], dout.shape[3])
    dkernel = unwritten(shape, x.dtype)
    dbias = unwritten(shape[3:], x.dtype) if with_bias else None
    step = steps.Conv2DBackwardKernel
    run_step(step(buffer(x), buffer(dout), Buffer.of(dkernel), buffer(dbias), window))
    return dkernel, dbias


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_forward_is_exact(back_end, case):
    steps, dtype = back_end
    x, kernel, bias, _ = cast(arrays(case), dtype)
    out = expected(case)[0]
    assert_same(forward(steps, x, kernel, None, case[4]), out.astype(dtype))
    relu = reference.activation(out + bias, "relu")
    assert_same(forward(steps, x, kernel, bias, case[4], "relu"), relu.astype(dtype))


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_backward_input_is_exact(back_end, case):
    steps, dtype = back_end
    x, kernel, _, dout = cast(arrays(case), dtype)
    dx = expected(case)[1]
    assert_same(backward_input(steps, dout, kernel, x.shape, case[4]), dx.astype(dtype))
    relu = dx * reference.activation_derivative(x, "relu")
    result = backward_input(steps, dout, kernel, x.shape, case[4], "relu", x)
    assert_same(result, relu.astype(dtype))


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_backward_kernel_is_exact(back_end, case):
    steps, dtype = back_end
    x, _, _, dout = cast(arrays(case), dtype)
    dkernel, dbias = backward_kernel(steps, x, dout, case[4])
    assert_same(dkernel, expected(case)[2].astype(dtype))
    assert_same(dbias, expected(case)[3].astype(dtype))


@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_backward_kernel_without_bias_is_the_same(back_end, case):
    steps, dtype = back_end
    x, _, _, dout = cast(arrays(case), dtype)
    dkernel, _ = backward_kernel(steps, x, dout, case[4], with_bias=False)
    assert_same(dkernel, expected(case)[2].astype(dtype))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_forward_applies_the_activation(back_end, case, activation):
    steps, dtype = back_end
    x, kernel, bias, _ = cast(arrays(case), dtype)
    scale = np.dtype(dtype).type(2**-7)  # still exact, and small enough for curved activations
    kernel, bias = kernel * scale, bias * scale
    z = expected(case)[0] * scale + bias
    out = forward(steps, x, kernel, bias, case[4], activation)
    exact = reference.activation(z, activation)
    # Sums are exact; the activation alone rounds, by a few units in the last place.
    assert_within_rounding(out, exact, np.abs(exact), 8)


@pytest.mark.parametrize("activation", POLYNOMIAL)
@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_backward_input_chains_the_activation(back_end, case, activation):
    steps, dtype = back_end
    _, kernel, _, dout = cast(arrays(case), dtype)
    dx = expected(case)[1]
    y = integers(np.random.default_rng(1), dx.shape, dtype) / 8
    result = backward_input(steps, dout, kernel, y.shape, case[4], activation, y)
    # With eighths the derivatives are multiples of 1/64: exact as long as the products fit.
    exact = dx * reference.activation_derivative(y, activation)
    assert_within_rounding(result, exact, np.abs(exact), 1)


@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_forward_and_gradients_are_adjoint(back_end, case):
    steps, dtype = back_end
    x, kernel, _, dout = cast(arrays(case), dtype)
    out = forward(steps, x, kernel, None, case[4])
    dx = backward_input(steps, dout, kernel, x.shape, case[4])
    dkernel, _ = backward_kernel(steps, x, dout, case[4])
    assert_adjoint((out, dout), (x, dx), (kernel, dkernel))


@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_real_numbers_stay_within_rounding(back_end, case):
    steps, dtype = back_end
    rng = np.random.default_rng(0)
    x, kernel, bias, dout = (rng.standard_normal(array.shape).astype(dtype) for array in arrays(case))
    n, hw, ic, oc, w = case
    taps = w.kernel_h * w.kernel_w
    positions = n * dout.shape[1] * dout.shape[2]
    # NumPy's long double is the exact result of float64.
    wide = [array.astype(np.float64 if dtype == "float32" else np.longdouble) for array in (x, kernel, bias, dout)]
    size = [np.abs(array) for array in wide]
    assert_within_rounding(
        forward(steps, x, kernel, bias, w),
        reference.conv2d(*wide[:3], w),
        reference.conv2d(*size[:3], w),
        taps * ic + 1,
    )
    assert_within_rounding(
        backward_input(steps, dout, kernel, x.shape, w),
        reference.conv2d_backward_input(wide[3], wide[1], w, hw),
        reference.conv2d_backward_input(size[3], size[1], w, hw),
        taps * oc,
    )
    dkernel, dbias = backward_kernel(steps, x, dout, w)
    assert_within_rounding(
        dkernel,
        reference.conv2d_backward_kernel(wide[0], wide[3], w),
        reference.conv2d_backward_kernel(size[0], size[3], w),
        positions,
    )
    assert_within_rounding(dbias, reference.bias_gradient(wide[3]), reference.bias_gradient(size[3]), positions)


@pytest.mark.parametrize(
    "case",
    [
        case(4, (17, 19), 16, 33, (3, 3)),
        case(1, (40, 37), 8, 40, (3, 3), (2, 2)),
        case(3, (20, 20), 1, 64, (5, 5), (1, 1), VALID),
        case(1, (1, 300), 100, 10, (1, 1)),
        case(4, (28, 28), 1, 6, (5, 5)),
        case(3, (20, 20), 16, 16, (3, 3)),
        case(2, (30, 30), 40, 24, (1, 1)),
        case(1, (1, 40), 70, 520, (1, 1)),
    ],
    ids=case_name,
)
def test_results_do_not_depend_on_threads(back_end, case, threads):
    steps, dtype = back_end
    rng = np.random.default_rng(0)
    x, kernel, bias, dout = (rng.standard_normal(array.shape).astype(dtype) for array in arrays(case))
    results = []
    for count in (1, 2, 5):
        threads(count)
        results.append(
            (
                forward(steps, x, kernel, bias, case[4], "tanh"),
                backward_input(steps, dout, kernel, x.shape, case[4], "tanh", x),
                *backward_kernel(steps, x, dout, case[4]),
            )
        )
    for others in zip(*results, strict=True):
        assert_same(others[1], others[0])
        assert_same(others[2], others[0])


@pytest.mark.parametrize("at_end", (True, False))
@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_arrays_are_not_overstepped(back_end, case, at_end):
    steps, dtype = back_end
    x, kernel, bias, dout = (Buffer.of(guarded(array, at_end)) for array in cast(arrays(case), dtype))
    w = case[4]
    run_step(steps.Conv2DForward(x, kernel, bias, dout, w, "relu"))
    y = Buffer.of(guarded(np.ones(x.shape, dtype), at_end))
    dx = Buffer.of(guarded(np.ones(x.shape, dtype), at_end))
    run_step(steps.Conv2DBackwardInput(dout, kernel, dx, w, "relu", y))
    run_step(steps.Conv2DBackwardKernel(x, dout, kernel, bias, w))
    assert np.all(np.isfinite(np.asarray(kernel)))


def test_a_changed_kernel_is_seen(back_end):
    steps, dtype = back_end
    x, kernel, _, _ = cast(arrays(OTHERS[0]), dtype)
    shared, out = Buffer.of(kernel), Buffer.of(unwritten(arrays(OTHERS[0])[3].shape, dtype))
    step = steps.Conv2DForward(Buffer.of(x), shared, None, out, OTHERS[0][4], "linear")
    run_step(step)
    before = np.array(out)
    kernel *= 2
    shared.touch()
    run_step(step)
    assert_same(np.asarray(out), 2 * before)


@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_kernel_that_is_not_kept_gives_the_same(case):
    steps, (x, kernel, bias, dout) = kernels(), cast(arrays(case), "float32")
    out, dx = unwritten(dout.shape, "float32"), unwritten(x.shape, "float32")
    read = Buffer.of(kernel)
    made = [
        steps.Conv2DForward(Buffer.of(x), read, Buffer.of(bias), Buffer.of(out), case[4], "linear"),
        steps.Conv2DBackwardInput(Buffer.of(dout), read, Buffer.of(dx), case[4], "linear", None),
    ]
    for step in made:
        step.repack()
        step.place_workspace(Memory(step.workspace), 0)
    for factor in (1, 2):
        Program(made).run()
        assert_same(out, (factor * expected(case)[0] + bias).astype("float32"))
        assert_same(dx, (factor * expected(case)[1]).astype("float32"))
        kernel *= 2
        read.touch()


def test_no_images_are_no_work(back_end):
    steps, dtype = back_end
    w = shapes.Window(3, 3, 1, 1, 1, 1, 1, 1, 1, 1)
    x, kernel = np.empty((0, 5, 6, 3), dtype), np.ones((3, 3, 3, 4), dtype)
    out = forward(steps, x, kernel, None, w)
    assert out.shape == (0, 5, 6, 4)
    assert backward_input(steps, out, kernel, x.shape, w).shape == x.shape
    dkernel, dbias = backward_kernel(steps, x, out, w)
    assert_same(dkernel, np.zeros_like(dkernel))
    assert_same(dbias, np.zeros_like(dbias))
