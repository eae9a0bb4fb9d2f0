"""Nodes that disappear into their neighbours: activations into convolutions, softmax and sigmoid into losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cycnn.program import nodes

if TYPE_CHECKING:
    from cycnn.program.graph import Graph


def fuse(graph: Graph) -> None:
    """Remove from the graph the nodes that others do in passing."""
    for node in graph.nodes:
        if isinstance(node, nodes.Loss):
            _absorb_activation(graph, node)
    for node in list(graph.nodes):
        if isinstance(node, nodes.Activation):
            _join_producer(graph, node)


def _absorb_activation(graph: Graph, loss: nodes.Loss) -> None:
    """Let a cross-entropy read the logits before the activation that it absorbs: stable, and one pass less."""
    (y_pred,) = loss.inputs
    producer = y_pred.node  # a view has none: its rows are others than the activation's
    if not isinstance(producer, (nodes.Softmax, nodes.Activation)) or producer.name != loss.absorbs or loss.from_logits:
        return
    if y_pred.users == 1:
        graph.nodes.remove(producer)
        loss.inputs, loss.probabilities, loss.from_logits = producer.inputs, y_pred, True


def _join_producer(graph: Graph, node: nodes.Activation) -> None:
    """Apply an activation in the epilogue of the node before it, where nobody else reads what is between them."""
    (x,) = node.inputs
    producer = x.node
    if producer is not None and producer.fuses and producer.activation == "linear" and x.users == 1 and not x.kept:
        graph.nodes.remove(node)
        producer.activation = node.name
        node.out.node, producer.out = producer, node.out
