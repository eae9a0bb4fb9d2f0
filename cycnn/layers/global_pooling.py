"""Pooling layers whose window is the whole image or sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import shapes, validation
from ..program import nodes
from ..shapes import Shape
from .base import Layer, channels_last
from .sliding import IMAGES, SEQUENCES, as_images, pair

if TYPE_CHECKING:
    from ..program import Graph, Value


class _GlobalPooling(Layer):
    """Base of the layers, of one and two dimensions, which `axes` tells; `node` is what they compute."""

    arguments = ("data_format", "keepdims")
    axes = IMAGES
    node: ClassVar[type[nodes.AveragePool2D] | type[nodes.MaxPool2D]]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **base: Any) -> None:
        super().__init__(**base)
        self.data_format = channels_last(self.owner, data_format)
        self.keepdims = validation.boolean(self.owner, "keepdims", keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *extents, channels = self.check_input(input_shape)
        return (batch, *(1 for _ in extents if self.keepdims), channels)

    def lower(self, graph: Graph, x: Value) -> Value:
        images = as_images(x)
        size = pair(images.shape[1:3])
        window = shapes.pool_window(self.owner, size, (1, 1), "valid", size)
        y = graph.add(self.node(images, window))
        return y.view(self.compute_output_shape(x.shape))


class GlobalMaxPooling2D(_GlobalPooling):
    """Take the largest value of each channel.

    Parameters
    ----------
    data_format : {"channels_last"}, optional
        The only order of axes.
    keepdims : bool
        Whether the output keeps a height and a width of 1, False by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output ``(batch, channels)``, or with `keepdims`
    ``(batch, 1, 1, channels)``.

    Examples
    --------
    >>> GlobalMaxPooling2D().compute_output_shape((None, 7, 7, 64))
    (None, 64)
    """

    node = nodes.MaxPool2D


class GlobalAveragePooling2D(_GlobalPooling):
    """Take the mean of each channel.

    Parameters
    ----------
    data_format : {"channels_last"}, optional
        The only order of axes.
    keepdims : bool
        Whether the output keeps a height and a width of 1, False by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output ``(batch, channels)``, or with `keepdims`
    ``(batch, 1, 1, channels)``.

    Examples
    --------
    >>> GlobalAveragePooling2D(keepdims=True).compute_output_shape((None, 7, 7, 64))
    (None, 1, 1, 64)
    """

    node = nodes.AveragePool2D


class GlobalMaxPooling1D(_GlobalPooling):
    """Take the largest value of each channel of a sequence.

    Parameters
    ----------
    data_format : {"channels_last"}, optional
        The only order of axes.
    keepdims : bool
        Whether the output keeps one step, False by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, steps, channels)``, output ``(batch, channels)``, or with `keepdims`
    ``(batch, 1, channels)``.

    Examples
    --------
    >>> GlobalMaxPooling1D().compute_output_shape((None, 7, 64))
    (None, 64)
    """

    axes = SEQUENCES
    node = nodes.MaxPool2D


class GlobalAveragePooling1D(_GlobalPooling):
    """Take the mean of each channel of a sequence.

    Parameters
    ----------
    data_format : {"channels_last"}, optional
        The only order of axes.
    keepdims : bool
        Whether the output keeps one step, False by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, steps, channels)``, output ``(batch, channels)``, or with `keepdims`
    ``(batch, 1, channels)``. A mask, which Keras's layer would take, there is none.

    Examples
    --------
    >>> GlobalAveragePooling1D(keepdims=True).compute_output_shape((None, 7, 64))
    (None, 1, 64)
    """

    axes = SEQUENCES
    node = nodes.AveragePool2D
