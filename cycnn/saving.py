"""Saved models: layers, weights, how they are trained and what the optimizer remembers, in one safetensors file.

Nothing that a file says is run: layers, losses, metrics and optimizers are looked up by name, and made from plain
JSON values. Nothing that it says is believed: parameters are made only as far as the file holds values for them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import files, identifiers, layers, losses, metrics, optimizers, validation
from .row_functions import named
from .validation import message, received
from .variable import limited_weights

if TYPE_CHECKING:
    from .models import Model

Path = str | os.PathLike[str]
__all__ = ["load_model", "load_weights", "save_model", "save_weights"]

_KINDS: dict[str, Any] = {"loss": losses, "metric": metrics}


def save_model(model: Model, filepath: Path, overwrite: bool = True, *, include_optimizer: bool = True) -> None:
    """Save a model as one file; `load_model` returns it as it was.

    Parameters
    ----------
    model : Model
        Built.
    filepath : path
        Where to, such as "model.safetensors". A file that is there is replaced once the new one is whole.
    overwrite : bool
        Whether a file that is there may be replaced, True by default.
    include_optimizer : bool
        Whether to keep what the optimizer remembers, so that training goes on with the same bits. True by default.

    Raises
    ------
    RuntimeError
        If the model is not built.
    TypeError
        If it holds a function of the user's, as an initializer or a metric, which no file can hold.
    FileExistsError
        If there is a file that may not be replaced.
    """
    _check_free("save_model", filepath, overwrite)
    arrays, description = state_of(model, include_optimizer)
    files.write(filepath, arrays, description)


def load_model(
    filepath: Path, custom_objects: dict[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Model:
    """Return the model that `save_model` has saved.

    Parameters
    ----------
    filepath : path
    custom_objects : dict of str to class, optional
        Classes of one's own by their names: layers, losses, metrics, optimizers, initializers, constraints.
    compile : bool
        Whether to compile the model as it was, True by default.
    safe_mode : bool
        Without effect: nothing that a file says is run.

    Raises
    ------
    ValueError
        If the file is not one of cycnn's, was cut short or altered, or describes what does not exist.
    OSError
        If it cannot be read.
    """
    validation.boolean("load_model", "safe_mode", safe_mode)
    arrays, description = files.read(filepath)
    try:
        weights = _group(arrays, "weights/")
        with identifiers.custom_objects(custom_objects):
            with limited_weights(sum(array.size for array in weights.values())):
                model = layers.deserialize(description["model"])
            if compile and description["compiled"]:
                _compile(model, description["compiled"])
        restore(model, arrays, description)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
        rule = "describe a model that this version of cycnn can make"
        raise ValueError(message("load_model", "filepath", rule, f"filepath={str(filepath)!r} ({error})")) from error
    return model  # type: ignore[return-value]


def save_weights(model: Model, filepath: Path, overwrite: bool = True) -> None:
    """Save the parameters of a model alone; `overwrite` as of `save_model`."""
    _check_free("save_weights", filepath, overwrite)
    arrays = {f"weights/{name}": variable.value for name, variable in model.named_variables().items()}
    files.write(filepath, arrays, {"weights": True})


def load_weights(model: Model, filepath: Path, skip_mismatch: bool = False) -> None:
    """Set the parameters of a model, found by the names of layers and parameters.

    Parameters
    ----------
    model : Model
    filepath : path
        What `save_weights` or `save_model` has written.
    skip_mismatch : bool
        Whether to pass over parameters that the file has not, or in another shape. False by default: nothing is
        set then unless all can be.

    Raises
    ------
    ValueError
        If the file is damaged, or a parameter does not fit.
    """
    arrays, _ = files.read(filepath)
    _set_weights(model, _group(arrays, "weights/"), skip_mismatch, str(filepath))


def _check_free(owner: str, filepath: Path, overwrite: bool) -> None:
    """Raise FileExistsError if there is a file that may not be replaced."""
    if not validation.boolean(owner, "overwrite", overwrite) and os.path.exists(filepath):
        rule = "be True to replace a file"
        raise FileExistsError(message(owner, "overwrite", rule, f"overwrite=False, filepath={str(filepath)!r}"))


def state_of(model: Model, include_optimizer: bool = True) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return all that a file holds of a model: arrays by name, and the rest as plain JSON values."""
    if not model.built:
        raise RuntimeError("save: the model must be built. Call build(input_shape) or fit first.")
    arrays = {f"weights/{name}": variable.value for name, variable in model.named_variables().items()}
    compiled = None
    if model.optimizer is not None:
        compiled = {"optimizer": optimizers.serialize(model.optimizer)}
        compiled |= {name: _plain(name, value) for name, value in model.compiled_with.items()}
        if include_optimizer and model.optimizer.steps:
            arrays |= {f"optimizer/{name}": array for name, array in model.optimizer.get_state().items()}
    seeds = {
        name: str(layer._drawn_seed)
        for name, layer in _layers_by_path(model).items()
        if getattr(layer, "_drawn_seed", None) is not None
    }
    return arrays, {"model": layers.serialize(model), "compiled": compiled, "seeds": seeds}


