"""Activation functions and layers, noise and penalties of activity, against Keras.

Keras computes in float64, and the float32 results are compared with it: values within 1e-6 of themselves where they
are not small, gradients within 1e-5 of the largest.
"""

import json
import zlib

import numpy as np
import pytest
from lowering import run

from cycnn import activations, layers

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]

FUNCTIONS = [
    *(
        (name, {})
        for name in sorted(activations.__all__)
        if name not in ("get", "serialize", "deserialize", "threshold")
    ),
    ("relu", {"negative_slope": 0.3}),
    ("relu", {"max_value": 6}),
    ("relu", {"max_value": 2.5}),
    ("relu", {"threshold": 0.5}),
    ("relu", {"negative_slope": 0.3, "max_value": 2.5, "threshold": 0.5}),
    ("leaky_relu", {"negative_slope": 0.01}),
    ("elu", {"alpha": 0.5}),
    ("celu", {"alpha": 2.0}),
    ("gelu", {"approximate": True}),
    ("squareplus", {"b": 1.0}),
    ("soft_shrink", {"threshold": 1.0}),
    ("hard_shrink", {"threshold": 1.0}),
    ("threshold", {"threshold": 0.5, "default_value": -1.0}),
    ("softmax", {"axis": 1}),
    ("log_softmax", {"axis": 0}),
]
LAYERS = [
    *(("Activation", {"activation": name}) for name, options in FUNCTIONS if not options),
    ("Identity", {}),
    ("ReLU", {}),
    ("ReLU", {"max_value": 6}),
    ("ReLU", {"max_value": 1.5}),
    ("ReLU", {"negative_slope": 0.3}),
    ("ReLU", {"threshold": 0.5}),
    ("ReLU", {"max_value": 6, "negative_slope": 0.1}),
    ("ReLU", {"max_value": 1.5, "negative_slope": 0.3, "threshold": 0.5}),
    ("LeakyReLU", {}),
    ("LeakyReLU", {"negative_slope": 0.01}),
    ("ELU", {}),
    ("ELU", {"alpha": 0.5}),
    ("PReLU", {}),
    ("PReLU", {"shared_axes": [1, 2]}),
    ("PReLU", {"shared_axes": [3]}),
    ("PReLU", {"shared_axes": 1}),
    ("Softmax", {}),
    ("Softmax", {"axis": 1}),
    ("Softmax", {"axis": 0}),
    ("Softmax", {"axis": [1, 2]}),
    ("Softmax", {"axis": [-1]}),
    ("Softmax", {"axis": [3, 1, 2]}),
]
# Of these Keras loses a NaN, which ours hand on.
LOSE_NAN = {"threshold", "soft_shrink", "hard_shrink"}
INF, NAN = float("inf"), float("nan")


def name_of(row):
    name, options = row
    return f"{name}-{json.dumps(options)}" if options else name


def draw(row, shape, scale=2.0):
    rng = np.random.default_rng(zlib.crc32(name_of(row).encode()))
    return (scale * rng.standard_normal((2, *shape))).astype("float32")


def assert_values(actual, expected, name):
    """Assert that values agree within 1e-6 of themselves, or of 0.01 where they are smaller.

    Where a function is a difference of numbers like x, they agree within 1e-6 of these.
    """
    assert actual.shape == expected.shape
    bound = 1e-6 * np.maximum(np.abs(expected), 1 if name in ("log_softmax", "tanh_shrink") else 0.01)
    assert np.all(np.abs(actual - expected) <= bound), np.max(np.abs(actual - expected) / bound)


def assert_close(actual, expected):
    scale = max(np.abs(expected).max(initial=0), 1e-3)
    assert np.abs(actual - expected).max(initial=0) <= 1e-5 * scale


@pytest.mark.parametrize("row", FUNCTIONS, ids=name_of)
def test_functions(keras, row):
    name, options = row
    x, _ = draw(row, (4, 5, 6))
    exact = getattr(keras.activations, name)(keras.ops.convert_to_tensor(x.astype("float64")), **options)
    assert_values(getattr(activations, name)(x, **options), keras.ops.convert_to_numpy(exact), name)


