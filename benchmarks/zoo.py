"""The networks that are measured, as data: every library builds them from this one table.

A network is the shape of an image, the rows of its batch, and its layers in order. `placed` gives every layer its name
and the shapes of its input and output, so that a library's builder has nothing to work out, and the parameters of one
library find their places in another by name.

Padding is a number of pixels on every side, as PyTorch, ONNX and cycnn take it natively; Keras gets a layer of zeros
where its own "same" would pad otherwise, as its own ResNet and MobileNet have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Conv:
    """Convolution with a square kernel."""

    filters: int
    size: int
    stride: int = 1
    padding: int = 0
    bias: bool = False
    activation: str = "linear"


@dataclass(frozen=True)
class Depthwise:
    """Convolution of each channel for itself, without bias."""

    size: int = 3
    stride: int = 1
    padding: int = 1


@dataclass(frozen=True)
class Norm:
    """Batch normalisation, and what is applied to it."""

    activation: str = "linear"


@dataclass(frozen=True)
class MaxPool:
    """Maximum of windows; they are padded only behind rectifiers, where zero is the least that there is."""

    size: int = 2
    stride: int = 2
    padding: int = 0


@dataclass(frozen=True)
class AveragePool:
    """Mean of windows side by side."""

    size: int = 2


@dataclass(frozen=True)
class GlobalAverage:
    """Mean of each channel."""


@dataclass(frozen=True)
class Flatten:
    """All numbers of an image in a row: rows, columns, channels."""


@dataclass(frozen=True)
class Dropout:
    """Zeros in training for a share of the numbers."""

    rate: float = 0.5


@dataclass(frozen=True)
class Dense:
    """Matrix product with bias."""

    units: int
    activation: str = "linear"


@dataclass(frozen=True)
class Residual:
    """The rectified sum of a chain of layers and of its input, which a second chain may transform."""

    layers: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()


Layer = Conv | Depthwise | Norm | MaxPool | AveragePool | GlobalAverage | Flatten | Dropout | Dense | Residual
PREFIX = {Conv: "conv", Depthwise: "depthwise", Norm: "norm", Dense: "dense"}


@dataclass(frozen=True)
class Network:
    """A network and the batch it is trained on."""

    shape: Shape
    batch: int
    layers: tuple[Layer, ...]

    @property
    def classes(self) -> int:
        """Number of classes."""
        last = self.layers[-1]
        assert isinstance(last, Dense)
        return last.units

    def without_dropout(self) -> Network:
        """Return the network whose losses can be compared: generators of random numbers differ."""
        return replace(self, layers=tuple(layer for layer in self.layers if not isinstance(layer, Dropout)))


@dataclass(frozen=True)
class Place:
    """A layer of a network, with its name and shapes; and within a residual block, those of its two chains."""

    layer: Layer
    name: str
    input: Shape
    output: Shape
    chains: tuple[tuple[Place, ...], tuple[Place, ...]] = ((), ())

    @property
    def operations(self) -> float:
        """Multiplications and additions of one image, forward; 0 where there is no kernel."""
        match self.layer:
            case Conv(size=size):
                return 2.0 * math.prod(self.output) * size**2 * self.input[-1]
            case Depthwise(size=size):
                return 2.0 * math.prod(self.output) * size**2
            case Dense(units=units):
                return 2.0 * units * self.input[0]
        return 0.0


def _slid(shape: Shape, size: int, stride: int, padding: int, channels: int) -> Shape:
    height, width = ((extent + 2 * padding - size) // stride + 1 for extent in shape[:2])
    return height, width, channels


def _output(layer: Layer, shape: Shape) -> Shape:
    match layer:
        case Conv(filters=filters, size=size, stride=stride, padding=padding):
            return _slid(shape, size, stride, padding, filters)
        case Depthwise(size=size, stride=stride, padding=padding) | MaxPool(size=size, stride=stride, padding=padding):
            return _slid(shape, size, stride, padding, shape[-1])
        case AveragePool(size=size):
            return _slid(shape, size, size, 0, shape[-1])
        case GlobalAverage():
            return shape[-1:]
        case Flatten():
            return (math.prod(shape),)
        case Dense(units=units):
            return (units,)
    return shape


def _place(layers: tuple[Layer, ...], shape: Shape, numbers: dict[str, int]) -> Iterator[Place]:
    for layer in layers:
        kind = PREFIX.get(type(layer), type(layer).__name__.lower())
        numbers[kind] = numbers.get(kind, 0) + 1
        name = f"{kind}{numbers[kind]}"
        if isinstance(layer, Residual):
            main, shortcut = (tuple(_place(chain, shape, numbers)) for chain in (layer.layers, layer.shortcut))
            place = Place(layer, name, shape, main[-1].output, (main, shortcut))
        else:
            place = Place(layer, name, shape, _output(layer, shape))
        yield place
        shape = place.output


def placed(network: Network) -> tuple[Place, ...]:
    """Return the layers of a network in order, with their names and shapes."""
    return tuple(_place(network.layers, network.shape, {}))


def flat(places: tuple[Place, ...]) -> Iterator[Place]:
    """Return all layers in order, those within residual blocks before the block."""
    for place in places:
        for chain in place.chains:
            yield from flat(chain)
        yield place


def operations(network: Network) -> float:
    """Return the multiplications and additions of one image, forward."""
    return sum(place.operations for place in flat(placed(network)))


def batch_of(network: Network, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one batch of the images and labels that all libraries work on."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, *network.shape), dtype=np.float32)
    return x, rng.integers(0, network.classes, rows).astype(np.int32)


def _residual(filters: int, stride: int, project: bool) -> Residual:
    return Residual(
        (Conv(filters, 3, stride, 1), Norm("relu"), Conv(filters, 3, 1, 1), Norm()),
        (Conv(filters, 1, stride), Norm()) if project else (),
    )


def _resnet(stem: tuple[Layer, ...], widths: tuple[int, ...], blocks: int, classes: int) -> tuple[Layer, ...]:
    """Return a residual network, whose stages after the first begin with a stride of 2 and a projection."""
    stages = [
        _residual(filters, 2 if stage and not block else 1, bool(stage) and not block)
        for stage, filters in enumerate(widths)
        for block in range(blocks)
    ]
    return (*stem, *stages, GlobalAverage(), Dense(classes))


def _mobilenet(width: float) -> tuple[Layer, ...]:
    """Return MobileNet v1 with its channels multiplied by `width`."""
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    layers: list[Layer] = [Conv(int(32 * width), 3, 2, 1), Norm("relu6")]
    for filters, stride in blocks:
        layers += [Depthwise(3, stride), Norm("relu6"), Conv(int(filters * width), 1), Norm("relu6")]
    return (*layers, GlobalAverage(), Dense(1000))


def _relu(filters: int, padding: int) -> Conv:
    return Conv(filters, 3, 1, padding, bias=True, activation="relu")


def _tanh(filters: int, padding: int) -> Conv:
    return Conv(filters, 5, 1, padding, bias=True, activation="tanh")


NETWORKS = {
    "mnist_cnn": Network(
        (28, 28, 1),
        128,
        (_relu(32, 0), MaxPool(), _relu(64, 0), MaxPool(), Flatten(), Dropout(), Dense(10)),
    ),
    "lenet5": Network(
        (28, 28, 1),
        128,
        (
            *(_tanh(6, 2), AveragePool(), _tanh(16, 0), AveragePool(), Flatten()),
            *(Dense(120, "tanh"), Dense(84, "tanh"), Dense(10)),
        ),
    ),
    "cifar_small": Network(
        (32, 32, 3),
        128,
        (
            *(_relu(32, 1), _relu(32, 1), MaxPool(), _relu(64, 1), _relu(64, 1), MaxPool(), Flatten()),
            *(Dense(512, "relu"), Dense(10)),
        ),
    ),
    "resnet20": Network((32, 32, 3), 128, _resnet((Conv(16, 3, 1, 1), Norm("relu")), (16, 32, 64), 3, 10)),
    "mobilenet_025": Network((96, 96, 3), 32, _mobilenet(0.25)),
    "mobilenet_100": Network((224, 224, 3), 8, _mobilenet(1.0)),
    "resnet18": Network(
        (224, 224, 3),
        8,
        _resnet((Conv(64, 7, 2, 3), Norm("relu"), MaxPool(3, 2, 1)), (64, 128, 256, 512), 2, 1000),
    ),
}
