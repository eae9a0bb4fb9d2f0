"""A layer called on arrays: a model of that one layer, made when it is first called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import validation
from .models import Model

if TYPE_CHECKING:
    from .layers.base import Layer


class Part(Model):
    """A model that computes a part of another, or one layer, and leaves the names of layers to that other."""

    def _settle_names(self, layers: list[Layer]) -> None:
        """Names are settled in the user's model."""


def call_on_arrays(layer: Layer, inputs: Any, training: bool) -> Any:
    """Return what a layer computes from a batch.

    Parameters
    ----------
    layer : Layer
    inputs : array_like or list of ndarray
        A list of arrays is taken as several inputs.
    training : bool
        Random layers draw anew at each call.
    """
    from .layers import Input

    nested = isinstance(inputs, (list, tuple)) and all(hasattr(x, "__array__") for x in inputs)
    arrays = [validation.any_array(layer.owner, "inputs", x) for x in (inputs if nested else [inputs])]
    shapes = [array.shape[1:] for array in arrays]
    kept = vars(layer).get("_eager")
    if kept is None or kept[0] != shapes:
        tensors = [Input(shape, dtype=layer.dtype) for shape in shapes]
        outputs = layer(tensors if nested else tensors[0])
        layer.calls.pop()  # nothing is to be drawn from it
        kept = vars(layer)["_eager"] = [shapes, Part(tensors if nested else tensors[0], outputs), 0]
    model = kept[1]
    kept[2] += training
    result = model.compute(arrays, training=training, step=kept[2])
    return [np.asarray(array) for array in result] if isinstance(result, list) else result
