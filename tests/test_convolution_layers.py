"""Convolution and pooling layers of all kinds, of images and sequences: what they compute, and their gradients."""

import itertools
import json

import numpy as np
import pytest
import reference
from helpers import assert_same, integers

from cycnn import Input, Sequential, check_gradients, layers
from cycnn.shapes import Window, sequence_window, transposed_window, window

IMAGE, SEQUENCE = (7, 8, 6), (9, 6)


def conv2d(kernel, strides=(1, 1), padding="valid", dilation=(1, 1)):
    def expected(x, weight, bias=None):
        w = window("", kernel, strides, padding, dilation, x.shape[1:3])
        groups = x.shape[3] // weight.shape[2]
        pairs = zip(np.split(x, groups, -1), np.split(weight, groups, -1), strict=True)
        out = np.concatenate([reference.conv2d(a, b, None, w) for a, b in pairs], axis=-1)
        return out if bias is None else out + bias

    return expected


def depthwise2d(kernel, strides=(1, 1), padding="valid", dilation=(1, 1)):
    def expected(x, weight, bias=None):
        w = window("", kernel, strides, padding, dilation, x.shape[1:3])
        return reference.depthwise_conv2d(x, weight, bias, w)

    return expected


def separable2d(*geometry):
    def expected(x, depthwise, pointwise, bias=None):
        between = depthwise2d(*geometry)(x, depthwise)
        return reference.dense(between, pointwise.reshape(pointwise.shape[-2:]), bias)

    return expected


def transposed2d(kernel, strides=(1, 1), padding="valid", output_padding=None, dilation=(1, 1)):
    def expected(x, weight, bias=None):
        w, size = transposed_window("", kernel, strides, padding, output_padding, dilation, x.shape[1:3])
        out = reference.conv2d_backward_input(x, weight, w, size)
        return out if bias is None else out + bias

    return expected


def sequence(of_images):
    """Return the function of sequences that the function of images is, with kernels of one row."""

    def expected(x, *weights):
        rows = [weight if weight.ndim == 1 else weight[None] for weight in weights]
        return of_images(x[:, None], *rows)[:, 0]

    return expected


def pool1d(function, *geometry):
    return lambda x: function(x[:, None], sequence_window("", "", *geometry, 1, x.shape[1]))