@pytest.mark.parametrize("row", [row for row in FUNCTIONS if "softmax" not in row[0]], ids=name_of)
def test_special_values(keras, row):
    name, options = row
    x = np.array([NAN, INF, -INF, 0, -0.0, 1e-30, -1e-30, 80, -80, 1e10, -1e10, 3, -3, 6, 1, -1, 0.5, -0.5], "float32")
    exact = getattr(keras.activations, name)(keras.ops.convert_to_tensor(x.astype("float64")), **options)
    with np.errstate(over="ignore"):
        expected = keras.ops.convert_to_numpy(exact).astype("float32")
    out = getattr(activations, name)(x, **options)
    loses_nan = name in LOSE_NAN or (name == "relu" and options.get("threshold") and not options.get("negative_slope"))
    assert np.isnan(out[0]) and (loses_nan or np.isnan(expected[0]))
    if name == "squareplus":  # which tends to 0 there, of which Keras makes inf - inf
        assert out[2] == 0 and np.isnan(expected[2])
        expected[2] = 0
    np.testing.assert_allclose(out[1:], expected[1:], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("axis", (0, 1))
@pytest.mark.parametrize("name", ("softmax", "log_softmax"))
def test_special_rows(keras, name, axis):
    x = np.array([[1, -INF, 2, 3], [1e10, 1, -1e10, 5], [80, 80, -80, 0], [-INF, 1, 1, 1]], "float32")
    expected = keras.ops.convert_to_numpy(getattr(keras.activations, name)(keras.ops.convert_to_tensor(x), axis=axis))
    np.testing.assert_allclose(getattr(activations, name)(x, axis=axis), expected, rtol=1e-6)
    x[1, 2] = NAN  # where TensorFlow leaves zeros beside it, our softmax is NaN all along
    expected = keras.ops.convert_to_numpy(getattr(keras.activations, name)(keras.ops.convert_to_tensor(x), axis=axis))
    out = getattr(activations, name)(x, axis=axis)
    assert np.all(np.isnan(np.take(out, 1 if axis else 2, 1 - axis))) and np.isnan(expected[1, 2])


def in_keras(tensorflow, layer, x, dout):
    """Return a layer's output in Keras, and the gradients of sum(output * dout) to x and the weights."""
    value = tensorflow.constant(x, "float64")
    with tensorflow.GradientTape(persistent=True) as tape:
        tape.watch(value)
        out = layer(value)
        total = tensorflow.reduce_sum(out * dout)
    weights = [tape.gradient(total, weight.value).numpy() for weight in layer.trainable_weights]
    return out.numpy(), tape.gradient(total, value).numpy(), weights


@pytest.mark.parametrize("corners", (False, True), ids=("reals", "corners"))
@pytest.mark.parametrize("row", LAYERS, ids=name_of)
def test_layers(keras, tensorflow, row, corners):
    name, options = row
    x, dout = draw(row, (3, 4, 5, 6))
    if corners:
        x = np.round(2 * x) / 2  # where the functions have their corners
    ours, theirs = getattr(layers, name)(**options), getattr(keras.layers, name)(**options, dtype="float64")
    for layer in (ours, theirs):
        layer.build(x.shape)
    assert [v.name for v in ours.variables] == [w.name for w in theirs.weights]
    weights = [draw(row, weight.shape, 0.5)[0] for weight in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    exact, exact_dx, exact_weights = in_keras(tensorflow, theirs, x, dout)
    out, (dx,) = run(ours, x, dout=dout)
    assert_values(out, exact, options.get("activation"))
    doubtful = corners and (name, options) in (
        ("ReLU", {"max_value": 6, "negative_slope": 0.1}),  # at 6 itself
        ("Activation", {"activation": "celu"}),  # where TensorFlow adds two halves up to 2 at 0
    )
    if doubtful:
        dx, exact_dx = (np.where((x == 0) | (x == 6), 0, gradient) for gradient in (dx, exact_dx))
    assert_close(dx, exact_dx)
    for variable, gradient in zip(ours.variables, exact_weights, strict=True):
        axes = tuple(i for i, extent in enumerate((1, *variable.shape)) if extent == 1)
        assert_close(np.sum(dout * np.minimum(x, 0), axis=axes, keepdims=True)[0], gradient)
    clone = type(ours).from_config(json.loads(json.dumps(ours.get_config())))
    clone.build(x.shape)
    clone.set_weights(theirs.get_weights())
    np.testing.assert_array_equal(run(clone, x), out)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ReLU", ()), ("LeakyReLU", ()), ("ELU", ()), ("PReLU", ()), ("Softmax", ()), ("Activation", ("relu",)),
        ("Dropout", (0.5,)), ("AlphaDropout", (0.5,)), ("SpatialDropout1D", (0.5,)), ("SpatialDropout2D", (0.5,)),
        ("GaussianNoise", (0.5,)), ("GaussianDropout", (0.5,)), ("ActivityRegularization", ()),
    ],
)  # fmt: skip
def test_defaults_and_configurations(keras, name, arguments):
    ours, theirs = getattr(layers, name)(*arguments).get_config(), getattr(keras.layers, name)(*arguments).get_config()
    for argument in (ours.keys() & theirs.keys()) - {"name", "dtype"}:
        value, expected = (v["class_name"] if isinstance(v, dict) else v for v in (ours[argument], theirs[argument]))
        assert value == expected, argument
    # Keras's ELU forgets its alpha, its spatial dropout whether it is trained.
    assert ours.keys() - theirs.keys() <= {"alpha"} | ({"trainable"} if "Spatial" in name else set())
    assert theirs.keys() <= ours.keys()


