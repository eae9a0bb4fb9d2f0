"""What figures were measured on: processor, instruction set, threads, versions, and the FMA peak of the moment."""

from __future__ import annotations

import importlib
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import cycnn
from cycnn._native import Program
from cycnn._native.limits import available_cpus


def processor() -> str:
    """Return the name of the CPU and what else tells it from others of that name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name", platform.machine())
    return f"{name}, family {facts['cpu family']}, model {facts['model']}" if "cpu family" in facts else name


def fma_peak(isa: str, rounds: int = 5) -> float:
    """Return the operations per second of multiply-adds in registers of one thread."""
    step = importlib.import_module(f"cycnn._native.{isa}.peak").FmaPeak()
    run = Program([step]).run
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(step.operations / statistics.median(times))


def bandwidth(megabytes: int = 256, rounds: int = 5) -> float:
    """Return the bytes per second that one thread reads and writes while it copies an array beyond all caches."""
    source = np.ones(megabytes << 17, np.float64)
    target = np.empty_like(source)
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - start)
    return 2 * source.nbytes / statistics.median(times[1:])


def facts(isa: str, threads: int) -> dict[str, Any]:
    """Return what belongs beside every figure."""
    return {
        "processor": processor(),
        "cpus": available_cpus(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "cycnn": cycnn.__version__,
        "isa": isa,
        "threads": threads,
    }
