"""Models: a network of layers that is trained, described, saved and copied."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, Self

from numpy.typing import NDArray

from .. import layers as layers_module
from .. import saving, summary, validation
from ..layers.base import Layer
from ..tensor import Tensor
from ..training import Trainer
from ..validation import message, received
from ..variable import Variable, assign_all
from .forms import formed, tensors_of
from .network import Network
from .wiring import draw, wiring_of


class Model(Trainer, Network):
    """A network of layers between inputs and outputs.

    Parameters
    ----------
    inputs : Tensor, or list or dict of Tensor
        Where data enter: what `Input` returns, or any tensor of another network.
    outputs : Tensor, or list or dict of Tensor
        What is predicted.
    name : str, optional
        "model" by default.
    trainable : bool
        Whether training updates the parameters, True by default.

    Raises
    ------
    TypeError, ValueError
        If an output depends on an `Input` that is none of `inputs`, or two layers have the same name.

    Examples
    --------
    >>> from cycnn import Input, layers
    >>> x = Input((8, 8, 3))
    >>> y = layers.Conv2D(4, 3, padding="same")(x)
    >>> y = layers.GlobalAveragePooling2D()(y)
    >>> model = Model(x, y)
    >>> model.output_shape
    (None, 4)
    """

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, *, trainable: bool = True
    ) -> None:
        if inputs is None or outputs is None:
            raise TypeError(
                message(
                    type(self).__name__,
                    "inputs",
                    "be given, and `outputs`",
                    received("inputs", inputs),
                    "Models are drawn by calling layers; a class that overrides `call` cannot be differentiated here.",
                )
            )
        ins, self._input_form = tensors_of("inputs", inputs)
        outs, self._output_form = tensors_of("outputs", outputs)
        self._begin(name, ins[0].dtype, trainable)
        self._connect(ins, outs)
        if not trainable:
            self.trainable = False

    def _begin(self, name: str | None, dtype: str, trainable: bool = True) -> None:
        """Set up what every model has."""
        Layer.__init__(self, name=name, dtype=dtype, trainable=trainable)
        Trainer.__init__(self)
        self._inputs, self._outputs, self._calls, self._layers = [], [], [], []

    def _connect(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        super()._connect(inputs, outputs)
        self.forget_programs()

    def __call__(self, inputs: Any, *, training: bool = False) -> Any:
        """Draw the model behind symbolic tensors, or return its output for a batch of arrays."""
        first = inputs[0] if isinstance(inputs, (list, tuple)) and inputs else inputs
        if isinstance(first, Tensor):
            return Layer.__call__(self, inputs)
        return self.compute(inputs, training=training)

    @property
    def weights(self) -> list[Variable]:
        """The parameters, layer by layer, in Keras's order."""
        return list(dict.fromkeys(variable for layer in self._layers for variable in layer.variables))

    @property
    def variables(self) -> list[Variable]:
        """The parameters, likewise."""
        return self.weights

    @property
    def trainable(self) -> bool:
        """Whether training updates the parameters; setting it sets it for every layer."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = validation.boolean(self.owner, "trainable", value)
        for layer in self._layers:
            layer.trainable = value

    def named_variables(self, prefix: str = "") -> dict[str, Variable]:
        """Return the parameters by "layer/parameter", with the names of inner models before."""
        named: dict[str, Variable] = {}
        for layer in self._layers:
            if isinstance(layer, Model):
                named |= layer.named_variables(f"{prefix}{layer.name}/")
            else:
                named |= {f"{prefix}{layer.name}/{variable.name}": variable for variable in layer.variables}
        return named

    def all_layers(self) -> list[Layer]:
        """Return the layers, and those of the models among them."""
        found: list[Layer] = []
        for layer in self._layers:
            found += [layer, *layer.all_layers()] if isinstance(layer, Model) else [layer]
        return found

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
        with self._programs.alone():
            assign_all("set_weights", self.weights, weights)

    def summary(
        self,
        line_length: int | None = None,
        positions: None = None,
        print_fn: Callable[[str], object] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: None = None,
        *,
        batch_size: int = 32,
    ) -> None:
        """Print the layers with their output shapes, parameters and multiply-adds.

        Parameters
        ----------
        line_length, positions, layer_range
            Without effect but for a check of the first, and to be left out: the table is as wide as what is in it.
        print_fn : function, optional
            What receives each line, by default `print`.
        expand_nested : bool
            Whether to print the layers of inner models below them, False by default.
        show_trainable : bool
            Whether to say of each layer how many of its parameters are trained, False by default.
        batch_size : int
            For which the memory of training and prediction is given, 32 by default.
        """
        if line_length is not None:
            validation.positive_int("summary", "line_length", line_length)
        for name, value in (("positions", positions), ("layer_range", layer_range)):
            if value is not None:
                rule = "be left out, for the table has all layers and is as wide as what is in it"
                raise ValueError(message("summary", name, rule, received(name, value)))
        expand_nested = validation.boolean("summary", "expand_nested", expand_nested)
        show_trainable = validation.boolean("summary", "show_trainable", show_trainable)
        batch_size = validation.positive_int("summary", "batch_size", batch_size)
        for line in summary.lines(self, batch_size, expand_nested, show_trainable):
            (print_fn or print)(line)

    def get_config(self) -> dict[str, Any]:
        """Return layers and wiring as plain JSON values."""
        config = {"name": self.name, "trainable": self._trainable, "forms": [self._input_form, self._output_form]}
        return config | {"layers": [layers_module.serialize(layer) for layer in self.listed_layers()]} | self._wiring()

    def listed_layers(self) -> list[Layer]:
        """Return the layers in the order of the configuration."""
        return self._layers

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the model that `get_config` described, with new parameters."""
        return cls.of_layers(config, [layers_module.deserialize(entry) for entry in config["layers"]])

    @classmethod
    def of_layers(cls, config: dict[str, Any], layers: list[Layer]) -> Self:
        """Return the model that `get_config` described, of these layers in place of those that it lists."""
        drawn = draw(cls.__name__, layers, config["wiring"])
        inputs, outputs = ([drawn[i][k] for i, k in config[key]] for key in ("inputs", "outputs"))
        forms = [tuple(form) if isinstance(form, (list, tuple)) else form for form in config["forms"]]
        model = cls(formed(inputs, forms[0]), formed(outputs, forms[1]), config["name"])
        model._trainable = config["trainable"]
        return model

    def to_json(self, **options: Any) -> str:
        """Return the layers and their wiring as JSON, for `model_from_json`; `options` are those of `json.dumps`."""
        return json.dumps(layers_module.serialize(self), **options)

    def save(self, filepath: saving.Path, overwrite: bool = True, *, include_optimizer: bool = True) -> None:
        """Save the model as one file, as `cycnn.saving.save_model` does."""
        saving.save_model(self, filepath, overwrite, include_optimizer=include_optimizer)

    def save_weights(self, filepath: saving.Path, overwrite: bool = True) -> None:
        """Save the parameters alone, as `cycnn.saving.save_weights` does."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: saving.Path, skip_mismatch: bool = False) -> None:
        """Set the parameters from a file, found by name, as `cycnn.saving.load_weights` does."""
        saving.load_weights(self, filepath, skip_mismatch)

    def astype(self, dtype: str) -> Self:
        """Return a copy of the model that computes in another type, "float32" or "float64"."""
        dtype = validation.choice("astype", "dtype", dtype, ("float32", "float64"))
        clone = copy.copy(self)
        clone.dtype, clone.calls = dtype, []
        clone._redraw([layer.astype(dtype) for layer in self._layers], self._wiring())
        clone._new_programs()
        return clone

    def _wiring(self) -> dict[str, Any]:
        """Return how the layers are connected: calls, inputs and outputs."""
        places = {id(t): [i, k] for i, call in enumerate(self._calls) for k, t in enumerate(call.outputs)}
        return {
            "wiring": wiring_of(self._calls, self._layers),
            "inputs": [places[id(tensor)] for tensor in self._inputs],
            "outputs": [places[id(tensor)] for tensor in self._outputs],
        }

    def _redraw(self, layers: list[Layer], wiring: dict[str, Any]) -> None:
        """Become the same network of other layers."""
        drawn = draw(type(self).__name__, layers, wiring["wiring"])
        self._connect(*([drawn[i][k] for i, k in wiring[key]] for key in ("inputs", "outputs")))

    def __getstate__(self) -> dict[str, Any]:
        drawn = ("_programs", "_inputs", "_outputs", "_calls", "calls", "_eager")
        state = {name: value for name, value in vars(self).items() if name not in drawn}
        return state | {"running_source": None, "wiring": self._wiring() if self._outputs else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        wiring = state.pop("wiring")
        vars(self).update(state)
        self.calls, self._inputs, self._outputs, self._calls = [], [], [], []
        self._new_programs()
        if wiring:
            self._redraw(self._layers, wiring)
