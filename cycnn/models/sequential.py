"""Models whose layers follow one another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from .. import layers as layers_module
from .. import validation
from ..layers.base import Layer
from ..layers.core import InputLayer
from ..shapes import Shape, check_size
from ..tensor import Tensor
from ..validation import message, received
from .forms import check_rows, free_name
from .model import Model


class Sequential(Model):
    """A model whose layers follow one another.

    Parameters
    ----------
    layers : list of Layer, optional
        The first may be an `Input`; without one, the model is built for the shape of the first
        data it sees, or by `build`.
    name : str, optional
        "sequential" by default.
    trainable : bool
        Whether training updates the parameters, True by default.

    Examples
    --------
    >>> from cycnn import Input, layers
    >>> model = Sequential([Input((8, 8, 1)), layers.Flatten(), layers.Dense(10)])
    >>> model.output_shape
    (None, 10)
    >>> model.count_params()
    650
    """

    _input_form = _output_form = None

    def __init__(
        self, layers: Iterable[Layer | Tensor] | None = None, *, trainable: bool = True, name: str | None = None
    ) -> None:
        self._begin(name, "float32")
        if layers is not None and not isinstance(layers, Iterable):
            what = received("layers", layers)
            raise TypeError(message("Sequential", "layers", "be a list of layers", what))
        for layer in layers or ():
            self.add(layer)
        if not trainable:
            self.trainable = False

    def add(self, layer: Layer | Tensor) -> None:
        """Append a layer.

        Raises
        ------
        TypeError, ValueError
            If it is none, does not fit behind the last, or has the name of another layer. The
            model is then as it was.
        """
        if isinstance(layer, Tensor) and isinstance(layer.call.layer, InputLayer):
            layer = layer.call.layer
        self._check_layer(layer)
        assert isinstance(layer, Layer)
        if isinstance(layer, InputLayer):
            self._start(layer)
            return
        name = layer.name if layer.named else free_name(layer.name, {other.name for other in self._layers})
        begins = not self._layers and not self._inputs
        if begins and not isinstance(layer, Model) and layer.input_shape is not None:
            layer.compute_output_shape((None, *layer.input_shape))
            self._start(InputLayer(layer.input_shape, dtype=layer.dtype, name="input"))
        if self._inputs:
            self._extend(layer)
        if not layer.named:
            layer.rename(name)
        self.dtype = layer.dtype
        self._layers.append(layer)
        self.built = bool(self._inputs)
        self.forget_programs()

    def pop(self) -> Layer:
        """Remove the last layer and return it, with its parameters."""
        if not self._layers:
            raise RuntimeError("Sequential: the model has no layer to remove.")
        if len(self._calls) > 1:
            self._outputs = [self._calls.pop().arguments]
        self.built = len(self._calls) > 1
        self.forget_programs()
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
        if self._inputs:
            if self._inputs[0].shape[1:] != extents:
                rule = f"be {self._inputs[0].shape}, for which the model was built"
                raise ValueError(message("Sequential", "input_shape", rule, received("input_shape", input_shape)))
            return
        self._compute_shapes((None, *extents))
        self._start(InputLayer(extents, dtype=self.dtype, name="input"))
        for layer in self._layers:
            self._extend(layer)
        self.built = bool(self._layers)

    def ensure_built(self, input_shape: Any) -> Any:
        if not self._inputs:
            self.build(input_shape)
        return self.compute_output_shape(input_shape)

    def resolve_shapes(self, shapes: list[Shape], owner: str, names: list[str]) -> list[Shape]:
        if self._inputs:
            check_rows(self._inputs[0].shape[1:], tuple(shapes[0]), owner, names[0])
            return [self._outputs[0].shape]
        return [self._compute_shapes((None, *shapes[0][1:]))]

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the `Input`."""
        return list(self._layers)

    @property
    def input_shape(self) -> Any:
        """Shape of the data, with None for the batch."""
        self.require_built("input_shape")
        return self._inputs[0].shape

    @input_shape.setter
    def input_shape(self, value: Any) -> None:
        assert value is None, "the layers know"

    @property
    def output_shape(self) -> Any:
        """Shape of the predictions, with None for the batch."""
        self.require_built("output_shape")
        return self._outputs[0].shape

    @property
    def takes_integers(self) -> list[bool]:  # type: ignore[override]
        flags = self._layers[0].takes_integers if self._layers else False
        return flags if isinstance(flags, list) else [flags]

    @property
    def input_names(self) -> list[str]:
        return super().input_names or ["input"]

    @property
    def output_names(self) -> list[str]:
        return super().output_names or ["output"]

    def count_params(self) -> int:
        self.require_built("count_params")
        return super().count_params()

    def set_weights(self, weights: Any) -> None:
        self.require_built("set_weights")
        super().set_weights(weights)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        layers = [layers_module.serialize(layer) for layer in self.listed_layers()]
        return {"name": self.name, "trainable": self._trainable, "layers": layers}

    def listed_layers(self) -> list[Layer]:
        return [*(call.layer for call in self._calls[:1]), *self._layers]

    @classmethod
    def of_layers(cls, config: dict[str, Any], layers: list[Layer]) -> Self:
        model = cls(layers, name=config["name"])
        model._trainable = config["trainable"]
        return model

    def require_built(self, name: str) -> None:
        """Raise RuntimeError where the shape of the data is not known yet."""
        if not self._outputs or not self._layers:
            raise RuntimeError(
                f"Sequential: the model must be built before `{name}` is known. "
                "Put an Input layer first, or call build(input_shape)."
            )

    def _start(self, layer: InputLayer) -> None:
        """Let data enter by `layer`."""
        self._inputs = self._outputs = [layer.draw()]
        self._calls, self.dtype = [self._inputs[0].call], layer.dtype

    def _extend(self, layer: Layer) -> None:
        """Call a layer on what the last one makes."""
        output = layer(self._outputs[0])
        if not isinstance(output, Tensor):
            rule = "have one output"
            raise ValueError(message("Sequential", "layer", rule, received("layer", layer), "Use a Model."))
        self._outputs = [output]
        self._calls.append(output.call)

    def _redraw(self, layers: list[Layer], wiring: dict[str, Any]) -> None:
        shape = wiring["input"]
        self._layers, self._inputs, self._outputs, self._calls = layers, [], [], []
        self._start(InputLayer(shape[1:], dtype=self.dtype, name="input"))
        for layer in layers:
            self._extend(layer)

    def _wiring(self) -> dict[str, Any]:
        return {"input": self._inputs[0].shape}

    def _compute_shapes(self, shape: Shape) -> Shape:
        """Return the shape of the output for data of a shape, building nothing."""
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
            check_size(layer.owner, "output", (1, *shape[1:]))
        return shape

    def _check_layer(self, layer: object) -> None:
        """Raise TypeError or ValueError if `layer` cannot be the next."""
        if not isinstance(layer, Layer):
            remedy = ""
            if isinstance(layer, type) and issubclass(layer, Layer):
                remedy = f"Call the class: {layer.__name__}(...)."
            what = received("layer", layer)
            raise TypeError(message("Sequential", "layer", "be a Layer", what, remedy))
        if isinstance(layer, InputLayer) and (self._layers or self._inputs):
            what = received("layer", layer)
            raise ValueError(message("Sequential", "layer", "come first if an Input", what))
        if layer.named and any(layer.name == other.name for other in self._layers):
            rule = "have a name that no other layer of the model has"
            raise ValueError(message("Sequential", "layer", rule, received("name", layer.name)))
        if any(layer is other for other in self._layers):
            rule = "not be in the model already"
            raise ValueError(message("Sequential", "layer", rule, received("layer", layer)))
        if (self._layers or self._inputs) and layer.dtype != self.dtype:
            rule = f"have the dtype of the model, {self.dtype}"
            raise ValueError(message("Sequential", "layer", rule, received("dtype", layer.dtype)))
