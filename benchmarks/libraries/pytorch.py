"""PyTorch: channels last, fused Adam, denormals flushed; eager, or compiled by inductor."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.libraries import EPSILON, MOMENTUM, RATE, Weights
from benchmarks.zoo import (
    AveragePool,
    Conv,
    Dense,
    Depthwise,
    Dropout,
    Flatten,
    GlobalAverage,
    MaxPool,
    Network,
    Norm,
    Place,
    Residual,
    placed,
)


class Rows(nn.Module):
    """All numbers of an image in a row, channels last: a view, and Keras's order."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class Mean(nn.Module):
    """Mean of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


class Block(nn.Module):
    """The rectified sum of two chains."""

    def __init__(self, main: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.main, self.shortcut = main, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(self.main(x).add_(self.shortcut(x)), inplace=True)


ACTIVATIONS = {"relu": lambda: nn.ReLU(True), "relu6": lambda: nn.ReLU6(True), "tanh": nn.Tanh}


class Builder:
    """Makes modules with the parameters in `weights`."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    def chain(self, places: tuple[Place, ...]) -> nn.Module:
        """Return layers in a row."""
        return nn.Sequential(*(module for place in places for module in self.modules(place)))

    def modules(self, place: Place) -> list[nn.Module]:
        """Return the modules of one layer."""
        channels = place.input[-1]
        match place.layer:
            case Conv(filters, size, stride, padding, bias, activation):
                conv = nn.Conv2d(channels, filters, size, stride, padding, bias=bias)
                return [self._loaded(conv, place, (3, 2, 0, 1)), *self._activation(activation)]
            case Depthwise(size, stride, padding):
                conv = nn.Conv2d(channels, channels, size, stride, padding, groups=channels, bias=False)
                return [self._loaded(conv, place, (2, 3, 0, 1))]
            case Norm(activation):
                norm = nn.BatchNorm2d(channels, EPSILON, 1 - MOMENTUM)
                return [self._loaded(norm, place, (0,)), *self._activation(activation)]
            case MaxPool(size, stride, padding):
                return [nn.MaxPool2d(size, stride, padding)]
            case AveragePool(size):
                return [nn.AvgPool2d(size)]
            case GlobalAverage():
                return [Mean()]
            case Flatten():
                return [Rows()]
            case Dropout(rate):
                return [nn.Dropout(rate)]
            case Dense(units, activation):
                return [self._loaded(nn.Linear(channels, units), place, (1, 0)), *self._activation(activation)]
            case Residual():
                main, shortcut = (self.chain(chain) for chain in place.chains)
                return [Block(main, shortcut)]

    def _activation(self, name: str) -> list[nn.Module]:
        return [ACTIVATIONS[name]()] if name in ACTIVATIONS else []

    def _loaded(self, module: nn.Module, place: Place, order: tuple[int, ...]) -> nn.Module:
        """Return `module` with the parameters of a layer; the axes of the first are put into PyTorch's order."""
        own = [*module.parameters(), *(buffer for buffer in module.buffers() if buffer.ndim)]
        for i, parameter in enumerate(own):
            array = self.weights[f"{place.name}.{i}"]
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(array.transpose(order) if i == 0 else array))
        return module


class Subject:
    """A network in PyTorch."""

    def __init__(self, network: Network, weights: Weights, threads: int, *, compiled: bool = False) -> None:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)
        torch.manual_seed(0)
        self.compiled = compiled
        self.model = Builder(weights).chain(placed(network)).to(memory_format=torch.channels_last)
        self.parameters = sum(p.numel() for p in self.model.parameters())

    @staticmethod
    def _images(x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        """Return a training step."""
        model, entropy = self.model.train(), nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(model.parameters(), RATE, eps=1e-7, fused=True)
        images, labels = self._images(x), torch.from_numpy(y).long()

        def loss_of(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return entropy(model(images), labels)

        if self.compiled:
            from torch._inductor import config

            if os.environ.get("ATEN_CPU_CAPABILITY") == "avx2":
                config.cpp.simdlen = 256
            loss_of = torch.compile(loss_of)

        def step() -> torch.Tensor:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(images, labels)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        """Return a prediction; the model is left in training mode, which this does not use."""
        images = self._images(x)

        def predict() -> Any:
            self.model.eval()
            with torch.inference_mode():
                return self.model(images).numpy()

        return predict
