"""Metrics against Keras: unequal batches, with and without weights, and configurations."""

import inspect

import numpy as np
import pytest

from cycnn import metrics
from cycnn.row_functions import RowFunction

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]

# class, arguments, distribution of targets, of predictions, shape
ROWS = [
    ("Accuracy", {}, "labels", "labels", (50, 4)),
    ("BinaryAccuracy", {}, "bits", "shares", (50, 3)),
    ("BinaryAccuracy", {"threshold": 0.7}, "bits", "shares", (50, 1)),
    ("BinaryAccuracy", {}, "bits", "shares", (20, 5, 5, 1)),
    ("CategoricalAccuracy", {}, "one_hot", "softmax", (50, 4)),
    ("CategoricalAccuracy", {}, "one_hot", "softmax", (20, 5, 4)),
    ("SparseCategoricalAccuracy", {}, "labels", "softmax", (50, 4)),
    ("SparseCategoricalAccuracy", {}, "labels", "softmax", (20, 3, 3, 4)),
    ("TopKCategoricalAccuracy", {}, "one_hot", "softmax", (50, 9)),
    ("TopKCategoricalAccuracy", {"k": 2}, "one_hot", "quarters", (50, 9)),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, "labels", "softmax", (50, 9)),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "labels", "quarters", (50, 9)),
    ("SparseTopKCategoricalAccuracy", {"k": 1}, "labels", "softmax", (20, 4, 9)),
    ("TruePositives", {}, "bits", "shares", (50, 3)),
    ("FalsePositives", {"thresholds": 0.3}, "bits", "shares", (50, 3)),
    ("TrueNegatives", {"thresholds": [0.2, 0.8, 0.5]}, "bits", "shares", (50, 3)),
    ("FalseNegatives", {"thresholds": [0.25, 0.5, 0.75]}, "bits", "quarters", (50, 3)),
    ("Precision", {}, "bits", "shares", (50, 1)),
    ("Precision", {"thresholds": [0.1, 0.9, 0.6]}, "bits", "shares", (50, 3)),
    ("Precision", {"top_k": 2}, "one_hot", "softmax", (50, 6)),
    ("Precision", {"class_id": 1}, "one_hot", "softmax", (50, 3)),
    ("Precision", {"top_k": 2, "class_id": 1}, "one_hot", "softmax", (50, 4)),
    ("Recall", {}, "bits", "shares", (50, 1)),
    ("Recall", {"thresholds": [0.3, 0.6]}, "bits", "shares", (50, 3)),
    ("Recall", {"top_k": 3, "thresholds": 0.1}, "one_hot", "softmax", (50, 6)),
    ("Recall", {"class_id": 2}, "one_hot", "softmax", (50, 3)),
    ("F1Score", {}, "one_hot", "softmax", (50, 4)),
    ("F1Score", {"average": "micro"}, "one_hot", "softmax", (50, 4)),
    ("F1Score", {"average": "macro", "threshold": 0.5}, "bits", "shares", (50, 4)),
    ("F1Score", {"average": "weighted"}, "one_hot", "softmax", (50, 4)),
    ("FBetaScore", {"beta": 2.0, "threshold": 0.4}, "bits", "shares", (50, 4)),
    ("FBetaScore", {"beta": 0.5, "average": "weighted"}, "one_hot", "softmax", (50, 4)),
    ("AUC", {}, "bits", "shares", (300, 1)),
    ("AUC", {"num_thresholds": 20, "curve": "PR"}, "bits", "shares", (300, 1)),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, "bits", "shares", (300, 1)),
    ("AUC", {"curve": "PR", "summation_method": "majoring"}, "bits", "shares", (300, 1)),
    ("AUC", {"summation_method": "majoring", "num_thresholds": 11}, "bits", "shares", (300, 2)),
    ("AUC", {"curve": "PRGAIN"}, "bits", "shares", (300, 1)),
    ("AUC", {"thresholds": [0.1, 0.5, 0.55]}, "bits", "shares", (300, 1)),
    ("AUC", {"multi_label": True, "num_labels": 3}, "bits", "shares", (300, 3)),
    ("AUC", {"multi_label": True, "label_weights": [1.0, 2.0, 0.5]}, "bits", "shares", (300, 3)),
    ("AUC", {"multi_label": True, "curve": "PR"}, "bits", "shares", (300, 3)),
    ("AUC", {"label_weights": [1.0, 2.0, 0.5]}, "bits", "shares", (300, 3)),
    ("AUC", {"from_logits": True}, "bits", "normal", (300, 1)),
    ("PrecisionAtRecall", {"recall": 0.6}, "bits", "shares", (300, 1)),
    ("RecallAtPrecision", {"precision": 0.5}, "bits", "shares", (300, 1)),
    ("SensitivityAtSpecificity", {"specificity": 0.5}, "bits", "shares", (300, 1)),
    ("SpecificityAtSensitivity", {"sensitivity": 0.5, "num_thresholds": 17}, "bits", "shares", (300, 1)),
    ("SensitivityAtSpecificity", {"specificity": 0.4, "num_thresholds": 1}, "bits", "shares", (300, 1)),
    ("PrecisionAtRecall", {"recall": 0.6, "class_id": 1}, "one_hot", "softmax", (300, 3)),
    ("MeanSquaredError", {}, "normal", "normal", (50, 4)),
    ("MeanSquaredError", {}, "normal", "normal", (20, 4, 4, 2)),
    ("RootMeanSquaredError", {}, "normal", "normal", (50, 4)),
    ("MeanAbsoluteError", {}, "normal", "normal", (50, 4)),
    ("MeanAbsolutePercentageError", {}, "normal", "normal", (50, 4)),
    ("MeanSquaredLogarithmicError", {}, "shares", "shares", (50, 4)),
    ("LogCoshError", {}, "normal", "normal", (50, 4)),
    ("CosineSimilarity", {}, "normal", "normal", (50, 4)),
    ("KLDivergence", {}, "softmax", "softmax", (50, 4)),
    ("Poisson", {}, "shares", "shares", (50, 4)),
    ("Hinge", {}, "bits", "normal", (50, 4)),
    ("SquaredHinge", {}, "bits", "normal", (50, 4)),
    ("CategoricalHinge", {}, "one_hot", "normal", (50, 4)),
    ("R2Score", {}, "normal", "normal", (50, 4)),
    ("R2Score", {"class_aggregation": None}, "normal", "normal", (50, 4)),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, "normal", "normal", (50, 4)),
    ("R2Score", {"num_regressors": 3}, "normal", "normal", (50, 1)),
    ("PearsonCorrelation", {}, "normal", "normal", (50, 6)),
    ("ConcordanceCorrelation", {}, "normal", "normal", (50, 6)),
    ("BinaryCrossentropy", {}, "bits", "shares", (50, 3)),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "bits", "normal", (50, 3)),
    ("CategoricalCrossentropy", {}, "one_hot", "softmax", (50, 4)),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "one_hot", "normal", (50, 4)),
    ("SparseCategoricalCrossentropy", {}, "labels", "softmax", (50, 4)),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels", "normal", (20, 3, 3, 4)),
    ("IoU", {"num_classes": 4, "target_class_ids": [0, 2]}, "labels", "labels", (50, 4)),
    ("IoU", {"num_classes": 4, "target_class_ids": [1], "sparse_y_pred": False}, "labels", "softmax", (50, 4)),
    ("MeanIoU", {"num_classes": 4}, "labels", "labels", (50, 4)),
    ("MeanIoU", {"num_classes": 4, "ignore_class": 1, "sparse_y_pred": False}, "labels", "softmax", (20, 5, 5, 4)),
    ("BinaryIoU", {}, "bits", "shares", (50, 1)),
    ("BinaryIoU", {"target_class_ids": [1], "threshold": 0.25}, "bits", "quarters", (50, 1)),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [0, 3]}, "one_hot", "softmax", (50, 4)),
    ("OneHotMeanIoU", {"num_classes": 4}, "one_hot", "softmax", (50, 4)),
]
NAMES = [f"{name}-{arguments}-{shape}" for name, arguments, _, _, shape in ROWS]


