"""Activation functions by Keras's names: on arrays, and as what layers are told.

`Dense(10, activation="gelu")` and `Dense(10, activation=activations.gelu)` are the same layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike, NDArray

from . import validation
from .ops.activations import (
    apply,
    elu,
    exponential,
    gelu,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    tanh,
    tanh_shrink,
)
from .validation import message, received

swish, hard_swish = silu, hard_silu

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

Function = Callable[..., NDArray[Any]]


def linear(x: ArrayLike) -> NDArray[Any]:
    """Return the values as they are, in an array.

    Examples
    --------
    >>> linear([1.0])
    array([1.], dtype=float32)
    """
    return validation.float_array("linear", "x", x, None)


def celu(x: ArrayLike, alpha: float = 1.0) -> NDArray[Any]:
    """Return x where it is positive, else ``alpha * (exp(x / alpha) - 1)``; alpha is positive, 1 by default.

    Examples
    --------
    >>> celu([-100.0, 2.0], alpha=0.5)
    array([-0.5,  2. ], dtype=float32)
    """
    return apply("celu", "celu", x, (validation.number("celu", "alpha", alpha, 0, above=True),))


def squareplus(x: ArrayLike, b: float = 4.0) -> NDArray[Any]:
    """Return ``(x + sqrt(x**2 + b)) / 2``; b is not negative, 4 by default.

    Examples
    --------
    >>> squareplus([0.0, 1.5])
    array([1., 2.], dtype=float32)
    """
    return apply("squareplus", "squareplus", x, (validation.number("squareplus", "b", b, 0),))


def soft_shrink(x: ArrayLike, threshold: float = 0.5) -> NDArray[Any]:
    """Bring values nearer to 0 by `threshold`, 0.5 by default; what is nearer already becomes 0.

    Examples
    --------
    >>> soft_shrink([-2.0, 0.25, 2.0])
    array([-1.5,  0. ,  1.5], dtype=float32)
    """
    return apply("soft_shrink", "soft_shrink", x, (validation.number("soft_shrink", "threshold", threshold, 0),))


def hard_shrink(x: ArrayLike, threshold: float = 0.5) -> NDArray[Any]:
    """Replace values by 0 that are not farther from it than `threshold`, 0.5 by default.

    Examples
    --------
    >>> hard_shrink([-2.0, 0.25, 2.0])
    array([-2.,  0.,  2.], dtype=float32)
    """
    return apply("hard_shrink", "hard_shrink", x, (validation.number("hard_shrink", "threshold", threshold, 0),))


def threshold(x: ArrayLike, threshold: float, default_value: float) -> NDArray[Any]:
    """Replace values that are not above `threshold` by `default_value`.

    Examples
    --------
    >>> threshold([1.0, 3.0], 2.0, -1.0)
    array([-1.,  3.], dtype=float32)
    """
    owner = "threshold"
    numbers = validation.number(owner, "threshold", threshold), validation.number(owner, "default_value", default_value)
    return apply(owner, owner, x, numbers)


# Functions that a layer can apply, none of which needs more than x; `threshold` does.
_BY_NAME: dict[str, Function] = {
    name: globals()[name] for name in __all__ if name not in ("deserialize", "get", "serialize", "threshold")
}


def get(identifier: object, *, owner: str = "activations.get", name: str = "identifier") -> Function:
    """Return the activation function that `identifier` stands for.

    Parameters
    ----------
    identifier : str, function or None
        A name such as "relu", one of the functions of this module, or None for `linear`.
    owner, name : str
        What an error message names: the layer and its argument.

    Raises
    ------
    TypeError, ValueError
        If there is no such function.

    Examples
    --------
    >>> get("swish") is silu
    True
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str) and identifier in _BY_NAME:
        return _BY_NAME[identifier]
    for function in _BY_NAME.values():
        if function is identifier:
            return function
    rule = "be None, a function of cycnn.activations or one of " + ", ".join(map(repr, _BY_NAME))
    kind = ValueError if isinstance(identifier, str) else TypeError
    remedy = "" if isinstance(identifier, str) or not callable(identifier) else "Layers go into the model themselves."
    raise kind(message(owner, name, rule, received(name, identifier), remedy))


def serialize(activation: Function) -> str:
    """Return the name of an activation function, for `get` and `deserialize`.

    Examples
    --------
    >>> serialize(swish)
    'silu'
    """
    return get(activation, owner="activations.serialize", name="activation").__name__


def deserialize(config: str) -> Function:
    """Return the activation function of that name.

    Examples
    --------
    >>> deserialize("relu")([-1.0, 2.0])
    array([0., 2.], dtype=float32)
    """
    return get(config, owner="activations.deserialize", name="config")
