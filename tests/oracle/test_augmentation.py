"""Random changes of images against Keras, which is given the very numbers that our layers draw; and Normalization.

Keras's generators are replaced by ones that hand out these numbers in the order in which it asks for them, so that its
ranges, formulas and pixels are all its own.
"""

import numpy as np
import pytest
import reference_images as reference

from cycnn import Input, Sequential, layers

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]

SEED = 11
SHAPE = (5, 12, 10, 3)
SMALL, WIDE, ONE = (4, 7, 9, 1), (2, 9, 150, 2), (3, 6, 1, 4)
FILLS = [(fill, interpolation) for fill in ("reflect", "wrap", "constant", "nearest") for interpolation in
         ("bilinear", "nearest")]  # fmt: skip

# class, arguments, shape of the input, how many numbers are drawn for each image
ROWS = [
    *(
        (name, {**factors, "fill_mode": fill, "interpolation": interpolation, "fill_value": 7.0}, shape, numbers)
        for name, factors, shape, numbers in (
            ("RandomRotation", {"factor": 0.3}, SHAPE, 1),
            ("RandomTranslation", {"height_factor": 0.4, "width_factor": (-0.9, 0.2)}, SMALL, 2),
            ("RandomZoom", {"height_factor": (-0.4, 0.7), "width_factor": 0.6}, SHAPE, 2),
        )
        for fill, interpolation in FILLS
    ),
    ("RandomRotation", {"factor": (-1, 0.9)}, WIDE, 1),
    ("RandomRotation", {"factor": (0.25, 0.25)}, (2, 8, 8, 1), 1),
    ("RandomTranslation", {"height_factor": 1.0, "width_factor": 1.0}, WIDE, 2),
    ("RandomTranslation", {"height_factor": (0.25, 0.25), "width_factor": 0.0}, (2, 8, 8, 1), 2),
    ("RandomZoom", {"height_factor": 0.5}, SMALL, 1),
    ("RandomZoom", {"height_factor": (-0.9, 1.0), "fill_mode": "wrap"}, WIDE, 1),
    ("RandomZoom", {"height_factor": 0.3, "width_factor": 0.3, "fill_mode": "wrap"}, ONE, 2),
    ("RandomFlip", {}, SHAPE, 1),
    ("RandomFlip", {"mode": "horizontal"}, SMALL, 1),
    ("RandomFlip", {"mode": "vertical"}, SHAPE, 1),
    ("RandomCrop", {"height": 5, "width": 6}, SHAPE, 2),
    ("RandomCrop", {"height": 1, "width": 9}, SHAPE, 2),
    ("RandomCrop", {"height": 8, "width": 149}, WIDE, 2),
    ("RandomContrast", {"factor": (0.2, 0.9)}, SHAPE, 1),
    ("RandomContrast", {"factor": (0.9, 0.2), "value_range": (20, 200)}, WIDE, 1),
    ("RandomContrast", {"factor": (1, 1), "value_range": (0, 1)}, SMALL, 1),
    ("RandomBrightness", {"factor": 0.4}, SHAPE, 1),
    ("RandomBrightness", {"factor": (-0.3, 0.9), "value_range": (200, 20)}, SMALL, 1),
    ("RandomBrightness", {"factor": 1.0, "value_range": (0, 1)}, WIDE, 1),
    ("RandomErasing", {}, SHAPE, 6),
    ("RandomErasing", {"factor": (0.9, 1.0), "scale": (0.3, 0.9)}, SMALL, 6),
    ("RandomErasing", {"factor": (1.0, 1.0), "scale": 1.0, "value_range": (0, 1)}, SMALL, 6),
    ("RandomErasing", {"factor": (1, 1), "fill_value": 300.0}, SHAPE, 6),
    ("RandomErasing", {"factor": (0.5, 1), "fill_value": (1.0, 2.0, 30.0), "scale": (0.2, 0.2)}, SHAPE, 6),
    ("MixUp", {}, SHAPE, 0),
    ("MixUp", {"alpha": 0.9}, SMALL, 0),
    ("MixUp", {"alpha": 5.0}, WIDE, 0),
    ("CutMix", {}, SHAPE, 0),
    ("CutMix", {"factor": (0.5, 0.9)}, SMALL, 0),
    ("CutMix", {"factor": 0.3}, WIDE, 0),
]
every_row = pytest.mark.parametrize(
    ("name", "arguments", "shape", "numbers"),
    ROWS,
    ids=[f"{name}-{arguments}-{shape}" for name, arguments, shape, _ in ROWS],
)


