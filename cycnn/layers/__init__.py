"""Layers, with Keras's names, arguments, defaults and order of weights.

`base`            what all layers share: parameters, shapes, configuration
`augmentation`    random flips and crops of training images
`affine`          random rotations, translations and zooms of training images
`convolutional`   Conv1D, Conv2D
`depthwise`       depthwise convolution
`separable`       depthwise convolution, then one of single pixels
`transposed`      transposed convolution
`pooling`         maximum and average over windows
`global_pooling`  maximum and average over whole images and sequences
`normalization`   batch and group normalization
`row_normalization`  layer, RMS and unit normalization
`core`            Input, Dense, Flatten
`activations`     Activation, Identity, ReLU and its relatives, Softmax
`regularization`  dropout, noise, penalties of activity
`resizing`        Resizing, CenterCrop
`padding`         zeros around images and sequences, and cropping
`reshaping`       other shapes and orders, repetition
`photometric`     random contrast, brightness and erasing of training images
`mixing`          MixUp and CutMix: batches of images and labels mixed with themselves
`preprocessing`   Rescaling, Normalization
`merging`         layers of several inputs: sums, products, extremes, concatenation; as functions too

Images are ``(batch, height, width, channels)``.
"""

from typing import Any

from .. import identifiers
from ..validation import message, received
from ..variable import Variable
from .activations import ELU, Activation, Identity, LeakyReLU, PReLU, ReLU, Softmax
from .affine import RandomRotation, RandomTranslation, RandomZoom
from .augmentation import RandomCrop, RandomFlip
from .base import Layer
from .convolutional import Conv1D, Conv2D
from .core import Dense, Flatten, Input, InputLayer
from .custom import PythonLayer
from .depthwise import DepthwiseConv1D, DepthwiseConv2D
from .global_pooling import GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalMaxPooling1D, GlobalMaxPooling2D
from .merging import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from .merging_functions import add, average, concatenate, maximum, minimum, multiply, subtract
from .mixing import CutMix, MixUp
from .normalization import BatchNormalization, GroupNormalization
from .padding import Cropping1D, Cropping2D, ZeroPadding1D, ZeroPadding2D
from .photometric import RandomBrightness, RandomContrast, RandomErasing
from .pooling import AveragePooling1D, AveragePooling2D, MaxPooling1D, MaxPooling2D
from .preprocessing import Normalization, Rescaling
from .regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
)
from .reshaping import Permute, RepeatVector, Reshape, UpSampling1D, UpSampling2D
from .resizing import CenterCrop, Resizing
from .row_normalization import LayerNormalization, RMSNormalization, UnitNormalization
from .separable import SeparableConv1D, SeparableConv2D
from .transposed import Conv1DTranspose, Conv2DTranspose

# Keras's other names.
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
Convolution1D = Conv1D
Convolution1DTranspose = Conv1DTranspose
Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D

__all__ = [
    "ELU",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNormalization",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Cropping1D",
    "Cropping2D",
    "CutMix",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Identity",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPooling1D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "MixUp",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "PythonLayer",
    "RMSNormalization",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "Subtract",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "Variable",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]


def serialize(layer: Layer) -> dict[str, Any]:
    """Return the class and the arguments of a layer as plain JSON values, for `deserialize`."""
    return identifiers.configuration(layer)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Layer:
    """Return the layer that `serialize` described, without its parameters' values.

    Parameters
    ----------
    config : dict
    custom_objects : dict of str to class, optional
        Layers of one's own by the names of their classes, and what they are told of their parameters.
    """
    from ..models import Model, Sequential

    if not isinstance(config, dict) or not {"class_name", "config"} <= set(config):
        rule = "be a dict with `class_name` and `config`"
        raise ValueError(message("layers.deserialize", "config", rule, received("config", config)))
    name, arguments = config["class_name"], config["config"]
    with identifiers.custom_objects(custom_objects):
        known = identifiers.known(globals() | {"Model": Model, "Sequential": Sequential}, Layer)
        if not isinstance(name, str) or name not in known:
            rule = "name one of cycnn's layers, or of `custom_objects`"
            raise ValueError(message("layers.deserialize", "class_name", rule, received("class_name", name)))
        return known[name].from_config(arguments)
