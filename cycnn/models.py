"""Models: layers in a row, with their parameters, shapes and summary.

How a model is trained and used is in `cycnn.training`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import ArrayLike, NDArray

from . import layers as layers_module
from . import summary, validation
from .execution import Objective
from .layers import Input, Layer, Variable
from .layers.base import Shape
from .shapes import check_size
from .training import Trainer
from .validation import message, received
from .variable import assign_all

if TYPE_CHECKING:
    from .program import Graph, Value


class Sequential(Trainer):
    """A model whose layers follow one another.

    Parameters
    ----------
    layers : list of Layer, optional
        The first may be an `Input`; without one, the model is built for the shape of the first
        data it sees, or by `build`.
    name : str, optional
        "sequential" by default.

    Examples
    --------
    >>> from cycnn import Input, layers
    >>> model = Sequential([Input((8, 8, 1)), layers.Flatten(), layers.Dense(10)])
    >>> model.output_shape
    (None, 10)
    >>> model.count_params()
    650
    """

    def __init__(self, layers: Iterable[Layer] | None = None, *, name: str | None = None) -> None:
        super().__init__()
        self.name = "sequential" if name is None else name
        if not isinstance(self.name, str) or not self.name:
            what = received("name", name)
            raise TypeError(message("Sequential", "name", "be a non-empty string", what))
        self._input: Input | None = None
        self._layers: list[Layer] = []
        self._shapes: list[Shape] = []  # of the input and of each layer's output, once built
        if layers is not None and not isinstance(layers, Iterable):
            what = received("layers", layers)
            raise TypeError(message("Sequential", "layers", "be a list of layers", what))
        for layer in layers or ():
            self.add(layer)

    def add(self, layer: Layer) -> None:
        """Append a layer.

        Raises
        ------
        TypeError, ValueError
            If it is none, does not fit behind the last, or has the name of another layer. The
            model is then as it was.
        """
        self._check_layer(layer)
        if isinstance(layer, Input):
            self._shapes = [(None, *layer.shape)]
            self._input = layer
            return
        start = self._shapes[-1] if self._shapes else None
        if layer.input_shape is not None and not self._layers and start is None:
            start = (None, *layer.input_shape)
        shapes = [] if start is None else [start, *self._output_shapes([layer], start)]
        if not layer.named:
            layer.name = self._free_name(layer.name)
        if start is not None:
            self._build_layer(layer, start)
        self._shapes = [*self._shapes, *shapes[bool(self._shapes) :]]
        self._layers.append(layer)
        self._forget_programs()

    def pop(self) -> Layer:
        """Remove the last layer and return it, with its parameters."""
        if not self._layers:
            raise RuntimeError("Sequential: the model has no layer to remove.")
        if len(self._shapes) > 1:
            self._shapes.pop()
        self._forget_programs()
        return self._layers.pop()

    def build(self, input_shape: Shape) -> None:
        """Make the parameters for data of a shape whose first extent, the batch, may be None.

        Raises
        ------
        TypeError, ValueError
            If the shape does not fit the layers. No layer is built then.
        """
        if not isinstance(input_shape, (tuple, list)):
            what = received("input_shape", input_shape)
            raise TypeError(message("Sequential", "input_shape", "be a tuple of ints", what))
        extents = validation.positive_ints("Sequential", "input_shape", tuple(input_shape[1:]))
        if self._shapes and self._shapes[0][1:] != extents:
            rule = f"be {self._shapes[0]}, for which the model was built"
            raise ValueError(message("Sequential", "input_shape", rule, received("input_shape", input_shape)))
        shapes = self.compute_shapes((None, *extents))
        for layer, shape in zip(self._layers, shapes[:-1], strict=True):
            self._build_layer(layer, shape)
        self._shapes = shapes

    def compute_shapes(self, input_shape: Shape, owner: str = "Sequential", name: str = "x") -> list[Shape]:
        """Return the shape of the input and of each layer's output, or raise ValueError.

        `owner` and `name` are what the message of an error calls the method and its argument.
        """
        if self._shapes and self._shapes[0][1:] != tuple(input_shape[1:]):
            expected, shape = self._shapes[0][1:], tuple(input_shape)
            remedy = ""
            if shape == expected:
                remedy = f"Add an axis for a batch of one with {name}[np.newaxis]."
            elif shape[1:] == expected[:-1] and expected[-1] == 1:
                remedy = f"Add an axis of one channel with {name}[..., np.newaxis]."
            rule = f"have the shape ({', '.join(map(str, ('batch', *expected)))})"
            raise ValueError(message(owner, name, rule, received(f"{name}.shape", shape), remedy))
        input_shape = (None, *input_shape[1:])
        return self._shapes or [input_shape, *self._output_shapes(self._layers, input_shape)]

    def lower(self, graph: Graph, x: Value) -> Value:
        """Append to `graph` what the layers compute from `x`; return the output."""
        for layer in self._layers:
            x = layer.lower(graph, x)
        return x

    def lower_all(self, graph: Graph, inputs: list[Value]) -> list[Value]:
        """Likewise for lists of inputs and outputs."""
        return [self.lower(graph, inputs[0])]

    @property
    def input_shapes(self) -> list[Shape]:
        """Shapes of all inputs."""
        return [self.input_shape]

    @property
    def objectives(self) -> list[Objective]:
        """What is minimised."""
        assert self.loss is not None
        return [Objective(self.loss, 1.0)]

    def __call__(self, x: ArrayLike) -> NDArray[Any]:
        """Return the output for a batch, as `predict_on_batch` does."""
        return self.predict_on_batch(x)

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the `Input`."""
        return list(self._layers)

    @property
    def built(self) -> bool:
        """Whether the parameters exist."""
        return bool(self._shapes) and bool(self._layers)

    @property
    def dtype(self) -> str:
        """The type that the model computes in, "float32" or "float64"."""
        first = self._input or (self._layers[0] if self._layers else None)
        return first.dtype if first else "float32"

    @property
    def takes_integers(self) -> bool:
        """Whether the first layer turns integers into floats."""
        return bool(self._layers) and self._layers[0].takes_integers

    @property
    def input_shape(self) -> Shape:
        """Shape of the data, with None for the batch."""
        return self._built_shapes("input_shape")[0]

    @property
    def output_shape(self) -> Shape:
        """Shape of the predictions, with None for the batch."""
        return self._built_shapes("output_shape")[-1]

    @property
    def weights(self) -> list[Variable]:
        """The parameters, layer by layer, in Keras's order."""
        return [variable for layer in self._layers for variable in layer.variables]

    @property
    def trainable_variables(self) -> list[Variable]:
        """The parameters that training updates."""
        return [variable for variable in self.weights if variable.trainable]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer of that name or at that place."""
        if (name is None) == (index is None):
            what = f"{received('name', name)}, {received('index', index)}"
            raise ValueError(message("get_layer", "name", "be given, or `index`, not both", what))
        if index is not None:
            if not -len(self._layers) <= index < len(self._layers):
                rule = f"be less than {len(self._layers)}, the number of layers"
                raise ValueError(message("get_layer", "index", rule, received("index", index)))
            return self._layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        rule = "be one of " + ", ".join(layer.name for layer in self._layers)
        raise ValueError(message("get_layer", "name", rule, received("name", name)))

    def count_params(self) -> int:
        """Return the number of numbers in all parameters."""
        self._built_shapes("count_params")
        return sum(layer.count_params() for layer in self._layers)

    def get_weights(self) -> list[NDArray[Any]]:
        """Return copies of the parameters in Keras's order and layout."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: list[NDArray[Any]]) -> None:
        """Set all parameters, or none of them if an array does not fit.

        Parameters
        ----------
        weights : list of array_like
            As `get_weights` returns them, here or in Keras.
        """
        self._built_shapes("set_weights")
        assign_all("set_weights", self.weights, weights)

    def summary(self, *, batch_size: int = 32, print_fn: Callable[[str], object] | None = None) -> None:
        """Print the layers with their output shapes, parameters and multiply-adds.

        Parameters
        ----------
        batch_size : int
            For which the memory of training and prediction is given, 32 by default.
        print_fn : function, optional
            What receives each line, by default `print`.
        """
        batch_size = validation.positive_int("summary", "batch_size", batch_size)
        for line in summary.lines(self, batch_size):
            (print_fn or print)(line)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        chain = [self._input] if self._input else []
        return {
            "name": self.name,
            "layers": [layers_module.serialize(layer) for layer in [*chain, *self._layers]],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the model that `get_config` described, with new parameters."""
        return cls(map(layers_module.deserialize, config["layers"]), name=config["name"])

    def astype(self, dtype: str) -> Self:
        """Return a copy of the model that computes in another type, "float32" or "float64"."""
        dtype = validation.choice("astype", "dtype", dtype, ("float32", "float64"))
        clone = copy.copy(self)
        clone._input = self._input and self._input.astype(dtype)
        clone._layers = [layer.astype(dtype) for layer in self._layers]
        clone._shapes = list(self._shapes)
        clone._new_programs()
        return clone

    def _check_layer(self, layer: Layer) -> None:
        """Raise TypeError or ValueError if `layer` cannot be the next."""
        if not isinstance(layer, Layer):
            remedy = ""
            if isinstance(layer, type) and issubclass(layer, Layer):
                remedy = f"Call the class: {layer.__name__}(...)."
            what = received("layer", layer)
            raise TypeError(message("Sequential", "layer", "be a Layer", what, remedy))
        if isinstance(layer, Input) and (self._layers or self._input):
            what = received("layer", layer)
            raise ValueError(message("Sequential", "layer", "come first if an Input", what))
        if layer.named and any(layer.name == other.name for other in self._layers):
            rule = "have a name that no other layer of the model has"
            raise ValueError(message("Sequential", "layer", rule, received("name", layer.name)))
        if any(layer is other for other in self._layers):
            rule = "not be in the model already"
            raise ValueError(message("Sequential", "layer", rule, received("layer", layer)))
        if (self._layers or self._input) and layer.dtype != self.dtype:
            rule = f"have the dtype of the model, {self.dtype}"
            raise ValueError(message("Sequential", "layer", rule, received("dtype", layer.dtype)))

    def _free_name(self, name: str) -> str:
        """Return `name`, numbered if another layer has it."""
        taken = {layer.name for layer in self._layers}
        candidates = (name, *(f"{name}_{i}" for i in range(1, len(taken) + 1)))
        return next(candidate for candidate in candidates if candidate not in taken)

    @staticmethod
    def _output_shapes(layers: list[Layer], shape: Shape) -> list[Shape]:
        shapes = []
        for layer in layers:
            shape = layer.compute_output_shape(shape)
            check_size(layer.owner, "output", (1, *shape[1:]))
            shapes.append(shape)
        return shapes

    @staticmethod
    def _build_layer(layer: Layer, shape: Shape) -> None:
        if not layer.built:
            layer.build(shape)
            layer.built = True

    def _built_shapes(self, name: str) -> list[Shape]:
        if not self.built:
            raise RuntimeError(
                f"Sequential: the model must be built before `{name}` is known. "
                "Put an Input layer first, or call build(input_shape)."
            )
        return self._shapes
