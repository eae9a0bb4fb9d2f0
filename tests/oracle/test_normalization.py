"""Normalisation layers against Keras: outputs, all gradients, moving averages, configurations and weights.

Keras computes in float64, and the float32 results are compared with it.
"""

import json
import zlib

import numpy as np
import pytest

from cycnn import layers
from cycnn._native import Program, kernels
from cycnn.program import Graph
from cycnn.program.emission import Emission
from cycnn.program.value import Value

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]

# class, arguments, shape with the batch, training
ROWS = [
    *(
        ("BatchNormalization", arguments, shape, training)
        for training in (True, False)
        for arguments, shape in (
            ({}, (8, 5)),
            ({}, (64, 130)),
            ({}, (3, 7, 4)),
            ({}, (4, 6, 5, 3)),
            ({}, (2, 9, 9, 32)),
            ({}, (5, 8, 8, 1)),
            ({"scale": False}, (4, 6, 5, 3)),
            ({"center": False}, (4, 6, 5, 3)),
            ({"scale": False, "center": False}, (6, 17)),
            ({"epsilon": 0.1, "momentum": 0.7}, (4, 3, 3, 8)),
            ({"momentum": 0.0}, (9, 16)),
            ({"axis": 3}, (2, 5, 4, 6)),
            ({"trainable": False}, (4, 6, 5, 3)),
        )
    ),
    *(
        ("LayerNormalization", arguments, shape, False)
        for arguments, shape in (
            ({}, (8, 5)),
            ({}, (3, 2)),  # with one number in a row, all that is left of dx is rounding
            ({}, (64, 130)),
            ({}, (3, 7, 40)),
            ({}, (2, 6, 5, 3)),
            ({"axis": [1, 2]}, (3, 7, 40)),
            ({"axis": [1, 2, 3]}, (3, 6, 5, 4)),
            ({"axis": [-1, -2]}, (3, 6, 5, 4)),
            ({"scale": False}, (5, 33)),
            ({"center": False}, (5, 33)),
            ({"epsilon": 0.5}, (5, 33)),
        )
    ),
    *(
        ("GroupNormalization", arguments, shape, False)
        for arguments, shape in (
            ({}, (2, 5, 4, 64)),
            ({"groups": 1}, (3, 6, 5, 4)),
            ({"groups": 3}, (3, 6, 5, 12)),
            ({"groups": -1}, (3, 6, 5, 12)),
            ({"groups": 2}, (3, 9, 6)),
            ({"groups": 4}, (7, 20)),
            ({"groups": 4, "scale": False}, (2, 3, 3, 8)),
            ({"groups": 4, "center": False}, (2, 3, 3, 8)),
            ({"groups": 2, "epsilon": 0.2}, (2, 3, 3, 8)),
        )
    ),
    ("RMSNormalization", {}, (8, 5), False),
    ("RMSNormalization", {"epsilon": 0.1}, (3, 6, 40), False),
    ("RMSNormalization", {"axis": [1, 2]}, (3, 6, 40), False),
    ("UnitNormalization", {}, (8, 5), False),
    ("UnitNormalization", {"axis": [1, 2]}, (3, 6, 40), False),
]


def run(layer, x, dout, training):
    """Return the output for x, and the gradients of sum(output * dout) to x and to the parameters."""
    graph = Graph("float32", training)
    value = graph.input(x.shape, "float32")
    value.requires_gradient = True
    out = layer.lower(graph, value)
    emission = Emission(kernels(), True)
    for node in graph.nodes:
        node.forward(emission)
    top = emission.gradients[out.root] = Value(out.shape, "float32")
    for node in reversed(graph.nodes):
        node.backward(emission)
        emission.settle()
    if training:
        emission.emit_last()
    gradients = {
        variable.name: emission.gradient(variable) for variable in layer.variables if variable in emission.gradients
    }
    gradients["x"] = emission.gradient(value)
    for kept in (out, *gradients.values()):
        emission.use(kept)
    emission.outside.update((value, top))
    memory = emission.place()
    # Copies, for the gradient of the input may take the place of the gradient of the output.
    for outside, array in ((value, x.copy()), (top, dout.copy())):
        for buffer in emission.views(outside):
            buffer.bind(array.reshape(buffer.shape))
    Program(emission.steps).run()
    results = {name: np.asarray(emission.buffers[gradient]).copy() for name, gradient in gradients.items()}
    output = np.asarray(emission.buffers[out]).copy()
    del memory
    return output, results


def run_keras(layer, x, dout, training):
    options = {"training": training} if isinstance(layer, keras.layers.BatchNormalization) else {}
    value = tf.constant(x, "float64")
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(value)
        out = layer(value, **options)
        total = tf.reduce_sum(out * dout)
    gradients = {weight.name: tape.gradient(total, weight.value).numpy() for weight in layer.trainable_weights}
    return out.numpy(), gradients | {"x": tape.gradient(total, value).numpy()}


def assert_close(actual, expected, what):
    scale = max(np.abs(expected).max(initial=0), 1e-3)
    error = np.abs(actual - expected).max(initial=0) / scale
    assert error < 1e-5, f"{what}: {error:.2g} of the largest value"


def name_of(row):
    name, arguments, shape, training = row
    mode = "-training" if training else ""
    return f"{name}-{json.dumps(arguments)}-{shape}{mode}"


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_layer_agrees_with_keras(row):
    name, arguments, shape, training = row
    rng = np.random.default_rng(zlib.crc32(name_of(row).encode()))
    ours, theirs = getattr(layers, name)(**arguments), getattr(keras.layers, name)(dtype="float64", **arguments)
    ours.build((None, *shape[1:]))
    theirs.build((None, *shape[1:]))
    assert [v.name for v in ours.variables] == [w.name for w in theirs.weights]
    assert [v.trainable for v in ours.variables] == [w.trainable for w in theirs.weights]
    weights = [(0.5 + rng.random(weight.shape)).astype("float32") for weight in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    for call in range(3 if training else 1):
        x, dout = (call + rng.standard_normal((2, *shape)) * (1 + call)).astype("float32")
        (out, gradients), (exact, exact_gradients) = (
            run(ours, x, dout, training),
            run_keras(theirs, x, dout, training),
        )
        assert_close(out, exact, "output")
        assert gradients.keys() == exact_gradients.keys()
        for which, gradient in gradients.items():
            assert_close(gradient, exact_gradients[which], f"gradient to {which}")
    for variable, weight in zip(ours.variables, theirs.get_weights(), strict=True):
        assert_close(variable.value, weight, variable.name)
    clone = type(ours).from_config(json.loads(json.dumps(ours.get_config())))
    clone.build((None, *shape[1:]))
    clone.set_weights(theirs.get_weights())
    assert_close(run(clone, x, dout, False)[0], run_keras(theirs, x, dout, False)[0], "output of the clone")


@pytest.mark.parametrize(
    "name",
    ("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization"),
)
def test_defaults_are_keras_defaults(name):
    ours, theirs = getattr(layers, name)().get_config(), getattr(keras.layers, name)().get_config()
    assert ours.keys() == theirs.keys()
    for argument in ours.keys() - {"name", "dtype", "axis"}:
        value = theirs[argument]
        expected = value["class_name"] if isinstance(value, dict) else value
        actual = ours[argument]["class_name"] if isinstance(ours[argument], dict) else ours[argument]
        assert actual == expected, argument
