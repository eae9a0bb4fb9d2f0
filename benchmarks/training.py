"""A training step of whole networks beside PyTorch and Keras: forward, backward, Adam.

    python -m benchmarks.training [--libraries cycnn torch keras] [--networks mnist_cnn ...] [--threads 2] [--batch 128]

Every library runs in its own process; the runs alternate, and medians and ratios of one run are printed. What is not
installed is reported and left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import statistics

from benchmarks.networks import NETWORKS
from benchmarks.workers import LIBRARIES, Worker
from cycnn import _native


def compare(name: str, libraries: list[str], batch: int, threads: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds per step of every round, by library."""
    workers = {library: Worker(library, name, batch, threads) for library in libraries}
    try:
        counts = {worker.parameters for worker in workers.values()}
        if len(counts) != 1:
            raise RuntimeError(f"{name}: the libraries' networks differ in parameters: {counts}")
        quickest = {library: min(worker.seconds(3) for _ in range(3)) for library, worker in workers.items()}
        steps = {library: max(3, round(0.4 / seconds)) for library, seconds in quickest.items()}
        times: dict[str, list[float]] = {library: [] for library in libraries}
        for _ in range(rounds):
            for library, worker in workers.items():
                times[library].append(worker.seconds(steps[library]))
    finally:
        for worker in workers.values():
            worker.close()
    return times


def main() -> None:
    """Print a row per network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--threads", type=int, default=_native.get_num_threads())
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    libraries = [name for name in arguments.libraries if importlib.util.find_spec(name)]
    for name in set(arguments.libraries) - set(libraries):
        print(f"{name} is not installed and is left out")
    print(f"{platform.machine()}, {_native.isa}, {arguments.threads} threads, batch {arguments.batch}")
    print(f"milliseconds per training step, median of {arguments.rounds} alternating rounds (ratio to cycnn)")
    for name in arguments.networks:
        times = compare(name, libraries, arguments.batch, arguments.threads, arguments.rounds)
        cells = []
        for library, values in times.items():
            ratio = statistics.median(a / b for a, b in zip(values, times[libraries[0]], strict=True))
            cells.append(f"{library} {statistics.median(values) * 1e3:8.2f} ({ratio:.2f}x)")
        print(f"{name:14}{'   '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
