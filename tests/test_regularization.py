"""Layers that are random in training, and penalties of activity: what models make of them."""

import json
import math

import numpy as np
import pytest
from helpers import assert_same

import cycnn
from cycnn import Input, Sequential, check_gradients, layers

RANDOM = [
    (layers.Dropout, {"rate": 0.3}),
    (layers.Dropout, {"rate": 0.3, "noise_shape": (None, 1, 6, None)}),
    (layers.AlphaDropout, {"rate": 0.2}),
    (layers.AlphaDropout, {"rate": 0.2, "noise_shape": [None, 1, 1, None]}),
    (layers.SpatialDropout2D, {"rate": 0.4}),
    (layers.GaussianNoise, {"stddev": 0.5}),
    (layers.GaussianDropout, {"rate": 0.3}),
]
every_layer = pytest.mark.parametrize(
    ("cls", "arguments"), RANDOM, ids=lambda value: str(getattr(value, "__name__", value))
)


@pytest.fixture
def rng():
    return np.random.default_rng(20240917)


@every_layer
def test_inference_hands_the_input_on(rng, cls, arguments):
    x = rng.standard_normal((4, 5, 6, 7)).astype("float32")
    assert_same(cls(**arguments)(x), x)


@every_layer
def test_seed_and_step_decide(rng, cls, arguments):
    x = rng.standard_normal((4, 5, 6, 7)).astype("float32")
    first, again, other = cls(**arguments, seed=1), cls(**arguments, seed=1), cls(**arguments, seed=2)
    outs = [first(x, training=True) for _ in range(3)]
    for out in outs:
        assert_same(again(x, training=True), out)
        assert not np.array_equal(other(x, training=True), out)
    assert not np.array_equal(outs[0], outs[1])


@every_layer
def test_layers_describe_themselves(cls, arguments):
    layer = cls(**arguments, seed=3)
    config = json.loads(json.dumps(layer.get_config()))
    clone = cls.from_config(config)
    assert clone.get_config() == config
    assert all(np.array_equal(config[name], value) for name, value in arguments.items() if name != "noise_shape")
    assert clone.compute_output_shape((None, 5, 6, 7)) == (None, 5, 6, 7)


@every_layer
@pytest.mark.parametrize("frozen", (False, True), ids=("", "behind-frozen"))
def test_gradients(cls, arguments, frozen):
    """The step is the same at each evaluation, and so are its random numbers."""
    cycnn.utils.set_random_seed(5)
    first = layers.Conv2D(3, 3, activation="tanh", trainable=not frozen)
    stack = first, cls(**arguments, seed=4), layers.Conv2D(2, 2), layers.Flatten(), layers.Dense(2)
    model = Sequential([Input((7, 8, 2)), *stack])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(6)
    report = check_gradients(model, rng.standard_normal((3, 7, 8, 2)), rng.standard_normal((3, 2)))
    assert report.worst < 1e-6


def deviations(sample, mean, variance):
    return abs(sample.mean() - mean) / math.sqrt(variance / sample.size)


def test_dropout_along_axes_drops_together():
    x = np.ones((50, 40, 3), "float32")
    out = layers.Dropout(0.25, noise_shape=(None, 1, None), seed=1)(x, training=True)
    assert_same(out, np.broadcast_to(out[:, :1], x.shape))
    assert_same(layers.SpatialDropout1D(0.25, seed=1)(x, training=True), out)
    assert deviations(out[:, 0] > 0, 0.75, 0.75 * 0.25) < 5
    assert set(np.unique(out)) == {0, np.float32(1 / 0.75)}


def test_spatial_dropout_drops_whole_channels():
    out = layers.SpatialDropout2D(0.5, seed=1)(np.ones((60, 5, 4, 20), "float32"), training=True)
    assert_same(out, np.broadcast_to(out[:, :1, :1], out.shape))
    assert deviations(out[:, 0, 0] > 0, 0.5, 0.25) < 5


