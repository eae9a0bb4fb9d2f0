"""A model lowered for one batch size and mode: native steps bound to memory, and their inputs and outputs."""

from __future__ import annotations

import itertools
import operator
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cycnn._native import Buffer, Pieces, Program, Step, kernels
from cycnn.program import nodes
from cycnn.program.emission import Emission
from cycnn.program.fusion import fuse
from cycnn.program.graph import Graph
from cycnn.program.learning import Learning
from cycnn.program.value import Value
from cycnn.variable import Variable

if TYPE_CHECKING:
    from cycnn.models import Model

Arrays = Sequence[NDArray[Any]]


class Lowered:
    """A program ready to run.

    Attributes
    ----------
    outputs : list of ndarray
        The predictions of the last run; written over by the next.
    losses : list of ndarray
        For each output that has a loss, one number per row of the predictions, weighted.
    penalties : list of ndarray
        Numbers to be added to the mean losses: what regularizers ask for.
    gradients : dict of Variable to ndarray
        Of the sum of mean losses and penalties (mode "gradients").
    key : ndarray of uint64
        The number of the step, second of two, from which random layers draw; the seed is the layer's.
    steps, makers : tuple
        Native steps and Python functions in order, and the node that emitted each; None for what comes last.
    whole : Program or None
        All steps as one, if no Python functions stand between them.
    rows : int
        Of the batch; where predictions are asked for more, they come in pieces of so many.
    nbytes : int
        Size of the arena.
    lock : threading.RLock
        Held during `run`; to be held by who reads the outputs while other threads may run the program.
    """

    def __init__(
        self,
        graph: Graph,
        emission: Emission,
        inputs: list[Value],
        outputs: list[Value],
        gradients: dict[Variable, Value],
    ) -> None:
        memory = emission.place()
        self.rows = inputs[0].shape[0]
        self.nbytes: int = memory.nbytes
        self.lock = threading.RLock()
        self.steps, self.makers = tuple(emission.steps), tuple(emission.makers)
        native = [step for step in self.steps if isinstance(step, Step)]
        self.whole = Program(native) if len(native) == len(self.steps) else None
        self._parts = [self.whole.run] if self.whole else _parts(emission.steps)
        self.key = np.zeros(2, np.uint64)
        self._inputs = [emission.views(value) for value in inputs]
        self._targets = [emission.views(node.targets) for node in graph.losses]
        self._weights = [emission.views(node.weights) for node in graph.losses]
        _bind([emission.views(graph.key)], [self.key])

        def array(value: Value) -> NDArray[Any]:
            return np.asarray(emission.buffers[value])

        self._results = [emission.buffers[value] for value in outputs]
        self.outputs = [array(value) for value in outputs]
        self.losses = [array(node.out) for node in graph.losses]
        self._scales = [node.multiple for node in graph.losses]
        self.penalties = [array(value) for value in graph.penalties]
        self.gradients = {variable: array(value) for variable, value in gradients.items()}

    def run(self, x: Arrays, y: Arrays = (), weights: Sequence[NDArray[Any] | None] = ()) -> None:
        """Run on a batch, which is read in place.

        Parameters
        ----------
        x : list of ndarray
            C-contiguous, of exactly the shapes and dtypes that the program was lowered for.
        y : list of ndarray
            The targets of the outputs that have a loss, likewise; for every mode but "predict" and "call".
        weights : list of ndarray or None
            As many, of a number for each row of the predictions, where the program was lowered with weights.
        """
        with self.lock:
            _bind(self._inputs, x)
            if y:
                _bind(self._targets, y)
                _bind(self._weights, weights)
            self.run_again()

    def run_again(self) -> None:
        """Run on the arrays of the last run, with what stands in them now."""
        for part in self._parts:
            part()

    def blank_targets(self) -> list[NDArray[Any]]:
        """Return zeros of the shapes and types of the targets."""
        return [np.zeros(buffers[0].shape, buffers[0].dtype) for buffers in self._targets]

    def blank_outputs(self, rows: int) -> list[NDArray[Any]]:
        """Return new arrays for the predictions of so many rows."""
        return [np.empty((rows, *output.shape[1:]), output.dtype) for output in self.outputs]

    def sums(self) -> list[float]:
        """Return the sums of the losses of all rows, one for each output that has a loss."""
        return [float(np.add.reduce(losses, None, np.float64)) for losses in self.losses]

    def total(self, sums: list[float]) -> float:
        """Return the number that was minimised: the weighted sum of the mean losses, and the penalties."""
        means = [total / losses.size for total, losses in zip(sums, self.losses, strict=True)]
        return float(sum(map(operator.mul, self._scales, means))) + sum(float(penalty[0]) for penalty in self.penalties)

    def lane(self) -> tuple[Program, list[tuple[Buffer, int]], list[Buffer]]:
        """Return the program, what it reads and of which input, and what it computes."""
        assert self.whole is not None
        reads = [(buffer, i) for i, buffers in enumerate(self._inputs) for buffer in buffers]
        return self.whole, reads, self._results


