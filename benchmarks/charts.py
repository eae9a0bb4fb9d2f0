"""Charts of what the other modules measure; needs matplotlib."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

TASKS = {"train": "training step", "predict": "prediction of a batch", "one": "prediction of one image"}
COLOURS = {
    "cycnn": "#1b6e53",
    "torch": "#ee4c2c",
    "torch-compile": "#f7a08c",
    "keras": "#b8860b",
    "keras-jit": "#e3c878",
    "onnxruntime": "#5b6f9b",
    "openvino": "#a3b1d1",
}


def bars(networks: dict[str, Any], path: Path) -> None:
    """Draw how fast each library is beside cycnn, which is 1: a panel per task, a group of bars per network."""
    tasks = [task for task in TASKS if any(task in entry["times"] for entry in networks.values())]
    figure, axes = pyplot.subplots(len(tasks), 1, figsize=(10, 2.6 * len(tasks)), squeeze=False)
    for axis, task in zip(axes[:, 0], tasks, strict=True):
        shown = {name: entry["times"][task] for name, entry in networks.items() if task in entry["times"]}
        libraries = [name for name in COLOURS if any(name in times for times in shown.values())]
        width = 0.8 / len(libraries)
        for i, library in enumerate(libraries):
            speeds = [_speed(times, library) for times in shown.values()]
            places = [group + (i - (len(libraries) - 1) / 2) * width for group in range(len(shown))]
            axis.bar(places, speeds, width, label=library, color=COLOURS[library])
        axis.axhline(1, color="#888888", linewidth=0.8)
        axis.set_xticks(range(len(shown)), list(shown))
        axis.set_title(f"{TASKS[task]}: speed, cycnn = 1 (higher is faster)", fontsize=10, loc="left")
        axis.legend(fontsize=8, ncols=len(libraries), frameon=False)
        axis.set_ylim(top=max(1.35, axis.get_ylim()[1] * 1.15))
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _speed(times: dict[str, list[float]], library: str) -> float:
    return statistics.median(times["cycnn"]) / statistics.median(times[library]) if library in times else 0.0


def lines(panels: dict[str, dict[str, Sequence[tuple[float, float]]]], path: Path, unit: str) -> None:
    """Draw, for each panel, named lines of points over logarithmic axes."""
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.6 * len(panels), 4), squeeze=False)
    for axis, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for name, points in curves.items():
            axis.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=1.2, label=name)
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_xlabel(title)
        axis.set_ylabel(unit)
        axis.grid(True, which="both", linewidth=0.3)
        axis.legend(fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
