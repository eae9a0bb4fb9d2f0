"""Which instruction sets there are, and which families need no build for every one of them.

Read by `setup.py` before anything is compiled, so it imports nothing.
"""

# Best first.
LEVELS = ("v4", "v3", "v2", "neon", "portable")

# Families that wait for memory, or run once an epoch, or in double precision for checks: their v3 build serves v4 too,
# which keeps the wheel small.
NARROW = frozenset(
    {
        "adjust",
        "affine",
        "augment",
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


def level_of(family: str, isa: str) -> str:
    """Return the instruction set that a family is built for where `isa` is chosen."""
    return "v3" if isa == "v4" and family in NARROW else isa
