"""Values: the arrays that exist while a program runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cycnn.program.nodes import Node

Shape = tuple[int, ...]


class Value:
    """An array that exists while a program runs.

    Parameters
    ----------
    shape : tuple of int
        With the batch axis.
    dtype : str
    node : Node or None
        What makes it; None where it comes from outside, and for views.
    root : Value or None
        The value whose memory this one shows in another shape.
    """

    def __init__(self, shape: Shape, dtype: str, node: Node | None = None, root: Value | None = None) -> None:
        self.shape, self.dtype, self.node = tuple(shape), dtype, node
        self.root: Value = self if root is None else root.root
        self.users = 0  # nodes that read it in any shape, counted at the root
        self.kept = False  # whether the caller reads it after the program has run
        self.requires_gradient: bool = root is not None and root.requires_gradient

    def view(self, shape: Shape) -> Value:
        """Return this value's memory seen in another shape."""
        assert math.prod(shape) == math.prod(self.shape)
        return Value(shape, self.dtype, root=self)
