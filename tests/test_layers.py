"""One contract for all layers, from a table; what only some layers do follows."""

import inspect
import json
from dataclasses import dataclass, field

import numpy as np
import pytest
import reference
from helpers import assert_same, integers

from cycnn import Input, Sequential, initializers, layers
from cycnn.shapes import Window


@dataclass
class Case:
    """A layer, and what it must make of an input; `expected(x, *weights)` is what it computes."""

    layer: type
    arguments: dict
    input_shape: tuple
    output_shape: tuple
    expected: object
    weights: list = field(default_factory=list)
    exact: bool = True
    multiply_adds: int = 0

    @property
    def id(self):
        return f"{self.layer.__name__}-{'-'.join(map(str, self.arguments.values()))}"

    def make(self, **more):
        return self.layer(**self.arguments, **more)


def window(kernel, stride=(1, 1), pads=(0, 0, 0, 0), dilation=(1, 1)):
    return Window(*kernel, *stride, *pads, *dilation)


def conv(geometry, activation="linear"):
    def expected(x, kernel, bias=None):
        return reference.activation(reference.conv2d(x, kernel, bias, geometry), activation)

    return expected


IMAGE = (6, 5, 2)
CASES = [
    Case(
        layers.Conv2D,
        {"filters": 3, "kernel_size": 2},
        IMAGE,
        (5, 4, 3),
        conv(window((2, 2))),
        [(2, 2, 2, 3), (3,)],
        multiply_adds=20 * 24,
    ),
    Case(
        layers.Conv2D,
        {"filters": 4, "kernel_size": (3, 2), "strides": 2, "padding": "same", "activation": "relu"},
        IMAGE,
        (3, 3, 4),
        conv(window((3, 2), (2, 2), (0, 1, 0, 1)), "relu"),
        [(3, 2, 2, 4), (4,)],
        multiply_adds=9 * 48,
    ),
    Case(
        layers.Conv2D,
        {"filters": 1, "kernel_size": 3, "padding": ((1, 0), (0, 2)), "dilation_rate": 2, "use_bias": False},
        IMAGE,
        (3, 3, 1),
        conv(window((3, 3), (1, 1), (1, 0, 0, 2), (2, 2))),
        [(3, 3, 2, 1)],
        multiply_adds=9 * 18,
    ),
    Case(
        layers.Conv2D,
        {"filters": 2, "kernel_size": 1, "padding": 1},
        IMAGE,
        (8, 7, 2),
        conv(window((1, 1), (1, 1), (1, 1, 1, 1))),
        [(1, 1, 2, 2), (2,)],
        multiply_adds=56 * 4,
    ),
    Case(
        layers.MaxPooling2D,
        {},
        IMAGE,
        (3, 2, 2),
        lambda x: reference.max_pool2d(x, window((2, 2), (2, 2)))[0],
    ),
    Case(
        layers.MaxPooling2D,
        {"pool_size": 3, "strides": (1, 2), "padding": "same"},
        IMAGE,
        (6, 3, 2),
        lambda x: reference.max_pool2d(x, window((3, 3), (1, 2), (1, 1, 1, 1)))[0],
    ),
    Case(
        layers.AveragePooling2D,
        {"pool_size": (2, 4), "padding": "same"},
        IMAGE,
        (3, 2, 2),
        lambda x: reference.average_pool2d(x, window((2, 4), (2, 4), (0, 0, 1, 2))),
        exact=False,
    ),
    Case(layers.GlobalMaxPooling2D, {}, IMAGE, (2,), lambda x: np.float64(x).max((1, 2))),
    Case(
        layers.GlobalMaxPooling2D,
        {"keepdims": True},
        IMAGE,
        (1, 1, 2),
        lambda x: np.float64(x).max((1, 2), keepdims=True),
    ),
    Case(layers.GlobalAveragePooling2D, {}, IMAGE, (2,), lambda x: np.float64(x).mean((1, 2)), exact=False),
    Case(
        layers.GlobalAveragePooling2D,
        {"keepdims": True},
        IMAGE,
        (1, 1, 2),
        lambda x: np.float64(x).mean((1, 2), keepdims=True),
        exact=False,
    ),
    Case(layers.Flatten, {}, IMAGE, (60,), lambda x: np.float64(x).reshape(len(x), -1)),
    Case(layers.Dense, {"units": 7}, (5,), (7,), reference.dense, [(5, 7), (7,)], multiply_adds=35),
    Case(
        layers.Dense,
        {"units": 3, "use_bias": False, "activation": "relu"},
        IMAGE,
        (6, 5, 3),
        lambda x, kernel: np.maximum(np.float64(x) @ kernel, 0),
        [(2, 3)],
        multiply_adds=180,
    ),
    Case(
        layers.Dense,
        {"units": 4, "activation": "softmax"},
        (3,),
        (4,),
        lambda x, kernel, bias: reference.softmax(reference.dense(x, kernel, bias)),
        [(3, 4), (4,)],
        exact=False,
        multiply_adds=12,
    ),
    Case(layers.Activation, {"activation": "relu"}, IMAGE, IMAGE, lambda x: np.maximum(np.float64(x), 0)),
    Case(layers.Activation, {"activation": "linear"}, IMAGE, IMAGE, np.float64),
    Case(
        layers.Activation,
        {"activation": "sigmoid"},
        IMAGE,
        IMAGE,
        lambda x: reference.activation(x, "sigmoid"),
        exact=False,
    ),
    Case(layers.Activation, {"activation": "tanh"}, IMAGE, IMAGE, lambda x: np.tanh(np.float64(x)), exact=False),
    Case(layers.Activation, {"activation": "softmax"}, IMAGE, IMAGE, reference.softmax, exact=False),
    Case(layers.ReLU, {}, IMAGE, IMAGE, lambda x: np.maximum(np.float64(x), 0)),
    Case(layers.Softmax, {}, (9,), (9,), reference.softmax, exact=False),
    Case(layers.Dropout, {"rate": 0.5, "seed": 3}, IMAGE, IMAGE, np.float64),
    Case(layers.Rescaling, {"scale": 0.5, "offset": -1.0}, IMAGE, IMAGE, lambda x: x * 0.5 - 1.0),
]

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


