"""Maximum and average pooling against the reference: every instruction set, both types, exact."""

import math

import numpy as np
import pytest
import reference
from guard_pages import guarded
from helpers import assert_adjoint, assert_same, integers

from cycnn import _native
from cycnn._native import Buffer, kernels, run_step
from cycnn.shapes import Window, output_size

BACK_ENDS = [(isa, dtype) for isa in _native.supported for dtype in ("float32", "float64")]
CHANNELS = (1, 3, 7, 8, 9, 16, 17, 31, 32, 33, 65)
ACTIVATIONS = ("linear", "relu", "relu6", "elu", "sigmoid", "tanh", "softsign", "exponential")

# name: (height and width of the image, kernel, strides, (top, bottom, left, right) padding)
WINDOWS = {
    "halves": ((6, 8), (2, 2), (2, 2), (0, 0, 0, 0)),
    "halves, odd image": ((7, 9), (2, 2), (2, 2), (0, 0, 0, 0)),
    "halves, same": ((7, 9), (2, 2), (2, 2), (0, 1, 0, 1)),
    "overlapping": ((7, 9), (3, 3), (2, 2), (0, 0, 0, 0)),
    "overlapping, padded": ((8, 6), (3, 3), (2, 2), (1, 1, 1, 1)),
    "stride 1, same": ((5, 6), (3, 3), (1, 1), (1, 1, 1, 1)),
    "stride larger than window": ((9, 11), (2, 1), (3, 4), (0, 0, 0, 0)),
    "asymmetric": ((6, 7), (4, 3), (1, 2), (3, 0, 1, 2)),
    "wide": ((4, 12), (1, 5), (1, 2), (0, 0, 2, 3)),
    "identity": ((3, 4), (1, 1), (1, 1), (0, 0, 0, 0)),
    "one pixel": ((1, 1), (2, 2), (2, 2), (0, 1, 0, 1)),
    "global": ((7, 5), (7, 5), (7, 5), (0, 0, 0, 0)),
    "more than 256 elements": ((20, 19), (17, 18), (2, 1), (0, 0, 0, 0)),
}


@pytest.fixture(params=BACK_ENDS, ids=lambda back_end: "-".join(back_end))
def back_end(request):
    return request.param


@pytest.fixture(params=WINDOWS, ids=lambda name: name.replace(" ", "-"))
def geometry(request):
    """Return the height and width of the images, and the window."""
    hw, kernel, strides, padding = WINDOWS[request.param]
    return hw, Window(*kernel, *strides, *padding, 1, 1)


@pytest.fixture
def threads():
    before = _native.get_num_threads()
    yield _native.set_num_threads
    _native.set_num_threads(before)


def buffer(array):
    return None if array is None else Buffer.of(array)


def unwritten(shape, dtype):
    return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 255, dtype)


def index_dtype(window):
    return "uint8" if window.kernel_h * window.kernel_w <= 256 else "int32"


def pooled_shape(x_shape, window):
    return (x_shape[0], *output_size(window, x_shape[1:3]), x_shape[3])


def max_forward(isa, x, window, keep_index=True):
    shape = pooled_shape(x.shape, window)
    out = unwritten(shape, x.dtype)
    index = unwritten(shape, index_dtype(window)) if keep_index else None
    step = kernels(x.dtype.name, isa).MaxPool2DForward
    run_step(step(buffer(x), buffer(out), buffer(index), window))
    return out, index


def max_backward(isa, dout, index, x_shape, window, activation="linear", y=None):
    dx = unwritten(x_shape, dout.dtype)
    step = kernels(dout.dtype.name, isa).MaxPool2DBackward
    run_step(step(buffer(dout), buffer(index), buffer(dx), window, activation, buffer(y)))
    return dx


def average_forward(isa, x, window):
    out = unwritten(pooled_shape(x.shape, window), x.dtype)
    run_step(kernels(x.dtype.name, isa).AveragePool2DForward(buffer(x), buffer(out), window))
    return out


def average_backward(isa, dout, x_shape, window, activation="linear", y=None):
    dx = unwritten(x_shape, dout.dtype)
    step = kernels(dout.dtype.name, isa).AveragePool2DBackward
    run_step(step(buffer(dout), buffer(dx), window, activation, buffer(y)))
    return dx


