"""Gradients of activation functions, through what the functions returned where that is enough, else through x.

Those without arguments of their own are made from a table of their formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike, NDArray

from .. import validation
from .arrays import check_shape, companion, empty, run, with_axis

_DOCUMENTATION = """Return the gradient of `{name}`.

Parameters
----------
dout : array_like of any shape, float32 or float64
    Gradient with respect to the output.
{what} : array_like of dout's shape and dtype
    {meaning}

Returns
-------
ndarray of dout's shape
    {formula}.

Raises
------
TypeError, ValueError
    If a dtype or shape does not fit.

Examples
--------
>>> {name}_backward({dout}, {given})
array({result}, dtype=float32)
"""
_MEANINGS = {"out": "What `{name}` returned.", "x": "What `{name}` was given."}

Gradient = Callable[[ArrayLike, ArrayLike], NDArray[Any]]


def _gradient(name: str, what: str, dout: object, given: object, numbers: tuple[float, ...] = ()) -> NDArray[Any]:
    """Return dout times the derivative where the function returned `out`, or was given `x`."""
    owner = f"{name.removesuffix('_tanh')}_backward"
    dout = validation.float_array(owner, "dout", dout, None)
    given = companion(owner, what, given, None, "dout", dout.dtype)
    check_shape(owner, what, given, dout.shape)
    dx = empty(owner, dout.shape, dout.dtype)
    if dx.size and what == "out":
        run("ActivationBackward", dout.dtype, dout, given, dx, name)
    elif dx.size:
        run("Pointwise", dout.dtype, given, dout, dx, name, numbers)
    return dx


def _described(function: Gradient, name: str, what: str, formula: str, dout: str, given: str, result: str) -> Gradient:
    """Give the gradient of `name` its name and its documentation."""
    function.__name__ = function.__qualname__ = f"{name}_backward"
    meaning = _MEANINGS[what].format(name=name)
    function.__doc__ = _DOCUMENTATION.format(
        name=name, what=what, meaning=meaning, formula=formula, dout=dout, given=given, result=result
    )
    return function


def _from_out(name: str, formula: str, dout: str, given: str, result: str) -> Gradient:
    """Return the gradient of a function through what it returned."""

    def function(dout: ArrayLike, out: ArrayLike) -> NDArray[Any]:
        return _gradient(name, "out", dout, out)

    return _described(function, name, "out", formula, dout, given, result)


def _from_x(name: str, formula: str, dout: str, given: str, result: str) -> Gradient:
    """Return the gradient of a function through what it was given."""

    def function(dout: ArrayLike, x: ArrayLike) -> NDArray[Any]:
        return _gradient(name, "x", dout, x)

    return _described(function, name, "x", formula, dout, given, result)


# fmt: off
relu_backward = _from_out("relu", "`dout` where ``out > 0``, else 0", "[5.0, 5.0]", "[0.0, 2.0]", "[0., 5.]")
relu6_backward = _from_out(
    "relu6", "`dout` where ``0 < out < 6``, else 0", "[5.0, 5.0, 5.0]", "[0.0, 2.0, 6.0]", "[0., 5., 0.]")
selu_backward = _from_out(
    "selu", "``dout * 1.05070099`` where ``out >= 0``, else ``dout * (out + 1.7580993)``", "[1.0]", "[2.0]",
    "[1.050701]")
sigmoid_backward = _from_out("sigmoid", "``dout * out * (1 - out)``", "[4.0]", "[0.5]", "[1.]")
hard_sigmoid_backward = _from_out(
    "hard_sigmoid", "``dout / 6`` where ``0 < out < 1``, else 0", "[3.0, 3.0]", "[0.0, 0.5]", "[0. , 0.5]")
tanh_backward = _from_out("tanh", "``dout * (1 - out**2)``", "[4.0]", "[0.5]", "[3.]")
softplus_backward = _from_out("softplus", "``dout * (1 - exp(-out))``", "[2.0]", "[100.0]", "[2.]")
softsign_backward = _from_out("softsign", "``dout * (1 - abs(out))**2``", "[4.0]", "[0.5]", "[1.]")
exponential_backward = _from_out("exponential", "``dout * out``", "[4.0]", "[0.5]", "[2.]")
silu_backward = _from_x("silu", "``dout * s * (1 + x * (1 - s))``, s the sigmoid of x", "[4.0]", "[0.0]", "[2.]")
hard_silu_backward = _from_x(
    "hard_silu", "``dout * (2 * x + 3) / 6`` where ``-3 < x < 3``, `dout` above, 0 below", "[4.0, 4.0]", "[0.0, 3.0]",
    "[2., 4.]")
mish_backward = _from_x(
    "mish", "``dout * (t + x * (1 - t**2) * sigmoid(x))``, t the tanh of softplus of x", "[5.0]", "[0.0]", "[3.]")
# fmt: on


def leaky_relu_backward(dout: ArrayLike, x: ArrayLike, negative_slope: float = 0.2) -> NDArray[Any]:
    """Return the gradient of `leaky_relu`.

    Parameters
    ----------
    dout : array_like of any shape, float32 or float64
        Gradient with respect to the output.
    x : array_like of dout's shape and dtype
        What `leaky_relu` was given.
    negative_slope : float
        As `leaky_relu` was given, 0.2 by default.

    Returns
    -------
    ndarray of dout's shape
        `dout` where ``x > 0``, else ``negative_slope * dout``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.

    Examples
    --------
    >>> leaky_relu_backward([5.0, 5.0], [-1.0, 2.0])
    array([1., 5.], dtype=float32)
    """
    slope = validation.number("leaky_relu_backward", "negative_slope", negative_slope)
    return _gradient("leaky_relu", "x", dout, x, (slope,))


def elu_backward(dout: ArrayLike, x: ArrayLike, alpha: float = 1.0) -> NDArray[Any]:
    """Return the gradient of `elu`.

    Parameters
    ----------
    dout : array_like of any shape, float32 or float64
        Gradient with respect to the output.
    x : array_like of dout's shape and dtype
        What `elu` was given.
    alpha : float
        As `elu` was given, 1 by default.

    Returns
    -------
    ndarray of dout's shape
        `dout` where ``x > 0``, else ``alpha * exp(x) * dout``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.

    Examples
    --------
    >>> elu_backward([5.0, 5.0], [-100.0, 2.0])
    array([0., 5.], dtype=float32)
    """
    return _gradient("elu", "x", dout, x, (validation.number("elu_backward", "alpha", alpha),))


def gelu_backward(dout: ArrayLike, x: ArrayLike, approximate: bool = False) -> NDArray[Any]:
    """Return the gradient of `gelu`.

    Parameters
    ----------
    dout : array_like of any shape, float32 or float64
        Gradient with respect to the output.
    x : array_like of dout's shape and dtype
        What `gelu` was given.
    approximate : bool
        As `gelu` was given, False by default.

    Returns
    -------
    ndarray of dout's shape
        ``dout * (P + x * exp(-x**2 / 2) / sqrt(2 * pi))``, P the normal distribution at x, or the derivative of the
        formula with tanh.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.

    Examples
    --------
    >>> gelu_backward([4.0], [0.0])
    array([2.], dtype=float32)
    """
    approximate = validation.boolean("gelu_backward", "approximate", approximate)
    return _gradient("gelu_tanh" if approximate else "gelu", "x", dout, x)


def softmax_backward(dout: ArrayLike, out: ArrayLike, axis: int = -1) -> NDArray[Any]:
    """Return the gradient of `softmax`.

    Parameters
    ----------
    dout : array_like of at least one axis, float32 or float64
        Gradient with respect to the output.
    out : array_like of dout's shape and dtype
        What `softmax` returned.
    axis : int
        The last by default.

    Returns
    -------
    ndarray of dout's shape
        ``dx[..., i] = out[..., i] * (dout[..., i] - sum over j of dout[..., j] * out[..., j])``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.

    Examples
    --------
    >>> softmax_backward([[4.0, 0.0]], [[0.5, 0.5]])
    array([[ 1., -1.]], dtype=float32)
    """
    return _over_axis("softmax", dout, out, axis)


def log_softmax_backward(dout: ArrayLike, out: ArrayLike, axis: int = -1) -> NDArray[Any]:
    """Return the gradient of `log_softmax`.

    Parameters
    ----------
    dout : array_like of at least one axis, float32 or float64
        Gradient with respect to the output.
    out : array_like of dout's shape and dtype
        What `log_softmax` returned.
    axis : int
        The last by default.

    Returns
    -------
    ndarray of dout's shape
        ``dx[..., i] = dout[..., i] - exp(out[..., i]) * sum over j of dout[..., j]``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.

    Examples
    --------
    >>> log_softmax_backward([[4.0, 0.0]], [[0.0, -100.0]])
    array([[0., 0.]], dtype=float32)
    """
    return _over_axis("log_softmax", dout, out, axis)


def _over_axis(name: str, dout: object, out: object, axis: object) -> NDArray[Any]:
    owner = f"{name}_backward"
    dout, number = with_axis(owner, "dout", dout, axis)
    out = companion(owner, "out", out, None, "dout", dout.dtype)
    check_shape(owner, "out", out, dout.shape)
    dx = empty(owner, dout.shape, dout.dtype)
    if dx.size:
        run("SoftmaxBackward", dout.dtype, dout, out, dx, number, name == "log_softmax")
    return dx
