"""The kinds of nodes: which native steps each emits, forward beside backward.

`emit(name, *arguments)` appends the step class `name` of the kernels; values and variables among the arguments stand
for their memory.

A node stores its share of the gradient of an input where `emit.share(x)` says; what several nodes that read x have
stored is added up between them. The gradient of a value is that of the pre-activation wherever an activation was
fused into the node that made it: `emit.chain(x)` tells which activation the step that stores a share must account
for, and `emit.finish` does it in a pass of its own for steps that cannot.
"""

from cycnn.program.nodes.activations import Activation, Pointwise, PReLU, Softmax, activation
from cycnn.program.nodes.augmentation import Adjust, Affine, CropAtRandom, Drawing, Erase, Flip, Standardize
from cycnn.program.nodes.base import Node
from cycnn.program.nodes.convolution import Conv2D, Conv2DTranspose, Convolution, Dense, DepthwiseConv2D
from cycnn.program.nodes.elementwise import Rescale
from cycnn.program.nodes.losses import Loss, Penalty
from cycnn.program.nodes.merging import Combine, Concatenate, Extreme, Product, Sum
from cycnn.program.nodes.noise import Dropout, Gaussian
from cycnn.program.nodes.normalization import BatchNorm, ChannelNorm, FrozenBatchNorm, GroupNorm, RowNorm
from cycnn.program.nodes.pooling import AveragePool2D, MaxPool2D
from cycnn.program.nodes.python import PythonCall
from cycnn.program.nodes.rearranging import Crop, Pad, Permute, Repeat, Resize, Round

__all__ = [
    "Activation",
    "Adjust",
    "Affine",
    "AveragePool2D",
    "BatchNorm",
    "ChannelNorm",
    "Combine",
    "Concatenate",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution",
    "Crop",
    "CropAtRandom",
    "Dense",
    "DepthwiseConv2D",
    "Drawing",
    "Dropout",
    "Erase",
    "Extreme",
    "Flip",
    "FrozenBatchNorm",
    "Gaussian",
    "GroupNorm",
    "Loss",
    "MaxPool2D",
    "Node",
    "PReLU",
    "Pad",
    "Penalty",
    "Permute",
    "Pointwise",
    "Product",
    "PythonCall",
    "Repeat",
    "Rescale",
    "Resize",
    "Round",
    "RowNorm",
    "Softmax",
    "Standardize",
    "Sum",
    "activation",
]
