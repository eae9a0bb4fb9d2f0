"""Layers that turn raw images into numbers that networks learn well from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import validation
from .._native import Buffer
from ..program import nodes
from ..shapes import Shape
from ..validation import message, received
from ..variable import Variable
from .base import Layer

if TYPE_CHECKING:
    from ..program import Graph, Value


class Rescaling(Layer):
    """Compute ``x * scale + offset``, for integer images as for floats.

    As the first layer of a model it makes the model take integer images.

    Parameters
    ----------
    scale : float
        For example 1/255, to bring bytes to 0..1.
    offset : float
        0 by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    The output has the input's shape.

    Examples
    --------
    >>> Rescaling(1 / 255).compute_output_shape((None, 28, 28, 1))
    (None, 28, 28, 1)
    """

    arguments = ("scale", "offset")
    takes_integers = True

    def __init__(self, scale: float, offset: float = 0.0, **base: Any) -> None:
        super().__init__(**base)
        self.scale = validation.number(self.owner, "scale", scale)
        self.offset = validation.number(self.owner, "offset", offset)

    def lower(self, graph: Graph, x: Value) -> Value:
        return graph.add(nodes.Rescale(x, self.scale, self.offset))


class Normalization(Layer):
    """Shift and scale the input so that its mean is 0 and its variance 1.

    Parameters
    ----------
    axis : int, tuple of int or None
        Axes whose every index has a mean and a variance of its own, -1 by default: one for each channel.
        None stands for no axis: one mean and variance for all.
    mean, variance : array_like, optional
        Both or neither; they are broadcast to the extents of the axes kept. By default `adapt` learns them.
    invert : bool
        Do the opposite, False by default: make normalized numbers into original ones.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    The output has the input's shape: ``(x - mean) / max(sqrt(variance), 1e-7)``. Integers are taken as
    the first layer of a model. Weights, unless given: mean, variance and a count that is always 0; none of
    them is trained.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Normalization()
    >>> layer.adapt(np.array([[0, 7], [2, 9], [0, 7], [2, 9]], "float32"))
    >>> layer.get_weights()[:2]
    [array([1., 8.], dtype=float32), array([1., 1.], dtype=float32)]
    """

    arguments = ("axis", "mean", "variance", "invert")
    takes_integers = True

    def __init__(
        self,
        axis: int | tuple[int, ...] | None = -1,
        mean: ArrayLike | None = None,
        variance: ArrayLike | None = None,
        *,
        invert: bool = False,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.axis = _axes(self.owner, axis)
        self.mean, self.variance = _given(self.owner, "mean", mean), _given(self.owner, "variance", variance)
        if (mean is None) != (variance is None):
            what = f"{received('mean', mean)}, {received('variance', variance)}"
            raise ValueError(message(self.owner, "mean", "be given together with `variance`, or neither", what))
        if np.shape(self.mean) != np.shape(self.variance) or np.ndim(self.mean) > len(self.axis):
            rule = f"have the shape of `variance`, of at most {len(self.axis)} axes, as `axis` has"
            what = f"mean.shape={np.shape(self.mean)}, variance.shape={np.shape(self.variance)}"
            raise ValueError(message(self.owner, "mean", rule, what))
        self.invert = validation.boolean(self.owner, "invert", invert)
        self.adapt_mean: Variable | None = None
        self.adapt_variance: Variable | None = None
        self.count: Variable | None = None

    def build(self, input_shape: Shape) -> None:
        shape = tuple(input_shape[axis] for axis in self._kept(input_shape))
        if self.mean is not None:
            return
        self.adapt_mean = self.add_weight("mean", shape, "zeros", trainable=False)
        self.adapt_variance = self.add_weight("variance", shape, "ones", trainable=False)
        self.count = self.add_weight("count", (), "zeros", trainable=False)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        kept = tuple(input_shape[axis] for axis in self._kept(input_shape))
        if self.adapt_mean is not None and self.adapt_mean.shape != kept:
            rule = f"have the extents {self.adapt_mean.shape} along `axis`, for which the layer was built"
            raise ValueError(message(self.owner, "input_shape", rule, received("input_shape", input_shape)))
        return input_shape

    def lower(self, graph: Graph, x: Value) -> Value:
        x = graph.floats(x)
        kept = self._kept((None, *x.shape[1:]))
        shape = tuple(x.shape[axis] for axis in kept)
        mean: Variable | Buffer | None = self.adapt_mean
        variance: Variable | Buffer | None = self.adapt_variance
        if self.mean is not None:
            mean, variance = (
                Buffer.of(np.array(np.broadcast_to(np.float64(given), shape), x.dtype, order="C"))
                for given in (self.mean, self.variance)
            )
        assert mean is not None and variance is not None
        # Which mean a number has repeats itself behind the first axis kept.
        period = x.shape[min(kept, default=len(x.shape)) :]
        places = [x.shape[axis] if axis in kept else 1 for axis in range(len(x.shape) - len(period), len(x.shape))]
        index = np.broadcast_to(np.arange(prod(shape)).reshape(places), period)
        return graph.add(nodes.Standardize(x, mean, variance, index.ravel().astype(np.int64), self.invert))

    def adapt(self, data: ArrayLike | Iterable[Any]) -> None:
        """Learn mean and variance from data, in float64 and in one pass over it.

        Parameters
        ----------
        data : ndarray or iterable of batches
            Rows of numbers. A batch may be a tuple, whose first item counts.

        Raises
        ------
        RuntimeError
            If mean and variance were given to the constructor.
        TypeError, ValueError
            If there are no rows, or they are no numbers or of the wrong shape.
        """
        if self.mean is not None:
            raise RuntimeError(f"{self.owner}: mean and variance were given, and `adapt` cannot learn them.")
        count, mean, squares = 0, np.float64(0), np.float64(0)
        for rows in _batches(self.owner, data):
            shape = (None, *rows.shape[1:])
            if not self.built:
                self.build(shape)
                self.built = True
            self.compute_output_shape(shape)
            kept = self._kept(shape)
            others = tuple(axis for axis in range(rows.ndim) if axis not in kept)
            new = rows.size // max(prod(rows.shape[axis] for axis in kept), 1)
            if new == 0:
                continue
            centre = rows.mean(axis=others, dtype=np.float64, keepdims=True)
            spread = np.square(rows - centre).sum(axis=others)
            # The squares about a common mean (Chan, Golub and LeVeque).
            distance = centre.reshape(spread.shape) - mean
            squares = squares + spread + np.square(distance) * (count * new / (count + new))
            mean = mean + distance * (new / (count + new))
            count += new
        if count == 0:
            raise ValueError(message(self.owner, "data", "have at least one row", "none"))
        assert self.adapt_mean is not None and self.adapt_variance is not None
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(squares / count)

    def _kept(self, input_shape: Shape) -> tuple[int, ...]:
        """Return the axes kept, counted from the first and sorted."""
        ndim = len(input_shape)
        kept = sorted({axis % ndim for axis in self.axis if -ndim <= axis < ndim})
        if len(kept) != len(self.axis) or 0 in kept:
            rule = f"name different axes of an input of {ndim} axes, but not that of the batch"
            raise ValueError(message(self.owner, "axis", rule, received("axis", self.axis)))
        return tuple(kept)


def _axes(owner: str, axis: object) -> tuple[int, ...]:
    """Return one axis, several or None as a tuple."""
    axes = () if axis is None else tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    if not all(isinstance(item, (int, np.integer)) and not isinstance(item, bool) for item in axes):
        raise TypeError(message(owner, "axis", "be an int, a tuple of ints or None", received("axis", axis)))
    return tuple(map(int, axes))


def _given(owner: str, name: str, value: ArrayLike | None) -> Any:
    """Return an array as a number or nested lists of numbers, None as None."""
    if value is None:
        return None
    array = validation.any_array(owner, name, value)
    if array.dtype.kind not in "fiu" or not np.all(np.isfinite(array)):
        raise TypeError(message(owner, name, "be None, or finite numbers", received(name, value)))
    return array.astype(np.float64).tolist()


def _batches(owner: str, data: object) -> Iterator[NDArray[Any]]:
    """Hand out an array in parts of a few megabytes, or the inputs of the batches of an iterable."""
    parts: Iterable[Any]
    if isinstance(data, np.ndarray) and data.ndim > 0:
        rows = max(1, (1 << 20) // max(data[:1].size, 1))
        parts = (data[start : start + rows] for start in range(0, len(data), rows))
    elif isinstance(data, Iterable):
        parts = data
    else:
        what = f"data of type {type(data).__name__}"
        raise TypeError(message(owner, "data", "be an array or an iterable of batches", what))
    for part in parts:
        array = validation.any_array(owner, "data", part[0] if isinstance(part, tuple) else part)
        if array.ndim == 0 or array.dtype.kind not in "fiu":
            rule, what = "hold rows of numbers", f"an array of {array.dtype} and the shape {array.shape}"
            raise TypeError(message(owner, "data", rule, what))
        yield array
