"""Symbolic tensors: what layers are called on while a network is being drawn.

A `Tensor` knows its shape and the `Call` of a layer that makes it; a call knows its layer, what it was called on, and
what came out. Following the calls backwards from a tensor gives the network that computes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .validation import message

if TYPE_CHECKING:
    from .layers.base import Layer
    from .shapes import Shape


class Call:
    """One use of a layer.

    Attributes
    ----------
    layer : Layer
    inputs : list of Tensor
    nested : bool
        Whether the layer was called on a list, even if of one tensor.
    outputs : list of Tensor
    """

    def __init__(self, layer: Layer, inputs: list[Tensor], nested: bool) -> None:
        self.layer, self.inputs, self.nested = layer, inputs, nested
        self.outputs: list[Tensor] = []

    @property
    def arguments(self) -> Any:
        """What the layer was called on: a tensor, or a list of them."""
        return self.inputs if self.nested else self.inputs[0]

    @property
    def input_shapes(self) -> Any:
        """The shape of what the layer was called on, or the list of them."""
        shapes = [tensor.shape for tensor in self.inputs]
        return shapes if self.nested else shapes[0]


class Tensor:
    """An array that a network will compute, for a batch of open size.

    Attributes
    ----------
    shape : tuple
        The first extent, the batch, is None.
    dtype : str
    call : Call
        What makes it.
    """

    def __init__(self, shape: Shape, dtype: str, call: Call) -> None:
        self.shape, self.dtype, self.call = tuple(shape), dtype, call

    @property
    def name(self) -> str:
        """The name of the layer that makes it."""
        return self.call.layer.name

    def __add__(self, other: object) -> Tensor:
        return _merge("Add", self, other, scale=1.0, sign=1.0)

    def __radd__(self, other: object) -> Tensor:
        return _merge("Add", self, other, scale=1.0, sign=1.0)

    def __sub__(self, other: object) -> Tensor:
        return _merge("Subtract", self, other, scale=1.0, sign=-1.0)

    def __rsub__(self, other: object) -> Tensor:
        return _merge("Subtract", self, other, scale=-1.0, sign=1.0)

    def __mul__(self, other: object) -> Tensor:
        return _merge("Multiply", self, other)

    def __rmul__(self, other: object) -> Tensor:
        return _merge("Multiply", self, other)

    def __truediv__(self, other: object) -> Tensor:
        if isinstance(other, bool) or not isinstance(other, (int, float)) or other == 0:
            what = f"other={other!r}"
            raise TypeError(message("Tensor", "other", "be a number other than 0 to divide by", what))
        return _merge("Multiply", self, 1 / other)

    def __neg__(self) -> Tensor:
        return _merge("Multiply", self, -1.0)

    def __repr__(self) -> str:
        return f"<Tensor of {self.name!r}, shape={self.shape}>"

    def __array__(self, *arguments: Any, **named: Any) -> Any:
        rule = "be an array of numbers, and a symbolic tensor has none yet"
        raise TypeError(message("Tensor", "x", rule, repr(self), "Make a Model of it and call that."))


def _merge(name: str, x: Tensor, other: object, scale: float | None = None, sign: float = 1.0) -> Tensor:
    """Return the layer `name` of two tensors, or the rescaling by a number that it amounts to."""
    from . import layers

    if isinstance(other, Tensor):
        merged: Tensor = getattr(layers, name)(dtype=x.dtype)([x, other])
        return merged
    if isinstance(other, bool) or not isinstance(other, (int, float)):
        rule = "be a Tensor or a number"
        raise TypeError(message("Tensor", "other", rule, f"other of type {type(other).__name__}"))
    factor, offset = (float(other), 0.0) if scale is None else (scale, sign * other)
    rescaled: Tensor = layers.Rescaling(factor, offset, dtype=x.dtype)(x)
    return rescaled


def call_layer(layer: Layer, inputs: Any) -> Any:
    """Call a layer on a tensor or a list of them; return the tensor or the list that comes out."""
    nested = isinstance(inputs, (list, tuple))
    tensors = list(inputs) if nested else [inputs]
    for tensor in tensors:
        if tensor.dtype != layer.dtype:
            rule = f"have the dtype of the layer {layer.name!r}, {layer.dtype}"
            raise ValueError(message(layer.owner, "inputs", rule, f"{tensor!r} of dtype {tensor.dtype}"))
    shapes = [tensor.shape for tensor in tensors] if nested else tensors[0].shape
    try:
        output_shapes = layer.ensure_built(shapes)
    except (TypeError, ValueError) as error:
        behind = ", ".join(repr(tensor.name) for tensor in tensors)
        error.args = (f"{error} The layer is {layer.name!r}, called on {behind}.",)
        raise
    call = Call(layer, tensors, nested)
    several = isinstance(output_shapes, list)
    call.outputs = [Tensor(shape, layer.dtype, call) for shape in (output_shapes if several else [output_shapes])]
    layer.calls.append(call)
    return call.outputs if several else call.outputs[0]


def trace(inputs: list[Tensor], outputs: list[Tensor], owner: str) -> tuple[list[Call], list[Layer]]:
    """Return what lies between inputs and outputs.

    Returns
    -------
    calls : list of Call
        In an order in which they can be computed.
    layers : list of Layer
        In Keras's order: the longest way to an output first, then as met on the way back from the outputs.

    Raises
    ------
    ValueError
        If an output depends on an `Input` that is none of `inputs`.
    """
    calls: list[Call] = []
    met: dict[Layer, int] = {}
    done: set[Call] = set()
    given = {id(tensor) for tensor in inputs}
    for output in outputs:
        stack = [(output, False)]
        while stack:
            tensor, leaving = stack.pop()
            call = tensor.call
            if leaving:
                if call not in done:
                    done.add(call)
                    calls.append(call)
                continue
            if call in done:
                continue
            met.setdefault(call.layer, len(met))
            if not call.inputs:
                if id(tensor) not in given:
                    rule = f"lead back to `inputs` alone, but also depend on the input {tensor.name!r}"
                    raise ValueError(message(owner, "outputs", rule, f"outputs made by {[o.name for o in outputs]}"))
                done.add(call)
                calls.append(call)
            elif id(tensor) not in given:
                stack.append((tensor, True))
                stack += [(x, False) for x in reversed(call.inputs)]
    depths: dict[Call, int] = {}
    layer_depths: dict[Layer, int] = {}
    for call in reversed(calls):
        depth = max(depths.get(call, 0), layer_depths.get(call.layer, 0))
        depths[call] = layer_depths[call.layer] = depth
        for x in call.inputs:
            depths[x.call] = max(depth + 1, depths.get(x.call, 0))
    for tensor in inputs:
        if not tensor.call.inputs:  # an Input that no output depends on
            layer_depths.setdefault(tensor.call.layer, 0)
    layers = sorted(layer_depths, key=lambda layer: (-layer_depths[layer], met.get(layer, -1)))
    return calls, layers
