"""Callbacks that write files: checkpoints, tables, summaries for TensorBoard."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

from .. import validation
from ..validation import message, received
from .base import Callback, Logs
from .watching import Watching


class ModelCheckpoint(Watching):
    """Save the model after each epoch, or after some number of steps.

    Parameters
    ----------
    filepath : path
        May name the epoch and logs: "model-{epoch:02d}-{val_loss:.2f}.safetensors".
    monitor : str
        "val_loss" by default.
    verbose : int
        Whether to say so, 0 by default.
    save_best_only : bool
        Whether to save only when the watched number has become better, False by default.
    save_weights_only : bool
        Whether to save the parameters alone, False by default.
    mode : {"auto", "min", "max"}
    save_freq : "epoch" or int
        After each epoch, the default, or after so many steps.
    initial_value_threshold : float, optional
        What the number has to be better than from the start.

    Examples
    --------
    >>> ModelCheckpoint("best.safetensors", "val_accuracy", save_best_only=True).rises
    True
    """

    counters = ("best", "_steps")

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, 0.0, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = validation.boolean("ModelCheckpoint", "save_best_only", save_best_only)
        self.save_weights_only = validation.boolean("ModelCheckpoint", "save_weights_only", save_weights_only)
        if save_freq != "epoch":
            validation.positive_int("ModelCheckpoint", "save_freq", save_freq)
        self.save_freq = save_freq
        self._steps = 0
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._steps += 1
        if isinstance(self.save_freq, int) and self._steps % self.save_freq == 0:
            self._save(logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save(logs)

    def _save(self, logs: Logs) -> None:
        if self.save_best_only:
            value = self.watched(logs)
            if value is None or not self.better(value):
                return
            self.best = value
        try:
            path = self.filepath.format(epoch=self._epoch + 1, **(logs or {}))
        except KeyError as error:
            rule = "name only epoch and logs: " + ", ".join(logs or {})
            raise KeyError(message("ModelCheckpoint", "filepath", rule, received("name", error.args[0]))) from None
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)
        if self.verbose:
            print(f"Epoch {self._epoch + 1}: saved {path}")


class CSVLogger(Callback):
    """Write the logs of each epoch as a line of a table.

    Parameters
    ----------
    filename : path
    separator : str
        "," by default.
    append : bool
        Whether to go on with a file that is there, as for a run that is taken up again. False by default.

    Examples
    --------
    >>> CSVLogger("training.csv").separator
    ','
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator = Path(filename), separator
        self.append = validation.boolean("CSVLogger", "append", append)
        self._keys: list[str] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._keys = None
        if self.append and self.filename.exists():
            with open(self.filename, newline="") as file:
                self._keys = next(csv.reader(file, delimiter=self.separator), None)
        else:
            open(self.filename, "w").close()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        row: dict[str, Any] = {"epoch": epoch, **(logs or {})}
        with open(self.filename, "a", newline="") as file:
            if self._keys is None:
                self._keys = ["epoch", *sorted(logs or {})]
                csv.writer(file, delimiter=self.separator).writerow(self._keys)
            csv.writer(file, delimiter=self.separator).writerow([row.get(key, "NA") for key in self._keys])


class TensorBoard(Callback):
    """Write the logs for TensorBoard, through the package tensorboardX.

    Parameters
    ----------
    log_dir : path
        "logs" by default; what is trained on goes to "train" in it, what is held out to "validation".
    histogram_freq : int
        Epochs between two histograms of the parameters, 0, the default, for none.
    write_graph, write_images, write_steps_per_second, profile_batch, embeddings_freq, embeddings_metadata
        Must be left as they are: there are only logs and histograms. `write_graph` has no effect.
    update_freq : "epoch" or int
        When to write, after each epoch by default, or also after so many steps.

    Examples
    --------
    >>> callback = TensorBoard("runs/first")  # doctest: +SKIP
    """

    counters = ("_steps",)

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: None = None,
    ) -> None:
        validation.boolean("TensorBoard", "write_graph", write_graph)
        for name, value in (
            ("write_images", write_images),
            ("write_steps_per_second", write_steps_per_second),
            ("profile_batch", profile_batch),
            ("embeddings_freq", embeddings_freq),
            ("embeddings_metadata", embeddings_metadata),
        ):
            if value:
                rule = "be left out, for there are only logs and histograms"
                raise ValueError(message("TensorBoard", name, rule, received(name, value)))
        try:
            import tensorboardX
        except ImportError as error:
            raise ImportError("TensorBoard: the package tensorboardX is missing: pip install tensorboardX") from error
        self._writer_class = tensorboardX.SummaryWriter
        self.log_dir = Path(log_dir)
        self.histogram_freq = validation.non_negative_int("TensorBoard", "histogram_freq", histogram_freq)
        if update_freq not in ("epoch", "batch"):
            validation.positive_int("TensorBoard", "update_freq", update_freq)
        self.update_freq: Any = 1 if update_freq == "batch" else update_freq
        self._writers: dict[str, Any] = {}
        self._steps = 0

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._steps += 1
        if self.update_freq != "epoch" and self._steps % self.update_freq == 0:
            self._write("batch", logs, self._steps)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._write("epoch", logs, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for name, variable in self.model.named_variables().items():
                self._writer("train").add_histogram(name, variable.numpy(), epoch)

    def on_train_end(self, logs: Logs = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _write(self, what: str, logs: Logs, step: int) -> None:
        for name, value in (logs or {}).items():
            writer = self._writer("validation" if name.startswith("val_") else "train")
            writer.add_scalar(f"{what}_{name.removeprefix('val_')}", value, step)

    def _writer(self, name: str) -> Any:
        if name not in self._writers:
            self._writers[name] = self._writer_class(str(self.log_dir / name))
        return self._writers[name]
