"""Metrics: values by hand, batches, weights, names, configurations, and models that report them."""

import json
import math

import numpy as np
import pytest

import cycnn
from cycnn import Input, Model, Sequential, layers, losses, metrics

CLASSES = {
    name: value
    for name, value in vars(metrics).items()
    if isinstance(value, type) and issubclass(value, metrics.Metric) and value is not metrics.Metric
}
ARGUMENTS = {
    "IoU": {"num_classes": 3, "target_class_ids": [0, 2], "sparse_y_pred": False},
    "MeanIoU": {"num_classes": 3, "ignore_class": 255},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [1]},
    "OneHotMeanIoU": {"num_classes": 3},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5, "num_thresholds": 30},
    "Precision": {"thresholds": [0.2, 0.7], "top_k": 2, "class_id": 1},
    "AUC": {"curve": "pr", "thresholds": [0.5, 0.25]},
    "LossMetric": {"loss": losses.Huber(0.5)},
    "MeanMetricWrapper": {"fn": max},
    "F1Score": {"average": "macro", "threshold": 0.5},
    "BinaryCrossentropy": {"label_smoothing": 0.1},
    "R2Score": {"class_aggregation": None},
}
SPARSE = ("MeanIoU", "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy")
OF_PAIRS = sorted(set(CLASSES) - {"Mean", "Sum", "MeanMetricWrapper"})


def make(name):
    return CLASSES[name](**ARGUMENTS.get(name, {}))


