"""Timing that can be compared: alternating, median of several."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def repetitions(run: Callable[[], object], seconds: float) -> int:
    """Return how many runs take about so many seconds."""
    run()
    start = time.perf_counter()
    run()
    return max(1, round(seconds / max(time.perf_counter() - start, 1e-7)))


def alternate(runs: dict[str, Callable[[], object]], rounds: int = 9, seconds: float = 0.05) -> dict[str, list[float]]:
    """Time each of `runs` in turn, `rounds` times; return the seconds per run of every round."""
    counts = {name: repetitions(run, seconds) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            for _ in range(counts[name]):
                run()
            times[name].append((time.perf_counter() - start) / counts[name])
    return times


def medians(times: dict[str, list[float]]) -> dict[str, float]:
    """Return the median of each list."""
    return {name: statistics.median(values) for name, values in times.items()}