def images(shape):
    return np.random.default_rng(5).uniform(0, 255, shape).astype("float32")


class Numbers:
    """Keras's random functions, handing out ours."""

    def __init__(self, units, shape):
        self.units, self.at, self.shape = units, 0, shape
        self.mixing = np.random.Generator(np.random.Philox(key=SEED, counter=[0, 0, 0, 0]))

    def uniform(self, shape, minval=0.0, maxval=1.0, dtype="float32", seed=None):
        if self.units is None:
            drawn = self.mixing.uniform(size=tuple(shape))
        else:
            count = int(np.prod(shape[1:], dtype=int))
            drawn = self.units[:, self.at : self.at + count].reshape(tuple(shape))
            self.at += count
        return tf.cast(minval + (maxval - minval) * drawn, dtype)

    def beta(self, shape, alpha, beta, dtype="float32", seed=None):
        return tf.cast(self.mixing.beta(float(alpha), float(beta), shape[0]), dtype or "float32")

    def shuffle(self, x, axis=0, seed=None):
        return tf.convert_to_tensor(self.mixing.permutation(np.asarray(x)))

    def normal(self, shape, mean=0.0, stddev=1.0, dtype="float32", seed=None):
        return tf.cast(reference.normal(tuple(shape), SEED, 1), dtype)


def with_numbers(monkeypatch, layer, numbers, shape):
    """Let a layer of Keras draw what ours draws in its first call."""
    rows = 1 if isinstance(layer, keras.layers.RandomCrop) else shape[0]
    first = getattr(layers, type(layer).__name__).first_draw if numbers else 0
    units = reference.draws(rows, [(0, 1)] * numbers, SEED, 1, first) if numbers else None
    ours = Numbers(units, shape)
    for function in ("uniform", "beta", "shuffle", "normal"):
        monkeypatch.setattr(layer.backend.random, function, getattr(ours, function))


def assert_close(out, expected):
    expected = np.asarray(expected)
    assert out.shape == expected.shape and out.dtype == "float32"
    # TensorFlow's coordinates are float32: of 150 pixels they are exact to 1e-5 of a pixel, and pixels differ by 255.
    relative = 3e-5 if out.shape == WIDE else 1e-5
    assert np.max(np.abs(out - expected)) <= relative * np.max(np.abs(expected))


@every_row
def test_training_agrees_with_keras(monkeypatch, name, arguments, shape, numbers):
    x = images(shape)
    layer = getattr(layers, name)(**arguments, seed=SEED)
    theirs = getattr(keras.layers, name)(**arguments, seed=SEED)
    with_numbers(monkeypatch, theirs, numbers, shape)
    if name not in ("MixUp", "CutMix"):
        assert_close(layer(x), theirs(tf.constant(x), training=True))
        return
    y = np.eye(shape[0], dtype="float32")
    out = layer({"images": x, "labels": y})
    expected = theirs({"images": tf.constant(x), "labels": tf.constant(y)}, training=True)
    assert_close(out["images"], expected["images"])
    assert_close(out["labels"], expected["labels"])


