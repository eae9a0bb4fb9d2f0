"""Objects by what users write for them: a name, a configuration as `serialize` returns it, or the object itself.

Layers, losses, metrics, optimizers and what layers are told of their parameters are alike in this. An object is made
from its constructor's arguments, which are its configuration; each kind has a table of the names of its classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from .validation import message, received


class Configured:
    """Base of what has a configuration: its constructor's arguments as plain JSON values.

    A subclass lists the arguments in `arguments`, and stores them coerced under the same names.
    """

    arguments: ClassVar[tuple[str, ...]] = ()

    @property
    def owner(self) -> str:
        """What error messages call this object."""
        return type(self).__name__

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        return {name: plain(self.owner, name, getattr(self, name)) for name in self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the object that `get_config` described."""
        return cls(**config)


T = TypeVar("T", bound=Configured)


def plain(owner: str, name: str, value: Any) -> Any:
    """Return a stored argument as a JSON value; a function of the user's has none."""
    if isinstance(value, (tuple, list)):
        return [plain(owner, name, item) for item in value]
    if isinstance(value, Configured):
        return configuration(value)
    if callable(value):
        raise TypeError(message(owner, name, "be an object with a configuration to be saved", received(name, value)))
    return value


def configuration(value: Configured) -> dict[str, Any]:
    """Return the class and the arguments of an object as plain JSON values, for `resolve`."""
    return {"class_name": type(value).__name__, "config": value.get_config()}


def snake_case(name: str) -> str:
    """Return a class's name as Keras writes it otherwise: "Conv2D" becomes "conv2d".

    Examples
    --------
    >>> snake_case("MeanSquaredError"), snake_case("KLDivergence")
    ('mean_squared_error', 'kl_divergence')
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def names(*classes: type[T], **others: type[T]) -> dict[str, type[T]]:
    """Return classes by their names in snake case, by their own, and by other names that Keras has for them."""
    return {snake_case(cls.__name__): cls for cls in classes} | {cls.__name__: cls for cls in classes} | others


_custom: ContextVar[Mapping[str, Any]] = ContextVar("custom", default=MappingProxyType({}))


@contextmanager
def custom_objects(classes: Mapping[str, Any] | None) -> Iterator[None]:
    """Context in which the user's own classes are known by these names, before all others."""
    token = _custom.set({**_custom.get(), **(classes or {})})
    try:
        yield
    finally:
        _custom.reset(token)


def known(classes: Mapping[str, Any], base: type[T]) -> dict[str, type[T]]:
    """Return the subclasses of `base` among some classes and those of the user, by name."""
    found = {**classes, **_custom.get()}
    return {name: cls for name, cls in found.items() if isinstance(cls, type) and issubclass(cls, base)}


def resolve(
    identifier: object,
    base: type[T],
    classes: Mapping[str, type[T]],
    *,
    owner: str,
    name: str,
    what: str,
    remedy: str = "",
) -> T:
    """Return the object that `identifier` stands for.

    Parameters
    ----------
    identifier : object
        A name, a dict with "class_name" and "config", an object of `base`, or its class.
    base : class
        Of all objects in question.
    classes : dict
        By all the names that they may be given; errors list the first of each.
    owner, name, what, remedy : str
        What an error message calls the function, its argument, and objects of `base` ("an optimizer"), and what it
        advises where the identifier is none of these.

    Raises
    ------
    TypeError, ValueError
        If there is no such object.
    """
    if isinstance(identifier, base):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, base):
        return identifier()
    config: dict[str, Any] = {}
    class_name = identifier
    if isinstance(identifier, dict):
        class_name, config = identifier.get("class_name"), identifier.get("config") or {}
    if not isinstance(class_name, str):
        rule = f"be the name of {what}, its configuration, or {what}"
        raise TypeError(message(owner, name, rule, received(name, identifier), remedy))
    by_name = known(classes, base)
    if class_name not in by_name:
        first: dict[type[T], str] = {}
        for each, cls in by_name.items():
            first.setdefault(cls, each)
        rule = "be one of " + ", ".join(first.values())
        raise ValueError(message(owner, name, rule, received(name, identifier)))
    return by_name[class_name].from_config(config)


def serialized(owner: str, name: str, value: object, base: type[Configured], what: str) -> dict[str, Any]:
    """Return the configuration of what must be an object of `base`."""
    if not isinstance(value, base):
        raise TypeError(message(owner, name, f"be {what} to be saved", received(name, value)))
    return configuration(value)
