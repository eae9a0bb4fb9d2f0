"""Activation functions by name, as functions and as layers: values, gradients, configurations, fusion."""

import inspect
import json

import numpy as np
import pytest
import reference
from helpers import assert_same
from lowering import directional_error, run

import cycnn
from cycnn import Input, Sequential, activations, check_gradients, layers, ops
from cycnn.program import nodes

NAMES = sorted(set(activations.__all__) - {"get", "serialize", "deserialize", "threshold"})
FUSED = sorted(set(reference.ACTIVATIONS) - {"linear"})
LAYERS = [
    (layers.ReLU, {}),
    (layers.ReLU, {"max_value": 6}),
    (layers.ReLU, {"max_value": 1.5, "negative_slope": 0.25, "threshold": 0.5}),
    (layers.ReLU, {"negative_slope": 0.1}),
    (layers.ReLU, {"threshold": 0.75}),
    (layers.LeakyReLU, {}),
    (layers.LeakyReLU, {"negative_slope": 0.2}),
    (layers.PReLU, {"alpha_initializer": "random_uniform"}),
    (layers.PReLU, {"alpha_initializer": "random_uniform", "shared_axes": [1, 2]}),
    (layers.PReLU, {"alpha_initializer": "ones", "shared_axes": 3, "alpha_regularizer": "l2"}),
    (layers.PReLU, {"alpha_constraint": "non_neg"}),
    (layers.ELU, {}),
    (layers.ELU, {"alpha": 0.5}),
    (layers.Softmax, {}),
    (layers.Softmax, {"axis": 1}),
    (layers.Softmax, {"axis": [1, 2]}),
    (layers.Softmax, {"axis": [-1, 2, 1]}),
]
every_layer = pytest.mark.parametrize(
    ("cls", "arguments"), LAYERS, ids=lambda value: str(getattr(value, "__name__", value))
)


@pytest.fixture
def rng():
    return np.random.default_rng(20240917)


# --- functions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_names_stand_for_functions(name):
    function = activations.get(name)
    assert function is getattr(activations, name) is activations.get(function)
    assert activations.get(activations.serialize(function)) is function
    assert activations.deserialize(activations.serialize(function)) is function
    assert activations.serialize(function) == {"swish": "silu", "hard_swish": "hard_silu"}.get(name, name)
    assert function.__name__ == activations.serialize(function)
    assert inspect.getdoc(function)


def test_none_is_linear():
    assert activations.get(None) is activations.linear


@pytest.mark.parametrize("name", sorted(reference.ACTIVATIONS))
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_functions_agree_with_numpy(rng, name, dtype):
    x = rng.standard_normal((3, 4, 5)).astype(dtype)
    out = getattr(activations, name)(x)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, reference.activation(x, name), rtol=1e-6 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_functions_take_nothing_and_lists(name):
    function = activations.get(name)
    assert function(np.zeros((0, 3), "float64")).shape == (0, 3)
    assert function([[0.5, 1.0]]).dtype == np.float32
    with pytest.raises(TypeError, match="must be a float32 or float64 array"):
        function([1, 2])


@pytest.mark.parametrize(
    "name", sorted(name for name in ops.__all__ if name in NAMES and f"{name}_backward" in ops.__all__)
)
def test_gradients_agree_with_differences(rng, name):
    x, way, dout = (rng.standard_normal((5, 6)) for _ in range(3))
    function, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    by_out = "out" in inspect.signature(backward).parameters
    dx = backward(dout, function(x) if by_out else x)
    expected = np.sum(dout * (function(x + 1e-6 * way) - function(x - 1e-6 * way))) / 2e-6
    np.testing.assert_allclose(np.sum(dx * way), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "options"),
    [("leaky_relu", {"negative_slope": 0.7}), ("elu", {"alpha": 0.3}), ("gelu", {"approximate": True})],
)
def test_gradients_take_options(rng, name, options):
    x, way, dout = (rng.standard_normal(40) for _ in range(3))
    function = getattr(ops, name)
    dx = getattr(ops, f"{name}_backward")(dout, x, **options)
    expected = np.sum(dout * (function(x + 1e-6 * way, **options) - function(x - 1e-6 * way, **options))) / 2e-6
    np.testing.assert_allclose(np.sum(dx * way), expected, rtol=1e-7)


