"""The functional API: equal to the reference, adjoint to its gradients, and at home with any array."""

import inspect

import numpy as np
import pytest
import reference
from helpers import assert_adjoint, assert_same, integers

from cycnn import ops, shapes

both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

# image (height, width), channels, filters, kernel, strides, padding, dilation
CONVOLUTIONS = [
    ((5, 6), 1, 1, (1, 1), 1, "valid", 1),
    ((6, 5), 3, 7, (3, 3), 1, "valid", 1),
    ((6, 5), 8, 16, (3, 3), 1, "same", 1),
    ((7, 8), 2, 9, (3, 2), 2, "same", 1),
    ((8, 7), 4, 3, (2, 4), (1, 3), "same", 1),
    ((9, 9), 3, 5, (3, 3), 1, "valid", 2),
    ((9, 8), 2, 17, (3, 2), 1, "same", (2, 3)),
    ((4, 4), 5, 4, (3, 3), 1, 2, 1),
    ((5, 7), 3, 3, (4, 3), 2, ((0, 3), (2, 1)), 1),
    ((8, 8), 2, 4, (2, 2), 3, "valid", 1),
    ((3, 3), 33, 8, (3, 3), 1, "same", 1),
]
# image (height, width), channels, window, strides, padding
POOLINGS = [
    ((6, 6), 3, 2, None, "valid"),
    ((7, 5), 8, 2, None, "valid"),
    ((7, 5), 9, 3, 2, "same"),
    ((8, 9), 1, (2, 3), (3, 1), "valid"),
    ((5, 5), 17, 3, 1, "same"),
    ((6, 4), 2, (3, 2), (2, 2), ((1, 2), (0, 1))),
    ((4, 4), 5, (4, 4), None, "valid"),
    ((20, 20), 2, (17, 17), 1, "valid"),
]


def _convolution(case, rng, dtype):
    hw, channels, filters, kernel_size, strides, padding, dilation = case
    settings = {"strides": strides, "padding": padding, "dilation_rate": dilation}
    pairs = [value if isinstance(value, tuple) else (value, value) for value in (strides, dilation)]
    window = shapes.window("test", kernel_size, pairs[0], padding, pairs[1], hw)
    x = integers(rng, (3, *hw, channels), dtype)
    kernel = integers(rng, (*kernel_size, channels, filters), dtype)
    bias = integers(rng, (filters,), dtype)
    dout = integers(rng, (3, *shapes.output_size(window, hw), filters), dtype)
    return x, kernel, bias, dout, window, settings


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
@both_dtypes
def test_convolution_and_its_gradients_equal_the_reference(case, dtype):
    x, kernel, bias, dout, window, settings = _convolution(case, np.random.default_rng(1), dtype)
    size = x.shape[1:3]
    out = ops.conv2d(x, kernel, **settings)
    assert_same(out, reference.conv2d(x, kernel, None, window).astype(dtype))
    assert_same(ops.conv2d(x, kernel, bias, **settings), out + bias)
    dx = ops.conv2d_backward_input(dout, kernel, size, **settings)
    assert_same(dx, reference.conv2d_backward_input(dout, kernel, window, size).astype(dtype))
    dkernel, dbias = ops.conv2d_backward_kernel(x, dout, kernel.shape[:2], **settings)
    assert_same(dkernel, reference.conv2d_backward_kernel(x, dout, window).astype(dtype))
    assert_same(dbias, reference.bias_gradient(dout).astype(dtype))
    assert_adjoint((out, dout), (x, dx), (kernel, dkernel))


def _pooling(case, rng, dtype):
    hw, channels, size, strides, padding = case
    size_pair = size if isinstance(size, tuple) else (size, size)
    strides_pair = size_pair if strides is None else strides
    strides_pair = strides_pair if isinstance(strides_pair, tuple) else (strides_pair, strides_pair)
    window = shapes.pool_window("test", size_pair, strides_pair, padding, hw)
    x = integers(rng, (2, *hw, channels), dtype)
    dout = integers(rng, (2, *shapes.output_size(window, hw), channels), dtype)
    return x, dout, window, size, {"strides": strides, "padding": padding}


