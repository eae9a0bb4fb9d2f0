"""Losses and metrics as functions: under their names in snake case, what Keras's functions say of each row."""

from __future__ import annotations

from inspect import Parameter, Signature, signature
from typing import Any

from .identifiers import snake_case


class RowFunction:
    """A loss or a metric as a function: one value for each row of targets and predictions.

    `compile`, and all that takes the name of a loss or a metric, takes the function for the name.

    Parameters
    ----------
    of : class
        Of losses or metrics, with a method `call`. Its own arguments, in their order, are those of the function
        behind targets and predictions.

    Examples
    --------
    >>> from cycnn import losses
    >>> losses.mean_squared_error([[0.0, 1.0]], [[0.0, 0.5]])
    array([0.125], dtype=float32)
    >>> losses.huber([[0.0]], [[3.0]], delta=2.0)
    array([4.], dtype=float32)
    """

    def __init__(self, of: type[Any]) -> None:
        self.of = of
        self.__name__ = self.__qualname__ = snake_case(of.__name__)
        self.__module__ = of.__module__.rpartition(".")[0]
        self.__doc__ = f"Return what `{of.__name__}` says of each row."
        options = signature(of).parameters
        pair = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("y_true", "y_pred")]
        self.__signature__ = Signature([*pair, *(options[name] for name in of.arguments)])

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Return one value for each row."""
        given = self.__signature__.bind(*arguments, **options).arguments
        pair = given.pop("y_true"), given.pop("y_pred")
        return self.of(**given).call(*pair)

    def __repr__(self) -> str:
        return f"<function {self.__module__}.{self.__name__}>"


def named(identifier: Any) -> Any:
    """Return the name that a function stands for; anything else as it is."""
    return identifier.__name__ if isinstance(identifier, RowFunction) else identifier
