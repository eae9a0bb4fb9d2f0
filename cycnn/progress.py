"""What `fit` and `evaluate` show: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from typing import Any

from .callbacks import Callback, Logs
from .validation import message, received

_INTERVAL = 0.1  # seconds between two changes of the bar


class Progress(Callback):
    """Show a bar while batches go by, and leave one line for each epoch.

    Parameters
    ----------
    mode : {"fit", "evaluate", "predict"}
        What is shown. Prediction leaves no line.
    rows : int or None
        Rows of data in an epoch, for the speed; None if they are not known.
    bar : bool
        Whether to show a bar, which needs a terminal.
    """

    def __init__(self, mode: str, rows: int | None, bar: bool) -> None:
        self.mode, self.rows = mode, rows
        self._wants_bar = bar
        self._bar: Any = None
        self._shown = 0.0

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = f"Epoch {epoch + 1}/{self.params['epochs']}"
        self._open(self._epoch)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._advance(logs)
        self._seconds = time.perf_counter() - self._start

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.close()
        self._print(self._epoch, self._seconds, logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        if self.mode == "evaluate":
            self._open("Evaluate")

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.mode == "evaluate":
            self._advance(logs)

    def on_test_end(self, logs: Logs = None) -> None:
        if self.mode == "evaluate":
            self.close()
            self._print("Evaluate", time.perf_counter() - self._start, logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._open("Predict")

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._advance(None)

    def on_predict_end(self, logs: Logs = None) -> None:
        self.close()

    def _open(self, title: str) -> None:
        self._start, self._seconds = time.perf_counter(), 0.0
        if self._wants_bar:
            from tqdm import tqdm  # type: ignore[import-untyped]  # here, for it takes longer to import than all of cycnn

            self._bar = tqdm(
                total=self.params["steps"],
                desc=title,
                unit="batch",
                leave=False,
                file=sys.stdout,
                dynamic_ncols=True,
            )

    def _advance(self, logs: Logs) -> None:
        if self._bar is None:
            return
        if time.perf_counter() - self._shown > _INTERVAL:
            self._shown = time.perf_counter()
            self._bar.set_postfix_str(_text(logs), refresh=False)
        self._bar.update()

    def _print(self, title: str, seconds: float, logs: Logs) -> None:
        speed = "" if self.rows is None else f" - {self.rows / max(seconds, 1e-9):,.0f} rows/s"
        print(f"{title} - {seconds:.1f} s{speed} - {_text(logs)}", flush=True)


def progress(owner: str, verbose: object, mode: str, rows: int | None, batches: int | None) -> Progress | None:
    """Return what `verbose` asks for: None, lines, or a bar where there is a terminal."""
    if verbose not in ("auto", 0, 1, 2):
        rule = 'be "auto", 0, 1 or 2'
        raise ValueError(message(owner, "verbose", rule, received("verbose", verbose)))
    if verbose == 0:
        return None
    bar = verbose != 2 and batches != 1 and sys.stdout is not None and sys.stdout.isatty()
    return Progress(mode, rows, bar)


def _text(logs: Logs) -> str:
    return " - ".join(
        f"{name}: {value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{name}: {value:.4e}"
        for name, value in (logs or {}).items()
    )