# layer, arguments, input shape, expected, shapes of the weights, multiplications for a row of input
CASES = [
    (
        layers.Conv2D,
        {"filters": 4, "kernel_size": 3, "groups": 2},
        IMAGE,
        conv2d((3, 3)),
        [(3, 3, 3, 4), (4,)],
        30 * 108,
    ),
    (
        layers.Conv2D,
        {"filters": 12, "kernel_size": 3, "groups": 6, "strides": 2, "padding": "same", "dilation_rate": (1, 2)},
        IMAGE,
        conv2d((3, 3), (2, 2), "same", (1, 2)),
        [(3, 3, 1, 12), (12,)],
        16 * 108,
    ),
    (layers.Conv1D, {"filters": 5, "kernel_size": 3}, SEQUENCE, sequence(conv2d((1, 3))), [(3, 6, 5), (5,)], 7 * 90),
    (
        layers.Conv1D,
        {"filters": 4, "kernel_size": 2, "strides": 3, "padding": "same", "groups": 2, "use_bias": False},
        SEQUENCE,
        sequence(conv2d((1, 2), (1, 3), "same")),
        [(2, 3, 4)],
        3 * 24,
    ),
    (
        layers.Conv1D,
        {"filters": 2, "kernel_size": 3, "padding": "causal", "dilation_rate": 2, "strides": 2},
        SEQUENCE,
        sequence(conv2d((1, 3), (1, 2), ((0, 0), (4, 0)), (1, 2))),
        [(3, 6, 2), (2,)],
        5 * 36,
    ),
    (layers.DepthwiseConv2D, {"kernel_size": 3}, IMAGE, depthwise2d((3, 3)), [(3, 3, 6, 1), (6,)], 30 * 54),
    (
        layers.DepthwiseConv2D,
        {"kernel_size": (3, 2), "strides": 2, "padding": "same", "depth_multiplier": 2, "use_bias": False},
        IMAGE,
        depthwise2d((3, 2), (2, 2), "same"),
        [(3, 2, 6, 2)],
        16 * 72,
    ),
    (
        layers.DepthwiseConv1D,
        {"kernel_size": 3, "depth_multiplier": 3, "dilation_rate": 2},
        SEQUENCE,
        sequence(depthwise2d((1, 3), dilation=(1, 2))),
        [(3, 6, 3), (18,)],
        5 * 54,
    ),
    (
        layers.SeparableConv2D,
        {"filters": 4, "kernel_size": 3, "padding": "same"},
        IMAGE,
        separable2d((3, 3), (1, 1), "same"),
        [(3, 3, 6, 1), (1, 1, 6, 4), (4,)],
        56 * (54 + 24),
    ),
    (
        layers.SeparableConv2D,
        {"filters": 1, "kernel_size": 2, "strides": 2, "depth_multiplier": 2, "use_bias": False},
        IMAGE,
        separable2d((2, 2), (2, 2)),
        [(2, 2, 6, 2), (1, 1, 12, 1)],
        12 * (48 + 12),
    ),
    (
        layers.SeparableConv1D,
        {"filters": 4, "kernel_size": 3, "depth_multiplier": 2},
        SEQUENCE,
        sequence(separable2d((1, 3))),
        [(3, 6, 2), (1, 12, 4), (4,)],
        7 * (36 + 48),
    ),
    *(
        (
            layers.Conv2DTranspose,
            {"filters": 3, "kernel_size": kernel, "strides": strides, "padding": padding, "output_padding": more},
            IMAGE,
            transposed2d(kernel, strides, padding, more),
            [(*kernel, 3, 6), (3,)],
            56 * kernel[0] * kernel[1] * 18,
        )
        for kernel, strides, padding, more in (
            ((3, 3), (1, 1), "valid", None),
            ((3, 3), (2, 2), "same", None),
            ((2, 3), (3, 2), "valid", None),  # pixels between the windows
            ((4, 3), (3, 2), "same", (1, 0)),
            ((3, 1), (2, 2), "valid", (1, 1)),
        )
    ),
    (
        layers.Conv2DTranspose,
        {"filters": 2, "kernel_size": 3, "dilation_rate": (2, 1), "padding": "same"},
        IMAGE,
        transposed2d((3, 3), (1, 1), "same", None, (2, 1)),
        [(3, 3, 2, 6), (2,)],
        56 * 108,
    ),
    (
        layers.Conv1DTranspose,
        {"filters": 7, "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False},
        SEQUENCE,
        sequence(transposed2d((1, 3), (1, 2), "same")),
        [(3, 7, 6)],
        9 * 126,
    ),
    (layers.MaxPooling1D, {}, SEQUENCE, pool1d(lambda x, w: reference.max_pool2d(x, w)[0][:, 0], 2, 2, "valid"), [], 0),
    (
        layers.MaxPooling1D,
        {"pool_size": 3, "strides": 2, "padding": "same"},
        SEQUENCE,
        pool1d(lambda x, w: reference.max_pool2d(x, w)[0][:, 0], 3, 2, "same"),
        [],
        0,
    ),
    (
        layers.AveragePooling1D,
        {"pool_size": 4, "strides": 1, "padding": "valid"},  # halves and quarters are exact
        SEQUENCE,
        pool1d(lambda x, w: reference.average_pool2d(x, w)[:, 0], 4, 1, "valid"),
        [],
        0,
    ),
    (layers.GlobalMaxPooling1D, {}, SEQUENCE, lambda x: x.max(1), [], 0),
    (layers.GlobalMaxPooling1D, {"keepdims": True}, SEQUENCE, lambda x: x.max(1, keepdims=True), [], 0),
    (layers.GlobalAveragePooling1D, {}, (8, 6), lambda x: x.mean(1), [], 0),
    (layers.GlobalAveragePooling1D, {"keepdims": True}, (8, 6), lambda x: x.mean(1, keepdims=True), [], 0),
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].__name__}-{case[1]}")


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layer_computes_what_it_says(case, dtype):
    kind, arguments, shape, expected, weights, _ = case
    rng = np.random.default_rng(1)
    model = Sequential([Input(shape, dtype=dtype), kind(**arguments, dtype=dtype)])
    assert [weight.shape for weight in model.get_weights()] == weights
    model.set_weights([integers(rng, shape) for shape in weights])
    x = integers(rng, (3, *shape), dtype)
    exact = np.asarray(expected(x.astype("float64"), *(weight.astype("float64") for weight in model.get_weights())))
    assert model.output_shape == (None, *exact.shape[1:])
    assert_same(model.predict(x, verbose=0), exact.astype(dtype))


