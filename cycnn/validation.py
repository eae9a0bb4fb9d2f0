"""Coercion of arguments, with one form of message for all of them.

Layers and ops call these functions at the edge; nothing below them checks again. Every message
reads ``Owner: `argument` must <rule>. Received: argument=<value>.``, followed by a remedy where one
is certain. A `TypeError` is about kinds and dtypes, a `ValueError` about values and shapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Pair: TypeAlias = tuple[int, int]
Padding: TypeAlias = str | int | tuple[Pair, Pair]

# Products of two extents then fit into the signed 64-bit integers of the compiled code.
_INT_LIMIT = 2**31
_SEED_LIMIT = 2**64
_LONGEST_REPR = 200


def message(owner: str, name: str, rule: str, received: str, remedy: str = "") -> str:
    """Return the text of an error in the house form."""
    text = f"{owner}: `{name}` must {rule}. Received: {received}."
    return f"{text} {remedy}" if remedy else text


def received(name: str, value: object) -> str:
    """Return ``name=value`` for a message, cut where the value is long."""
    text = repr(value)
    if len(text) > _LONGEST_REPR:
        text = text[:_LONGEST_REPR] + "..."
    return f"{name}={text}"


def _is_int(value: object) -> bool:
    # A bool is an Integral to Python, but never what the caller of strides=True meant.
    return isinstance(value, Integral) and not isinstance(value, bool)


def ints(owner: str, name: str, value: object, leaves: Iterable[Any], minimum: int, rule: str) -> tuple[int, ...]:
    """Return the `leaves` of `value` as Python ints of at least `minimum`."""
    leaves = tuple(leaves)
    if not all(map(_is_int, leaves)):
        raise TypeError(message(owner, name, rule, received(name, value)))
    if min(leaves) < minimum:
        raise ValueError(message(owner, name, rule, received(name, value)))
    if max(leaves) >= _INT_LIMIT:
        raise ValueError(message(owner, name, "be less than 2**31", received(name, value)))
    return tuple(int(leaf) for leaf in leaves)


def positive_int(owner: str, name: str, value: object) -> int:
    """Return `value` as an int of at least 1."""
    return ints(owner, name, value, (value,), 1, "be a positive int")[0]


def non_negative_int(owner: str, name: str, value: object) -> int:
    """Return `value` as an int of at least 0."""
    return ints(owner, name, value, (value,), 0, "be a non-negative int")[0]


def integer(owner: str, name: str, value: object) -> int:
    """Return `value` as an int that fits into 32 bits with a sign."""
    return ints(owner, name, value, (value,), -_INT_LIMIT, "be an int of 32 bits")[0]


def positive_ints(owner: str, name: str, value: object) -> tuple[int, ...]:
    """Return a sequence of ints of at least 1 as a tuple."""
    rule = "be a tuple of positive ints"
    if not isinstance(value, (tuple, list)):
        raise TypeError(message(owner, name, rule, received(name, value)))
    if not value:
        raise ValueError(message(owner, name, rule, received(name, value)))
    return ints(owner, name, value, value, 1, rule)


def boolean(owner: str, name: str, value: object) -> bool:
    """Return `value` if it is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(message(owner, name, "be True or False", received(name, value)))
    return bool(value)


def positive_pair(owner: str, name: str, value: object) -> Pair:
    """Return a positive int, or a pair of them, as a pair (vertical, horizontal)."""
    rule = "be a positive int or a pair of them"
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(message(owner, name, rule, received(name, value)))
        first, second = ints(owner, name, value, value, 1, rule)
        return first, second
    (single,) = ints(owner, name, value, (value,), 1, rule)
    return single, single


def per_axis(owner: str, name: str, value: object, axes: int, minimum: int = 1) -> tuple[int, ...]:
    """Return an int of at least `minimum`, 1 or 0, or one for each of one or two axes, as a tuple."""
    rule = "be a positive int" if minimum else "be a non-negative int"
    if axes == 2:
        rule += " or a pair of them"
    leaves = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(leaves) != axes:
        raise ValueError(message(owner, name, rule, received(name, value)))
    return ints(owner, name, value, leaves, minimum, rule)