@pytest.mark.parametrize("axis", (0, 1, -1))
@pytest.mark.parametrize("name", ("softmax", "log_softmax"))
def test_softmax_takes_an_axis(rng, name, axis):
    x, dout = rng.standard_normal((2, 4, 5))
    turned = np.ascontiguousarray(np.swapaxes(x, axis, -1)), np.ascontiguousarray(np.swapaxes(dout, axis, -1))
    function, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    np.testing.assert_allclose(function(x, axis), np.swapaxes(function(turned[0]), axis, -1), rtol=1e-14)
    dx = backward(turned[1], function(turned[0]))
    np.testing.assert_allclose(backward(dout, function(x, axis), axis), np.swapaxes(dx, axis, -1), rtol=1e-12)


# --- layers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_layers_take_names_and_functions(rng, name):
    x = rng.standard_normal((3, 8)).astype("float32")
    dense = layers.Dense(5, activation=name)
    out = dense(x)
    other = layers.Dense.from_config(json.loads(json.dumps(dense.get_config())))
    by_function = layers.Dense(5, activation=activations.get(name))
    linear = layers.Dense(5)
    for layer in (other, by_function, linear):
        layer(x)
        layer.set_weights(dense.get_weights())
    assert_same(other(x), out)
    assert_same(by_function(x), out)
    np.testing.assert_allclose(out, activations.get(name)(linear(x)), rtol=1e-6, atol=1e-7)
    assert_same(layers.Activation(name)(out), activations.get(name)(out))
    assert layers.Activation(name).get_config()["activation"] == activations.serialize(activations.get(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("behind", ("Conv2D", "MaxPooling2D", "AveragePooling2D"))
def test_gradients_of_networks(name, behind):
    """Fused into a convolution, whose output a convolution or a pooling layer chains the derivative of."""
    cycnn.utils.set_random_seed(5)
    last = layers.Conv2D(2, 2) if behind == "Conv2D" else getattr(layers, behind)(2)
    first = layers.Conv2D(5, 3, activation=name), layers.Conv2D(5, 3, activation=name)
    model = Sequential([Input((8, 7, 2)), *first, last, layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(6)
    report = check_gradients(model, rng.standard_normal((3, 8, 7, 2)), rng.standard_normal((3, 2)))
    assert report.worst < 1e-6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("activation", ("linear", "tanh"))
def test_gradient_of_the_input_alone(rng, name, activation):
    x = rng.standard_normal((3, 4, 5))
    assert directional_error(layers.Activation(name, dtype="float64"), x, activation=activation) < 1e-6


@every_layer
def test_gradients_of_layers(cls, arguments):
    cycnn.utils.set_random_seed(5)
    first = layers.Conv2D(5, 3, kernel_initializer="he_normal", activation="tanh")
    stack = first, cls(**arguments), layers.Conv2D(2, 2), layers.Flatten(), layers.Dense(2)
    model = Sequential([Input((8, 7, 2)), *stack])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(6)
    report = check_gradients(model, rng.standard_normal((3, 8, 7, 2)), rng.standard_normal((3, 2)))
    assert report.worst < 1e-6


@every_layer
def test_layers_describe_themselves(rng, cls, arguments):
    x = rng.standard_normal((3, 4, 5, 6)).astype("float32")
    layer = cls(**arguments)
    out = layer(x)
    assert out.shape == layer.compute_output_shape(x.shape) == x.shape
    config = json.loads(json.dumps(layer.get_config()))
    clone = cls.from_config(config)
    clone(x)
    clone.set_weights(layer.get_weights())
    assert clone.get_config() == config
    assert_same(clone(x), out)


def test_relu_takes_all_of_keras_arguments():
    x = np.array([[-1, 0.25, 0.5, 1, 2, 9]], "float32")
    for arguments in ({}, {"max_value": 6.0}, {"negative_slope": 0.5}, {"max_value": 1.5, "threshold": 0.5}):
        assert_same(layers.ReLU(**arguments)(x), activations.relu(x, **arguments))
    out = layers.ReLU(max_value=1.5, negative_slope=0.5, threshold=0.5)(x)
    assert_same(out, np.array([[-0.75, -0.125, 0, 1, 1.5, 1.5]], "float32"))


def test_softmax_over_several_axes_sums_to_one(rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype("float32")
    np.testing.assert_allclose(layers.Softmax(axis=[1, 2])(x).sum(axis=(1, 2)), 1, rtol=1e-6)
    np.testing.assert_allclose(layers.Softmax(axis=(-1, 1, 2))(x).sum(axis=(1, 2, 3)), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("shared_axes", "shape"),
    [(None, (4, 5, 6)), (1, (1, 5, 6)), ([1, 2], (1, 1, 6)), ((3,), (4, 5, 1)), ([1, 2, 3], (1, 1, 1))],
)
def test_slopes_are_shared(rng, shared_axes, shape):
    layer, x = (
        layers.PReLU("random_normal", shared_axes=shared_axes),
        rng.standard_normal((2, 4, 5, 6)).astype("float32"),
    )
    out = layer(x)
    (alpha,) = layer.get_weights()
    assert alpha.shape == shape
    assert_same(out, np.where(x > 0, x, alpha * x))


def test_slopes_keep_to_the_shape_they_were_built_for():
    layer = layers.PReLU()
    layer.build((None, 4))
    with pytest.raises(ValueError, match=r"PReLU: `input_shape` must need slopes of the shape \(4,\)"):
        layer.compute_output_shape((None, 5))


def test_frozen_slopes_are_not_trained(rng):
    x = rng.standard_normal((8, 3)).astype("float32")
    layer = layers.PReLU("ones", trainable=False)
    model = Sequential([Input((3,)), layers.Dense(3), layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], verbose=0)
    assert_same(layer.get_weights()[0], np.ones(3, "float32"))


def test_slopes_are_constrained(rng):
    x = rng.standard_normal((32, 3)).astype("float32")
    layer = layers.PReLU(alpha_constraint="non_neg")
    model = Sequential([Input((3,)), layer])
    model.compile(cycnn.optimizers.SGD(0.5), "mse")
    model.fit(x, np.where(x > 0, x, -x), verbose=0)  # wants slopes of -1
    assert_same(layer.get_weights()[0], np.zeros(3, "float32"))


# --- fusion ----------------------------------------------------------------------------------------


def test_every_function_has_one_kind_of_node():
    assert set(NAMES) == {
        *FUSED,
        *nodes.activations.KEEP_INPUT,
        "linear",
        "softmax",
        "log_softmax",
        "swish",
        "hard_swish",
    }


@pytest.mark.parametrize(
    ("layer", "fused"),
    [
        *((layers.Activation(name), name in FUSED) for name in NAMES if name != "linear"),
        (layers.ReLU(6), True),
        (layers.ReLU(5), False),
        (layers.LeakyReLU(), False),
        (layers.LeakyReLU(0.2), True),
        (layers.ELU(), True),
        (layers.ELU(2.0), False),
        (layers.PReLU(), False),
    ],
    ids=lambda value: str(value.get_config()) if isinstance(value, layers.Layer) else str(value),
)
def test_what_follows_from_the_output_is_fused(rng, layer, fused):
    from test_program import model_of, nodes_of

    (first, *others) = nodes_of(model_of(layers.Dense(3), layer, shape=(4,)), "predict")
    assert first.startswith("Dense+") == fused and bool(others) != fused


@pytest.mark.parametrize("axis", (1, 2))
def test_loss_absorbs_softmax_over_rows_alone(rng, axis):
    x, y = rng.standard_normal((4, 3, 5)).astype("float32"), np.eye(5)[rng.integers(5, size=(4, 3))]
    model = Sequential([Input((3, 5)), layers.Dense(5), layers.Softmax(axis=axis)])
    model.compile("sgd", "categorical_crossentropy")
    p = ops.softmax(model.layers[0](x), axis)
    expected = -np.mean(np.sum(y * np.log(np.clip(p / p.sum(-1, keepdims=True), 1e-7, 1 - 1e-7)), axis=-1))
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), expected, rtol=1e-6)


def test_activation_leaves_its_input_alone(rng):
    x, dout = rng.standard_normal((2, 3, 4)).astype("float32")
    for name in NAMES:
        out, (dx,) = run(layers.Activation(name), x, dout=dout)  # `run` compares x before and after
        assert out.shape == dx.shape == x.shape
