"""Layers that show a network its training images mirrored and cropped at random, and what all such layers share.

They are for the beginning of a model, before every layer that is trained: no gradient passes through
them, but through flips. In evaluation and prediction images pass as they are, or the middle of them.

What is random is a function of the layer's seed, the number of the training step and the place of the
image in its batch: it depends neither on threads nor on where training was interrupted. `affine` and
`photometric` have more such layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import validation
from ..program import nodes
from ..randomness import default_rng
from ..shapes import Shape
from ..validation import message, received
from .base import Layer, channels_last

if TYPE_CHECKING:
    from ..program import Graph, Value

Factor = float | tuple[float, float]


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

    def __call__(self, inputs: Any, *, training: bool = True) -> Any:
        """Draw the layer behind a symbolic tensor, or change images now, unless `training` is False."""
        return super().__call__(inputs, training=training)

    def build(self, input_shape: Shape) -> None:
        if self._drawn_seed is None:
            self._drawn_seed = int(default_rng().integers(2**63))

    def lower(self, graph: Graph, x: Value) -> Value:
        x = graph.floats(x)
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
        return graph.add(nodes.CropAtRandom(x, self.compute_output_shape(x.shape), drawing))

    def lower_inference(self, graph: Graph, x: Value) -> Value:
        batch, height, width, channels = x.shape
        rows = max(min(height, width * self.height // self.width), 1)
        columns = max(min(width, height * self.width // self.height), 1)
        if (rows, columns) != (height, width):
            start = (0, (height - rows) // 2, (width - columns) // 2, 0)
            x = graph.add(nodes.Crop(x, start, (batch, rows, columns, channels)))
        if (rows, columns) != (self.height, self.width):
            x = graph.add(nodes.Resize(x, self.height, self.width, "bilinear"))
        return x
