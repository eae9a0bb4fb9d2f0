"""Convolution in groups of channels, and transposed, against the reference: every instruction set, exact."""

import functools
import zlib

import numpy as np
import pytest
import reference
from guard_pages import guarded
from helpers import assert_adjoint, assert_same, integers

from cycnn import _native, shapes
from cycnn._native import Buffer, kernels, run_step

BACK_ENDS = [
    (isa, name, dtype)
    for isa in _native.supported
    for name, dtype in (("tiles", "float32"), ("plain", "float32"), ("plain", "float64"))
]
SAME, VALID, ASYMMETRIC = "same", "valid", ((0, 2), (3, 1))


def case(groups, kc, filters, kernel=(3, 3), strides=(1, 1), padding=SAME, dilation=(1, 1), n=2, hw=(7, 8)):
    """Return groups, channels and filters of each, images and a window."""
    return groups, kc, filters, n, hw, shapes.window("Conv2D", kernel, strides, padding, dilation, hw)


CASES = [
    *(case(2, 3, 5, (3, 2), strides, padding) for strides in ((1, 1), (2, 3)) for padding in (SAME, VALID, ASYMMETRIC)),
    *(case(groups, kc, filters) for groups in (2, 3, 8) for kc in (1, 4, 8, 17) for filters in (1, 16, 33)),
    *(case(3, kc, 9, (1, 1), strides) for kc in (2, 64, 128) for strides in ((1, 1), (2, 2))),
    case(4, 8, 8, (3, 3), (1, 1), SAME, (2, 1)),
    case(2, 512, 4, (2, 2), hw=(3, 3)),
    case(32, 4, 4, n=1, hw=(14, 14)),
]
ONE_GROUP = [
    *(
        case(1, kc, filters, (3, 3), strides)
        for kc in (1, 3, 16, 33)
        for filters in (1, 7, 17)
        for strides in ((1, 1), (2, 2))
    ),
    case(1, 9, 8, (2, 2), (4, 5), VALID, hw=(9, 9)),  # pixels that no window meets
    case(1, 3, 4, (2, 2), (4, 5), ((3, 0), (1, 1)), hw=(9, 9)),
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case_name(case))


def case_name(case):
    groups, kc, filters, n, hw, w = case
    words = [f"{groups}x{kc}to{filters}", f"{n}x{hw[0]}x{hw[1]}", f"kernel{w.kernel_h}x{w.kernel_w}"]
    return "-".join([*words, f"stride{w.stride_h}x{w.stride_w}", "pad" + ".".join(map(str, w[4:8]))])


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
    """Return small integers for x, kernel, bias of the filters, bias of the channels and dout."""
    groups, kc, filters, n, hw, w = case
    rng = np.random.default_rng(zlib.crc32(case_name(case).encode()))
    channels, out = groups * kc, groups * filters
    kernel = (w.kernel_h, w.kernel_w, kc, out)
    extents = (n, *hw, channels), kernel, (out,), (channels,), (n, *shapes.output_size(w, hw), out)
    return tuple(integers(rng, shape) for shape in extents)


def parts(groups, *arrays):
    """Return each group's part of the last axis of all arrays."""
    return zip(*(np.split(array, groups, axis=-1) for array in arrays), strict=True)


@functools.cache
def expected(case):
    """Return out without bias, dx, dkernel and dbias: each group on its own."""
    groups, _, _, _, hw, w = case
    x, kernel, _, _, dout = arrays(case)
    out = [reference.conv2d(a, b, None, w) for a, b in parts(groups, x, kernel)]
    dx = [reference.conv2d_backward_input(a, b, w, hw) for a, b in parts(groups, dout, kernel)]
    dkernel = [reference.conv2d_backward_kernel(a, b, w) for a, b in parts(groups, x, dout)]
    return *(np.concatenate(each, axis=-1) for each in (out, dx, dkernel)), reference.bias_gradient(dout)


def cast(arrays, dtype):
    return (array.astype(dtype) for array in arrays)


def buffer(array):
    return None if array is None else Buffer.of(np.ascontiguousarray(array))


def run(step, like, *arguments):
    """Run a step whose result, in the place of None, is like an array; return the result."""
    result = np.full_like(like, np.nan)
    run_step(
        step(*(Buffer.of(result) if a is ... else buffer(a) if isinstance(a, np.ndarray) else a for a in arguments))
    )
    return result


@every_case
def test_forward_is_exact(back_end, case):
    steps, dtype = back_end
    x, kernel, bias, _, dout = cast(arrays(case), dtype)
    out = expected(case)[0]
    assert_same(run(steps.Conv2DForward, dout, x, kernel, None, ..., case[5], "linear"), out.astype(dtype))
    relu = reference.activation(out + bias, "relu").astype(dtype)
    assert_same(run(steps.Conv2DForward, dout, x, kernel, bias, ..., case[5], "relu"), relu)


@every_case
def test_backward_input_is_exact(back_end, case):
    steps, dtype = back_end
    x, kernel, _, _, dout = cast(arrays(case), dtype)
    dx = expected(case)[1]
    assert_same(run(steps.Conv2DBackwardInput, x, dout, kernel, ..., case[5], "linear", None), dx.astype(dtype))
    relu = (dx * reference.activation_derivative(x, "relu")).astype(dtype)
    assert_same(run(steps.Conv2DBackwardInput, x, dout, kernel, ..., case[5], "relu", x), relu)


