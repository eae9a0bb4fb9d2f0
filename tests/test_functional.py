"""Networks drawn by calling layers: shapes, sharing, several inputs and outputs, freezing, parts, copies, errors."""

import copy

import numpy as np
import pytest
from helpers import assert_same, integers

import cycnn
from cycnn import Input, Model, Sequential, layers, ops

RNG = np.random.default_rng(7)


def two_towers(dtype="float32"):
    """Return a model of two inputs and two outputs that share a layer."""
    a, b = Input((6, 6, 2), dtype=dtype, name="a"), Input((6, 6, 2), dtype=dtype, name="b")
    shared = layers.Conv2D(3, 3, activation="tanh", dtype=dtype, name="shared")
    x, y = shared(a), shared(b)
    x = layers.Flatten(dtype=dtype)(x)
    y = layers.GlobalAveragePooling2D(dtype=dtype)(y)
    first = layers.Dense(3, activation="softmax", dtype=dtype, name="first")(x)
    second = layers.Dense(1, dtype=dtype, name="second")(y)
    return Model([a, b], [first, second], name="towers")


def data(n=8):
    x = [RNG.normal(size=(n, 6, 6, 2)).astype("float32") for _ in range(2)]
    return x, [np.arange(n) % 3, RNG.normal(size=(n, 1)).astype("float32")]


LOSSES = ["sparse_categorical_crossentropy", "mse"]


def test_model_predicts_what_its_layers_compute():
    x = Input((5, 5, 1))
    conv = layers.Conv2D(2, 3)
    model = Model(x, layers.Flatten()(layers.ReLU()(conv(x))))
    conv.set_weights([integers(RNG, (3, 3, 1, 2)), integers(RNG, (2,))])
    images = integers(RNG, (4, 5, 5, 1))
    assert_same(model.predict(images, verbose=0), ops.relu(ops.conv2d(images, *conv.get_weights())).reshape(4, -1))
    assert_same(model(images), model.predict(images, verbose=0))


def test_shapes_and_names():
    model = two_towers()
    assert model.input_shape == [(None, 6, 6, 2)] * 2 and model.output_shape == [(None, 3), (None, 1)]
    assert model.input_names == ["a", "b"] and model.output_names == ["first", "second"]
    assert len(model.weights) == 6 and model.get_layer("shared").count_params() == 57
    assert model.summary(print_fn=lambda line: None) is None


def test_gradients_of_shared_layers_and_several_outputs():
    x, y = data()
    model = two_towers()
    model.compile("sgd", LOSSES, loss_weights=[1.0, 0.25])
    assert cycnn.check_gradients(model, x, y).worst < 1e-6


@pytest.mark.parametrize("form", ["list", "dict"])
def test_fit_with_several_inputs_and_outputs(form):
    x, y = data()
    model = two_towers()
    if form == "dict":
        x, y = dict(zip("ab", x, strict=True)), dict(zip(("first", "second"), y, strict=True))
        model.compile(
            cycnn.optimizers.Adam(0.02),
            dict(zip(("first", "second"), LOSSES, strict=True)),
            metrics={"first": ["accuracy"]},
        )
    else:
        model.compile(cycnn.optimizers.Adam(0.02), LOSSES, metrics=[["accuracy"], []])
    history = model.fit(x, y, batch_size=3, epochs=30, verbose=0).history
    assert list(history) == ["loss", "first_loss", "second_loss", "first_accuracy"]
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    np.testing.assert_allclose(history["loss"], np.add(history["first_loss"], history["second_loss"]), rtol=1e-5)
    values = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(values) == set(history)
    assert [output.shape for output in model.predict(x, verbose=0)] == [(8, 3), (8, 1)]


