"""A layer lowered alone: its output, and the gradients of its inputs for a given gradient of its output."""

import numpy as np

from cycnn._native import Program, kernels
from cycnn.program.emission import Emission
from cycnn.program.fusion import fuse
from cycnn.program.graph import Graph


def directional_error(layer, *xs, seed=0, activation="linear"):
    """Return how far the gradients of a layer are from a central difference along one random direction, relatively."""
    rng = np.random.default_rng(seed)
    out = run(layer, *xs, activation=activation)
    dout = rng.standard_normal(out.shape)
    _, gradients = run(layer, *xs, dout=dout, activation=activation)
    ways = [rng.standard_normal(x.shape) for x in xs]
    ends = [
        run(layer, *(x + h * way for x, way in zip(xs, ways, strict=True)), activation=activation)
        for h in (1e-6, -1e-6)
    ]
    expected = np.sum(dout * (ends[0] - ends[1])) / 2e-6
    actual = sum(np.sum(gradient * way) for gradient, way in zip(gradients, ways, strict=True))
    return abs(actual - expected) / max(abs(expected), 1.0)


def run(layer, *xs, dout=None, activation="linear", variables=()):
    """Return ``layer(*xs)``, with an activation behind it; with `dout` also the gradients of inputs that are floats,
    and of `variables`.

    Inputs are checked to be what they were.
    """
    graph = Graph(layer.dtype, training=dout is not None)
    inputs = [graph.input(x.shape, x.dtype.name) for x in xs]
    for value, x in zip(inputs, xs, strict=True):
        value.requires_gradient = x.dtype.kind == "f"
    out = layer.lower(graph, inputs if len(inputs) > 1 else inputs[0])
    out = graph.activation(out, activation)
    out.root.kept = True
    fuse(graph)
    emission = Emission(kernels(layer.dtype), dout is not None)
    for node in graph.nodes:
        node.forward(emission)
        emission.settle()
    gradients = []
    if dout is not None:
        total = emission.share(out)
        emission.use(total)
        emission.finish(out, total)
        for node in reversed(graph.nodes):
            if node.out.requires_gradient and node.out.root in emission.gradients:
                node.backward(emission)
                emission.settle()
        gradients = [emission.gradient(value) for value in inputs if value.requires_gradient]
        gradients += [emission.gradient(variable) for variable in variables]
    outside = [*inputs, *([total] if dout is not None else [])]
    for value in (*outside, out, *gradients):
        emission.use(value)
    emission.outside.update(value.root for value in outside)
    emission.place()
    arrays = [np.ascontiguousarray(x).copy() for x in (*xs, *([dout] if dout is not None else []))]
    for value, array in zip(outside, arrays, strict=True):
        for buffer in emission.views(value):
            buffer.bind(array.reshape(buffer.shape))
    Program(emission.steps).run()
    result = np.array(emission.buffers[out])
    for x, array in zip(xs, arrays, strict=False):
        np.testing.assert_array_equal(x, array)
    if dout is None:
        return result
    return result, [np.array(emission.buffers[gradient]) for gradient in gradients]