def divisible(rng, shape, window, dtype):
    """Return small multiples of every number of real pixels that a window can have."""
    if sum(window[4:8]) == 0:
        multiple = window.kernel_h * window.kernel_w
    else:
        multiple = math.lcm(*range(1, window.kernel_h + 1)) * math.lcm(*range(1, window.kernel_w + 1))
    return integers(rng, shape, dtype) * np.dtype(dtype).type(multiple)


# --- maximum ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", CHANNELS)
def test_max_forward_is_exact(back_end, geometry, channels):
    isa, dtype = back_end
    hw, window = geometry
    x = integers(np.random.default_rng(channels), (3, *hw, channels), dtype)  # many ties
    out, index = max_forward(isa, x, window)
    expected, expected_index = reference.max_pool2d(x, window)
    assert_same(out, expected.astype(dtype))
    assert_same(index, expected_index)
    assert_same(max_forward(isa, x, window, keep_index=False)[0], out)


@pytest.mark.parametrize("channels", CHANNELS)
def test_max_backward_is_exact(back_end, geometry, channels):
    isa, dtype = back_end
    hw, window = geometry
    rng = np.random.default_rng(channels)
    x = integers(rng, (3, *hw, channels), dtype)
    y, index = reference.max_pool2d(x, window)
    y = y.astype(dtype)
    dout = integers(rng, y.shape, dtype)
    for activation in ACTIVATIONS:
        # The derivatives are polynomials in y, so they are small integers too.
        chained = dout * reference.activation_derivative(y, activation)
        expected = reference.max_pool2d_backward(chained, index, window, hw)
        dx = max_backward(isa, dout, index, x.shape, window, activation, y)
        assert_same(dx, expected.astype(dtype))
    assert_same(
        max_backward(isa, dout, index, x.shape, window), max_backward(isa, dout, index, x.shape, window, "linear", y)
    )


@pytest.mark.parametrize("channels", (1, 7, 16, 33))
def test_max_takes_the_first_nan(back_end, geometry, channels):
    isa, dtype = back_end
    hw, window = geometry
    rng = np.random.default_rng(channels)
    x = integers(rng, (4, *hw, channels), dtype)
    x[rng.random(x.shape) < 0.2] = np.nan
    out, index = max_forward(isa, x, window)
    expected, expected_index = reference.max_pool2d(x, window)
    np.testing.assert_array_equal(out, expected.astype(dtype))
    assert_same(index, expected_index)


def test_max_of_minus_infinity_is_the_first_real_pixel(back_end, geometry):
    isa, dtype = back_end
    hw, window = geometry
    x = np.full((1, *hw, 9), -np.inf, dtype)
    out, index = max_forward(isa, x, window)
    assert_same(out, np.full_like(out, -np.inf))
    assert_same(index, reference.max_pool2d(x, window)[1])


def test_max_backward_keeps_a_bad_gradient_to_its_maximum(back_end):
    isa, dtype = back_end
    window = Window(2, 2, 2, 2, 0, 0, 0, 0, 1, 1)
    index = np.array([3, 0], "uint8").reshape(1, 1, 2, 1)
    dout = np.array([np.nan, np.inf], dtype).reshape(1, 1, 2, 1)
    dx = max_backward(isa, dout, index, (1, 2, 4, 1), window)
    expected = np.array([[0, 0, np.inf, 0], [0, np.nan, 0, 0]], dtype)
    np.testing.assert_array_equal(dx[0, :, :, 0], expected)


# --- average ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", CHANNELS)
def test_average_forward_is_exact(back_end, geometry, channels):
    isa, dtype = back_end
    hw, window = geometry
    x = integers(np.random.default_rng(channels), (3, *hw, channels), dtype)
    # The sums are exact and a quotient of float32 numbers rounds the same by way of float64.
    assert_same(average_forward(isa, x, window), reference.average_pool2d(x, window).astype(dtype))


@pytest.mark.parametrize("channels", CHANNELS)
def test_average_backward_is_exact(back_end, geometry, channels):
    isa, dtype = back_end
    hw, window = geometry
    rng = np.random.default_rng(channels)
    shape = (3, *hw, channels)
    dout = divisible(rng, pooled_shape(shape, window), window, dtype)
    y = integers(rng, shape, dtype)
    linear = reference.average_pool2d_backward(dout, window, hw)
    assert_same(average_backward(isa, dout, shape, window), linear.astype(dtype))
    for activation in ACTIVATIONS:
        expected = linear * reference.activation_derivative(y, activation)
        dx = average_backward(isa, dout, shape, window, activation, y)
        assert_same(dx, expected.astype(dtype))


