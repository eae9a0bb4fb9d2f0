"""Share of the FMA peak that convolutions reach, forward and backward.

    python -m benchmarks.layers [--isa v4 v3] [--threads 1]

The peak is measured in the same process and in the same rounds, by independent multiply-adds in registers, for one
thread times the number of threads. Parameters are not touched between runs, so packing is not included; it is done
once per step in training.
"""

from __future__ import annotations

import argparse
import importlib
from types import SimpleNamespace

import numpy as np

from benchmarks.timing import alternate, medians
from cycnn import _native
from cycnn._native import Buffer, Memory, Program
from cycnn.shapes import Window, output_size, window

# name: batch, side, channels in, filters, kernel, stride, padding
LAYERS = {
    "3x3 64->64 32x32": (4, 32, 64, 64, 3, 1, "same"),
    "3x3 128->128 16x16": (16, 16, 128, 128, 3, 1, "same"),
    "3x3 64->64 56x56": (2, 56, 64, 64, 3, 1, "same"),
    "3x3 64->128 8x8": (16, 8, 64, 128, 3, 1, "same"),
    "3x3 32->32 32x32": (8, 32, 32, 32, 3, 1, "same"),
    "3x3 32->64 13x13 valid": (32, 13, 32, 64, 3, 1, "valid"),
    "3x3 16->16 32x32": (8, 32, 16, 16, 3, 1, "same"),
    "3x3 3->32 32x32": (8, 32, 3, 32, 3, 1, "same"),
    "3x3 1->32 28x28 valid": (32, 28, 1, 32, 3, 1, "valid"),
    "5x5 6->16 14x14 valid": (64, 14, 6, 16, 5, 1, "valid"),
    "3x3/2 64->128 32x32": (8, 32, 64, 128, 3, 2, "same"),
    "1x1 64->256 28x28": (4, 28, 64, 256, 1, 1, "same"),
}


def steps(kernels: SimpleNamespace, layer: tuple) -> tuple[dict, float]:
    """Return the three programs of a layer and the operations of each."""
    batch, side, channels, filters, kernel_size, stride, padding = layer
    rng = np.random.default_rng(0)
    pair = (kernel_size, kernel_size)
    view: Window = window("layers", pair, (stride, stride), padding, (1, 1), (side, side))
    out_h, out_w = output_size(view, (side, side))
    x, kernel, bias, out = (
        Buffer.of(rng.standard_normal(shape, dtype=np.float32))
        for shape in (
            (batch, side, side, channels),
            (*pair, channels, filters),
            (filters,),
            (batch, out_h, out_w, filters),
        )
    )
    dx, dkernel, dbias = (Buffer.of(np.empty(b.shape, np.float32)) for b in (x, kernel, bias))
    dout = Buffer.of(rng.standard_normal(out.shape, dtype=np.float32))
    made = {
        "forward": kernels.Conv2DForward(x, kernel, bias, out, view, "relu"),
        "input": kernels.Conv2DBackwardInput(dout, kernel, dx, view, "linear", None),
        "kernel": kernels.Conv2DBackwardKernel(x, dout, dkernel, dbias, view),
    }
    for step in made.values():
        step.place_workspace(Memory(step.workspace), 0)
    operations = 2.0 * batch * out_h * out_w * filters * channels * kernel_size**2
    return {name: Program([step]).run for name, step in made.items()}, operations


def main() -> None:
    """Print a table per instruction set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--isa", nargs="+", default=list(_native.supported))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    _native.set_num_threads(arguments.threads)
    for isa in arguments.isa:
        fma = importlib.import_module(f"cycnn._native.{isa}.peak").FmaPeak()
        print(f"\n{isa}, {arguments.threads} thread(s): milliseconds and share of the FMA peak")
        print(f"{'layer':26}{'peak GFLOP/s':>14}{'forward':>18}{'to input':>18}{'to kernel':>18}")
        for name, layer in LAYERS.items():
            runs, operations = steps(_native.kernels("float32", isa), layer)
            times = medians(alternate({**runs, "peak": Program([fma]).run}))
            peak = fma.operations / times["peak"] * arguments.threads
            cells = (f"{times[run] * 1e3:9.3f} ms {operations / times[run] / peak:4.0%}" for run in runs)
            print(f"{name:26}{peak / 1e9:14.0f}{''.join(f'{cell:>18}' for cell in cells)}")


if __name__ == "__main__":
    main()
