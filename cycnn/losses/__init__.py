"""What training minimises: losses by Keras's names, as objects or by name.

A loss checks targets, and lowers to a step that computes one value per row and the gradient of
their mean. Rows are what stands along the last axis of the output: one for each image of a
classifier, one for each pixel where the output is an image. The loss of a model, over a batch or
an epoch, is the mean over all rows.

`base`          the contract: a native step, checks of targets, reduction, configuration
`crossentropy`  classes and decisions, plain and focal
`regression`    distances of numbers, and divergences
`margins`       hinges
`overlap`       masks as a whole
`functions`     all of them as functions of targets and predictions
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import identifiers
from ..row_functions import named
from .base import Loss
from .crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    SparseCategoricalCrossentropy,
)
from .functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    cosine_similarity,
    dice,
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
    tversky,
)
from .margins import CategoricalHinge, Hinge, SquaredHinge
from .overlap import Dice, Tversky
from .regression import (
    CosineSimilarity,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
)

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

BY_NAME: dict[str, type[Loss]] = identifiers.names(
    BinaryCrossentropy, BinaryFocalCrossentropy, CategoricalCrossentropy, CategoricalFocalCrossentropy,
    CategoricalHinge, CosineSimilarity, Dice, Hinge, Huber, KLDivergence, LogCosh, MeanAbsoluteError,
    MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError, Poisson,
    SparseCategoricalCrossentropy, SquaredHinge, Tversky,
    bce=BinaryCrossentropy, BCE=BinaryCrossentropy, kld=KLDivergence, KLD=KLDivergence,
    mae=MeanAbsoluteError, MAE=MeanAbsoluteError, mse=MeanSquaredError, MSE=MeanSquaredError,
    mape=MeanAbsolutePercentageError, MAPE=MeanAbsolutePercentageError,
    msle=MeanSquaredLogarithmicError, MSLE=MeanSquaredLogarithmicError,
)  # fmt: skip


def get(identifier: object, *, owner: str = "losses.get", name: str = "identifier") -> Loss:
    """Return the loss that `identifier` stands for.

    Parameters
    ----------
    identifier : str, dict, Loss, type of Loss or function
        A name such as "mse" or "sparse_categorical_crossentropy", what `serialize` returned, a loss, its class, or a
        function of this module, which stands for its name.
    owner, name : str
        What an error message names.

    Examples
    --------
    >>> get("mse").name
    'mean_squared_error'
    """
    identifier = named(identifier)
    remedy = "A function has no gradient here." if callable(identifier) else ""
    return identifiers.resolve(identifier, Loss, BY_NAME, owner=owner, name=name, what="a loss", remedy=remedy)


def serialize(loss: object) -> dict[str, Any]:
    """Return the class and the arguments of a loss as plain JSON values, for `get`."""
    return identifiers.serialized("losses.serialize", "loss", loss, Loss, "a Loss")


def deserialize(config: dict[str, Any], custom_objects: Mapping[str, type[Loss]] | None = None) -> Loss:
    """Return the loss that `serialize` described; `custom_objects` are further classes by name.

    Examples
    --------
    >>> deserialize(serialize(Huber(delta=2.0))).delta
    2.0
    """
    with identifiers.custom_objects(custom_objects):
        return get(config, owner="losses.deserialize", name="config")
