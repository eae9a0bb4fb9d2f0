"""Layers that resample training images at random: rotated, shifted, scaled.

They are `augmentation`'s: for the beginning of a model, idle outside of training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import validation
from ..program import nodes
from .augmentation import Augmentation, Factor

if TYPE_CHECKING:
    from ..program import Graph, Value

FILL_MODES = ("reflect", "wrap", "constant", "nearest")
INTERPOLATIONS = ("nearest", "bilinear")


class _Affine(Augmentation):
    """Base of the layers that resample images."""

    def __init__(
        self, *, fill_mode: str = "reflect", interpolation: str = "bilinear", fill_value: float = 0.0, **base: Any
    ) -> None:
        super().__init__(**base)
        self.fill_mode = validation.choice(self.owner, "fill_mode", fill_mode, FILL_MODES)
        self.interpolation = validation.choice(self.owner, "interpolation", interpolation, INTERPOLATIONS)
        self.fill_value = validation.number(self.owner, "fill_value", fill_value)

    def resample(self, graph: Graph, x: Value, kind: str, *ranges: tuple[float, float]) -> Value:
        """Append a resampling by numbers drawn from the given ranges."""
        resampling = self.interpolation, self.fill_mode, self.fill_value
        return graph.add(nodes.Affine(x, self.drawing(graph, x.shape[0], *ranges), kind, resampling))


class RandomRotation(_Affine):
    """Rotate each image about its middle by a random angle while training.

    Parameters
    ----------
    factor : float or pair of float
        Lower and upper bound of the angle in full turns, from -1 to 1, positive counter-clockwise; a
        single number stands for ``(-factor, factor)``.
    fill_mode : {"reflect", "wrap", "constant", "nearest"}
        What is beyond the edges: the image mirrored with its last pixels repeated, the default; the
        image again; `fill_value`; the last pixels.
    interpolation : {"bilinear", "nearest"}
        Between pixels, "bilinear" by default.
    seed : int, optional
        By default drawn from the process-wide generator when the layer is built.
    fill_value : float
        0 by default.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input and output as of `RandomFlip`. No gradient passes.

    Examples
    --------
    >>> RandomRotation(0.1).factor
    (-0.1, 0.1)
    """

    arguments = ("factor", "fill_mode", "interpolation", "seed", "fill_value", "data_format")
    first_draw = 1

    def __init__(self, factor: Factor, fill_mode: str = "reflect", **base: Any) -> None:
        super().__init__(fill_mode=fill_mode, **base)
        self.factor = validation.interval(self.owner, "factor", factor, -1, 1)

    def lower_training(self, graph: Graph, x: Value) -> Value:
        return self.resample(graph, x, "rotation", self.factor)


class RandomTranslation(_Affine):
    """Shift each image by random parts of its height and width while training.

    Parameters
    ----------
    height_factor, width_factor : float or pair of float
        Lower and upper bound of the shift down, as a part of the height, and to the right, as a part of
        the width, from -1 to 1; a single number stands for ``(-factor, factor)``.
    fill_mode, interpolation, seed, fill_value, data_format
        As of `RandomRotation`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input and output as of `RandomFlip`. No gradient passes.

    Examples
    --------
    >>> RandomTranslation(0.1, (0, 0.2)).get_config()["width_factor"]
    [0.0, 0.2]
    """

    arguments = ("height_factor", "width_factor", "fill_mode", "interpolation", "seed", "fill_value", "data_format")
    first_draw = 2

    def __init__(self, height_factor: Factor, width_factor: Factor, **base: Any) -> None:
        super().__init__(**base)
        self.height_factor = validation.interval(self.owner, "height_factor", height_factor, -1, 1)
        self.width_factor = validation.interval(self.owner, "width_factor", width_factor, -1, 1)

    def lower_training(self, graph: Graph, x: Value) -> Value:
        return self.resample(graph, x, "translation", self.height_factor, self.width_factor)


class RandomZoom(_Affine):
    """Scale each image about its middle by random factors while training.

    Parameters
    ----------
    height_factor : float or pair of float
        Lower and upper bound, greater than -1 and at most 1: the image shows ``1 + factor`` times its
        height, so that positive factors make things smaller; a single number stands for
        ``(-factor, factor)``.
    width_factor : float or pair of float, optional
        Likewise; by default each image's factor is that of the height.
    fill_mode, interpolation, seed, fill_value, data_format
        As of `RandomRotation`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input and output as of `RandomFlip`. No gradient passes.

    Examples
    --------
    >>> RandomZoom((-0.3, -0.2)).compute_output_shape((None, 32, 32, 3))
    (None, 32, 32, 3)
    """

    arguments = ("height_factor", "width_factor", "fill_mode", "interpolation", "seed", "fill_value", "data_format")
    first_draw = 4

    def __init__(self, height_factor: Factor, width_factor: Factor | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.height_factor = validation.interval(self.owner, "height_factor", height_factor, -1, 1, above=True)
        self.width_factor: tuple[float, float] | None = None
        if width_factor is not None:
            self.width_factor = validation.interval(self.owner, "width_factor", width_factor, -1, 1, above=True)

    def lower_training(self, graph: Graph, x: Value) -> Value:
        factors = [factor for factor in (self.height_factor, self.width_factor) if factor is not None]
        return self.resample(graph, x, "zoom", *((1 + lower, 1 + upper) for lower, upper in factors))
