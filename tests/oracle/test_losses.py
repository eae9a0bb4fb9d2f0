"""Losses against Keras: values with and without weights, gradients, configurations.

Keras computes in float64, and the float32 results are compared with it.
"""

import inspect

import numpy as np
import pytest

from cycnn import losses
from cycnn.identifiers import snake_case
from cycnn.ops.row_losses import row_losses

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]

# class, arguments, distribution of targets, of predictions, shape
ROWS = [
    ("SparseCategoricalCrossentropy", {}, "labels", "softmax", (32, 10)),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels", "normal", (32, 10)),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels", "normal", (3, 4, 5, 7)),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, "labels", "softmax", (32, 5)),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1, "from_logits": True}, "gaps", "normal", (4, 6, 6, 5)),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1, "reduction": "sum"}, "gaps", "softmax", (40, 5)),
    ("CategoricalCrossentropy", {}, "softmax", "softmax", (32, 10)),
    ("CategoricalCrossentropy", {"from_logits": True}, "one_hot", "normal", (4, 3, 10)),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one_hot", "softmax", (32, 10)),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1, "from_logits": True}, "one_hot", "normal", (32, 10)),
    ("BinaryCrossentropy", {}, "bits", "shares", (32, 3)),
    ("BinaryCrossentropy", {"from_logits": True}, "bits", "normal", (32, 1)),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "bits", "shares", (4, 5, 5, 2)),
    ("BinaryCrossentropy", {"label_smoothing": 0.2, "from_logits": True}, "shares", "normal", (32, 3)),
    ("CategoricalFocalCrossentropy", {}, "one_hot", "softmax", (32, 6)),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 0.5}, "one_hot", "normal", (32, 6)),
    ("CategoricalFocalCrossentropy", {"alpha": [0.1, 0.5, 1.0]}, "softmax", "softmax", (4, 5, 3)),
    ("CategoricalFocalCrossentropy", {"label_smoothing": 0.1, "gamma": 3.0}, "one_hot", "softmax", (32, 6)),
    ("BinaryFocalCrossentropy", {}, "bits", "shares", (32, 3)),
    ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 1.5}, "bits", "normal", (32, 3)),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.7}, "bits", "shares", (8, 4, 2)),
    ("BinaryFocalCrossentropy", {"label_smoothing": 0.2, "from_logits": True}, "bits", "normal", (32, 3)),
    ("MeanSquaredError", {}, "normal", "normal", (32, 7)),
    ("MeanSquaredError", {"reduction": "sum"}, "normal", "normal", (3, 5, 5, 2)),
    ("MeanSquaredError", {"reduction": "mean"}, "normal", "normal", (32, 1)),
    ("MeanAbsoluteError", {}, "normal", "normal", (32, 7)),
    ("MeanAbsolutePercentageError", {}, "normal", "normal", (32, 7)),
    ("MeanAbsolutePercentageError", {}, "bits", "normal", (9, 4)),
    ("MeanSquaredLogarithmicError", {}, "shares", "shares", (32, 7)),
    ("MeanSquaredLogarithmicError", {}, "normal", "normal", (32, 7)),
    ("Huber", {}, "normal", "normal", (32, 7)),
    ("Huber", {"delta": 0.3, "reduction": "sum"}, "normal", "normal", (32, 7)),
    ("LogCosh", {}, "normal", "normal", (32, 7)),
    ("KLDivergence", {}, "softmax", "softmax", (32, 7)),
    ("KLDivergence", {}, "one_hot", "softmax", (4, 6, 7)),
    ("Poisson", {}, "shares", "shares", (32, 7)),
    ("Hinge", {}, "bits", "normal", (32, 7)),
    ("Hinge", {}, "signs", "normal", (32, 7)),
    ("SquaredHinge", {}, "bits", "normal", (32, 7)),
    ("SquaredHinge", {"reduction": "sum"}, "shares", "normal", (5, 4, 7)),
    ("CategoricalHinge", {}, "one_hot", "normal", (32, 7)),
    ("CosineSimilarity", {}, "normal", "normal", (32, 7)),
    ("CosineSimilarity", {"reduction": "sum"}, "normal", "normal", (5, 4, 7)),
    ("Dice", {}, "bits", "shares", (4, 6, 6, 1)),
    ("Dice", {"axis": (1, 2, 3)}, "bits", "shares", (4, 6, 6, 2)),
    ("Tversky", {}, "bits", "shares", (4, 6, 6, 1)),
    ("Tversky", {"alpha": 0.7, "beta": 0.2, "axis": (1, 2, 3)}, "bits", "shares", (4, 6, 6, 2)),
]
NAMES = [f"{name}-{arguments}-{shape}" for name, arguments, _, _, shape in ROWS]


