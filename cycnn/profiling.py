"""What each step of a model's program costs: its time, its share of the FMA peak, and the algorithm that was chosen."""

from __future__ import annotations

import copy
import importlib
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import _native, validation
from ._native import Program, Step
from .programs import lanes
from .summary import table

if TYPE_CHECKING:
    from .models import Model
    from .program import Lowered

HEADERS = ("Layer", "Step", "Milliseconds", "Share", "GFLOP/s", "Of peak")
ROUNDS = 9
ARITHMETIC = ("Conv2D", "Winograd")  # in the names of steps that multiply by kernels: the others are passes over memory


class Timed(NamedTuple):
    """One step of a program."""

    layer: str
    step: str
    seconds: float
    operations: float


class Profile(NamedTuple):
    """The steps of a program in the order in which they run.

    Attributes
    ----------
    steps : list of Timed
        Layer, name of the step (which says the algorithm), median seconds, and the multiplications and additions of
        the plain formula: an algorithm that needs fewer may show more than the peak.
    peak : float
        Multiplications and additions per second that all threads reach in registers, measured beside.
    title : str
    """

    steps: list[Timed]
    peak: float
    title: str

    def lines(self) -> list[str]:
        """Return the table as text."""
        total = max(sum(timed.seconds for timed in self.steps), 1e-12)
        rows: list[tuple[str, ...]] = []
        for layer, step, seconds, operations in self.steps:
            rate = operations / max(seconds, 1e-12)
            speed = (f"{rate / 1e9:.1f}", f"{rate / self.peak:.0%}") if operations else ("", "")
            rows.append((layer, step, f"{seconds * 1e3:.3f}", f"{seconds / total:.1%}", *speed))
        done = sum(timed.operations for timed in self.steps)
        last = f"{total * 1e3:.3f} ms; {done / 1e9:.3f} GFLOP by the formula, {done / total / 1e9:.1f} GFLOP/s"
        return [self.title, *table(HEADERS, rows, words=2), f"{last}, peak {self.peak / 1e9:.0f} GFLOP/s"]


def profile(model: Model, batch_size: int = 32, mode: str = "predict") -> Profile:
    """Time every step of the program that a model runs for a batch, or for a piece of it where it predicts in pieces.

    The steps run in their order, as they always do, on random data; of `ROUNDS` runs the median counts. Where threads
    predict pieces each for itself, one of them is looked at. A copy is trained, so the model stays as it is.

    Parameters
    ----------
    model : Model
        Built, and compiled for "train" and "evaluate".
    batch_size : int
        32 by default.
    mode : {"predict", "evaluate", "train"}
        "predict" by default.

    Returns
    -------
    Profile

    Examples
    --------
    >>> from cycnn import Input, Sequential, layers, utils
    >>> model = Sequential([Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv"), layers.Flatten()])
    >>> [(timed.layer, timed.step, timed.operations) for timed in utils.profile(model, batch_size=2).steps]
    [('conv', 'Conv2DForward', 15552.0)]
    """
    mode = validation.choice("profile", "mode", mode, ("predict", "evaluate", "train"))
    batch_size = validation.positive_int("profile", "batch_size", batch_size)
    model = copy.deepcopy(model)
    lowered = model.program("profile", mode, batch_size)
    if mode == "train" and model.optimizer is not None:
        lowered.key[1] = model.optimizer.begin_step()
    rng = np.random.default_rng(0)
    x = [rng.random((lowered.rows, *shape[1:])).astype(model.dtype) for shape in model.input_shapes]
    lowered.run(x, lowered.blank_targets())
    threads = 1 if lanes(lowered, batch_size) > 1 else _native.get_num_threads()
    steps = [
        Timed("" if maker is None else maker.layer_name, _name(step), seconds, _operations(step, maker))
        for step, maker, seconds in zip(lowered.steps, lowered.makers, _seconds(lowered, threads), strict=True)
    ]
    pieces = f", one piece of {lowered.rows}" if lowered.rows < batch_size else ""
    title = f"{model.name}: {mode}, batch of {batch_size}{pieces}, {_native.isa}, {threads} thread{'s' * (threads > 1)}"
    return Profile(steps, _peak() * threads, title)


def _seconds(lowered: Lowered, threads: int) -> list[float]:
    """Return the median seconds of every step on so many threads."""
    calls = [Program([step]).run if isinstance(step, Step) else step for step in lowered.steps]
    rounds = []
    before = _native.get_num_threads()
    _native.set_num_threads(threads)
    try:
        for _ in range(ROUNDS):
            marks = [time.perf_counter()]
            for call in calls:
                call()
                marks.append(time.perf_counter())
            rounds.append(np.diff(marks))
    finally:
        _native.set_num_threads(before)
    return [float(seconds) for seconds in np.median(rounds, axis=0)]


def _peak() -> float:
    """Return the multiplications and additions per second of one thread in registers."""
    step = importlib.import_module(f"cycnn._native.{_native.isa}.peak").FmaPeak()
    run = Program([step]).run
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return float(step.operations / statistics.median(seconds))


def _name(step: object) -> str:
    return type(step).__name__ if isinstance(step, Step) else "Python"


def _operations(step: object, maker: object) -> float:
    counts = any(word in _name(step) for word in ARITHMETIC)
    return float(getattr(maker, "operations", 0.0)) if counts else 0.0
