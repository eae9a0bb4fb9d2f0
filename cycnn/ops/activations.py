"""Activation functions, with Keras's names, arguments and defaults.

Those without arguments of their own are made from a table of their formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike, NDArray

from .. import validation
from .arrays import empty, run, with_axis

_DOCUMENTATION = """{summary}

Parameters
----------
x : array_like of any shape, float32 or float64

Returns
-------
ndarray of x's shape
    ``{formula}``; NaN stays NaN.

Raises
------
TypeError
    If `x` has another dtype.

Examples
--------
>>> {name}({example})
array({result}, dtype=float32)
"""


def apply(owner: str, name: str, x: object, numbers: tuple[float, ...] | None = None) -> NDArray[Any]:
    """Return what a step makes of x: one that keeps its input where it takes numbers, be it none."""
    x = validation.float_array(owner, "x", x, None)
    out = empty(owner, x.shape, x.dtype)
    if out.size and numbers is None:
        run("ActivationForward", x.dtype, x, out, name)
    elif out.size:
        run("Pointwise", x.dtype, x, None, out, name, numbers)
    return out


def _function(
    name: str, summary: str, formula: str, example: str, result: str, keeps_input: bool = False
) -> Callable[[ArrayLike], NDArray[Any]]:
    """Return the function of that name, with its documentation."""

    def function(x: ArrayLike) -> NDArray[Any]:
        return apply(name, name, x, () if keeps_input else None)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _DOCUMENTATION.format(
        name=name, summary=summary, formula=formula, example=example, result=result
    )
    return function


# fmt: off
relu6 = _function(
    "relu6", "Cut values off below 0 and above 6.", "min(max(x, 0), 6)", "[-1.0, 2.0, 8.0]", "[0., 2., 6.]")
selu = _function(
    "selu", "Scale values, and let negative ones saturate, so that layers keep mean 0 and variance 1.",
    "1.05070099 * x where x > 0, else 1.05070099 * 1.67326324 * (exp(x) - 1)", "[0.0, 2.0]", "[0.      , 2.101402]")
sigmoid = _function("sigmoid", "Squash values into 0..1.", "1 / (1 + exp(-x))", "[0.0]", "[0.5]")
hard_sigmoid = _function(
    "hard_sigmoid", "Squash values into 0..1 along three lines.", "relu6(x + 3) / 6", "[-4.0, 0.0]", "[0. , 0.5]")
tanh = _function("tanh", "Squash values into -1..1.", "tanh(x)", "[0.0]", "[0.]")
softplus = _function(
    "softplus", "Turn values into positive ones, smoothly.", "log(1 + exp(x))", "[0.0, 30.0]",
    "[ 0.6931472, 30.       ]")
softsign = _function(
    "softsign", "Squash values into -1..1, slowly.", "x / (1 + abs(x))", "[1.0, -3.0]", "[ 0.5 , -0.75]")
exponential = _function("exponential", "Raise e to each value.", "exp(x)", "[0.0]", "[1.]")
silu = _function(
    "silu", "Weigh each value by its sigmoid.", "x * sigmoid(x)", "[0.0, 30.0]", "[ 0., 30.]", keeps_input=True)
hard_silu = _function(
    "hard_silu", "Weigh each value by its hard sigmoid.", "x * relu6(x + 3) / 6", "[-4.0, 0.0, 4.0]", "[-0.,  0.,  4.]",
    keeps_input=True)
mish = _function(
    "mish", "Weigh each value by the tanh of its softplus.", "x * tanh(softplus(x))", "[0.0, 30.0]", "[ 0., 30.]",
    keeps_input=True)
log_sigmoid = _function(
    "log_sigmoid", "Return the logarithm of the sigmoid.", "-log(1 + exp(-x))", "[0.0]", "[-0.6931472]",
    keeps_input=True)
hard_tanh = _function(
    "hard_tanh", "Cut values off below -1 and above 1.", "min(max(x, -1), 1)", "[-2.0, 0.5]", "[-1. ,  0.5]",
    keeps_input=True)
tanh_shrink = _function("tanh_shrink", "Take the tanh away.", "x - tanh(x)", "[0.0]", "[0.]", keeps_input=True)
sparse_plus = _function(
    "sparse_plus", "Turn values into non-negative ones along a parabola from -1 to 1.",
    "0 up to -1, (x + 1)**2 / 4 up to 1, then x", "[-2.0, 0.0, 2.0]", "[0.  , 0.25, 2.  ]", keeps_input=True)
sparse_sigmoid = _function(
    "sparse_sigmoid", "Squash values into 0..1 along a line from -1 to 1.", "(min(max(x, -1), 1) + 1) / 2",
    "[-2.0, 0.5]", "[0.  , 0.75]", keeps_input=True)
# fmt: on


def rectifier(negative_slope: float, max_value: float | None, threshold: float) -> tuple[str, tuple[float, ...]]:
    """Return the function that Keras's ReLU is with these arguments, and the numbers that it takes."""
    if threshold or (max_value is not None and (negative_slope or max_value != 6)):
        return "rectifier", (negative_slope, threshold, float("inf") if max_value is None else max_value)
    if negative_slope:
        return "leaky_relu", (negative_slope,)
    return "relu" if max_value is None else "relu6", ()


