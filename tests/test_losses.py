"""Losses as objects: names, configurations, reductions, weights, checks, and training with them."""

import json

import numpy as np
import pytest
from helpers import integers

import cycnn
from cycnn import Input, Sequential, check_gradients, layers, losses
from cycnn.ops.row_losses import row_losses

CLASSES = [getattr(losses, name) for name in losses.__all__ if isinstance(getattr(losses, name), type)]
CLASSES.remove(losses.Loss)
ARGUMENTS = {
    losses.SparseCategoricalCrossentropy: {"from_logits": True, "ignore_class": 255},
    losses.CategoricalCrossentropy: {"label_smoothing": 0.1},
    losses.BinaryCrossentropy: {"from_logits": True, "label_smoothing": 0.2},
    losses.CategoricalFocalCrossentropy: {"alpha": [0.25, 0.5, 1.0], "gamma": 1.5},
    losses.BinaryFocalCrossentropy: {"apply_class_balancing": True, "alpha": 0.3},
    losses.Huber: {"delta": 2.0},
    losses.Dice: {"axis": [1, 2, 3]},
    losses.Tversky: {"alpha": 0.7, "beta": 0.3},
}
every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


# --- names and configurations -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("mse", losses.MeanSquaredError),
        ("MSE", losses.MeanSquaredError),
        ("mae", losses.MeanAbsoluteError),
        ("mape", losses.MeanAbsolutePercentageError),
        ("MSLE", losses.MeanSquaredLogarithmicError),
        ("kld", losses.KLDivergence),
        ("kl_divergence", losses.KLDivergence),
        ("bce", losses.BinaryCrossentropy),
        ("huber", losses.Huber),
        ("log_cosh", losses.LogCosh),
        ("LogCosh", losses.LogCosh),
        ("categorical_focal_crossentropy", losses.CategoricalFocalCrossentropy),
        (losses.Poisson, losses.Poisson),
        ({"class_name": "Huber", "config": {"delta": 3.0}}, losses.Huber),
    ],
)
def test_names_stand_for_losses(name, cls):
    assert type(losses.get(name)) is cls


@every_class
def test_configuration_goes_round_in_json(cls):
    loss = cls(**ARGUMENTS.get(cls, {}), reduction="sum", name="mine")
    config = json.loads(json.dumps(losses.serialize(loss)))
    again = losses.deserialize(config)
    assert type(again) is cls
    assert again.get_config() == loss.get_config()
    assert again.get_config()["reduction"] == "sum" and again.name == "mine"
    assert losses.get(loss) is loss


def test_default_names():
    assert losses.Huber().name == "huber_loss"
    assert losses.KLDivergence().name == "kl_divergence"
    assert repr(losses.Dice()) == "<Dice 'dice'>"


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: losses.MeanSquaredError(reduction="none"),
            ValueError,
            "MeanSquaredError: `reduction` must be 'sum_over_batch_size', 'mean' or 'sum', for a loss is one number. "
            "Received: reduction='none'.",
        ),
        (
            lambda: losses.CategoricalCrossentropy(axis=1),
            ValueError,
            "CategoricalCrossentropy: `axis` must be -1, the last. Received: axis=1.",
        ),
        (
            lambda: losses.CategoricalCrossentropy(label_smoothing=1.5),
            ValueError,
            "CategoricalCrossentropy: `label_smoothing` must be a finite number in [0, 1]. "
            "Received: label_smoothing=1.5.",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy(ignore_class="none"),
            TypeError,
            "SparseCategoricalCrossentropy: `ignore_class` must be an int of 32 bits. Received: ignore_class='none'.",
        ),
        (
            lambda: losses.Huber(delta=-1),
            ValueError,
            "Huber: `delta` must be a finite number of at least 0. Received: delta=-1.",
        ),
        (
            lambda: losses.Poisson(dtype="float16"),
            ValueError,
            "Poisson: `dtype` must be one of 'float32', 'float64'. Received: dtype='float16'.",
        ),
        (
            lambda: losses.Dice(axis=(1,))([[[1.0]]], [[[1.0]]]),
            ValueError,
            "Dice: `axis` must be None or (1, 2), all axes of an image. Received: axis=(1,).",
        ),
        (
            lambda: losses.CategoricalFocalCrossentropy(alpha=[1.0, 2.0])([[1.0, 0.0, 0.0]], [[0.5, 0.2, 0.3]]),
            ValueError,
            "CategoricalFocalCrossentropy: `alpha` must have one number for each of the 3 classes. "
            "Received: len(alpha)=2.",
        ),
        (
            lambda: losses.MeanSquaredError()(np.zeros((2, 3)), np.zeros((2, 3)), np.ones(3)),
            ValueError,
            "MeanSquaredError: `sample_weight` must have the shape (2,) of the losses, or its first axes. "
            "Received: sample_weight.shape=(3,).",
        ),
        (
            lambda: losses.get(lambda y, x: 0),
            TypeError,
            "losses.get: `identifier` must be the name of a loss, its configuration, or a loss. Received: identifier=",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy(ignore_class=-1)([0, -2], [[0.5, 0.5], [0.5, 0.5]]),
            ValueError,
            "SparseCategoricalCrossentropy: `y_true` must lie between 0 and 1. "
            "Received: y_true.min()=-2, y_true.max()=0.",
        ),
    ],
)
def test_wrong_arguments_get_one_clear_error(make, error, text):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value).startswith(text)


