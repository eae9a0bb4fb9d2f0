"""Normalisation of each row by its own statistics: those of its mean and variance, its mean square, or its norm."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from .. import validation
from ..program import nodes
from ..shapes import Shape
from ..validation import message, received
from ..variable import Variable
from .base import Layer
from .normalization import AffineNormalization

if TYPE_CHECKING:
    from ..program import Graph, Value


def _axes(owner: str, value: object) -> int | tuple[int, ...]:
    """Return `axis` as an int or a tuple of them."""
    if isinstance(value, (tuple, list)) and value:
        return tuple(validation.integer(owner, "axis", item) for item in value)
    return validation.integer(owner, "axis", value)


def _row_shape(owner: str, axis: int | tuple[int, ...], input_shape: Shape) -> tuple[int, ...]:
    """Return the extents of the axes of a row, which must be the last ones, but not the batch."""
    rank = len(input_shape)
    axes = sorted(item + rank if item < 0 else item for item in (axis if isinstance(axis, tuple) else (axis,)))
    if axes != list(range(rank - len(axes), rank)) or axes[0] < 1:
        what = f"{received('axis', axis)}, {received('input_shape', input_shape)}"
        raise ValueError(message(owner, "axis", "be the last axis or axes, without the first", what))
    return tuple(input_shape[item] for item in axes)


class LayerNormalization(AffineNormalization):
    """Normalise each row by its mean and variance, then scale and shift each of its numbers.

    Parameters
    ----------
    axis : int or tuple of int
        The last axis or axes, which are a row together; -1 by default.
    epsilon : float
        What is added to the variance, 0.001 by default.
    center, scale : bool
        Whether there is a beta to add, and a gamma to multiply by; True by default.
    rms_scaling : {False}
        Not supported: see `RMSNormalization`.
    **more
        `beta_initializer`, `gamma_initializer`, `beta_regularizer`, `gamma_regularizer`, as of
        `BatchNormalization`, and the arguments of all layers.

    Notes
    -----
    Input ``(batch, ..., channels)``, output the same: ``(x - mean) / sqrt(variance + epsilon) * gamma + beta``.
    Parameters: gamma and beta, of the shape of a row.

    References
    ----------
    Ba, Kiros and Hinton, "Layer Normalization", 2016.

    Examples
    --------
    >>> layer = LayerNormalization(axis=(1, 2))
    >>> layer.build((None, 5, 32))
    >>> layer.gamma.shape
    (5, 32)
    """

    arguments = ("axis", *AffineNormalization.affine, "rms_scaling")

    def __init__(
        self,
        axis: int | tuple[int, ...] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        *,
        rms_scaling: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(epsilon, center, scale, **more)
        self.axis = _axes(self.owner, axis)
        self.rms_scaling = validation.boolean(self.owner, "rms_scaling", rms_scaling)
        if rms_scaling:
            remedy = "RMSNormalization divides by the root mean square."
            raise ValueError(message(self.owner, "rms_scaling", "be False", received("rms_scaling", True), remedy))

    def build(self, input_shape: Shape) -> None:
        self.add_affine(_row_shape(self.owner, self.axis, input_shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_built(_row_shape(self.owner, self.axis, input_shape))
        return input_shape

    def lower(self, graph: Graph, x: Value) -> Value:
        columns = prod(_row_shape(self.owner, self.axis, x.shape))
        norm = nodes.RowNorm(x, self.gamma, self.beta, columns, centered=True, weight=1 / columns, epsilon=self.epsilon)
        return graph.add(norm)


class RMSNormalization(Layer):
    """Divide each row by its root mean square, then scale each of its numbers.

    Parameters
    ----------
    axis : int or tuple of int
        The last axis or axes, which are a row together; -1 by default.
    epsilon : float
        What is added to the mean square, 1e-6 by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, ..., channels)``, output the same: ``x / sqrt(mean(x^2) + epsilon) * scale``.
    Parameter: scale, of the shape of a row, ones at first.

    References
    ----------
    Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.

    Examples
    --------
    >>> RMSNormalization().compute_output_shape((None, 10))
    (None, 10)
    """

    arguments = ("axis", "epsilon")

    def __init__(self, axis: int | tuple[int, ...] = -1, epsilon: float = 1e-6, **base: Any) -> None:
        super().__init__(**base)
        self.axis = _axes(self.owner, axis)
        self.epsilon = validation.number(self.owner, "epsilon", epsilon, 0)
        self.scale: Variable | None = None

    def build(self, input_shape: Shape) -> None:
        self.scale = self.add_weight("scale", _row_shape(self.owner, self.axis, input_shape), "ones")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = _row_shape(self.owner, self.axis, input_shape)
        if self.scale is not None and self.scale.shape != shape:
            rule = f"end in the shape {self.scale.shape}, for which the layer was built"
            raise ValueError(message(self.owner, "input_shape", rule, received("its end", shape)))
        return input_shape

    def lower(self, graph: Graph, x: Value) -> Value:
        columns = prod(_row_shape(self.owner, self.axis, x.shape))
        norm = nodes.RowNorm(x, self.scale, None, columns, centered=False, weight=1 / columns, epsilon=self.epsilon)
        return graph.add(norm)


class UnitNormalization(Layer):
    """Divide each row by its Euclidean norm.

    Parameters
    ----------
    axis : int or tuple of int
        The last axis or axes, which are a row together; -1 by default.
    **base
        `name`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, ..., channels)``, output the same: ``x / max(norm(x), 1e-12)``.

    Examples
    --------
    >>> UnitNormalization().compute_output_shape((None, 10))
    (None, 10)
    """

    arguments = ("axis",)

    def __init__(self, axis: int | tuple[int, ...] = -1, **base: Any) -> None:
        super().__init__(**base)
        self.axis = _axes(self.owner, axis)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        _row_shape(self.owner, self.axis, input_shape)
        return input_shape

    def lower(self, graph: Graph, x: Value) -> Value:
        columns = prod(_row_shape(self.owner, self.axis, x.shape))
        return graph.add(nodes.RowNorm(x, None, None, columns, centered=False, weight=1.0, epsilon=0.0, limit=1e12))