# --- both ------------------------------------------------------------------------------------------


def test_backward_is_the_adjoint_of_forward(back_end, geometry):
    isa, dtype = back_end
    hw, window = geometry
    rng = np.random.default_rng(0)
    x = integers(rng, (2, *hw, 9), dtype)
    out, index = max_forward(isa, x, window)
    dout = integers(rng, out.shape, dtype)
    assert_adjoint((out, dout), (x, max_backward(isa, dout, index, x.shape, window)))
    x = divisible(rng, x.shape, window, dtype)
    dout = divisible(rng, out.shape, window, dtype)
    dx = average_backward(isa, dout, x.shape, window)
    assert_adjoint((average_forward(isa, x, window), dout), (x, dx))


@pytest.mark.parametrize("channels", (1, 17, 32))
def test_results_do_not_depend_on_threads(back_end, geometry, threads, channels):
    isa, dtype = back_end
    hw, window = geometry
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2 + 200_000 // (math.prod(hw) * channels), *hw, channels)).astype(dtype)
    dout = rng.standard_normal(pooled_shape(x.shape, window)).astype(dtype)
    results = []
    for count in (1, 2, 5):
        threads(count)
        y, index = max_forward(isa, x, window)
        results.append(
            (
                y,
                index,
                max_backward(isa, dout, index, x.shape, window, "tanh", y),
                average_forward(isa, x, window),
                average_backward(isa, dout, x.shape, window, "tanh", x),
            )
        )
    for others in zip(*results, strict=True):
        assert_same(others[1], others[0])
        assert_same(others[2], others[0])


def test_windows_in_the_padding_alone_yield_zero(back_end):
    isa, dtype = back_end
    window = Window(2, 2, 1, 1, 3, 4, 5, 2, 1, 1)
    x = integers(np.random.default_rng(0), (2, 3, 2, 5), dtype) + 10
    y, index = max_forward(isa, x, window)
    empty = np.ones(y.shape, bool)
    empty[:, 2:6, 4:7] = False  # where a window meets the image
    assert np.all(y[empty] == 0)
    assert np.all(index[empty] == 0)
    assert np.all(y[~empty] > 0)
    average = average_forward(isa, x, window)
    assert np.all(average[empty] == 0)
    assert np.all(average[~empty] > 0)
    dout = np.where(empty, np.nan, 1).astype(dtype)
    assert max_backward(isa, dout, index, x.shape, window).sum() == (~empty).sum()
    assert np.all(np.isfinite(average_backward(isa, dout, x.shape, window)))


@pytest.mark.parametrize("at_end", (True, False))
@pytest.mark.parametrize("channels", (1, 5, 32, 33))
def test_arrays_are_not_overstepped(back_end, geometry, channels, at_end):
    isa, dtype = back_end
    hw, window = geometry
    step = kernels(dtype, isa)
    shape = (2, *hw, channels)
    pooled = pooled_shape(shape, window)
    x, dx, y = (Buffer.of(guarded(np.ones(shape, dtype), at_end)) for _ in range(3))
    out, dout = (Buffer.of(guarded(np.ones(pooled, dtype), at_end)) for _ in range(2))
    index = Buffer.of(guarded(np.zeros(pooled, index_dtype(window)), at_end))
    run_step(step.MaxPool2DForward(x, out, index, window))
    run_step(step.MaxPool2DForward(x, out, None, window))
    run_step(step.MaxPool2DBackward(dout, index, dx, window, "relu", out))
    run_step(step.AveragePool2DForward(x, out, window))
    run_step(step.AveragePool2DBackward(dout, dx, window, "relu", y))
    assert np.all(np.asarray(out) == 1)


def test_no_images_are_no_work(back_end, geometry):
    isa, dtype = back_end
    hw, window = geometry
    x = np.empty((0, *hw, 3), dtype)
    y, index = max_forward(isa, x, window)
    assert max_backward(isa, y, index, x.shape, window).shape == x.shape
    assert average_backward(isa, average_forward(isa, x, window), x.shape, window).shape == x.shape
