"""Training and use of a model: compile, fit, evaluate, predict.

All of them check every argument before any work, and run programs: the model lowered for a mode and a size of batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from . import optimizers, validation
from .batches.feeding import Feed
from .batches.sources import Source
from .callbacks import Callback, CallbackList, History
from .callbacks import check as check_callbacks
from .compiling import chosen_metrics, objectives
from .optimizers import Optimizer
from .progress import progress
from .single_batches import SingleBatches, in_form
from .validation import message, received

if TYPE_CHECKING:
    from .models import Model


class Trainer(SingleBatches):
    """Base of models: how they are trained, evaluated and used."""

    compile_arguments = ("loss", "loss_weights", "metrics", "weighted_metrics")

    def compile(
        self,
        optimizer: str | Optimizer = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: str | bool = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose how the model is trained.

        Parameters
        ----------
        optimizer : str or Optimizer
            A name such as "adam" or an object of `cycnn.optimizers`, "rmsprop" by default.
        loss : str or Loss, or list or dict of them
            A name such as "sparse_categorical_crossentropy" or an object of `cycnn.losses`; where there are
            several outputs, one for each, in a list or by the outputs' names. None for an output that is not
            trained.
        loss_weights : float, or list or dict of float, optional
            Of the losses of several outputs in their sum, 1 by default.
        metrics : list of str or Metric, optional
            Names such as "accuracy", or objects of `cycnn.metrics`; where there are several outputs, a list
            of such lists or a dict by the outputs' names.
        weighted_metrics : list of str or Metric, optional
            Likewise; the weights of rows and classes count for these.
        run_eagerly : bool
            False: a model is always lowered to a program.
        steps_per_execution, jit_compile, auto_scale_loss
            Checked, and without effect: there is nothing to be gained from the first two, and half precision, of
            which the last is a part, is not there.

        Raises
        ------
        TypeError, ValueError
            If there is no such optimizer, loss or metric, or an argument does not fit.
        """
        if validation.boolean("compile", "run_eagerly", run_eagerly):
            rule, remedy = "be False", "Models are lowered to programs; call layers on arrays to see what they compute."
            raise ValueError(message("compile", "run_eagerly", rule, received("run_eagerly", True), remedy))
        validation.positive_int("compile", "steps_per_execution", steps_per_execution)
        if jit_compile not in (True, False, "auto"):
            rule = 'be True, False or "auto"'
            raise ValueError(message("compile", "jit_compile", rule, received("jit_compile", jit_compile)))
        validation.boolean("compile", "auto_scale_loss", auto_scale_loss)
        model = cast("Model", self)
        names = model.output_names if self.built else ["output"]
        chosen = optimizers.get(optimizer, owner="compile", name="optimizer")
        goals = objectives(loss, loss_weights, names)
        watched = chosen_metrics(metrics, weighted_metrics, names, goals)
        self.optimizer, self.objectives, self.chosen_metrics = chosen, goals, watched
        self.loss = goals[0].loss if len(goals) == 1 else loss
        told = (loss, loss_weights, metrics, weighted_metrics)
        self.compiled_with = dict(zip(self.compile_arguments, told, strict=True))
        self.forget_programs()

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Callback | list[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Train for a number of epochs.

        Parameters
        ----------
        x : array_like, list or dict of arrays, iterable of batches or PyDataset
            Inputs, one row for each of the targets. A contiguous array of the model's dtype is
            read in place; others are converted batch by batch. The data set is never copied.
            Generators and data sets give batches (x, y) or (x, y, sample_weight).
        y : array_like, or list or dict of arrays
            Targets: class numbers, or rows of the shape of the model's output. None where `x` gives batches.
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
        validation_data : tuple (x, y) or (x, y, sample_weight), or an iterable of batches, optional
            What to evaluate after each epoch.
        shuffle : bool
            Whether to visit the rows in a new random order in each epoch, True by default.
        class_weight : dict of int to float, optional
            Weights of the rows of each class in the loss, 1 by default.
        sample_weight : array_like, optional
            Weights of the rows in the loss.
        initial_epoch : int
            Number of the first epoch, 0 by default.
        steps_per_epoch : int, optional
            Batches in an epoch, by default all that there are. The next epoch goes on where this one ended, and starts
            anew where the data have come to their end.
        validation_steps : int, optional
            Batches of `validation_data` to evaluate, likewise.
        validation_batch_size : int, optional
            `batch_size` by default.
        validation_freq : int
            Evaluate after every so many epochs, 1 by default.

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
        every = validation.positive_int("fit", "validation_freq", validation_freq)
        steps = _steps("fit", "steps_per_epoch", steps_per_epoch)
        user_callbacks = check_callbacks("fit", callbacks)
        model = cast("Model", self)
        feed = Feed(model, "fit", class_weight=class_weight)
        source = feed.source(x, y, sample_weight, batch_size, steps, goes_on=True)
        held_out: Source | None = None
        size = validation_batch_size if validation_batch_size is not None else batch_size
        if validation_data is not None:
            held_out = self._validation(validation_data, size, _steps("fit", "validation_steps", validation_steps))
        elif share:
            source, held_out = source.split("fit", share)
        bar = progress("fit", verbose, "fit", source.rows, source.steps)
        meter, held_out_meter = self._meters(source, held_out)

        history = History()
        params = {"epochs": epochs, "steps": source.steps, "verbose": verbose}
        events = CallbackList([*user_callbacks, history, *([bar] if bar else [])], self, params)
        self.history, self.stop_training, self.not_finite = history, False, None
        self.running_callbacks, self.running_source = events.callbacks, source
        self._first_epoch, self._resume = initial_epoch, None
        try:
            events.notify("on_train_begin", {})
            events.notify("after_train_begin")
            logs: dict[str, float] | None = None
            for epoch in range(self._first_epoch, epochs):
                if self.stop_training:  # as the backup of a run that had stopped says
                    break
                logs = self._epoch(epoch, source, shuffle, events, meter)
                if held_out and held_out_meter and (epoch + 1) % every == 0:
                    values = self._evaluate(held_out, events, held_out_meter)
                    logs |= {f"val_{name}": value for name, value in values.items()}
                events.notify("on_epoch_end", epoch, logs)
                events.notify("after_epoch_end", epoch)
            if logs is not None and self.optimizer is not None:
                self.optimizer.finalize_variable_values(self.trainable_variables)
            events.notify("on_train_end", logs)
        finally:
            self.running_source = None
            if bar:
                bar.close()
        return history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Callback | list[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss and the metrics of a data set.

        Parameters
        ----------
        x, y, batch_size, verbose, sample_weight, callbacks
            As of `fit`.
        steps : int, optional
            Batches to evaluate, by default all that there are.
        return_dict : bool
            Whether to return values by name.

        Returns
        -------
        float, list of float or dict
            The loss, followed by the metrics if there are any.
        """
        self._require("evaluate", compiled=True)
        return_dict = validation.boolean("evaluate", "return_dict", return_dict)
        steps = _steps("evaluate", "steps", steps)
        user_callbacks = check_callbacks("evaluate", callbacks)
        source = Feed(cast("Model", self), "evaluate").source(x, y, sample_weight, batch_size, steps)
        bar = progress("evaluate", verbose, "evaluate", source.rows, source.steps)
        meter, _ = self._meters(source)
        params = {"epochs": 1, "steps": source.steps, "verbose": verbose}
        events = CallbackList([*([bar] if bar else []), *user_callbacks], self, params)
        try:
            return in_form(self._evaluate(source, events, meter), return_dict)
        finally:
            if bar:
                bar.close()

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Callback | list[Callback] | None = None,
    ) -> Any:
        """Return the model's output for a data set.

        Parameters
        ----------
        x, batch_size, verbose, callbacks
            As of `fit`; no rows give no rows. Targets that come with batches are passed over.
        steps : int, optional
            Batches to predict, by default all that there are.

        Returns
        -------
        ndarray, or list or dict of ndarray
            For each output one row for each row of `x`, of the model's dtype.

        Notes
        -----
        The same rows in batches of the same size give the same bits, whatever the number of threads. In batches of
        another size, sums may be added up in another order, and the last bits differ.
        """
        self._require("predict")
        steps = _steps("predict", "steps", steps)
        user_callbacks = check_callbacks("predict", callbacks)
        model = cast("Model", self)
        source = Feed(model, "predict", targets=False).source(x, None, None, batch_size, steps)
        bar = progress("predict", verbose, "predict", source.rows, source.steps)
        self._build_for(source.first())
        params = {"epochs": 1, "steps": source.steps, "verbose": verbose}
        events = CallbackList([*([bar] if bar else []), *user_callbacks], self, params)
        try:
            return model.formed_outputs(self._predict(source, events))
        finally:
            if bar:
                bar.close()

    def _validation(self, data: Any, batch_size: int | None, steps: int | None) -> Source:
        """Return what `fit` is to evaluate after each epoch."""
        feed = Feed(cast("Model", self), "fit")
        if not isinstance(data, (tuple, list)):
            if isinstance(data, (dict, np.ndarray)) or not hasattr(data, "__iter__"):
                what = f"validation_data of type {type(data).__name__}"
                raise TypeError(message("fit", "validation_data", "be a pair (x, y)", what))
            return feed.source(data, None, None, None, steps)
        if len(data) not in (2, 3):
            what = f"validation_data of type {type(data).__name__}"
            raise TypeError(message("fit", "validation_data", "be a pair (x, y)", what))
        x, y, weight = (*data, None)[:3]
        labels = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
        return feed.source(x, y, weight, batch_size, steps, labels)


def _steps(owner: str, name: str, value: int | None) -> int | None:
    return None if value is None else validation.positive_int(owner, name, value)
