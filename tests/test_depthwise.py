"""Depthwise convolution against the reference: every instruction set, exact."""

import functools
import zlib

import numpy as np
import pytest
import reference
from guard_pages import guarded
from helpers import assert_adjoint, assert_same, assert_within_rounding, integers

from cycnn import _native, shapes
from cycnn._native import Buffer, kernels, run_step

BACK_ENDS = [
    (isa, name, dtype)
    for isa in _native.supported
    for name, dtype in (("tiles", "float32"), ("plain", "float32"), ("plain", "float64"))
]
SAME, VALID, ASYMMETRIC = "same", "valid", ((0, 2), (3, 1))


def case(channels, multiplier=1, kernel=(3, 3), strides=(1, 1), padding=SAME, dilation=(1, 1), n=2, hw=(7, 8)):
    return channels, multiplier, n, hw, shapes.window("DepthwiseConv2D", kernel, strides, padding, dilation, hw)


GEOMETRIES = [
    case(17, 1, kernel, strides, padding, dilation, 1, (12, 13))
    for kernel in ((1, 1), (3, 3), (5, 5), (2, 3))
    for strides in ((1, 1), (2, 2), (3, 3), (2, 1))
    for padding in (VALID, SAME, ASYMMETRIC)
    for dilation in ((1, 1), (2, 2), (1, 3))
    if kernel != (5, 5) or dilation != (1, 3) or padding != VALID  # that one does not fit
]
CHANNELS = [case(c, m) for c in (1, 3, 7, 8, 9, 16, 17, 31, 33, 64, 130, 300) for m in (1, 2, 3, 16)]
WIDTHS = [case(20, 1, (3, 3), strides, hw=(3, w)) for w in range(1, 41) for strides in ((1, 1), (2, 2))]
PAIRS = [  # half a vector of channels, of one instruction set or another: two pixels share a vector
    case(c, 1, padding=padding, n=1, hw=(5, w))
    for c in (2, 4, 8)
    for padding, least in ((SAME, 1), (VALID, 3), (((1, 1), (0, 1)), 2), (((0, 2), (1, 0)), 2), (((1, 1), (2, 0)), 1))
    for w in (least, least + 1, 6, 7, 9, 16, 17)
]
STRIDED = [  # the gradient to the input begins before the image, ends after it, or meets nothing at the end
    case(c, 1, (3, 3), (2, 2), padding, n=1, hw=hw)
    for c in (3, 20)
    for padding, least in ((VALID, 3), (((1, 1), (1, 1)), 1), (((0, 1), (0, 1)), 2), (((1, 0), (1, 0)), 2))
    for hw in [*((5, w) for w in range(least, 12)), *((h, 6) for h in range(least, 12))]
]
OTHERS = [
    *(case(c, m, (7, 9), hw=(9, 30)) for c in (5, 40) for m in (1, 3)),
    case(32, 1, (3, 3), (2, 2), n=3, hw=(112, 28)),
    case(32, 1, (3, 3), (2, 2), ((1, 1), (1, 1)), n=2, hw=(113, 27)),
    case(32, 1, (3, 3), (2, 2), ((2, 3), (3, 2)), n=1, hw=(9, 10)),
    case(24, 2, (2, 2), (4, 5), VALID, hw=(9, 9)),  # pixels that no window meets
    case(24, 1, (2, 2), (4, 5), ((3, 0), (1, 1)), hw=(9, 9)),
    case(8, 2, (3, 3), (1, 1), ((5, 4), (4, 6)), hw=(2, 2)),  # more padding than kernel
    case(40, 2, (3, 3), (1, 1), ((5, 4), (4, 6)), hw=(2, 2)),
    case(16, 1, (1, 5), (1, 3), ((0, 0), (4, 0)), (1, 2), hw=(1, 50)),  # one row, causal
    case(2, 70, (3, 2), (2, 3)),
    case(16, 1, (3, 3), (20, 20)),  # strides larger than the image
]
CASES = [*GEOMETRIES, *CHANNELS, *WIDTHS, *PAIRS, *STRIDED, *OTHERS]
FEW = [*GEOMETRIES[::9], *CHANNELS[::7], *PAIRS[::7], *STRIDED[::5], *OTHERS]


def case_name(case):
    channels, multiplier, n, hw, w = case
    words = [f"{channels}x{multiplier}", f"{n}x{hw[0]}x{hw[1]}", f"kernel{w.kernel_h}x{w.kernel_w}"]
    words += [f"stride{w.stride_h}x{w.stride_w}", "pad" + ".".join(map(str, w[4:8]))]
    return "-".join([*words, f"dilation{w.dilation_h}x{w.dilation_w}"])


every_case = pytest.mark.parametrize("case", CASES, ids=case_name)
few_cases = pytest.mark.parametrize("case", FEW, ids=case_name)


