"""Every operation of the library in NumPy, written to be obviously right and not to be fast.

Each function computes in float64, or in long double where it is given that, and returns that type;
small integers therefore stay exact. Images are (N, IH, IW, IC), kernels (KH, KW, IC, OC), windows
`cycnn.shapes.Window`. The image is padded for real and walked one kernel position at a time.
"""

import numpy as np

EPSILON = 1e-7  # of Keras: probabilities are clipped to [EPSILON, 1 - EPSILON]


def _exact(array):
    array = np.asarray(array)
    return array.astype(np.result_type(array.dtype, np.float64))


def _pad(x, window, value=0.0):
    pads_h, pads_w = (window.pad_top, window.pad_bottom), (window.pad_left, window.pad_right)
    return np.pad(x, ((0, 0), pads_h, pads_w, (0, 0)), constant_values=value)


def _unpad(padded, window, input_hw):
    rows = slice(window.pad_top, window.pad_top + input_hw[0])
    columns = slice(window.pad_left, window.pad_left + input_hw[1])
    return padded[:, rows, columns]


def _padded_zeros(like, channels, window, input_hw):
    """Return zeros for the gradient of a padded image."""
    height = window.pad_top + input_hw[0] + window.pad_bottom
    width = window.pad_left + input_hw[1] + window.pad_right
    return np.zeros((like.shape[0], height, width, channels), like.dtype)


def _count(size, kernel, stride, dilation):
    """Return how often a window fits into a padded size, by trying."""
    span = (kernel - 1) * dilation + 1
    return len([start for start in range(0, size, stride) if start + span <= size])


def _positions(window, padded_hw):
    """Yield (i, j, rows, columns): the padded pixels that kernel element (i, j) meets."""
    kernel_h, kernel_w, stride_h, stride_w, *_, dilation_h, dilation_w = window
    out_h = _count(padded_hw[0], kernel_h, stride_h, dilation_h)
    out_w = _count(padded_hw[1], kernel_w, stride_w, dilation_w)
    for i in range(kernel_h):
        for j in range(kernel_w):
            rows = i * dilation_h + stride_h * np.arange(out_h)
            columns = j * dilation_w + stride_w * np.arange(out_w)
            yield i, j, rows[:, None], columns[None, :]


# --- convolution --------------------------------------------------------------------------------


def conv2d(x, kernel, bias, window):
    """out[y, x, o] = bias[o] + sum_ijc padded[y*s + i*d, x*s + j*d, c] * kernel[i, j, c, o]"""
    padded, kernel = _pad(_exact(x), window), _exact(kernel)
    out = 0.0 if bias is None else _exact(bias)
    for i, j, rows, columns in _positions(window, padded.shape[1:3]):
        out = out + np.einsum("nyxc,co->nyxo", padded[:, rows, columns], kernel[i, j])
    return out


def conv2d_backward_input(dout, kernel, window, input_hw):
    dout, kernel = _exact(dout), _exact(kernel)
    dpadded = _padded_zeros(dout, kernel.shape[2], window, input_hw)
    for i, j, rows, columns in _positions(window, dpadded.shape[1:3]):
        # One kernel element meets each pixel at most once, so += counts every meeting.
        dpadded[:, rows, columns] += np.einsum("nyxo,co->nyxc", dout, kernel[i, j])
    return _unpad(dpadded, window, input_hw)


def conv2d_backward_kernel(x, dout, window):
    padded, dout = _pad(_exact(x), window), _exact(dout)
    shape = (window.kernel_h, window.kernel_w, padded.shape[3], dout.shape[3])
    dkernel = np.zeros(shape, np.result_type(padded, dout))
    for i, j, rows, columns in _positions(window, padded.shape[1:3]):
        dkernel[i, j] = np.einsum("nyxc,nyxo->co", padded[:, rows, columns], dout)
    return dkernel


def depthwise_conv2d(x, kernel, bias, window):
    """out[y, x, c*M + m] = bias[c*M + m] + sum_ij padded[y*s + i*d, x*s + j*d, c] * kernel[i, j, c, m]"""
    padded, kernel = _pad(_exact(x), window), _exact(kernel)
    out = 0.0
    for i, j, rows, columns in _positions(window, padded.shape[1:3]):
        out = out + np.einsum("nyxc,cm->nyxcm", padded[:, rows, columns], kernel[i, j])
    out = out.reshape(*out.shape[:3], -1)
    return out if bias is None else out + _exact(bias)


def depthwise_conv2d_backward_input(dout, kernel, window, input_hw):
    dout, kernel = _exact(dout), _exact(kernel)
    channels, multiplier = kernel.shape[2:]
    dout = dout.reshape(*dout.shape[:3], channels, multiplier)
    dpadded = _padded_zeros(dout, channels, window, input_hw)
    for i, j, rows, columns in _positions(window, dpadded.shape[1:3]):
        dpadded[:, rows, columns] += np.einsum("nyxcm,cm->nyxc", dout, kernel[i, j])
    return _unpad(dpadded, window, input_hw)


