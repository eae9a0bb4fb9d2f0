"""How the layers of a network are connected, as plain data, and a network drawn anew from it.

The wiring of a network is a list of its calls in an order in which they can be computed. Each entry is
``[layer, inputs]``: the place of the layer in a list, and the tensors it was called on, ``[call, output]`` each, or
one such pair that is not in a list of its own where the layer was not called on a list. An `Input` has no inputs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..identifiers import custom_objects as custom_objects_known
from ..layers.core import InputLayer
from ..tensor import Call, Tensor
from ..validation import message, received

if TYPE_CHECKING:
    from ..layers.base import Layer
    from .model import Model


def wiring_of(calls: list[Call], layers: list[Layer]) -> list[Any]:
    """Return the wiring of calls as plain lists."""
    places = {layer: i for i, layer in enumerate(layers)}
    tensors = {id(tensor): [i, k] for i, call in enumerate(calls) for k, tensor in enumerate(call.outputs)}
    entries = []
    for call in calls:
        inputs: Any = [tensors[id(tensor)] for tensor in call.inputs]
        entries.append([places[call.layer], inputs if call.nested or not inputs else {"one": inputs[0]}])
    return entries


def draw(owner: str, layers: list[Layer], wiring: Any) -> list[list[Tensor]]:
    """Call layers as a wiring says; return the outputs of each call.

    Raises
    ------
    ValueError
        If it is no wiring of these layers: a layer or tensor that does not exist, or not yet, as in a cycle.
    """
    outputs: list[list[Tensor]] = []

    def pick(reference: Any, layer: Layer) -> Tensor:
        try:
            call, place = reference
            if min(call, place) < 0:
                raise IndexError
            tensor: Tensor = outputs[call][place]
            return tensor
        except (TypeError, ValueError, IndexError):
            rule = f"connect {layer.name!r} only to what comes before it, without a cycle"
            raise ValueError(message(owner, "wiring", rule, received("input", reference))) from None

    for entry in wiring:
        try:
            place, inputs = entry
            layer = layers[place]
        except (TypeError, ValueError, IndexError):
            raise ValueError(message(owner, "wiring", "list layers and inputs", received("entry", entry))) from None
        if isinstance(layer, InputLayer):
            outputs.append([layer.draw()])
            continue
        one = isinstance(inputs, dict)
        arguments = [pick(reference, layer) for reference in (inputs.values() if one else inputs)]
        result = layer(arguments[0] if one else arguments)
        outputs.append(result if isinstance(result, list) else [result])
    return outputs


def clone_model(
    model: Model, input_tensors: None = None, clone_function: Callable[[Layer], Layer] | None = None
) -> Model:
    """Return a model of the same layers with new parameters, neither compiled nor trained.

    Parameters
    ----------
    model : Model
    input_tensors : None
        The clone has inputs of its own: call it on tensors to place it behind them.
    clone_function : function, optional
        Of a layer, inputs aside, that returns the one in its place; by default a new one of the same configuration.

    Examples
    --------
    >>> from cycnn import Input, Sequential, layers
    >>> model = Sequential([Input((4,)), layers.Dense(2)])
    >>> clone_model(model).count_params()
    10
    """
    if input_tensors is not None:
        what = received("input_tensors", input_tensors)
        remedy = "Call the clone on these tensors."
        raise ValueError(message("clone_model", "input_tensors", "be None", what, remedy))
    if clone_function is None:
        return type(model).from_config(model.get_config())
    layers = [
        type(layer).from_config(layer.get_config()) if isinstance(layer, InputLayer) else clone_function(layer)
        for layer in model.listed_layers()
    ]
    return type(model).of_layers(model.get_config(), layers)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Model:
    """Return the model that `Model.to_json` described, with new parameters.

    Parameters
    ----------
    json_string : str
    custom_objects : dict of str to class, optional
        Classes of one's own by their names.

    Raises
    ------
    ValueError
        If the text is no such description.
    """
    from ..layers import deserialize
    from .model import Model

    try:
        config = json.loads(json_string)
    except (ValueError, RecursionError) as error:
        raise ValueError(message("model_from_json", "json_string", "be JSON", str(error))) from None
    with custom_objects_known(custom_objects):
        model = deserialize(config)
    if not isinstance(model, Model):
        what = received("json_string", json_string)
        raise ValueError(message("model_from_json", "json_string", "describe a model", what))
    return model