@pytest.mark.parametrize("case", POOLINGS, ids=str)
@both_dtypes
def test_pooling_and_its_gradients_equal_the_reference(case, dtype):
    x, dout, window, size, settings = _pooling(case, np.random.default_rng(2), dtype)
    hw = x.shape[1:3]
    out, index = reference.max_pool2d(x, window)  # ties are frequent among small integers
    assert_same(ops.max_pool2d(x, size, **settings), out.astype(dtype))
    dx = ops.max_pool2d_backward(dout, x, size, **settings)
    assert_same(dx, reference.max_pool2d_backward(dout, index, window, hw).astype(dtype))
    # Divisions by the number of pixels, at most the area of a window, round once for each.
    tolerance = {"rtol": 0, "atol": 8 * 8 * window.kernel_h * window.kernel_w * np.finfo(dtype).eps}
    out = ops.average_pool2d(x, size, **settings)
    np.testing.assert_allclose(out, reference.average_pool2d(x, window), **tolerance)
    dx = ops.average_pool2d_backward(dout, hw, size, **settings)
    np.testing.assert_allclose(dx, reference.average_pool2d_backward(dout, window, hw), **tolerance)
    assert out.dtype == dx.dtype == dtype


@pytest.mark.parametrize("rows", [(), (1,), (7,), (2, 3, 4)], ids=str)
@pytest.mark.parametrize(("channels", "units"), [(1, 1), (5, 3), (16, 33)])
@both_dtypes
def test_dense_and_its_gradients_equal_the_reference(rows, channels, units, dtype):
    rng = np.random.default_rng(3)
    x, kernel = integers(rng, (*rows, channels), dtype), integers(rng, (channels, units), dtype)
    bias, dout = integers(rng, (units,), dtype), integers(rng, (*rows, units), dtype)
    out = ops.dense(x, kernel, bias)
    assert_same(out, reference.dense(x, kernel, bias).astype(dtype))
    dx, dkernel, dbias = ops.dense_backward(dout, x, kernel)
    assert_same(dx, reference.dense_backward_input(dout, kernel).astype(dtype))
    flat_x, flat_dout = x.reshape(-1, channels), dout.reshape(-1, units)
    assert_same(dkernel, reference.dense_backward_kernel(flat_x, flat_dout).astype(dtype))
    assert_same(dbias, reference.bias_gradient(flat_dout).astype(dtype))
    assert_adjoint((ops.dense(x, kernel), dout), (x, dx), (kernel, dkernel))


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "softmax"])
@pytest.mark.parametrize("shape", [(1,), (3, 17), (2, 3, 4, 5)], ids=str)
@both_dtypes
def test_activations_and_their_gradients_follow_the_reference(name, shape, dtype):
    rng = np.random.default_rng(4)
    x, dout = rng.normal(0, 3, shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    out = getattr(ops, name)(x)
    exact = reference.softmax(x) if name == "softmax" else reference.activation(x, name)
    tolerance = {"rtol": 16 * np.finfo(dtype).eps, "atol": 4 * np.finfo(dtype).eps}
    np.testing.assert_allclose(out, exact, **tolerance)
    dx = getattr(ops, f"{name}_backward")(dout, out)
    if name == "softmax":
        exact = reference.softmax_backward(dout, out)
    else:
        exact = dout * reference.activation_derivative(out, name)
    np.testing.assert_allclose(dx, exact, **tolerance)
    assert out.dtype == dx.dtype == dtype


LOSSES = ["sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("rows", [(1,), (9,), (2, 3, 4)], ids=str)
@both_dtypes
def test_crossentropies_and_their_gradients_follow_the_reference(name, from_logits, rows, dtype):
    rng = np.random.default_rng(5)
    y_pred = rng.normal(0, 2, (*rows, 5)).astype(dtype)
    if not from_logits:
        y_pred = ops.sigmoid(y_pred)
    y_true = rng.integers(0, 5, rows) if "sparse" in name else rng.uniform(size=(*rows, 5))
    if name == "categorical_crossentropy":
        y_true /= y_true.sum(-1, keepdims=True)
    y_true = y_true if "sparse" in name else y_true.astype(dtype)
    flat_true = y_true.reshape(-1) if "sparse" in name else y_true.reshape(-1, 5)
    exact, gradient = getattr(reference, name)(flat_true, y_pred.reshape(-1, 5), from_logits)
    tolerance = {"rtol": 32 * np.finfo(dtype).eps, "atol": 8 * np.finfo(dtype).eps}
    values = getattr(ops, name)(y_true, y_pred, from_logits=from_logits)
    np.testing.assert_allclose(values, exact.reshape(rows), **tolerance)
    dx = getattr(ops, f"{name}_backward")(y_true, y_pred, from_logits=from_logits)
    np.testing.assert_allclose(dx, gradient.reshape(*rows, 5), **tolerance)
    assert values.dtype == dx.dtype == dtype


@both_dtypes
def test_squared_error_and_its_gradient_are_exact_on_integers(dtype):
    rng = np.random.default_rng(6)
    y_true, y_pred = integers(rng, (8, 4), dtype), integers(rng, (8, 4), dtype)
    values, gradient = reference.mean_squared_error(y_true, y_pred)
    assert_same(ops.mean_squared_error(y_true, y_pred), values.astype(dtype))
    assert_same(ops.mean_squared_error_backward(y_true, y_pred), gradient.astype(dtype))


def test_arrays_of_every_layout_give_the_same_bits():
    rng = np.random.default_rng(7)
    x, kernel = rng.normal(size=(2, 6, 6, 3)).astype("float32"), rng.normal(size=(3, 3, 3, 4)).astype("float32")
    expected = ops.conv2d(x, kernel)
    read_only = x.copy()
    read_only.flags.writeable = False
    swapped = x.astype(">f4")
    for same in (np.asfortranarray(x), np.repeat(x, 2, 0)[::2], x[:, ::-1][:, ::-1], read_only, swapped):
        assert_same(ops.conv2d(same, kernel), expected)
        assert_same(ops.max_pool2d(same), ops.max_pool2d(x))
    assert_same(ops.conv2d(x.tolist(), kernel.tolist()), expected)


def test_arguments_are_only_read():
    x, kernel = np.ones((2, 4, 4, 1), "float32"), np.ones((2, 2, 1, 3), "float32")
    dout = ops.conv2d(x, kernel)
    before = [array.copy() for array in (x, kernel, dout)]
    ops.conv2d_backward_input(dout, kernel, (4, 4))
    ops.conv2d_backward_kernel(x, dout, 2)
    ops.max_pool2d_backward(ops.max_pool2d(x), x)
    ops.softmax_backward(dout, ops.softmax(dout))
    for array, was in zip((x, kernel, dout), before, strict=True):
        assert_same(array, was)


def test_a_batch_of_none_gives_results_of_none():
    x, kernel = np.zeros((0, 5, 5, 2), "float32"), np.ones((3, 3, 2, 4), "float32")
    out = ops.conv2d(x, kernel)
    assert out.shape == (0, 3, 3, 4)
    assert ops.conv2d_backward_input(out, kernel, (5, 5)).shape == (0, 5, 5, 2)
    dkernel, dbias = ops.conv2d_backward_kernel(x, out, 3)
    assert_same(dkernel, np.zeros((3, 3, 2, 4), "float32"))
    assert_same(dbias, np.zeros(4, "float32"))
    pooled = ops.max_pool2d(x)
    assert pooled.shape == ops.average_pool2d(x).shape == (0, 2, 2, 2)
    assert ops.max_pool2d_backward(pooled, x).shape == x.shape
    assert ops.average_pool2d_backward(pooled, (5, 5)).shape == x.shape
    rows = np.zeros((0, 3), "float32")
    assert ops.dense(rows, np.ones((3, 4), "float32")).shape == (0, 4)
    dx, dkernel, dbias = ops.dense_backward(np.zeros((0, 4), "float32"), rows, np.ones((3, 4), "float32"))
    assert dx.shape == (0, 3) and not dkernel.any() and not dbias.any()
    assert ops.softmax(rows).shape == ops.relu(rows).shape == (0, 3)
    assert ops.sparse_categorical_crossentropy(np.zeros(0, int), rows).shape == (0,)
    assert ops.mean_squared_error_backward(rows, rows).shape == (0, 3)


def test_every_operation_is_listed_and_has_the_sections_of_its_docstring():
    for name in ops.__all__:
        text = inspect.getdoc(getattr(ops, name))
        for section in ("Parameters\n---", "Returns\n---", "Raises\n---", "Examples\n---", ">>> "):
            assert section in text, f"{name} lacks {section!r}"
    assert sorted(ops.__all__) == ops.__all__


def test_windows_whose_sizes_multiply_out_of_bounds_are_refused_or_right():
    far = 2**31 - 1
    x, kernel = np.ones((1, 1, 1, 1), "float32"), np.arange(4, dtype="float32").reshape(2, 2, 1, 1)
    options = {"padding": ((far, 0), (far, 0)), "dilation_rate": far}
    with pytest.raises(MemoryError, match="patch"):
        ops.conv2d(x, kernel, **options)
    with pytest.raises(MemoryError, match="patch"):
        ops.conv2d_backward_kernel(x, x, 2, **options)
    assert_same(ops.conv2d_backward_input(x, kernel, (1, 1), **options), 3 * x)  # gathered, without a patch