def test_mask_of_the_whole_batch():
    x = np.ones((4, 1000), "float32")
    out = layers.Dropout(0.5, noise_shape=(1, 1000), seed=1)(x, training=True)
    assert_same(out, np.broadcast_to(out[:1], x.shape))
    with pytest.raises(ValueError, match=r"Dropout: `noise_shape` must have the input's extents, None or 1"):
        layers.Dropout(0.5, noise_shape=(3, 1000))(x, training=True)


def test_dropout_of_all_leaves_nothing():
    assert_same(layers.Dropout(1)(np.ones((4, 1000), "float32"), training=True), np.zeros((4, 1000), "float32"))


@pytest.mark.parametrize("rate", (0.1, 0.5))
def test_alpha_dropout_keeps_mean_and_variance(rng, rate):
    x = rng.standard_normal((400, 500)).astype("float32")
    out = layers.AlphaDropout(rate, seed=1)(x, training=True).astype("float64")
    assert abs(out.mean()) < 0.02 and abs(out.var() - 1) < 0.02
    values, counts = np.unique(out, return_counts=True)
    assert abs(counts.max() / out.size - rate) < 0.01
    saturation = -1.0507009873554805 * 1.6732632423543772
    a = ((1 - rate) * (1 + rate * saturation**2)) ** -0.5
    np.testing.assert_allclose(values[counts.argmax()], a * saturation - a * saturation * rate, rtol=1e-6)


def test_gaussian_noise_has_the_stated_deviation(rng):
    x = rng.standard_normal((300, 400)).astype("float32")
    added = layers.GaussianNoise(0.25, seed=1)(x, training=True).astype("float64") - x
    assert deviations(added, 0, 0.25**2) < 5
    assert deviations(added**2, 0.25**2, 2 * 0.25**4) < 5
    factor = layers.GaussianDropout(0.2, seed=1)(np.ones_like(x), training=True).astype("float64")
    assert deviations(factor, 1, 0.25) < 5
    assert deviations((factor - 1) ** 2, 0.25, 2 * 0.25**2) < 5


@pytest.mark.parametrize(
    "layer", [layers.Dropout(0), layers.AlphaDropout(0), layers.GaussianNoise(0), layers.GaussianDropout(0)], ids=repr
)
def test_nothing_at_rate_zero(rng, layer):
    x = rng.standard_normal((4, 5)).astype("float32")
    assert_same(layer(x, training=True), x)


def test_layers_of_one_seed_and_other_kinds_draw_apart():
    zeros, ones = np.zeros((512, 512), "float32"), np.ones((512, 512), "float32")
    noise = layers.GaussianNoise(1.0, seed=1)(zeros, training=True)
    kept = layers.Dropout(0.5, seed=1)(ones, training=True) - 1
    assert deviations(kept * noise**2, 0, 3) < 5


def test_activity_is_penalised_as_a_mean_over_the_batch(rng):
    x = rng.standard_normal((8, 5)).astype("float32")
    layer = layers.ActivityRegularization(l1=0.5, l2=0.25)
    assert_same(layer(x), x)
    model = Sequential([Input((5,)), layers.Dense(3, use_bias=False), layer])
    model.compile("sgd", "mse")
    y = model.predict(x, verbose=0)
    loss = model.train_on_batch(x, y)
    expected = (0.5 * np.abs(y).sum() + 0.25 * np.square(y).sum()) / 8
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    config = json.loads(json.dumps(layer.get_config()))
    assert (config["l1"], config["l2"]) == (0.5, 0.25) and "activity_regularizer" not in config
    assert layers.ActivityRegularization.from_config(config).get_config() == config


def test_gradients_of_penalised_activity(rng):
    model = Sequential([Input((5,)), layers.Dense(4, "tanh"), layers.ActivityRegularization(0.3, 0.2), layers.Dense(2)])
    model.compile("sgd", "mse")
    assert check_gradients(model, rng.standard_normal((6, 5)), rng.standard_normal((6, 2))).worst < 1e-6
