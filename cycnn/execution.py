"""How a model runs over a data set: the programs that are kept, epochs, steps.

Everything is checked before anything is done, so that a call that fails leaves a model as it was.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from . import config
from .batches.adapters import Batch
from .batches.feeding import same_inputs
from .batches.sources import Source
from .callbacks import Callback, CallbackList, History
from .interrupts import AtomicStep
from .layers.base import Layer
from .meter import Meter, Objective
from .program.learning import NotFinite
from .program.lowered import lower, predict
from .programs import Programs, piece
from .randomness import default_rng
from .shapes import Shape
from .variable import Variable

if TYPE_CHECKING:
    from .models import Model
    from .optimizers import Optimizer
    from .program import Lowered


class Execution:
    """Base of models: how they run programs over data sets."""

    if TYPE_CHECKING:  # what models add
        dtype: str
        built: bool

        @property
        def layers(self) -> list[Layer]: ...
        @property
        def input_shapes(self) -> list[Shape]: ...
        @property
        def output_names(self) -> list[str]: ...
        @property
        def weights(self) -> list[Variable]: ...
        @property
        def trainable_variables(self) -> list[Variable]: ...
        def build(self, input_shape: Shape) -> None: ...

    def __init__(self) -> None:
        self.optimizer: Optimizer | None = None
        self.loss: Any = None
        self.objectives: list[Objective] = []
        self.chosen_metrics: list[tuple[int, Any, bool]] = []
        self.compiled_with: dict[str, Any] = {}
        self.history: History | None = None
        self.stop_training = False
        self.running_callbacks: list[Callback] = []
        self.running_source: Source | None = None
        self.guarded = False  # whether steps stop before numbers that are not finite reach the parameters
        self.not_finite: str | None = None
        self._first_epoch = 0
        self._resume: dict[str, Any] | None = None  # where in the first epoch to go on
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
        if compiled and not self.objectives:
            raise RuntimeError(f"{owner}: the model must be compiled with a loss. Call compile(optimizer, loss) first.")

    def _build_for(self, batch: Batch) -> None:
        if not self.built:
            self.build(batch.x[0].shape)

    def _meter(self, batch: Batch) -> Meter:
        """Return a meter whose metrics fit data like these."""
        meter = Meter(self.objectives, self.chosen_metrics, self.output_names if self.built else ["output"])
        outputs = cast("Model", self).resolve_shapes([x.shape for x in batch.x], "fit", ["x"] * len(batch.x))
        assert batch.y is not None
        meter.resolve([y.shape for y in batch.y], outputs)
        return meter

    def _meters(self, source: Source, held_out: Source | None = None) -> tuple[Meter, Meter | None]:
        """Return what measures each source, after all that is to be checked, and build the model for the first."""
        batch, meter = source.first(), None
        if held_out is not None:
            other = held_out.first()
            same_inputs(batch, other, held_out.rows)
            meter = self._meter(other)
        first = self._meter(batch)
        self._build_for(batch)
        return first, meter

    def _epoch(self, epoch: int, source: Source, shuffle: bool, events: CallbackList, meter: Meter) -> dict[str, float]:
        """Train on every batch once; return the logs."""
        resume, self._resume = self._resume, None
        meter.reset()
        events.notify("on_epoch_begin", epoch, {})
        count = source.shuffled if shuffle else None
        self.epoch_data = source.get_state()
        self.epoch_rng: Any = resume["order"] if resume else default_rng().bit_generator.state
        if resume:
            default_rng().bit_generator.state = resume["order"]
            meter.set_state(resume["meter"])
        order = default_rng().permutation(count) if count is not None else None
        if resume:
            default_rng().bit_generator.state = resume["rng"]
        self.epoch_meter = meter
        for i, batch in enumerate(source.batches(order)):
            if resume and i < resume["batch"]:
                continue
            events.notify("on_train_batch_begin", i, {})
            self._step("train", batch, meter)
            events.notify("on_train_batch_end", i, meter.logs())
            if self.stop_training:
                break
        return meter.logs()

    def _evaluate(self, source: Source, events: CallbackList, meter: Meter) -> dict[str, float]:
        """Return the losses and the metrics of a data set by name."""
        meter.reset()
        events.notify("on_test_begin", {})
        for i, batch in enumerate(source.batches()):
            events.notify("on_test_batch_begin", i, {})
            self._step("evaluate", batch, meter)
            events.notify("on_test_batch_end", i, meter.logs())
        events.notify("on_test_end", meter.logs())
        return meter.logs()

    def _predict(self, source: Source, events: CallbackList) -> list[NDArray[Any]]:
        """Return each output for a data set."""
        rows = source.rows
        parts: list[list[NDArray[Any]]] = []
        whole: list[NDArray[Any]] | None = None
        events.notify("on_predict_begin", {})
        at = 0
        for i, batch in enumerate(source.batches()):
            events.notify("on_predict_batch_begin", i, {})
            size = len(batch.x[0])
            with self._claim(batch) as programs:
                if whole is None and rows is not None:
                    whole = programs[0].blank_outputs(rows)
                if whole is None:
                    part = programs[0].blank_outputs(size)
                    parts.append(part)
                else:
                    part = [output[at : at + size] for output in whole]
                predict(programs, batch.x, part)
            at += size
            events.notify("on_predict_batch_end", i, {"outputs": part[0] if len(part) == 1 else part})
        events.notify("on_predict_end", {})
        if whole is None and not parts:
            batch = source.first()
            shapes = cast("Model", self).resolve_shapes([x.shape for x in batch.x], "predict", ["x"] * len(batch.x))
            return [np.empty((0, *shape[1:]), self.dtype) for shape in shapes]
        return whole if whole is not None else [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _step(self, mode: str, batch: Batch, meter: Meter) -> None:
        """Run a program on one batch: all of it, whenever Ctrl-C is pressed."""
        lowered = self._program(mode, batch)
        with self._programs.alone() if mode == "train" else lowered.lock, AtomicStep():
            if mode == "train":
                assert self.optimizer is not None
                lowered.key[1] = self.optimizer.begin_step()
            try:
                self.run_program(lowered, batch)
            except BaseException as error:
                if mode == "train" and self.optimizer is not None:
                    self.optimizer.undo_step()
                if not isinstance(error, NotFinite):
                    raise
                self.not_finite = str(error) or self._first_not_finite(batch) or "the loss"
            meter.update(batch, lowered)

    def _first_not_finite(self, batch: Batch) -> str | None:
        """Return the name of the first layer whose output for a batch is not finite."""
        from .eager import Part

        model = cast("Model", self)
        calls = model.drawn_calls
        if not np.all([np.isfinite(x).all() for x in batch.x]):
            return "the data"
        part = Part(model.inputs, [tensor for call in calls for tensor in call.outputs])
        step = 0 if self.optimizer is None else self.optimizer.iterations + 1
        outputs = part.compute(batch.x if len(batch.x) > 1 else [batch.x[0]], training=True, step=step)
        names = [call.layer.name for call in calls for _ in call.outputs]
        bad = (name for name, output in zip(names, outputs, strict=True) if not np.isfinite(output).all())
        return next((f"the output of {name!r}" for name in bad), None)

    def start_at(self, epoch: int, place: dict[str, Any] | None, data: dict[str, Any]) -> None:
        """Let `fit`, which is beginning, begin elsewhere: at an epoch, at a place in it, with a state of the source."""
        assert self.running_source is not None
        self._first_epoch, self._resume = epoch, place
        self.running_source.set_state(data)

    @staticmethod
    def run_program(lowered: Lowered, batch: Batch) -> None:
        """Run a program that computes losses on a batch."""
        assert batch.y is not None
        y = [_as_read(array, losses) for array, losses in zip(batch.y, lowered.losses, strict=True)]
        lowered.run(batch.x, y, [w.reshape(-1) for w in batch.weight] if batch.weight else ())

    def _program(self, mode: str, batch: Batch) -> Lowered:
        """Return the program for batches of this size and type, lowered anew if it is not kept."""
        key = self._key(mode, batch)
        return self._programs.get(key, lambda: self._lower(*key[:4]))

    def _claim(self, batch: Batch) -> contextlib.AbstractContextManager[list[Lowered]]:
        """Give the caller programs that predict such batches and that no other thread runs meanwhile."""
        key = self._key("predict", batch)

        def lower_one(first: Lowered | None) -> Lowered:
            return self._lower(*key[:4]) if first is None else self._lower_rows("predict", first.rows, key[2])

        return self._programs.claim(key, key[1], lower_one)

    def _key(self, mode: str, batch: Batch) -> tuple[Any, ...]:
        """Return all that a program depends on."""
        trainable = tuple(layer.trainable for layer in cast("Model", self).all_layers())
        dtypes = tuple(array.dtype.name for array in batch.x)
        weighted = batch.weight is not None and mode not in ("predict", "call")
        # A forked child makes its own: threads that it does not have may hold the locks of its parent's for ever.
        return (mode, len(batch.x[0]), dtypes, weighted, trainable, self.guarded, config.winograd, os.getpid())

    def _lower(self, mode: str, batch_size: int, input_dtypes: tuple[str, ...], weighted: bool = False) -> Lowered:
        """Return a program for batches, or for pieces of them where predictions are to come in pieces."""
        if mode == "train":
            assert self.optimizer is not None
            self.optimizer.build(self.trainable_variables)
        lowered = self._lower_rows(mode, batch_size, input_dtypes, weighted)
        rows = piece(lowered) if mode == "predict" else batch_size
        return lowered if rows == batch_size else self._lower_rows(mode, rows, input_dtypes)

    def _lower_rows(self, mode: str, rows: int, input_dtypes: tuple[str, ...], weighted: bool = False) -> Lowered:
        """Return a program for so many rows."""
        return lower(cast("Model", self), rows, mode, input_dtypes, [weighted] * len(self.objectives))

    def _new_programs(self) -> None:
        """Share no program with the model that this one was copied from."""
        self._programs = Programs()

    def forget_programs(self) -> None:
        """Lower anew when next needed."""
        self._new_programs()


def _as_read(y: NDArray[Any], losses: NDArray[Any]) -> NDArray[Any]:
    """Return targets as programs read them: a label or a row of numbers for each loss."""
    return y.reshape(-1) if y.size == losses.size and y.dtype.kind == "i" else y.reshape(losses.size, -1)
