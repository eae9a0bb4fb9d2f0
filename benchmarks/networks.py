"""Training and prediction of whole networks, beside PyTorch, TensorFlow, ONNX Runtime and OpenVINO.

    python -m benchmarks.networks [--networks resnet20 ...] [--libraries torch ...] [--tasks train predict one]
                                  [--threads 2] [--isa v3] [--rounds 7] [--json FILE] [--chart FILE]

Every library runs in its own process, in the configurations that `benchmarks.libraries` lists; the runs alternate, and
medians of one command are compared. `train` is a step of Adam on the batch of the table (`benchmarks.zoo`), `predict`
the logits of that batch, `one` those of one image. All start from the same parameters; that their numbers agree, and
that the logits and the first loss do, is checked before anything is timed. What is not installed or does not run is
reported and left out.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.libraries import LIBRARIES
from benchmarks.machine import facts, fma_peak
from benchmarks.workers import LIMITS, UNLIMITED, Worker
from benchmarks.zoo import NETWORKS, operations
from cycnn import _native

TASKS = {"train": "training step", "predict": "prediction", "one": "prediction of one image"}
TOLERANCE = 1e-4
Times = dict[str, list[float]]  # of each library, seconds in every round


def begin(network: str, libraries: list[str], arguments: argparse.Namespace, folder: str) -> dict[str, Worker]:
    """Start a process for each library, check that they compute the same, and return those that do."""
    weights_file = str(Path(folder) / f"{network}.npz")
    tuned = arguments.allocator == "tuned"
    workers = {
        name: Worker(name, network, arguments.threads, weights_file, arguments.isa, tuned=tuned) for name in libraries
    }
    reference: dict[str, Any] = {}
    for name, worker in workers.items():
        worker.send("begin")
        worker.send("check")
        if name == libraries[0]:  # whose parameters the others take
            reference = worker.receive() | worker.receive()
            workers[name].begun = reference
    for name, worker in list(workers.items())[1:]:
        try:
            worker.begun = worker.receive() | worker.receive()
            agree(worker.begun, reference)
        except RuntimeError as error:
            print(f"  {name} is left out: {error}")
            workers.pop(name).close()
    return workers


def agree(answer: dict[str, Any], reference: dict[str, Any]) -> None:
    """Raise if a library does not compute what the first does."""
    if answer["parameters"] != reference["parameters"]:
        raise RuntimeError(f"{answer['parameters']} parameters instead of {reference['parameters']}")
    logits, expected = np.array(answer["logits"]), np.array(reference["logits"])
    if not np.abs(logits - expected).max() <= TOLERANCE * max(1, np.abs(expected).max()):
        raise RuntimeError(f"its logits differ by {np.abs(logits - expected).max():.2g}")
    if "loss" in answer and not abs(answer["loss"] - reference["loss"]) <= TOLERANCE * max(1, reference["loss"]):
        raise RuntimeError(f"its first loss is {answer['loss']:.6f} instead of {reference['loss']:.6f}")


def alternate(workers: dict[str, Worker], task: str, rounds: int, seconds: float) -> Times:
    """Return the seconds of a task in every round; the libraries take turns, each for about so many seconds."""
    able = {name: worker for name, worker in workers.items() if task in LIBRARIES[name].tasks}
    quickest = {name: min(worker.seconds(task, 2) for _ in range(3)) for name, worker in able.items()}
    counts = {name: max(2, round(seconds / quick)) for name, quick in quickest.items()}
    times: Times = {name: [] for name in able}
    for _ in range(rounds):
        for name, worker in able.items():
            time.sleep(0.02)  # until the threads of the one before are asleep
            times[name].append(worker.seconds(task, counts[name]))
    return times


def ratio(times: Times, name: str) -> float:
    """Return how many times as long as cycnn a library takes: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(times[name], times["cycnn"], strict=True))


def best_peer(times: Times, isa: str) -> str | None:
    """Return the quickest library but cycnn, of those that are kept to the instruction set."""
    peers = [name for name in times if name != "cycnn" and name not in UNLIMITED.get(isa, ())]
    return min(peers, key=lambda name: statistics.median(times[name]), default=None)


