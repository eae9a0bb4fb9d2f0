"""Class numbers as rows of zeros and a one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cycnn import validation
from cycnn.validation import message, received

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> NDArray[np.float64]:
    """Turn class numbers into one-hot rows.

    Parameters
    ----------
    x : array_like
        Whole numbers from 0 to `num_classes` - 1, of shape (...) or (..., 1).
    num_classes : int, optional
        By default the greatest number and one.

    Returns
    -------
    ndarray of float64
        Of shape (..., num_classes): 1 where the last index is the class, 0 elsewhere.

    Raises
    ------
    TypeError, ValueError
        If `x` holds something else than whole numbers from 0 to `num_classes` - 1, or nothing, from which
        `num_classes` cannot be told.

    Examples
    --------
    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]])
    """
    numbers = _whole(x)
    if num_classes is not None:
        num_classes = validation.positive_int("to_categorical", "num_classes", num_classes)
    elif numbers.size == 0:
        rule = "have at least one element, or `num_classes` must be given"
        raise ValueError(message("to_categorical", "x", rule, received("x.shape", numbers.shape)))
    else:
        num_classes = int(numbers.max()) + 1
    if numbers.size and (numbers.min() < 0 or numbers.max() >= num_classes):
        rule = f"lie between 0 and {num_classes - 1}" if num_classes > 0 else "not be negative"
        what = f"x.min()={numbers.min()}, x.max()={numbers.max()}"
        raise ValueError(message("to_categorical", "x", rule, what))
    if numbers.ndim > 1 and numbers.shape[-1] == 1:
        numbers = numbers.reshape(numbers.shape[:-1])
    rows = np.zeros((numbers.size, num_classes))
    rows[np.arange(numbers.size), numbers.reshape(-1)] = 1
    return rows.reshape(*numbers.shape, num_classes)


def _whole(x: object) -> NDArray[Any]:
    """Return class numbers as an array of integers; floats, which files often hold, if they are whole."""
    array = validation.any_array("to_categorical", "x", x)
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    if array.dtype.kind != "f":
        raise TypeError(message("to_categorical", "x", "be an array of integers", f"x.dtype={array.dtype}"))
    whole = np.isfinite(array) & (array == np.floor(array))
    if not whole.all():
        what = received("x", array[~whole].flat[0].item())
        raise ValueError(message("to_categorical", "x", "hold whole numbers only", what))
    return array.astype(np.int64)
