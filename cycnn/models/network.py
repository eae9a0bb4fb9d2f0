"""The network between tensors: its layers, the order in which they are computed, and what goes in and comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..layers.base import Layer
from ..shapes import Shape
from ..tensor import Call, Tensor, trace
from ..validation import message, received
from .forms import Form, check_rows, cut, formed, free_name, takes_integers

if TYPE_CHECKING:
    from ..program import Graph, Value


class Network(Layer):
    """Layers between tensors, to be computed as if they were one layer."""

    _input_form: Form
    _output_form: Form
    _inputs: list[Tensor]
    _outputs: list[Tensor]
    _calls: list[Call]
    _layers: list[Layer]

    def _connect(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        """Become the network between these tensors."""
        owner = type(self).__name__
        calls, layers = trace(inputs, outputs, owner)
        if any(tensor.call.inputs for tensor in inputs):
            inputs, outputs = cut(inputs, outputs, calls)
            calls, layers = trace(inputs, outputs, owner)
        self._settle_names(layers)
        self._inputs, self._outputs, self._calls, self._layers = inputs, outputs, calls, layers
        self.built = True

    def _settle_names(self, layers: list[Layer]) -> None:
        """Number the layers that were not named, and refuse two of one name."""
        taken: dict[str, Layer] = {}
        for layer in layers:
            if layer.named and taken.setdefault(layer.name, layer) is not layer:
                rule = f"have layers of different names, but {layer!r} and {taken[layer.name]!r} share one"
                raise ValueError(message(type(self).__name__, "outputs", rule, received("name", layer.name)))
        for layer in layers:
            if not layer.named:
                layer.rename(free_name(layer.name, taken))
                taken[layer.name] = layer

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        expected = [tensor.shape for tensor in self._inputs]
        if [tuple(shape[1:]) for shape in shapes] != [shape[1:] for shape in expected]:
            rule = f"have the shape {expected[0] if len(expected) == 1 else expected}, for which {self.name!r} was made"
            raise ValueError(message(self.owner, "input_shape", rule, received("input_shape", input_shape)))
        outputs = [tensor.shape for tensor in self._outputs]
        return outputs if self._output_form is not None else outputs[0]

    def lower_all(self, graph: Graph, inputs: list[Value]) -> list[Value]:
        """Append to `graph` what the layers compute; return the outputs."""
        values = {id(tensor): value for tensor, value in zip(self._inputs, inputs, strict=True)}
        for call in self._calls:
            if not call.inputs:
                continue
            arguments = [values[id(tensor)] for tensor in call.inputs]
            graph.layer_name = call.layer.name
            result = call.layer.lower(graph, arguments if call.nested else arguments[0])
            results = result if isinstance(result, list) else [result]
            for tensor, value in zip(call.outputs, results, strict=True):
                values[id(tensor)] = value
                graph.penalise(value, call.layer.activity_regularizer)
        return [values[id(tensor)] for tensor in self._outputs]

    def lower(self, graph: Graph, x: Any) -> Any:
        outputs = self.lower_all(graph, x if isinstance(x, list) else [x])
        return outputs if self._output_form is not None else outputs[0]

    @property
    def layers(self) -> list[Layer]:
        """The layers, each once, in Keras's order."""
        return list(self._layers)

    @property
    def drawn_calls(self) -> list[Call]:
        """The uses of layers, in an order in which they can be computed."""
        return [call for call in self._calls if call.inputs]

    @property
    def inputs(self) -> list[Tensor]:
        """The symbolic tensors where data enter."""
        return list(self._inputs)

    @property
    def outputs(self) -> list[Tensor]:
        """The symbolic tensors that are predicted."""
        return list(self._outputs)

    @property
    def input(self) -> Any:
        """The input, or the list of inputs."""
        return formed(self._inputs, self._input_form)

    @property
    def output(self) -> Any:
        """The output, or the list of outputs."""
        return formed(self._outputs, self._output_form)

    @property
    def input_shapes(self) -> list[Shape]:
        """Shapes of all inputs, with None for the batch."""
        return [tensor.shape for tensor in self._inputs]

    @property
    def output_shapes(self) -> list[Shape]:
        """Shapes of all outputs, with None for the batch."""
        return [tensor.shape for tensor in self._outputs]

    @property
    def input_shape(self) -> Any:
        """Shape of the data, with None for the batch; a list where there are several inputs."""
        return formed(self.input_shapes, self._input_form)

    @input_shape.setter
    def input_shape(self, value: Any) -> None:
        assert value is None, "the tensors know"

    @property
    def output_shape(self) -> Any:
        """Shape of the predictions, likewise."""
        return formed(self.output_shapes, self._output_form)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, by which a dict of arrays is read."""
        return list(self._input_form) if isinstance(self._input_form, tuple) else [t.name for t in self._inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the layers that make the outputs, by which losses, metrics and targets may be given."""
        if isinstance(self._output_form, tuple):
            return list(self._output_form)
        return [tensor.name for tensor in self._outputs]

    @property
    def takes_integers(self) -> list[bool]:  # type: ignore[override]
        """For each input, whether all layers behind it turn integers into floats."""
        flags = []
        for tensor in self._inputs:
            readers = [call.layer for call in self._calls if any(x is tensor for x in call.inputs)]
            flags.append(bool(readers) and all(takes_integers(layer) for layer in readers))
        return flags

    def resolve_shapes(self, shapes: list[Shape], owner: str, names: list[str]) -> list[Shape]:
        """Return the shapes of the outputs for data of these shapes, or raise ValueError.

        `owner` and `names` are what the message of an error calls the method and its arguments.
        """
        for tensor, shape, name in zip(self._inputs, shapes, names, strict=True):
            check_rows(tensor.shape[1:], tuple(shape), owner, name)
        return self.output_shapes

    def formed_outputs(self, arrays: list[Any]) -> Any:
        """Return outputs in the form in which the model's were given: one alone, a list or a dict."""
        return formed(arrays, self._output_form)

    def multiply_adds(self, input_shape: Shape) -> int:
        return sum(call.layer.multiply_adds(call.input_shapes) for call in self.drawn_calls)
