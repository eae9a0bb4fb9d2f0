"""How gradients change parameters: optimizers by Keras's names, as objects or by name, and `schedules` of their rates.

`base`        what all have in common: decay, clipping, accumulation, averages, state
`sgd`, `adam`, `adagrad`, `lion`
              the families
`settings`    their arguments as attributes
`schedules`   learning rates as functions of the step
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import identifiers
from . import schedules
from .adagrad import Adadelta, Adagrad, RMSprop
from .adam import Adam, Adamax, AdamW, Nadam
from .base import Optimizer
from .lion import Lion
from .sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_CLASSES: tuple[type[Optimizer], ...] = (Adadelta, Adagrad, Adam, AdamW, Adamax, Lion, Nadam, RMSprop, SGD)
_BY_NAME = {cls.__name__: cls for cls in _CLASSES} | {cls.__name__.lower(): cls for cls in _CLASSES}


def get(identifier: object, *, owner: str = "optimizers.get", name: str = "identifier") -> Optimizer:
    """Return the optimizer that `identifier` stands for.

    Parameters
    ----------
    identifier : str, dict or Optimizer
        A name such as "adam" or "RMSprop", in any case, a dict as `serialize` returns it, or an optimizer.
    owner, name : str
        What an error message names.

    Examples
    --------
    >>> get("sgd").learning_rate
    0.01
    """
    if isinstance(identifier, str) and identifier.lower() in _BY_NAME:
        identifier = identifier.lower()
    return identifiers.resolve(identifier, Optimizer, _BY_NAME, owner=owner, name=name, what="an optimizer")


def serialize(optimizer: object) -> dict[str, Any]:
    """Return the class and the arguments of an optimizer as plain JSON values, for `deserialize`.

    Examples
    --------
    >>> serialize(SGD(0.1))["class_name"]
    'SGD'
    """
    return identifiers.serialized("optimizers.serialize", "optimizer", optimizer, Optimizer, "an Optimizer")


def deserialize(config: dict[str, Any], custom_objects: Mapping[str, type[Optimizer]] | None = None) -> Optimizer:
    """Return the optimizer that `serialize` described, without its memory; `custom_objects` are further classes.

    Examples
    --------
    >>> deserialize({"class_name": "Adam", "config": {"beta_1": 0.8}}).beta_1
    0.8
    """
    with identifiers.custom_objects(custom_objects):
        return get(config, owner="optimizers.deserialize", name="config")