def draw(rng, kind, shape):
    """Return float32 numbers, or labels."""
    if kind == "labels":
        return rng.integers(0, shape[-1], shape[:-1]).astype("int32")
    if kind == "one_hot":
        return np.eye(shape[-1], dtype="float32")[rng.integers(0, shape[-1], shape[:-1])]
    numbers = {
        "bits": lambda: rng.integers(0, 2, shape),
        "shares": lambda: rng.uniform(0.05, 0.95, shape),
        "quarters": lambda: rng.integers(0, 5, shape) / 4,
        "softmax": lambda: rng.dirichlet(np.ones(shape[-1]), shape[:-1]) * 0.9 + 0.1 / shape[-1],
        "normal": lambda: 2 * rng.standard_normal(shape),
    }
    return numbers[kind]().astype("float32")


def result_of(metric, y, x, weights):
    """Return the result after three unequal batches, the first of them forgotten again."""
    metric.update_state(y[:5], x[:5], sample_weight=None if weights is None else weights[:5])
    metric.reset_state()
    for start, stop in ((0, 7), (7, 8), (8, len(y))):
        metric.update_state(
            y[start:stop], x[start:stop], sample_weight=None if weights is None else weights[start:stop]
        )
    return np.asarray(metric.result(), np.float64)


@pytest.mark.parametrize("weighted", (False, True))
@pytest.mark.parametrize(("name", "arguments", "y_kind", "x_kind", "shape"), ROWS, ids=NAMES)
def test_values(name, arguments, y_kind, x_kind, shape, weighted):
    rng = np.random.default_rng(3)
    y, x = draw(rng, y_kind, shape), draw(rng, x_kind, shape)
    whole = "IoU" in name  # Keras counts pixels in integers, one weight for each
    weights = None
    if weighted:
        weights = rng.integers(1, 4, x.shape if len(shape) == 1 else shape[:1]).astype("int32" if whole else "float32")
        if len(shape) > 2 and whole:
            weights = rng.integers(1, 4, shape[:-1]).astype("int32")
    ours, theirs = (getattr(api, name)(**arguments) for api in (metrics, keras.metrics))
    actual, expected = (result_of(metric, y, x, weights) for metric in (ours, theirs))
    assert np.all(np.isfinite(expected))
    # Keras adds in float32.
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "arguments", "y_kind", "x_kind", "shape"), ROWS, ids=NAMES)
def test_configuration_goes_round(name, arguments, y_kind, x_kind, shape):
    theirs = getattr(keras.metrics, name)(**arguments)
    config = theirs.get_config()
    if config.get("thresholds") is not None and name == "AUC":
        config["thresholds"] = arguments["thresholds"]  # Keras cannot read what it writes
    if config.get("label_weights") is not None:
        config["label_weights"] = np.asarray(config["label_weights"]).tolist()
    ours = getattr(metrics, name).from_config(config)
    assert ours.get_config().items() >= config.items()
    assert metrics.deserialize(metrics.serialize(ours)).get_config() == ours.get_config()