@every_case
def test_shapes_and_costs_follow_without_building(case):
    kind, arguments, shape, expected, weights, multiply_adds = case
    layer = kind(**arguments)
    out = expected(np.zeros((2, *shape)), *(np.zeros(shape) for shape in weights))
    for batch in (None, 2):
        assert layer.compute_output_shape((batch, *shape)) == (batch, *out.shape[1:])
    assert layer.multiply_adds((None, *shape)) == multiply_adds
    assert layer.variables == []


@every_case
def test_configuration_is_plain_json_and_makes_the_same_layer(case):
    kind, arguments, *_ = case
    layer = kind(**arguments, name="it", trainable=False, dtype="float64")
    config = layer.get_config()
    assert json.loads(json.dumps(config)) == config
    assert set(config) == set(kind.arguments) | {"name", "trainable", "dtype"}
    assert layers.deserialize(layers.serialize(layer)).get_config() == config


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@every_case
def test_gradients_are_those_of_central_differences(case, activation):
    kind, arguments, shape, *_ = case
    first = (
        layers.Conv2D(shape[-1], 1, activation=activation) if len(shape) == 3 else layers.Dense(shape[-1], activation)
    )
    if "use_bias" in kind.arguments:
        arguments = arguments | {"activation": activation}
    model = Sequential([Input(shape), first, kind(**arguments), layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(9)
    model.set_weights(
        [rng.normal(size=weight.shape) for weight in model.get_weights()]
    )  # no bias of 0: relu bends there
    report = check_gradients(model, rng.normal(size=(3, *shape)), rng.uniform(size=(3, 2)))
    assert [check.name for check in report.parameters] == [variable.path for variable in model.weights]
    assert report.worst < 1e-6, report


def test_regularizers_and_constraints_are_kept_with_the_weights():
    layer = layers.SeparableConv2D(
        4, 3, depthwise_regularizer="l1", pointwise_regularizer="l2", bias_regularizer="l1_l2"
    )
    Sequential([Input(IMAGE), layer])
    names = [type(variable.regularizer).__name__ for variable in layer.variables]
    assert names == ["L1", "L2", "L1L2"]
    depthwise = layers.DepthwiseConv2D(3, depthwise_regularizer="l2", activity_regularizer="l1")
    Sequential([Input(IMAGE), depthwise])
    assert type(depthwise.kernel.regularizer).__name__ == "L2" and depthwise.bias.regularizer is None
    assert type(layers.deserialize(layers.serialize(depthwise)).activity_regularizer).__name__ == "L1"


def test_constraints_are_kept_and_described():
    layer = layers.DepthwiseConv2D(3, depthwise_constraint="max_norm", bias_constraint="non_neg")
    Sequential([Input(IMAGE), layer])
    assert [type(variable.constraint).__name__ for variable in layer.variables] == ["MaxNorm", "NonNeg"]
    config = json.loads(json.dumps(layer.get_config()))
    assert config["depthwise_constraint"]["class_name"] == "MaxNorm"
    assert type(layer).from_config(config).get_config() == config


def test_a_built_layer_refuses_other_channels():
    layer = layers.Conv2D(4, 3, groups=2, name="it")
    Sequential([Input(IMAGE), layer])
    with pytest.raises(ValueError, match=r"must have 6 channels, for which the layer was built\. Received: 4 channels"):
        layer.compute_output_shape((None, 7, 8, 4))


def test_the_transpose_of_a_convolution_gives_back_its_size():
    for size, kernel, stride, padding in itertools.product((5, 8), (1, 2, 3, 5), (1, 2, 3), ("valid", "same")):
        w, out = transposed_window("", (kernel, 1), (stride, 1), padding, None, (1, 1), (size, 1))
        assert out[0] == (size * stride if padding == "same" else (size - 1) * stride + max(kernel, stride))
        forward = window("", (kernel, 1), (stride, 1), padding, (1, 1), out)
        assert w.pad_top == forward.pad_top and w[:4] == forward[:4]
    assert isinstance(w, Window)