@pytest.fixture(params=BACK_ENDS, ids="-".join)
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
    channels, multiplier, n, hw, w = case
    rng = np.random.default_rng(zlib.crc32(case_name(case).encode()))
    out = channels * multiplier
    extents = (n, *hw, channels), (*w[:2], channels, multiplier), (out,), (n, *shapes.output_size(w, hw), out)
    return tuple(integers(rng, shape) for shape in extents)


@functools.cache
def expected(case):
    """Return what the reference makes of them: out without bias, dx, dkernel, dbias."""
    x, kernel, _, dout = arrays(case)
    return (
        reference.depthwise_conv2d(x, kernel, None, case[4]),
        reference.depthwise_conv2d_backward_input(dout, kernel, case[4], case[3]),
        reference.depthwise_conv2d_backward_kernel(x, dout, case[4]),
        reference.bias_gradient(dout),
    )


def cast(arrays, dtype):
    return (array.astype(dtype) for array in arrays)


def buffer(array):
    return None if array is None else Buffer.of(np.ascontiguousarray(array))


def forward(steps, case, x, kernel, bias, activation="linear"):
    out = np.full(arrays(case)[3].shape, np.nan, x.dtype)
    step = steps.DepthwiseConv2DForward
    run_step(step(buffer(x), buffer(kernel), buffer(bias), Buffer.of(out), case[4], activation))
    return out


def backward_input(steps, case, dout, kernel, activation="linear", y=None):
    dx = np.full(arrays(case)[0].shape, np.nan, dout.dtype)
    step = steps.DepthwiseConv2DBackwardInput
    run_step(step(buffer(dout), buffer(kernel), Buffer.of(dx), case[4], activation, buffer(y)))
    return dx


def backward_kernel(steps, case, x, dout, with_bias=True):
    dkernel, dbias = (np.full(arrays(case)[i].shape, np.nan, x.dtype) for i in (1, 2))
    dbias = dbias if with_bias else None
    step = steps.DepthwiseConv2DBackwardKernel
    run_step(step(buffer(x), buffer(dout), Buffer.of(dkernel), buffer(dbias), case[4]))
    return dkernel, dbias


@every_case
def test_forward_is_exact(back_end, case):
    steps, dtype = back_end
    x, kernel, bias, _ = cast(arrays(case), dtype)
    out = expected(case)[0]
    assert_same(forward(steps, case, x, kernel, None), out.astype(dtype))
    relu = reference.activation(out + bias, "relu")
    assert_same(forward(steps, case, x, kernel, bias, "relu"), relu.astype(dtype))


@every_case
def test_backward_input_is_exact(back_end, case):
    steps, dtype = back_end
    x, kernel, _, dout = cast(arrays(case), dtype)
    dx = expected(case)[1]
    assert_same(backward_input(steps, case, dout, kernel), dx.astype(dtype))
    relu = dx * reference.activation_derivative(x, "relu")
    assert_same(backward_input(steps, case, dout, kernel, "relu", x), relu.astype(dtype))


@every_case
def test_backward_kernel_is_exact(back_end, case):
    steps, dtype = back_end
    x, _, _, dout = cast(arrays(case), dtype)
    dkernel, dbias = backward_kernel(steps, case, x, dout)
    assert_same(dkernel, expected(case)[2].astype(dtype))
    assert_same(dbias, expected(case)[3].astype(dtype))
    assert_same(backward_kernel(steps, case, x, dout, with_bias=False)[0], dkernel)


@few_cases
def test_forward_and_gradients_are_adjoint(back_end, case):
    steps, dtype = back_end
    x, kernel, _, dout = cast(arrays(case), dtype)
    out = forward(steps, case, x, kernel, None)
    dx = backward_input(steps, case, dout, kernel)
    dkernel, _ = backward_kernel(steps, case, x, dout)
    assert_adjoint((out, dout), (x, dx), (kernel, dkernel))


@pytest.mark.parametrize("activation", ("sigmoid", "tanh"))
@few_cases
def test_activations_are_applied_and_chained(back_end, case, activation):
    steps, dtype = back_end
    x, kernel, bias, dout = cast(arrays(case), dtype)
    scale = np.dtype(dtype).type(2**-7)  # still exact, and small enough for curved activations
    out = forward(steps, case, x, kernel * scale, bias * scale, activation)
    exact = reference.activation((expected(case)[0] + bias) * scale, activation)
    # Sums are exact; the activation alone rounds, by a few units in the last place.
    assert_within_rounding(out, exact, np.abs(exact), 8)
    dx = backward_input(steps, case, dout, kernel, activation, x / 8)
    # With eighths the derivatives are multiples of 1/64: exact as long as the products fit.
    exact = expected(case)[1] * reference.activation_derivative(x / 8, activation)
    assert_within_rounding(dx, exact, np.abs(exact), 1)


