"""Callbacks that end training."""

from __future__ import annotations

from typing import Any

from .. import validation
from .base import Callback, Logs
from .watching import Watching


class EarlyStopping(Watching):
    """Stop when a number has not become better for some epochs.

    Parameters
    ----------
    monitor : str
        "val_loss" by default.
    min_delta : float
        The least change that counts as better, 0 by default.
    patience : int
        Epochs without a better value after which training stops, 0 by default.
    verbose : int
        Whether to say so, 0 by default.
    mode : {"auto", "min", "max"}
    baseline : float, optional
        What the number has to be better than from the start.
    restore_best_weights : bool
        Whether the model gets the parameters of the best epoch back, False by default.
    start_from_epoch : int
        The first epoch that is watched, 0 by default.

    Examples
    --------
    >>> EarlyStopping("val_accuracy", patience=3, restore_best_weights=True).rises
    True
    """

    counters = ("best", "wait", "stopped_epoch", "best_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, baseline)
        self.patience = validation.non_negative_int("EarlyStopping", "patience", patience)
        self.verbose = verbose
        self.restore_best_weights = validation.boolean("EarlyStopping", "restore_best_weights", restore_best_weights)
        self.start_from_epoch = validation.non_negative_int("EarlyStopping", "start_from_epoch", start_from_epoch)
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best, self.best_weights = self.baseline, None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.watched(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.better(value):
            self.best, self.best_epoch, self.wait = value, epoch, 0
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: stopped early")
        if self.restore_best_weights and self.best_weights is not None:
            self.model.set_weights(self.best_weights)


class TerminateOnNaN(Callback):
    """Stop when a number is not finite, before it reaches the parameters, and name the layer where it appeared.

    Parameters
    ----------
    raise_error : bool
        Whether to stop by a RuntimeError, False by default.

    Attributes
    ----------
    found : str or None
        Where: the output of a layer, the gradient of a parameter, or the loss.

    Examples
    --------
    >>> TerminateOnNaN().found is None
    True
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = validation.boolean("TerminateOnNaN", "raise_error", raise_error)
        self.found: str | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self.found, self.model.guarded = None, True

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.model.not_finite is not None:
            self.found = self.model.not_finite
            text = f"Batch {batch}: not a finite number in {self.found}; training stops, with the parameters before it"
            if self.raise_error:
                self.model.guarded = False
                raise RuntimeError(f"TerminateOnNaN: {text}.")
            print(text)
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        self.model.guarded = False
