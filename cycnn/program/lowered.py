"""A model lowered for one batch size and mode: native steps bound to memory, and their inputs and outputs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cycnn._native import Buffer, Program, kernels
from cycnn.program.emission import Emission
from cycnn.program.fusion import fuse
from cycnn.program.graph import Graph
from cycnn.program.value import Value

if TYPE_CHECKING:
    from cycnn.models import Sequential


class Lowered:
    """A program ready to run.

    Attributes
    ----------
    output : ndarray
        The predictions of the last run; written over by the next.
    losses : ndarray or None
        One loss per row of the predictions.
    gradients : list of ndarray
        Of the mean loss, in the order of the model's trainable variables (mode "gradients").
    key : ndarray of uint64
        The number of the step, second of two, from which dropout draws; the seed is the layer's.
    nbytes : int
        Size of the arena.
    lock : threading.Lock
        Held during `run`; to be held by who reads the outputs while other threads may run the program.
    """

    def __init__(self, graph: Graph, emission: Emission, x: Value, output: Value, gradients: list[Value]) -> None:
        memory = emission.place()
        self.nbytes: int = memory.nbytes
        self.lock = threading.RLock()
        self.program = Program(emission.steps)
        self.key = np.zeros(2, np.uint64)
        self._x, self._y = emission.views(x), emission.views(graph.targets)
        _bind(emission.views(graph.key), self.key)
        self.output = np.asarray(emission.buffers[output])
        self.losses = None if graph.losses is None else np.asarray(emission.buffers[graph.losses])
        self.gradients = [np.asarray(emission.buffers[gradient]) for gradient in gradients]

    def run(self, x: NDArray[Any], y: NDArray[Any] | None = None) -> None:
        """Run on a batch, which is read in place.

        Parameters
        ----------
        x : ndarray
            C-contiguous, of exactly the shape and dtype that the program was lowered for.
        y : ndarray, optional
            The targets, likewise; for every mode but "predict".
        """
        with self.lock:
            _bind(self._x, x)
            if y is not None:
                _bind(self._y, y)
            self.program.run()

    def predict(self, x: NDArray[Any], out: NDArray[Any]) -> None:
        """Run on a batch and copy the predictions to `out`."""
        with self.lock:
            self.run(x)
            out[...] = self.output


def _bind(buffers: list[Buffer], array: NDArray[Any]) -> None:
    """Let a value from outside be `array`."""
    for buffer in buffers:
        buffer.bind(array.reshape(buffer.shape))


def lower(model: Sequential, batch_size: int, mode: str, input_dtype: str) -> Lowered:
    """Lower a built model to a program.

    Parameters
    ----------
    model : Sequential
    batch_size : int
    mode : {"predict", "evaluate", "train", "gradients"}
        How far to go: predictions; losses too; gradients and updates too; gradients without updates.
    input_dtype : str
        Of the batches that will be bound.

    Returns
    -------
    Lowered
    """
    training = mode in ("train", "gradients")
    graph = Graph(model.dtype, training)
    x = graph.input((batch_size, *model.input_shape[1:]), input_dtype)
    output = model.lower(graph, x)
    if output.root is x:  # a model that only reshapes
        output = graph.rescale(output, 1.0, 0.0)
    if mode != "predict":
        assert model.loss is not None
        model.loss.lower(graph, output)
    fuse(graph)
    emission = Emission(kernels(model.dtype), training)
    for node in graph.nodes:
        node.forward(emission)
    gradients = _emit_backward(model, graph, emission, mode) if training else []
    outside = [value for value in (x, graph.targets, graph.key) if value is not None]
    emission.outside.update(value.root for value in outside)
    for value in (x, output, graph.losses, graph.targets, *gradients):
        if value is not None:
            emission.use(value)  # to the end
    return Lowered(graph, emission, x, output, gradients)


def _emit_backward(model: Sequential, graph: Graph, emission: Emission, mode: str) -> list[Value]:
    """Emit the nodes' backward steps in reverse, then the updates; return the gradients of the parameters."""
    for node in reversed(graph.nodes):
        if node.out.requires_gradient:
            node.backward(emission)
    gradients = []
    for variable in model.trainable_variables:
        gradient = emission.gradient(variable)
        if mode == "train":
            assert model.optimizer is not None
            emission.append(model.optimizer.update_step(emission.kernels, variable, emission.use(gradient)))
        gradients.append(gradient)
    return gradients if mode == "gradients" else []