@few_cases
def test_real_numbers_stay_within_rounding(back_end, case):
    steps, dtype = back_end
    rng = np.random.default_rng(0)
    x, kernel, bias, dout = (rng.standard_normal(array.shape).astype(dtype) for array in arrays(case))
    _, multiplier, n, hw, w = case
    taps, positions = w.kernel_h * w.kernel_w, n * dout.shape[1] * dout.shape[2]
    wide = [array.astype(np.float64 if dtype == "float32" else np.longdouble) for array in (x, kernel, bias, dout)]
    size = [np.abs(array) for array in wide]
    out, magnitude = (reference.depthwise_conv2d(*each[:3], w) for each in (wide, size))
    assert_within_rounding(forward(steps, case, x, kernel, bias), out, magnitude, taps + 1)
    dx, magnitude = (reference.depthwise_conv2d_backward_input(e[3], e[1], w, hw) for e in (wide, size))
    assert_within_rounding(backward_input(steps, case, dout, kernel), dx, magnitude, taps * multiplier)
    exact, magnitude = (reference.depthwise_conv2d_backward_kernel(e[0], e[3], w) for e in (wide, size))
    dkernel, dbias = backward_kernel(steps, case, x, dout)
    assert_within_rounding(dkernel, exact, magnitude, positions)
    assert_within_rounding(dbias, reference.bias_gradient(wide[3]), reference.bias_gradient(size[3]), positions)


def test_a_channel_does_not_see_another(back_end):
    steps, dtype = back_end
    chosen = case(33, 2)
    x, kernel, _, dout = cast(arrays(chosen), dtype)
    x[..., 20], dout[..., 50] = np.inf, np.nan
    others = np.arange(33) != 20
    out, dx = forward(steps, chosen, x, kernel, None), backward_input(steps, chosen, dout, kernel)
    assert np.all(np.isfinite(out.reshape(-1, 33, 2)[:, others]))
    assert np.all(np.isfinite(dx[..., np.arange(33) != 25])) and np.any(np.isnan(dx[..., 25]))
    dkernel, _ = backward_kernel(steps, chosen, x, dout)
    assert np.all(np.isfinite(dkernel[:, :, others & (np.arange(33) != 25)]))
    assert not np.all(np.isfinite(dkernel[:, :, 20]))


@pytest.mark.parametrize("case", [case(130, hw=(17, 19)), case(33, 3, (5, 5), (2, 2), hw=(40, 37))], ids=case_name)
def test_results_do_not_depend_on_threads(back_end, case, threads):
    steps, dtype = back_end
    rng = np.random.default_rng(0)
    x, kernel, bias, dout = (rng.standard_normal(array.shape).astype(dtype) for array in arrays(case))
    results = []
    for count in (1, 2, 5):
        threads(count)
        out, dx = forward(steps, case, x, kernel, bias, "tanh"), backward_input(steps, case, dout, kernel, "tanh", x)
        results.append((out, dx, *backward_kernel(steps, case, x, dout)))
    for others in zip(*results, strict=True):
        assert_same(others[1], others[0])
        assert_same(others[2], others[0])


@pytest.mark.parametrize("at_end", (True, False))
@few_cases
def test_arrays_are_not_overstepped(back_end, case, at_end):
    steps, dtype = back_end
    x, kernel, bias, dout = (Buffer.of(guarded(array, at_end)) for array in cast(arrays(case), dtype))
    y, dx = (Buffer.of(guarded(np.ones(x.shape, dtype), at_end)) for _ in range(2))
    run_step(steps.DepthwiseConv2DForward(x, kernel, bias, dout, case[4], "relu"))
    run_step(steps.DepthwiseConv2DBackwardInput(dout, kernel, dx, case[4], "relu", y))
    run_step(steps.DepthwiseConv2DBackwardKernel(x, dout, kernel, bias, case[4]))
    assert np.all(np.isfinite(np.asarray(kernel)))


def test_no_images_are_no_work(back_end):
    steps, dtype = back_end
    w = shapes.Window(3, 3, 1, 1, 1, 1, 1, 1, 1, 1)
    x, kernel, out = np.empty((0, 5, 6, 20), dtype), np.ones((3, 3, 20, 2), dtype), np.empty((0, 5, 6, 40), dtype)
    run_step(steps.DepthwiseConv2DForward(buffer(x), buffer(kernel), None, buffer(out), w, "linear"))
    run_step(steps.DepthwiseConv2DBackwardInput(buffer(out), buffer(kernel), buffer(x), w, "linear", None))
    run_step(steps.DepthwiseConv2DBackwardKernel(buffer(x), buffer(out), Buffer.of(kernel), None, w))
    assert_same(kernel, np.zeros_like(kernel))
