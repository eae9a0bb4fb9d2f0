"""Normalisation layers: statistics that move, frozen layers, gradients, errors; the values against the definition."""

import copy
import json

import numpy as np
import pytest
import reference
from helpers import assert_same

from cycnn import Input, Model, Sequential, _native, check_gradients, layers

IMAGES = (5, 4, 12)


@pytest.fixture
def rng():
    return np.random.default_rng(20240922)


@pytest.fixture
def restore_threads():
    threads = _native.get_num_threads()
    yield
    _native.set_num_threads(threads)


def compiled(*stack, shape=IMAGES, optimizer="sgd", dtype=None):
    model = Sequential([Input(shape, dtype=dtype), *stack])
    model.compile(optimizer, "mean_squared_error")
    return model


def batch(rng, shape, size=6):
    return (1 + 2 * rng.standard_normal((size, *shape))).astype("float32")


def set_randomly(layer, rng):
    layer.set_weights([0.5 + rng.random(weight.shape) for weight in layer.get_weights()])


# --- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ((7,), (6, 7), (5, 4, 12), (3, 4, 1)), ids=str)
@pytest.mark.parametrize("options", ({}, {"scale": False}, {"center": False}, {"epsilon": 0.5}), ids=str)
def test_batch_normalization_uses_moving_averages_in_inference(rng, shape, options):
    layer = layers.BatchNormalization(**options)
    model = Sequential([Input(shape), layer])
    set_randomly(layer, rng)
    x = batch(rng, shape)
    named = {variable.name: variable.value.astype("float64") for variable in layer.variables}
    expected = (x - named["moving_mean"]) / np.sqrt(named["moving_variance"] + layer.epsilon)
    expected = expected * named.get("gamma", 1) + named.get("beta", 0)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axis", (-1, (2, 3), (-1, -2, -3), 3), ids=str)
def test_layer_normalization_normalises_rows(rng, axis):
    layer = layers.LayerNormalization(axis)
    model = Sequential([Input(IMAGES), layer])
    set_randomly(layer, rng)
    x = batch(rng, IMAGES)
    gamma, beta = (weight.reshape(-1) for weight in layer.get_weights())
    rows = x.reshape(-1, gamma.size)
    expected = reference.row_norm(rows, gamma, beta, True, 1 / gamma.size, 1e-3, np.inf)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected.reshape(x.shape), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", (1, 3, 12, -1))
def test_group_normalization_normalises_groups_of_each_image(rng, groups):
    layer = layers.GroupNormalization(groups)
    model = Sequential([Input(IMAGES), layer])
    set_randomly(layer, rng)
    x = batch(rng, IMAGES)
    gamma, beta = layer.get_weights()
    grouped = x.reshape(6, 20, 12 if groups == -1 else groups, -1).astype("float64")
    mean, variance = grouped.mean(axis=(1, 3), keepdims=True), grouped.var(axis=(1, 3), keepdims=True)
    expected = ((grouped - mean) / np.sqrt(variance + 1e-3)).reshape(x.shape) * gamma + beta
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-5)


def test_rms_and_unit_normalization(rng):
    x = batch(rng, (9,))
    rms = Sequential([Input((9,)), layers.RMSNormalization()]).predict(x, verbose=0)
    np.testing.assert_allclose(rms, x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6), rtol=1e-5)
    unit = Sequential([Input((9,)), layers.UnitNormalization()])
    np.testing.assert_allclose(unit.predict(x, verbose=0), x / np.linalg.norm(x, axis=1, keepdims=True), rtol=1e-5)
    assert_same(unit.predict(0 * x, verbose=0), 0 * x)


# --- batch normalisation in training ---------------------------------------------------------------


@pytest.mark.parametrize("shape", ((7,), (5, 4, 12), (3, 4, 1)), ids=str)
@pytest.mark.parametrize("momentum", (0.99, 0.5, 0.0, 1.0))
def test_training_moves_the_averages_by_the_formula(rng, shape, momentum):
    layer = layers.BatchNormalization(momentum=momentum)
    model = compiled(layer, shape=shape)
    mean, variance = np.zeros(shape[-1]), np.ones(shape[-1])
    axes = tuple(range(len(shape)))
    for _ in range(3):
        x = batch(rng, shape)
        batch_mean, batch_variance = reference.moments(x, axes)
        mean = momentum * mean + (1 - momentum) * batch_mean
        variance = momentum * variance + (1 - momentum) * batch_variance
        model.fit(x, np.zeros_like(x), batch_size=len(x), epochs=1, verbose=0)
    np.testing.assert_allclose(layer.moving_mean.value, mean, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.value, variance, rtol=2e-6)


