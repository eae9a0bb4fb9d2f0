"""Layers that most networks have: the input, dense layers, flattening."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, cast

from .. import validation
from ..program import nodes
from ..shapes import Shape
from ..tensor import Call, Tensor
from ..validation import message, received
from ..variable import Variable
from .base import Layer, channels_last
from .weighted import WeightedLayer

if TYPE_CHECKING:
    from ..program import Graph, Value


class InputLayer(Layer):
    """The place where data enter a network; `Input` makes one.

    Parameters
    ----------
    shape : tuple of int
        Shape of one row of data: height, width and channels of an image.
    **base
        `name` and `dtype`, as of all layers.
    """

    arguments = ("shape",)
    owner = "Input"

    def __init__(self, shape: tuple[int, ...], **base: Any) -> None:
        super().__init__(**base)
        self.shape = validation.positive_ints(self.owner, "shape", shape)
        self.built = True

    def draw(self) -> Tensor:
        """Return a new symbolic tensor for data to enter by."""
        call = Call(self, [], False)
        call.outputs = [Tensor((None, *self.shape), self.dtype, call)]
        self.calls.append(call)
        return call.outputs[0]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, *self.shape)


def Input(
    shape: tuple[int, ...] | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: tuple[int | None, ...] | None = None,
    name: str | None = None,
    tensor: None = None,
    optional: bool = False,
) -> Tensor:
    """Say what shape the data have: return the symbolic tensor that a network begins with.

    Parameters
    ----------
    shape : tuple of int
        Shape of one row of data: height, width and channels of an image.
    sparse, ragged, tensor, optional
        To be left out: data are whole arrays that are given later.
    batch_shape : tuple, optional
        In place of `shape`: None or the size of a batch, followed by that shape.
    batch_size : int, optional
        Checked and then ignored: a network takes batches of any size.
    dtype : {"float32", "float64"}, optional
        The type that the model computes in, "float32" by default; data of other types are
        converted batch by batch.
    name : str, optional
        Of the input, "input_layer" by default.

    Returns
    -------
    Tensor
        To call layers on, or to begin a `Sequential` with.

    Examples
    --------
    >>> Input((28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    for argument, value in (("sparse", sparse), ("ragged", ragged), ("tensor", tensor), ("optional", optional)):
        if value is not None and value is not False:
            rule = "be left out, for data are whole arrays that are given later"
            raise ValueError(message("Input", argument, rule, received(argument, value)))
    if batch_shape is not None:
        if shape is not None or not isinstance(batch_shape, (tuple, list)) or not batch_shape:
            rule, what = "be a tuple, given without `shape`", received("batch_shape", batch_shape)
            raise ValueError(message("Input", "batch_shape", rule, f"{received('shape', shape)}, {what}"))
        batch_size, shape = batch_shape[0], cast("tuple[int, ...]", tuple(batch_shape[1:]))
    if batch_size is not None:
        validation.positive_int("Input", "batch_size", batch_size)
    return InputLayer(cast("tuple[int, ...]", shape), dtype=dtype, name=name).draw()


class Dense(WeightedLayer):
    """Multiply by a learned matrix, add a bias, apply an activation function.

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str or function, optional
        A name such as "relu", or a function of `cycnn.activations`; none by default.
    use_bias : bool
        Whether to add a bias to each unit, True by default.
    kernel_initializer, bias_initializer : str or Initializer
        "glorot_uniform" and "zeros" by default.
    kernel_regularizer, bias_regularizer, activity_regularizer : str or Regularizer, optional
        What is added to the loss for the kernel, the bias and the output.
    kernel_constraint, bias_constraint : str or Constraint, optional
        What brings kernel and bias back into bounds after each update.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, ..., channels)``, output ``(batch, ..., units)``.
    Parameters: kernel ``(channels, units)``, bias ``(units,)``.

    Examples
    --------
    >>> Dense(10, activation="softmax").compute_output_shape((None, 128))
    (None, 10)
    """

    arguments = (
        "units",
        "activation",
        "use_bias",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )

    def __init__(
        self,
        units: int,
        activation: object = None,
        use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        kernel_regularizer: object = None,
        bias_regularizer: object = None,
        activity_regularizer: object = None,
        kernel_constraint: object = None,
        bias_constraint: object = None,
        **base: Any,
    ) -> None:
        super().__init__(
            activation,
            use_bias,
            bias_initializer,
            bias_regularizer,
            bias_constraint,
            activity_regularizer=activity_regularizer,
            **base,
        )
        self.units = validation.positive_int(self.owner, "units", units)
        self.take("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.kernel: Variable | None = None
        self.bias = None

    def bias_size(self, input_shape: Shape) -> int:
        return self.units

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"kernel": (input_shape[-1], self.units)}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 2:
            what = received("input_shape", input_shape)
            raise ValueError(message(self.owner, "input_shape", "have at least 2 axes", what))
        self.check_weights(input_shape)
        return (*input_shape[:-1], self.units)

    def lower(self, graph: Graph, x: Value) -> Value:
        assert self.kernel is not None
        y = graph.add(nodes.Dense(x, self.kernel, self.bias))
        return graph.activation(y, self.activation)

    def multiply_adds(self, input_shape: Shape) -> int:
        return prod(input_shape[1:]) * self.units


class Flatten(Layer):
    """Lay the values of each row out along one axis, the last axis fastest.

    Parameters
    ----------
    data_format : {"channels_last"}, optional
        The only order of axes.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, ...)``, output ``(batch, product of the other extents)``.

    Examples
    --------
    >>> Flatten().compute_output_shape((None, 7, 7, 64))
    (None, 3136)
    """

    arguments = ("data_format",)

    def __init__(self, data_format: str | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.data_format = channels_last(self.owner, data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *extents = self.check_input(input_shape)
        return (batch, prod(extents))

    def lower(self, graph: Graph, x: Value) -> Value:
        return x.view(self.compute_output_shape(x.shape))
