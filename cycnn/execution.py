"""What stands between a data set and programs: checks, the programs that are kept, epochs, steps.

Everything is checked before anything is done, so that a call that fails leaves a model as it was.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from . import metrics, validation
from .batches import Batch, Batches, inputs
from .callbacks import CallbackList, History
from .interrupts import AtomicStep
from .layers.base import Layer, Shape
from .randomness import default_rng
from .validation import message, received
from .variable import Variable

if TYPE_CHECKING:
    from .losses import Loss
    from .models import Sequential
    from .optimizers import Optimizer
    from .program import Lowered

# Full batches and a smaller last one, in training, validation and prediction.
_PROGRAMS_KEPT = 6


class Objective(NamedTuple):
    """A loss, and its weight in the sum of all."""

    loss: Loss
    weight: float


class Meter:
    """The mean loss and the metrics of the rows seen so far."""

    def __init__(self, execution: Execution, data: Batches) -> None:
        assert data.y is not None
        output = execution.compute_shapes(data.x.shape)[-1]
        self.metrics = [metrics.resolve(m, data.y.shape, output) for m in execution.metrics]
        for metric in self.metrics:
            metric.target_shape(data.y.shape, output)
            metric.reset_state()
        self._total, self._rows = 0.0, 0

    def update(self, batch: Batch, lowered: Lowered) -> None:
        """Take the results of a batch into account."""
        assert batch.y is not None
        losses = lowered.losses[0]
        self._total += float(losses.sum(dtype=np.float64))
        self._rows += losses.size
        for metric in self.metrics:
            metric.update_state(batch.y, lowered.outputs[0])

    def logs(self, prefix: str = "") -> dict[str, float]:
        """Return the means by name."""
        logs = {f"{prefix}loss": self._total / max(self._rows, 1)}
        return logs | {f"{prefix}{metric.name}": metric.result() for metric in self.metrics}


class Execution:
    """Base of models: how they run programs over data sets."""

    if TYPE_CHECKING:  # what models add

        @property
        def dtype(self) -> str: ...
        @property
        def built(self) -> bool: ...
        @property
        def takes_integers(self) -> bool: ...
        @property
        def layers(self) -> list[Layer]: ...
        @property
        def weights(self) -> list[Variable]: ...
        @property
        def trainable_variables(self) -> list[Variable]: ...
        def build(self, input_shape: Shape) -> None: ...
        def compute_shapes(self, input_shape: Shape, owner: str = "", name: str = "x") -> list[Shape]: ...

    def __init__(self) -> None:
        self.optimizer: Optimizer | None = None
        self.loss: Loss | None = None
        self.metrics: tuple[str | metrics.Metric, ...] = ()
        self.history: History | None = None
        self.stop_training = False
        self._new_programs()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_programs"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._new_programs()

    @property
    def compiled(self) -> bool:
        """Whether `compile` has been called."""
        return self.optimizer is not None

    def _require(self, owner: str, compiled: bool = False) -> None:
        """Raise RuntimeError if the model cannot do what the method `owner` does."""
        if not self.layers:
            raise RuntimeError(f"{owner}: the model must have at least one layer. Add one.")
        if compiled and not self.compiled:
            raise RuntimeError(f"{owner}: the model must be compiled. Call compile(optimizer, loss) first.")

    def _inputs(self, owner: str, x: object, batch_size: int | None, whole: bool = False) -> Batches:
        """Return inputs in batches, 32 rows by default, or as one batch, if they fit the model."""
        array, dtype = inputs(owner, "x", x, self.dtype, self.takes_integers)
        self.compute_shapes(array.shape, owner)
        return Batches(array, None, self._batch_size(owner, batch_size, array, whole), dtype, "")

    def _data(
        self,
        owner: str,
        x: object,
        y: object,
        batch_size: int | None,
        whole: bool = False,
        names: tuple[str, str] = ("x", "y"),
    ) -> Batches:
        """Return inputs and targets likewise; `names` is what error messages call them."""
        assert self.loss is not None
        array, dtype = inputs(owner, names[0], x, self.dtype, self.takes_integers)
        if len(array) == 0:
            what = received(f"{names[0]}.shape", array.shape)
            raise ValueError(message(owner, names[0], "have at least one row", what))
        output_shape = self.compute_shapes(array.shape, owner, names[0])[-1]
        if y is None:
            what = received(names[1], y)
            raise TypeError(message(owner, names[1], "be an array of targets", what))
        targets = self.loss.coerce(owner, names[1], y, output_shape)
        if len(targets) != len(array):
            rule = f"have as many rows as `{names[0]}`, {len(array)}"
            what = received(f"len({names[1]})", len(targets))
            raise ValueError(message(owner, names[1], rule, what))
        size = self._batch_size(owner, batch_size, array, whole)
        y_dtype = "int32" if targets.ndim < len(output_shape) else self.dtype
        return Batches(array, targets, size, dtype, y_dtype)

    def _validation_data(self, pair: object, data: Batches) -> Batches:
        """Return what `fit` is to evaluate after each epoch, in batches of the same size."""
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            what = f"validation_data of type {type(pair).__name__}"
            raise TypeError(message("fit", "validation_data", "be a pair (x, y)", what))
        names = "validation_data[0]", "validation_data[1]"
        x, y = pair
        held_out = self._data("fit", x, y, data.batch_size, names=names)
        if held_out.x.shape[1:] != data.x.shape[1:]:
            rule = f"have rows of the shape of those of `x`, {data.x.shape[1:]}"
            what = received(f"{names[0]}.shape", held_out.x.shape)
            raise ValueError(message("fit", names[0], rule, what))
        return held_out

    @staticmethod
    def _batch_size(owner: str, value: int | None, x: NDArray[Any], whole: bool) -> int:
        if whole:
            return max(len(x), 1)
        return validation.positive_int(owner, "batch_size", 32 if value is None else value)

    def _build_for(self, data: Batches) -> None:
        if not self.built:
            self.build(data.x.shape)

    def _epoch(
        self,
        epoch: int,
        data: Batches,
        held_out: Batches | None,
        shuffle: bool,
        events: CallbackList,
    ) -> dict[str, float]:
        """Train on every row once, then evaluate what is held out; return the logs of the epoch."""
        events.notify("on_epoch_begin", epoch)
        meter = Meter(self, data)
        order = default_rng().permutation(data.rows) if shuffle else None
        for i, batch in enumerate(data.iterate(order)):
            events.notify("on_train_batch_begin", i)
            self._step("train", batch, data, meter)
            events.notify("on_train_batch_end", i, meter.logs())
            if self.stop_training:
                break
        logs = meter.logs()
        if held_out:
            logs |= {f"val_{name}": v for name, v in self._evaluate(held_out, events).items()}
        events.notify("on_epoch_end", epoch, logs)
        return logs

    def _evaluate(self, data: Batches, events: CallbackList) -> dict[str, float]:
        """Return the loss and the metrics of a data set by name."""
        meter = Meter(self, data)
        events.notify("on_test_begin")
        for i, batch in enumerate(data.iterate()):
            events.notify("on_test_batch_begin", i)
            self._step("evaluate", batch, data, meter)
            events.notify("on_test_batch_end", i, meter.logs())
        events.notify("on_test_end", meter.logs())
        return meter.logs()

    def _predict(self, data: Batches, events: CallbackList) -> NDArray[Any]:
        """Return the output for a data set."""
        output_shape = self.compute_shapes(data.x.shape)[-1]
        output = np.empty((data.rows, *output_shape[1:]), self.dtype)
        events.notify("on_predict_begin")
        for i, batch in enumerate(data.iterate()):
            events.notify("on_predict_batch_begin", i)
            rows = output[batch.start : batch.stop]
            self._program("predict", len(rows), data.x_dtype).predict([batch.x], [rows])
            events.notify("on_predict_batch_end", i, {"outputs": rows})
        events.notify("on_predict_end")
        return output

    def _step(self, mode: str, batch: Batch, data: Batches, meter: Meter) -> None:
        """Run a program on one batch: all of it, whenever Ctrl-C is pressed."""
        lowered = self._program(mode, len(batch.x), data.x_dtype)
        with lowered.lock, AtomicStep():
            if mode == "train":
                assert self.optimizer is not None
                self.optimizer.begin_step()
                lowered.key[1] = self.optimizer.iterations
            lowered.run([batch.x], [batch.rows_of_y()])
            meter.update(batch, lowered)

    def _program(self, mode: str, batch_size: int, input_dtype: str) -> Lowered:
        """Return the program for batches of this size and type, lowered anew if it is not kept."""
        trainable = tuple(variable.trainable for variable in self.weights)
        # A forked child makes its own: threads that it does not have may hold the locks of its parent's for ever.
        key = (mode, batch_size, input_dtype, trainable, os.getpid())
        lowered = self._programs.pop(key, None) or self._lower(mode, batch_size, input_dtype)
        self._programs[key] = lowered
        while len(self._programs) > _PROGRAMS_KEPT:
            self._programs.popitem(last=False)
        return lowered

    def _lower(self, mode: str, batch_size: int, input_dtype: str) -> Lowered:
        from .program import lower

        if mode == "train":
            assert self.optimizer is not None
            self.optimizer.build(self.trainable_variables)
        return lower(cast("Sequential", self), batch_size, mode, [input_dtype])

    def _new_programs(self) -> None:
        """Share no program with the model that this one was copied from."""
        self._programs: OrderedDict[tuple[Any, ...], Lowered] = OrderedDict()

    def _forget_programs(self) -> None:
        self._programs.clear()