# --- values -------------------------------------------------------------------------------------


def test_reductions_and_weights():
    y, x = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 4.0], [3.0, 1.0]])  # losses 2 and 5
    assert losses.MeanSquaredError()(y, x) == 3.5
    assert losses.MeanSquaredError(reduction="mean")(y, x) == 3.5
    assert losses.MeanSquaredError(reduction="sum")(y, x) == 7.0
    for weights in ([0.5, 2.0], [[0.5], [2.0]]):
        assert losses.MeanSquaredError()(y, x, weights) == 5.5
        assert losses.MeanSquaredError(reduction="sum")(y, x, sample_weight=weights) == 11.0
    assert losses.MeanSquaredError()(y, x, 2) == 7.0


def test_a_weight_counts_for_an_image_or_a_pixel():
    rng = np.random.default_rng(1)
    y, x = integers(rng, (2, 3, 4, 2)), integers(rng, (2, 3, 4, 2))
    rows = ((y - x) ** 2).mean(axis=-1)
    loss = losses.MeanSquaredError()
    assert loss(y, x, [1.0, 3.0]) == np.mean(rows * np.array([1.0, 3.0])[:, None, None])
    weights = integers(rng, (2, 3, 4))
    assert loss(y, x, weights) == np.mean(rows * weights, dtype="float64")


def test_calls_take_lists_and_single_rows():
    assert losses.MeanSquaredError()([1, 2], [1, 4]) == 2.0
    assert losses.MeanAbsoluteError()([[1]], [[3]]) == 2.0
    assert round(losses.SparseCategoricalCrossentropy()(1, [0.5, 0.5]), 4) == 0.6931
    assert losses.MeanSquaredError(dtype="float64")([0.1], [0.3]) == (0.3 - 0.1) ** 2
    assert losses.MeanSquaredError()(np.zeros((0, 2)), np.zeros((0, 2))) == 0.0


def test_ignored_class_leaves_the_mean_of_the_others():
    x = np.array([[2.0, 1.0], [0.0, 5.0], [1.0, 1.0]])
    kept = losses.SparseCategoricalCrossentropy(from_logits=True)([0, 1], x[[0, 2]])
    for ignored in (-1, 255, 7):
        loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=ignored)
        assert loss([0, ignored, 1], x) == pytest.approx(kept, rel=1e-14)
        assert loss([ignored] * 3, x) == 0.0


# --- models -------------------------------------------------------------------------------------

OUTPUTS = {
    losses.SparseCategoricalCrossentropy: ("softmax", "labels"),
    losses.CategoricalCrossentropy: ("softmax", "one_hot"),
    losses.CategoricalFocalCrossentropy: ("softmax", "one_hot"),
    losses.BinaryCrossentropy: ("sigmoid", "bits"),
    losses.BinaryFocalCrossentropy: ("sigmoid", "bits"),
    losses.KLDivergence: ("softmax", "one_hot"),
    losses.Poisson: ("sigmoid", "bits"),
    losses.MeanSquaredLogarithmicError: ("sigmoid", "bits"),
    losses.CategoricalHinge: (None, "one_hot"),
    losses.Hinge: (None, "bits"),
    losses.SquaredHinge: (None, "bits"),
    losses.Dice: ("sigmoid", "bits"),
    losses.Tversky: ("sigmoid", "bits"),
}


def model_for(cls, head=True, **arguments):
    """Return a compiled model of one output row for each image, and data for it."""
    activation, kind = OUTPUTS.get(cls, ("tanh", "normal"))
    cycnn.utils.set_random_seed(3)
    stack = [Input((5, 5, 2)), layers.Conv2D(3, 3, activation="tanh"), layers.Flatten(), layers.Dense(3)]
    model = Sequential([*stack, layers.Activation(activation)] if activation and head else stack)
    model.compile("sgd", cls(**arguments))
    rng = np.random.default_rng(8)
    x, labels = rng.standard_normal((8, 5, 5, 2)), rng.integers(0, 3, 8)
    y = {
        "labels": lambda: labels,
        "one_hot": lambda: np.eye(3)[labels],
        "bits": lambda: rng.integers(0, 2, (8, 3)).astype("float64"),
        "normal": lambda: rng.standard_normal((8, 3)),
    }[kind]()
    return model, x, y


@every_class
@pytest.mark.parametrize("reduction", ("sum_over_batch_size", "sum"))
def test_gradients_of_models(cls, reduction):
    arguments = {k: v for k, v in ARGUMENTS.get(cls, {}).items() if k not in ("from_logits", "axis")}
    model, x, y = model_for(cls, **arguments, reduction=reduction)
    assert check_gradients(model, x, y, entries=10).worst < 1e-6


