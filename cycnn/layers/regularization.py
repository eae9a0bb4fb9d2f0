"""Layers that make a network rely less on its training data.

The random ones do nothing in prediction and evaluation. In training their numbers are a function of the seed, the
number of the training step and the place of the value: they do not depend on the number of threads. The output has
the input's shape.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from .. import regularizers, validation
from ..program import nodes
from ..randomness import default_rng
from ..shapes import Shape
from ..validation import message, received
from .base import Layer, channels_last

if TYPE_CHECKING:
    from ..program import Graph, Value

# What SELU tends to for negative values: 1.0507 * 1.6733, negated.
_SATURATION = -1.7580993408473766


class _Random(Layer):
    """A layer that draws random numbers in training.

    A subclass adds in `lower_noise` what it does then.
    """

    def __init__(self, seed: int | None, **base: Any) -> None:
        super().__init__(**base)
        self.seed = validation.seed(self.owner, seed)
        self._drawn_seed = self.seed

    def build(self, input_shape: Shape) -> None:
        if self._drawn_seed is None:
            self._drawn_seed = int(default_rng().integers(2**63))

    def lower(self, graph: Graph, x: Value) -> Value:
        assert self._drawn_seed is not None
        return self.lower_noise(graph, x, self._drawn_seed) if graph.training else x

    def lower_noise(self, graph: Graph, x: Value, seed: int) -> Value:
        """Append to `graph` what the layer does in training."""
        raise NotImplementedError


class Dropout(_Random):
    """Set random values to zero while training, and scale the others by ``1 / (1 - rate)``.

    Parameters
    ----------
    rate : float
        Share of the values that are dropped, from 0 to 1.
    noise_shape : sequence of int or None, optional
        For each axis, batch included, its extent or None where each value is drawn for itself, or 1 where the same
        choice holds along the axis: ``(None, 1, None)`` drops channels of a sequence as a whole.
    seed : int, optional
        What the choice depends on, together with the number of the training step and the place of
        the value; by default drawn from the process-wide generator when the layer is built.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> Dropout(0.5).compute_output_shape((None, 128))
    (None, 128)
    """

    arguments: ClassVar[tuple[str, ...]] = ("rate", "noise_shape", "seed")
    highest_rate_allowed = True

    def __init__(self, rate: float, noise_shape: object = None, seed: int | None = None, **base: Any) -> None:
        super().__init__(seed, **base)
        self.rate = validation.number(self.owner, "rate", rate, 0, 1, below=not self.highest_rate_allowed)
        self.noise_shape = _noise_shape(self.owner, noise_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.mask_shape(self.check_input(input_shape))
        return input_shape

    def mask_shape(self, shape: Shape) -> Shape:
        """Return the shape of what is drawn for an input of this shape."""
        noise_shape = self.noise_shape or (None,) * len(shape)
        fits = len(noise_shape) == len(shape) and all(
            here in (None, 1, extent) or extent is None for here, extent in zip(noise_shape, shape, strict=True)
        )
        if not fits:
            what = f"{received('noise_shape', self.noise_shape)} for the input shape {shape}"
            raise ValueError(message(self.owner, "noise_shape", "have the input's extents, None or 1", what))
        return tuple(extent if here is None else here for here, extent in zip(noise_shape, shape, strict=True))

    def affine(self) -> tuple[float, float, float]:
        """Return a factor and a summand for what is kept, and what the rest becomes."""
        return (1 / (1 - self.rate) if self.rate < 1 else 0.0, 0.0, 0.0)

    def lower_noise(self, graph: Graph, x: Value, seed: int) -> Value:
        if self.rate == 0:
            return x
        return graph.add(nodes.Dropout(x, self.rate, graph.key, seed, self.mask_shape(x.shape), self.affine()))


class AlphaDropout(Dropout):
    """Set random values to where SELU saturates while training, and keep mean and variance.

    With mean 0 and variance 1 coming in, ``a * x + b`` where x is kept and else ``a * s + b`` have them too, where
    ``s = -1.7580993``, ``a = ((1 - rate) * (1 + rate * s**2)) ** -0.5`` and ``b = -a * s * rate``.

    Parameters
    ----------
    rate : float
        Share of the values that are dropped, at least 0 and less than 1.
    noise_shape : sequence of int or None, optional
        As of `Dropout`.
    seed : int, optional
        As of `Dropout`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> AlphaDropout(0.1).compute_output_shape((None, 128))
    (None, 128)
    """

    highest_rate_allowed = False

    def affine(self) -> tuple[float, float, float]:
        a = ((1 - self.rate) * (1 + self.rate * _SATURATION**2)) ** -0.5
        b = -a * _SATURATION * self.rate
        return (a, b, a * _SATURATION + b)


class SpatialDropout1D(Dropout):
    """Drop whole channels of sequences while training.

    Parameters
    ----------
    rate : float
        Share of the channels that are dropped, from 0 to 1.
    seed : int, optional
        As of `Dropout`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, steps, channels)``.

    Examples
    --------
    >>> SpatialDropout1D(0.5).compute_output_shape((None, 10, 6))
    (None, 10, 6)
    """

    arguments = ("rate", "seed")
    axes = ("batch", "steps", "channels")

    def __init__(self, rate: float, seed: int | None = None, **base: Any) -> None:
        super().__init__(rate, (None, 1, None), seed, **base)


class SpatialDropout2D(Dropout):
    """Drop whole channels of images while training.

    Parameters
    ----------
    rate : float
        Share of the channels that are dropped, from 0 to 1.
    data_format : {"channels_last"}, optional
        The only order of axes.
    seed : int, optional
        As of `Dropout`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``.

    Examples
    --------
    >>> SpatialDropout2D(0.5).compute_output_shape((None, 28, 28, 6))
    (None, 28, 28, 6)
    """

    arguments = ("rate", "data_format", "seed")
    axes = ("batch", "height", "width", "channels")

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **base: Any) -> None:
        super().__init__(rate, (None, 1, 1, None), seed, **base)
        self.data_format = channels_last(self.owner, data_format)


class GaussianNoise(_Random):
    """Add normal noise while training.

    Parameters
    ----------
    stddev : float
        Standard deviation of the noise, from 0 to 1.
    seed : int, optional
        As of `Dropout`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> GaussianNoise(0.1).compute_output_shape((None, 128))
    (None, 128)
    """

    arguments = ("stddev", "seed")

    def __init__(self, stddev: float, seed: int | None = None, **base: Any) -> None:
        super().__init__(seed, **base)
        self.stddev = validation.number(self.owner, "stddev", stddev, 0, 1)

    def lower_noise(self, graph: Graph, x: Value, seed: int) -> Value:
        return graph.add(nodes.Gaussian(x, self.stddev, False, graph.key, seed)) if self.stddev else x


class GaussianDropout(_Random):
    """Multiply by normal noise of mean 1 while training, with the variance ``rate / (1 - rate)`` of `Dropout`.

    Parameters
    ----------
    rate : float
        At least 0 and less than 1.
    seed : int, optional
        As of `Dropout`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> GaussianDropout(0.1).compute_output_shape((None, 128))
    (None, 128)
    """

    arguments = ("rate", "seed")

    def __init__(self, rate: float, seed: int | None = None, **base: Any) -> None:
        super().__init__(seed, **base)
        self.rate = validation.number(self.owner, "rate", rate, 0, 1, below=True)

    def lower_noise(self, graph: Graph, x: Value, seed: int) -> Value:
        stddev = math.sqrt(self.rate / (1 - self.rate))
        return graph.add(nodes.Gaussian(x, stddev, True, graph.key, seed)) if self.rate else x


class ActivityRegularization(Layer):
    """Add ``l1 * sum |x| + l2 * sum x**2`` to the loss, as a mean over the batch, and hand the input on.

    Parameters
    ----------
    l1, l2 : float
        0 by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> ActivityRegularization(l2=0.1).compute_output_shape((None, 128))
    (None, 128)
    """

    arguments = ("l1", "l2")

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **base: Any) -> None:
        super().__init__(**base)
        self.l1 = validation.number(self.owner, "l1", l1, 0)
        self.l2 = validation.number(self.owner, "l2", l2, 0)
        self.activity_regularizer = regularizers.L1L2(self.l1, self.l2)

    def lower(self, graph: Graph, x: Value) -> Value:
        return x

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activity_regularizer"]
        return config


def _noise_shape(owner: str, value: object) -> tuple[int | None, ...] | None:
    """Return a sequence of positive ints and None as a tuple."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or not value:
        rule = "be None or a tuple of positive ints and None"
        raise TypeError(message(owner, "noise_shape", rule, received("noise_shape", value)))
    return tuple(None if here is None else validation.positive_int(owner, "noise_shape", here) for here in value)
