"""Pooling layers whose window slides over each channel of images and sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import shapes, validation
from ..program import nodes
from ..shapes import Shape
from .base import Layer, channels_last
from .sliding import IMAGES, SEQUENCES, as_images, as_sequence, pair

if TYPE_CHECKING:
    from ..program import Graph, Value


class _Pooling(Layer):
    """Base of the layers, of one and two dimensions, which `axes` tells; `node` is what they compute."""

    arguments = ("pool_size", "strides", "padding", "data_format")
    axes = IMAGES
    node: ClassVar[type[nodes.AveragePool2D] | type[nodes.MaxPool2D]]

    def __init__(
        self,
        pool_size: int | tuple[int, ...] = 2,
        strides: int | tuple[int, ...] | None = None,
        padding: validation.Padding = "valid",
        data_format: str | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        owner, rank = self.owner, len(self.axes) - 2
        self.pool_size = validation.per_axis(owner, "pool_size", pool_size, rank)
        self.strides = self.pool_size
        if strides is not None:
            self.strides = validation.per_axis(owner, "strides", strides, rank)
        self.padding: validation.Padding
        if rank == 2:
            self.padding = validation.padding(owner, "padding", padding)
        else:
            lower = padding.lower() if isinstance(padding, str) else padding
            self.padding = validation.choice(owner, "padding", lower, ("valid", "same"))
        self.data_format = channels_last(owner, data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *extents, channels = self.check_input(input_shape)
        size = shapes.output_size(self._window(input_shape), pair(tuple(extents)))
        return (batch, *size[2 - len(extents) :], channels)

    def lower(self, graph: Graph, x: Value) -> Value:
        y = graph.add(self.node(as_images(x), self._window(x.shape)))
        return as_sequence(y, len(x.shape))

    def _window(self, input_shape: Shape) -> shapes.Window:
        if len(self.axes) == 4:
            size, step = pair(self.pool_size), pair(self.strides)
            return shapes.pool_window(self.owner, size, step, self.padding, input_shape[1:3])
        assert isinstance(self.padding, str)
        return shapes.sequence_window(
            self.owner, "pool_size", self.pool_size[0], self.strides[0], self.padding, 1, input_shape[1]
        )


class MaxPooling2D(_Pooling):
    """Take the largest value of each window, channel by channel.

    Parameters
    ----------
    pool_size : int or pair of int
        Height and width of the window, 2 by default.
    strides : int or pair of int, optional
        Rows and columns from one window to the next, by default `pool_size`.
    padding : {"valid", "same"}, int or ((top, bottom), (left, right))
        As of `Conv2D`; a padded pixel is never the largest.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output ``(batch, new height, new width, channels)``.
    The first of equal values receives the whole gradient.

    Examples
    --------
    >>> MaxPooling2D().compute_output_shape((None, 27, 27, 8))
    (None, 13, 13, 8)
    """

    node = nodes.MaxPool2D


class AveragePooling2D(_Pooling):
    """Take the mean of each window, channel by channel.

    Parameters
    ----------
    pool_size : int or pair of int
        Height and width of the window, 2 by default.
    strides : int or pair of int, optional
        Rows and columns from one window to the next, by default `pool_size`.
    padding : {"valid", "same"}, int or ((top, bottom), (left, right))
        As of `Conv2D`; the mean is over the pixels of the image alone.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, height, width, channels)``, output ``(batch, new height, new width, channels)``.

    Examples
    --------
    >>> AveragePooling2D(3, strides=2, padding="same").compute_output_shape((None, 27, 27, 8))
    (None, 14, 14, 8)
    """

    node = nodes.AveragePool2D


class MaxPooling1D(_Pooling):
    """Take the largest value of each window of sequences, channel by channel.

    Parameters
    ----------
    pool_size : int
        Steps in the window, 2 by default.
    strides : int, optional
        Steps from one window to the next, by default `pool_size`.
    padding : {"valid", "same"}
        As of `Conv1D`; a padded step is never the largest.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, steps, channels)``, output ``(batch, new steps, channels)``.
    The first of equal values receives the whole gradient.

    Examples
    --------
    >>> MaxPooling1D().compute_output_shape((None, 27, 8))
    (None, 13, 8)
    """

    axes = SEQUENCES
    node = nodes.MaxPool2D


class AveragePooling1D(_Pooling):
    """Take the mean of each window of sequences, channel by channel.

    Parameters
    ----------
    pool_size : int
        Steps in the window, 2 by default.
    strides : int, optional
        Steps from one window to the next, by default `pool_size`.
    padding : {"valid", "same"}
        As of `Conv1D`; the mean is over the steps of the sequence alone.
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, steps, channels)``, output ``(batch, new steps, channels)``.

    Examples
    --------
    >>> AveragePooling1D(3, padding="same").compute_output_shape((None, 28, 8))
    (None, 10, 8)
    """

    axes = SEQUENCES
    node = nodes.AveragePool2D
