"""What training minimises: losses by Keras's names, as objects or by name.

A loss checks targets, and lowers to a step that computes one value per row and the gradient of
their mean. Rows are what stands along the last axis of the output: one for each image of a
classifier, one for each pixel where the output is an image. The loss of a model, over a batch or
an epoch, is the mean over all rows.

`base`          the contract: a native step, checks of targets, reduction, configuration
`crossentropy`  classes and decisions, plain and focal
`regression`    distances of numbers, and divergences
`hinge`         margins
`overlap`       masks as a whole
"""

from __future__ import annotations

from typing import Any

from ..layers.base import snake_case
from ..validation import message, received
from .base import Loss
from .crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    SparseCategoricalCrossentropy,
)
from .hinge import CategoricalHinge, Hinge, SquaredHinge
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
    "deserialize",
    "get",
    "serialize",
]

_CLASSES: tuple[type[Loss], ...] = (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Dice,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    Tversky,
)
_SHORT: dict[str, type[Loss]] = {
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
}
BY_NAME: dict[str, type[Loss]] = {
    **{snake_case(cls.__name__): cls for cls in _CLASSES},
    **{cls.__name__: cls for cls in _CLASSES},
    **_SHORT,
    **{name.upper(): cls for name, cls in _SHORT.items()},
}


def serialize(loss: Loss) -> dict[str, Any]:
    """Return the class and the arguments of a loss as plain JSON values, for `get`."""
    if not isinstance(loss, Loss):
        raise TypeError(message("losses.serialize", "loss", "be a Loss", received("loss", loss)))
    return {"class_name": type(loss).__name__, "config": loss.get_config()}


def deserialize(config: dict[str, Any]) -> Loss:
    """Return the loss that `serialize` described.

    Examples
    --------
    >>> deserialize(serialize(Huber(delta=2.0))).delta
    2.0
    """
    return get(config, owner="losses.deserialize", name="config")


def get(identifier: object, *, owner: str = "losses.get", name: str = "identifier") -> Loss:
    """Return the loss that `identifier` stands for.

    Parameters
    ----------
    identifier : str, dict, Loss or type of Loss
        A name such as "mse" or "sparse_categorical_crossentropy", what `serialize` returned, a loss, or its class.
    owner, name : str
        What an error message names.

    Examples
    --------
    >>> get("mse").name
    'mean_squared_error'
    """
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    config: dict[str, Any] = {}
    class_name = identifier
    if isinstance(identifier, dict) and {"class_name", "config"} <= set(identifier):
        class_name, config = identifier["class_name"], identifier["config"]
    if not isinstance(class_name, str):
        remedy = "A function has no gradient here." if callable(identifier) else ""
        rule = "be the name of a loss or a Loss"
        raise TypeError(message(owner, name, rule, received(name, identifier), remedy))
    if class_name not in BY_NAME:
        rule = "be one of " + ", ".join(snake_case(cls.__name__) for cls in _CLASSES)
        raise ValueError(message(owner, name, rule, received(name, identifier)))
    return BY_NAME[class_name].from_config(config)
