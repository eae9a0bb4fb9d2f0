"""Peak resident memory of a process that trains, beside PyTorch's.

    python -m benchmarks.memory [--networks mnist_cnn ...] [--libraries torch keras ...] [--threads 2] [--steps 5]

Each process imports its library, builds the network, takes some steps on the batch of the table and reports the most
that it has had resident; the allocator is left as it is. What importing alone takes is measured in another process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.libraries import LIBRARIES
from benchmarks.workers import Worker, surroundings
from benchmarks.zoo import NETWORKS
from cycnn import _native

IMPORT = """
import importlib, resource, sys
importlib.import_module(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def imported(package: str) -> int:
    """Return the peak bytes of a process that only imports a package."""
    command = [sys.executable, "-P", "-c", IMPORT, package]
    return int(subprocess.check_output(command, env=surroundings(), text=True).split()[-1])


def trained(library: str, network: str, threads: int, steps: int, weights_file: str) -> int:
    """Return the peak bytes of a process that takes a few steps of training."""
    worker = Worker(library, network, threads, weights_file, tuned=False)
    try:
        worker.seconds("train", steps)
        return int(worker.ask("memory")["bytes"])
    finally:
        worker.close()


def main(command: list[str] | None = None) -> None:
    """Print a row per network."""
    trainers = [name for name, library in LIBRARIES.items() if "train" in library.tasks]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["mnist_cnn", "resnet20", "resnet18"])
    parser.add_argument("--libraries", nargs="*", choices=trainers, default=["torch", "keras"])
    parser.add_argument("--threads", type=int, default=_native.get_num_threads())
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args(command)
    libraries = ["cycnn", *(name for name in arguments.libraries if name != "cycnn")]
    for name in libraries[:]:
        if missing := LIBRARIES[name].missing():
            print(f"{name} is left out: {', '.join(missing)} is not installed")
            libraries.remove(name)
    print(f"megabytes, {arguments.threads} threads (ratio to cycnn)")
    alone = {name: imported(LIBRARIES[name].package) for name in libraries}
    print(f"{'import':16}" + "  ".join(f"{name} {size / 1e6:7.0f}" for name, size in alone.items()), flush=True)
    for network in arguments.networks:
        with tempfile.TemporaryDirectory() as folder:
            weights = str(Path(folder) / "weights.npz")
            sizes = {name: trained(name, network, arguments.threads, arguments.steps, weights) for name in libraries}
        cells = (f"{name} {size / 1e6:7.0f} ({size / sizes['cycnn']:.2f}x)" for name, size in sizes.items())
        print(f"{network:16}{'  '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
