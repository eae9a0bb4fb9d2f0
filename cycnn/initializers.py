"""Initial values of parameters: Keras's initializers, by name, as objects or from configurations.

Randomness is explicit. An initializer with a seed makes its own generator from it at each call, and
so returns the same values each time. Without a seed it draws from the generator it is handed, or
from the process-wide one. Everything is drawn in float64 and rounded at the end, so that models of
both types start from the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import identifiers, validation
from .identifiers import Configured
from .randomness import default_rng
from .validation import message, received

if TYPE_CHECKING:
    from numpy.random import Generator

# Standard deviation of a standard normal distribution that is cut off at -2 and 2.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(Configured):
    """Base of all initializers: a function from a shape to an array, with a configuration.

    A subclass makes its values in `__call__` and lists its constructor's arguments in `arguments`,
    which it stores under the same names.
    """

    def __call__(
        self, shape: Sequence[int], dtype: DTypeLike = "float32", rng: Generator | None = None
    ) -> NDArray[Any]:
        """Return initial values.

        Parameters
        ----------
        shape : sequence of int
            Shape of the parameter: (height, width, in, out) of a convolution's kernel, (in, out) of
            a dense layer's.
        dtype : {"float32", "float64"}
            Type of the result.
        rng : numpy.random.Generator, optional
            What an initializer without a seed draws from, by default the process-wide generator.

        Returns
        -------
        ndarray
            A new array of that shape and type.
        """
        raise NotImplementedError


class Constant(Initializer):
    """Fill with one number, 0 by default."""

    arguments: ClassVar[tuple[str, ...]] = ("value",)

    def __init__(self, value: float = 0.0) -> None:
        self.value = validation.number(type(self).__name__, "value", value)

    def __call__(
        self, shape: Sequence[int], dtype: DTypeLike = "float32", rng: Generator | None = None
    ) -> NDArray[Any]:
        return np.full(shape, self.value, dtype)


class Zeros(Constant):
    """Fill with 0."""

    arguments = ()

    def __init__(self) -> None:
        super().__init__(0.0)


class Ones(Constant):
    """Fill with 1."""

    arguments = ()

    def __init__(self) -> None:
        super().__init__(1.0)


class _Random(Initializer):
    """Base of the initializers that draw: a subclass returns float64 numbers from `_draw`."""

    def __init__(self, seed: int | None) -> None:
        self.seed = validation.seed(type(self).__name__, seed)

    def __call__(
        self, shape: Sequence[int], dtype: DTypeLike = "float32", rng: Generator | None = None
    ) -> NDArray[Any]:
        if self.seed is not None:
            rng = np.random.default_rng(self.seed)
        elif rng is None:
            rng = default_rng()
        return np.asarray(self._draw(tuple(shape), rng)).astype(dtype)

    def _draw(self, shape: tuple[int, ...], rng: Generator) -> NDArray[np.float64]:
        raise NotImplementedError


class RandomUniform(_Random):
    """Draw uniformly from [minval, maxval)."""

    arguments = ("minval", "maxval", "seed")

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        owner = type(self).__name__
        self.minval = validation.number(owner, "minval", minval)
        self.maxval = validation.number(owner, "maxval", maxval, low=self.minval)
        super().__init__(seed)

    def _draw(self, shape: tuple[int, ...], rng: Generator) -> NDArray[np.float64]:
        return rng.uniform(self.minval, self.maxval, shape)


class RandomNormal(_Random):
    """Draw from the normal distribution."""

    arguments = ("mean", "stddev", "seed")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        owner = type(self).__name__
        self.mean = validation.number(owner, "mean", mean)
        self.stddev = validation.number(owner, "stddev", stddev, low=0)
        super().__init__(seed)

    def _draw(self, shape: tuple[int, ...], rng: Generator) -> NDArray[np.float64]:
        return self.mean + self.stddev * rng.standard_normal(shape)


class TruncatedNormal(RandomNormal):
    """Draw from the normal distribution, again where over two standard deviations off the mean."""

    def _draw(self, shape: tuple[int, ...], rng: Generator) -> NDArray[np.float64]:
        return self.mean + self.stddev * _truncated_normal(shape, rng)


class VarianceScaling(_Random):
    """Draw with a variance that suits the shape of the parameter.

    The variance is ``scale / n``, where n is the number of inputs of one output (`"fan_in"`), of
    outputs of one input (`"fan_out"`), or the mean of both (`"fan_avg"`).

    Parameters
    ----------
    scale : float
        Positive factor, 1 by default.
    mode : {"fan_in", "fan_out", "fan_avg"}
        What n is.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        Normal with mean 0, truncated at two standard deviations or not, or uniform around 0.
        "normal" is the truncated one.
    seed : int, optional
        Makes every call return the same values.
    input_axes, output_axes : sequence of int, optional
        Axes of the parameter whose extents multiply to the number of inputs, and of outputs; both are
        given, or the last two axes count, with those before them as positions of a window.
    """

    arguments: ClassVar[tuple[str, ...]] = ("scale", "mode", "distribution", "seed", "input_axes", "output_axes")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        owner = type(self).__name__
        self.input_axes = _axes(owner, "input_axes", input_axes)
        self.output_axes = _axes(owner, "output_axes", output_axes)
        self.scale = validation.number(owner, "scale", scale, low=0, above=True)
        self.mode = validation.choice(owner, "mode", mode, ("fan_in", "fan_out", "fan_avg"))
        if distribution == "normal":
            distribution = "truncated_normal"
        distributions = ("truncated_normal", "untruncated_normal", "uniform")
        self.distribution = validation.choice(owner, "distribution", distribution, distributions)
        super().__init__(seed)

    def _draw(self, shape: tuple[int, ...], rng: Generator) -> NDArray[np.float64]:
        fan_in, fan_out = fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, n))
        if self.distribution == "uniform":
            limit = math.sqrt(3) * stddev
            return rng.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return stddev * rng.standard_normal(shape)
        return stddev / _TRUNCATED_STDDEV * _truncated_normal(shape, rng)


class _NamedScaling(VarianceScaling):
    """Base of the variance scalings with a name of their own: the seed and the axes are left to choose."""

    arguments = ("seed", "input_axes", "output_axes")
    scaling: ClassVar[tuple[float, str, str]]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self.scaling, seed, input_axes, output_axes)


class GlorotUniform(_NamedScaling):
    """Draw uniformly, variance ``2 / (fan_in + fan_out)``, after Glorot, Bengio (2010)."""

    scaling = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Draw a truncated normal, variance ``2 / (fan_in + fan_out)``, after Glorot, Bengio (2010)."""

    scaling = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_NamedScaling):
    """Draw uniformly, variance ``2 / fan_in``, after He et al. (2015)."""

    scaling = (2.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Draw a truncated normal, variance ``2 / fan_in``, after He et al. (2015)."""

    scaling = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Draw uniformly, variance ``1 / fan_in``, after LeCun et al. (1998)."""

    scaling = (1.0, "fan_in", "uniform")


class LecunNormal(_NamedScaling):
    """Draw a truncated normal, variance ``1 / fan_in``, after LeCun et al. (1998)."""

    scaling = (1.0, "fan_in", "truncated_normal")


def fans(
    shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """Return how many inputs one output of a parameter has, and how many outputs one input.

    In kernels with more than two axes, all but the last two count as positions of the window, unless the axes of
    inputs and outputs are both given.
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if len(shape) == 0:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    positions = math.prod(shape[:-2])
    return positions * shape[-2], positions * shape[-1]


def _axes(owner: str, name: str, value: object) -> list[int] | None:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or not all(isinstance(axis, int) for axis in value):
        raise TypeError(message(owner, name, "be None or a list of ints", received(name, value)))
    return list(value)


def _truncated_normal(shape: tuple[int, ...], rng: Generator) -> NDArray[np.float64]:
    """Return standard normal numbers, redrawn until all lie between -2 and 2."""
    values = rng.standard_normal(math.prod(shape))
    outside = np.flatnonzero(np.abs(values) > 2)
    while outside.size > 0:
        values[outside] = rng.standard_normal(outside.size)
        outside = outside[np.abs(values[outside]) > 2]
    return values.reshape(shape)


# Keras's other names of the classes.
constant, ones, zeros, variance_scaling = Constant, Ones, Zeros, VarianceScaling
glorot_normal, he_normal, lecun_normal = GlorotNormal, HeNormal, LecunNormal
glorot_uniform, he_uniform, lecun_uniform = GlorotUniform, HeUniform, LecunUniform
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal

_BY_NAME: dict[str, type[Initializer]] = identifiers.names(
    Constant, GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform,
    Ones, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling, Zeros,
    normal=RandomNormal, one=Ones, uniform=RandomUniform, zero=Zeros,
)  # fmt: skip


def get(
    identifier: object, *, owner: str = "initializers.get", name: str = "identifier"
) -> Callable[..., NDArray[Any]]:
    """Return the initializer that `identifier` stands for.

    Parameters
    ----------
    identifier : str, dict, Initializer, class or function
        A name such as "glorot_uniform" or "GlorotUniform", a dict as `serialize` returns it, or an
        initializer. Any function of a shape and a dtype will do, but only an `Initializer` can be
        saved with its model.
    owner, name : str
        What an error message names: the layer and its argument.

    Raises
    ------
    TypeError, ValueError
        If there is no such initializer.

    Examples
    --------
    >>> get("zeros")((2,))
    array([0., 0.], dtype=float32)
    """
    if callable(identifier) and not isinstance(identifier, type):
        return identifier
    return identifiers.resolve(identifier, Initializer, _BY_NAME, owner=owner, name=name, what="an initializer")


def serialize(initializer: object) -> dict[str, Any]:
    """Return the class and the arguments of an initializer as plain JSON values, for `get`."""
    return identifiers.serialized("initializers.serialize", "initializer", initializer, Initializer, "an Initializer")


def deserialize(
    config: dict[str, Any], custom_objects: Mapping[str, type[Initializer]] | None = None
) -> Callable[..., NDArray[Any]]:
    """Return the initializer that `serialize` described; `custom_objects` are further classes by name.

    Examples
    --------
    >>> deserialize(serialize(Constant(0.5))).value
    0.5
    """
    with identifiers.custom_objects(custom_objects):
        return get(config, owner="initializers.deserialize", name="config")
