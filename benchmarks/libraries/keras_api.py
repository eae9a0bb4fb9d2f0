"""cycnn, and Keras on TensorFlow: one builder for the two, as their API is one."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

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


class Builder:
    """Draws networks with the layers of `package`; `pads` says whether they take padding in pixels."""

    def __init__(self, package: Any, pads: bool) -> None:
        self.layers, self.pads = package.layers, pads

    def chain(self, places: tuple[Place, ...], x: Any) -> Any:
        """Draw layers behind `x`."""
        for place in places:
            x = self.layer(place, x)
        return x

    def layer(self, place: Place, x: Any) -> Any:
        """Draw one layer behind `x`."""
        layers, name = self.layers, place.name
        match place.layer:
            case Conv(filters, size, stride, padding, bias, activation):
                x, pads = self._padded(x, size, stride, padding)
                return layers.Conv2D(filters, size, stride, pads, use_bias=bias, activation=activation, name=name)(x)
            case Depthwise(size, stride, padding):
                x, pads = self._padded(x, size, stride, padding)
                return layers.DepthwiseConv2D(size, stride, pads, use_bias=False, name=name)(x)
            case Norm(activation):
                x = layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name)(x)
                return x if activation == "linear" else layers.ReLU(6.0 if activation == "relu6" else None)(x)
            case MaxPool(size, stride, padding):
                x, pads = self._padded(x, size, stride, padding)
                return layers.MaxPooling2D(size, stride, pads)(x)
            case AveragePool(size):
                return layers.AveragePooling2D(size)(x)
            case GlobalAverage():
                return layers.GlobalAveragePooling2D()(x)
            case Flatten():
                return layers.Flatten()(x)
            case Dropout(rate):
                return layers.Dropout(rate)(x)
            case Dense(units, activation):
                return layers.Dense(units, activation=activation, name=name)(x)
            case Residual():
                main, shortcut = (self.chain(chain, x) for chain in place.chains)
                return layers.ReLU()(layers.Add()([main, shortcut]))

    def _padded(self, x: Any, size: int, stride: int, padding: int) -> tuple[Any, Any]:
        """Return what a window of this size slides over, and the padding it is to add."""
        if padding and self.pads:
            return x, padding
        if padding and (stride > 1 or 2 * padding != size - 1):
            return self.layers.ZeroPadding2D(padding)(x), "valid"
        return x, "same" if padding else "valid"


class Subject:
    """A network in cycnn or Keras."""

    def __init__(
        self, network: Network, weights: Weights | None, threads: int, *, package: str, jit: bool = False
    ) -> None:
        os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
        self.keras = importlib.import_module(package)
        self.own, self.jit = package == "cycnn", jit
        self._use(threads)
        inputs = self.keras.Input(shape=network.shape)
        outputs = Builder(self.keras, pads=self.own).chain(placed(network), inputs)
        self.model = self.keras.Model(inputs, outputs)
        self.holders = {layer.name: layer for layer in self.model.layers if layer.get_weights()}
        if weights is not None:
            self._set(weights)
        loss = self.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizer=self.keras.optimizers.Adam(RATE), loss=loss)
        self.parameters = int(sum(np.prod(v.shape) for v in self.model.trainable_variables))

    def _use(self, threads: int) -> None:
        self.keras.utils.set_random_seed(0)
        if self.own:
            self.keras.set_num_threads(threads)
            return
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    @property
    def weights(self) -> Weights:
        """The parameters by layer and number."""
        return {f"{name}.{i}": w for name, layer in self.holders.items() for i, w in enumerate(layer.get_weights())}

    def _set(self, weights: Weights) -> None:
        for name, layer in self.holders.items():
            layer.set_weights([weights[f"{name}.{i}"] for i in range(len(layer.get_weights()))])

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        """Return a training step: `train_on_batch`, or Keras's own step in a graph, without its data pipeline."""
        if self.own:
            return lambda: self.model.train_on_batch(x, y)
        import tensorflow as tf

        self.model.optimizer.build(self.model.trainable_variables)
        graph = tf.function(lambda x, y: self.model.train_step((x, y))["loss"], jit_compile=self.jit)
        images, labels = tf.constant(x), tf.constant(y)
        return lambda: graph(images, labels)

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        """Return a prediction."""
        return lambda: self.model.predict_on_batch(x)
