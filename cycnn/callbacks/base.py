"""What happens between the steps of training, as in Keras.

A callback is told when training, evaluation, prediction, an epoch or a batch begins and ends.
`logs` are the loss and the metrics so far. A callback may set `self.model.stop_training`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from ..validation import message, received

if TYPE_CHECKING:
    from ..models import Model

Logs: TypeAlias = dict[str, Any] | None


class Callback:
    """Base of all callbacks: methods that do nothing.

    Attributes
    ----------
    model : Model
        The model that is trained.
    params : dict
        "epochs", "steps" (batches in an epoch) and "verbose".

    Examples
    --------
    >>> class StopWhenGood(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.stop_training = logs["accuracy"] > 0.99
    """

    model: Model
    params: dict[str, Any]
    counters: ClassVar[tuple[str, ...]] = ()  # attributes that a run which is taken up again has to know

    def get_state(self) -> dict[str, Any]:
        """Return what a run that is taken up again has to know, as plain JSON values and arrays."""
        return {name: getattr(self, name) for name in self.counters}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned."""
        for name, value in state.items():
            setattr(self, name, value)

    def set_model(self, model: Model) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def on_train_begin(self, logs: Logs = None) -> None: ...

    def after_train_begin(self) -> None:
        """Be told that all callbacks have seen the beginning."""

    def after_epoch_end(self, epoch: int) -> None:
        """Be told that all callbacks have seen the end of an epoch."""

    def on_train_end(self, logs: Logs = None) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None: ...
    def on_batch_begin(self, batch: int, logs: Logs = None) -> None: ...
    def on_batch_end(self, batch: int, logs: Logs = None) -> None: ...

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs = None) -> None: ...
    def on_test_end(self, logs: Logs = None) -> None: ...
    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None: ...
    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None: ...
    def on_predict_begin(self, logs: Logs = None) -> None: ...
    def on_predict_end(self, logs: Logs = None) -> None: ...
    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None: ...
    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None: ...


class History(Callback):
    """The loss and the metrics of each epoch; `fit` returns one.

    Attributes
    ----------
    epoch : list of int
        The epochs that were completed, from 0.
    history : dict of str to list of float
        Values by name, such as "loss" and "val_accuracy", one for each epoch.
    """

    counters = ("epoch", "history")

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LambdaCallback(Callback):
    """Call functions at the events of training.

    Parameters
    ----------
    **functions
        By the names of the methods of `Callback`, each with the arguments of that method.

    Examples
    --------
    >>> show = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    """

    def __init__(self, **functions: Callable[..., object] | None) -> None:
        for name, function in functions.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise TypeError(message("LambdaCallback", name, "be an event of Callback", received("name", name)))
            if function is not None:
                setattr(self, name, function)


class CallbackList:
    """Callbacks that are told the same things in turn.

    Parameters
    ----------
    callbacks : iterable of Callback
    model : Model
    params : dict
        See `Callback`.
    """

    def __init__(self, callbacks: Iterable[Callback], model: Any, params: dict[str, Any]) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)

    def notify(self, event: str, *arguments: Any) -> None:
        """Call the method named `event` of each callback."""
        for callback in self.callbacks:
            getattr(callback, event)(*arguments)


def check(owner: str, callbacks: object) -> list[Callback]:
    """Return one callback or a list of them as a list."""
    if callbacks is None:
        return []
    found: list[Any] = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
    if not all(isinstance(callback, Callback) for callback in found):
        rule = "be a list of Callback objects"
        raise TypeError(message(owner, "callbacks", rule, received("callbacks", callbacks)))
    return found
