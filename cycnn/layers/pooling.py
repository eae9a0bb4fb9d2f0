"""Pooling layers: windows that slide over each channel, and windows of the whole image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import shapes, validation
from ..program import nodes
from .base import Layer, Shape, channels_last

if TYPE_CHECKING:
    from ..program import Graph, Value


class _Pooling2D(Layer):
    """Base of the layers whose window slides."""

    arguments = ("pool_size", "strides", "padding", "data_format")
    axes = ("batch", "height", "width", "channels")

    def __init__(
        self,
        pool_size: int | tuple[int, int] = (2, 2),
        strides: int | tuple[int, int] | None = None,
        padding: validation.Padding = "valid",
        *,
        data_format: str | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        owner = self.owner
        self.pool_size = validation.positive_pair(owner, "pool_size", pool_size)
        self.strides = self.pool_size
        if strides is not None:
            self.strides = validation.positive_pair(owner, "strides", strides)
        self.padding = validation.padding(owner, "padding", padding)
        self.data_format = channels_last(owner, data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = self.check_input(input_shape)
        size = shapes.output_size(self._window(input_shape), (height, width))
        return (batch, *size, channels)

    def _window(self, input_shape: Shape) -> shapes.Window:
        return shapes.pool_window(self.owner, self.pool_size, self.strides, self.padding, input_shape[1:3])


class MaxPooling2D(_Pooling2D):
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

    def lower(self, graph: Graph, x: Value) -> Value:
        return graph.add(nodes.MaxPool2D(x, self._window(x.shape)))


class AveragePooling2D(_Pooling2D):
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

    def lower(self, graph: Graph, x: Value) -> Value:
        return graph.add(nodes.AveragePool2D(x, self._window(x.shape)))


class _GlobalPooling2D(Layer):
    """Base of the layers whose window is the whole image."""

    arguments = ("data_format", "keepdims")
    axes = ("batch", "height", "width", "channels")

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **base: Any) -> None:
        super().__init__(**base)
        self.data_format = channels_last(self.owner, data_format)
        self.keepdims = validation.boolean(self.owner, "keepdims", keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, _, _, channels = self.check_input(input_shape)
        return (batch, 1, 1, channels) if self.keepdims else (batch, channels)

    def _window(self, input_shape: Shape) -> shapes.Window:
        size = input_shape[1:3]
        return shapes.pool_window(self.owner, size, (1, 1), "valid", size)


class GlobalMaxPooling2D(_GlobalPooling2D):
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

    def lower(self, graph: Graph, x: Value) -> Value:
        y = graph.add(nodes.MaxPool2D(x, self._window(x.shape)))
        return y.view(self.compute_output_shape(x.shape))


class GlobalAveragePooling2D(_GlobalPooling2D):
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

    def lower(self, graph: Graph, x: Value) -> Value:
        y = graph.add(nodes.AveragePool2D(x, self._window(x.shape)))
        return y.view(self.compute_output_shape(x.shape))
