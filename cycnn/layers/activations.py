"""Activation functions as layers of their own. The output has the input's shape."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from .. import constraints, initializers, regularizers, validation
from ..ops.activations import rectifier
from ..program import nodes
from ..shapes import Shape, check_size
from ..validation import message, received
from ..variable import Variable
from .base import Layer, activation_name

if TYPE_CHECKING:
    from ..program import Graph, Value


class Activation(Layer):
    """Apply an activation function.

    Parameters
    ----------
    activation : str or function
        A name such as "gelu", or a function of `cycnn.activations`.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> Activation("tanh").compute_output_shape((None, 28, 28, 6))
    (None, 28, 28, 6)
    """

    arguments = ("activation",)

    def __init__(self, activation: object, **base: Any) -> None:
        super().__init__(**base)
        self.activation = activation_name(self.owner, activation)

    def lower(self, graph: Graph, x: Value) -> Value:
        return graph.activation(x, self.activation)


class Identity(Layer):
    """Hand on what it is given.

    Parameters
    ----------
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> Identity().compute_output_shape((None, 28, 28, 6))
    (None, 28, 28, 6)
    """

    def lower(self, graph: Graph, x: Value) -> Value:
        return x


class ReLU(Layer):
    """Replace negative values by zero.

    The output is ``min(x, max_value)`` where ``x > threshold``, else ``negative_slope * (x - threshold)``.

    Parameters
    ----------
    max_value : float, optional
        Where values are cut off; by default nowhere.
    negative_slope : float
        Of the function below the threshold, 0 by default.
    threshold : float
        What values must be above to be kept, 0 by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> ReLU(max_value=6).compute_output_shape((None, 28, 28, 6))
    (None, 28, 28, 6)
    """

    arguments = ("max_value", "negative_slope", "threshold")

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **base: Any
    ) -> None:
        super().__init__(**base)
        self.max_value = None if max_value is None else validation.number(self.owner, "max_value", max_value, 0)
        self.negative_slope = validation.number(self.owner, "negative_slope", negative_slope, 0)
        self.threshold = validation.number(self.owner, "threshold", threshold, 0)

    def lower(self, graph: Graph, x: Value) -> Value:
        return graph.activation(x, *rectifier(self.negative_slope, self.max_value, self.threshold))


class LeakyReLU(Layer):
    """Keep positive values, and multiply negative ones by a small slope.

    Parameters
    ----------
    negative_slope : float
        0.3 by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> LeakyReLU(0.1).compute_output_shape((None, 28, 28, 6))
    (None, 28, 28, 6)
    """

    arguments = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.3, **base: Any) -> None:
        super().__init__(**base)
        self.negative_slope = validation.number(self.owner, "negative_slope", negative_slope, 0)

    def lower(self, graph: Graph, x: Value) -> Value:
        # The function of that name has the slope 0.2, which a convolution can apply in passing.
        return graph.activation(x, "leaky_relu", () if self.negative_slope == 0.2 else (self.negative_slope,))


class ELU(Layer):
    """Keep positive values, and let negative ones saturate: ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    alpha : float
        1 by default.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> ELU().compute_output_shape((None, 28, 28, 6))
    (None, 28, 28, 6)
    """

    arguments = ("alpha",)

    def __init__(self, alpha: float = 1.0, **base: Any) -> None:
        super().__init__(**base)
        self.alpha = validation.number(self.owner, "alpha", alpha)

    def lower(self, graph: Graph, x: Value) -> Value:
        return graph.activation(x, "elu", () if self.alpha == 1 else (self.alpha,))


class PReLU(Layer):
    """Keep positive values, and multiply negative ones by learned slopes.

    Parameters
    ----------
    alpha_initializer : str or Initializer
        "zeros" by default.
    alpha_regularizer : str or Regularizer, optional
        What is added to the loss for the slopes.
    alpha_constraint : str or Constraint, optional
        What brings the slopes back into bounds after each update.
    shared_axes : int or sequence of int, optional
        Axes along which there is one slope for all values, ``[1, 2]`` for one a channel; the batch is
        axis 0. By default each value of a row has a slope of its own.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Parameter: alpha, of the shape of a row with 1 for each shared axis.

    Examples
    --------
    >>> layer = PReLU(shared_axes=[1, 2])
    >>> layer.build((None, 28, 28, 6))
    >>> layer.alpha.shape
    (1, 1, 6)
    """

    arguments = ("alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes")

    def __init__(
        self,
        alpha_initializer: object = "zeros",
        alpha_regularizer: object = None,
        alpha_constraint: object = None,
        shared_axes: object = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.alpha_initializer = initializers.get(alpha_initializer, owner=self.owner, name="alpha_initializer")
        self.alpha_regularizer = regularizers.get(alpha_regularizer, owner=self.owner, name="alpha_regularizer")
        self.alpha_constraint = constraints.get(alpha_constraint, owner=self.owner, name="alpha_constraint")
        axes = shared_axes if isinstance(shared_axes, (list, tuple)) or shared_axes is None else [shared_axes]
        self.shared_axes = axes and tuple(validation.positive_ints(self.owner, "shared_axes", axes))
        self.alpha: Variable | None = None

    def build(self, input_shape: Shape) -> None:
        self.alpha = self.add_weight(
            "alpha",
            self._alpha_shape(input_shape),
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = self._alpha_shape(input_shape)
        check_size(self.owner, "alpha", shape)
        if self.alpha is not None and self.alpha.shape != shape:
            rule = f"need slopes of the shape {self.alpha.shape}, for which the layer was built"
            raise ValueError(message(self.owner, "input_shape", rule, received("input_shape", input_shape)))
        return input_shape

    def _alpha_shape(self, input_shape: Shape) -> tuple[int, ...]:
        shared = self.shared_axes or ()
        if len(input_shape) <= max(shared, default=1):
            rule = f"have more than {max(shared, default=1)} axes"
            raise ValueError(message(self.owner, "input_shape", rule, received("input_shape", input_shape)))
        return tuple(1 if i in shared else extent for i, extent in enumerate(input_shape))[1:]

    def lower(self, graph: Graph, x: Value) -> Value:
        assert self.alpha is not None
        return graph.add(nodes.PReLU(x, self.alpha))


class Softmax(Layer):
    """Turn the values along an axis into probabilities, ``exp(x_i) / sum_j exp(x_j)``.

    Parameters
    ----------
    axis : int or sequence of int
        The last by default. Several axes must be neighbours: their values together sum to 1.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> Softmax().compute_output_shape((None, 10))
    (None, 10)
    """

    arguments = ("axis",)

    def __init__(self, axis: object = -1, **base: Any) -> None:
        super().__init__(**base)
        self.axis: int | tuple[int, ...]
        if isinstance(axis, (list, tuple)) and axis:
            self.axis = tuple(validation.integer(self.owner, "axis", i) for i in axis)
        else:
            self.axis = validation.integer(self.owner, "axis", axis)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._span(len(input_shape))
        return input_shape

    def _span(self, rank: int) -> tuple[int, int]:
        """Return the first of the axes, and the first behind them."""
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        places = sorted(i + rank if i < 0 else i for i in axes)
        if places != list(range(places[0], places[0] + len(places))) or places[0] < 0 or places[-1] >= rank:
            what = f"{received('axis', self.axis)} for an input of {rank} axes"
            raise ValueError(message(self.owner, "axis", "be an axis of the input, or several neighbours", what))
        return places[0], places[-1] + 1

    def lower(self, graph: Graph, x: Value) -> Value:
        first, stop = self._span(len(x.shape))
        shape = (*x.shape[:first], prod(x.shape[first:stop]), *x.shape[stop:])
        return graph.add(nodes.Softmax(x, shape, first, "softmax"))
