"""What training reports beside the loss: metrics by Keras's names, as objects or by name.

A metric is given batches and tells a value for all rows it has seen since it was last reset, exactly, however unequal
the batches were.

`base`          the contract: state, result, configuration, shapes of targets
`reduction`     sums and means, also of functions of the user
`accuracy`      how often predictions are right
`confusion`     right and wrong decisions at thresholds: counts, precision, recall
`tradeoff`      the best of one rate at a given other
`auc`           areas under the curves of two rates
`fscore`        precision and recall in one number
`iou`           intersection over union
`crossentropy`  losses as metrics: cross-entropies, and any loss
`regression`    losses as metrics: errors, divergences, margins
`explained`     correlations and shares of variance
`functions`     what some take the mean of, as functions of targets and predictions
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import identifiers, losses
from ..losses import (
    Loss,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from ..row_functions import named
from ..shapes import Shape
from ..validation import message, received
from .accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from .auc import AUC
from .base import Metric
from .confusion import FalseNegatives, FalsePositives, Precision, Recall, TrueNegatives, TruePositives
from .crossentropy import BinaryCrossentropy, CategoricalCrossentropy, LossMetric, SparseCategoricalCrossentropy
from .explained import ConcordanceCorrelation, PearsonCorrelation, R2Score, RootMeanSquaredError
from .fscore import F1Score, FBetaScore
from .functions import (
    binary_accuracy,
    categorical_accuracy,
    concordance_correlation,
    pearson_correlation,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from .reduction import Mean, MeanMetricWrapper, Sum
from .regression import (
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SquaredHinge,
)
from .tradeoff import PrecisionAtRecall, RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "LossMetric",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

_CLASSES: dict[str, type[Metric]] = {
    name: value
    for name, value in list(globals().items())
    if name in __all__ and isinstance(value, type) and issubclass(value, Metric) and value is not Metric
}
# These cannot be made from a name alone, or compare nothing with targets.
_NEED_MORE = {
    "IoU", "LossMetric", "Mean", "MeanIoU", "MeanMetricWrapper", "OneHotIoU", "OneHotMeanIoU", "PrecisionAtRecall",
    "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity", "Sum",
}  # fmt: skip
_BY_NAME: dict[str, type[Metric]] = identifiers.names(
    *(cls for name, cls in _CLASSES.items() if name not in _NEED_MORE),
    bce=BinaryCrossentropy, BCE=BinaryCrossentropy, mae=MeanAbsoluteError, MAE=MeanAbsoluteError,
    mse=MeanSquaredError, MSE=MeanSquaredError, mape=MeanAbsolutePercentageError, MAPE=MeanAbsolutePercentageError,
    msle=MeanSquaredLogarithmicError, MSLE=MeanSquaredLogarithmicError, fbeta_score=FBetaScore, logcosh=LogCoshError,
)  # fmt: skip
# By targets and outputs: a single output, class numbers, rows of numbers.
_ACCURACY = (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy)
_CROSSENTROPY = (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy)
_BY_SHAPE: dict[str, tuple[type[Metric], type[Metric], type[Metric]]] = {
    "accuracy": _ACCURACY,
    "acc": _ACCURACY,
    "crossentropy": _CROSSENTROPY,
    "ce": _CROSSENTROPY,
}


def check(owner: str, identifiers: object) -> tuple[Any, ...]:
    """Return a list of metrics, losses, functions and names as a tuple, if all of them exist."""
    if identifiers is None:
        return ()
    rule = "be a list of names of metrics and Metric objects"
    what = received("metrics", identifiers)
    if not isinstance(identifiers, (list, tuple)):
        raise TypeError(message(owner, "metrics", rule, what))
    identifiers = [named(identifier) for identifier in identifiers]
    for identifier in identifiers:
        if isinstance(identifier, str):
            if identifier not in _BY_SHAPE and identifier not in _BY_NAME and identifier not in losses.BY_NAME:
                rule = "name only accuracy, crossentropy, metrics and losses that need no arguments"
                raise ValueError(message(owner, "metrics", rule, what))
        elif not isinstance(identifier, dict) and not callable(identifier):
            raise TypeError(message(owner, "metrics", rule, what))
    return tuple(identifiers)


def resolve(identifier: Any, y_shape: Shape, output_shape: Shape) -> Metric:
    """Return the metric that an identifier stands for with targets and outputs of these shapes.

    "accuracy" is the binary one for a single output, the sparse one for class numbers, and the
    categorical one otherwise; likewise "crossentropy".
    """
    if not isinstance(identifier, str) or identifier not in _BY_SHAPE:
        return get(identifier)
    binary, sparse, categorical = _BY_SHAPE[identifier]
    if output_shape[-1] == 1:
        return binary(name=identifier)
    labels = len(y_shape) < len(output_shape) or y_shape[-1] == 1
    return sparse(name=identifier) if labels else categorical(name=identifier)


def get(identifier: object, *, owner: str = "metrics.get", name: str = "identifier") -> Metric:
    """Return the metric that `identifier` stands for.

    Parameters
    ----------
    identifier : str, dict, Metric, Loss or callable
        A name such as "mse" or "auc", what `serialize` returned, a metric or a loss or the class of one, or a function
        ``fn(y_true, y_pred)`` whose mean is to be the metric. Names of losses are known too, and functions of this
        module stand for their names.
    owner, name : str
        What an error message names.

    Examples
    --------
    >>> get("mse")
    <MeanSquaredError 'mse'>
    """
    identifier = named(identifier)
    if isinstance(identifier, type) and issubclass(identifier, (Metric, Loss)):
        identifier = identifier()
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, Loss):
        return LossMetric(identifier)
    if isinstance(identifier, dict):
        if identifier.get("class_name") in identifiers.known(_CLASSES, Metric):
            return identifiers.resolve(identifier, Metric, _CLASSES, owner=owner, name=name, what="a metric")
    elif isinstance(identifier, str):
        if identifier in _BY_NAME:
            return _BY_NAME[identifier](name=identifier)
        if identifier in losses.BY_NAME:
            return LossMetric(losses.get(identifier), name=identifier)
    elif callable(identifier):
        return MeanMetricWrapper(identifier, getattr(identifier, "__name__", None))
    rule = "be the name of a metric or a loss, a Metric, or a function of targets and predictions"
    kind = ValueError if isinstance(identifier, (str, dict)) else TypeError
    raise kind(message(owner, name, rule, received(name, identifier)))


def serialize(metric: object) -> dict[str, Any]:
    """Return the class and the arguments of a metric as plain JSON values, for `get`."""
    return identifiers.serialized("metrics.serialize", "metric", metric, Metric, "a Metric")


def deserialize(config: dict[str, Any], custom_objects: Mapping[str, type[Metric]] | None = None) -> Metric:
    """Return the metric that `serialize` described; `custom_objects` are further classes by name.

    Examples
    --------
    >>> deserialize(serialize(Precision(top_k=3))).top_k
    3
    """
    with identifiers.custom_objects(custom_objects):
        return get(config, owner="metrics.deserialize", name="config")