@every_case
@both_dtypes
def test_layer_computes_what_it_says(case, dtype):
    rng = np.random.default_rng(1)
    layer = case.make(dtype=dtype)
    model = Sequential([Input(case.input_shape, dtype=dtype), layer])
    assert model.output_shape == (None, *case.output_shape)
    assert [weight.shape for weight in model.get_weights()] == case.weights
    model.set_weights([integers(rng, shape) for shape in case.weights])
    x = integers(rng, (3, *case.input_shape), dtype)
    actual = model.predict(x, verbose=0)
    exact = np.asarray(case.expected(x, *model.get_weights()))
    assert actual.dtype == dtype
    if case.exact:
        assert_same(actual, exact.astype(dtype))
    else:  # divisions and exponentials of the two sides round a few times, each in its own way
        np.testing.assert_allclose(actual, exact, rtol=16 * np.finfo(dtype).eps, atol=1e-30)


@every_case
def test_layer_shapes_follow_without_building(case):
    layer = case.make()
    for batch in (None, 1, 32):
        assert layer.compute_output_shape((batch, *case.input_shape)) == (batch, *case.output_shape)
    assert layer.multiply_adds((None, *case.input_shape)) == case.multiply_adds
    assert not layer.built and layer.variables == []


@every_case
def test_configuration_is_plain_json_and_makes_the_same_layer(case):
    layer = case.make(name="it", trainable=False, dtype="float64")
    config = layer.get_config()
    assert json.loads(json.dumps(config)) == config
    assert type(layer).from_config(config).get_config() == config
    own = set(inspect.signature(case.layer.__init__).parameters) if "__init__" in vars(case.layer) else set()
    inherited = set(case.layer.arguments) | {"name", "trainable", "dtype"}
    assert set(config) == (own - {"self", "base"}) | inherited
    assert layers.deserialize(layers.serialize(layer)).get_config() == config
    for name, value in case.arguments.items():
        assert np.all(np.asarray(getattr(layer, name), object) == np.asarray(value, object)), name


