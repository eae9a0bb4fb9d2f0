"""Share of the FMA peak that the convolutions of the networks reach, forward and backward, by algorithm.

    python -m benchmarks.layers [--networks resnet20 ...] [--isa v4 v3] [--threads 1] [--kept] [--json FILE]

Every distinct convolution, depthwise convolution and matrix product of `benchmarks.zoo`, at its network's batch: the
gradient to the input, the gradient to the kernel, and forward, with bias and rectifier in the epilogue. The kernel is
touched before every run, as the optimizer does, so that packing or transforming it is included; with `--kept` it is
not, as in prediction. Where there are several algorithms all are measured, and `*` marks the one that programs choose.

Shares are those of the plain formula's operations, so that Winograd's may exceed 100 %. Peak (multiply-adds in
registers) and bandwidth (a copy beyond all caches) are measured in the same run. Where bytes, each read or written
once, over bandwidth take longer than operations over peak, they are the bound: their share follows, marked `b`. Arrays
that stay in the cache can be quicker than that.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.machine import bandwidth, facts, fma_peak
from benchmarks.timing import alternate, medians
from benchmarks.zoo import NETWORKS, Conv, Dense, Depthwise, Place, flat, placed
from cycnn import _native
from cycnn._native import Buffer, Memory, Program
from cycnn.program import algorithms
from cycnn.shapes import Window, window

PASSES = {"forward": "Forward", "to input": "BackwardInput", "to kernel": "BackwardKernel"}


class Case(NamedTuple):
    """One convolution: extents of its arrays, how its window moves, and whether it is depthwise."""

    image: tuple[int, ...]
    kernel: tuple[int, ...]
    out: tuple[int, ...]
    stride: int
    padding: int
    depthwise: bool
    first: bool  # of its network: there is no gradient to the input

    @property
    def title(self) -> str:
        """Kernel, channels and extents in a few characters."""
        size, stride = self.kernel[0], f"/{self.stride}" if self.stride > 1 else ""
        kind = "depthwise " if self.depthwise else ""
        extents = "x".join(map(str, self.image[:3]))
        return f"{size}x{size}{stride} {kind}{self.image[3]}->{self.out[3]} {extents}"

    @property
    def operations(self) -> float:
        """Multiplications and additions of one pass."""
        taps = math.prod(self.kernel[:2]) * (1 if self.depthwise else self.image[3])
        return 2.0 * math.prod(self.out) * taps

    def bytes(self, name: str) -> float:
        """Bytes of the images on both sides and of the kernel; the gradient to the input reads the input as well."""
        images = math.prod(self.out) + math.prod(self.image) * (2 if name == "to input" else 1)
        return 4.0 * (images + math.prod(self.kernel))


def case_of(place: Place, rows: int, first: bool) -> Case | None:
    """Return the convolution that a layer is, if it is one."""
    match place.layer:
        case Conv(filters, size, stride, padding):
            kernel = (size, size, place.input[-1], filters)
            return Case((rows, *place.input), kernel, (rows, *place.output), stride, padding, False, first)
        case Depthwise(size, stride, padding):
            kernel = (size, size, place.input[-1], 1)
            return Case((rows, *place.input), kernel, (rows, *place.output), stride, padding, True, first)
        case Dense(units):
            shape = (1, 1, *place.input, units)
            return Case((1, 1, rows, *place.input), shape, (1, 1, rows, units), 1, 0, False, first)
    return None


def cases(networks: list[str]) -> Iterator[Case]:
    """Return every distinct convolution of these networks once."""
    seen = set()
    for name in networks:
        places = list(flat(placed(NETWORKS[name])))
        for i, place in enumerate(places):
            case = case_of(place, NETWORKS[name].batch, i == 0)
            if case and case not in seen:
                seen.add(case)
                yield case


def families(kernels: SimpleNamespace, case: Case, name: str) -> list[str]:
    """Return the algorithms that can compute a pass, as the first words of their steps' names."""
    if case.depthwise:
        return ["DepthwiseConv2D"]
    fits = case.kernel[:2] == (3, 3) and case.stride == 1 and min(case.kernel[2:]) >= 8
    return ["Conv2D", "Winograd"] if fits and hasattr(kernels, f"Winograd{PASSES[name]}") else ["Conv2D"]


def chosen(kernels: SimpleNamespace, case: Case, name: str, view: Window) -> str:
    """Return the algorithm that programs choose."""
    options = families(kernels, case, name)
    if len(options) == 1:
        return options[0]
    pixels = case.image[:3] if name == "to input" else case.out[:3]
    choice = algorithms.winograd_kernel if name == "to kernel" else algorithms.winograd
    return options[choice(kernels, case.kernel, view, pixels)]


