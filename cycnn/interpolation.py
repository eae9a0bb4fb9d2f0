"""Which pixels along an axis a resized pixel is made of, and with which weights.

The formulas are those of ``tf.image.resize``, which Keras calls. Pixel k of an axis covers k to k + 1, so its centre is
``k + 1/2``: the centre of output pixel o lies at ``(o + 1/2) * inputs / outputs`` in the input. Coordinates are
float32, as TensorFlow's are, for where one falls between two pixels the rounding decides which is nearest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

METHODS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")

_CUBIC_STEPS = 1024  # TensorFlow's table of the cubic has so many entries for each pixel


class Taps(NamedTuple):
    """Output o is the sum of ``weights[t] * input[first[o] + t - starts[o]]`` for t in starts[o]..starts[o + 1]-1."""

    first: NDArray[np.int64]
    starts: NDArray[np.int64]
    weights: NDArray[np.float64]

    def transpose(self, inputs: int) -> Taps:
        """Return the taps of the gradient: each input reads the outputs that read it.

        Examples
        --------
        >>> taps(2, 4, "nearest").transpose(2).first
        array([0, 2])
        """
        readers: list[dict[int, float]] = [{} for _ in range(inputs)]
        for o, first in enumerate(self.first):
            for k, weight in enumerate(self.weights[self.starts[o] : self.starts[o + 1]]):
                readers[int(first) + k][o] = float(weight)
        rows = []
        for outputs in readers:
            start, stop = min(outputs, default=0), max(outputs, default=-1) + 1
            rows.append((start, [outputs.get(o, 0.0) for o in range(start, stop)]))
        return _table(rows)


def taps(inputs: int, outputs: int, method: str = "bilinear", antialias: bool = False) -> Taps:
    """Return how an axis of `inputs` pixels is resized to `outputs` pixels.

    Parameters
    ----------
    inputs, outputs : int
    method : {"bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"}
    antialias : bool
        Whether to widen the interpolation's support where the axis becomes shorter.

    Examples
    --------
    >>> taps(4, 2).weights
    array([0.5, 0.5, 0.5, 0.5])
    """
    scale = np.float32(inputs) / np.float32(outputs)
    centres = (np.arange(outputs, dtype=np.float32) + np.float32(0.5)) * scale
    if method == "nearest":
        return _table([(min(int(centre), inputs - 1), [1.0]) for centre in centres])
    if method == "bilinear" and not antialias:
        return _table([_bilinear(float(centre - np.float32(0.5)), inputs) for centre in centres])
    if method == "bicubic" and not antialias:
        return _table([_bicubic(float(centre - np.float32(0.5)), inputs) for centre in centres])
    scale = 1 / (np.float32(outputs) / np.float32(inputs))  # TensorFlow divides in another order here
    centres = (np.arange(outputs, dtype=np.float32) + np.float32(0.5)) * scale
    widening = max(float(scale), 1.0) if antialias else 1.0
    radius, curve = _CURVES[method]
    return _table([_sampled(float(centre), inputs, radius, curve, widening) for centre in centres])


def _table(rows: list[tuple[int, list[float]]]) -> Taps:
    """Return rows of (first input, weights) as arrays."""
    starts = np.zeros(len(rows) + 1, np.int64)
    starts[1:] = np.cumsum([len(weights) for _, weights in rows])
    weights: NDArray[Any] = np.array([weight for _, row in rows for weight in row], np.float64)
    return Taps(np.array([first for first, _ in rows], np.int64), starts, weights)


def _bilinear(place: float, inputs: int) -> tuple[int, list[float]]:
    """Return the two pixels around a place, or one that lies there or at the border."""
    below = math.floor(place)
    fraction = place - below
    if below < 0 or fraction == 0 or below >= inputs - 1:
        return min(max(below, 0), inputs - 1), [1.0]
    return below, [1.0 - fraction, fraction]


def _bicubic(place: float, inputs: int) -> tuple[int, list[float]]:
    """Return the four pixels around a place; those outside of the image count nothing."""
    below = math.floor(place)
    fraction = round((place - below) * _CUBIC_STEPS) / _CUBIC_STEPS
    return _within(below - 1, [_cubic(abs(k - fraction)) for k in (-1, 0, 1, 2)], inputs)


def _sampled(
    centre: float, inputs: int, radius: float, curve: Callable[[float], float], widening: float
) -> tuple[int, list[float]]:
    """Return the pixels within `radius` of a centre, weighted by a curve of their distance."""
    reach = radius * widening
    first, last = math.ceil(centre - reach - 0.5), math.floor(centre + reach - 0.5)
    return _within(first, [curve(abs(k + 0.5 - centre) / widening) for k in range(first, last + 1)], inputs)


def _within(first: int, weights: list[float], inputs: int) -> tuple[int, list[float]]:
    """Leave out what is outside of the image, and make the sum of the other weights 1."""
    inside = {first + k: weight for k, weight in enumerate(weights) if 0 <= first + k < inputs}
    total = math.fsum(inside.values())
    return min(inside), [weight / total for weight in inside.values()]


def _triangle(distance: float) -> float:
    return max(1.0 - distance, 0.0)


def _cubic(distance: float) -> float:
    """Return Keys's cubic for a = -1/2 (IEEE Transactions on Acoustics, Speech, and Signal Processing 29, 1981)."""
    if distance >= 2:
        return 0.0
    if distance >= 1:
        return ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    return (1.5 * distance - 2.5) * distance * distance + 1.0


def _lanczos(radius: float) -> Callable[[float], float]:
    def curve(distance: float) -> float:
        if distance >= radius:
            return 0.0
        return float(np.sinc(distance) * np.sinc(distance / radius))

    return curve


_CURVES: dict[str, tuple[float, Callable[[float], float]]] = {
    "bilinear": (1.0, _triangle),
    "bicubic": (2.0, _cubic),
    "lanczos3": (3.0, _lanczos(3.0)),
    "lanczos5": (5.0, _lanczos(5.0)),
}
