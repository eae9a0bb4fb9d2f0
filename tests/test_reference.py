"""The reference against cases computed by hand, scalar loops, and identities that must hold."""

import itertools

import numpy as np
import pytest
import reference
from helpers import assert_adjoint, assert_same, integers

from cycnn.shapes import Window, output_size, pool_window, window

VALID = Window(2, 2, 1, 1, 0, 0, 0, 0, 1, 1)
IMAGE = np.arange(1.0, 10.0).reshape(1, 3, 3, 1)  # 1 2 3 / 4 5 6 / 7 8 9
KERNEL = np.array([[1.0, 10.0], [100.0, 1000.0]]).reshape(2, 2, 1, 1)

# kernel_size, strides, padding, dilation, input_hw
WINDOWS = [
    ((1, 1), (1, 1), "valid", (1, 1), (3, 4)),
    ((3, 3), (1, 1), "same", (1, 1), (5, 4)),
    ((3, 2), (2, 3), "same", (1, 1), (7, 8)),
    ((2, 3), (3, 2), "valid", (1, 1), (8, 6)),
    ((3, 2), (1, 2), "valid", (2, 3), (6, 7)),
    ((2, 2), (2, 1), ((0, 1), (2, 1)), (1, 1), (4, 3)),
    ((1, 1), (3, 3), "same", (1, 1), (5, 5)),
    ((4, 4), (2, 2), "same", (1, 1), (2, 3)),
]


def image(values):
    return np.array(values, np.float64)[None, :, :, None]


def scalar_conv2d(x, kernel, bias, window, input_hw):
    """The definition, one multiplication at a time, without padding anything."""
    (N, IH, IW, IC), (KH, KW, _, OC) = x.shape, kernel.shape
    OH, OW = output_size(window, input_hw)
    out = np.zeros((N, OH, OW, OC))
    for n, y, xx, o in itertools.product(range(N), range(OH), range(OW), range(OC)):
        out[n, y, xx, o] = bias[o]
        for i, j, c in itertools.product(range(KH), range(KW), range(IC)):
            row = y * window.stride_h - window.pad_top + i * window.dilation_h
            column = xx * window.stride_w - window.pad_left + j * window.dilation_w
            if 0 <= row < IH and 0 <= column < IW:
                out[n, y, xx, o] += x[n, row, column, c] * kernel[i, j, c, o]
    return out


def test_conv2d_by_hand():
    assert_same(
        reference.conv2d(IMAGE, KERNEL, np.array([0.5]), VALID),
        image([[5421.5, 6532.5], [8754.5, 9865.5]]),
    )


def test_conv2d_by_hand_padded_strided_dilated():
    padded = Window(2, 2, 1, 1, 1, 0, 0, 1, 1, 1)
    assert_same(
        reference.conv2d(IMAGE, KERNEL, None, padded),
        image([[2100, 3200, 300], [5421, 6532, 603], [8754, 9865, 906]]),
    )
    strided = Window(1, 2, 2, 1, 0, 0, 0, 0, 1, 1)
    assert_same(reference.conv2d(IMAGE, KERNEL[:1], None, strided), image([[21, 32], [87, 98]]))
    dilated = Window(2, 2, 1, 1, 0, 0, 0, 0, 2, 2)
    assert_same(reference.conv2d(IMAGE, KERNEL, None, dilated), image([[9731]]))


def test_conv2d_gradients_by_hand():
    dout = image([[1, 2], [3, 4]])
    assert_same(
        reference.conv2d_backward_input(dout, KERNEL, VALID, (3, 3)),
        image([[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]]),
    )
    dkernel = reference.conv2d_backward_kernel(IMAGE, dout, VALID)
    assert_same(dkernel[:, :, 0, 0], np.array([[37.0, 47.0], [67.0, 77.0]]))
    assert_same(reference.bias_gradient(dout), np.array([10.0]))


@pytest.mark.parametrize("geometry", WINDOWS, ids=str)
def test_depthwise_is_a_convolution_with_a_block_diagonal_kernel(geometry):
    rng = np.random.default_rng(5)
    w, hw = window("Conv2D", *geometry), geometry[-1]
    x, kernel, bias = integers(rng, (2, *hw, 3)), integers(rng, (*w[:2], 3, 2)), integers(rng, 6)
    dout = integers(rng, (2, *output_size(w, hw), 6))
    dense = np.zeros((*w[:2], 3, 6))
    for c in range(3):
        dense[:, :, c, 2 * c : 2 * c + 2] = kernel[:, :, c]
    assert_same(reference.depthwise_conv2d(x, kernel, bias, w), reference.conv2d(x, dense, bias, w))
    dx = reference.depthwise_conv2d_backward_input(dout, kernel, w, hw)
    assert_same(dx, reference.conv2d_backward_input(dout, dense, w, hw))
    ddense = reference.conv2d_backward_kernel(x, dout, w)
    dkernel = np.stack([ddense[:, :, c, 2 * c : 2 * c + 2] for c in range(3)], axis=2)
    assert_same(reference.depthwise_conv2d_backward_kernel(x, dout, w), dkernel)


