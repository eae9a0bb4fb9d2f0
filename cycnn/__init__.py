"""Convolutional networks for CPUs in one small wheel.

`layers`, `models`      what a network is made of, with Keras's names
`losses`, `metrics`, `optimizers`, `callbacks`
                        what `compile` and `fit` are told, by name or as objects
`activations`, `initializers`, `regularizers`, `constraints`
                        what layers are told of their parameters, likewise
`ops`                   the same operations on NumPy arrays, with their gradients
`datasets`              readers of images
`utils`                 `set_random_seed`

All of these are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import _native  # noqa: F401 - an unbuilt checkout is to say at once how to build it

if TYPE_CHECKING:
    from . import (
        activations,
        callbacks,
        config,
        constraints,
        datasets,
        initializers,
        layers,
        losses,
        metrics,
        models,
        ops,
        optimizers,
        regularizers,
        utils,
    )
    from .config import get_num_threads, set_num_threads, show_config
    from .gradient_check import check_gradients
    from .initializers import Initializer
    from .layers import Input, Layer
    from .losses import Loss
    from .metrics import Metric
    from .models import Model, Sequential
    from .optimizers import Optimizer
    from .regularizers import Regularizer
    from .saving import load_model
    from .tensor import Tensor

__version__ = "0.1.0"

__all__ = [
    "Initializer",
    "Input",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "Tensor",
    "__version__",
    "activations",
    "callbacks",
    "check_gradients",
    "config",
    "constraints",
    "datasets",
    "get_num_threads",
    "initializers",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "regularizers",
    "saving",
    "set_num_threads",
    "show_config",
    "utils",
]

_HOMES = {
    "Initializer": "initializers",
    "Input": "layers",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "Model": "models",
    "Sequential": "models",
    "Tensor": "tensor",
    "load_model": "saving",
    "check_gradients": "gradient_check",
    "get_num_threads": "config",
    "set_num_threads": "config",
    "show_config": "config",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'cycnn' has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES.get(name, name)}")
    value = getattr(module, name) if name in _HOMES else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
