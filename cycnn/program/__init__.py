"""The program: a model lowered, once per batch size and mode, to a flat list of fused native steps.

`value`    an array that exists while a program runs
`graph`    what is computed: values and the nodes between them, recorded by the layers
`nodes`    what each kind of node emits, forward and backward
`fusion`   which nodes disappear into their neighbours
`learning` gradients, and what is done with them: penalties and updates
`arena`    where in one block of memory each value lives, planned from its first and last use
`lowered`  the result: native steps bound to memory, and their inputs and outputs

An image enters as the graph's input value, passes the forward steps in order, becomes losses in the loss step; the
backward steps follow in reverse order, each parameter's update behind its gradient.
"""

from cycnn.program.graph import Graph
from cycnn.program.lowered import Lowered, lower
from cycnn.program.value import Value

__all__ = ["Graph", "Lowered", "Value", "lower"]