def padding(owner: str, name: str, value: object) -> Padding:
    """Return padding as "valid", "same", an int, or ``((top, bottom), (left, right))``.

    Names are accepted in any case. `cycnn.shapes` computes what the padding of a window is.
    """
    rule = 'be "valid", "same", a non-negative int or ((top, bottom), (left, right))'
    if isinstance(value, str):
        if value.lower() not in ("valid", "same"):
            raise ValueError(message(owner, name, rule, received(name, value)))
        return value.lower()
    if isinstance(value, (tuple, list)):
        if len(value) != 2 or not all(isinstance(side, (tuple, list)) and len(side) == 2 for side in value):
            raise ValueError(message(owner, name, rule, received(name, value)))
        leaves = (*value[0], *value[1])
        top, bottom, left, right = ints(owner, name, value, leaves, 0, rule)
        return (top, bottom), (left, right)
    return ints(owner, name, value, (value,), 0, rule)[0]


def choice(owner: str, name: str, value: object, choices: Iterable[str]) -> str:
    """Return `value` if it is one of the strings in `choices`."""
    choices = tuple(choices)
    rule = "be one of " + ", ".join(map(repr, choices))
    if not isinstance(value, str):
        raise TypeError(message(owner, name, rule, received(name, value)))
    if value not in choices:
        raise ValueError(message(owner, name, rule, received(name, value)))
    return value


def number(
    owner: str,
    name: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
) -> float:
    """Return `value` as a finite float between `low` and `high`.

    The bounds themselves are allowed, but `low` is not with `above`, nor `high` with `below`.
    """
    rule = "be a finite number"
    if low > -math.inf and high < math.inf:
        rule += f" in {'(' if above else '['}{low:g}, {high:g}{')' if below else ']'}"
    elif low > -math.inf:
        rule += f" {'greater than' if above else 'of at least'} {low:g}"
    elif high < math.inf:
        rule += f" {'less than' if below else 'of at most'} {high:g}"
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(message(owner, name, rule, received(name, value)))
    try:
        result = float(value)
    except OverflowError:  # an int beyond the range of floats
        result = math.inf
    too_low = result <= low if above else result < low
    too_high = result >= high if below else result > high
    if not math.isfinite(result) or too_low or too_high:
        raise ValueError(message(owner, name, rule, received(name, value)))
    return result


def interval(
    owner: str, name: str, value: object, low: float = -math.inf, high: float = math.inf, *, above: bool = False
) -> tuple[float, float]:
    """Return bounds (lower, upper), given in any order, between `low` and `high`.

    Where both of these are finite, a single number f stands for -f, or `low` if that is larger, and f.
    `above` says that `low` itself is not allowed.
    """
    pair = isinstance(value, (tuple, list))
    leaves: tuple[Any, ...] = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    bounded = math.isfinite(low) and math.isfinite(high)
    rule = "be a pair of finite numbers"
    if bounded:
        rule = f"be a number in {'(' if above else '['}{low:g}, {high:g}], or a pair of them"
    if not all(isinstance(leaf, Real) and not isinstance(leaf, bool) for leaf in leaves) or not (pair or bounded):
        raise TypeError(message(owner, name, rule, received(name, value)))
    inside = all(low <= leaf <= high and math.isfinite(leaf) and not (above and leaf == low) for leaf in leaves)
    if not inside or (pair and len(leaves) != 2):
        raise ValueError(message(owner, name, rule, received(name, value)))
    if pair:
        lower, upper = sorted(map(float, leaves))
        return lower, upper
    size = abs(float(leaves[0]))
    return max(-size, low), size


def seed(owner: str, value: object) -> int | None:
    """Return a seed: None, or an int that fits into 64 bits without a sign."""
    rule = "be None or a non-negative int less than 2**64"
    if value is None:
        return None
    if not _is_int(value):
        raise TypeError(message(owner, "seed", rule, received("seed", value)))
    result = int(value)  # type: ignore[call-overload]
    if not 0 <= result < _SEED_LIMIT:
        raise ValueError(message(owner, "seed", rule, received("seed", value)))
    return int(result)