@pytest.mark.parametrize("reduce", ("Mean", "Sum"))
@pytest.mark.parametrize("shape", ((6,), (6, 3), (6, 3, 2)))
@pytest.mark.parametrize("axes", (None, 1, 2))
def test_means_and_sums(reduce, shape, axes):
    rng = np.random.default_rng(3)
    values = rng.standard_normal(shape).astype("float32")
    weights = None if axes is None else rng.random(shape[:axes]).astype("float32")
    results = []
    for api in (metrics, keras.metrics):
        metric = getattr(api, reduce)()
        metric.update_state(values, sample_weight=weights)
        metric.update_state(values[:2], sample_weight=None if axes is None else weights[:2])
        results.append(float(metric.result()))
    np.testing.assert_allclose(*results, rtol=2e-6, atol=1e-6)


def test_functions_of_the_user():
    def worst(y_true, y_pred):
        return abs(y_true - y_pred)[..., 0]

    rng = np.random.default_rng(3)
    y, x = rng.random((20, 4)).astype("float32"), rng.random((20, 4)).astype("float32")
    ours, theirs = metrics.get(worst), keras.metrics.MeanMetricWrapper(worst)
    assert ours.name == "worst"
    np.testing.assert_allclose(result_of(ours, y, x, None), result_of(theirs, y, x, None), rtol=1e-6)


@pytest.mark.parametrize("name", ("mse", "MAE", "mape", "msle", "bce", "auc", "mean_squared_error", "r2_score", "AUC"))
def test_names_are_those_of_keras(name):
    theirs = keras.metrics.get(name)
    assert metrics.get(name).name == name
    assert type(metrics.get(name)).__name__ == type(theirs).__name__


FUNCTIONS = [name for name in metrics.__all__ if isinstance(getattr(metrics, name), RowFunction)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_rows_are_those_of_keras(name):
    rng = np.random.default_rng(4)
    y, x = draw(rng, "labels" if "sparse" in name else "one_hot", (20, 7)), draw(rng, "softmax", (20, 7))
    ours, theirs = getattr(metrics, name), getattr(keras.metrics, name)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    values = np.asarray(theirs(y, x))
    assert ours(y, x).shape == values.shape
    np.testing.assert_allclose(ours(y, x), values, rtol=1e-5, atol=2e-6)
    assert metrics.get(ours).name == name


def test_no_function_of_keras_is_missing():
    theirs = {name for name, value in vars(keras.metrics).items() if inspect.isfunction(value)}
    assert theirs <= {*FUNCTIONS, "get", "serialize", "deserialize"}
