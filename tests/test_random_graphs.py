"""Random networks: layers, shapes, paddings, strides, dilations, groups and merges drawn by Hypothesis.

Each network is built twice, from layers and from `reference.py`, beside each other while it is drawn. As many as
CYCNN_RANDOM_GRAPHS says, 60 by default.
"""

import os
from dataclasses import dataclass

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lowering import run

import cycnn
from cycnn import Input, Model, layers
from cycnn.shapes import Window

EXAMPLES = int(os.environ.get("CYCNN_RANDOM_GRAPHS", "60"))
several = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
small = st.integers(1, 3)
MOST_PIXELS = 400


@dataclass
class Network:
    """A model, and the same in NumPy."""

    model: Model
    evaluate: object  # of an image and the weights of each layer
    shape: tuple[int, int, int]
    linear: bool
    classes: list[str]

    def __repr__(self):
        return f"{self.classes} on {self.shape}"


def same_padding(size, kernel, stride, dilation):
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def padded_window(shape, kernel, strides, dilation, padding):
    """Return the window of these arguments, by the definition of "same"."""
    top, bottom, left, right = 0, 0, 0, 0
    if padding == "same":
        top, bottom = same_padding(shape[0], kernel[0], strides[0], dilation[0])
        left, right = same_padding(shape[1], kernel[1], strides[1], dilation[1])
    elif padding != "valid":
        (top, bottom), (left, right) = padding
    return Window(*kernel, *strides, top, bottom, left, right, *dilation)


def grouped_conv2d(x, kernel, bias, window, groups):
    parts = zip(np.split(x, groups, -1), np.split(kernel, groups, -1), strict=True)
    return np.concatenate([reference.conv2d(part, k, None, window) for part, k in parts], -1) + bias