@pytest.mark.parametrize("geometry", WINDOWS, ids=str)
def test_conv2d_equals_its_definition(geometry):
    rng = np.random.default_rng(4)
    win, hw = window("Conv2D", *geometry), geometry[-1]
    x, bias = integers(rng, (2, *hw, 3)), integers(rng, 2)
    kernel = integers(rng, (*geometry[0], 3, 2))
    assert_same(reference.conv2d(x, kernel, bias, win), scalar_conv2d(x, kernel, bias, win, hw))


@pytest.mark.parametrize("geometry", WINDOWS, ids=str)
def test_conv2d_gradients_are_adjoint(geometry):
    rng = np.random.default_rng(5)
    win, hw = window("Conv2D", *geometry), geometry[-1]
    x, kernel = integers(rng, (2, *hw, 3)), integers(rng, (*geometry[0], 3, 2))
    out = reference.conv2d(x, kernel, None, win)
    dout = integers(rng, out.shape)
    dx = reference.conv2d_backward_input(dout, kernel, win, hw)
    dkernel = reference.conv2d_backward_kernel(x, dout, win)
    assert dx.shape == x.shape
    assert dkernel.shape == kernel.shape
    assert_adjoint((out, dout), (x, dx), (kernel, dkernel))


def test_conv2d_keeps_long_double():
    x = IMAGE.astype(np.longdouble)
    assert reference.conv2d(x, KERNEL, None, VALID).dtype == np.longdouble
    assert reference.conv2d(IMAGE.astype(np.float32), KERNEL, None, VALID).dtype == np.float64


def test_dense_by_hand():
    x, kernel = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 10.0, 0.0], [100.0, 1.0, -1.0]])
    out = reference.dense(x, kernel, np.array([0.0, 0.0, 7.0]))
    assert_same(out, np.array([[201.0, 12.0, 5.0], [403.0, 34.0, 3.0]]))
    dout = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    assert_same(reference.dense_backward_input(dout, kernel), np.array([[1.0, 98.0], [10.0, 1.0]]))
    assert_same(reference.dense_backward_kernel(x, dout), np.array([[1.0, 3.0, 2.0], [2.0, 4.0, 4.0]]))


def test_max_pool2d_by_hand():
    x = image([[1, 7, 3], [7, 5, 6], [9, 8, 9]])
    out, index = reference.max_pool2d(x, VALID)
    assert_same(out, image([[7, 7], [9, 9]]))
    assert_same(index, image([[1, 0], [2, 3]]).astype(np.uint8))  # the first of equals
    dx = reference.max_pool2d_backward(image([[1, 10], [100, 1000]]), index, VALID, (3, 3))
    assert_same(dx, image([[0, 11, 0], [0, 0, 0], [100, 0, 1000]]))


def test_max_pool2d_never_returns_padding():
    win = Window(2, 2, 2, 2, 1, 0, 1, 0, 1, 1)
    out, index = reference.max_pool2d(image([[-5, -np.inf, -np.inf], [-3, -4, -2], [-1, -6, -7]]), win)
    assert_same(out, image([[-5, -np.inf], [-1, -2]]))
    assert_same(index, image([[3, 2], [3, 1]]).astype(np.uint8))


def test_max_pool2d_passes_nan_on_and_points_to_the_first():
    x = image([[1, 2, 3], [np.nan, np.nan, 6], [7, 8, 9]])
    out, index = reference.max_pool2d(x, VALID)
    assert np.all(np.isnan(out))
    assert_same(index, image([[2, 2], [0, 0]]).astype(np.uint8))


@pytest.mark.parametrize(("size", "dtype"), [((16, 16), np.uint8), ((1, 257), np.int32)])
def test_max_pool2d_index_holds_the_largest_position(size, dtype):
    x = np.zeros((1, *size, 1))
    x[0, -1, -1, 0] = 1
    _, index = reference.max_pool2d(x, pool_window("MaxPooling2D", size, size, "valid", size))
    assert_same(index, np.full((1, 1, 1, 1), size[0] * size[1] - 1, dtype))


