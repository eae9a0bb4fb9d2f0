"""What every layer is made of: parameters, shapes and a configuration.

A layer is data and four methods. `build` makes the parameters for a shape of input,
`compute_output_shape` says what comes out, `lower` says in terms of a graph what is computed, and
`get_config` returns the constructor's arguments. Nothing is computed here: a model is lowered to a
program, and programs compute.

Shapes are tuples whose first extent is the batch, None where it is open.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .. import activations, identifiers, initializers, regularizers, validation
from ..identifiers import Configured, snake_case
from ..shapes import Shape, check_size
from ..tensor import Call, Tensor, call_layer
from ..validation import message, received
from ..variable import Variable, assign_all, spend

if TYPE_CHECKING:
    from ..program import Graph
    from ..regularizers import Regularizer


class Layer(Configured):
    """Base of all layers.

    A subclass lists its constructor's own arguments in `arguments`, stores them coerced under the
    same names, and sets every parameter to None until `build` makes it.

    Parameters
    ----------
    name : str, optional
        Unique within a model; by default the class's name in snake case, numbered by the model.
    trainable : bool
        Whether training updates the parameters, True by default.
    dtype : {"float32", "float64"}, optional
        Of the parameters and of everything computed; the same for all layers of a model.
    input_shape : tuple of int, optional
        Shape of the input without the batch, for the first layer of a model that has no `Input`.
    activity_regularizer : str or Regularizer, optional
        What is added to the loss for the layer's output, as a mean over the batch.
    """

    axes: ClassVar[tuple[str, ...]] = ()  # what the input's axes are called; () for any
    takes_integers: ClassVar[bool] = False

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        input_shape: tuple[int, ...] | None = None,
        activity_regularizer: object = None,
        **unknown: object,
    ) -> None:
        for argument, value in unknown.items():
            rule = "be left out, for the layer has no such argument"
            raise TypeError(message(self.owner, argument, rule, received(argument, value)))
        if name is not None and (not isinstance(name, str) or not name):
            raise TypeError(message(self.owner, "name", "be a non-empty string", received("name", name)))
        self.named = name is not None
        self.name = name or snake_case(type(self).__name__)
        self._trainable = validation.boolean(self.owner, "trainable", trainable)
        floats = ("float32", "float64")
        self.dtype = validation.choice(self.owner, "dtype", dtype or "float32", floats)
        self.input_shape = input_shape and validation.positive_ints(self.owner, "input_shape", input_shape)
        self.activity_regularizer = regularizers.get(
            activity_regularizer, owner=self.owner, name="activity_regularizer"
        )
        self.built = False
        self.calls: list[Call] = []

    def build(self, input_shape: Shape) -> None:
        """Make the parameters for an input of this shape."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output, or raise ValueError if the input does not fit."""
        return self.check_input(input_shape)

    def ensure_built(self, input_shape: Any) -> Any:
        """Make the parameters if they do not exist yet, and return the shape of the output."""
        output_shape = self.compute_output_shape(input_shape)
        for shape in output_shape if isinstance(output_shape, list) else [output_shape]:
            check_size(self.owner, "output", (1, *shape[1:]))
        if not self.built:
            self.build(input_shape)
            self.built = True
        return output_shape

    def __call__(self, inputs: Any, *, training: bool = False) -> Any:
        """Draw the layer behind symbolic tensors, or compute it on arrays.

        Parameters
        ----------
        inputs : Tensor, array_like, or a list of either
        training : bool
            Whether to compute as in training: dropout drops, images are augmented. False by default.

        Returns
        -------
        Tensor or ndarray, or a list of either
        """
        if type(self).lower is Layer.lower:
            remedy = "A layer of one's own derives from layers.PythonLayer, with `forward` and `backward` on arrays."
            raise TypeError(message(self.owner, "lower", "say what the layer computes", "a class without it", remedy))
        first = inputs[0] if isinstance(inputs, (list, tuple)) and inputs else inputs
        if isinstance(first, Tensor):
            return call_layer(self, inputs)
        from ..eager import call_on_arrays

        return call_on_arrays(self, inputs, training)

    @property
    def input(self) -> Any:
        """The symbolic tensor, or the list of them, that the layer was last called on."""
        return self._last_call().arguments

    @property
    def output(self) -> Any:
        """The symbolic tensor, or the list of them, that came out of the layer's last call."""
        outputs = self._last_call().outputs
        return outputs if len(outputs) > 1 else outputs[0]

    def _last_call(self) -> Call:
        if not self.calls:
            rule = f"The layer {self.name!r} has not been called on a symbolic tensor yet."
            raise AttributeError(f"{self.owner}: {rule}")
        return self.calls[-1]

    def __getstate__(self) -> dict[str, Any]:
        # Copies of a layer stand alone; copies of a model draw it anew.
        return {name: value for name, value in vars(self).items() if name not in ("_eager", "calls")} | {"calls": []}

    def lower(self, graph: Graph, x: Any) -> Any:
        """Append to `graph` what this layer computes from `x`; return the output."""
        raise NotImplementedError

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return the multiplications by a parameter for one row of input."""
        return 0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        for name in ("input_shape", "activity_regularizer"):
            if getattr(self, name) is not None:
                config[name] = identifiers.plain(self.owner, name, getattr(self, name))
        return config | super().get_config()

    @property
    def variables(self) -> list[Variable]:
        """The parameters, in the order of Keras's weights."""
        return [value for value in vars(self).values() if isinstance(value, Variable)]

    @property
    def weights(self) -> list[Variable]:
        """The parameters, in the order of Keras's weights."""
        return self.variables

    @property
    def trainable_variables(self) -> list[Variable]:
        """The parameters that training updates."""
        return [variable for variable in self.weights if variable.trainable]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The parameters that training leaves alone: of frozen layers, and moving statistics."""
        return [variable for variable in self.weights if not variable.trainable]

    trainable_weights = trainable_variables
    non_trainable_weights = non_trainable_variables

    @property
    def trainable(self) -> bool:
        """Whether training updates the parameters."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = validation.boolean(self.owner, "trainable", value)
        for variable in self.variables:
            variable.trainable = value and variable.learnable

    def rename(self, name: str) -> None:
        """Give the layer its final name."""
        self.name, self.named = name, True
        for variable in self.variables:
            variable.path = f"{name}/{variable.name}"

    def count_params(self) -> int:
        """Return the number of numbers in the parameters."""
        return sum(variable.value.size for variable in self.variables)

    def get_weights(self) -> list[NDArray[Any]]:
        """Return copies of the parameters."""
        return [variable.numpy() for variable in self.variables]

    def set_weights(self, weights: list[NDArray[Any]]) -> None:
        """Set all parameters, or none of them if an array does not fit."""
        assign_all(self.owner, self.variables, weights)

    def astype(self, dtype: str) -> Self:
        """Return a copy of the layer whose parameters are copies of another type."""
        clone = copy.copy(self)
        clone.calls = []
        clone.dtype = dtype
        for name, value in vars(self).items():
            if isinstance(value, Variable):
                setattr(clone, name, value.astype(dtype))
        return clone

    def add_weight(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Any,
        *,
        trainable: bool = True,
        regularizer: Regularizer | None = None,
        constraint: Callable[..., NDArray[Any]] | None = None,
    ) -> Variable:
        """Return a new parameter with initial values.

        Parameters
        ----------
        name : str
            What the parameter is to the layer: "kernel".
        shape : tuple of int
        initializer : str or Initializer
        trainable : bool
            Whether it can be trained, True by default; moving statistics cannot.
        regularizer : Regularizer, optional
            What is added to the loss for its values.
        constraint : Constraint, optional
            What brings it back into bounds after each update.
        """
        initializer = initializers.get(initializer, owner=self.owner, name=f"{name}_initializer")
        if spend(self.owner, shape):
            initializer = np.zeros
        value = np.array(initializer(shape, dtype=self.dtype), dtype=self.dtype, order="C")
        if value.shape != shape:
            rule = f"return an array of the shape {shape}"
            what = f"an array of the shape {value.shape}"
            raise ValueError(message(self.owner, f"{name}_initializer", rule, what))
        variable = Variable(value, name, f"{self.name}/{name}", trainable)
        variable.trainable = trainable and self.trainable
        variable.regularizer, variable.constraint = regularizer, constraint
        return variable

    def check_input(self, input_shape: Shape) -> Shape:
        """Return `input_shape` if its axes are as many and as long as this layer needs."""
        if self.axes and len(input_shape) != len(self.axes):
            remedy = ""
            if len(self.axes) == len(input_shape) + 1 == 4:
                remedy = "Add an axis of one channel with x[..., np.newaxis]."
            rule = f"have the {len(self.axes)} axes ({', '.join(self.axes)})"
            what = received("input_shape", input_shape)
            raise ValueError(message(self.owner, "input_shape", rule, what, remedy))
        return input_shape

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def activation_name(owner: str, value: object) -> str:
    """Return the name of an activation function given by name or as a function; None stands for "linear"."""
    return activations.get(value, owner=owner, name="activation").__name__


def channels_last(owner: str, value: str | None) -> str:
    """Return "channels_last", the only order of axes."""
    if value not in (None, "channels_last"):
        what = received("data_format", value)
        raise ValueError(message(owner, "data_format", "be 'channels_last'", what))
    return "channels_last"
