"""Convolution and pooling layers against Keras: outputs, all gradients, configurations and weights.

Keras computes in float64, and the float32 results are compared with it.
"""

import json
import zlib

import numpy as np
import pytest
from lowering import run

from cycnn import layers

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]

WIDE, NARROW, LONG = (2, 9, 11, 6), (3, 5, 4, 1), (2, 13, 6)
# class, arguments, shape with the batch
ROWS = [
    *(
        ("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2} | more, WIDE)
        for more in (
            {},
            {"padding": "same", "strides": 2},
            {"padding": "same", "dilation_rate": (2, 3)},
            {"kernel_size": (4, 2), "strides": (2, 1)},
            {"groups": 3, "filters": 9, "kernel_size": 1},
            {"groups": 6, "filters": 12, "padding": "same", "use_bias": False},
            {"groups": 6, "filters": 6, "strides": 2, "activation": "relu"},
            {"activation": "tanh", "padding": "same"},
        )
    ),
    *(
        ("Conv2D", {"filters": 5, "kernel_size": 3} | more, shape)
        for more, shape in (
            ({"padding": "same", "strides": (3, 2), "activation": "relu"}, WIDE),
            ({"kernel_size": (1, 4), "padding": "same", "activation": "softmax"}, WIDE),
            ({"dilation_rate": (1, 2), "use_bias": False}, WIDE),
            ({"padding": "same", "strides": 2}, NARROW),
            ({"filters": 40}, (1, 8, 8, 33)),
        )
    ),
    *(
        ("Conv1D", {"filters": 4, "kernel_size": 3} | more, LONG)
        for more in (
            {},
            {"padding": "same", "strides": 2, "activation": "relu"},
            {"padding": "same", "kernel_size": 4},
            {"padding": "causal"},
            {"padding": "causal", "dilation_rate": 3, "activation": "tanh"},
            {"padding": "causal", "strides": 2},
            {"groups": 2, "dilation_rate": 2},
            {"groups": 6, "filters": 12, "padding": "same", "use_bias": False},
            {"kernel_size": 1, "strides": 3},
            {"kernel_size": 13},
        )
    ),
    *(
        ("DepthwiseConv2D", {"kernel_size": 3} | more, shape)
        for more, shape in (
            ({}, WIDE),
            ({"padding": "same"}, WIDE),
            ({"padding": "same", "strides": 2, "activation": "relu"}, WIDE),
            ({"strides": 3, "depth_multiplier": 2}, WIDE),
            ({"padding": "same", "dilation_rate": 2, "depth_multiplier": 3}, WIDE),
            ({"kernel_size": (2, 5), "padding": "same", "use_bias": False}, WIDE),
            ({"kernel_size": 1, "depth_multiplier": 4}, WIDE),
            ({"padding": "same", "depth_multiplier": 5}, NARROW),
            ({"padding": "same", "strides": 2, "activation": "tanh"}, (2, 14, 13, 64)),
            ({"kernel_size": 5, "depth_multiplier": 2}, (1, 8, 9, 17)),
            ({}, (1, 5, 5, 150)),
        )
    ),
    *(
        ("DepthwiseConv1D", {"kernel_size": 3} | more, LONG)
        for more in (
            {},
            {"padding": "same", "strides": 2, "depth_multiplier": 2},
            {"dilation_rate": 2, "activation": "relu"},
            {"kernel_size": 4, "padding": "same", "depth_multiplier": 3, "use_bias": False},
        )
    ),
    *(
        ("SeparableConv2D", {"filters": 7, "kernel_size": 3} | more, shape)
        for more, shape in (
            ({}, WIDE),
            ({"padding": "same", "strides": 2, "activation": "relu"}, WIDE),
            ({"depth_multiplier": 2, "use_bias": False}, WIDE),
            ({"dilation_rate": 2, "padding": "same", "depth_multiplier": 3}, WIDE),
            ({"kernel_size": (1, 2), "depth_multiplier": 4}, NARROW),
        )
    ),
    *(
        ("SeparableConv1D", {"filters": 5, "kernel_size": 3} | more, LONG)
        for more in (
            {},
            {"padding": "same", "strides": 2, "activation": "tanh"},
            {"depth_multiplier": 2, "dilation_rate": 2, "use_bias": False},
        )
    ),
    *(
        ("Conv2DTranspose", {"filters": 5, "kernel_size": 3} | more, shape)
        for more, shape in (
            ({}, WIDE),
            ({"padding": "same"}, WIDE),
            ({"strides": 2, "padding": "same", "activation": "relu"}, WIDE),
            ({"strides": 2}, WIDE),
            ({"strides": (3, 2), "kernel_size": 2}, WIDE),
            ({"strides": (3, 2), "kernel_size": 2, "padding": "same"}, WIDE),
            ({"strides": 2, "kernel_size": (4, 5), "padding": "same", "use_bias": False}, WIDE),
            ({"strides": 2, "output_padding": 1}, WIDE),
            ({"strides": 3, "output_padding": (0, 2)}, WIDE),
            ({"strides": 2, "output_padding": 1, "padding": "same"}, WIDE),
            ({"strides": 2, "output_padding": 0, "padding": "same"}, WIDE),
            ({"strides": 3, "output_padding": (1, 0), "kernel_size": 5, "padding": "same"}, WIDE),
            ({"kernel_size": 1, "strides": 2}, WIDE),
            ({"filters": 1, "strides": 2, "activation": "tanh"}, NARROW),
            ({"filters": 20, "kernel_size": 4, "strides": 2, "padding": "same"}, (1, 7, 7, 33)),
            # TensorFlow has no dilation here.
        )
    ),
    *(
        ("Conv1DTranspose", {"filters": 5, "kernel_size": 3} | more, LONG)
        for more in (
            {},
            {"strides": 2, "padding": "same", "activation": "relu"},
            {"strides": 3, "kernel_size": 2, "use_bias": False},
            {"strides": 2, "output_padding": 1},
            {"strides": 2, "output_padding": 0, "padding": "same"},
        )
    ),
    *(
        (f"{kind}Pooling1D", more, LONG)
        for kind in ("Max", "Average")
        for more in (
            {"pool_size": 2},
            {"pool_size": 3, "strides": 1},
            {"pool_size": 3, "strides": 2, "padding": "same"},
            {"pool_size": 2, "padding": "same"},
            {"pool_size": 4, "strides": 1, "padding": "same"},
            {"pool_size": 1, "strides": 3},
        )
    ),
    *(
        (f"{kind}Pooling2D", more, WIDE)
        for kind in ("Max", "Average")
        for more in (
            {"pool_size": 2},
            {"pool_size": (2, 3), "strides": 1, "padding": "same"},
            {"pool_size": 3, "strides": 2},
        )
    ),
    *(
        (f"Global{kind}Pooling{len(shape) - 2}D", {"keepdims": keepdims}, shape)
        for kind in ("Max", "Average")
        for shape in (WIDE, LONG)
        for keepdims in (False, True)
    ),
    *(
        ("Dense", {"units": 7} | more, shape)
        for more, shape in (
            ({}, (4, 5)),
            ({"activation": "relu"}, WIDE),
            ({"use_bias": False, "activation": "softmax"}, LONG),
        )
    ),
]
NAMES = sorted({row[0] for row in ROWS})


def name_of(row):
    name, arguments, shape = row
    return f"{name}-{json.dumps(arguments)}-{shape}"


def run_keras(tf, layer, x, dout):
    """Return the output, and the gradients of sum(output * dout) to x and to the weights."""
    value = tf.constant(x, "float64")
    with tf.GradientTape() as tape:
        tape.watch(value)
        out = layer(value)
    sources = [value, *(weight.value for weight in layer.trainable_weights)]
    return out.numpy(), [gradient.numpy() for gradient in tape.gradient(out, sources, tf.constant(dout, "float64"))]


def assert_close(actual, expected, what):
    assert actual.shape == expected.shape, what
    error = np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-3)
    assert error < 1e-5, f"{what}: {error:.2g} of the largest value"