def draw(rng, kind, shape):
    """Return float32 numbers, or labels."""
    if kind in ("labels", "gaps"):
        labels = rng.integers(-1 if kind == "gaps" else 0, shape[-1], shape[:-1])
        return labels.astype("int32")
    if kind == "one_hot":
        return np.eye(shape[-1], dtype="float32")[rng.integers(0, shape[-1], shape[:-1])]
    numbers = {
        "bits": lambda: rng.integers(0, 2, shape),
        "signs": lambda: rng.integers(0, 2, shape) * 2 - 1,
        "shares": lambda: rng.uniform(0.05, 0.95, shape),
        "softmax": lambda: rng.dirichlet(np.ones(shape[-1]), shape[:-1]) * 0.9 + 0.1 / shape[-1],
        "normal": lambda: 2 * rng.standard_normal(shape),
    }
    return numbers[kind]().astype("float32")


def assert_close(actual, expected):
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert np.all(np.isfinite(expected))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * max(np.abs(expected).max(), 1e-30))


@pytest.mark.parametrize("weighted", (False, True))
@pytest.mark.parametrize(("name", "arguments", "y_kind", "x_kind", "shape"), ROWS, ids=NAMES)
def test_values_and_gradients(name, arguments, y_kind, x_kind, shape, weighted):
    rng = np.random.default_rng(7)
    y, x = draw(rng, y_kind, shape), draw(rng, x_kind, shape)
    ours = getattr(losses, name)(**arguments)
    theirs = getattr(keras.losses, name)(dtype="float64", **arguments)
    rows = ours.rows(shape)
    if weighted and rows == 1:
        pytest.skip("Keras weighs the loss of a batch by each of the weights")
    weights = rng.uniform(0.5, 2, shape[:-1] if rows is None else rows).astype("float32") if weighted else None
    variable = tf.Variable(x.astype("float64"))
    truth = tf.constant(y if y.dtype == "int32" else y.astype("float64"))
    with tf.GradientTape() as tape:
        value = theirs(truth, variable, sample_weight=weights)
    assert_close(ours(y, x, weights), value.numpy())
    gradient = row_losses(name, ours, y, x, weights, backward=True)
    assert_close(gradient, tf.convert_to_tensor(tape.gradient(value, variable)).numpy())


@pytest.mark.parametrize(("name", "arguments", "y_kind", "x_kind", "shape"), ROWS, ids=NAMES)
def test_configuration_goes_round(name, arguments, y_kind, x_kind, shape):
    theirs = getattr(keras.losses, name)(**arguments)
    ours = getattr(losses, name).from_config(theirs.get_config())
    config = {key: list(value) if isinstance(value, tuple) else value for key, value in theirs.get_config().items()}
    assert ours.get_config().items() >= config.items()
    again = losses.deserialize(losses.serialize(ours))
    assert again.get_config() == ours.get_config()
    assert type(keras.losses.get(losses.serialize(ours))) is type(theirs)


@pytest.mark.parametrize("name", sorted(set(losses.BY_NAME) - {"huber"}))
def test_names_are_those_of_keras(name):
    theirs = keras.losses.get(name)
    known = theirs.name if isinstance(theirs, keras.losses.Loss) else theirs.__name__
    assert losses.get(name).name == known


@pytest.mark.parametrize(
    ("name", "arguments", "y_kind", "x_kind", "shape"), [row for row in ROWS if "reduction" not in row[1]]
)
def test_functions_of_rows_are_those_of_keras(name, arguments, y_kind, x_kind, shape):
    name = snake_case(name)
    rng = np.random.default_rng(8)
    y, x = draw(rng, y_kind, shape), draw(rng, x_kind, shape)
    ours, theirs = getattr(losses, name), getattr(keras.losses, name)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    values = np.asarray(theirs(tf.constant(y), tf.constant(x), **arguments))
    assert ours(y, x, **arguments).shape == values.shape
    assert_close(ours(y, x, **arguments), values)
    if len(shape) == 2 and y_kind != "labels":
        assert_close(ours(y[0], x[0], **arguments), theirs(tf.constant(y[0]), tf.constant(x[0]), **arguments))
