"""Sequential: how it is put together, its parameters, its summary, and use by many at once."""

import json

import numpy as np
import pytest
from helpers import assert_same, integers

import cycnn
from cycnn import Input, Sequential, layers


def small(**more):
    """Return a model that has a bit of everything."""
    return Sequential(
        [
            Input((8, 8, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(4, 2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(5, activation="softmax"),
        ],
        **more,
    )


def images(n=6):
    return np.random.default_rng(0).normal(size=(n, 8, 8, 1)).astype("float32")


def test_layers_are_named_and_weights_ordered_as_in_keras():
    model = small()
    names = ["conv2d", "max_pooling2d", "conv2d_1", "flatten", "dropout", "dense"]
    assert [layer.name for layer in model.layers] == names
    assert [variable.path for variable in model.weights] == [
        "conv2d/kernel", "conv2d/bias", "conv2d_1/kernel", "conv2d_1/bias", "dense/kernel", "dense/bias"
    ]  # fmt: skip
    shapes = [(3, 3, 1, 3), (3,), (2, 2, 3, 4), (4,), (16, 5), (5,)]
    assert [weight.shape for weight in model.get_weights()] == shapes
    assert model.count_params() == 30 + 52 + 85
    assert model.input_shape == (None, 8, 8, 1) and model.output_shape == (None, 5)
    assert model.name == "sequential" and small(name="mine").name == "mine"


def test_the_ways_to_say_the_shape_of_the_input_agree():
    def chain(*first):
        return [*first, layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)]

    x = np.zeros((2, 5, 5, 2), "float32")
    given = Sequential(chain(Input((5, 5, 2))))
    by_layer = Sequential([layers.Conv2D(2, 3, input_shape=(5, 5, 2)), *chain()[1:]])
    by_build, by_data = Sequential(chain()), Sequential(chain())
    assert given.built and by_layer.built and not by_build.built
    by_build.build((None, 5, 5, 2))
    by_data.predict(x, verbose=0)
    for model in (given, by_layer, by_build, by_data):
        assert model.built and model.count_params() == 38 + 57
        assert model.output_shape == (None, 3)


def test_add_and_pop_change_the_model_in_place():
    model = Sequential()
    for layer in small().layers:
        model.add(layer)
    x = images()
    model.build(x.shape)
    before = model.predict(x, verbose=0)
    last = model.pop()
    assert last.name == "dense" and model.output_shape == (None, 16)
    assert model.predict(x, verbose=0).shape == (6, 16)
    model.add(last)
    assert_same(model.predict(x, verbose=0), before)


def test_layers_of_another_model_keep_their_parameters():
    first = small()
    second = Sequential([Input((8, 8, 1)), *first.layers[:-1], layers.Dense(2)])
    assert second.weights[0] is first.weights[0]
    assert second.predict(images(), verbose=0).shape == (6, 2)
    with pytest.raises(ValueError, match="1 channels, for which the layer was built"):
        Sequential([Input((8, 8, 3)), first.layers[0]])


def test_a_layer_that_does_not_fit_leaves_the_model_as_it_was():
    model = small()
    x = images()
    before = model.predict(x, verbose=0)
    for bad in (layers.Conv2D(3, 3), layers.Dense(2, name="conv2d"), Input((3,)), "dense", model.layers[0]):
        with pytest.raises((TypeError, ValueError)):
            model.add(bad)
    assert len(model.layers) == 6
    assert_same(model.predict(x, verbose=0), before)


def test_get_layer_finds_by_name_and_place():
    model = small()
    assert model.get_layer("conv2d_1") is model.layers[2]
    assert model.get_layer(index=-1) is model.layers[5]


def test_set_weights_is_all_or_nothing():
    model, x = small(), images()
    before = model.get_weights()
    bad = [np.zeros_like(weight) for weight in before[:-1]] + [np.zeros(6)]
    with pytest.raises(ValueError, match="dense/bias"):
        model.set_weights(bad)
    for weight, was in zip(model.get_weights(), before, strict=True):
        assert_same(weight, was)
    model.predict(x, verbose=0)
    model.set_weights([np.zeros(weight.shape) for weight in before])
    assert_same(model.predict(x, verbose=0), np.full((6, 5), 0.2, "float32"))  # softmax of zeros


def test_weights_are_copies():
    model = small()
    weights = model.get_weights()
    weights[0][...] = 7
    assert not np.any(model.get_weights()[0] == 7)


def test_configuration_is_plain_json_and_makes_the_same_architecture():
    model = small(name="mine")
    config = model.get_config()
    assert json.loads(json.dumps(config)) == config
    again = Sequential.from_config(config)
    assert again.get_config() == config
    again.set_weights(model.get_weights())
    assert_same(again.predict(images(), verbose=0), model.predict(images(), verbose=0))


def test_the_same_seed_gives_the_same_parameters():
    models = []
    for _ in range(2):
        cycnn.utils.set_random_seed(5)
        models.append(small())
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        assert_same(one, other)


def test_call_predicts_a_batch():
    model, x = small(), images()
    assert_same(model(x), model.predict(x, verbose=0))
    assert_same(model.predict_on_batch(x), model(x))


def test_summary_lists_layers_parameters_work_and_memory():
    model = small()
    lines = []
    model.summary(print_fn=lines.append)
    assert lines[:10] == [
        "Model: sequential",
        "------------------------------------------------------------------------",
        "Layer (type)                  Output shape     Parameters  Multiply-adds",
        "------------------------------------------------------------------------",
        "conv2d (Conv2D)               (None, 6, 6, 3)          30            972",
        "max_pooling2d (MaxPooling2D)  (None, 3, 3, 3)           0              0",
        "conv2d_1 (Conv2D)             (None, 2, 2, 4)          52            192",
        "flatten (Flatten)             (None, 16)                0              0",
        "dropout (Dropout)             (None, 16)                0              0",
        "dense (Dense)                 (None, 5)                85             80",
    ]
    assert lines[11:13] == [
        "Parameters: 167 (668 bytes), 167 trainable",
        "Multiply-adds: 1,244 for one row of data",
    ]
    assert lines[13].endswith("to predict a batch of 32, beside parameters and data")
    model.compile("adam", "sparse_categorical_crossentropy")
    lines.clear()
    model.summary(batch_size=8, print_fn=lines.append)
    assert " to train a batch of 8," in lines[13]


def test_summary_shows_inner_models_and_what_is_trained():
    inner = Sequential([Input((4,)), layers.Dense(3, name="a"), layers.BatchNormalization(name="b")], name="inner")
    model = Sequential([Input((4,)), inner, layers.Dense(2, name="c", trainable=False)])
    lines = []
    model.summary(80, expand_nested=True, show_trainable=True, print_fn=lines.append)
    assert [line.split()[0] for line in lines[4:8]] == ["inner", "a", "b", "c"]
    assert lines[5].startswith("  a (Dense)  ")
    assert lines[2].split()[-1] == "Trained"
    assert [line.split()[-1] for line in lines[4:8]] == ["21", "15", "6", "0"]
    lines.clear()
    model.summary(print_fn=lines.append)
    assert [line.split()[0] for line in lines[4:6]] == ["inner", "c"] and "Trained" not in lines[2]


def test_summary_before_the_model_is_built(capsys):
    Sequential([layers.Dense(3)]).summary()
    assert "dense (Dense)  ?              not built" in capsys.readouterr().out


def test_rows_do_not_depend_on_the_batch_they_are_in():
    # Exact on small integers: few rows are summed up in another order than many.
    rng = np.random.default_rng(0)
    model, x = small(), integers(rng, (7, 8, 8, 1))
    model.set_weights([integers(rng, weight.shape) for weight in model.get_weights()])
    whole = model.predict(x, verbose=0)
    for batch_size in (1, 3, 7, 100):
        assert_same(model.predict(x, batch_size=batch_size, verbose=0), whole)


def test_parameters_are_changed_by_assignment_only():
    model = Sequential([Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="read-only"):
        model.weights[0].value[...] = 7
    with pytest.raises(AttributeError):
        model.weights[0].value = np.ones((4, 2))


def test_memory_is_asked_for_real_batches():
    model = Sequential([Input((4,)), layers.Dense(2)])
    assert model.memory("predict", 1) > 0
    with pytest.raises(ValueError, match="batch_size"):
        model.memory("predict", 0)
    with pytest.raises(RuntimeError, match="compiled"):
        model.memory("train", 1)


def test_intermediate_arrays_that_cannot_be_counted_are_refused():
    far = 2**29 - 1
    wide = layers.Conv2D(1, 1, padding=((far, 0), (far, 0)))
    model = Sequential([Input((1, 1, 1)), wide, layers.Conv2D(1, 1, strides=2**29)])
    with pytest.raises(MemoryError):
        model.predict(np.ones((16, 1, 1, 1), "float32"), verbose=0)