def plain(value):
    """Return an argument of a configuration as both libraries would write it."""
    if isinstance(value, dict):
        return value["class_name"]
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_layer_agrees_with_keras(keras, tensorflow, row):
    name, arguments, shape = row
    rng = np.random.default_rng(zlib.crc32(name_of(row).encode()))
    ours, theirs = getattr(layers, name)(**arguments), getattr(keras.layers, name)(dtype="float64", **arguments)
    for layer in (ours, theirs):
        layer.build(shape)
    assert [v.name for v in ours.variables] == [w.name for w in theirs.weights]
    weights = [rng.standard_normal(weight.shape).astype("float32") for weight in theirs.weights]
    x = rng.standard_normal(shape).astype("float32")
    ours.set_weights(weights)
    theirs.set_weights(weights)
    out_shape = tuple(theirs.compute_output_shape(shape))
    assert ours.compute_output_shape(shape) == out_shape
    dout = rng.standard_normal(out_shape).astype("float32")
    exact, exact_gradients = run_keras(tensorflow, theirs, x, dout)
    out, gradients = run(ours, x, dout=dout, variables=ours.variables)
    assert_close(out, exact, "output")
    for what, *pair in zip(["x", *(v.name for v in ours.variables)], gradients, exact_gradients, strict=True):
        assert_close(*pair, f"gradient to {what}")
    clone = type(ours).from_config(json.loads(json.dumps(ours.get_config())))
    clone.build(shape)
    clone.set_weights(theirs.get_weights())
    assert_close(run(clone, x), exact, "output of the clone")


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_configuration_agrees_with_keras(keras, row):
    name, arguments, _ = row
    ours, theirs = (
        getattr(layers, name)(**arguments).get_config(),
        getattr(keras.layers, name)(**arguments).get_config(),
    )
    others = {"activity_regularizer", "quantization_config"}  # which Keras's Dense leaves out, and ours
    assert ours.keys() - others == theirs.keys() - others
    for argument in (ours.keys() & theirs.keys()) - {"name", "dtype"}:
        assert plain(ours[argument]) == plain(theirs[argument]), argument


def test_every_layer_is_in_the_table():
    assert len(ROWS) >= 60 and len(NAMES) == 17