def restore(model: Any, arrays: Mapping[str, NDArray[Any]], description: Mapping[str, Any]) -> None:
    """Give a model the parameters, the seeds and the memory of its optimizer that `state_of` has returned."""
    _set_weights(model, _group(arrays, "weights/"))
    found = _layers_by_path(model)
    for name, seed in description["seeds"].items():
        found[name]._drawn_seed = int(seed)
    model.forget_programs()  # they hold the old seeds
    remembered = _group(arrays, "optimizer/")
    if model.optimizer is not None and remembered:
        model.optimizer.build(model.trainable_variables)
        model.optimizer.set_state(remembered)


def _layers_by_path(model: Any, prefix: str = "") -> dict[str, Any]:
    """Return the layers of a model and of the models in it, by their names."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        found[f"{prefix}{layer.name}"] = layer
        if hasattr(layer, "layers"):
            found |= _layers_by_path(layer, f"{prefix}{layer.name}/")
    return found


def _group(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _set_weights(model: Any, weights: Mapping[str, NDArray[Any]], skip: bool = False, filepath: str = "") -> None:
    """Set the parameters that have these names: all, or with `skip` those that fit."""
    fitting = {}
    for name, variable in model.named_variables().items():
        shape = weights[name].shape if name in weights else None
        if shape == variable.shape:
            fitting[variable] = weights[name]
        elif not skip:
            rule = f"hold {name} of the shape {variable.shape}"
            what = f"filepath={filepath!r} with {received('shape', shape)}"
            raise ValueError(message("load_weights", "filepath", rule, what))
    with model._programs.alone():
        for variable, array in fitting.items():
            variable.assign(np.asarray(array, variable.dtype))


def _plain(name: str, value: Any) -> Any:
    """Return what `compile` was told as plain JSON values."""
    value = named(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        return {key: _plain(name, each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(name, each) for each in value]
    value = value() if isinstance(value, type) else value
    if not isinstance(value, (losses.Loss, metrics.Metric)):
        raise TypeError(message("save", name, "be an object or a name, to be saved", received(name, value)))
    kind = "loss" if isinstance(value, losses.Loss) else "metric"
    return {"kind": kind, "object": identifiers.configuration(value)}


def _made(value: Any) -> Any:
    """Return what `_plain` has described."""
    if isinstance(value, dict) and set(value) == {"kind", "object"}:
        return _KINDS[value["kind"]].deserialize(value["object"])
    if isinstance(value, dict):
        return {key: _made(each) for key, each in value.items()}
    return [_made(each) for each in value] if isinstance(value, list) else value


def _compile(model: Any, compiled: dict[str, Any]) -> None:
    optimizer = optimizers.deserialize(compiled["optimizer"])
    model.compile(optimizer, **{name: _made(compiled[name]) for name in model.compile_arguments})
