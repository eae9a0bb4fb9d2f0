"""Arguments of optimizers as attributes: checked whenever they are set, and fixed where steps were made for them.

A number that the steps read when they run may change at any time. What decides which steps there are, and what they
remember, may not once they have been made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Self, TypedDict, TypeVar, overload

from .. import validation
from ..validation import received

if TYPE_CHECKING:
    from .base import Optimizer

T = TypeVar("T")


class Common(TypedDict, total=False):
    """The arguments that all optimizers have, apart from the learning rate."""

    weight_decay: float | None
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: None
    gradient_accumulation_steps: int | None
    name: str | None


class Setting(Generic[T]):
    """One argument.

    Parameters
    ----------
    check : function of the owner's name, the argument's name and a value
        Returns the value coerced, or raises an error.
    kind : function of a value
        Values of different kinds need different steps; by default all are of one.
    """

    def __init__(self, check: Callable[[str, str, Any], T], kind: Callable[[T], object] = lambda value: None) -> None:
        self.check, self.kind = check, kind

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, optimizer: None, cls: type) -> Self: ...
    @overload
    def __get__(self, optimizer: Optimizer, cls: type) -> T: ...
    def __get__(self, optimizer: Optimizer | None, cls: type) -> Self | T:
        if optimizer is None:
            return self
        value: T = vars(optimizer)[self.name]
        return value

    def __set__(self, optimizer: Optimizer, value: Any) -> None:
        owner = type(optimizer).__name__
        value = self.check(owner, self.name, value)
        if optimizer.built and self.kind(value) != self.kind(vars(optimizer)[self.name]):
            was = received(self.name, vars(optimizer)[self.name])
            raise RuntimeError(
                f"{owner}: `{self.name}` must not become {value!r} after the first step, which was made for {was}. "
                "Compile the model with a new optimizer."
            )
        vars(optimizer)[self.name] = value


def number(
    low: float = 0, high: float = float("inf"), *, above: bool = False, below: bool = False, zero: bool = False
) -> Setting[float]:
    """Return a setting for numbers from `low` to `high`; with `zero`, other steps are needed where it is 0."""

    def check(owner: str, name: str, value: Any) -> float:
        return validation.number(owner, name, value, low, high, above=above, below=below)

    return Setting(check, bool) if zero else Setting(check)


def optional_number() -> Setting[float | None]:
    """Return a setting for None and numbers of at least 0; other steps are needed where it is None."""

    def check(owner: str, name: str, value: Any) -> float | None:
        return None if value is None else validation.number(owner, name, value, 0)

    return Setting(check, lambda value: value is None)


def fixed_number() -> Setting[float | None]:
    """Return a setting for None and numbers of at least 0 that steps are made for."""
    setting = optional_number()
    return Setting(setting.check, lambda value: value)


def optional_count(least: int, *, fixed: bool = False) -> Setting[int | None]:
    """Return a setting for None and ints of at least `least`."""

    def check(owner: str, name: str, value: Any) -> int | None:
        if value is None:
            return None
        count = validation.positive_int(owner, name, value)
        if count < least:
            rule = f"be None or an int of at least {least}"
            raise ValueError(validation.message(owner, name, rule, received(name, value)))
        return count

    return Setting(check, lambda value: value) if fixed else Setting(check)


def flag(*, fixed: bool = False) -> Setting[bool]:
    """Return a setting that is True or False."""
    return Setting(validation.boolean, bool) if fixed else Setting(validation.boolean)
