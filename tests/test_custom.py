"""Layers written in Python: they train, check, save and load like the rest, and their mistakes are named."""

import numpy as np
import pytest
from helpers import assert_same

import cycnn
from cycnn import Input, Sequential, layers


class Scale(layers.PythonLayer):
    arguments = ("power",)

    def __init__(self, power=1.0, **base):
        super().__init__(**base)
        self.power = power

    def build(self, input_shape):
        self.factor = self.add_weight("factor", input_shape[-1:], "ones")

    def forward(self, x, training):
        return x * self.factor.value**self.power

    def backward(self, x, y, dy):
        axes = tuple(range(x.ndim - 1))
        slope = self.power * self.factor.value ** (self.power - 1)
        return dy * self.factor.value**self.power, [(dy * x).sum(axes) * slope]


def model():
    stack = layers.Conv2D(3, 3, activation="tanh"), Scale(2.0), layers.Flatten(), layers.Dense(2)
    made = Sequential([Input((6, 6, 2)), *stack])
    made.compile("adam", "mse")
    return made


X = np.random.default_rng(3).normal(size=(8, 6, 6, 2)).astype("float32")
Y = np.random.default_rng(4).normal(size=(8, 2)).astype("float32")


def test_gradients():
    assert cycnn.check_gradients(model(), X, Y).worst < 1e-6


def test_learns():
    made = model()
    losses = made.fit(X, Y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert not np.array_equal(made.get_layer("scale").get_weights()[0], np.ones(3))


def test_saves_and_loads(tmp_path):
    made = model()
    made.fit(X, Y, verbose=0)
    made.save(tmp_path / "m.safetensors")
    again = cycnn.load_model(tmp_path / "m.safetensors", custom_objects={"Scale": Scale})
    assert again.get_layer("scale").power == 2.0
    assert_same(again.predict(X, verbose=0), made.predict(X, verbose=0))
    with pytest.raises(ValueError, match="custom_objects"):
        cycnn.load_model(tmp_path / "m.safetensors")


def test_wrong_shape_is_named_and_the_model_stays():
    class Wrong(Scale):
        def backward(self, x, y, dy):
            return dy[..., :1], [dy.sum((0, 1, 2))]

    made = Sequential([Input((6, 6, 2)), layers.Conv2D(3, 3), Wrong(), layers.Flatten(), layers.Dense(2)])
    made.compile("sgd", "mse")
    before = made.get_weights()
    with pytest.raises(ValueError, match="Wrong: `backward` must return an array of the shape"):
        made.train_on_batch(X, Y)
    assert made.optimizer.iterations == 0
    for now, then in zip(made.get_weights(), before, strict=True):
        assert_same(now, then)


def test_parameters_may_not_be_written_by_accident():
    class Careless(Scale):
        def forward(self, x, training):
            x *= 2
            return x

    with pytest.raises(ValueError, match="read-only"):
        Careless()(X)
