"""What layers share that have weights: initializers, regularizers and constraints as arguments, and the making."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import constraints, initializers, regularizers, validation
from ..shapes import Shape, check_size
from ..validation import message, received
from ..variable import Variable
from .base import Layer, activation_name


class WeightedLayer(Layer):
    """Base of layers that multiply by weights, add a bias and apply an activation function.

    A subclass stores the arguments of its kernels with `take`, and tells the shapes of all weights, in Keras's order,
    with `weight_shapes`; the weights become attributes of the same names.
    """

    prefixes: ClassVar[dict[str, str]] = {}  # what the arguments of a weight begin with, where not with its name
    bias: Variable | None

    def __init__(
        self,
        activation: object,
        use_bias: bool,
        bias_initializer: object,
        bias_regularizer: object,
        bias_constraint: object,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.activation = activation_name(self.owner, activation)
        self.use_bias = validation.boolean(self.owner, "use_bias", use_bias)
        self.take("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.channels: int | None = None  # of the input for which the weights were made

    def take(self, prefix: str, initializer: object, regularizer: object, constraint: object) -> None:
        """Store the three arguments of a weight."""
        owner = self.owner
        name = f"{prefix}_initializer"
        setattr(self, name, initializers.get(initializer, owner=owner, name=name))
        name = f"{prefix}_regularizer"
        setattr(self, name, regularizers.get(regularizer, owner=owner, name=name))
        name = f"{prefix}_constraint"
        setattr(self, name, constraints.get(constraint, owner=owner, name=name))

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights by name, but for the bias."""
        raise NotImplementedError

    def bias_size(self, input_shape: Shape) -> int:
        """Return the number of output channels."""
        raise NotImplementedError

    def _shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        weights = self.weight_shapes(input_shape)
        return weights | {"bias": (self.bias_size(input_shape),)} if self.use_bias else weights

    def build(self, input_shape: Shape) -> None:
        self.channels = input_shape[-1]
        for name, shape in self._shapes(input_shape).items():
            prefix = self.prefixes.get(name, name)
            weight = self.add_weight(
                name,
                shape,
                getattr(self, f"{prefix}_initializer"),
                regularizer=getattr(self, f"{prefix}_regularizer"),
                constraint=getattr(self, f"{prefix}_constraint"),
            )
            setattr(self, name, weight)

    def check_weights(self, input_shape: Shape) -> None:
        """Raise ValueError if a weight would be too large, or the weights were made for another input."""
        for name, shape in self.weight_shapes(input_shape).items():
            check_size(self.owner, name, shape)
        if self.channels not in (None, input_shape[-1]):
            rule = f"have {self.channels} channels, for which the layer was built"
            raise ValueError(message(self.owner, "input_shape", rule, f"{input_shape[-1]} channels"))

    def check_divides(self, name: str, divisor: int, what: str, number: int) -> None:
        """Raise ValueError unless the argument `name` divides a number of channels."""
        if number % divisor:
            rule = f"divide the number of {what}, {number}"
            raise ValueError(message(self.owner, name, rule, received(name, divisor)))
