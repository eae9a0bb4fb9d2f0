"""The libraries that are compared: each a module with a class `Subject`, in whose process nothing else runs.

A subject is made of a network of `benchmarks.zoo`, parameters and a number of threads. It has

`parameters`        the number of trained parameters
`trainer(x, y)`     a function that takes one training step and returns its loss
`predictor(x)`      a function that returns the logits of the images, a new array or one that the next call writes over

Parameters are a dict of "layer.number" to arrays in Keras's layouts and order; None lets cycnn choose them.
Every configuration is a library of its own here, and the quickest counts.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

Weights = dict[str, np.ndarray]
EPSILON, MOMENTUM = 1e-3, 0.99  # of batch normalisation, as Keras has them
RATE = 1e-3  # of Adam


class Subject(Protocol):
    """What a module of this package has to offer."""

    parameters: int

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Any: ...
    def predictor(self, x: np.ndarray) -> Any: ...


@dataclass(frozen=True)
class Library:
    """A library in one of its configurations."""

    package: str  # what has to be installed
    module: str  # of this package
    tasks: tuple[str, ...]
    what: str
    options: dict[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()  # further packages

    def missing(self) -> list[str]:
        """Return what is not installed."""
        return [name for name in (self.package, *self.also) if importlib.util.find_spec(name) is None]

    def subject(self, *arguments: Any) -> Subject:
        """Make a subject."""
        module = importlib.import_module(f"benchmarks.libraries.{self.module}")
        made: Subject = module.Subject(*arguments, **self.options)
        return made

    def version(self) -> str:
        """Return the version of the package."""
        return str(importlib.import_module(self.package).__version__)


TRAIN, INFER = ("train",), ("predict", "one")
LIBRARIES = {
    "cycnn": Library("cycnn", "keras_api", TRAIN + INFER, "train_on_batch, predict_on_batch", {"package": "cycnn"}),
    "torch": Library("torch", "pytorch", TRAIN, "eager, channels last, fused Adam, denormals flushed"),
    "torch-compile": Library("torch", "pytorch", TRAIN, "the same with torch.compile", {"compiled": True}),
    "keras": Library(
        "tensorflow", "keras_api", TRAIN, "Keras's training step as a graph", {"package": "keras"}, ("keras",)
    ),
    "keras-jit": Library(
        "tensorflow", "keras_api", TRAIN, "the same compiled by XLA", {"package": "keras", "jit": True}, ("keras",)
    ),
    "onnxruntime": Library("onnxruntime", "ort", INFER, "all graph optimizations, bound arrays", {}, ("onnx",)),
    "openvino": Library("openvino", "ov", INFER, "latency hint, float32, bound arrays", {}, ("onnx",)),
}