def predictions(programs: list[Lowered], x: Arrays) -> list[NDArray[Any]]:
    """Return new arrays of the predictions for a batch, by one program or several of a kind, whose locks are held."""
    out = programs[0].blank_outputs(len(x[0]))
    predict(programs, x, out)
    return out


def predict(programs: list[Lowered], x: Arrays, out: Arrays) -> None:
    """Copy the predictions for a batch to `out`: piece by piece, where the programs are of fewer rows.

    Several programs take the pieces in turn, each on a thread of its own; one alone divides its steps among threads.
    """
    first, rows = programs[0], len(x[0])
    if rows == first.rows:
        first.run(x)
        for to, output in zip(out, first.outputs, strict=True):
            to[...] = output
    else:
        lanes, inputs, outputs = map(list, zip(*(program.lane() for program in programs), strict=True))
        Program([Pieces(lanes, inputs, outputs, list(x), list(out), rows // first.rows)]).run()


def _parts(steps: list[Step | Callable[[], None]]) -> list[Callable[[], None]]:
    """Return what to call in order: native steps in a row as one program, Python functions between them."""
    parts: list[Callable[[], None]] = []
    for native, group in itertools.groupby(steps, lambda step: isinstance(step, Step)):
        members: list[Any] = list(group)
        parts += [Program(members).run] if native else members
    return parts


def _bind(values: list[list[Buffer]], arrays: Sequence[NDArray[Any] | None]) -> None:
    """Let each value from outside, seen in several shapes perhaps, be an array."""
    for buffers, array in zip(values, arrays, strict=False):
        for buffer in buffers:
            assert array is not None
            buffer.bind(array if array.shape == buffer.shape else array.reshape(buffer.shape))


def lower(
    model: Model, batch_size: int, mode: str, input_dtypes: Sequence[str], weighted: Sequence[bool] = ()
) -> Lowered:
    """Lower a built model to a program.

    Parameters
    ----------
    model : Model
    batch_size : int
    mode : {"predict", "call", "evaluate", "train", "gradients"}
        How far to go: predictions; predictions as in training; losses too; gradients and updates too; gradients
        without updates.
    input_dtypes : list of str
        Of the batches that will be bound.
    weighted : list of bool
        Which of the losses get weights of rows; none of them by default.

    Returns
    -------
    Lowered
    """
    backward = mode in ("train", "gradients")
    learning = mode not in ("predict", "call")
    graph = Graph(model.dtype, backward or mode == "call", learning)
    shapes = zip(model.input_shapes, input_dtypes, strict=True)
    inputs = [graph.input((batch_size, *shape[1:]), dtype) for shape, dtype in shapes]
    outputs = [_own(graph, inputs, output) for output in model.lower_all(graph, inputs)]
    if learning:
        graph.layer_name = "loss"
        for objective, flag in zip(model.objectives, weighted or [False] * len(model.objectives), strict=True):
            objective.loss.lower(graph, outputs[objective.output], objective.weight, flag)
    fuse(graph)
    emission = Emission(kernels(model.dtype), backward)
    for node in graph.nodes:
        emission.node = node
        node.forward(emission)
        emission.settle()
    emission.node = None
    gradients = Learning(model, graph, emission).emit(mode) if learning else {}
    if mode in ("train", "call"):  # moving statistics follow whatever the model does as in training
        emission.emit_last()
    outside = [*inputs, graph.key, *(value for node in graph.losses for value in (node.targets, node.weights) if value)]
    emission.outside.update(value.root for value in outside)
    for value in (*outside, *outputs, *(node.out for node in graph.losses), *graph.penalties, *gradients.values()):
        emission.use(value)  # to the end
    return Lowered(graph, emission, inputs, outputs, gradients)


def _own(graph: Graph, inputs: list[Value], output: Value) -> Value:
    """Return an output that is kept and is none of the inputs, which belong to the caller."""
    if any(output.root is value for value in inputs):
        output = graph.add(nodes.Rescale(output, 1.0, 0.0))
    output.root.kept = True
    return output
