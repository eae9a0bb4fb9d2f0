"""Layers, with Keras's names, arguments, defaults and order of weights.

`base`            what all layers share: parameters, shapes, configuration
`convolutional`   Conv2D
`pooling`         maximum and average over windows and over whole images
`normalization`   batch and group normalization
`row_normalization`  layer, RMS and unit normalization
`core`            Input, Dense, Flatten, Activation
`activations`     ReLU, Softmax
`regularization`  Dropout
`preprocessing`   Rescaling
`resizing`        Resizing, CenterCrop
`padding`         zeros around images and sequences, and cropping
`reshaping`       other shapes and orders, repetition
`merging`         layers of several inputs: sums, products, extremes, concatenation

Images are ``(batch, height, width, channels)``.
"""

from typing import Any

from ..variable import Variable
from .activations import ReLU, Softmax
from .base import Layer
from .convolutional import Conv2D
from .core import Activation, Dense, Flatten, Input
from .merging import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from .normalization import BatchNormalization, GroupNormalization
from .padding import Cropping1D, Cropping2D, ZeroPadding1D, ZeroPadding2D
from .pooling import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
)
from .preprocessing import Rescaling
from .regularization import Dropout
from .reshaping import Permute, RepeatVector, Reshape, UpSampling1D, UpSampling2D
from .resizing import CenterCrop, Resizing
from .row_normalization import LayerNormalization, RMSNormalization, UnitNormalization

# Keras's shorter names.
MaxPool2D = MaxPooling2D
AvgPool2D = AveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalAvgPool2D = GlobalAveragePooling2D

__all__ = [
    "Activation",
    "Add",
    "Average",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "CenterCrop",
    "Concatenate",
    "Conv2D",
    "Cropping1D",
    "Cropping2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Input",
    "Layer",
    "LayerNormalization",
    "MaxPool2D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Multiply",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "Softmax",
    "Subtract",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "Variable",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "deserialize",
    "serialize",
]


def serialize(layer: Layer) -> dict[str, Any]:
    """Return the class and the arguments of a layer as plain JSON values, for `deserialize`."""
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def deserialize(config: dict[str, Any]) -> Layer:
    """Return the layer that `serialize` described, without its parameters' values."""
    cls = globals().get(config["class_name"])
    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        raise ValueError(
            f"layers.deserialize: `class_name` must name one of cycnn's layers. "
            f"Received: class_name={config['class_name']!r}."
        )
    return cls.from_config(config["config"])