def test_prediction_after_training_uses_the_new_averages(rng):
    layer = layers.BatchNormalization(momentum=0.0)
    model = compiled(layer)
    x = batch(rng, IMAGES)
    before = model.predict(x, verbose=0)
    model.fit(x, x, batch_size=len(x), epochs=1, verbose=0)
    after = model.predict(x, verbose=0)
    gamma, beta, mean, variance = layer.get_weights()
    np.testing.assert_allclose(after, (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta, rtol=1e-4, atol=1e-5)
    assert np.abs(after - before).max() > 0.1


@pytest.mark.parametrize("alone", (True, False))
def test_calls_in_training_move_the_averages(rng, alone):
    layer = layers.BatchNormalization(momentum=0.5)
    call = layer if alone else Sequential([Input(IMAGES), layer])
    x = batch(rng, IMAGES)
    call(x)
    assert_same(layer.moving_mean.value, np.zeros(12, "float32"))
    call(x, training=True)
    np.testing.assert_allclose(layer.moving_mean.value, 0.5 * x.mean(axis=(0, 1, 2)), rtol=1e-5)


def test_averages_of_a_layer_that_is_called_twice_move_twice(rng):
    inputs = Input(IMAGES)
    layer = layers.BatchNormalization(momentum=0.5)
    model = Model(inputs, layers.Add()([layer(inputs), layer(layers.Rescaling(3.0)(inputs))]))
    model.compile("sgd", "mean_squared_error")
    x = batch(rng, IMAGES)
    model.fit(x, x, batch_size=len(x), epochs=1, verbose=0)
    mean = x.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean.value, 0.25 * mean + 0.5 * 3 * mean, rtol=1e-4)
    assert check_gradients(model, x, x[:, ::-1]).worst < 1e-6


def test_evaluation_prediction_and_gradients_move_nothing(rng):
    layer = layers.BatchNormalization()
    model = compiled(layer)
    x = batch(rng, IMAGES)
    before = layer.get_weights()
    model.predict(x, verbose=0)
    model.evaluate(x, x, verbose=0)
    check_gradients(model, x, x, entries=2)
    for old, new in zip(before, layer.get_weights(), strict=True):
        assert_same(new, old)


def test_frozen_layer_uses_and_keeps_its_averages(rng):
    layer = layers.BatchNormalization(trainable=False)
    dense = layers.Dense(4)
    model = compiled(layer, dense)
    set_randomly(layer, rng)
    before = copy.deepcopy(layer.get_weights())
    x = batch(rng, IMAGES)
    y = np.zeros((6, 5, 4, 4), "float32")
    expected = model.evaluate(x, y, verbose=0)
    history = model.fit(x, y, batch_size=len(x), epochs=1, verbose=0)
    np.testing.assert_allclose(history.history["loss"][0], expected, rtol=1e-5)
    for old, new in zip(before, layer.get_weights(), strict=True):
        assert_same(new, old)


def test_moving_averages_are_never_trainable():
    layer = layers.BatchNormalization()
    layer.build((None, 5))
    assert [variable.trainable for variable in layer.variables] == [True, True, False, False]
    layer.trainable = False
    layer.trainable = True
    assert [variable.trainable for variable in layer.variables] == [True, True, False, False]


def test_an_activation_behind_it_fuses(rng):
    x = batch(rng, IMAGES)
    fused = compiled(layers.BatchNormalization(), layers.ReLU())
    fused.fit(x, x, batch_size=len(x), epochs=1, verbose=0)
    apart = compiled(layers.BatchNormalization())
    apart.set_weights(fused.get_weights())
    assert_same(fused.predict(x, verbose=0), np.maximum(apart.predict(x, verbose=0), 0))


# --- gradients -------------------------------------------------------------------------------------