def depthwise_conv2d_backward_kernel(x, dout, window):
    padded, dout = _pad(_exact(x), window), _exact(dout)
    channels = padded.shape[3]
    dout = dout.reshape(*dout.shape[:3], channels, -1)
    dkernel = np.zeros((window.kernel_h, window.kernel_w, *dout.shape[3:]), np.result_type(padded, dout))
    for i, j, rows, columns in _positions(window, padded.shape[1:3]):
        dkernel[i, j] = np.einsum("nyxc,nyxcm->cm", padded[:, rows, columns], dout)
    return dkernel


def bias_gradient(dout):
    """Sum over all axes but the last."""
    dout = _exact(dout)
    return dout.reshape(-1, dout.shape[-1]).sum(axis=0)


def dense(x, kernel, bias):
    out = _exact(x) @ _exact(kernel)
    return out if bias is None else out + _exact(bias)


def dense_backward_input(dout, kernel):
    return _exact(dout) @ _exact(kernel).T


def dense_backward_kernel(x, dout):
    return _exact(x).T @ _exact(dout)


# --- pooling ------------------------------------------------------------------------------------


def max_pool2d(x, window):
    """Return the maxima and where in the window they are: the first one in row-major order.

    A NaN counts as the maximum, padding never does.
    """
    padded = _pad(_exact(x), window)
    real = _pad(np.ones(np.shape(x), bool), window, False)
    out = index = None
    for i, j, rows, columns in _positions(window, padded.shape[1:3]):
        values = padded[:, rows, columns]
        if out is None:
            out, index = np.full_like(values, np.nan), np.full(values.shape, -1)
        better = (index < 0) | (values > out) | (np.isnan(values) & ~np.isnan(out))
        better &= real[:, rows, columns]
        out = np.where(better, values, out)
        index = np.where(better, i * window.kernel_w + j, index)
    assert np.all(index >= 0), "a window lies in the padding alone"
    small = window.kernel_h * window.kernel_w <= 256
    return out, index.astype(np.uint8 if small else np.int32)


def max_pool2d_backward(dout, index, window, input_hw):
    dout = _exact(dout)
    dpadded = _padded_zeros(dout, dout.shape[3], window, input_hw)
    for i, j, rows, columns in _positions(window, dpadded.shape[1:3]):
        dpadded[:, rows, columns] += np.where(index == i * window.kernel_w + j, dout, 0.0)
    return _unpad(dpadded, window, input_hw)


def _real_pixels(window, input_hw):
    """Return for each output how many pixels of its window are not padding, (1, OH, OW, 1)."""
    real = _pad(np.ones((1, *input_hw, 1)), window)
    return sum(real[:, rows, columns] for _, _, rows, columns in _positions(window, real.shape[1:3]))


def average_pool2d(x, window):
    padded = _pad(_exact(x), window)
    positions = _positions(window, padded.shape[1:3])
    total = sum(padded[:, rows, columns] for _, _, rows, columns in positions)
    return total / _real_pixels(window, np.shape(x)[1:3])


def average_pool2d_backward(dout, window, input_hw):
    share = _exact(dout) / _real_pixels(window, input_hw)
    dpadded = _padded_zeros(share, share.shape[3], window, input_hw)
    for _, _, rows, columns in _positions(window, dpadded.shape[1:3]):
        dpadded[:, rows, columns] += share
    return _unpad(dpadded, window, input_hw)


# --- activations --------------------------------------------------------------------------------


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _sigmoid(x):
    # exp of a positive number may overflow, so each sign has its own form.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


# name: (the activation of x, its derivative where it has the value y)
ACTIVATIONS = {
    "linear": (lambda x: x, np.ones_like),
    "relu": (lambda x: np.maximum(x, 0), lambda y: np.where(y > 0, 1.0, 0.0)),
    "relu6": (lambda x: np.clip(x, 0, 6), lambda y: np.where((y > 0) & (y < 6), 1.0, 0.0)),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.2 * x), lambda y: np.where(y > 0, 1.0, 0.2)),
    "elu": (_elu, lambda y: np.where(y < 0, y + 1, 1.0)),
    "selu": (
        lambda x: np.where(x > 0, SELU_SCALE * x, SELU_SCALE * SELU_ALPHA * _elu(x)),
        lambda y: np.where(y < 0, y + SELU_SCALE * SELU_ALPHA, SELU_SCALE),
    ),
    "sigmoid": (_sigmoid, lambda y: y * (1 - y)),
    "hard_sigmoid": (lambda x: np.clip(x + 3, 0, 6) / 6, lambda y: np.where((y > 0) & (y < 1), 1 / 6, 0.0)),
    "tanh": (np.tanh, lambda y: 1 - y * y),
    "softplus": (lambda x: np.logaddexp(x, 0), lambda y: -np.expm1(-y)),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda y: (1 - np.abs(y)) ** 2),
    "exponential": (np.exp, lambda y: y),
}


def activation(x, name):
    return ACTIVATIONS[name][0](_exact(x))