@st.composite
def windows(draw, shape, dilate=True):
    """Return kernel, strides, dilation and padding that fit into an image."""
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2))) if dilate else (1, 1)
    strides = (1, 1) if dilation != (1, 1) else draw(st.tuples(small, small))
    padding = draw(st.sampled_from(["same", "valid"]))
    kernel = tuple(draw(st.integers(1, min(4, 1 + (size - 1) // d))) for size, d in zip(shape, dilation, strict=False))
    return kernel, strides, dilation, padding


@st.composite
def convolutions(draw, shape):
    kernel, strides, dilation, padding = draw(windows(shape))
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if shape[2] % g == 0]))
    filters = groups * draw(st.integers(1, 20 // groups))
    activation = draw(st.sampled_from(["linear", "linear", "relu", "tanh", "sigmoid"]))
    layer = layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding=padding,
        dilation_rate=dilation,
        groups=groups,
        activation=activation,
    )
    window = padded_window(shape, kernel, strides, dilation, padding)

    def evaluate(x, weights):
        return reference.activation(grouped_conv2d(x, *weights, window, groups), activation)

    return layer, evaluate, activation == "linear"


@st.composite
def depthwise_convolutions(draw, shape):
    kernel, strides, dilation, padding = draw(windows(shape))
    strides = (min(strides), min(strides))
    multiplier = draw(st.integers(1, 2))
    layer = layers.DepthwiseConv2D(
        kernel,
        strides=strides,
        padding=padding,
        dilation_rate=dilation,
        depth_multiplier=multiplier,
    )
    window = padded_window(shape, kernel, strides, dilation, padding)
    return layer, lambda x, weights: reference.depthwise_conv2d(x, *weights, window), True


@st.composite
def poolings(draw, shape):
    size, strides, _, padding = draw(windows(shape, dilate=False))
    window = padded_window(shape, size, strides, (1, 1), padding)
    if draw(st.booleans()):
        layer = layers.MaxPooling2D(size, strides=strides, padding=padding)
        return layer, lambda x, weights: reference.max_pool2d(x, window)[0], False
    layer = layers.AveragePooling2D(size, strides=strides, padding=padding)
    return layer, lambda x, weights: reference.average_pool2d(x, window), True


@st.composite
def rearrangements(draw, shape):
    kind = draw(st.sampled_from(["pad", "crop", "upsample"]))
    if kind == "pad":
        pads = draw(st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2))
        return layers.ZeroPadding2D(pads), lambda x, weights: np.pad(x, ((0, 0), *pads, (0, 0))), True
    if kind == "crop":
        top, left = (draw(st.integers(0, min(2, size - 1))) for size in shape[:2])
        return layers.Cropping2D(((top, 0), (left, 0))), lambda x, weights: x[:, top:, left:], True
    size = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    layer = layers.UpSampling2D(size)
    return layer, lambda x, weights: x.repeat(size[0], 1).repeat(size[1], 2), True


@st.composite
def activations(draw, shape):
    name = draw(st.sampled_from(["relu", "tanh", "sigmoid", "elu"]))
    return layers.Activation(name), lambda x, weights: reference.activation(x, name), False


ALONE = [convolutions, convolutions, depthwise_convolutions, poolings, rearrangements, activations]
MERGES = {
    "Add": (layers.Add, lambda a, b: a + b, True),
    "Subtract": (layers.Subtract, lambda a, b: a - b, True),
    "Average": (layers.Average, lambda a, b: (a + b) / 2, True),
    "Concatenate": (layers.Concatenate, lambda a, b: np.concatenate([a, b], -1), True),
    "Maximum": (layers.Maximum, np.maximum, False),
    "Multiply": (layers.Multiply, lambda a, b: a * b, False),
}


@st.composite
def networks(draw, linear=False):
    """Return a random network whose last layers all flow into one output."""
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 6)))
    inputs = Input(shape)
    tensors, values, classes, straight = [inputs], [lambda x, weights: x], [], True

    def extend(layer, of, evaluate, is_linear):
        nonlocal straight
        straight = straight and is_linear
        sources = [values[i] for i in of]
        tensors.append(layer(*[tensors[i] for i in of]) if len(of) == 1 else layer([tensors[i] for i in of]))
        values.append(lambda x, weights: evaluate(*[v(x, weights) for v in sources], weights.get(layer, ())))
        classes.append(type(layer).__name__)

    for _ in range(draw(st.integers(1, 6))):
        i = draw(st.integers(max(0, len(tensors) - 3), len(tensors) - 1))
        at = tensors[i].shape[1:]
        pairs = [j for j, t in enumerate(tensors) if t.shape == tensors[i].shape]
        if len(pairs) > 1 and draw(st.booleans()):
            make, function, is_linear = MERGES[draw(st.sampled_from(sorted(MERGES)))]
            other = draw(st.sampled_from(pairs))
            if is_linear or not linear:
                extend(make(), (i, other), lambda a, b, weights, f=function: f(a, b), is_linear)
            continue
        layer, evaluate, is_linear = draw(draw(st.sampled_from(ALONE))(at))
        if is_linear or not linear:
            extend(layer, (i,), evaluate, is_linear)
            if np.prod(tensors[-1].shape[1:3]) > MOST_PIXELS:
                break
    if len(tensors) == 1:
        extend(layers.Activation("linear"), (0,), lambda x, weights: x, True)
    model = Model(inputs, tensors[-1])
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    # Such that what flows through the network keeps about its size.
    scales = [max(1, np.prod(w.shape[:-1])) ** -0.5 for w in model.get_weights()]
    drawn = [s * rng.standard_normal(w.shape) for w, s in zip(model.get_weights(), scales, strict=True)]
    model.set_weights([w.astype("float32") for w in drawn])
    return Network(model, values[-1], shape, straight, classes)


def weights_of(model):
    return {layer: [v.astype("float64") for v in layer.get_weights()] for layer in model.layers}


def images(network, dtype="float64", n=2, seed=0):
    return np.random.default_rng(seed).standard_normal((n, *network.shape)).astype(dtype)


