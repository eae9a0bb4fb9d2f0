"""Training and use of a model: fit, evaluate, predict, and the same for single batches.

All of them run programs: the model lowered for a mode and a size of batch. The last few programs
are kept, so that batches of the same size are lowered once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike, NDArray

from . import losses, optimizers, validation
from .callbacks import Callback, CallbackList, History
from .callbacks import check as check_callbacks
from .execution import Execution, Meter
from .losses import Loss
from .metrics import Metric
from .metrics import check as check_metrics
from .optimizers import Optimizer
from .progress import progress

if TYPE_CHECKING:
    from .batches import Batch
    from .program import Lowered


class Trainer(Execution):
    """Base of models: how they are trained, evaluated and used."""

    def compile(
        self,
        optimizer: str | Optimizer,
        loss: str | Loss,
        *,
        metrics: list[str | Metric] | None = None,
    ) -> None:
        """Choose how the model is trained.

        Parameters
        ----------
        optimizer : str or Optimizer
            "sgd", "adam" or an object of `cycnn.optimizers`.
        loss : str or Loss
            A name such as "sparse_categorical_crossentropy" or an object of `cycnn.losses`.
        metrics : list of str or Metric, optional
            Names such as "accuracy", or objects of `cycnn.metrics`.
        """
        chosen = optimizers.get(optimizer, owner="compile", name="optimizer")
        chosen_loss = losses.get(loss, owner="compile", name="loss")
        self.metrics = check_metrics("compile", metrics)
        self.optimizer, self.loss = chosen, chosen_loss
        self._forget_programs()

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Callback | list[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        shuffle: bool = True,
        *,
        initial_epoch: int = 0,
    ) -> History:
        """Train for a number of epochs.

        Parameters
        ----------
        x : array_like
            Inputs, one row for each of the targets. A contiguous array of the model's dtype is
            read in place; others are converted batch by batch. The data set is never copied.
        y : array_like
            Targets: class numbers, or rows of the shape of the model's output.
        batch_size : int, optional
            Rows in a step, 32 by default.
        epochs : int
            Number of the epoch to stop before, 1 by default.
        verbose : {"auto", 0, 1, 2}
            0 is silent; 2 prints a line for each epoch; 1 and "auto" show a bar too, if the
            output is a terminal.
        callbacks : list of Callback, optional
        validation_split : float
            Share of the rows, the last ones, that is not trained on but evaluated after each
            epoch. Without effect if there is `validation_data`.
        validation_data : tuple (x, y), optional
            What to evaluate after each epoch.
        shuffle : bool
            Whether to visit the rows in a new random order in each epoch, True by default.
        initial_epoch : int
            Number of the first epoch, 0 by default.

        Returns
        -------
        History
            Loss and metrics of each epoch; also kept as `model.history`.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit. Nothing has happened to the model then.
        RuntimeError
            If the model has not been compiled or has no layers.
        KeyboardInterrupt
            On Ctrl-C, after the running step. The model and its history can be used as they are.
        """
        self._require("fit", compiled=True)
        epochs = validation.positive_int("fit", "epochs", epochs)
        initial_epoch = validation.non_negative_int("fit", "initial_epoch", initial_epoch)
        shuffle = validation.boolean("fit", "shuffle", shuffle)
        share = validation.number("fit", "validation_split", validation_split, 0, 1, below=True)
        user_callbacks = check_callbacks("fit", callbacks)
        data = self._data("fit", x, y, batch_size)
        held_out = None
        if validation_data is not None:
            held_out = self._validation_data(validation_data, data)
        elif share:
            data, held_out = data.split("fit", share)
        bar = progress("fit", verbose, "fit", data.rows, len(data))
        self._build_for(data)

        history = History()
        events = CallbackList(
            [history, *([bar] if bar else []), *user_callbacks],
            self,
            {"epochs": epochs, "steps": len(data), "verbose": verbose},
        )
        self.history, self.stop_training = history, False
        try:
            events.notify("on_train_begin")
            logs: dict[str, float] | None = None
            for epoch in range(initial_epoch, epochs):
                logs = self._epoch(epoch, data, held_out, shuffle, events)
                if self.stop_training:
                    break
            events.notify("on_train_end", logs)
        finally:
            if bar:
                bar.close()
        return history

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        *,
        callbacks: Callback | list[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss and the metrics of a data set.

        Parameters
        ----------
        x, y, batch_size, verbose, callbacks
            As of `fit`.
        return_dict : bool
            Whether to return values by name.

        Returns
        -------
        float, list of float or dict
            The loss, followed by the metrics if there are any.
        """
        self._require("evaluate", compiled=True)
        return_dict = validation.boolean("evaluate", "return_dict", return_dict)
        user_callbacks = check_callbacks("evaluate", callbacks)
        data = self._data("evaluate", x, y, batch_size)
        bar = progress("evaluate", verbose, "evaluate", data.rows, len(data))
        self._build_for(data)
        params = {"epochs": 1, "steps": len(data), "verbose": verbose}
        events = CallbackList([*([bar] if bar else []), *user_callbacks], self, params)
        try:
            return _values(self._evaluate(data, events), return_dict)
        finally:
            if bar:
                bar.close()

    def predict(
        self,
        x: ArrayLike,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        *,
        callbacks: Callback | list[Callback] | None = None,
    ) -> NDArray[Any]:
        """Return the model's output for a data set.

        Parameters
        ----------
        x, batch_size, verbose, callbacks
            As of `fit`; no rows give no rows.

        Returns
        -------
        ndarray
            One row for each row of `x`, of the model's dtype.
        """
        self._require("predict")
        user_callbacks = check_callbacks("predict", callbacks)
        data = self._inputs("predict", x, batch_size)
        bar = progress("predict", verbose, "predict", data.rows, len(data))
        self._build_for(data)
        params = {"epochs": 1, "steps": len(data), "verbose": verbose}
        events = CallbackList([*([bar] if bar else []), *user_callbacks], self, params)
        try:
            return self._predict(data, events)
        finally:
            if bar:
                bar.close()

    def train_on_batch(self, x: ArrayLike, y: ArrayLike, *, return_dict: bool = False) -> Any:
        """Take one training step on one batch; return its loss and metrics, as `evaluate` does.

        The values are those of this batch alone, before the step.
        """
        return self._on_batch("train_on_batch", "train", x, y, return_dict)

    def test_on_batch(self, x: ArrayLike, y: ArrayLike, *, return_dict: bool = False) -> Any:
        """Return the loss and the metrics of one batch, as `evaluate` does."""
        return self._on_batch("test_on_batch", "evaluate", x, y, return_dict)

    def predict_on_batch(self, x: ArrayLike) -> NDArray[Any]:
        """Return the model's output for one batch."""
        self._require("predict_on_batch")
        data = self._inputs("predict_on_batch", x, None, whole=True)
        self._build_for(data)
        return self._predict(data, CallbackList([], self, {}))

    def memory(self, mode: str, batch_size: int) -> int:
        """Return the bytes that a program works in: "predict", "evaluate" or "train"."""
        mode = validation.choice("memory", "mode", mode, ("predict", "evaluate", "train"))
        batch_size = validation.positive_int("memory", "batch_size", batch_size)
        self._require("memory", compiled=mode != "predict")
        return self._lower(mode, batch_size, self.dtype).nbytes

    def gradient_program(self, owner: str, x: ArrayLike, y: ArrayLike) -> tuple[Batch, Lowered]:
        """Return a checked batch, and the program that computes its losses and gradients."""
        self._require(owner, compiled=True)
        data = self._data(owner, x, y, None, whole=True)
        self._build_for(data)
        return next(data.iterate()), self._program("gradients", data.rows, data.x_dtype)

    def _on_batch(self, owner: str, mode: str, x: ArrayLike, y: ArrayLike, return_dict: bool) -> Any:
        """Run one batch, and return its loss and metrics."""
        self._require(owner, compiled=True)
        return_dict = validation.boolean(owner, "return_dict", return_dict)
        data = self._data(owner, x, y, None, whole=True)
        self._build_for(data)
        meter = Meter(self, data)
        self._step(mode, next(data.iterate()), data, meter)
        return _values(meter.logs(), return_dict)


def _values(logs: dict[str, float], return_dict: bool) -> Any:
    """Return a loss and metrics in the form that Keras returns them."""
    values = list(logs.values())
    return logs if return_dict else values[0] if len(values) == 1 else values