LAYERS = {
    "batch": lambda: layers.BatchNormalization(),
    "batch without scale": lambda: layers.BatchNormalization(scale=False),
    "batch without center": lambda: layers.BatchNormalization(center=False),
    "frozen batch": lambda: layers.BatchNormalization(trainable=False),
    "layer": lambda: layers.LayerNormalization(),
    "layer of images": lambda: layers.LayerNormalization(axis=(1, 2, 3)),
    "layer without scale": lambda: layers.LayerNormalization(scale=False),
    "group": lambda: layers.GroupNormalization(3),
    "group without affine": lambda: layers.GroupNormalization(2, scale=False, center=False),
    "instance": lambda: layers.GroupNormalization(-1),
    "rms": lambda: layers.RMSNormalization(),
    "unit": lambda: layers.UnitNormalization(),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("activation", ("linear", "tanh"))
def test_gradients_agree_with_central_differences_behind_a_convolution(rng, name, activation):
    """The convolution's gradients go through dx, with an activation fused on either side of the layer."""
    model = compiled(
        layers.Conv2D(6, 2, activation=activation, use_bias=False),  # its gradient would be zero
        LAYERS[name](),
        layers.Activation("tanh"),
        layers.Flatten(),
        layers.Dense(3),
        shape=(4, 5, 2),
    )
    for layer in model.layers:
        set_randomly(layer, rng)
    report = check_gradients(model, batch(rng, (4, 5, 2)), rng.standard_normal((6, 3)), entries=20)
    assert report.worst < 1e-6


@pytest.mark.parametrize("name", ("batch", "frozen batch", "layer", "group", "rms", "unit"))
def test_gradients_agree_with_central_differences_behind_a_dense_layer(rng, name):
    model = compiled(layers.Dense(6, "sigmoid"), LAYERS[name](), layers.Dense(2), shape=(5,))
    for layer in model.layers:
        set_randomly(layer, rng)
    assert check_gradients(model, batch(rng, (5,)), rng.standard_normal((6, 2))).worst < 1e-6


@pytest.mark.parametrize("part", ("gamma", "beta"))
def test_a_frozen_parameter_leaves_the_other_gradients_as_they_are(rng, part):
    for make in (layers.BatchNormalization, layers.LayerNormalization, lambda: layers.GroupNormalization(3)):
        layer = make()
        model = compiled(layers.Dense(6, "tanh"), layer, layers.Dense(2), shape=(5,))
        getattr(layer, part).trainable = False
        assert check_gradients(model, batch(rng, (5,)), rng.standard_normal((6, 2))).worst < 1e-6


@pytest.mark.parametrize("name", LAYERS)
def test_bits_of_training_do_not_depend_on_threads(rng, restore_threads, name):
    shape = (24, 24, 6)
    model = compiled(layers.Conv2D(6, 3, activation="relu"), LAYERS[name](), layers.ReLU(), shape=shape)
    start, x = model.get_weights(), batch(rng, shape, 16)
    y = np.zeros((16, 22, 22, 6), "float32")
    results = []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        model.set_weights(start)
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        results.append(model.get_weights())
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert_same(a, b)


# --- configuration and errors ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    (
        layers.BatchNormalization(momentum=0.9, epsilon=1e-5, center=False, gamma_initializer="zeros"),
        layers.BatchNormalization(gamma_regularizer="l2", beta_regularizer="l1", moving_mean_initializer="ones"),
        layers.LayerNormalization(axis=[1, 2], scale=False),
        layers.LayerNormalization(gamma_constraint="non_neg", beta_constraint="unit_norm"),
        layers.GroupNormalization(-1, epsilon=1e-4),
        layers.RMSNormalization(axis=-1, epsilon=1e-3),
        layers.UnitNormalization(axis=(-1, -2)),
    ),
    ids=lambda layer: type(layer).__name__,
)
def test_configuration_makes_the_same_layer(layer):
    config = json.loads(json.dumps(layers.serialize(layer)))
    clone = layers.deserialize(config)
    assert clone.get_config() == layer.get_config()


MESSAGES = (
    (
        lambda: layers.BatchNormalization(synchronized=True),
        ValueError,
        "BatchNormalization: `synchronized` must be False",
    ),
    (lambda: layers.BatchNormalization(renorm=True), ValueError, "BatchNormalization: `renorm` must be False"),
    (lambda: layers.BatchNormalization(renorm_clipping={}), ValueError, "`renorm_clipping` must be None"),
    (lambda: layers.BatchNormalization(axis="last"), TypeError, "BatchNormalization: `axis` must be an int"),
    (lambda: layers.BatchNormalization(momentum=2), ValueError, "`momentum` must be a finite number in [0, 1]"),
    (lambda: layers.BatchNormalization(epsilon=-1), ValueError, "`epsilon` must be a finite number of at least 0"),
    (lambda: layers.BatchNormalization(center=1), TypeError, "`center` must be True or False"),
    (lambda: layers.BatchNormalization(gamma_initializer="none"), ValueError, "`gamma_initializer` must be"),
    (lambda: layers.BatchNormalization(beta_regularizer="l3"), ValueError, "`beta_regularizer` must be"),
    (lambda: layers.BatchNormalization(axis=1).build((None, 4, 4, 3)), ValueError, "`axis` must be -1: channels are"),
    (lambda: layers.BatchNormalization().build((None,)), ValueError, "`input_shape` must have at least 2 axes"),
    (lambda: layers.LayerNormalization(rms_scaling=True), ValueError, "`rms_scaling` must be False"),
    (lambda: layers.LayerNormalization(axis=[]), TypeError, "LayerNormalization: `axis` must be an int"),
    (lambda: layers.LayerNormalization(axis=1).build((None, 4, 3)), ValueError, "`axis` must be the last axis or axes"),
    (
        lambda: layers.LayerNormalization(axis=(0, 1)).build((None, 3)),
        ValueError,
        "`axis` must be the last axis or axes",
    ),
    (lambda: layers.UnitNormalization(axis=0).compute_output_shape((None, 3)), ValueError, "must be the last axis"),
    (lambda: layers.GroupNormalization(0), ValueError, "GroupNormalization: `groups` must be a positive int"),
    (lambda: layers.GroupNormalization(5).build((None, 12)), ValueError, "`groups` must divide the 12 channels"),
    (lambda: layers.GroupNormalization(24).build((None, 12)), ValueError, "`groups` must divide the 12 channels"),
)


@pytest.mark.parametrize(("make", "kind", "text"), MESSAGES, ids=[text for *_, text in MESSAGES])
def test_error(make, kind, text):
    with pytest.raises(kind) as caught:
        make()
    assert text in str(caught.value) and "Received: " in str(caught.value)


def test_another_number_of_channels_than_built_for_is_an_error():
    for layer in (layers.BatchNormalization(), layers.LayerNormalization(), layers.RMSNormalization()):
        layer.build((None, 5))
        with pytest.raises(ValueError, match="for which the layer was built"):
            layer.compute_output_shape((None, 6))