def test_average_pool2d_by_hand():
    assert_same(reference.average_pool2d(IMAGE, VALID), image([[3, 4], [6, 7]]))
    padded = Window(2, 2, 2, 2, 1, 0, 1, 0, 1, 1)  # windows of 1, 2, 2 and 4 real pixels
    assert_same(reference.average_pool2d(IMAGE, padded), image([[1, 2.5], [5.5, 7]]))
    dx = reference.average_pool2d_backward(image([[4, 4], [4, 4]]), padded, (3, 3))
    assert_same(dx, image([[4, 2, 2], [2, 1, 1], [2, 1, 1]]))


@pytest.mark.parametrize("geometry", WINDOWS, ids=str)
def test_pooling_gradients_are_adjoint(geometry):
    size, strides, padding, _, hw = geometry
    if padding == ((0, 1), (2, 1)):
        padding = ((0, 1), (1, 1))
    rng = np.random.default_rng(6)
    win = pool_window("MaxPooling2D", size, strides, padding, hw)
    x = integers(rng, (2, *hw, 3))
    out, index = reference.max_pool2d(x, win)
    dout = integers(rng, out.shape)
    assert_adjoint((out, dout), (x, reference.max_pool2d_backward(dout, index, win, hw)))
    average = reference.average_pool2d(x, win)
    dx = reference.average_pool2d_backward(dout, win, hw)
    # Quotients by 3 or 6 round, unlike everything else here.
    assert_adjoint((average, dout), (x, dx), bound=1e-11)


def test_activations_by_hand():
    x = np.array([-800.0, -2.0, 0.0, 0.5, 800.0])
    assert_same(reference.activation(x, "linear"), x)
    assert_same(reference.activation(x, "relu"), np.array([0.0, 0.0, 0.0, 0.5, 800.0]))
    sigmoid = reference.activation(x, "sigmoid")
    np.testing.assert_allclose(sigmoid, [0, 0.1192029220221, 0.5, 0.6224593312018, 1], rtol=1e-12)
    tanh = reference.activation(x, "tanh")
    np.testing.assert_allclose(tanh, [-1, -0.9640275800758, 0, 0.4621171572600, 1], rtol=1e-12)
    assert np.isnan(reference.activation(np.array([np.nan]), "relu"))[0]


def difference(function, x, direction, step=1e-4):
    """Return the slope along a direction by central differences of fourth order."""
    near = function(x + step * direction) - function(x - step * direction)
    far = function(x + 2 * step * direction) - function(x - 2 * step * direction)
    return (8 * near - far) / (12 * step)


@pytest.mark.parametrize("name", ["linear", "relu", "sigmoid", "tanh"])
def test_activation_derivatives_equal_finite_differences(name):
    x = np.array([-3.0, -0.7, 0.2, 1.1, 2.5])
    derivative = reference.activation_derivative(reference.activation(x, name), name)
    quotient = difference(lambda v: reference.activation(v, name), x, np.ones(5))
    np.testing.assert_allclose(derivative, quotient, rtol=0, atol=1e-9)


def test_softmax_by_hand():
    y = reference.softmax(np.array([[0.0, np.log(2.0), np.log(5.0)], [1000.0, 1000.0, -1000.0]]))
    np.testing.assert_allclose(y, [[0.125, 0.25, 0.625], [0.5, 0.5, 0]], rtol=1e-14)


def test_losses_by_hand():
    p = np.array([[0.5, 0.25, 0.25], [0.2, 0.2, 1.6]])  # the second row sums to 2
    losses, dx = reference.sparse_categorical_crossentropy([1, 2], p, from_logits=False)
    np.testing.assert_allclose(losses, [np.log(4), np.log(1.25)], rtol=1e-14)
    np.testing.assert_allclose(dx, [[0.5, -1.5, 0.5], [0.25, 0.25, -0.0625]], rtol=1e-14)
    losses, dx = reference.sparse_categorical_crossentropy([1], np.log(p[:1]), from_logits=True)
    np.testing.assert_allclose(losses, [np.log(4)], rtol=1e-14)
    np.testing.assert_allclose(dx, [[0.5, -0.75, 0.25]], rtol=1e-14)
    losses, dx = reference.binary_crossentropy([[1.0, 0.0]], [[0.5, 0.75]], from_logits=False)
    np.testing.assert_allclose(losses, [np.log(8) / 2], rtol=1e-14)
    np.testing.assert_allclose(dx, [[-1, 2]], rtol=1e-14)
    losses, dx = reference.binary_crossentropy([[1.0, 0.0]], [[0.0, np.log(3)]], from_logits=True)
    np.testing.assert_allclose(losses, [np.log(8) / 2], rtol=1e-14)
    np.testing.assert_allclose(dx, [[-0.25, 0.375]], rtol=1e-14)
    losses, dx = reference.mean_squared_error([[1.0, 2.0], [0.0, 0.0]], [[4.0, 0.0], [1.0, 0.0]])
    assert_same(losses, np.array([6.5, 0.5]))
    assert_same(dx, np.array([[1.5, -1.0], [0.5, 0.0]]))


