"""Nodes that disappear into their neighbours: each rewrite is a pattern that it looks for and what it puts there.

fold_normalization   act(normalised(conv(x)))   -> one convolution, where the statistics are fixed
absorb_activation    loss(softmax(x))           -> loss from logits; sigmoid likewise
join_sum             normalised(x) + y          -> one step that stores the sum; conv(x) + y likewise
join_activation      act(conv(x))               -> the epilogue of the node before it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cycnn.program import nodes

if TYPE_CHECKING:
    from cycnn.program.graph import Graph
    from cycnn.program.nodes import Node
    from cycnn.program.value import Value


def fuse(graph: Graph) -> None:
    """Remove from the graph the nodes that others do in passing."""
    for rewrite in REWRITES:
        for node in list(graph.nodes):
            rewrite(graph, node)


def _fuses(x: Value) -> bool:
    """Return whether the node that made x can do in passing what its only reader does."""
    return x.node is not None and x.node.fuses and x.node.activation == "linear" and x.users == 1 and not x.kept


def _replace(graph: Graph, node: Node, by: Node) -> None:
    """Let `by`, a node before it, make the output of a node that it does in passing."""
    graph.nodes.remove(node)
    node.out.node, by.out = by, node.out


def fold_normalization(graph: Graph, node: Node) -> None:
    """Multiply a kernel by what the fixed statistics behind it multiply by, where nothing is learnt from either."""
    if not isinstance(node, nodes.FrozenBatchNorm) or (graph.training and node.out.requires_gradient):
        return
    (x,) = node.inputs
    if _fuses(x) and isinstance(x.node, nodes.Convolution) and x.node.norm is None:
        x.node.norm = node
        _replace(graph, node, x.node)


def absorb_activation(graph: Graph, node: Node) -> None:
    """Let a cross-entropy read the logits before the activation that it absorbs: stable, and one pass less."""
    if not isinstance(node, nodes.Loss):
        return
    (y_pred,) = node.inputs
    producer = y_pred.node  # a view has none: its rows are others than the activation's
    if not isinstance(producer, (nodes.Softmax, nodes.Activation)) or producer.name != node.absorbs or node.from_logits:
        return
    if y_pred.users == 1:
        graph.nodes.remove(producer)
        node.inputs, node.probabilities, node.from_logits = producer.inputs, y_pred, True


def join_sum(graph: Graph, node: Node) -> None:
    """Let a normalisation or a convolution add to what it stores a value that was made before it."""
    if not isinstance(node, nodes.Sum) or node.operation != "add" or len(node.inputs) != 2:
        return
    places: dict[Node | None, int] = {None: -1, **{made: i for i, made in enumerate(graph.nodes)}}
    residual, x = sorted(node.inputs, key=lambda value: places[value.root.node])
    maker = x.node
    if maker is not None and maker.adds and maker.residual is None and _fuses(x) and residual.shape == node.shape:
        maker.add(residual)
        _replace(graph, node, maker)


def join_activation(graph: Graph, node: Node) -> None:
    """Apply an activation in the epilogue of the node before it, where nobody else reads what is between them."""
    if not isinstance(node, nodes.Activation):
        return
    (x,) = node.inputs
    if x.node is not None and _fuses(x):
        x.node.activation = node.name
        _replace(graph, node, x.node)


REWRITES = (fold_normalization, absorb_activation, join_sum, join_activation)
