"""What callbacks that watch a number share: which number, and whether it has become better."""

from __future__ import annotations

import warnings
from typing import ClassVar

from .. import validation
from .base import Callback, Logs

_MAXIMISED = ("acc", "auc", "precision", "recall", "f1", "fbeta", "iou", "r2")


class Watching(Callback):
    """Base of callbacks that watch one of the logs.

    Parameters
    ----------
    monitor : str
        Name of the number, such as "val_loss".
    mode : {"auto", "min", "max"}
        Which way is better; "auto" is "max" for names of accuracies and their like, else "min".
    min_delta : float
        The least change that counts as better.
    """

    counters: ClassVar[tuple[str, ...]] = ("best",)

    def __init__(self, monitor: str, mode: str, min_delta: float, baseline: float | None = None) -> None:
        owner = type(self).__name__
        self.monitor = monitor
        self.mode = validation.choice(owner, "mode", mode, ("auto", "min", "max"))
        self.min_delta = abs(validation.number(owner, "min_delta", min_delta))
        self.baseline = baseline
        rises = any(word in monitor for word in _MAXIMISED)
        self.rises = self.mode == "max" or (self.mode == "auto" and rises)
        self.best: float | None = baseline

    def watched(self, logs: Logs) -> float | None:
        """Return the number, or None with a warning where there is none."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            names = ", ".join(logs or {})
            text = f"{type(self).__name__}: `monitor` must be one of {names}. Received: monitor={self.monitor!r}."
            warnings.warn(text, stacklevel=2)
            return None
        return float(value)

    def better(self, value: float) -> bool:
        """Whether a value is better than the best so far."""
        if self.best is None:
            return True
        return value - self.min_delta > self.best if self.rises else value + self.min_delta < self.best
