"""Objects from what users write for them: a name, a configuration as `serialize` returns it, or the object itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self, TypeVar

from .validation import message, received


class Configured(Protocol):
    """What can be made from a configuration."""

    def get_config(self) -> dict[str, Any]: ...
    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self: ...


T = TypeVar("T", bound=Configured)


def resolve(
    identifier: object,
    base: type[T],
    classes: Mapping[str, type[T]],
    *,
    owner: str,
    name: str,
    what: str,
    custom_objects: Mapping[str, type[T]] | None = None,
) -> T:
    """Return the object that `identifier` stands for.

    Parameters
    ----------
    identifier : object
        A name, a dict with "class_name" and "config", or an object of `base`.
    base : class
        Of all objects in question.
    classes : dict
        By all the names that they may be given.
    owner, name, what : str
        What an error message calls the function, its argument, and objects of `base` ("an optimizer").
    custom_objects : dict, optional
        The user's own classes by name, which go before `classes`.

    Raises
    ------
    TypeError, ValueError
        If there is no such object.
    """
    config: dict[str, Any] = {}
    class_name = identifier
    if isinstance(identifier, dict):
        class_name, config = identifier.get("class_name"), identifier.get("config") or {}
    if isinstance(class_name, str):
        known = {**classes, **(custom_objects or {})}
        if class_name not in known:
            rule = "be one of " + ", ".join(dict.fromkeys(cls.__name__ for cls in known.values()))
            raise ValueError(message(owner, name, rule, received(name, identifier)))
        return known[class_name].from_config(config)
    if not isinstance(identifier, base):
        rule = f"be the name of {what}, its configuration, or {what}"
        raise TypeError(message(owner, name, rule, received(name, identifier)))
    return identifier


def serialized(owner: str, name: str, value: object, base: type[Configured], what: str) -> dict[str, Any]:
    """Return the class and the arguments of an object of `base` as plain JSON values, for `resolve`."""
    if not isinstance(value, base):
        raise TypeError(message(owner, name, f"be {what} to be saved", received(name, value)))
    return {"class_name": type(value).__name__, "config": value.get_config()}
