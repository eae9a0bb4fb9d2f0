"""Layers that change the values of training images at random: contrast, brightness, erased rectangles.

They are `augmentation`'s: for the beginning of a model, idle outside of training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import validation
from ..program import nodes
from ..shapes import Shape
from ..validation import message, received
from .augmentation import Augmentation, Factor

if TYPE_CHECKING:
    from ..program import Graph, Value


class _Photometric(Augmentation):
    """Base of the layers that know the range of an image's values."""

    def __init__(self, *, value_range: tuple[float, float] = (0, 255), **base: Any) -> None:
        super().__init__(**base)
        self.value_range = validation.interval(self.owner, "value_range", value_range)


class RandomContrast(_Photometric):
    """Scale each image's differences from its channels' means by a random factor while training.

    Parameters
    ----------
    factor : float or pair of float
        Bounds ``(lower, upper)``, both from 0 to 1; images are scaled by a number between
        ``1 - lower`` and ``1 + upper``. A single number stands for both.
    value_range : pair of float
        Least and largest value of an image, to which results are clipped, (0, 255) by default.
    seed : int, optional
        By default drawn from the process-wide generator when the layer is built.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input and output as of `RandomFlip`. No gradient passes. As in Keras the smaller number of a pair is
    `lower`. Keras's documentation says of a single number what is said here; its version 3.15 takes 0
    for `lower` then.

    Examples
    --------
    >>> RandomContrast(0.2, value_range=(0, 1)).factor
    (0.2, 0.2)
    """

    arguments = ("factor", "value_range", "seed", "data_format")
    first_draw = 8

    def __init__(self, factor: Factor, value_range: tuple[float, float] = (0, 255), **base: Any) -> None:
        super().__init__(value_range=value_range, **base)
        lower, upper = validation.interval(self.owner, "factor", factor, 0, 1)
        self.factor = lower if isinstance(factor, (tuple, list)) else upper, upper

    def lower_training(self, graph: Graph, x: Value) -> Value:
        lower, upper = self.factor
        drawing = self.drawing(graph, x.shape[0], (1 - lower, 1 + upper))
        return graph.add(nodes.Adjust(x, drawing, "Contrast", self.value_range))


class RandomBrightness(_Photometric):
    """Add a random number to each image while training.

    Parameters
    ----------
    factor : float or pair of float
        Lower and upper bound of the number as a part of the range of values, from -1 to 1; a single
        number stands for ``(-factor, factor)``.
    value_range, seed, data_format
        As of `RandomContrast`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input and output as of `RandomFlip`. No gradient passes.

    Examples
    --------
    >>> RandomBrightness(0.2).factor
    (-0.2, 0.2)
    """

    arguments = ("factor", "value_range", "seed", "data_format")
    first_draw = 9

    def __init__(self, factor: Factor, value_range: tuple[float, float] = (0, 255), **base: Any) -> None:
        super().__init__(value_range=value_range, **base)
        self.factor = validation.interval(self.owner, "factor", factor, -1, 1)

    def lower_training(self, graph: Graph, x: Value) -> Value:
        least, most = self.value_range
        lower, upper = (bound * (most - least) for bound in self.factor)
        return graph.add(nodes.Adjust(x, self.drawing(graph, x.shape[0], (lower, upper)), "Brightness", (least, most)))


class RandomErasing(_Photometric):
    """Fill a random rectangle of each image with a constant or with noise while training [1]_.

    Parameters
    ----------
    factor : float or pair of float
        Bounds between which the probability of erasing is drawn for each image, from 0 to 1; a single
        number, 1 by default, stands for ``(0, factor)``.
    scale : float or pair of float
        Bounds between which two numbers are drawn for each image, whose roots are the width and the
        height of the rectangle as parts of the image's, (0.02, 0.33) by default.
    fill_value : float or sequence of float, optional
        What the rectangle is filled with, or one number for each channel; by default normal noise whose
        deviation is the largest value of the range. It is clipped to the range.
    value_range, seed, data_format
        As of `RandomContrast`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input and output as of `RandomFlip`. No gradient passes.

    References
    ----------
    .. [1] Zhong, Zheng, Kang, Li and Yang, "Random Erasing Data Augmentation", 2017, arXiv:1708.04896.

    Examples
    --------
    >>> RandomErasing(0.5, fill_value=0).compute_output_shape((None, 32, 32, 3))
    (None, 32, 32, 3)
    """

    arguments = ("factor", "scale", "fill_value", "value_range", "seed", "data_format")
    first_draw = 10

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = (0.02, 0.33),
        *,
        fill_value: float | tuple[float, ...] | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.factor = validation.interval(self.owner, "factor", factor, 0, 1)
        self.scale = validation.interval(self.owner, "scale", scale, 0, 1)
        self.fill_value = fill_value
        if isinstance(fill_value, (tuple, list)):
            self.fill_value = tuple(validation.number(self.owner, "fill_value", value) for value in fill_value)
        elif fill_value is not None:
            self.fill_value = validation.number(self.owner, "fill_value", fill_value)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = self.check_input(input_shape)[3]
        if isinstance(self.fill_value, tuple) and len(self.fill_value) != channels:
            rule = f"be a number or one for each of the {channels} channels"
            raise ValueError(message(self.owner, "fill_value", rule, received("fill_value", self.fill_value)))
        return input_shape

    def lower_training(self, graph: Graph, x: Value) -> Value:
        fill = None
        if self.fill_value is not None:
            fill = np.clip(np.broadcast_to(np.asarray(self.fill_value, np.float64), x.shape[3]), *self.value_range)
        unit = (0.0, 1.0)
        drawing = self.drawing(graph, x.shape[0], self.scale, self.scale, unit, unit, self.factor, unit)
        return graph.add(nodes.Erase(x, drawing, fill, self.value_range))