@every_case
def test_layers_of_a_model_are_numbered_as_in_keras(case):
    first, second, third = case.make(), case.make(), case.make()
    model = Sequential([first, second, third])
    plain = {"ReLU": "re_lu", "MaxPooling2D": "max_pooling2d", "Conv2D": "conv2d"}
    stem = plain.get(case.layer.__name__, first.name)
    assert [layer.name for layer in model.layers] == [stem, f"{stem}_1", f"{stem}_2"]


@every_case
def test_parameters_have_names_and_can_be_frozen(case):
    layer = case.make(trainable=False)
    model = Sequential([Input(case.input_shape), layer])
    paths = [f"{layer.name}/kernel", f"{layer.name}/bias"][: len(case.weights)]
    assert [variable.path for variable in layer.variables] == paths
    assert model.trainable_variables == []
    layer.trainable = True
    assert model.trainable_variables == layer.variables
    assert layer.count_params() == sum(int(np.prod(shape)) for shape in case.weights)


@every_case
def test_a_copy_in_double_shares_nothing(case):
    model = Sequential([Input(case.input_shape), case.make()])
    double = model.astype("float64")
    assert double.dtype == "float64" and model.dtype == "float32"
    for ours, theirs in zip(model.weights, double.weights, strict=True):
        assert theirs.dtype == "float64" and ours.dtype == "float32"
        assert_same(theirs.value, ours.value.astype("float64"))
        assert not np.shares_memory(ours.value, theirs.value)


def test_initializers_decide_the_first_values():
    layer = layers.Conv2D(2, 3, kernel_initializer=initializers.HeNormal(seed=4), bias_initializer="ones")
    layer.build((None, 5, 5, 3))
    assert_same(layer.kernel.value, initializers.HeNormal(seed=4)((3, 3, 3, 2)))
    assert_same(layer.bias.value, np.ones(2, "float32"))


def test_a_function_can_initialize_but_must_give_the_right_shape():
    layer = layers.Dense(2, kernel_initializer=lambda shape, dtype: np.full(shape, 3, dtype))
    layer.build((None, 4))
    assert_same(layer.kernel.value, np.full((4, 2), 3, "float32"))
    wrong = layers.Dense(2, kernel_initializer=lambda shape, dtype: np.zeros(3, dtype))
    with pytest.raises(ValueError, match=r"`kernel_initializer` must return an array of the shape \(4, 2\)"):
        wrong.build((None, 4))


def test_set_weights_of_a_layer_is_all_or_nothing():
    layer = layers.Dense(2)
    layer.build((None, 3))
    before = layer.get_weights()
    with pytest.raises(ValueError, match="weights\\[1\\]"):
        layer.set_weights([np.ones((3, 2)), np.ones(3)])
    for array, was in zip(layer.get_weights(), before, strict=True):
        assert_same(array, was)
    layer.set_weights([np.ones((3, 2)), [5, 6]])
    assert_same(layer.bias.value, np.array([5, 6], "float32"))


def test_dropout_drops_in_training_alone_and_keeps_the_mean():
    model = Sequential([Input((1000,), dtype="float64"), layers.Dropout(0.25, seed=7, dtype="float64")])
    x = np.ones((10, 1000))
    assert_same(model.predict(x, verbose=0), x)
    model.compile("sgd", "mse")
    lowered = model._lower("train", 10, ("float64",))
    lowered.run([x], [x])
    dropped = float((lowered.outputs[0] == 0).mean())
    assert set(np.unique(lowered.outputs[0])) == {0.0, 1 / 0.75}
    assert abs(dropped - 0.25) < 5 * np.sqrt(0.25 * 0.75 / x.size)  # five standard deviations


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "uint32", "int64"])
def test_rescaling_takes_integers(dtype):
    x = np.arange(24).reshape(2, 3, 4, 1).astype(dtype)
    model = Sequential([Input((3, 4, 1)), layers.Rescaling(0.25, 1.0)])
    assert_same(model.predict(x, verbose=0), (x * 0.25 + 1).astype("float32"))
