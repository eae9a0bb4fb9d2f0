"""What training reports beside the loss: metrics by Keras's names, as objects or by name.

A metric is a mean of values over the rows it has been shown since it was last reset.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import validation
from .layers.base import Shape, snake_case
from .validation import message, received


class Metric:
    """Base of all metrics.

    Parameters
    ----------
    name : str, optional
        What logs call it, by default the class's name in snake case.
    """

    arguments: ClassVar[tuple[str, ...]] = ()
    # Whether targets are class numbers, without the axis of the classes; None for targets of any shape.
    sparse: ClassVar[bool | None] = None

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)
        self.reset_state()

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        """Return the values whose mean this is."""
        raise NotImplementedError

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike) -> None:
        """Take a batch of targets and predictions into account."""
        y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
        values = self.values(y_true.reshape(self.target_shape(y_true.shape, y_pred.shape)), y_pred)
        self._total += float(values.sum(dtype=np.float64))
        self._count += values.size

    def target_shape(self, y_shape: Shape, output_shape: Shape) -> Shape:
        """Return the shape in which targets are compared; an axis of one at the end may be there or not.

        Raises
        ------
        ValueError
            If targets of the shape `y_shape` do not belong to predictions of `output_shape`.
        """
        if self.sparse is None:
            return y_shape
        expected = output_shape[:-1] if self.sparse else output_shape
        given = {y_shape[1:], (*y_shape[1:], 1), y_shape[1:-1] if y_shape[-1:] == (1,) else y_shape[1:]}
        if expected[1:] not in given:
            rule = f"have the shape ({', '.join(map(str, ('batch', *expected[1:])))})"
            raise ValueError(message(type(self).__name__, "y_true", rule, received("y_true.shape", y_shape)))
        return (*y_shape[:1], *expected[1:])

    def result(self) -> float:
        """Return the mean so far, 0 before the first batch."""
        return self._total / self._count if self._count else 0.0

    def reset_state(self) -> None:
        """Start anew."""
        self._total, self._count = 0.0, 0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        return {"name": self.name} | {name: getattr(self, name) for name in self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the metric that `get_config` described."""
        return cls(**config)


class Accuracy(Metric):
    """How often predictions equal targets.

    Examples
    --------
    >>> metric = Accuracy()
    >>> metric.update_state([1, 2, 3, 4], [0, 2, 3, 4])
    >>> metric.result()
    0.75
    """

    sparse = False

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(y_true == y_pred)


class SparseCategoricalAccuracy(Metric):
    """How often the most probable class is the right one; targets are class numbers.

    Examples
    --------
    >>> metric = SparseCategoricalAccuracy()
    >>> metric.update_state([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0.0]])
    >>> metric.result()
    0.5
    """

    sparse = True

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(y_true == y_pred.argmax(-1))


class CategoricalAccuracy(Metric):
    """How often the most probable class is the right one; targets are one-hot rows.

    Examples
    --------
    >>> metric = CategoricalAccuracy()
    >>> metric.update_state([[0, 0, 1], [0, 1, 0]], [[0.1, 0.6, 0.3], [0.05, 0.95, 0.0]])
    >>> metric.result()
    0.5
    """

    sparse = False

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(y_true.argmax(-1) == y_pred.argmax(-1))


class BinaryAccuracy(Metric):
    """How often a probability lies on its target's side of a threshold.

    Parameters
    ----------
    name : str, optional
        By default "binary_accuracy".
    threshold : float
        0.5 by default; a probability above it stands for 1.

    Examples
    --------
    >>> metric = BinaryAccuracy()
    >>> metric.update_state([[1], [1], [0], [0]], [[0.98], [0.5], [0.0], [0.6]])
    >>> metric.result()
    0.5
    """

    arguments = ("threshold",)
    sparse = False

    def __init__(self, *, name: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name=name)
        self.threshold = validation.number("BinaryAccuracy", "threshold", threshold, 0, 1)

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(y_true == (y_pred > self.threshold))


_BY_NAME: dict[str, type[Metric]] = {
    "binary_accuracy": BinaryAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
}
_ACCURACY = ("accuracy", "acc")


def check(owner: str, identifiers: object) -> tuple[str | Metric, ...]:
    """Return a list of metrics and names of metrics as a tuple, if all of them exist."""
    if identifiers is None:
        return ()
    rule = "be a list of names of metrics and Metric objects"
    what = received("metrics", identifiers)
    if not isinstance(identifiers, (list, tuple)):
        raise TypeError(message(owner, "metrics", rule, what))
    for identifier in identifiers:
        if not isinstance(identifier, (str, Metric)):
            raise TypeError(message(owner, "metrics", rule, what))
        if isinstance(identifier, str) and identifier not in (*_ACCURACY, *_BY_NAME):
            rule = "name only " + ", ".join(("accuracy", *_BY_NAME))
            raise ValueError(message(owner, "metrics", rule, what))
    return tuple(identifiers)


def resolve(identifier: str | Metric, y_shape: Shape, output_shape: Shape) -> Metric:
    """Return the metric that a name stands for with targets and outputs of these shapes.

    "accuracy" is the binary one for a single output, the sparse one for class numbers, and the
    categorical one otherwise.
    """
    if isinstance(identifier, Metric):
        return identifier
    if identifier not in _ACCURACY:
        return _BY_NAME[identifier]()
    if output_shape[-1] == 1:
        return BinaryAccuracy(name=identifier)
    if len(y_shape) < len(output_shape):
        return SparseCategoricalAccuracy(name=identifier)
    return CategoricalAccuracy(name=identifier)
