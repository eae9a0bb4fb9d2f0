"""Cost against work: time per image over batch, side of the image, channels and threads; there should be no cliffs.

    python -m benchmarks.scaling [--threads 1 2] [--budget 60] [--chart FILE] [--json FILE]

The network is two 3x3 convolutions with C channels, a pool, two more with 2C, and a dense layer. One extent changes at
a time; a range ends where its share of the seconds in `--budget` is spent. Beside every time stand the operations per
second, which should rise to a plateau and stay there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.libraries.keras_api import Subject
from benchmarks.machine import facts, fma_peak
from benchmarks.zoo import Conv, Dense, GlobalAverage, MaxPool, Network, batch_of, operations
from cycnn import _native

BATCH, SIDE, CHANNELS = 16, 32, 32  # what does not change
RANGES = {
    "batch": [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024],
    "side": [16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512],
    "channels": [8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512],
}
LEAST_STEPS, SECONDS = 3, 0.15


def network(batch: int = BATCH, side: int = SIDE, channels: int = CHANNELS) -> Network:
    """Return the network of these extents."""
    first, second = (Conv(filters, 3, 1, 1, True, "relu") for filters in (channels, 2 * channels))
    return Network((side, side, 3), batch, (first, first, MaxPool(), second, second, GlobalAverage(), Dense(10)))


def seconds_of(run: Callable[[], Any]) -> float:
    """Return the median seconds of a run."""
    run()
    times: list[float] = []
    while len(times) < LEAST_STEPS or sum(times) < SECONDS:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def point(extent: str, value: int, threads: int) -> dict[str, Any]:
    """Measure training and prediction of one size."""
    made = network(**{extent: value})
    subject = Subject(made, None, threads, package="cycnn")
    x, y = batch_of(made, made.batch)
    found: dict[str, Any] = {"extent": extent, "value": value, "threads": threads, "batch": made.batch}
    found["operations"] = operations(made)
    found["train"] = seconds_of(subject.trainer(x, y)) / made.batch
    found["predict"] = seconds_of(subject.predictor(x)) / made.batch
    return found


def measure(extent: str, threads: int, budget: float) -> list[dict[str, Any]]:
    """Measure a range until its time is spent; print and return what was found."""
    start, found = time.perf_counter(), []
    for value in RANGES[extent]:
        begun = time.perf_counter()
        found.append(point(extent, value, threads))
        now = time.perf_counter()
        last = found[-1]
        rates = [last["operations"] * times / last[task] / 1e9 for task, times in (("train", 3), ("predict", 1))]
        print(
            f"{extent:9}{value:5} {threads:2} threads: train {last['train'] * 1e6:10.1f} us an image "
            f"({rates[0]:4.0f} GFLOP/s), predict {last['predict'] * 1e6:10.1f} ({rates[1]:4.0f})",
            flush=True,
        )
        if now - start + 2 * (now - begun) > budget:
            print(f"{extent:9} ends at {value}: {budget:.0f} seconds are spent")
            break
    return found


def main(command: list[str] | None = None) -> None:
    """Print a row for every size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--extents", nargs="+", choices=RANGES, default=list(RANGES))
    parser.add_argument("--budget", type=float, default=60, help="seconds for everything")
    parser.add_argument("--chart", type=Path, help="draw the times there, with matplotlib")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args(command)
    share = arguments.budget / len(arguments.threads) / len(arguments.extents)
    for threads in arguments.threads:
        print(", ".join(f"{key} {value}" for key, value in facts(_native.isa, threads).items()))
        print(f"FMA peak {fma_peak(_native.isa) * threads / 1e9:.0f} GFLOP/s; training is counted as three predictions")
    found: list[dict[str, Any]] = []
    for extent in arguments.extents:
        for threads in arguments.threads:
            found += measure(extent, threads, share)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    if arguments.chart:
        from benchmarks.charts import lines

        panels = {
            extent: {
                f"{task}, {threads} thread{'s' * (threads > 1)}": [
                    (each["value"], each[task] * 1e6)
                    for each in found
                    if each["extent"] == extent and each["threads"] == threads
                ]
                for task in ("train", "predict")
                for threads in arguments.threads
            }
            for extent in arguments.extents
        }
        lines(panels, arguments.chart, "microseconds an image")


if __name__ == "__main__":
    main()
