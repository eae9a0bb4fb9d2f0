"""A way to write a layer of one's own in Python: forward and backward on NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..program import nodes
from ..validation import message, received
from .base import Layer

if TYPE_CHECKING:
    from ..program import Graph, Value


class PythonLayer(Layer):
    """Base of layers whose computation is written in Python.

    A subclass has `forward` and `backward`; `build`, with `add_weight`, if it has parameters; and
    `compute_output_shape` if the shape changes. Constructor arguments listed in `arguments` are stored under the same
    names, and make the configuration with which the layer is saved; `load_model(path, custom_objects={"Name": Name})`
    finds the class again.

    Parameters
    ----------
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Examples
    --------
    >>> class Scale(PythonLayer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight("factor", input_shape[-1:], "ones")
    ...
    ...     def forward(self, x, training):
    ...         return x * self.factor.value
    ...
    ...     def backward(self, x, y, dy):
    ...         axes = tuple(range(x.ndim - 1))
    ...         return dy * self.factor.value, [(dy * x).sum(axes)]
    >>> Scale()(np.ones((1, 2), "float32"))
    array([[1., 1.]], dtype=float32)
    """

    def forward(self, x: NDArray[Any], training: bool) -> NDArray[Any]:
        """Return the output for a batch.

        Parameters
        ----------
        x : ndarray
            The input; it may not be changed or kept.
        training : bool
            Whether a step of training follows.
        """
        raise NotImplementedError(f"{type(self).__name__}: a layer in Python must have the method `forward`.")

    def backward(self, x: NDArray[Any], y: NDArray[Any], dy: NDArray[Any]) -> tuple[NDArray[Any], list[NDArray[Any]]]:
        """Return the gradients with respect to the input and to each trainable parameter.

        Parameters
        ----------
        x, y : ndarray
            The input, and what `forward` has made of it.
        dy : ndarray
            The gradient of the loss with respect to `y`.

        Returns
        -------
        dx : ndarray of the shape of `x`
        gradients : list of ndarray
            One for each parameter that can be trained, in the order in which they were added.
        """
        raise NotImplementedError(f"{type(self).__name__}: a layer in Python must have the method `backward`.")

    def lower(self, graph: Graph, x: Value) -> Value:
        shape = self.compute_output_shape((None, *x.shape[1:]))
        parameters = tuple(variable for variable in self.variables if variable.learnable)
        return graph.add(nodes.PythonCall(x, (x.shape[0], *shape[1:]), self, parameters, graph.training))

    def call_forward(self, x: NDArray[Any], out: NDArray[Any], training: bool) -> None:
        """Store what `forward` returns, if it has the right shape."""
        out[...] = self._checked("forward", self.forward(x, training), out)

    def call_backward(
        self, x: NDArray[Any], y: NDArray[Any], dy: NDArray[Any], dx: NDArray[Any] | None, into: list[NDArray[Any]]
    ) -> None:
        """Store what `backward` returns, likewise."""
        gradient, gradients = self.backward(x, y, dy)
        if len(gradients) != len(into):
            rule = f"return {len(into)} gradients of parameters"
            raise ValueError(message(self.owner, "backward", rule, received("len(gradients)", len(gradients))))
        if dx is not None:
            dx[...] = self._checked("backward", gradient, dx)
        for to, value in zip(into, gradients, strict=True):
            to[...] = self._checked("backward", value, to)

    def _checked(self, name: str, value: object, like: NDArray[Any]) -> NDArray[Any]:
        array = np.asarray(value)
        if array.shape != like.shape:
            rule = f"return an array of the shape {like.shape}"
            raise ValueError(message(self.owner, name, rule, f"an array of the shape {array.shape}"))
        return array