def any_array(owner: str, name: str, value: object) -> NDArray[Any]:
    """Return `value` as an array of any dtype, without copying one that is an array already."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:  # rows of unequal length, among others
        rule = "be an array of numbers, all rows of the same length"
        what = f"{name} of type {type(value).__name__}"
        raise ValueError(message(owner, name, rule, what)) from error


def real_array(owner: str, name: str, value: object) -> NDArray[Any]:
    """Return `value` as an array of floats, integers or booleans, without copying one that is an array already."""
    array = any_array(owner, name, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(message(owner, name, "be an array of real numbers", f"{name}.dtype={array.dtype}"))
    return array


def not_floats(owner: str, name: str, value: object, dtype: np.dtype[Any]) -> TypeError:
    """Return the error for an array of `dtype` where floats are wanted."""
    expression = name if isinstance(value, np.ndarray) else f"np.asarray({name})"
    remedy = ""
    if dtype.kind in "iu":
        remedy = f'Convert it with {expression}.astype("float32") / 255, or put a Rescaling layer in front.'
    elif dtype.kind in "fb":
        remedy = f'Convert it with {expression}.astype("float32").'
    rule = "be a float32 or float64 array"
    return TypeError(message(owner, name, rule, f"{name}.dtype={dtype}", remedy))


def float_array(owner: str, name: str, value: object, ndim: int | None, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """Return `value` as an aligned, C-contiguous float32 or float64 array of `ndim` dimensions.

    An array that already is all that comes back itself, read-only or not; anything else is copied.
    `dtype` is the type of the result; without it arrays keep theirs, and lists become float32.
    `ndim=None` allows any rank.
    """
    array = any_array(owner, name, value)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        raise not_floats(owner, name, value, array.dtype)
    if ndim is not None and array.ndim != ndim:
        rule = f"have {ndim} dimension{'s' if ndim != 1 else ''}"
        raise ValueError(message(owner, name, rule, received(f"{name}.shape", array.shape)))
    if dtype is None:
        # The scalar type has the byte order of this machine, which the array's may not be.
        dtype = array.dtype.type if hasattr(value, "dtype") else np.float32
    return np.require(array, dtype=dtype, requirements=["C_CONTIGUOUS", "ALIGNED"])


def labels(owner: str, name: str, value: object, num_classes: int) -> NDArray[np.int32]:
    """Return class numbers of shape (batch,) or (batch, 1) as an int32 array of shape (batch,).

    Each must be one of 0, 1, ..., num_classes - 1.
    """
    array = any_array(owner, name, value)
    expression = name if isinstance(value, np.ndarray) else f"np.asarray({name})"
    one_hot = array.ndim == 2 and array.shape[1] == num_classes > 1
    if array.dtype.kind not in "iu" and array.size > 0:
        remedy = ""
        if array.dtype.kind in "fb" and one_hot:
            remedy = f"Convert one-hot labels with {expression}.argmax(-1)."
        elif array.dtype.kind in "fb":
            remedy = f'Convert it with {expression}.astype("int32").'
        rule = "be an array of integers"
        raise TypeError(message(owner, name, rule, f"{name}.dtype={array.dtype}", remedy))
    if array.ndim != 1 and not (array.ndim == 2 and array.shape[1] == 1):
        remedy = ""
        if one_hot:
            remedy = f"Convert one-hot labels with {expression}.argmax(-1)."
        rule = "have the shape (batch,) or (batch, 1)"
        what = received(f"{name}.shape", array.shape)
        raise ValueError(message(owner, name, rule, what, remedy))
    if array.size > 0 and (array.min() < 0 or array.max() >= num_classes):
        rule = f"lie between 0 and {num_classes - 1}"
        what = f"{name}.min()={array.min()}, {name}.max()={array.max()}"
        raise ValueError(message(owner, name, rule, what))
    return np.ascontiguousarray(array.reshape(-1), dtype=np.int32)
