"""The merging layers as functions: each makes a layer and calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .merging import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract


def add(inputs: Sequence[Any], **base: Any) -> Any:
    """Add inputs number by number, as the layer `Add` does.

    Parameters
    ----------
    inputs : list of Tensor or array_like
        Of shapes that broadcast, the batch apart.
    **base
        `name` and `dtype`, as of all layers.

    Returns
    -------
    Tensor or ndarray
        ``x[0] + x[1] + ...`` for ``x = inputs``.

    Examples
    --------
    >>> import numpy as np
    >>> add([np.float32([[1, 2]]), np.float32([[3, 5]])])
    array([[4., 7.]], dtype=float32)
    """
    return Add(**base)(inputs)


def subtract(inputs: Sequence[Any], **base: Any) -> Any:
    """Subtract the second of two inputs from the first, as the layer `Subtract` does.

    Parameters
    ----------
    inputs : list of Tensor or array_like
        Of shapes that broadcast, the batch apart.
    **base
        `name` and `dtype`, as of all layers.

    Returns
    -------
    Tensor or ndarray
        ``x[0] - x[1]`` for ``x = inputs``.

    Examples
    --------
    >>> import numpy as np
    >>> subtract([np.float32([[1, 2]]), np.float32([[3, 5]])])
    array([[-2., -3.]], dtype=float32)
    """
    return Subtract(**base)(inputs)


def multiply(inputs: Sequence[Any], **base: Any) -> Any:
    """Multiply inputs number by number, as the layer `Multiply` does.

    Parameters
    ----------
    inputs : list of Tensor or array_like
        Of shapes that broadcast, the batch apart.
    **base
        `name` and `dtype`, as of all layers.

    Returns
    -------
    Tensor or ndarray
        ``x[0] * x[1] * ...`` for ``x = inputs``.

    Examples
    --------
    >>> import numpy as np
    >>> multiply([np.float32([[1, 2]]), np.float32([[3, 5]])])
    array([[ 3., 10.]], dtype=float32)
    """
    return Multiply(**base)(inputs)


def average(inputs: Sequence[Any], **base: Any) -> Any:
    """Take the mean of inputs, number by number, as the layer `Average` does.

    Parameters
    ----------
    inputs : list of Tensor or array_like
        Of shapes that broadcast, the batch apart.
    **base
        `name` and `dtype`, as of all layers.

    Returns
    -------
    Tensor or ndarray
        ``(x[0] + x[1] + ...) / len(x)`` for ``x = inputs``.

    Examples
    --------
    >>> import numpy as np
    >>> average([np.float32([[1, 2]]), np.float32([[3, 5]])])
    array([[2. , 3.5]], dtype=float32)
    """
    return Average(**base)(inputs)


def maximum(inputs: Sequence[Any], **base: Any) -> Any:
    """Take the largest of inputs, number by number, as the layer `Maximum` does.

    Parameters
    ----------
    inputs : list of Tensor or array_like
        Of shapes that broadcast, the batch apart.
    **base
        `name` and `dtype`, as of all layers.

    Returns
    -------
    Tensor or ndarray
        ``max(x[0], x[1], ...)`` for ``x = inputs``.

    Examples
    --------
    >>> import numpy as np
    >>> maximum([np.float32([[1, 2]]), np.float32([[3, 5]])])
    array([[3., 5.]], dtype=float32)
    """
    return Maximum(**base)(inputs)


def minimum(inputs: Sequence[Any], **base: Any) -> Any:
    """Take the smallest of inputs, number by number, as the layer `Minimum` does.

    Parameters
    ----------
    inputs : list of Tensor or array_like
        Of shapes that broadcast, the batch apart.
    **base
        `name` and `dtype`, as of all layers.

    Returns
    -------
    Tensor or ndarray
        ``min(x[0], x[1], ...)`` for ``x = inputs``.

    Examples
    --------
    >>> import numpy as np
    >>> minimum([np.float32([[1, 2]]), np.float32([[3, 5]])])
    array([[1., 2.]], dtype=float32)
    """
    return Minimum(**base)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **base: Any) -> Any:
    """Put inputs one after the other along an axis, as the layer `Concatenate` does.

    Parameters
    ----------
    inputs : list of Tensor or array_like
        Of shapes that differ along that axis only.
    axis : int
        The last by default; the batch, axis 0, is not possible.
    **base
        `name` and `dtype`, as of all layers.

    Returns
    -------
    Tensor or ndarray

    Examples
    --------
    >>> import numpy as np
    >>> concatenate([np.float32([[1, 2]]), np.float32([[3, 5]])])
    array([[1., 2., 3., 5.]], dtype=float32)
    """
    return Concatenate(axis, **base)(inputs)