def activation_derivative(y, name):
    """Return the derivative at the point where the activation has the value y."""
    y = _exact(y)
    return ACTIVATIONS[name][1](y).astype(y.dtype)


def softmax(x):
    x = _exact(x)
    power = np.exp(x - x.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)


def softmax_backward(dout, y):
    """dx[i] = sum over j of dout[j] * y[j] * ((i == j) - y[i])"""
    dout, y = _exact(dout), _exact(y)
    return y * (dout - (dout * y).sum(axis=-1, keepdims=True))


# --- losses: (loss of each row, gradient of their mean with respect to x) -----------------------


def one_hot(y_true, classes):
    return (np.asarray(y_true)[:, None] == np.arange(classes)[None, :]).astype(np.float64)


def categorical_crossentropy(y_true, x, from_logits):
    y_true, x = _exact(y_true), _exact(x)
    rows = len(x)
    if from_logits:
        shifted = x - x.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        dx = softmax(x) * y_true.sum(axis=-1, keepdims=True) - y_true
        return -(y_true * log_p).sum(axis=-1), dx / rows
    total = x.sum(axis=-1, keepdims=True)
    p = x / total
    clipped = np.clip(p, EPSILON, 1 - EPSILON)
    dp = np.where(clipped == p, -y_true / clipped, 0.0)  # clipping has no slope outside its range
    dx = (dp - (dp * p).sum(axis=-1, keepdims=True)) / total
    return -(y_true * np.log(clipped)).sum(axis=-1), dx / rows


def sparse_categorical_crossentropy(y_true, x, from_logits):
    return categorical_crossentropy(one_hot(y_true, np.shape(x)[-1]), x, from_logits)


def binary_crossentropy(y_true, x, from_logits):
    y_true, x = _exact(y_true), _exact(x)
    if from_logits:
        loss = np.maximum(x, 0) - x * y_true + np.log1p(np.exp(-np.abs(x)))
        dx = activation(x, "sigmoid") - y_true
    else:
        p = np.clip(x, EPSILON, 1 - EPSILON)
        loss = -(y_true * np.log(p) + (1 - y_true) * np.log(1 - p))
        dx = np.where(p == x, (1 - y_true) / (1 - p) - y_true / p, 0.0)
    return loss.mean(axis=-1), dx / x.size


def mean_squared_error(y_true, x):
    difference = _exact(x) - _exact(y_true)
    return (difference**2).mean(axis=-1), 2 * difference / difference.size


# --- normalisation ------------------------------------------------------------------------------


def moments(x, axis):
    """Return the mean and the biased variance over some axes."""
    x = _exact(x)
    return x.mean(axis=axis), x.var(axis=axis)


def group_norm_backward(x, dout, gamma, groups, epsilon):
    """Return dx, dgamma, dbeta of (image, row, channel) normalised over the rows and channels of each group."""
    x, dout = _exact(x), _exact(dout)
    grouped = x.reshape(*x.shape[:2], groups, -1)
    mean, variance = (a[:, None, :, None] for a in moments(grouped, axis=(1, 3)))
    inverse = 1 / np.sqrt(variance + epsilon)
    xhat = (grouped - mean) * inverse
    dxhat = (dout if gamma is None else dout * _exact(gamma)).reshape(xhat.shape)
    sides = dxhat.mean(axis=(1, 3), keepdims=True) + xhat * (dxhat * xhat).mean(axis=(1, 3), keepdims=True)
    dgamma, dbeta = (dout * xhat.reshape(x.shape)).sum(axis=(0, 1)), dout.sum(axis=(0, 1))
    return (inverse * (dxhat - sides)).reshape(x.shape), dgamma, dbeta


def _row_statistics(x, centered, weight, epsilon, limit):
    centers = x.mean(axis=1, keepdims=True) if centered else 0.0
    with np.errstate(divide="ignore"):
        inverse = 1 / np.sqrt(weight * ((x - centers) ** 2).sum(axis=1, keepdims=True) + epsilon)
    return centers, np.minimum(inverse, limit)


def row_norm(x, gamma, beta, centered, weight, epsilon, limit):
    """gamma (x - mean) / sqrt(weight sum (x - mean)^2 + epsilon) + beta, row by row."""
    x = _exact(x)
    centers, inverse = _row_statistics(x, centered, weight, epsilon, limit)
    out = (x - centers) * inverse * (1.0 if gamma is None else _exact(gamma))
    return out + (0.0 if beta is None else _exact(beta))


def row_norm_backward(x, dout, gamma, centered, weight, epsilon, limit):
    """Return dx, dgamma, dbeta of rows that are below the limit."""
    x, dout = _exact(x), _exact(dout)
    centers, inverse = _row_statistics(x, centered, weight, epsilon, limit)
    g = dout * (1.0 if gamma is None else _exact(gamma))
    dx = g - (x - centers) * inverse**2 * weight * (g * (x - centers)).sum(axis=1, keepdims=True)
    if centered:
        dx = dx - g.mean(axis=1, keepdims=True)
    return inverse * dx, (dout * (x - centers) * inverse).sum(axis=0), dout.sum(axis=0)