def data_for(name, rows=60):
    """Return targets and predictions that suit a metric."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, rows)
    x = rng.dirichlet(np.ones(3), rows)
    if name in ("MeanIoU", "Accuracy"):
        return labels, rng.integers(0, 3, rows)
    if name in SPARSE or name == "IoU":
        return labels, x
    if name == "BinaryIoU":
        return rng.integers(0, 2, (rows, 1)), rng.random((rows, 1))
    return np.eye(3)[labels], x


# --- the contract -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"MeanMetricWrapper"}))
def test_configuration_goes_round_in_json(name):
    metric = make(name)
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert CLASSES[name](**ARGUMENTS.get(name, {}), name="mine", dtype="float32").get_config()["name"] == "mine"


@pytest.mark.parametrize("weighted", (False, True))
@pytest.mark.parametrize("name", OF_PAIRS)
def test_unequal_batches_give_what_the_whole_gives(name, weighted):
    y, x = data_for(name)
    weights = np.random.default_rng(1).integers(0, 4, len(y)) if weighted else np.ones(len(y))
    whole, parts = make(name), make(name)
    assert np.all(np.asarray(whole.result()) == 0) or name in ("R2Score", "F1Score")
    whole.update_state(y, x, weights if weighted else None)
    for start, stop in ((0, 1), (1, 20), (20, 60)):
        parts.update_state(y[start:stop], x[start:stop], weights[start:stop])
    np.testing.assert_allclose(parts.result(), whole.result(), rtol=1e-13, atol=1e-15)
    # A row that weighs two counts twice.
    repeated = make(name)
    repeated.update_state(np.repeat(y, weights.astype(int), axis=0), np.repeat(x, weights.astype(int), axis=0))
    np.testing.assert_allclose(repeated.result(), whole.result(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", OF_PAIRS)
def test_predictions_may_be_overwritten(name):
    y, x = data_for(name)
    metric, other = make(name), make(name)
    y, x = y.copy(), x.copy()
    metric.update_state(y, x)
    other.update_state(y, x)
    before = np.array(other.result())
    y[:], x[:] = 0, 0
    np.testing.assert_array_equal(metric.result(), before)


@pytest.mark.parametrize("name", OF_PAIRS)
def test_a_state_that_was_kept_does_not_change(name):
    y, x = data_for(name)
    metric = make(name)
    metric.update_state(y, x)
    result, state = np.array(metric.result()), dict(vars(metric))
    metric.update_state(y[:7], x[:7])
    metric.reset_state()
    vars(metric).update(state)
    np.testing.assert_array_equal(metric.result(), result)


@pytest.mark.parametrize("name", OF_PAIRS)
def test_reset_and_call(name):
    y, x = data_for(name)
    metric = make(name)
    first = metric(y, x)
    metric(y[::-1], x)
    metric.reset_state()
    np.testing.assert_array_equal(metric(y, x), first)


@pytest.mark.parametrize("name", sorted(set(OF_PAIRS) - {"IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "BinaryIoU"}))
def test_targets_of_another_shape_are_refused(name):
    y, x = data_for(name)
    with pytest.raises(ValueError, match=r"`y_true` must have "):
        make(name).update_state(y[:30], x)
    with pytest.raises(ValueError, match=rf"{name}: `y_true` must have the shape"):
        make(name).target_shape((None, 7, 2), (None, 3))


# --- values by hand -----------------------------------------------------------------------------


def test_counts_at_thresholds():
    y, x = [0, 0, 1, 1, 1], [0.2, 0.6, 0.2, 0.6, 0.9]
    wanted = {"TruePositives": [3, 2, 1], "FalsePositives": [2, 1, 0], "TrueNegatives": [0, 1, 2]}
    wanted["FalseNegatives"] = [0, 1, 2]
    for name, counts in wanted.items():
        assert CLASSES[name](thresholds=[0.1, 0.2, 0.6])(y, x).tolist() == counts
        assert CLASSES[name](thresholds=[0.6, 0.1])(y, x).tolist() == [counts[2], counts[0]]
        weights = [1, 2, 4, 8, 16]
        total = CLASSES[name](thresholds=0.5)(y, x, weights)
        assert total == {"TruePositives": 24, "FalsePositives": 2, "TrueNegatives": 1, "FalseNegatives": 4}[name]
    nan = float("nan")
    assert metrics.TruePositives()([1, 1], [nan, 0.9]) == 1  # a NaN exceeds nothing


def test_thresholds_are_compared_in_the_type_of_the_predictions():
    assert metrics.TruePositives(thresholds=0.3)([1], np.array([0.3], "float32")) == 0


def test_precision_and_recall():
    y = np.array([[0, 0, 1], [0, 1, 0]])
    x = np.array([[0.3, 0.4, 0.2], [0.1, 0.6, 0.3]])
    assert metrics.Precision()(y, x) == 1.0
    assert metrics.Recall()(y, x) == 0.5
    assert metrics.Precision(top_k=1)(y, x) == 0.5
    assert metrics.Recall(top_k=1, class_id=1)(y, x) == 1.0
    assert metrics.Precision(top_k=1, class_id=1)(y, x) == 0.5
    assert metrics.Precision(class_id=1, thresholds=0.3)(y, x, [1, 3]) == 0.75
    assert metrics.Precision(thresholds=1.0)(y, x) == 0.0  # nothing is positive


def test_top_k_counts_ties_as_in():
    x = [[0.3, 0.3, 0.3, 0.1]]
    assert metrics.SparseTopKCategoricalAccuracy(k=1)([2], x) == 1.0
    assert metrics.SparseTopKCategoricalAccuracy(k=3)([3], x) == 0.0
    assert metrics.SparseTopKCategoricalAccuracy(k=9)([3], x) == 1.0
    assert metrics.SparseTopKCategoricalAccuracy(k=9)([4], x) == 0.0
    assert metrics.SparseTopKCategoricalAccuracy(k=2)([0], [[math.nan, 0.1, 0.2]]) == 0.0
    assert metrics.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True)([5, 1], [[5, 1, 0], [0, 2, 1]]) == 0.5


def test_area_of_a_perfect_and_of_a_useless_order():
    y, x = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])
    assert metrics.AUC()(y, x) == 1.0
    assert metrics.AUC()(1 - y, x) == 0.0
    assert metrics.AUC()(y, np.full(4, 0.5)) == 0.5
    assert metrics.AUC(curve="PR")(y, x) == pytest.approx(1.0)
    assert metrics.AUC(from_logits=True)(y, 10 * x - 5) == 1.0
    columns = metrics.AUC(multi_label=True, label_weights=[3, 1])
    assert columns(np.stack([y, y], 1), np.stack([x, 1 - x], 1)) == 0.75


def test_area_agrees_with_counting_pairs():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 200)
    x = rng.integers(0, 50, 200) / 49 * 0.5 + 0.25 * y
    pairs = [(a > b) + 0.5 * (a == b) for a in x[y == 1] for b in x[y == 0]]
    thresholds = np.unique(np.concatenate([x, x + 1e-9]))
    assert metrics.AUC(thresholds=thresholds.tolist())(y, x) == pytest.approx(np.mean(pairs), rel=1e-12)


def test_intersection_over_union():
    y, x = np.array([[0, 0, 1], [2, 2, 255]]), np.array([[0, 1, 1], [2, 0, 1]])
    # matrix of confusions: 0: [1, 1, 0], 1: [0, 1, 0], 2: [1, 0, 1]
    assert metrics.MeanIoU(3)(y, x) == pytest.approx((1 / 3 + 1 / 2 + 1 / 2) / 3)
    assert metrics.IoU(3, [0])(y, x) == pytest.approx(1 / 3)
    assert metrics.IoU(5, [4])(y, x) == 0.0
    assert metrics.MeanIoU(5)(y, x) == pytest.approx(4 / 9)  # of the classes that there are
    assert metrics.MeanIoU(3, ignore_class=0)(y, x) == (0 + 1 + 1 / 2) / 3
    one_hot = np.eye(3)[np.where(y == 255, 0, y)]
    assert metrics.OneHotMeanIoU(3)(one_hot, np.eye(3)[x]) == metrics.MeanIoU(3)(np.where(y == 255, 0, y), x)


def test_f_scores():
    y, x = np.array([[1, 0], [0, 1], [1, 0]]), np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
    # class 0: tp 1, fp 1, fn 1; class 1: tp 0, fp 1, fn 1
    np.testing.assert_allclose(metrics.F1Score()(y, x), [0.5, 0.0], atol=1e-6)
    assert metrics.F1Score(average="micro")(y, x) == pytest.approx(1 / 3, abs=1e-6)
    assert metrics.F1Score(average="macro")(y, x) == pytest.approx(0.25, abs=1e-6)
    assert metrics.F1Score(average="weighted")(y, x) == pytest.approx(1 / 3, abs=1e-6)
    assert np.all(metrics.F1Score()(y, np.zeros((3, 2))) == 0)  # nothing predicted is no largest


def test_losses_are_metrics():
    y, x = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.5, 2.0], [1.0, 0.5]])
    assert metrics.get("huber")(y, x) == losses.Huber()(y, x)
    assert metrics.get(losses.Huber(0.1))(y, x) == losses.Huber(0.1)(y, x)
    assert metrics.CosineSimilarity()(y, x) == -losses.CosineSimilarity()(y, x)
    assert metrics.get("kld").name == "kld" and metrics.get(losses.Huber()).name == "huber_loss"
    ignoring = metrics.SparseCategoricalCrossentropy(ignore_class=-1)
    ignoring.update_state([1, -1], [[0.5, 0.5], [0.9, 0.1]])
    ignoring.update_state([0, -1, -1], [[0.25, 0.75]] * 3)
    assert ignoring.result() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_sums_do_not_lose_small_numbers():
    metric = metrics.Mean()
    for _ in range(3):
        metric.update_state(np.full(2**20, 0.1, "float32"))
        metric.update_state(np.full(1, 1e8, "float32"))
    assert metric.result() == pytest.approx((2**20 * np.float32(0.1) + 1e8) / (2**20 + 1), rel=1e-14)


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y_shape", "output_shape", "accuracy"),
    [
        ((10,), (None, 3), metrics.SparseCategoricalAccuracy),
        ((10, 1), (None, 3), metrics.SparseCategoricalAccuracy),
        ((10, 3), (None, 3), metrics.CategoricalAccuracy),
        ((10, 1), (None, 1), metrics.BinaryAccuracy),
        ((10,), (None, 1), metrics.BinaryAccuracy),
        ((10, 4, 4), (None, 4, 4, 3), metrics.SparseCategoricalAccuracy),
    ],
)
def test_accuracy_depends_on_the_shapes(y_shape, output_shape, accuracy):
    for name in ("accuracy", "acc"):
        metric = metrics.resolve(name, y_shape, output_shape)
        assert type(metric) is accuracy and metric.name == name
    assert (
        type(metrics.resolve("ce", y_shape, output_shape)).__name__
        == {
            metrics.SparseCategoricalAccuracy: "SparseCategoricalCrossentropy",
            metrics.CategoricalAccuracy: "CategoricalCrossentropy",
            metrics.BinaryAccuracy: "BinaryCrossentropy",
        }[accuracy]
    )


@pytest.mark.parametrize(
    ("make_one", "error", "text"),
    [
        (
            lambda: metrics.get("iou"),
            ValueError,
            "metrics.get: `identifier` must be the name of a metric or a loss, a ",
        ),
        (lambda: metrics.get(3), TypeError, "metrics.get: `identifier` must be the name of a metric or a loss, a "),
        (
            lambda: metrics.Precision(thresholds=[0.5, 1.5]),
            ValueError,
            "Precision: `thresholds` must be a finite number in [0, 1]. Received: thresholds=1.5.",
        ),
        (
            lambda: metrics.Precision(class_id=3)([[0, 1]], [[0.2, 0.8]]),
            ValueError,
            "Precision: `class_id` must be the number of a class of `y_pred`. Received: class_id=3, "
            "y_pred.shape=(1, 2).",
        ),
        (
            lambda: metrics.AUC(num_thresholds=1),
            ValueError,
            "AUC: `num_thresholds` must be an int greater than 1. Received: num_thresholds=1.",
        ),
        (
            lambda: metrics.AUC(num_labels=2),
            ValueError,
            "AUC: `num_labels` must be None without `multi_label`. Received: num_labels=2.",
        ),
        (
            lambda: metrics.AUC(multi_label=True, num_labels=2)(np.zeros((4, 3)), np.zeros((4, 3))),
            ValueError,
            "AUC: `y_pred` must have the shape (batch, 2). Received: y_pred.shape=(4, 3).",
        ),
        (
            lambda: metrics.IoU(2, [2]),
            ValueError,
            "IoU: `target_class_ids` must be less than `num_classes`, 2. Received: target_class_ids=[2].",
        ),
        (
            lambda: metrics.MeanIoU(2)([0, 1], [0, 1, 1]),
            ValueError,
            "MeanIoU: `y_true` must have as many classes as `y_pred`. Received: y_true.shape=(2,), y_pred.shape=(3,).",
        ),
        (
            lambda: metrics.F1Score(average="mean"),
            ValueError,
            "F1Score: `average` must be one of 'micro', 'macro', 'weighted'. Received: average='mean'.",
        ),
        (
            lambda: metrics.R2Score()(np.zeros((2, 2, 2)), np.zeros((2, 2, 2))),
            ValueError,
            "R2Score: `y_pred` must have the shape (batch, outputs). Received: y_pred.shape=(2, 2, 2).",
        ),
        (
            lambda: metrics.Mean()([1.0, 2.0], [1.0, 2.0, 3.0]),
            ValueError,
            "Mean: `sample_weight` must have the shape (2,) of the values, or its first axes. "
            "Received: sample_weight.shape=(3,).",
        ),
        (
            lambda: metrics.MeanMetricWrapper(3),
            TypeError,
            "MeanMetricWrapper: `fn` must be a function. Received: fn=3.",
        ),
    ],
)
def test_wrong_arguments_get_one_clear_error(make_one, error, text):
    with pytest.raises(error) as caught:
        make_one()
    assert str(caught.value).startswith(text)


# --- models -------------------------------------------------------------------------------------


def test_models_report_metrics_of_every_kind():
    def worst(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=-1)

    cycnn.utils.set_random_seed(2)
    model = Sequential([Input((4,)), layers.Dense(3, activation="softmax")])
    chosen = ["accuracy", "ce", "auc", "mse", "huber", worst, metrics.F1Score(average="macro"), losses.Poisson()]
    model.compile("sgd", "categorical_crossentropy", metrics=chosen)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, 4)).astype("float32"), np.eye(3)[rng.integers(0, 3, 50)]
    logs = model.evaluate(x, y, batch_size=16, return_dict=True, verbose=0)
    assert list(logs) == ["loss", "accuracy", "ce", "auc", "mse", "huber", "worst", "f1_score", "poisson"]
    out = model.predict(x, verbose=0)
    assert logs["ce"] == pytest.approx(logs["loss"], rel=1e-6)
    assert logs["worst"] == pytest.approx(worst(y, out).mean(), rel=1e-6)
    assert logs["auc"] == metrics.AUC()(y, out)
    assert logs["f1_score"] == metrics.F1Score(average="macro")(y, out)
    assert logs["poisson"] == pytest.approx(losses.Poisson()(y, out), rel=1e-6)


def test_weights_count_for_weighted_metrics_alone():
    model = Sequential([Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile(
        "sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["sparse_categorical_accuracy"]
    )
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 4)).astype("float32"), rng.integers(0, 3, 40)
    weights = rng.random(40)
    logs = model.evaluate(x, y, sample_weight=weights, batch_size=16, return_dict=True, verbose=0)
    right = model.predict(x, verbose=0).argmax(-1) == y
    assert logs["accuracy"] == right.mean()
    assert logs["sparse_categorical_accuracy"] == pytest.approx((right * weights).sum() / weights.sum(), rel=1e-6)


def test_metrics_of_segmentation():
    model = Sequential([Input((4, 4, 2)), layers.Conv2D(3, 1, activation="softmax")])
    chosen = [metrics.MeanIoU(3, sparse_y_pred=False), "accuracy", metrics.SparseTopKCategoricalAccuracy(2)]
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=chosen)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 4, 4, 2)).astype("float32"), rng.integers(0, 3, (9, 4, 4))
    logs = model.evaluate(x, y, batch_size=4, return_dict=True, verbose=0)
    found = model.predict(x, verbose=0).argmax(-1)
    assert logs["accuracy"] == (found == y).mean()
    ratios = [((found == c) & (y == c)).sum() / ((found == c) | (y == c)).sum() for c in range(3)]
    assert logs["mean_io_u"] == pytest.approx(np.mean(ratios), rel=1e-12)


def test_metrics_of_one_name_have_one_in_the_logs_each():
    x = Input((3,))
    model = Model(x, [layers.Dense(2, name="p")(x), layers.Dense(2, name="q")(x)])
    twice = [metrics.MeanSquaredError(), metrics.MeanSquaredError()]
    model.compile("sgd", "mae", metrics={"p": twice}, weighted_metrics=[twice, ["mse"]])
    targets = np.zeros((4, 2), "float32")
    logs = model.evaluate(np.ones((4, 3), "float32"), [targets, targets], verbose=0, return_dict=True)
    assert list(logs)[3:] == [
        "p_mean_squared_error",
        "p_mean_squared_error_1",
        "p_weighted_mean_squared_error",
        "p_weighted_mean_squared_error_1",
        "q_mse",
    ]
