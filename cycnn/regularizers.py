"""What is added to the loss to keep numbers small: regularizers by Keras's names, as objects or by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import identifiers, validation
from .identifiers import Configured


class Regularizer(Configured):
    """Base of all regularizers: ``l1 * sum |x| + l2 * sum x**2``."""

    l1: float
    l2: float

    def __call__(self, x: ArrayLike) -> float:
        """Return the penalty of an array."""
        array = np.asarray(x, np.float64)
        return float(self.l1 * np.abs(array).sum() + self.l2 * np.square(array).sum())


class L1L2(Regularizer):
    """Add ``l1 * sum |x| + l2 * sum x**2`` to the loss.

    Parameters
    ----------
    l1, l2 : float
        0 by default.

    Examples
    --------
    >>> L1L2(0.5, 0.25)([1.0, -2.0])
    2.75
    """

    arguments = ("l1", "l2")

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = validation.number(self.owner, "l1", l1 or 0.0, 0)
        self.l2 = validation.number(self.owner, "l2", l2 or 0.0, 0)


class L1(Regularizer):
    """Add ``l1 * sum |x|`` to the loss.

    Parameters
    ----------
    l1 : float
        0.01 by default.

    Examples
    --------
    >>> L1(0.5)([1.0, -2.0])
    1.5
    """

    arguments = ("l1",)
    l2 = 0.0

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = validation.number(self.owner, "l1", l1, 0)


class L2(Regularizer):
    """Add ``l2 * sum x**2`` to the loss.

    Parameters
    ----------
    l2 : float
        0.01 by default.

    Examples
    --------
    >>> L2(0.5)([1.0, -2.0])
    2.5
    """

    arguments = ("l2",)
    l1 = 0.0

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = validation.number(self.owner, "l2", l2, 0)


# Keras's other names of the classes.
l1, l1_l2, l2 = L1, L1L2, L2

_BY_NAME: dict[str, type[Regularizer]] = {"l1": L1, "l1_l2": L1L2, "l2": L2, "L1": L1, "L1L2": L1L2, "L2": L2}


def get(identifier: object, *, owner: str = "regularizers.get", name: str = "identifier") -> Regularizer | None:
    """Return the regularizer that `identifier` stands for: an object, a name, what `serialize` returned, or None.

    Examples
    --------
    >>> get("l2").get_config()
    {'l2': 0.01}
    """
    if identifier is None:
        return None
    return identifiers.resolve(identifier, Regularizer, _BY_NAME, owner=owner, name=name, what="a regularizer")


def serialize(regularizer: object) -> dict[str, Any]:
    """Return the class and the arguments of a regularizer as plain JSON values, for `get`."""
    return identifiers.serialized("regularizers.serialize", "regularizer", regularizer, Regularizer, "a Regularizer")


def deserialize(
    config: dict[str, Any], custom_objects: Mapping[str, type[Regularizer]] | None = None
) -> Regularizer | None:
    """Return the regularizer that `serialize` described; `custom_objects` are further classes by name.

    Examples
    --------
    >>> deserialize(serialize(L2(0.5))).l2
    0.5
    """
    with identifiers.custom_objects(custom_objects):
        return get(config, owner="regularizers.deserialize", name="config")
