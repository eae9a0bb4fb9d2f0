"""MixUp and CutMix: steps of a data pipeline that mix each image of a batch, and its label, with another.

A model's layers see no labels, so these are called on batches of arrays, before training or by the
generator that `fit` reads from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import validation
from .._native import Buffer, kernels, run_step
from ..randomness import default_rng
from ..shapes import Shape
from ..tensor import Tensor
from ..validation import message, received
from .base import Layer, channels_last

if TYPE_CHECKING:
    from numpy.random import Generator

    from ..program import Graph, Value

Array = NDArray[Any]


class _Mixing(Layer):
    """Base of the two: what they take and return, and where their random numbers come from."""

    def __init__(self, *, seed: int | None = None, data_format: str | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.seed = validation.seed(self.owner, seed)
        self.data_format = channels_last(self.owner, data_format)
        self._drawn_seed = self.seed
        self._calls = 0

    def __call__(self, data: Any, *, training: bool = True) -> Any:
        """Return a batch of the same structure, mixed.

        Parameters
        ----------
        data : pair (images, labels), dict or array_like
            Images ``(batch, height, width, channels)`` of any number type and, except for an array,
            labels ``(batch, classes)``: one-hot or probabilities. A dict has the keys "images" and, perhaps,
            "labels"; others are handed on.
        training : bool
            False mixes nothing.

        Returns
        -------
        As `data`, of this layer's dtype.

        Raises
        ------
        TypeError, ValueError
            If `data` is something else.
        """
        names = ("images", "labels")
        if isinstance(data, Tensor):
            return super().__call__(data)  # which says that this is not possible
        pair = isinstance(data, (tuple, list))
        if pair and len(data) != 2:
            raise ValueError(
                message(self.owner, "data", "be a pair (images, labels)", received("len(data)", len(data)))
            )
        if isinstance(data, dict):
            parts = {name: data[name] for name in names if name in data}
        else:
            parts = dict(zip(names, data if pair else (data,), strict=False))
        if "images" not in parts:
            raise ValueError(message(self.owner, "data", 'have the key "images"', received("data.keys()", [*data])))
        mixed = self._mixed(parts, training)
        if isinstance(data, dict):
            return data | mixed
        return tuple(mixed.values()) if pair else mixed["images"]

    def _mixed(self, parts: dict[str, object], training: bool) -> dict[str, Array]:
        images = self._array("images", parts["images"], ("batch", "height", "width", "channels"))
        arrays = {"images": images}
        if "labels" in parts:
            arrays["labels"] = labels = self._array("labels", parts["labels"], ("batch", "classes"))
            if len(labels) != len(images):
                rule = f"have as many rows as the images, {len(images)}"
                raise ValueError(message(self.owner, "labels", rule, received("labels.shape", labels.shape)))
        if not training:
            return arrays
        if self._drawn_seed is None:
            self._drawn_seed = int(default_rng().integers(2**63))
        # Each call has a stream of its own: the seed is the key, its number the highest word of the counter.
        bits = np.random.Philox(key=self._drawn_seed, counter=[0, 0, 0, self._calls])
        self._calls += 1
        return self.mix(np.random.Generator(bits), **arrays)

    def mix(self, rng: Generator, images: Array, labels: Array | None = None) -> dict[str, Array]:
        """Return images and labels, if there are any, mixed by numbers from `rng`."""
        raise NotImplementedError

    def _array(self, name: str, value: object, axes: tuple[str, ...]) -> Array:
        array = validation.any_array(self.owner, name, value)
        if array.dtype.kind not in "fiu":
            rule = "be an array of numbers"
            raise TypeError(message(self.owner, name, rule, received(f"{name}.dtype", str(array.dtype)), self.remedy))
        if array.ndim != len(axes):
            rule = f"have the {len(axes)} axes ({', '.join(axes)})"
            remedy = "Make labels one-hot with np.eye(classes)[labels]." if name == "labels" else ""
            raise ValueError(message(self.owner, name, rule, received(f"{name}.shape", array.shape), remedy))
        return np.require(array, self.dtype, ["C_CONTIGUOUS", "ALIGNED"])

    def _blend(self, x: Array, partners: NDArray[np.int64], weights: NDArray[np.float64]) -> Array:
        """Return ``weights x + (1 - weights) x[partners]``, row by row."""
        out = np.empty_like(x)
        rows = (len(x), 1, 1, x[:1].size) if x.ndim != 4 else x.shape
        buffers = Buffer.of(x.reshape(rows)), Buffer.of(partners), Buffer.of(weights), Buffer.of(out.reshape(rows))
        run_step(kernels(self.dtype).MixImages(*buffers))
        return out

    remedy = "Inside a model a layer sees no labels: call it on batches of arrays, (images, labels)."

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        what = received("input_shape", input_shape)
        raise ValueError(message(self.owner, "layer", "be outside of a model", what, self.remedy))

    def lower(self, graph: Graph, x: Value) -> Value:
        return x.view(self.compute_output_shape(x.shape))  # which raises


class MixUp(_Mixing):
    """Add to each image and label a random part of another one's [1]_.

    Parameters
    ----------
    alpha : float
        Of the distribution Beta(alpha, alpha) from which each image's weight is drawn, 0.2 by default:
        small ones mix little.
    seed : int, optional
        What is drawn is a function of it and of the number of the call; by default drawn from the
        process-wide generator.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable` and `dtype`, as of all layers.

    Notes
    -----
    ``images[n] = weight[n] * images[n] + (1 - weight[n]) * images[partner[n]]``, and labels likewise, where
    the partners are a random permutation of the batch.

    Calls are counted from 0 in each process, and no backup knows the count. Where a run is to be taken up again with
    the same bits, or several threads make batches, give each batch a layer with a seed of its own:
    ``MixUp(seed=1000 * epoch + index)((x, y))`` in a `PyDataset`.

    References
    ----------
    .. [1] Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", 2017,
       arXiv:1710.09412.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.zeros((8, 4, 4, 3), "uint8"), np.eye(8)
    >>> x, y = MixUp(seed=1)((x, y))
    >>> bool(np.allclose(y.sum(axis=1), 1))
    True
    """

    arguments = ("alpha", "data_format", "seed")

    def __init__(self, alpha: float = 0.2, **base: Any) -> None:
        super().__init__(**base)
        self.alpha = validation.number(self.owner, "alpha", alpha, 0, above=True)

    def mix(self, rng: Generator, images: Array, labels: Array | None = None) -> dict[str, Array]:
        partners = rng.permutation(len(images)).astype(np.int64)
        weights = rng.beta(self.alpha, self.alpha, len(images))
        mixed = {"images": self._blend(images, partners, weights)}
        return mixed if labels is None else mixed | {"labels": self._blend(labels, partners, weights)}


class CutMix(_Mixing):
    """Paste a random rectangle of another image into each image, and mix labels by its area [1]_.

    Parameters
    ----------
    factor : float or pair of float
        Bounds between which alpha is drawn for each batch, from 0 to 1; a single number, 1 by default,
        stands for ``(0, factor)``. The share of each image that stays is drawn from Beta(alpha, alpha).
    seed : int, optional
        What is drawn is a function of it and of the number of the call; by default drawn from the
        process-wide generator.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable` and `dtype`, as of all layers.

    Notes
    -----
    The rectangle has the image's proportions and lies wholly in it. As in Keras the label's weight is the
    share of the area that stays before the rectangle is rounded to pixels. For runs that can be repeated see
    `MixUp`.

    References
    ----------
    .. [1] Yun, Han, Oh, Chun, Choe and Yoo, "CutMix: Regularization Strategy to Train Strong Classifiers
       with Localizable Features", 2019, arXiv:1905.04899.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.zeros((8, 4, 4, 3), "uint8"), np.eye(8)
    >>> x, y = CutMix(seed=1)((x, y))
    >>> x.shape, y.shape
    ((8, 4, 4, 3), (8, 8))
    """

    arguments = ("factor", "seed", "data_format")

    def __init__(self, factor: float | tuple[float, float] = 1.0, **base: Any) -> None:
        super().__init__(**base)
        self.factor = validation.interval(self.owner, "factor", factor, 0, 1)

    def mix(self, rng: Generator, images: Array, labels: Array | None = None) -> dict[str, Array]:
        rows, height, width, _ = images.shape
        alpha = rng.uniform(*self.factor) + 1e-6
        # In float32, as in Keras: in float64 a rectangle could start a hair behind the first pixel and leave it out.
        ratio = np.sqrt(1 - rng.beta(alpha, alpha, (rows,)).astype(np.float32))
        boxes = np.empty((rows, 4), np.int64)
        for column, size in ((2, width), (0, height)):
            start = rng.uniform(size=(rows,)).astype(np.float32) * (size - ratio * size)
            boxes[:, column] = np.ceil(start)
            boxes[:, column + 1] = np.minimum(np.ceil(start + ratio * size), size)
        partners = rng.permutation(rows).astype(np.int64)
        out = np.empty_like(images)
        buffers = map(Buffer.of, (images, boxes, out, partners))
        run_step(kernels(self.dtype).PasteBoxes(*buffers))
        mixed = {"images": out}
        return (
            mixed
            if labels is None
            else mixed | {"labels": self._blend(labels, partners, 1 - np.square(ratio, dtype=np.float64))}
        )