def relu(
    x: ArrayLike, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> NDArray[Any]:
    """Replace negative values by zero.

    Parameters
    ----------
    x : array_like of any shape, float32 or float64
    negative_slope : float
        Of the function below the threshold, 0 by default.
    max_value : float, optional
        Where values are cut off; by default nowhere.
    threshold : float
        What values must be above to be kept, 0 by default.

    Returns
    -------
    ndarray of x's shape
        ``min(x, max_value)`` where ``x > threshold``, else ``negative_slope * (x - threshold)``; NaN stays NaN.

    Raises
    ------
    TypeError, ValueError
        If an argument is no finite number, or `x` has another dtype.

    Examples
    --------
    >>> relu([-1.0, 2.0])
    array([0., 2.], dtype=float32)
    """
    slope = validation.number("relu", "negative_slope", negative_slope)
    highest = None if max_value is None else validation.number("relu", "max_value", max_value)
    name, numbers = rectifier(slope, highest, validation.number("relu", "threshold", threshold))
    return apply("relu", name, x, numbers or None)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.2) -> NDArray[Any]:
    """Keep positive values, and multiply negative ones by a small slope.

    Parameters
    ----------
    x : array_like of any shape, float32 or float64
    negative_slope : float
        0.2 by default.

    Returns
    -------
    ndarray of x's shape
        ``x`` where ``x > 0``, else ``negative_slope * x``; NaN stays NaN.

    Raises
    ------
    TypeError, ValueError
        If `negative_slope` is no finite number, or `x` has another dtype.

    Examples
    --------
    >>> leaky_relu([-5.0, 2.0])
    array([-1.,  2.], dtype=float32)
    """
    return apply("leaky_relu", "leaky_relu", x, (validation.number("leaky_relu", "negative_slope", negative_slope),))


def elu(x: ArrayLike, alpha: float = 1.0) -> NDArray[Any]:
    """Keep positive values, and let negative ones saturate.

    Parameters
    ----------
    x : array_like of any shape, float32 or float64
    alpha : float
        1 by default.

    Returns
    -------
    ndarray of x's shape
        ``x`` where ``x > 0``, else ``alpha * (exp(x) - 1)``; NaN stays NaN.

    Raises
    ------
    TypeError, ValueError
        If `alpha` is no finite number, or `x` has another dtype.

    Examples
    --------
    >>> elu([-100.0, 2.0])
    array([-1.,  2.], dtype=float32)
    """
    return apply("elu", "elu", x, (validation.number("elu", "alpha", alpha),))


def gelu(x: ArrayLike, approximate: bool = False) -> NDArray[Any]:
    """Weigh each value by how much of the normal distribution lies below it.

    Parameters
    ----------
    x : array_like of any shape, float32 or float64
    approximate : bool
        Whether to take a tanh for the distribution, False by default.

    Returns
    -------
    ndarray of x's shape
        ``x * (1 + erf(x / sqrt(2))) / 2``, or ``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2``.

    Raises
    ------
    TypeError
        If `approximate` is not a bool, or `x` has another dtype.

    Examples
    --------
    >>> gelu([0.0, 30.0])
    array([ 0., 30.], dtype=float32)
    """
    return apply("gelu", "gelu_tanh" if validation.boolean("gelu", "approximate", approximate) else "gelu", x, ())


def softmax(x: ArrayLike, axis: int = -1) -> NDArray[Any]:
    """Turn the values along an axis into probabilities.

    Parameters
    ----------
    x : array_like of at least one axis, float32 or float64
    axis : int
        The last by default.

    Returns
    -------
    ndarray of x's shape
        ``out[..., i] = exp(x[..., i]) / sum over j of exp(x[..., j])``.

    Raises
    ------
    TypeError, ValueError
        If `x` has another dtype or no such axis.

    Examples
    --------
    >>> softmax([[0.0, 0.0]])
    array([[0.5, 0.5]], dtype=float32)
    """
    return _over_axis("softmax", x, axis)


def log_softmax(x: ArrayLike, axis: int = -1) -> NDArray[Any]:
    """Return the logarithm of the softmax along an axis.

    Parameters
    ----------
    x : array_like of at least one axis, float32 or float64
    axis : int
        The last by default.

    Returns
    -------
    ndarray of x's shape
        ``out[..., i] = x[..., i] - log(sum over j of exp(x[..., j]))``.

    Raises
    ------
    TypeError, ValueError
        If `x` has another dtype or no such axis.

    Examples
    --------
    >>> log_softmax([[0.0, 0.0]])
    array([[-0.6931472, -0.6931472]], dtype=float32)
    """
    return _over_axis("log_softmax", x, axis)


def _over_axis(name: str, x: object, axis: object) -> NDArray[Any]:
    x, number = with_axis(name, "x", x, axis)
    out = empty(name, x.shape, x.dtype)
    if out.size:
        run("SoftmaxForward", x.dtype, x, out, number, name == "log_softmax")
    return out