@every_row
def test_configurations_are_exchanged_with_keras(monkeypatch, name, arguments, shape, numbers):
    layer = getattr(layers, name)(**arguments, seed=SEED, name="it")
    theirs = getattr(keras.layers, name)(**arguments, seed=SEED, name="it")
    config = {key: value for key, value in theirs.get_config().items() if key != "dtype"}
    back = type(layer).from_config(config)
    assert back.get_config() == layer.get_config()
    # And a layer of Keras that is made of our configuration does the same as the one made of the arguments.
    again = type(theirs).from_config({key: value for key, value in layer.get_config().items() if key != "dtype"})
    x, outs = tf.constant(images(shape)), []
    for keras_layer in (theirs, again):
        with_numbers(monkeypatch, keras_layer, numbers, shape)
        outs.append(np.asarray(keras_layer(x, training=True)))
    np.testing.assert_array_equal(*outs)


@pytest.mark.parametrize("name", sorted({row[0] for row in ROWS}))
def test_layers_called_on_arrays_train_as_in_keras(name):
    arguments = next(row[1] for row in ROWS if row[0] == name)
    x = images(SHAPE)
    for training in (True, False):
        ours = getattr(layers, name)(**arguments, seed=2)(x, training=training)
        theirs = getattr(keras.layers, name)(**arguments, seed=2)(x, training=training)
        if name != "RandomCrop":  # Keras's does nothing then, against its documentation
            assert np.array_equal(ours, x) == np.array_equal(np.asarray(theirs), x)
    assert np.any(getattr(layers, name)(**arguments, seed=2)(x) != 0)


@pytest.mark.parametrize("size", [(4, 4), (6, 3), (3, 8), (20, 30), (12, 10), (5, 10)])
def test_crop_outside_of_training_is_smart_resize(size):
    """Which is what Keras's documentation of RandomCrop says."""
    x = images(SHAPE)
    expected = keras.preprocessing.image.smart_resize(x, size)
    assert_close(layers.RandomCrop(*size)(x, training=False), expected)


NORMALIZATIONS = [
    ({}, (30, 4)),
    ({}, (6, 5, 4, 3)),
    ({"axis": None}, (6, 5, 4, 3)),
    ({"axis": (1, 3)}, (6, 5, 4, 3)),
    ({"axis": 1}, (7, 3, 9)),
    ({"axis": (1, 2, 3)}, (20, 5, 4, 3)),
    ({"invert": True}, (6, 5, 4, 3)),
    ({"mean": 3.0, "variance": 2.0}, (6, 5)),
    ({"mean": [1.0, 2.0, 3.0], "variance": [0.0, 2.0, 5.0]}, (6, 5, 4, 3)),
    ({"axis": (1, 3), "mean": [1.0, 2.0, 3.0], "variance": [1.0, 2.0, 5.0]}, (6, 5, 4, 3)),
    ({"axis": (1, 2), "mean": [[1.0], [2.0]], "variance": [[1.0], [2.0]], "invert": True}, (6, 2, 4, 3)),
    ({"axis": None, "mean": 3.0, "variance": 2.0}, (6, 1)),
]


@pytest.mark.parametrize(("arguments", "shape"), NORMALIZATIONS, ids=str)
def test_normalization_agrees_with_keras(arguments, shape):
    x = images(shape) - 100
    ours, theirs = layers.Normalization(**arguments), keras.layers.Normalization(**arguments)
    if "mean" not in arguments:
        ours.adapt(x)
        theirs.adapt(x.astype("float64"))
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    else:
        theirs.build((None, *shape[1:]))
    expected = theirs(x)
    assert_close(ours(x), expected)
    config = {key: value for key, value in theirs.get_config().items() if key != "dtype"}
    back = layers.Normalization.from_config(config)
    model = Sequential([Input(shape[1:]), back])
    model.set_weights(theirs.get_weights())
    assert_close(model.predict(x, verbose=0), expected)


def test_adapt_to_batches_agrees_with_keras():
    x = images((50, 4, 4, 3))
    ours, theirs = layers.Normalization(), keras.layers.Normalization()
    ours.adapt(np.array_split(x, 7))
    theirs.adapt(x)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
