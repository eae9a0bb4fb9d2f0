"""Callbacks that change the learning rate between epochs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .. import validation
from ..validation import message, received
from .base import Callback, Logs
from .watching import Watching


class LearningRateScheduler(Callback):
    """Set the learning rate at the start of each epoch.

    Parameters
    ----------
    schedule : function
        Of the number of the epoch, from 0, and the learning rate so far, or of the number alone; returns the new one.
    verbose : int
        Whether to print it, 0 by default.

    Examples
    --------
    >>> callback = LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            rule = "be a function of an epoch and a learning rate"
            raise TypeError(message("LearningRateScheduler", "schedule", rule, received("schedule", schedule)))
        self.schedule, self.verbose = schedule, verbose
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        assert optimizer is not None
        so_far = float(optimizer.learning_rate)
        rate = self.schedule(epoch, so_far) if self._takes_rate else self.schedule(epoch)
        if not isinstance(rate, (int, float)) and not hasattr(rate, "__float__"):
            rule = "return a number"
            raise TypeError(message("LearningRateScheduler", "schedule", rule, received("schedule(...)", rate)))
        optimizer.learning_rate = float(rate)
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {float(rate):g}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None and self.model.optimizer is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes_two(function: Callable[..., Any]) -> bool:
    """Return whether a function takes two arguments; one whose arguments are not known is thought to."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(0, 0.0)
    except TypeError:
        return False
    return True


class ReduceLROnPlateau(Watching):
    """Multiply the learning rate by a factor when a number has not become better for some epochs.

    Parameters
    ----------
    monitor : str
        "val_loss" by default.
    factor : float
        0.1 by default; less than 1.
    patience : int
        Epochs without a better value, 10 by default.
    verbose : int
        Whether to say so, 0 by default.
    mode : {"auto", "min", "max"}
    min_delta : float
        The least change that counts as better, 1e-4 by default.
    cooldown : int
        Epochs after a change in which nothing is counted, 0 by default.
    min_lr : float
        The least learning rate, 0 by default.

    Examples
    --------
    >>> ReduceLROnPlateau(factor=0.5, patience=2).factor
    0.5
    """

    counters = ("best", "wait", "cooldown_left")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = validation.number("ReduceLROnPlateau", "factor", factor, 0, 1, below=True)
        self.patience = validation.non_negative_int("ReduceLROnPlateau", "patience", patience)
        self.verbose = verbose
        self.cooldown = validation.non_negative_int("ReduceLROnPlateau", "cooldown", cooldown)
        self.min_lr = validation.number("ReduceLROnPlateau", "min_lr", min_lr, 0)
        self.wait = self.cooldown_left = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        self.wait = self.cooldown_left = 0
        self.best = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        assert optimizer is not None
        rate = float(optimizer.learning_rate)
        if logs is not None:
            logs["learning_rate"] = rate
        value = self.watched(logs)
        if value is None:
            return
        if self.cooldown_left > 0:
            self.cooldown_left -= 1
            self.wait = 0
        if self.better(value):
            self.best, self.wait = value, 0
        elif self.cooldown_left <= 0:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                optimizer.learning_rate = max(rate * self.factor, self.min_lr)
                self.cooldown_left, self.wait = self.cooldown, 0
                if self.verbose:
                    print(f"Epoch {epoch + 1}: learning rate {float(optimizer.learning_rate):g}")