@pytest.mark.parametrize(
    "cls", [cls for cls in CLASSES if "from_logits" in cls.arguments], ids=lambda cls: cls.__name__
)
def test_gradients_from_logits(cls):
    model, x, y = model_for(cls, head=False, from_logits=True)
    assert check_gradients(model, x, y, entries=10).worst < 1e-6


@every_class
def test_models_report_what_the_loss_returns(cls):
    model, x, y = model_for(cls)
    x = x.astype("float32")
    value = model.evaluate(x, y, verbose=0)
    assert value == pytest.approx(model.loss(y, model.predict(x, verbose=0)), rel=2e-5)


@every_class
def test_models_learn(cls):
    model, x, y = model_for(cls)
    x = x.astype("float32")
    model.compile("adam", cls())
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=30, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before


def test_sum_is_reported_and_scales_the_gradient():
    model, x, y = model_for(losses.MeanSquaredError, reduction="sum")
    mean, _, _ = model_for(losses.MeanSquaredError)
    x = x.astype("float32")
    rows = row_losses("test", losses.MeanSquaredError(), y, model.predict(x, verbose=0))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(rows.sum(), rel=1e-6)
    model.compile(cycnn.optimizers.SGD(0.125), model.loss)
    mean.compile(cycnn.optimizers.SGD(1.0), mean.loss)
    for each in (model, mean):
        each.train_on_batch(x, y)
    for a, b in zip(model.get_weights(), mean.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_focal_loss_absorbs_its_activation():
    model, x, y = model_for(losses.CategoricalFocalCrossentropy)
    x = x.astype("float64")
    model = model.astype("float64")
    model.compile("sgd", losses.CategoricalFocalCrossentropy())
    plain = losses.CategoricalFocalCrossentropy()(y, model.predict(x, verbose=0))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(plain, rel=1e-12)


def test_segmentation_with_gaps_trains():
    cycnn.utils.set_random_seed(1)
    model = Sequential([Input((6, 6, 1)), layers.Conv2D(3, 3, padding="same", activation="softmax")])
    model.compile("adam", losses.SparseCategoricalCrossentropy(ignore_class=255))
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((10, 6, 6, 1)).astype("float32"), rng.integers(0, 3, (10, 6, 6))
    before = model.evaluate(x, y, verbose=0)
    y[:, ::2] = 255
    value = model.evaluate(x, y, batch_size=10, verbose=0)
    assert value == pytest.approx(model.loss(y, model.predict(x, verbose=0)), rel=1e-5)
    assert value != before
    model.fit(x, y, epochs=3, verbose=0)
    assert np.isfinite(model.evaluate(x, y, verbose=0))


def test_weights_of_images_whose_masks_overlap():
    model = Sequential([Input((6, 6, 1)), layers.Conv2D(1, 3, padding="same", activation="sigmoid")])
    model.compile("adam", losses.Dice(axis=(1, 2, 3)))
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((9, 6, 6, 1)).astype("float32"), rng.integers(0, 2, (9, 6, 6, 1))
    weights = rng.random(9)
    value = model.evaluate(x, y, sample_weight=weights, batch_size=4, verbose=0)
    assert value == pytest.approx(model.loss(y, model.predict(x, verbose=0), weights), rel=1e-6)
    model.fit(x, y, sample_weight=weights, verbose=0)
    with pytest.raises(ValueError, match=r"fit: `class_weight` must be used with a loss of rows"):
        model.fit(x, y, class_weight={1: 2.0}, verbose=0)
    model.compile("adam", "dice")
    model.fit(x, y, verbose=0)
    with pytest.raises(
        ValueError, match=r"fit: `sample_weight` must be left out.* With Dice\(axis=\(1, 2, 3\)\) images"
    ):
        model.fit(x, y, sample_weight=weights, verbose=0)


def test_loss_without_a_step_says_so():
    class Mine(losses.Loss):
        pass

    model = Sequential([Input((2,)), layers.Dense(1)])
    model.compile("sgd", Mine())
    with pytest.raises(NotImplementedError, match="Mine: `step` must name a native step"):
        model.fit(np.zeros((2, 2), "float32"), np.zeros((2, 1)), verbose=0)


def test_gradient_of_the_row_losses_is_that_of_the_value():
    rng = np.random.default_rng(4)
    y, x, weights = rng.random((5, 3)), rng.random((5, 3)), rng.random(5)
    loss, step = losses.LogCosh(), 1e-6
    gradient = row_losses("test", loss, y, x, weights, backward=True)
    slopes = np.empty_like(x)
    for place in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        slopes[place] = (loss(y, moved[0], weights) - loss(y, moved[1], weights)) / (2 * step)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-9)


def test_functions_say_of_each_row_what_their_class_averages():
    rng = np.random.default_rng(6)
    y, x = rng.random((4, 3)), rng.random((4, 3))
    values = losses.huber(y, x, 0.25)
    assert values.shape == (4,)
    assert losses.Huber(0.25)(y, x) == pytest.approx(values.mean())
    assert losses.dice(y, x).shape == losses.hinge(y[0], x[0]).shape == ()
    assert losses.get(losses.kl_divergence).name == "kl_divergence"
    with pytest.raises(TypeError, match="delta"):
        losses.hinge(y, x, delta=1.0)