@every_case
def test_backward_kernel_is_exact(back_end, case):
    steps, dtype = back_end
    x, kernel, bias, _, dout = cast(arrays(case), dtype)
    dbias = Buffer.of(bias)
    dkernel = run(steps.Conv2DBackwardKernel, kernel, x, dout, ..., dbias, case[5])
    assert_same(dkernel, expected(case)[2].astype(dtype))
    assert_same(np.asarray(dbias), expected(case)[3].astype(dtype))
    assert_same(run(steps.Conv2DBackwardKernel, kernel, x, dout, ..., None, case[5]), dkernel)


@pytest.mark.parametrize("case", [*ONE_GROUP, *CASES], ids=case_name)
def test_transpose_is_exact(back_end, case):
    steps, dtype = back_end
    x, kernel, _, bias, dout = cast(arrays(case), dtype)
    out = expected(case)[1] + bias
    step = steps.Conv2DTransposeForward
    assert_same(run(step, x, dout, kernel, bias, ..., case[5], "linear"), out.astype(dtype))
    assert_same(run(step, x, dout, kernel, None, ..., case[5], "linear"), expected(case)[1].astype(dtype))
    relu = reference.activation(out, "relu").astype(dtype)
    assert_same(run(step, x, dout, kernel, bias, ..., case[5], "relu"), relu)


@every_case
def test_forward_and_gradients_are_adjoint(back_end, case):
    steps, dtype = back_end
    x, kernel, _, _, dout = cast(arrays(case), dtype)
    out = run(steps.Conv2DForward, dout, x, kernel, None, ..., case[5], "linear")
    dx = run(steps.Conv2DBackwardInput, x, dout, kernel, ..., case[5], "linear", None)
    dkernel = run(steps.Conv2DBackwardKernel, kernel, x, dout, ..., None, case[5])
    assert_adjoint((out, dout), (x, dx), (kernel, dkernel))


def test_groups_do_not_see_one_another(back_end):
    steps, dtype = back_end
    x, kernel, _, _, dout = cast(arrays(case(3, 4, 5)), dtype)
    x[..., 4:8] = np.inf
    dout[..., 5:10] = np.nan
    window = case(3, 4, 5)[5]
    out = run(steps.Conv2DForward, dout, x, kernel, None, ..., window, "linear")
    dx = run(steps.Conv2DBackwardInput, x, dout, kernel, ..., window, "linear", None)
    dkernel = run(steps.Conv2DBackwardKernel, kernel, x, dout, ..., None, window)
    for result, size in ((out, 5), (dx, 4), (dkernel, 5)):
        assert np.all(np.isfinite(result[..., :size])) and np.all(np.isfinite(result[..., 2 * size :]))
        assert not np.all(np.isfinite(result))


@pytest.mark.parametrize(
    "case", [case(4, 5, 33, hw=(17, 19)), case(16, 4, 4, (5, 5), (2, 2), hw=(20, 20))], ids=case_name
)
def test_results_do_not_depend_on_threads(back_end, case, threads):
    steps, dtype = back_end
    rng = np.random.default_rng(0)
    x, kernel, bias, _, dout = (rng.standard_normal(array.shape).astype(dtype) for array in arrays(case))
    results = []
    for count in (1, 2, 5):
        threads(count)
        out = run(steps.Conv2DForward, dout, x, kernel, bias, ..., case[5], "tanh")
        dx = run(steps.Conv2DBackwardInput, x, dout, kernel, ..., case[5], "tanh", x)
        dbias = Buffer.of(np.empty_like(bias))
        dkernel = run(steps.Conv2DBackwardKernel, kernel, x, dout, ..., dbias, case[5])
        results.append((out, dx, dkernel, np.asarray(dbias)))
    for others in zip(*results, strict=True):
        assert_same(others[1], others[0])
        assert_same(others[2], others[0])


@pytest.mark.parametrize("at_end", (True, False))
@pytest.mark.parametrize("case", CASES[::5], ids=case_name)
def test_arrays_are_not_overstepped(back_end, case, at_end):
    steps, dtype = back_end
    x, kernel, bias, of_x, dout = (Buffer.of(guarded(array, at_end)) for array in cast(arrays(case), dtype))
    w = case[5]
    y, dx = (Buffer.of(guarded(np.ones(x.shape, dtype), at_end)) for _ in range(2))
    run_step(steps.Conv2DForward(x, kernel, bias, dout, w, "relu"))
    run_step(steps.Conv2DBackwardInput(dout, kernel, dx, w, "relu", y))
    run_step(steps.Conv2DTransposeForward(dout, kernel, of_x, dx, w, "relu"))
    run_step(steps.Conv2DBackwardKernel(x, dout, kernel, bias, w))
    assert np.all(np.isfinite(np.asarray(kernel)))


def test_no_images_are_no_work(back_end):
    steps, dtype = back_end
    w = shapes.Window(3, 3, 1, 1, 1, 1, 1, 1, 1, 1)
    x, kernel, dout = np.empty((0, 5, 6, 4), dtype), np.ones((3, 3, 2, 6), dtype), np.empty((0, 5, 6, 6), dtype)
    assert run(steps.Conv2DForward, dout, x, kernel, None, ..., w, "linear").shape == dout.shape
    assert run(steps.Conv2DBackwardInput, x, dout, kernel, ..., w, "linear", None).shape == x.shape
    assert_same(run(steps.Conv2DBackwardKernel, kernel, x, dout, ..., None, w), np.zeros_like(kernel))