@pytest.mark.parametrize("rate", (0.1, 0.5, 0.8))
@pytest.mark.parametrize("name", ("Dropout", "AlphaDropout"))
def test_dropout_makes_the_same_two_numbers(keras, name, rate):
    """Whatever is dropped, a constant becomes one number or another, each as often as in Keras."""
    x = np.full((300, 400), 2, "float32")
    ours = getattr(layers, name)(rate, seed=1)(x, training=True)
    theirs = keras.ops.convert_to_numpy(getattr(keras.layers, name)(rate, seed=1)(x, training=True))
    values, counts = np.unique(ours, return_counts=True)
    expected, expected_counts = np.unique(np.round(theirs, 4), return_counts=True)
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert np.all(np.abs(counts - expected_counts) < 6 * np.sqrt(2 * x.size * rate * (1 - rate)))


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("Dropout", {"rate": 0.5, "noise_shape": (None, 1, None)}, (40, 5, 60)),
        ("Dropout", {"rate": 0.5, "noise_shape": (1, 5, 60)}, (40, 5, 60)),
        ("SpatialDropout1D", {"rate": 0.5}, (40, 5, 60)),
        ("SpatialDropout2D", {"rate": 0.5}, (40, 3, 4, 60)),
    ],
)
def test_dropout_repeats_its_mask_along_the_same_axes(keras, name, arguments, shape):
    x = np.ones(shape, "float32")
    theirs = keras.ops.convert_to_numpy(getattr(keras.layers, name)(**arguments, seed=1)(x, training=True))
    ours = getattr(layers, name)(**arguments, seed=1)(x, training=True)
    for axis in range(len(shape)):
        repeated = [np.array_equal(out, np.broadcast_to(np.take(out, [0], axis), shape)) for out in (ours, theirs)]
        assert repeated[0] == repeated[1]


@pytest.mark.parametrize(("name", "argument"), [("GaussianNoise", 0.3), ("GaussianDropout", 0.2)])
def test_noise_has_the_same_moments(keras, name, argument):
    x = np.full((500, 600), 3, "float32")
    ours = getattr(layers, name)(argument, seed=1)(x, training=True).astype("float64")
    theirs = keras.ops.convert_to_numpy(getattr(keras.layers, name)(argument, seed=1)(x, training=True))
    for moment in (1, 2, 3, 4):
        samples = [(out.astype("float64") - 3) ** moment for out in (ours, theirs)]
        error = np.sqrt(sum(sample.var() / sample.size for sample in samples))
        assert abs(samples[0].mean() - samples[1].mean()) < 5 * error


def test_penalty_of_activity(keras):
    x, _ = draw(("ActivityRegularization", {}), (6, 5))
    from cycnn import Input, Sequential

    model = Sequential([Input((5,)), layers.ActivityRegularization(0.3, 0.2), layers.Dense(1)])
    model.compile("sgd", "mse")
    theirs = keras.Sequential(
        [keras.layers.Input((5,)), keras.layers.ActivityRegularization(0.3, 0.2), keras.layers.Dense(1)]
    )
    theirs.compile("sgd", "mse")
    theirs.set_weights(model.get_weights())
    y = np.zeros((6, 1), "float32")
    np.testing.assert_allclose(model.train_on_batch(x, y), theirs.train_on_batch(x, y), rtol=1e-5)