def test_part_of_a_network_shows_feature_maps():
    whole = Sequential([Input((6, 6, 1)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(2)])
    maps = Model(whole.inputs, whole.layers[0].output)
    images = RNG.normal(size=(3, 6, 6, 1)).astype("float32")
    assert_same(maps(images), ops.relu(ops.conv2d(images, *whole.layers[0].get_weights())))
    head = Model(whole.layers[0].output, whole.output)
    assert_same(head(maps(images)), whole(images))


def test_model_as_a_layer():
    inner = Sequential([Input((6, 6, 1)), layers.Conv2D(2, 3), layers.GlobalMaxPooling2D()], name="inner")
    a, b = Input((6, 6, 1)), Input((6, 6, 1))
    model = Model([a, b], layers.Dense(1)(inner(a)) + inner(b) * 2.0) if hasattr(layers, "Add") else Model(a, inner(a))
    images = [RNG.normal(size=(3, 6, 6, 1)).astype("float32") for _ in model.inputs]
    assert model.predict(images, verbose=0).shape[0] == 3
    assert "inner/conv2d/kernel" in model.named_variables()
    assert any(variable is inner.weights[0] for variable in model.weights)


def test_frozen_layers_stay_and_the_rest_learns():
    x = Input((4,))
    hidden = layers.Dense(5, activation="tanh", name="hidden")
    model = Model(x, layers.Dense(2)(hidden(x)))
    hidden.trainable = False
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(RNG.normal(size=(16, 4)), RNG.normal(size=(16, 2)), verbose=0)
    after = model.get_weights()
    assert_same(after[0], before[0])
    assert not np.array_equal(after[2], before[2])
    assert len(model.trainable_variables) == 2 and len(model.non_trainable_variables) == 2


@pytest.mark.parametrize("duplicate", [copy.deepcopy, cycnn.models.clone_model], ids=["deepcopy", "clone"])
def test_copies_are_models_of_their_own(duplicate):
    x, _ = data()
    model = two_towers()
    twin = duplicate(model)
    assert [w.path for w in twin.weights] == [w.path for w in model.weights]
    twin.set_weights(model.get_weights())
    for ours, theirs in zip(model(x), twin(x), strict=True):
        assert_same(ours, theirs)
    twin.set_weights([np.zeros_like(w) for w in twin.get_weights()])
    assert any(np.any(w) for w in model.get_weights())


def test_json_round_trip():
    model = two_towers()
    assert cycnn.models.model_from_json(model.to_json()).get_config() == model.get_config()


def test_weights_of_rows_and_classes():
    x = RNG.normal(size=(12, 4)).astype("float32")
    y = np.arange(12) % 3
    model = Sequential([Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    by_row = model.evaluate(x, y, sample_weight=np.where(y == 1, 2.0, 1.0), verbose=0)
    losses = ops.sparse_categorical_crossentropy(y, model(x))
    np.testing.assert_allclose(by_row[0], np.mean(losses * np.where(y == 1, 2.0, 1.0)), rtol=1e-6)
    twin = copy.deepcopy(model)
    model.train_on_batch(x, y, sample_weight=np.where(y == 1, 2.0, 1.0))
    twin.train_on_batch(x, y, class_weight={1: 2.0})
    for ours, theirs in zip(model.get_weights(), twin.get_weights(), strict=True):
        assert_same(ours, theirs)


def test_disconnected_output_names_the_input():
    a, b = Input((4,), name="seen"), Input((4,), name="forgotten")
    with pytest.raises(ValueError, match="but also depend on the input 'forgotten'"):
        Model(a, layers.Dense(2)(b))


def test_two_layers_of_one_name_are_refused():
    x = Input((4,))
    with pytest.raises(ValueError, match="different names"):
        Model(x, layers.Dense(2, name="d")(layers.Dense(3, name="d")(x)))


def test_wiring_with_a_cycle_is_refused():
    config = two_towers().get_config()
    config["wiring"][2][1] = {"one": [6, 0]}
    with pytest.raises(ValueError, match="without a cycle"):
        Model.from_config(config)


def test_subclassing_is_refused_with_the_reason():
    with pytest.raises(TypeError, match="cannot be differentiated"):
        Model()


def test_cloned_layers_may_be_others():
    def wider(layer):
        config = layer.get_config()
        return type(layer).from_config(config | {"filters": 5} if "filters" in config else config)

    x = Input((5, 5, 1), name="x")
    drawn = Model(x, layers.Flatten()(layers.Conv2D(2, 3, name="conv")(x)))
    for model in (drawn, Sequential([x, layers.Conv2D(2, 3, name="conv"), layers.Flatten()])):
        clone = cycnn.models.clone_model(model, clone_function=wider)
        assert clone.output_shape == (None, 45) and model.output_shape == (None, 18)
        assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    with pytest.raises(ValueError, match="clone_model: `input_tensors` must be None"):
        cycnn.models.clone_model(drawn, x)


def test_json_may_be_indented_and_hold_classes_of_the_users():
    class Mine(layers.ReLU):
        pass

    model = Sequential([Input((3,)), Mine()])
    text = model.to_json(indent=2)
    assert text.startswith("{\n")
    again = cycnn.models.model_from_json(text, custom_objects={"Mine": Mine})
    assert type(again.layers[0]) is Mine
    with pytest.raises(ValueError, match="Mine"):
        cycnn.models.model_from_json(text)


def test_errors_of_shapes_name_the_layers():
    a, b = Input((4,), name="a"), Input((5,), name="b")
    with pytest.raises(ValueError, match=r"Add: .* The layer is 'plus', called on 'a', 'b'\.$"):
        layers.Add(name="plus")([a, b])
    outer = layers.Dense(4, name="outer")(a)
    with pytest.raises(ValueError, match=r"Conv2D: .* The layer is 'conv', called on 'outer'\.$"):
        layers.Conv2D(2, 3, name="conv")(outer)


def test_inputs_may_tell_the_batch_as_well():
    assert Input(batch_shape=(None, 4)).shape == Input(batch_shape=[8, 4]).shape == (None, 4)
    x = Input((4,), 2, "float64", None, None, None, "named")
    assert x.name == "named" and x.dtype == "float64"
    assert Model(x, layers.Identity(dtype="float64")(x)).predict(np.ones((1, 4)), verbose=0).tolist() == [[1.0] * 4]


def test_tensors_are_divided_and_negated():
    x = Input((3,))
    values = RNG.normal(size=(2, 3)).astype("float32")
    assert_same(Model(x, -x)(values), -values)
    assert_same(Model(x, x / 4)(values), values / 4)
    for wrong in (0, "2", x):
        with pytest.raises(TypeError, match="Tensor: `other` must be a number other than 0 to divide by"):
            x / wrong


def test_layers_tell_their_weights():
    layer = layers.BatchNormalization()
    Model(x := Input((3,)), layer(x))
    assert [v.name for v in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [v.name for v in layer.trainable_weights] == ["gamma", "beta"]
    assert [v.name for v in layer.non_trainable_weights] == ["moving_mean", "moving_variance"]
    layer.trainable = False
    assert layer.trainable_variables == [] and len(layer.non_trainable_variables) == 4
    assert np.abs(layer.moving_variance).sum() == 3
    array = np.asarray(layer.gamma)
    array[:] = 7  # a copy
    assert_same(layer.gamma.numpy(), np.ones(3, "float32"))
    assert np.asarray(layer.gamma, "float64").dtype == np.float64


def test_a_layer_that_cannot_be_lowered_is_refused_where_it_is_called():
    class Doubling(layers.Layer):
        def call(self, x):
            return 2 * x

    with pytest.raises(TypeError, match=r"Doubling: .* derives from layers\.PythonLayer"):
        Doubling()(Input((3,)))