def test_losses_clip_probabilities():
    """A probability of zero costs -log(1e-7), and has no gradient of its own."""
    losses, dx = reference.categorical_crossentropy([[0.0, 1.0]], [[1.0, 0.0]], from_logits=False)
    np.testing.assert_allclose(losses, [-np.log(1e-7)], rtol=1e-14)
    assert_same(dx, np.zeros((1, 2)))
    losses, dx = reference.binary_crossentropy([[1.0]], [[0.0]], from_logits=False)
    np.testing.assert_allclose(losses, [-np.log(1e-7)], rtol=1e-14)
    assert_same(dx, np.zeros((1, 1)))


CATEGORIES = np.array([0, 3, 1, 3])
SHARES = np.random.default_rng(7).dirichlet(np.ones(4), 4)
LOSSES = {
    "sparse logits": lambda x: reference.sparse_categorical_crossentropy(CATEGORIES, x, True),
    "sparse": lambda x: reference.sparse_categorical_crossentropy(CATEGORIES, x, False),
    "categorical logits": lambda x: reference.categorical_crossentropy(SHARES, x, True),
    "categorical": lambda x: reference.categorical_crossentropy(SHARES, x, False),
    "binary logits": lambda x: reference.binary_crossentropy(SHARES, x, True),
    "binary": lambda x: reference.binary_crossentropy(SHARES, x, False),
    "squares": lambda x: reference.mean_squared_error(SHARES, x),
}


@pytest.mark.parametrize("name", LOSSES)
def test_loss_gradients_equal_finite_differences(name):
    rng = np.random.default_rng(8)
    x, direction = rng.uniform(0.1, 0.9, (4, 4)), rng.standard_normal((4, 4))
    losses, dx = LOSSES[name](x)
    assert losses.shape == (4,)
    quotient = difference(lambda v: LOSSES[name](v)[0].mean(), x, direction)
    np.testing.assert_allclose((dx * direction).sum(), quotient, rtol=1e-8)


def test_softmax_gradient_equals_finite_differences():
    rng = np.random.default_rng(9)
    x, direction, dout = rng.standard_normal((3, 4, 5))
    dx = reference.softmax_backward(dout, reference.softmax(x))
    quotient = difference(lambda v: (reference.softmax(v) * dout).sum(), x, direction)
    np.testing.assert_allclose((dx * direction).sum(), quotient, rtol=1e-8)


# --- normalisation ------------------------------------------------------------------------------


def differences(function, x, dout, step=1e-6):
    """Return the gradient of sum(function(x) * dout) by central differences."""
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += step
        down[place] -= step
        gradient[place] = ((function(up) - function(down)) * dout).sum() / (2 * step)
    return gradient


def test_moments_of_known_numbers():
    mean, variance = reference.moments([[1.0, 2.0], [3.0, 2.0]], axis=0)
    assert mean.tolist() == [2, 2] and variance.tolist() == [1, 0]


def test_group_norm_backward_agrees_with_differences():
    rng = np.random.default_rng(3)
    x, dout, gamma = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 3, 4)), rng.standard_normal(4)

    def normalise(x, gamma=gamma):
        grouped = x.reshape(2, 3, 2, 2)
        centered = grouped - grouped.mean(axis=(1, 3), keepdims=True)
        return (centered / np.sqrt((centered**2).mean(axis=(1, 3), keepdims=True) + 0.1)).reshape(x.shape) * gamma

    dx, dgamma, dbeta = reference.group_norm_backward(x, dout, gamma, 2, 0.1)
    np.testing.assert_allclose(dx, differences(normalise, x, dout), atol=1e-8)
    np.testing.assert_allclose(dgamma, differences(lambda g: normalise(x, g), gamma, dout), atol=1e-8)
    np.testing.assert_allclose(dbeta, dout.sum(axis=(0, 1)))


@pytest.mark.parametrize("centered", (True, False))
def test_row_norm_backward_agrees_with_differences(centered):
    rng = np.random.default_rng(4)
    x, dout, gamma = rng.standard_normal((3, 5)), rng.standard_normal((3, 5)), rng.standard_normal(5)
    options = (centered, 0.2, 0.1, np.inf)
    dx, dgamma, dbeta = reference.row_norm_backward(x, dout, gamma, *options)
    np.testing.assert_allclose(
        dx, differences(lambda x: reference.row_norm(x, gamma, None, *options), x, dout), atol=1e-8
    )
    np.testing.assert_allclose(
        dgamma, differences(lambda g: reference.row_norm(x, g, None, *options), gamma, dout), atol=1e-8
    )
    np.testing.assert_allclose(dbeta, dout.sum(axis=0))
