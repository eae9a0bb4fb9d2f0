"""What every optimizer is made of: settings, what it remembers of each parameter, and the steps of an update.

An optimizer lowers to native steps. What these need to know before each run, such as the learning rate and whether
gradients are only accumulated this time, stands in one small array that `begin_step` fills: one program serves all
steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .. import validation
from .._native import Buffer
from ..identifiers import Configured, snake_case
from ..validation import message, received
from ..variable import Variable
from . import schedules, state
from .lowering import update_steps
from .settings import Common, fixed_number, flag, number, optional_count, optional_number

if TYPE_CHECKING:
    from .._native import Step

_HYPERPARAMETERS = 4 + 6  # of every step, and of the rule with most of its own


class Optimizer(Configured):
    """Base of all optimizers.

    Numbers may be set between steps too; what decides which steps there are only before the first one. Gradients are
    averaged over the accumulated ones, then clipped; then weights decay, and the optimizer's own rule is applied.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        A number, a function of the number of steps taken, or a function without arguments.
    weight_decay : float, optional
        ``w -= weight_decay * learning_rate * w`` goes before each update.
    clipnorm, global_clipnorm : float, optional
        The largest norm of a parameter's gradient, or of all gradients together; larger ones are scaled down.
    clipvalue : float, optional
        The largest size of each number of a gradient. Only one of the three may be given.
    use_ema : bool
        Whether to keep a moving average of each parameter, False by default.
    ema_momentum : float
        Share of the average that stays with each step, 0.99 by default.
    ema_overwrite_frequency : int, optional
        After how many updates the averages become the parameters; by default only `finalize_variable_values`, which
        `fit` calls at its end, makes them so.
    loss_scale_factor : None
        Nothing else: gradients are float32 or float64, which need no scaling.
    gradient_accumulation_steps : int, optional
        How many gradients are averaged for one update, at least 2.
    name : str, optional
        By default the class's name in snake case.
    """

    arguments: ClassVar[tuple[str, ...]] = ("learning_rate",)
    rule: ClassVar[str] = ""  # the compiled one
    scalars: ClassVar[tuple[str, ...]] = ()  # attributes that training changes

    weight_decay = optional_number()
    clipnorm = fixed_number()
    clipvalue = fixed_number()
    global_clipnorm = fixed_number()
    use_ema = flag(fixed=True)
    ema_momentum = number(0, 1)
    ema_overwrite_frequency = optional_count(1)
    gradient_accumulation_steps = optional_count(2, fixed=True)

    def __init__(
        self,
        learning_rate: object,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **unknown: object,
    ) -> None:
        owner = self.owner
        for argument, value in unknown.items():
            rule = "be left out, for the optimizer has no such argument"
            raise TypeError(message(owner, argument, rule, received(argument, value)))
        if loss_scale_factor is not None:
            what = received("loss_scale_factor", loss_scale_factor)
            raise ValueError(message(owner, "loss_scale_factor", "be None", what))
        if name is not None and not isinstance(name, str):
            raise TypeError(message(owner, "name", "be None or a string", received("name", name)))
        self.slots: dict[Variable, dict[str, Variable]] = {}
        self.steps = 0
        self._before: dict[str, float] = {}
        self._excluded: set[Variable] = set()
        self._excluded_names = ""
        self.hyper = np.zeros(_HYPERPARAMETERS)
        self.buffer = Buffer.of(self.hyper)
        self._learning_rate: Any = None
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.name = snake_case(owner) if name is None else name
        self._check_clipping()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "buffer"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.buffer = Buffer.of(self.hyper)

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next step. A schedule cannot be replaced by a number."""
        rate = self._learning_rate
        if isinstance(rate, float):
            return rate
        value = rate(self.steps) if isinstance(rate, schedules.LearningRateSchedule) else rate()
        value = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
        return validation.number(self.owner, "learning_rate", value, 0)

    @learning_rate.setter
    def learning_rate(self, value: object) -> None:
        owner = self.owner
        if isinstance(value, schedules.LearningRateSchedule) or callable(value):
            self._learning_rate = value
            return
        rate = validation.number(owner, "learning_rate", value, 0)
        if isinstance(self._learning_rate, schedules.LearningRateSchedule):
            rule = "be a LearningRateSchedule or a function, for it was one"
            raise TypeError(message(owner, "learning_rate", rule, received("learning_rate", value)))
        self._learning_rate = rate

    @property
    def constant_rate(self) -> bool:
        """Whether the learning rate is a number, neither a schedule nor a function."""
        return isinstance(self._learning_rate, float)

    @property
    def iterations(self) -> int:
        """The number of updates so far."""
        return self.steps // (self.gradient_accumulation_steps or 1)

    @iterations.setter
    def iterations(self, value: int) -> None:
        count = validation.non_negative_int(self.owner, "iterations", value)
        self.steps = count * (self.gradient_accumulation_steps or 1)

    @property
    def built(self) -> bool:
        """Whether there are parameters of which something is remembered."""
        return bool(self.slots)

    @property
    def variables(self) -> list[Variable]:
        """What the optimizer remembers of the parameters, one after the other."""
        return [slot for slots in self.slots.values() for slot in slots.values()]

    def build(self, variables: Sequence[Variable]) -> None:
        """Make what is to be remembered of the parameters that it is not remembered of yet."""
        self._check_clipping()
        extra = ["average"] * self.use_ema + ["gradient_accumulator"] * bool(self.gradient_accumulation_steps)
        taken = {slot.path for slot in self.variables}
        for variable in variables:
            if variable in self.slots:
                continue
            slots: dict[str, Variable] = {}
            for name in (*filter(None, self.slot_names()), *extra):
                path, copies = f"{variable.path}/{name}", 0
                while path in taken:
                    copies += 1
                    path = f"{variable.path}/{name}_{copies}"
                taken.add(path)
                start = 0.0 if name in extra else self.initial_value(name)
                slots[name] = Variable(np.full(variable.shape, start, variable.dtype), name, path, False)
            self.slots[variable] = slots

    def begin_step(self) -> int:
        """Count a step, set what its native steps are about to read, and return the step's number, from 1 on."""
        every = self.gradient_accumulation_steps or 1
        t, rest = divmod(self.steps + 1, every)
        done = self.steps // every
        rate = self.learning_rate
        frequency = self.ema_overwrite_frequency
        hyper = self.hyper
        hyper[0] = rest == 0
        hyper[1] = rate * (self.weight_decay or 0)
        hyper[2] = self.ema_momentum if done else 0
        hyper[3] = self.use_ema and frequency is not None and (done + 1) % frequency == 0
        self._before = {name: getattr(self, name) for name in self.scalars}
        if rest == 0:
            values = self.values(rate, t)
            hyper[4 : 4 + len(values)] = values
        self.steps += 1
        return self.steps

    def undo_step(self) -> None:
        """Take back the last `begin_step`, whose native steps were not run."""
        self.steps -= 1
        vars(self).update(self._before)

    def update_steps(self, kernels: SimpleNamespace, pairs: Sequence[tuple[Variable, Buffer]]) -> list[Step]:
        """Return the native steps of one update, in order, for parameters and the buffers of their gradients.

        Their gradients must be there when the first step runs, and stay until the last one has run. Parameters may be
        updated in several lots, unless a global norm is clipped.
        """
        return update_steps(self, kernels, pairs)

    def exclude_from_weight_decay(
        self, var_list: Sequence[Variable] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Let some parameters not decay; to be called before the first step.

        Parameters
        ----------
        var_list : list of Variable, optional
        var_names : list of str, optional
            Regular expressions: parameters in whose path ("conv2d/bias") one of them is found.
        """
        if self.built:
            raise RuntimeError(f"{self.owner}: exclude_from_weight_decay must be called before the first step.")
        self._excluded = set(var_list or ())
        self._excluded_names = "|".join(var_names or ())

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Set parameters to their moving averages, if the optimizer keeps them and has taken a step."""
        for variable in var_list:
            average = self.slots.get(variable, {}).get("average")
            if average is not None and self.steps:
                variable.assign(average.value)

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that training changes, by name: what it takes to go on with the same bits."""
        return state.get_state(self)

    def set_state(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `get_state` returned, all of it or nothing; the optimizer must be built for the parameters."""
        state.set_state(self, values)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        config = {name: getattr(self, name) for name in ("name", *Common.__annotations__, *self.arguments)}
        if not self.constant_rate:
            config["learning_rate"] = schedules.serialize(self._learning_rate)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the optimizer that `get_config` described, without its memory."""
        rate = config.get("learning_rate")
        if isinstance(rate, dict):
            config = config | {"learning_rate": schedules.deserialize(rate)}
        return cls(**config)

    def slot_names(self) -> tuple[str | None, ...]:
        """Return what is remembered of each parameter, in the order of the rule; None for what is not."""
        raise NotImplementedError

    def initial_value(self, slot: str) -> float:
        """Return what a slot is filled with at first."""
        return 0.0

    def values(self, rate: float, t: int) -> tuple[float, ...]:
        """Return the hyperparameters of update t in the order of the rule, given the learning rate."""
        raise NotImplementedError

    def decays(self, variable: Variable) -> bool:
        """Return whether a parameter's weights decay."""
        if self.weight_decay is None or variable in self._excluded:
            return False
        return not (self._excluded_names and re.search(self._excluded_names, variable.path))

    def _check_clipping(self) -> None:
        given = [name for name in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(self, name) is not None]
        if len(given) > 1:
            what = ", ".join(received(name, getattr(self, name)) for name in given)
            rule = f"be left out if `{given[0]}` is given"
            raise ValueError(message(self.owner, given[1], rule, what))
