"""The operations with groups, depthwise and transposed: values, gradients that are adjoint, and errors."""

import numpy as np
import pytest
import reference
from helpers import assert_adjoint, assert_same, integers

from cycnn import ops, shapes

GEOMETRIES = [
    {},
    {"strides": 2, "padding": "same"},
    {"strides": (2, 1), "dilation_rate": (1, 2)},
]
SPREADS = [{}, {"strides": 2, "padding": "same"}, {"strides": (2, 3), "output_padding": 1}, {"dilation_rate": 2}]
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def drawn(dtype, *shapes):
    rng = np.random.default_rng(7)
    return tuple(integers(rng, shape, dtype) for shape in shapes)


@both_dtypes
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("groups", [2, 3, 6])
def test_groups(geometry, groups, dtype):
    x, kernel, bias = drawn(dtype, (2, 7, 8, 6), (3, 2, 6 // groups, 12), (12,))
    parts = zip(np.split(x, groups, -1), np.split(kernel, groups, -1), np.split(bias, groups), strict=True)
    expected = np.concatenate([ops.conv2d(*part, **geometry) for part in parts], axis=-1)
    assert_same(ops.conv2d(x, kernel, bias, groups=groups, **geometry), expected)
    (dout,) = drawn(dtype, expected.shape)
    dx = ops.conv2d_backward_input(dout, kernel, (7, 8), groups=groups, **geometry)
    dkernel, dbias = ops.conv2d_backward_kernel(x, dout, (3, 2), groups=groups, **geometry)
    assert_adjoint((expected - bias, dout), (x, dx), (kernel, dkernel))
    assert_same(dbias, reference.bias_gradient(dout).astype(dtype))


@both_dtypes
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise(geometry, multiplier, dtype):
    x, kernel, bias = drawn(dtype, (2, 7, 8, 17), (3, 2, 17, multiplier), (17 * multiplier,))
    window = shapes.window("", (3, 2), *arguments(geometry), (7, 8))
    expected = reference.depthwise_conv2d(x, kernel, None, window).astype(dtype)
    assert_same(ops.depthwise_conv2d(x, kernel, **geometry), expected)
    assert_same(ops.depthwise_conv2d(x, kernel, bias, **geometry), expected + bias)
    (dout,) = drawn(dtype, expected.shape)
    dx = ops.depthwise_conv2d_backward_input(dout, kernel, (7, 8), **geometry)
    dkernel, dbias = ops.depthwise_conv2d_backward_kernel(x, dout, (3, 2), **geometry)
    assert_adjoint((expected, dout), (x, dx), (kernel, dkernel))
    assert_same(dbias, reference.bias_gradient(dout).astype(dtype))


def arguments(geometry):
    """Return strides, padding and dilation of a geometry as pairs."""
    strides, dilation = geometry.get("strides", 1), geometry.get("dilation_rate", 1)
    pairs = [value if isinstance(value, tuple) else (value, value) for value in (strides, dilation)]
    return pairs[0], geometry.get("padding", "valid"), pairs[1]


@both_dtypes
@pytest.mark.parametrize("geometry", SPREADS, ids=str)
@pytest.mark.parametrize(("channels", "filters"), [(3, 3), (3, 17), (17, 3), (17, 17)])
def test_transposed(geometry, channels, filters, dtype):
    x, kernel, bias = drawn(dtype, (2, 5, 4, channels), (3, 2, filters, channels), (filters,))
    out = ops.conv2d_transpose(x, kernel, **geometry)
    assert_same(ops.conv2d_transpose(x, kernel, bias, **geometry), out + bias)
    (dout,) = drawn(dtype, out.shape)
    dx = ops.conv2d_transpose_backward_input(dout, kernel, (5, 4), **geometry)
    dkernel, dbias = ops.conv2d_transpose_backward_kernel(x, dout, (3, 2), **geometry)
    assert_adjoint((out, dout), (x, dx), (kernel, dkernel))
    assert_same(dbias, reference.bias_gradient(dout).astype(dtype))
    if "output_padding" not in geometry:  # then it is the transpose of the convolution of the output
        back = ops.conv2d(dout, kernel, **geometry)
        assert_same(dx, back)


@both_dtypes
def test_no_images_give_none(dtype):
    x, dout = np.empty((0, 4, 4, 6), dtype), np.empty((0, 3, 3, 12), dtype)
    kernel = np.ones((2, 2, 6, 2), dtype)
    assert_same(ops.depthwise_conv2d(x, kernel), dout)
    assert_same(ops.depthwise_conv2d_backward_input(dout, kernel, (4, 4)), x)
    assert_same(ops.depthwise_conv2d_backward_kernel(x, dout, 2)[0], np.zeros_like(kernel))
    assert ops.conv2d_transpose(dout, np.ones((2, 2, 6, 12), dtype)).shape == (0, 4, 4, 6)
    assert not np.any(ops.conv2d_transpose_backward_kernel(dout, x, 2)[0])


X, D = np.zeros((1, 4, 4, 6), "float32"), np.zeros((1, 3, 3, 12), "float32")


def kernel_of(*shape):
    return np.zeros(shape, "float32")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: ops.conv2d(X, kernel_of(2, 2, 6, 4), groups=4),
            "conv2d: `groups` must divide the last extent of `x`, 6. Received: groups=4.",
        ),
        (
            lambda: ops.conv2d(X, kernel_of(2, 2, 3, 5), groups=2),
            "conv2d: `groups` must divide the last extent of `kernel`, 5. Received: groups=2.",
        ),
        (
            lambda: ops.conv2d(X, kernel_of(2, 2, 6, 4), groups=2),
            "conv2d: `kernel` must have 3 channels, as `x` has for each group. "
            "Received: x.shape=(1, 4, 4, 6), kernel.shape=(2, 2, 6, 4).",
        ),
        (
            lambda: ops.conv2d_backward_kernel(X, D, 2, groups=0),
            "conv2d_backward_kernel: `groups` must be a positive int. Received: groups=0.",
        ),
        (
            lambda: ops.depthwise_conv2d(X, kernel_of(2, 2, 3, 1)),
            "depthwise_conv2d: `kernel` must have 6 channels, as `x` has. "
            "Received: x.shape=(1, 4, 4, 6), kernel.shape=(2, 2, 3, 1).",
        ),
        (
            lambda: ops.depthwise_conv2d_backward_kernel(X, D[..., :8], 2),
            "depthwise_conv2d_backward_kernel: `dout` must have a positive multiple of the 6 channels of `x`. "
            "Received: dout.shape=(1, 3, 3, 8).",
        ),
        (
            lambda: ops.conv2d_transpose(X, kernel_of(2, 2, 6, 4)),
            "conv2d_transpose: `kernel` must have 6 channels, as `x` has. "
            "Received: x.shape=(1, 4, 4, 6), kernel.shape=(2, 2, 6, 4).",
        ),
        (
            lambda: ops.conv2d_transpose(X, kernel_of(2, 2, 4, 6), output_padding=1),
            "conv2d_transpose: `output_padding` must be less than `strides`=(1, 1). Received: output_padding=1.",
        ),
    ],
    ids=lambda value: value.split("`")[1] if isinstance(value, str) else "",
)
def test_bad_input_gets_one_clear_error(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == words
