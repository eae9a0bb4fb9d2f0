"""Layers that show a network its training images at random places: mirrored, turned, shifted, scaled, cropped.

They are for the beginning of a model, before every layer that is trained: no gradient passes through
them, but through flips. In evaluation and prediction images pass as they are, or the middle of them.

What is random is a function of the layer's seed, the number of the training step and the place of the
image in its batch: it depends neither on threads nor on where training was interrupted. `photometric`
changes colours on the same terms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import validation
from ..program import nodes
from ..randomness import default_rng
from ..validation import message, received
from .base import Layer, Shape, channels_last

if TYPE_CHECKING:
    from ..program import Graph, Value

Factor = float | tuple[float, float]

FILL_MODES = ("reflect", "wrap", "constant", "nearest")
INTERPOLATIONS = ("nearest", "bilinear")


class Augmentation(Layer):
    """Base of the layers that change images at random in training.

    `first_draw` is what the first number that the layer draws for an image is counted as; no two kinds
    of layers share numbers, so that a seed given to both does not tie a flip to a rotation.
    """

    axes = ("batch", "height", "width", "channels")
    takes_integers = True
    first_draw: ClassVar[int] = 0
    differentiable: ClassVar[bool] = False

    def __init__(self, *, seed: int | None = None, data_format: str | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.seed = validation.seed(self.owner, seed)
        self.data_format = channels_last(self.owner, data_format)
        self._drawn_seed = self.seed

    def build(self, input_shape: Shape) -> None:
        if self._drawn_seed is None:
            self._drawn_seed = int(default_rng().integers(2**63))

    def lower(self, graph: Graph, x: Value) -> Value:
        if x.dtype != graph.dtype:
            x = graph.add(nodes.Rescale(x, 1.0, 0.0))
        if not graph.training:
            return self.lower_inference(graph, x)
        if x.requires_gradient and not self.differentiable:
            rule = "come before every layer that is trained, for no gradient passes through it"
            raise ValueError(message(self.owner, "layer", rule, received("name", self.name)))
        return self.lower_training(graph, x)

    def lower_training(self, graph: Graph, x: Value) -> Value:
        """Append the random change of the floats `x`."""
        raise NotImplementedError

    def lower_inference(self, graph: Graph, x: Value) -> Value:
        """Append what happens to the floats `x` outside of training."""
        return x

    def drawing(self, graph: Graph, rows: int, *ranges: tuple[float, float]) -> nodes.Drawing:
        """Return random numbers in the given ranges, for each of `rows` images."""
        assert self._drawn_seed is not None
        return nodes.Drawing(rows, ranges, graph.key, self._drawn_seed, self.first_draw)


class RandomFlip(Augmentation):
    """Mirror each image with probability 1/2 while training.

    Parameters
    ----------
    mode : {"horizontal_and_vertical", "horizontal", "vertical"}
        Exchange left and right, top and bottom, or both at once, the default.
    seed : int, optional
        By default drawn from the process-wide generator when the layer is built.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input and output ``(batch, height, width, channels)``, floats or, as the first layer of a model,
    integers.

    Examples
    --------
    >>> RandomFlip("horizontal").compute_output_shape((None, 32, 32, 3))
    (None, 32, 32, 3)
    """

    arguments = ("mode", "seed", "data_format")
    differentiable = True

    def __init__(self, mode: str = "horizontal_and_vertical", **base: Any) -> None:
        super().__init__(**base)
        modes = ("horizontal", "vertical", "horizontal_and_vertical")
        self.mode = validation.choice(self.owner, "mode", mode, modes)

    def lower_training(self, graph: Graph, x: Value) -> Value:
        drawing = self.drawing(graph, x.shape[0], (0.0, 1.0))
        return graph.add(nodes.Flip(x, drawing, "horizontal" in self.mode, "vertical" in self.mode))


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


class RandomCrop(Augmentation):
    """Cut a part of a fixed size out of the images of a batch, at one random place while training.

    Parameters
    ----------
    height, width : int
        Of the output.
    seed : int, optional
        By default drawn from the process-wide generator when the layer is built.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output ``(batch, new height, new width, channels)``. No
    gradient passes.

    Outside of training, and where the input is not larger than the output in both directions, the largest
    part in the middle of the image that has the output's proportions is resized to it bilinearly.

    Examples
    --------
    >>> RandomCrop(24, 24).compute_output_shape((None, 32, 32, 3))
    (None, 24, 24, 3)
    """

    arguments = ("height", "width", "seed", "data_format")
    first_draw = 6

    def __init__(self, height: int, width: int, **base: Any) -> None:
        super().__init__(**base)
        self.height = validation.positive_int(self.owner, "height", height)
        self.width = validation.positive_int(self.owner, "width", width)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, _, _, channels = self.check_input(input_shape)
        return (batch, self.height, self.width, channels)

    def lower_training(self, graph: Graph, x: Value) -> Value:
        room_h, room_w = x.shape[1] - self.height, x.shape[2] - self.width
        if room_h <= 0 or room_w <= 0:
            return self.lower_inference(graph, x)
        drawing = self.drawing(graph, 1, (0, room_h + 1), (0, room_w + 1))
        return graph.add(nodes.Crop(x, self.compute_output_shape(x.shape), drawing))

    def lower_inference(self, graph: Graph, x: Value) -> Value:
        _, height, width, _ = x.shape
        part_h = max(min(height, width * self.height // self.width), 1)
        part_w = max(min(width, height * self.width // self.height), 1)
        return graph.add(nodes.CropAndResize(x, self.compute_output_shape(x.shape), part_h, part_w))