class Passes:
    """The passes of one convolution as programs, on random data."""

    def __init__(self, kernels: SimpleNamespace, case: Case) -> None:
        self.kernels, self.case = kernels, case
        sides = ((case.padding, case.padding),) * 2
        pair = (case.stride, case.stride)
        self.window = window("layers", case.kernel[:2], pair, sides, (1, 1), case.image[1:3])
        rng = np.random.default_rng(0)
        shapes = (case.image, case.kernel, (case.out[3],), case.out)
        self.x, self.kernel, self.bias, self.out = (
            Buffer.of(rng.standard_normal(shape, dtype=np.float32)) for shape in shapes
        )
        self.dout = Buffer.of(rng.standard_normal(case.out, dtype=np.float32))
        self.dx, self.dkernel, self.dbias = (
            Buffer.of(np.empty(buffer.shape, np.float32)) for buffer in (self.x, self.kernel, self.bias)
        )

    def arguments(self, name: str) -> tuple[Any, ...]:
        """Return what the step of a pass is made of."""
        if name == "forward":
            return self.x, self.kernel, self.bias, self.out, self.window, "relu"
        if name == "to input":
            return self.dout, self.kernel, self.dx, self.window, "relu", self.x
        return self.x, self.dout, self.dkernel, self.dbias, self.window

    def runs(self, kept: bool) -> dict[tuple[str, str], Callable[[], None]]:
        """Return a function for each pass and algorithm."""
        return {
            (name, family): self._run(getattr(self.kernels, family + suffix)(*self.arguments(name)), kept)
            for name, suffix in PASSES.items()
            if not (name == "to input" and self.case.first)
            for family in families(self.kernels, self.case, name)
        }

    def _run(self, step: Any, kept: bool) -> Callable[[], None]:
        step.place_workspace(Memory(step.workspace), 0)
        run, touch = Program([step]).run, self.kernel.touch
        if kept:
            return run

        def fresh() -> None:
            touch()
            run()

        return fresh


def share(case: Case, name: str, seconds: float, peak: float, rate: float) -> str:
    """Return milliseconds, the share of the peak, and that of the bandwidth where it is the bound."""
    operations, moved = case.operations / peak, case.bytes(name) / rate
    second = f"{moved / seconds:5.0%}b" if moved > operations else " " * 6
    return f"{seconds * 1e3:8.3f} {operations / seconds:5.0%}{second}"


def measure(case: Case, arguments: argparse.Namespace, isa: str, peak: float, rate: float) -> list[dict[str, Any]]:
    """Measure one convolution; print and return what was found."""
    kernels = _native.kernels("float32", isa)
    passes = Passes(kernels, case)
    times = medians(alternate(passes.runs(arguments.kept), arguments.rounds, arguments.seconds))
    cells = []
    for name in PASSES:
        pick = chosen(kernels, case, name, passes.window)
        shown = ""
        for (which, family), seconds in times.items():
            if which == name:
                mark, star = "W" if family == "Winograd" else " ", "*" if family == pick else " "
                shown += f"{mark}{share(case, name, seconds, peak, rate)}{star}"
        cells.append(f"{shown:44}")
    print(f"{case.title:34}{''.join(cells)}".rstrip(), flush=True)
    return [
        {"layer": case.title, "pass": name, "algorithm": family, "isa": isa, "seconds": seconds,
         "operations": case.operations, "bytes": case.bytes(name), "peak": peak, "bandwidth": rate}
        for (name, family), seconds in times.items()
    ]  # fmt: skip


def main(command: list[str] | None = None) -> None:
    """Print a table per instruction set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NETWORK")
    parser.add_argument("--isa", nargs="+", choices=_native.supported, default=[_native.isa])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kept", action="store_true", help="kernels are packed or transformed once, not in every run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.02, help="that every pass runs in every round")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args(command)
    _native.set_num_threads(arguments.threads)
    found: list[dict[str, Any]] = []
    for isa in arguments.isa:
        print(", ".join(f"{key} {value}" for key, value in facts(isa, arguments.threads).items()))
        rate = bandwidth()
        print(
            f"copies {rate / 1e9:.1f} GB/s; milliseconds and share of the FMA peak; b: of the bandwidth, which bounds"
        )
        print("W is Winograd, * what is chosen")
        print(f"{'layer, batch x height x width':34}" + "".join(f"{name:44}" for name in PASSES).rstrip())
        for case in cases(arguments.networks):
            peak = fma_peak(isa, 3) * arguments.threads
            found += measure(case, arguments, isa, peak, rate)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