def row(title: str, times: Times, isa: str) -> str:
    """Return a line of milliseconds and ratios, the best peer marked."""
    best = best_peer(times, isa)
    cells = [f"cycnn {statistics.median(times['cycnn']) * 1e3:9.3f}"]
    for name in times:
        if name != "cycnn":
            mark = "*" if name == best else " "
            cells.append(f"{name} {statistics.median(times[name]) * 1e3:9.3f} ({ratio(times, name):5.2f}x){mark}")
    return f"  {title:10}{'  '.join(cells)}"


def summary(results: dict[str, dict[str, Times]], tasks: list[str], isa: str) -> list[str]:
    """Return the geometric means of the ratios to the best peer."""
    lines = []
    for task in tasks:
        found = {
            network: ratio(times[task], best)
            for network, times in results.items()
            if task in times and (best := best_peer(times[task], isa))
        }
        if found:
            mean = math.exp(statistics.fmean(map(math.log, found.values())))
            least = min(found, key=lambda network: found[network])
            lines.append(
                f"{TASKS[task]}: best peer / cycnn, geometric mean over {len(found)} networks {mean:.2f}, "
                f"least {found[least]:.2f} ({least})"
            )
    return lines


def measure(network: str, arguments: argparse.Namespace, libraries: list[str]) -> dict[str, Any]:
    """Measure one network; print and return what was found."""
    peak = fma_peak(arguments.isa) * arguments.threads
    batch, work = NETWORKS[network].batch, operations(NETWORKS[network]) / 1e6
    print(f"{network}, batch {batch}: {work:.1f} MFLOP an image forward, FMA peak {peak / 1e9:.0f} GFLOP/s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        workers = begin(network, libraries, arguments, folder)
        try:
            versions = {name: worker.begun["version"] for name, worker in workers.items() if worker.begun}
            times = {}
            for task in arguments.tasks:
                times[task] = alternate(workers, task, arguments.rounds, arguments.seconds)
                print(row(task, times[task], arguments.isa), flush=True)
        finally:
            for worker in workers.values():
                worker.close()
    return {"times": times, "peak": peak, "versions": versions}


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NETWORK")
    made.add_argument("--libraries", nargs="*", choices=LIBRARIES, default=list(LIBRARIES), metavar="LIBRARY")
    made.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    made.add_argument("--threads", type=int, default=_native.get_num_threads())
    made.add_argument("--isa", choices=_native.supported, default=_native.isa)
    made.add_argument("--allocator", choices=("tuned", "default"), default="tuned", help="see `benchmarks.workers`")
    made.add_argument("--rounds", type=int, default=7)
    made.add_argument("--seconds", type=float, default=0.3, help="that each library works in every round")
    made.add_argument("--json", type=Path, help="write all times there; networks of an earlier run are kept")
    made.add_argument("--chart", type=Path, help="draw the ratios there, with matplotlib")
    return made


def main(command: list[str] | None = None) -> None:
    """Print a table per network, and geometric means."""
    arguments = parser().parse_args(command)
    libraries = ["cycnn", *(name for name in arguments.libraries if name != "cycnn")]
    for name in libraries[:]:
        if missing := LIBRARIES[name].missing():
            print(f"{name} is left out: {', '.join(missing)} is not installed")
            libraries.remove(name)
        elif arguments.isa in LIMITS and name in UNLIMITED[arguments.isa]:
            print(f"{name} has no setting that keeps it to {arguments.isa}: it is shown, and not counted")
    machine = facts(arguments.isa, arguments.threads)
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    print(f"milliseconds, medians of {arguments.rounds} alternating rounds (ratios to cycnn; * the best peer)")
    found = {network: measure(network, arguments, libraries) for network in arguments.networks}
    if arguments.json:
        earlier = json.loads(arguments.json.read_text())["networks"] if arguments.json.exists() else {}
        found = earlier | found
        arguments.json.write_text(json.dumps({"machine": machine, "networks": found}, indent=1) + "\n")
    print(*summary({name: entry["times"] for name, entry in found.items()}, arguments.tasks, arguments.isa), sep="\n")
    if arguments.chart:
        from benchmarks.charts import bars

        bars(found, arguments.chart)


if __name__ == "__main__":
    sys.exit(main())
