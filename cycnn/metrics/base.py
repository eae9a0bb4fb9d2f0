"""What every metric is made of: a state that batches are added to, a result, and a configuration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import validation
from ..identifiers import Configured, snake_case
from ..shapes import Shape
from ..validation import message, received

DTYPES = ("float32", "float64", "int32", "int64", "int")


class Metric(Configured):
    """Base of all metrics.

    A subclass lists its constructor's own arguments in `arguments` and stores them under the same names. Its
    `reset_state` makes the sums, its `update_state` replaces them by new ones, never changing an array in place nor
    keeping one that it was given, and its `result` is computed from them. Sums are float64.

    Parameters
    ----------
    dtype : str, optional
        For configurations of Keras; results do not depend on it.
    name : str, optional
        What logs call it, by default the class's name in snake case.
    """

    # Whether targets are class numbers, without the axis of the classes; None for targets of any shape.
    sparse: bool | None = None

    def __init__(self, dtype: str | None = None, name: str | None = None) -> None:
        if name is not None and (not isinstance(name, str) or not name):
            raise TypeError(message(self.owner, "name", "be a non-empty string", received("name", name)))
        self.dtype = dtype and validation.choice(self.owner, "dtype", dtype, DTYPES)
        self.name = name or snake_case(type(self).__name__)
        self.reset_state()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take a batch into account and return the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take a batch of targets and predictions into account.

        Parameters
        ----------
        y_true, y_pred : array_like
        sample_weight : array_like, optional
            What each row of the batch counts, or each value of rows that are more than one.
        """
        raise NotImplementedError

    def result(self) -> Any:
        """Return the value so far, a float or an array of them; 0 before the first batch."""
        raise NotImplementedError

    def reset_state(self) -> None:
        """Start anew."""

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
            raise ValueError(message(self.owner, "y_true", rule, received("y_true.shape", y_shape)))
        return (*y_shape[:1], *expected[1:])

    def pair(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return targets and predictions as arrays that may be compared."""
        targets = validation.any_array(self.owner, "y_true", y_true)
        predictions = validation.any_array(self.owner, "y_pred", y_pred)
        targets = targets.reshape(self.target_shape(targets.shape, predictions.shape))
        if targets.shape[:1] != predictions.shape[:1]:
            rule = f"have as many rows as `y_pred`, {len(predictions) if predictions.ndim else 'none'}"
            raise ValueError(message(self.owner, "y_true", rule, received("y_true.shape", targets.shape)))
        return targets, predictions

    def weights(self, sample_weight: ArrayLike, shape: Shape) -> NDArray[np.float64]:
        """Return weights that broadcast to values of a shape; an axis of one at the end may be there or not."""
        array = validation.real_array(self.owner, "sample_weight", sample_weight)
        extents = array.shape
        while extents and extents != shape[: len(extents)] and extents[-1] == 1:
            extents = extents[:-1]
        if extents != shape[: len(extents)]:
            rule = f"have the shape {shape} of the values, or its first axes"
            raise ValueError(message(self.owner, "sample_weight", rule, received("sample_weight.shape", array.shape)))
        return array.astype(np.float64).reshape(extents + (1,) * (len(shape) - len(extents)))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        config: dict[str, Any] = {"name": self.name}
        if self.dtype is not None:
            config["dtype"] = self.dtype
        return config | super().get_config()

    def __repr__(self) -> str:
        return f"<{self.owner} {self.name!r}>"


def quotient(a: Any, b: Any) -> Any:
    """Return a / b, and 0 where b is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b != 0)


def number_or_array(values: NDArray[Any]) -> Any:
    """Return the only number of an array as a float, or the array."""
    return float(values.reshape(())) if values.size == 1 else values
