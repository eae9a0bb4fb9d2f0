"""Gradients of whole models: against central differences, and float32 against float64."""

import numpy as np
import pytest

import cycnn
from cycnn import Input, Sequential, check_gradients, layers, losses
from cycnn.program import Lowered


def chain(shape, *chosen, loss):
    cycnn.utils.set_random_seed(8)
    model = Sequential([Input(shape), *chosen])
    model.compile("sgd", loss)
    return model


def lenet():
    return chain(
        (12, 12, 1),
        layers.Conv2D(6, 5, padding="same", activation="tanh"),
        layers.AveragePooling2D(),
        layers.Conv2D(8, 3, activation="tanh"),
        layers.AveragePooling2D(),
        layers.Flatten(),
        layers.Dense(12, activation="tanh"),
        layers.Dense(10, activation="softmax"),
        loss="sparse_categorical_crossentropy",
    )


def mnist_cnn():
    return chain(
        (14, 14, 2),
        layers.Conv2D(5, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(9, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.5, seed=1),
        layers.Dense(10),
        layers.Softmax(),
        loss="sparse_categorical_crossentropy",
    )


def strides_and_paddings():
    return chain(
        (11, 9, 3),
        layers.Conv2D(4, (3, 2), strides=2, padding="same"),
        layers.ReLU(),
        layers.MaxPooling2D(3, strides=2, padding="same"),
        layers.Conv2D(5, 3, padding=((2, 1), (0, 3)), dilation_rate=2, use_bias=False),
        layers.Activation("sigmoid"),
        layers.AveragePooling2D(3, strides=1, padding="same"),
        layers.Conv2D(4, 1, activation="softmax"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4),
        loss=losses.CategoricalCrossentropy(from_logits=True),
    )


def probabilities_of_a_hand_made_softmax():
    # The softmax is not the last layer, so the loss works on probabilities.
    return chain(
        (7, 7, 2),
        layers.Conv2D(3, 3, activation="sigmoid"),
        layers.GlobalMaxPooling2D(keepdims=True),
        layers.Flatten(),
        layers.Dense(4, activation="softmax"),
        layers.Dropout(0.0),
        layers.Rescaling(0.5, 0.1),
        loss="categorical_crossentropy",
    )


def binary():
    return chain(
        (8, 8, 1),
        layers.Conv2D(4, 3, strides=3, activation="tanh"),
        layers.Dropout(0.25, seed=2),
        layers.Flatten(),
        layers.Dense(3, activation="sigmoid"),
        loss="binary_crossentropy",
    )


def images_to_images():
    return chain(
        (6, 5, 2),
        layers.Conv2D(7, 3, padding="same", activation="relu"),
        layers.Dense(5, activation="tanh"),
        layers.Conv2D(2, 3, padding="same"),
        loss="mse",
    )


def images_to_classes_of_pixels():
    return chain(
        (6, 5, 2),
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.Conv2D(3, 3, padding="same", activation="softmax"),
        loss="sparse_categorical_crossentropy",
    )


MODELS = [
    lenet,
    mnist_cnn,
    strides_and_paddings,
    probabilities_of_a_hand_made_softmax,
    binary,
    images_to_images,
    images_to_classes_of_pixels,
]
every_model = pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)


def data(model, rows=5):
    """Return normal inputs, which tie in no maximum, and targets that suit the loss."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=(rows, *model.input_shape[1:]))
    shape = (rows, *model.output_shape[1:])
    if isinstance(model.loss, losses.SparseCategoricalCrossentropy):
        return x, rng.integers(0, shape[-1], shape[:-1])
    if isinstance(model.loss, losses.CategoricalCrossentropy):
        return x, np.eye(shape[-1])[rng.integers(0, shape[-1], rows)]
    return x, rng.uniform(size=shape)


@every_model
def test_gradients_are_those_of_central_differences(make):
    model = make()
    report = check_gradients(model, *data(model))
    assert [check.name for check in report.parameters] == [v.path for v in model.weights]
    assert report.worst < 1e-7, report


@every_model
def test_gradients_in_float32_are_those_in_float64(make):
    model = make()
    x, y = data(model)
    x = x.astype("float32")
    results = []
    for each in (model, model.astype("float64")):
        run, lowered = each.gradient_program("test", x, y)
        run()
        results.append([gradient.astype("float64") for gradient in lowered.gradients.values()])
    for single, double in zip(*results, strict=True):
        # A few layers of sums of at most a hundred terms: errors stay under a hundred roundings.
        assert np.abs(single - double).max() <= 100 * 2.0**-24 * np.abs(double).max()


def test_the_model_stays_as_it_is():
    model = lenet()
    before, state = model.get_weights(), np.random.get_state()[1].copy()
    check_gradients(model, *data(model), entries=3)
    for weight, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)
    assert model.dtype == "float32" and model.optimizer.iterations == 0
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_a_wrong_gradient_is_found(monkeypatch):
    model = lenet()
    run = Lowered.run

    def wrong(self, *arguments):
        run(self, *arguments)
        gradient = list(self.gradients.values())[2]
        gradient.reshape(-1)[np.abs(gradient).argmax()] *= 1 + 1e-5

    monkeypatch.setattr(Lowered, "run", wrong)
    report = check_gradients(model, *data(model), entries=3)
    errors = {check.name: check.error for check in report.parameters}
    assert 0.9e-5 < errors.pop("conv2d_1/kernel") < 1.1e-5
    assert max(errors.values()) < 1e-7


def test_the_report_is_a_table():
    model = binary()
    report = check_gradients(model, *data(model), entries=10)
    lines = str(report).splitlines()
    assert lines[0].split() == ["parameter", "shape", "entries", "relative", "error"]
    assert lines[1].split()[:3] == ["conv2d/kernel", "3x3x1x4", "10"]
    assert len(lines) == 5 and repr(report) == str(report)