class TestValid:
    @several
    @given(networks())
    def test_agree_with_numpy(self, network):
        x = images(network)
        expected = network.evaluate(x, weights_of(network.model))
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        assert expected.shape[1:] == network.model.output_shape[1:]
        actual = run(network.model.astype("float64"), x)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12 * scale * 100)
        actual = network.model.predict(x.astype("float32"), verbose=0)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-4 * scale)

    @several
    @given(networks(linear=True))
    def test_linear_ones_have_the_adjoint_as_gradient(self, network):
        assert network.linear
        model, rng = network.model.astype("float64"), np.random.default_rng(1)
        x, way = images(network), images(network, seed=2)
        out = run(model, x)
        dout = rng.standard_normal(out.shape)
        _, (dx,) = run(model, x, dout=dout)
        forward, backward = np.sum((run(model, x + way) - out) * dout), np.sum(way * dx)
        scale = np.sum(np.abs(out * dout)) + np.sum(np.abs(way * dx)) + 1
        assert abs(forward - backward) <= 1e-11 * scale

    @several
    @given(networks())
    def test_gradients_agree_with_differences(self, network):
        model, x = network.model.astype("float64"), images(network)
        out = run(model, x)
        dout = np.random.default_rng(1).standard_normal(out.shape)
        _, (dx,) = run(model, x, dout=dout)
        errors = []
        for seed, h in enumerate((1e-5, 1e-6, 1e-7, 1e-7)):  # a kink hardly lies within all of these steps
            way = images(network, seed=10 + seed)
            actual = np.sum(way * dx)
            expected = np.sum(dout * (run(model, x + h * way) - run(model, x - h * way))) / (2 * h)
            errors.append(abs(actual - expected) / max(abs(expected), np.abs(out * dout).sum(), 1.0))
        assert min(errors) < 1e-6, errors

    @several
    @given(networks())
    def test_are_the_same_bits_on_any_number_of_threads(self, network):
        x, before = images(network, "float32", n=3), cycnn.get_num_threads()
        try:
            outputs = []
            for n in (1, 3):
                cycnn.set_num_threads(n)
                outputs.append(network.model.predict(x, verbose=0))
        finally:
            cycnn.set_num_threads(before)
        assert outputs[0].tobytes() == outputs[1].tobytes()


ODD = st.one_of(
    st.integers(-3, 5),
    st.sampled_from([0.5, float("nan"), float("inf"), None, "same", "nonsense", b"", True, 2**31, 2**63, 10**30]),
    st.lists(st.integers(-2, 4), max_size=4),
    st.tuples(st.integers(-2, 4), st.integers(-2, 4)),
    st.tuples(st.tuples(st.integers(-2, 4), st.integers(-2, 4)), st.tuples(st.integers(-2, 4), st.integers(-2, 4))),
)
WINDOW = ("strides", "padding")
ARGUMENTS = {
    layers.Conv2D: ("filters", "kernel_size", *WINDOW, "dilation_rate", "groups", "activation", "use_bias"),
    layers.Conv2DTranspose: ("filters", "kernel_size", *WINDOW, "dilation_rate", "output_padding"),
    layers.DepthwiseConv2D: ("kernel_size", *WINDOW, "dilation_rate", "depth_multiplier"),
    layers.SeparableConv2D: ("filters", "kernel_size", *WINDOW, "depth_multiplier"),
    layers.MaxPooling2D: ("pool_size", *WINDOW),
    layers.AveragePooling2D: ("pool_size", *WINDOW),
    layers.ZeroPadding2D: ("padding",),
    layers.Cropping2D: ("cropping",),
    layers.UpSampling2D: ("size", "interpolation"),
    layers.Dense: ("units", "activation"),
    layers.Dropout: ("rate", "seed"),
    layers.Reshape: ("target_shape",),
    layers.BatchNormalization: ("axis", "momentum", "epsilon"),
    layers.Concatenate: ("axis",),
}


class TestInvalid:
    @several
    @given(st.sampled_from(sorted(ARGUMENTS, key=lambda c: c.__name__)), st.data())
    def test_arguments_work_or_are_refused_in_words(self, layer_class, data):
        names = data.draw(st.sets(st.sampled_from(ARGUMENTS[layer_class]), min_size=1), "names")
        needed = [n for n in ("filters", "kernel_size", "units", "rate", "target_shape") if n in ARGUMENTS[layer_class]]
        arguments = {name: {"target_shape": (-1,), "rate": 0.5}.get(name, 2) for name in needed}
        arguments |= {name: data.draw(ODD, name) for name in sorted(names)}
        shape = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4)), "shape")
        try:
            layer = layer_class(**arguments)
            x = Input(shape)
            out = layer([x, x] if layer_class is layers.Concatenate else x)
        except (TypeError, ValueError) as error:
            assert "Received" in str(error), error
            return
        except MemoryError as error:
            assert "bytes" in str(error), error
            return
        if np.prod([float(extent) for extent in out.shape[1:]]) < 1e6:
            model = Model(x, out)
            assert model.predict(np.ones((1, *shape), "float32"), verbose=0).shape == (1, *out.shape[1:])

    @several
    @given(networks(), st.data())
    def test_images_of_another_shape_are_refused(self, network, data):
        shape = data.draw(st.lists(st.integers(0, 9), min_size=0, max_size=5).map(tuple), "shape")
        if shape[1:] == network.shape:
            return
        with pytest.raises(ValueError, match="Received"):
            network.model.predict(np.ones(shape, "float32"), verbose=0)
