"""Compiled code: the loops of cycnn, built once per instruction set, and the choice between the builds.

This package knows loops, vectors and threads. Nothing of the user's is validated here, and nothing is allocated while a
program runs, but for scratch memory that a thread keeps.

Once for the process:

`runtime`         buffers, memory, steps and programs: what a lowered model is made of
`threads`         the thread pool (`pool.c`)
`cpu`             which instruction sets may run here

Once per instruction set, as `cycnn._native.<instruction set>.<family>`; `levels.py` says which are built for fewer:

`conv2d`          convolution by register tiles, float32: forward and gradient to the input
`conv2d_scatter`  its gradient to an input of few channels
`conv2d_kernel`   its gradient to the kernel and the bias
`gradient_tiles`  the tiles of that gradient
`winograd`        Winograd's convolution of 3x3 taps, float32: forward and gradient to the input
`winograd_kernel`  its gradient to the kernel and the bias
`correlation`     what they share: packed kernels, and the tiles of `tiles.pxd`
`plain`           convolution as plain loops: float64, and the yardstick of the tiles
`depthwise`       depthwise convolution: forward and gradient to the input
`depthwise_windows`  the same for 3x3 windows, float32
`depthwise_kernel`  its gradient to the kernel and the bias, float32
`pool2d`          maximum and average pooling
`pool2d_backward`  their gradients
`adjust`          contrast, brightness and normalization
`affine`          images rotated, shifted and scaled
`augment`         flips, crops, erased rectangles, mixtures; random numbers for each image
`elementwise`     activations that convolutions can apply in passing, rescaling
`pointwise`       activations whose derivative needs what went in
`prelu`           rectification with learned slopes
`softmax`         softmax and its logarithm over an axis
`noise`           dropout and normal noise
`combine`         sums, products and extremes of several arrays
`rearrange`       copies, sums and fills through strides
`resize`          weighted sums along rows and columns: resized images
`losses`          what all losses have in common: weights, smoothed targets, rows to be ignored
`losses_...`      losses and their gradients: cross-entropies, focal ones, functions of single numbers or of whole rows
`channels`        rows of channels: how sums over the rows, and maps, are divided
`normalize`       statistics of channels over rows, and the affine map that applies them
`normalize_backward`  its gradients
`normalize_rows`  normalisation of each row by its own statistics, and its gradients
`fold`            normalisation by fixed statistics folded into the kernel before it
`optimizers`      parameter updates
`regularizers`    penalties on the size of numbers
`peak`            the most that a core can multiply and add, read and write, for benchmarks

A dense layer is a 1x1 convolution whose image is the batch, so matrices need no family of their own.

Legend of the extents: images are N x IH x IW x IC, outputs N x OH x OW x OC, kernels KH x KW x IC x OC; lower case
letters are the loop variables over them.
"""

import importlib
import os
from functools import cache
from types import SimpleNamespace

try:
    from . import cpu, threads
    from .runtime import Buffer, Memory, Pieces, Program, Step
except ImportError as error:
    raise ImportError(
        "cycnn's compiled extensions are missing: this looks like a source checkout that was not built. "
        f"Run `pip install .` in it, and start Python in another folder. ({error})"
    ) from error

from .levels import LEVELS, level_of
from .limits import available_cpus, default_threads

__all__ = [
    "Buffer",
    "Memory",
    "Pieces",
    "Program",
    "Step",
    "built",
    "get_num_threads",
    "isa",
    "kernels",
    "run_step",
    "set_num_threads",
    "supported",
]

LOSSES = ("losses_crossentropy", "losses_elementwise", "losses_focal", "losses_rows")
NORMALIZE = ("normalize", "normalize_backward", "normalize_rows")
FAMILIES = (
    "conv2d",
    "conv2d_kernel",
    "winograd",
    "winograd_kernel",
    "depthwise",
    "depthwise_kernel",
    "pool2d",
    "pool2d_backward",
    "elementwise",
    "adjust",
    "affine",
    "augment",
    "pointwise",
    "prelu",
    "softmax",
    "noise",
    "combine",
    "rearrange",
    "resize",
    *LOSSES,
    *NORMALIZE,
    "fold",
    "optimizers",
    "regularizers",
)
TILED = ("conv2d", "conv2d_kernel", "winograd", "winograd_kernel", "depthwise_kernel")
PLAIN_FAMILIES = ("plain", *(family for family in FAMILIES if family not in TILED))

built = tuple(level for level in LEVELS if os.path.isdir(os.path.join(os.path.dirname(__file__), level)))
supported = tuple(level for level in cpu.supported() if level in built)


def _choose_isa() -> str:
    """Return the best instruction set that is built and supported, or the one that CYCNN_ISA asks for."""
    asked = os.environ.get("CYCNN_ISA")
    if asked and asked not in supported:
        raise ImportError(
            f"CYCNN_ISA must name an instruction set that is built and that this CPU supports: "
            f"{', '.join(supported)}. Received: CYCNN_ISA={asked!r}."
        )
    if not supported:
        raise ImportError(f"cycnn was built for {', '.join(built) or 'nothing'}; this CPU supports none of it.")
    return asked or supported[0]


isa = _choose_isa()


@cache
def kernels(dtype: str = "float32", isa: str = isa, plain: bool = False) -> SimpleNamespace:
    """Return the step classes for a dtype: register tiles for float32, plain loops for float64.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    isa : str, optional
        One of `supported`; by default the one chosen at import.
    plain : bool, optional
        Use the plain loops for float32 too, as the tests do.
    """
    families = PLAIN_FAMILIES if plain or dtype == "float64" else FAMILIES
    levels = [level_of(family, isa, built[-1]) for family in families]
    modules = [
        importlib.import_module(f"cycnn._native.{level}.{family}")
        for level, family in zip(levels, families, strict=True)
    ]
    return SimpleNamespace(
        **{
            name: value
            for module in modules
            for name, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, Step) and value is not Step
        }
    )


def run_step(step: Step) -> None:
    """Run one step now, with a workspace of its own."""
    if step.workspace:
        step.place_workspace(Memory(step.workspace), 0)
    Program([step]).run()


def set_num_threads(n: int) -> None:
    """Use `n` threads, the calling one among them, from now on."""
    threads.resize(n, available_cpus())


def get_num_threads() -> int:
    """Return the number of threads that work is divided among, the calling one among them."""
    return threads.size()


set_num_threads(default_threads())
