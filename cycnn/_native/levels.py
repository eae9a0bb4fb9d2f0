"""Which instruction sets there are, and which families need no build for every one of them.

Read by `setup.py` before anything is compiled, so it imports nothing.
"""

# Best first.
LEVELS = ("v4", "v3", "v2", "neon", "portable")

# Families that are a small part of any step, or compute in double precision for checks: the build for the lowest
# instruction set that there is serves all, which keeps the wheel within 3 MB.
BASELINE = frozenset(
    {
        "adjust",
        "affine",
        "augment",
        "fold",
        "losses",
        "losses_crossentropy",
        "losses_elementwise",
        "losses_focal",
        "losses_rows",
        "plain",
        "prelu",
        "regularizers",
        "resize",
    }
)

# Families that wait for memory: their v3 build serves v4 too. Training steps of three networks (mnist_cnn, resnet20,
# and mobilenet of width 0.25) took the same time with those of them that they use built for v4 and for v3.
NARROW = frozenset(
    {
        "combine",
        "noise",
        "normalize_rows",
        "optimizers",
        "pool2d",
        "pool2d_backward",
        "rearrange",
        "softmax",
    }
)


def level_of(family: str, isa: str, lowest: str) -> str:
    """Return the instruction set that a family is built for where `isa` is chosen, and `lowest` is the lowest built."""
    if family in BASELINE:
        return lowest
    return "v3" if isa == "v4" and family in NARROW else isa
