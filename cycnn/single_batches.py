"""A model on single batches: training steps, losses, predictions; and the programs that do it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from . import validation
from .batches.feeding import Feed
from .callbacks import CallbackList
from .execution import Execution
from .program.lowered import predictions
from .programs import lanes, release

if TYPE_CHECKING:
    from .models import Model
    from .program import Lowered


class SingleBatches(Execution):
    """Base of models: what they do with one batch."""

    def train_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Take one training step on one batch; return its loss and metrics, as `evaluate` does.

        The values are those of this batch alone, before the step.
        """
        return self._on_batch("train_on_batch", "train", x, y, sample_weight, class_weight, return_dict)

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Return the loss and the metrics of one batch, as `evaluate` does."""
        return self._on_batch("test_on_batch", "evaluate", x, y, sample_weight, None, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the model's output for one batch."""
        return self.compute(x, owner="predict_on_batch")

    def compute(self, x: Any, *, training: bool = False, step: int = 0, owner: str = "Model") -> Any:
        """Return the model's output for one batch.

        Parameters
        ----------
        x : array_like, or list or dict of arrays
        training : bool
            Whether layers behave as in training, False by default.
        step : int
            The number from which random layers then draw.
        owner : str
            What an error message names.
        """
        model = cast("Model", self)
        ready = [] if training else self._programs.recall(x)
        if ready:
            try:
                return model.formed_outputs(predictions(ready, [x]))
            finally:
                release(ready)
        self._require(owner)
        source = Feed(model, owner, targets=False).arrays(x, None, None, None)
        self._build_for(source.first())
        if not source.rows:
            return model.formed_outputs(self._predict(source, CallbackList([], self, {})))
        batch = next(source.batches())
        if not training:
            self._programs.remember(x, batch.x, self._key("predict", batch))
            with self._claim(batch) as programs:
                return model.formed_outputs(predictions(programs, batch.x))
        lowered = self._program("call", batch)
        with self._programs.alone():  # it moves statistics
            lowered.key[1] = step
            lowered.run(batch.x)
            return model.formed_outputs([output.copy() for output in lowered.outputs])

    def memory(self, mode: str, batch_size: int) -> int:
        """Return the bytes that programs work in: "predict", "evaluate" or "train"."""
        mode = validation.choice("memory", "mode", mode, ("predict", "evaluate", "train"))
        batch_size = validation.positive_int("memory", "batch_size", batch_size)
        lowered = self.program("memory", mode, batch_size)
        return lowered.nbytes * lanes(lowered, batch_size)

    def program(self, owner: str, mode: str, batch_size: int) -> Lowered:
        """Return a new program for batches of floats, which the model does not keep; `owner` is what errors name."""
        self._require(owner, compiled=mode != "predict")
        return self._lower(mode, batch_size, (self.dtype,) * len(self.input_shapes))

    def gradient_program(self, owner: str, x: Any, y: Any) -> tuple[Callable[[], None], Lowered]:
        """Return a program that computes losses and gradients, and the function that runs it on a checked batch."""
        self._require(owner, compiled=True)
        source = Feed(cast("Model", self), owner).arrays(x, y, None, None)
        batch = next(source.batches())
        self._build_for(batch)
        lowered = self._program("gradients", batch)
        return lambda: self.run_program(lowered, batch), lowered

    def _on_batch(
        self, owner: str, mode: str, x: Any, y: Any, weight: Any, class_weight: Any, return_dict: bool
    ) -> Any:
        """Run one batch, and return its loss and metrics."""
        self._require(owner, compiled=True)
        return_dict = validation.boolean(owner, "return_dict", return_dict)
        source = Feed(cast("Model", self), owner, class_weight=class_weight).arrays(x, y, weight, None)
        batch = next(source.batches())
        meter = self._meter(batch)
        self._build_for(batch)
        self._step(mode, batch, meter)
        return in_form(meter.logs(), return_dict)


def in_form(logs: dict[str, float], return_dict: bool) -> Any:
    """Return a loss and metrics in the form that Keras returns them."""
    values = list(logs.values())
    return logs if return_dict else values[0] if len(values) == 1 else values
