"""Outputs, gradients, training and defaults beside PyTorch and Keras, which know nothing of this library.

The frameworks compute in float64, on the same numbers, so that every bound is about our rounding alone: one unit of
float32 is 5e8 units of what they add. They are imported by the first test that asks for them, and the tests of a
framework that is not installed are skipped; `importorskip` ignores the warnings of the import itself, which are about
the framework's own dependencies.
"""

import inspect
import itertools
import zlib
from math import prod
from typing import NamedTuple

import numpy as np
import pytest
from helpers import assert_same, assert_within_rounding

import cycnn
from cycnn import ops, shapes

pytestmark = [
    pytest.mark.oracle,
    # PyTorch's "same" copies the image if the padding is uneven, and says so; it pads the side that we pad.
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning"),
]

VALID, SAME, ASYMMETRIC = "valid", "same", ((0, 2), (3, 1))
DTYPES = ("float32", "float64")

every_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture
def rng():
    return np.random.default_rng(20241123)


# --- convolution and pooling -----------------------------------------------------------------------


class Case(NamedTuple):
    """One call of an operation; a pooling window slides over each channel and has no filters."""

    operation: str
    hw: tuple
    kernel: tuple
    strides: tuple = (1, 1)
    padding: object = VALID
    dilation: tuple = (1, 1)
    channels: int = 3
    filters: int = 5

    def __str__(self):
        words = [self.operation, "{}x{}".format(*self.hw), "kernel{}x{}".format(*self.kernel)]
        words += ["stride{}x{}".format(*self.strides), f"pad{self.padding}".replace(" ", "")]
        if self.operation == "conv2d":
            words += ["dilation{}x{}".format(*self.dilation), f"{self.channels}to{self.filters}"]
        return "-".join(words)


CONVOLUTIONS = [
    *(
        Case("conv2d", (11, 14), kernel, strides, padding)
        for kernel in ((1, 1), (3, 3), (5, 5), (2, 3))
        for strides in ((1, 1), (2, 2), (3, 2))
        for padding in (VALID, SAME, 1, ASYMMETRIC)
    ),
    *(
        Case("conv2d", (12, 13), (3, 3), strides, padding, dilation)
        for strides in ((1, 1), (2, 2))
        for padding in (VALID, SAME, 2, ASYMMETRIC)
        for dilation in ((2, 2), (1, 3))
        if padding != SAME or strides == (1, 1)  # neither oracle has strides and dilation with "same"
    ),
    *(
        Case("conv2d", (6, 7), (3, 3), strides, SAME, channels=channels, filters=filters)
        for strides in ((1, 1), (2, 2))
        for channels, filters in ((1, 1), (1, 32), (3, 16), (7, 9), (8, 17), (16, 33), (33, 8), (64, 64))
    ),
    Case("conv2d", (28, 28), (3, 3), channels=1, filters=32),
    Case("conv2d", (28, 28), (5, 5), padding=SAME, channels=1, filters=6),
    Case("conv2d", (32, 32), (7, 7), (2, 2), 3, channels=3, filters=16),
    Case("conv2d", (9, 31), (1, 7), padding=SAME, channels=4, filters=4),
    Case("conv2d", (31, 9), (7, 1), (2, 1), SAME, channels=4, filters=4),
    Case("conv2d", (5, 6), (5, 6), channels=8, filters=10),  # one position
    Case("conv2d", (1, 1), (3, 3), padding=SAME),
    Case("conv2d", (1, 17), (1, 3), (1, 2), SAME),
    Case("conv2d", (2, 2), (3, 3), padding=((5, 4), (4, 6))),  # more padding than kernel
    Case("conv2d", (9, 9), (2, 2), (4, 5)),  # pixels that no window meets
    Case("conv2d", (9, 9), (2, 2), (4, 5), SAME),
]
POOLINGS = [
    Case(operation, hw, kernel, strides, padding, channels=channels)
    for operation in ("max_pool2d", "average_pool2d")
    for hw, kernel, strides, padding, channels in (
        ((8, 6), (2, 2), (2, 2), VALID, 1),
        ((7, 9), (2, 2), (2, 2), VALID, 3),  # a row and a column are left over
        ((7, 9), (2, 2), (2, 2), SAME, 16),
        ((7, 9), (2, 2), (2, 2), 1, 17),
        ((7, 9), (3, 3), (2, 2), VALID, 8),
        ((8, 10), (3, 3), (2, 2), SAME, 9),
        ((8, 10), (3, 3), (2, 2), 1, 33),
        ((5, 6), (3, 3), (1, 1), VALID, 3),
        ((5, 6), (3, 3), (1, 1), SAME, 3),
        ((9, 11), (2, 1), (3, 4), VALID, 5),  # pixels that no window meets
        ((9, 11), (2, 3), (3, 4), SAME, 5),
        ((10, 13), (3, 2), (1, 2), SAME, 7),
        ((10, 13), (4, 5), (3, 2), 2, 7),
        ((6, 7), (4, 4), (1, 2), ASYMMETRIC, 4),
        ((6, 7), (4, 5), (3, 1), ((3, 0), (1, 2)), 32),
        ((4, 12), (1, 5), (1, 2), ((0, 0), (2, 3)), 3),
        ((1, 1), (2, 2), (2, 2), SAME, 3),
        ((7, 5), (7, 5), (7, 5), VALID, 64),
    )
]
CASES = [*CONVOLUTIONS, *POOLINGS]


def oracles(case):
    """Yield the names of the frameworks that have what a case asks for."""
    if case.padding != SAME or (case.strides == (1, 1) and case.operation == "conv2d"):
        yield "torch"
    if case.padding in (VALID, SAME) and (case.strides == (1, 1) or case.dilation == (1, 1)):
        yield "keras"


def test_the_table_has_every_case_once_and_an_oracle_for_it():
    assert len(set(CASES)) == len(CASES) >= 60
    assert all(list(oracles(case)) for case in CASES)


def run_ours(case, x, dout, kernel=None, bias=None):
    """Return the output, then the gradients to x and, of a convolution, to kernel and bias."""
    window = {"strides": case.strides, "padding": case.padding}
    if case.operation == "conv2d":
        window["dilation_rate"] = case.dilation
        return [
            ops.conv2d(x, kernel, bias, **window),
            ops.conv2d_backward_input(dout, kernel, case.hw, **window),
            *ops.conv2d_backward_kernel(x, dout, case.kernel, **window),
        ]
    if case.operation == "max_pool2d":
        return [
            ops.max_pool2d(x, case.kernel, **window),
            ops.max_pool2d_backward(dout, x, case.kernel, **window),
        ]
    return [
        ops.average_pool2d(x, case.kernel, **window),
        ops.average_pool2d_backward(dout, case.hw, case.kernel, **window),
    ]


def run_torch(torch, case, x, dout, kernel=None, bias=None):
    """Return the same of PyTorch, whose images are (batch, channels, height, width)."""

    def leaf(array, order):
        return torch.tensor(np.ascontiguousarray(array.transpose(order)), requires_grad=True)

    functional = torch.nn.functional
    leaves = [leaf(x, (0, 3, 1, 2))]
    images, padding = leaves[0], 0 if case.padding == VALID else case.padding
    uneven = isinstance(padding, tuple)
    if uneven:
        pads, padding = (*padding[1], *padding[0]), 0  # the last axis comes first
        images = functional.pad(images, pads, value=-np.inf if case.operation == "max_pool2d" else 0.0)
    if case.operation == "conv2d":
        leaves += [leaf(kernel, (3, 2, 0, 1)), leaf(bias, 0)]
        out = functional.conv2d(images, *leaves[1:], case.strides, padding, case.dilation)
    elif case.operation == "max_pool2d":
        out = functional.max_pool2d(images, case.kernel, case.strides, padding)
    elif not uneven:
        out = functional.avg_pool2d(images, case.kernel, case.strides, padding, count_include_pad=False)
    else:  # it cannot tell padding of others from pixels: divide the sums by the number of pixels
        real = functional.pad(torch.ones_like(leaves[0]), pads)
        sums, counts = (functional.avg_pool2d(a, case.kernel, case.strides, divisor_override=1) for a in (images, real))
        out = sums / counts
    out.backward(torch.from_numpy(np.ascontiguousarray(dout.transpose(0, 3, 1, 2))))
    orders = ((0, 2, 3, 1), (2, 3, 1, 0), 0)
    gradients = [a.grad.numpy().transpose(order) for a, order in zip(leaves, orders[: len(leaves)], strict=True)]
    return [out.detach().numpy().transpose(0, 2, 3, 1), *gradients]


def run_keras(keras, tensorflow, case, x, dout, kernel=None, bias=None):
    """Return the same of Keras."""
    window = {"strides": case.strides, "padding": case.padding, "data_format": "channels_last"}
    variables = [tensorflow.Variable(a) for a in (x, kernel, bias) if a is not None]
    with tensorflow.GradientTape() as tape:
        if case.operation == "conv2d":
            out = keras.ops.conv(*variables[:2], **window, dilation_rate=case.dilation) + variables[2]
        else:
            pool = keras.ops.max_pool if case.operation == "max_pool2d" else keras.ops.average_pool
            out = pool(variables[0], case.kernel, **window)
    gradients = tape.gradient(out, variables, output_gradients=tensorflow.constant(dout))
    return [out.numpy(), *(a.numpy() for a in gradients)]


@pytest.fixture
def run_oracle(request):
    """Return the function that runs a case in the framework of the test's parameter `oracle`."""
    frameworks = {"torch": (run_torch, ("torch",)), "keras": (run_keras, ("keras", "tensorflow"))}
    run, names = frameworks[request.getfixturevalue("oracle")]
    modules = [request.getfixturevalue(name) for name in names]
    return lambda *arguments: run(*modules, *arguments)


@every_dtype
@pytest.mark.parametrize(("case", "oracle"), [(case, name) for case in CASES for name in oracles(case)], ids=str)
def test_output_and_gradients_agree(run_oracle, case, oracle, dtype):
    rng = np.random.default_rng(zlib.crc32(str(case).encode()))
    batch, taps = 3, prod(case.kernel)
    filters = case.filters if case.operation == "conv2d" else case.channels
    window = shapes.window(case.operation, case.kernel, case.strides, case.padding, case.dilation, case.hw)
    out_hw = shapes.output_size(window, case.hw)
    extents = [(batch, *case.hw, case.channels), (batch, *out_hw, filters)]
    if case.operation == "conv2d":
        extents += [(*case.kernel, case.channels, filters), (filters,)]
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in extents]
    results = run_ours(case, *arrays)
    wide = [array.astype("float64") for array in arrays]
    exact = run_oracle(case, *wide)
    # The bound is about the same sums over absolute values.
    sizes = [np.abs(array) for array in wide]
    if case.operation == "max_pool2d":
        assert_same(results[0].astype("float64"), exact[0])  # a maximum is one of the pixels
        sizes[0] = wide[0]  # of absolute values another pixel is the largest
        terms = [0, taps]
    elif case.operation == "average_pool2d":
        terms = [taps + 1, taps + 1]  # the division rounds too
    else:
        positions = batch * prod(out_hw)
        terms = [taps * case.channels + 1, taps * filters, positions, positions]
    magnitudes = run_oracle(case, *sizes)
    for result, array, magnitude, count in zip(results, exact, magnitudes, terms, strict=True):
        assert result.dtype == dtype
        assert_within_rounding(result, array, np.abs(magnitude), count)


# --- activations and losses ------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("name", ("relu", "sigmoid", "tanh", "softmax"))
@pytest.mark.parametrize("shape", ((1, 1), (7, 10), (2, 3, 33), (65, 100)), ids=str)
@pytest.mark.parametrize("scale", (1, 30))  # at 30 most are saturated
def test_activation_and_gradient_agree(torch, rng, name, shape, scale, dtype):
    x, dout = (factor * rng.standard_normal(shape).astype(dtype) for factor in (scale, 1))
    out = getattr(ops, name)(x)
    dx = getattr(ops, f"{name}_backward")(dout, out)
    leaf = torch.tensor(x.astype("float64"), requires_grad=True)
    exact = torch.softmax(leaf, -1) if name == "softmax" else getattr(torch, name)(leaf)
    exact.backward(torch.from_numpy(dout.astype("float64")))
    exact, exact_dx = exact.detach().numpy(), leaf.grad.numpy()
    # Softmax is off by what the difference to the row's maximum rounds to, and by its sum; the others by few units.
    terms = shape[-1] + 12 + np.ptp(x) if name == "softmax" else 6
    assert_within_rounding(out, exact, np.abs(exact), terms)
    # Gradients come from outputs, whose rounding does not shrink where the derivative does: 1 - tanh**2, say.
    size = np.abs(dout.astype("float64"))
    if name == "softmax":
        size = exact * (size + (size * exact).sum(-1, keepdims=True))
    assert_within_rounding(dx, exact_dx, size, 3 * terms)


PROBABILITY_LOSSES = ("sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy")
LOSSES = [*itertools.product(PROBABILITY_LOSSES, ({"from_logits": True}, {"from_logits": False}))]
LOSSES += [("mean_squared_error", {})]

CLASSES = {
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "binary_crossentropy": "BinaryCrossentropy",
    "mean_squared_error": "MeanSquaredError",
}

every_loss = pytest.mark.parametrize(("name", "options"), LOSSES, ids=str)


def targets(rng, name, shape, dtype):
    if name == "sparse_categorical_crossentropy":
        return rng.integers(0, shape[-1], shape[:-1])
    if name == "categorical_crossentropy":
        return rng.dirichlet(np.ones(shape[-1]), shape[:-1]).astype(dtype)
    return rng.random(shape).astype(dtype)


def loss_by_keras(keras, tensorflow, name, options, y_true, y_pred):
    """Return the loss of each row, and the gradient of their mean."""
    variable = tensorflow.Variable(y_pred)
    with tensorflow.GradientTape() as tape:
        rows = getattr(keras.losses, name)(tensorflow.constant(y_true), variable, **options)
        mean = tensorflow.reduce_mean(rows)
    return rows.numpy(), tape.gradient(mean, variable).numpy()


def loss_by_torch(torch, name, options, y_true, y_pred):
    """Return the same of PyTorch."""
    functional, leaf = torch.nn.functional, torch.tensor(y_pred, requires_grad=True)
    flat, y = leaf.reshape(-1, y_pred.shape[-1]), torch.from_numpy(np.asarray(y_true))
    if "categorical" in name:
        logits = flat if options["from_logits"] else torch.log(flat / flat.sum(-1, keepdim=True))
        y = y.reshape(-1) if name.startswith("sparse") else y.reshape(flat.shape)
        rows = functional.cross_entropy(logits, y, reduction="none").reshape(y_pred.shape[:-1])
    elif name == "mean_squared_error":
        rows = functional.mse_loss(leaf, y, reduction="none").mean(-1)
    elif options["from_logits"]:
        rows = functional.binary_cross_entropy_with_logits(leaf, y, reduction="none").mean(-1)
    else:
        rows = functional.binary_cross_entropy(leaf, y, reduction="none").mean(-1)
    rows.mean().backward()
    return rows.detach().numpy(), leaf.grad.numpy()


def wide(array):
    """Return floats in float64, labels as they are."""
    return array.astype("float64") if array.dtype.kind == "f" else array


@every_dtype
@every_loss
@pytest.mark.parametrize("shape", ((1, 2), (7, 10), (65, 33), (2, 3, 4, 10)), ids=str)
@pytest.mark.parametrize("oracle", ("torch", "keras"))
def test_loss_and_gradient_agree(request, rng, oracle, name, options, shape, dtype):
    y_true = targets(rng, name, shape, dtype)
    # Probabilities need not add up to 1, and stay clear of the bounds that Keras clips them to.
    probable = options.get("from_logits") is False
    y_pred = (rng.uniform(0.1, 0.9, shape) if probable else 3 * rng.standard_normal(shape)).astype(dtype)
    modules = [request.getfixturevalue(m) for m in (("torch",) if oracle == "torch" else ("keras", "tensorflow"))]
    run = loss_by_torch if oracle == "torch" else loss_by_keras
    exact = run(*modules, name, options, wide(y_true), wide(y_pred))
    rows = getattr(ops, name)(y_true, y_pred, **options)
    dx = getattr(ops, f"{name}_backward")(y_true, y_pred, **options)
    assert rows.dtype == dx.dtype == dtype
    # Numbers of up to the spread of a row are added, one for each column; tests/test_losses_native.py has the same.
    columns = shape[-1]
    spread = np.ptp(wide(y_pred)) + np.log(columns) + 1
    assert_within_rounding(rows, exact[0], spread**2 if name == "mean_squared_error" else spread, columns + 20)
    largest = np.abs(exact[1]).max() + 1 / dx.size
    assert_within_rounding(dx, exact[1], largest * spread, columns + 20)
    mean = getattr(cycnn.losses, CLASSES[name])(**options)(y_true, y_pred)
    np.testing.assert_allclose(mean, exact[0].mean(), rtol=1e-5 if dtype == "float32" else 1e-13)


@every_dtype
@pytest.mark.parametrize("name", PROBABILITY_LOSSES)
def test_loss_of_certain_predictions_agrees(keras, tensorflow, name, dtype):
    """Keras computes in the same type here, for in float32 1 - 1e-7 is another number."""
    y_pred = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0], [1e-9, 1, 0], [0.25, 0.25, 0.5]], dtype)
    labels = np.array([0, 2, 1, 0, 1])
    y_true = labels if name.startswith("sparse") else np.eye(3, dtype=dtype)[labels]
    rows = getattr(ops, name)(y_true, y_pred)
    exact, _ = loss_by_keras(keras, tensorflow, name, {"from_logits": False}, y_true, y_pred)
    # Keras's sparse loss divides by the sum once more after clipping, which is 1 within 1e-7 for each class.
    more = 3e-7 if name.startswith("sparse") else 0
    assert np.abs(rows - exact).max() <= 4 * np.spacing(rows.max()) + more


# --- whole models ----------------------------------------------------------------------------------
# Each function is the same script for both libraries: `api` is cycnn or keras.


def mnist_convnet(api, dtype):
    layers = api.layers
    return api.Sequential(
        [
            api.Input((28, 28, 1), dtype=dtype),
            layers.Conv2D(32, 3, activation="relu", dtype=dtype),
            layers.MaxPooling2D(dtype=dtype),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu", dtype=dtype),
            layers.MaxPooling2D(pool_size=(2, 2), dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dropout(0.5, dtype=dtype),
            layers.Dense(10, activation="softmax", dtype=dtype),
        ]
    )


def lenet5(api, dtype):
    layers = api.layers
    return api.Sequential(
        [
            api.Input((28, 28, 1), dtype=dtype),
            layers.Conv2D(6, 5, padding="same", activation="tanh", dtype=dtype),
            layers.AveragePooling2D(2, dtype=dtype),
            layers.Conv2D(16, 5, activation="tanh", dtype=dtype),
            layers.AveragePooling2D(2, dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(120, activation="tanh", dtype=dtype),
            layers.Dense(84, activation="tanh", dtype=dtype),
            layers.Dense(10, dtype=dtype),
            layers.Softmax(dtype=dtype),
        ]
    )


def strided_global(pooling):
    """Return a network without dense layers in the middle: strides, dilation, layers without a bias."""

    def build(api, dtype):
        layers = api.layers
        return api.Sequential(
            [
                api.Input((33, 30, 3), dtype=dtype),
                layers.Rescaling(1 / 2, offset=-0.25, dtype=dtype),
                layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, dtype=dtype),
                layers.Activation("relu", dtype=dtype),
                layers.Conv2D(17, (3, 2), dilation_rate=2, padding="same", dtype=dtype),
                layers.ReLU(dtype=dtype),
                layers.MaxPooling2D(3, strides=2, padding="same", dtype=dtype),
                layers.Conv2D(24, 1, activation="sigmoid", dtype=dtype),
                layers.AveragePooling2D(3, strides=1, padding="same", dtype=dtype),
                layers.Conv2D(40, (2, 3), strides=(1, 2), activation="linear", dtype=dtype),
                getattr(layers, pooling)(dtype=dtype),
                layers.Dense(7, use_bias=False, dtype=dtype),
            ]
        )

    build.__name__ = f"strided_{pooling}"
    return build


def dense_on_images(api, dtype):
    """Dense layers and softmax on every pixel, and a pooling that keeps its axes."""
    layers = api.layers
    return api.Sequential(
        [
            api.Input((9, 8, 5), dtype=dtype),
            layers.Dense(16, activation="sigmoid", dtype=dtype),
            layers.Conv2D(8, 3, padding="same", activation="softmax", dtype=dtype),
            layers.GlobalMaxPooling2D(keepdims=True, dtype=dtype),
            layers.Dense(3, activation="softmax", dtype=dtype),
        ]
    )


MODELS = (
    mnist_convnet,
    lenet5,
    strided_global("GlobalAveragePooling2D"),
    strided_global("GlobalMaxPooling2D"),
    dense_on_images,
)

every_model = pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)


def random_weights(rng, model):
    """Return weights for a model that keep the size of what passes through it, and biases that are not zero."""
    return [rng.standard_normal(w.shape) / np.sqrt(prod(w.shape[:-1]) or 1) for w in model.get_weights()]


def assert_predictions_agree(model, keras_model, x):
    """Assert a difference of at most 1e-5 of the largest output of a row, in float64 of 1e-13."""
    out, expected = model.predict(x, verbose=0), keras_model(x, training=False).numpy()
    assert (out.dtype, out.shape) == (expected.dtype, expected.shape)
    largest = np.abs(expected).max(axis=tuple(range(1, out.ndim)), keepdims=True)
    error = np.abs(out - expected) / largest
    assert error.max() <= (1e-5 if out.dtype == "float32" else 1e-13)


@every_dtype
@every_model
def test_weights_from_keras_give_its_predictions(keras, rng, build, dtype):
    model, keras_model = build(cycnn, dtype), build(keras, dtype)
    keras_model.set_weights(random_weights(rng, keras_model))
    weights = keras_model.get_weights()
    assert [(w.shape, w.dtype) for w in model.get_weights()] == [(w.shape, w.dtype) for w in weights]
    names = [variable.name for variable in keras_model.weights]
    assert [variable.name for variable in model.weights] == names
    assert model.count_params() == keras_model.count_params()
    assert model.output_shape == keras_model.output_shape
    x = rng.random((20, *model.input_shape[1:]), dtype)
    model.set_weights(weights)
    for ours, theirs in zip(model.get_weights(), weights, strict=True):
        assert_same(ours, theirs)
    assert_predictions_agree(model, keras_model, x)


@every_dtype
@every_model
def test_weights_load_into_keras(keras, rng, build, dtype):
    model, keras_model = build(cycnn, dtype), build(keras, dtype)
    model.set_weights(random_weights(rng, model))
    keras_model.set_weights(model.get_weights())
    assert_predictions_agree(model, keras_model, rng.random((5, *model.input_shape[1:]), dtype))


def small_convnet(api, dtype):
    layers = api.layers
    return api.Sequential(
        [
            api.Input((9, 10, 2), dtype=dtype),
            layers.Conv2D(8, 3, padding="same", activation="relu", dtype=dtype),
            layers.MaxPooling2D(dtype=dtype),
            layers.Conv2D(12, 3, activation="tanh", dtype=dtype),
            layers.AveragePooling2D(2, dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(5, activation="softmax", dtype=dtype),
        ]
    )


# Momenta and betas that float32 has exactly, for Keras rounds them to it in every type; Adam's own are not among them.
OPTIMIZERS = {
    "sgd": ("SGD", {"learning_rate": 0.05}),
    "momentum": ("SGD", {"learning_rate": 0.03, "momentum": 0.875}),
    "nesterov": ("SGD", {"learning_rate": 0.03, "momentum": 0.875, "nesterov": True}),
    "adam": ("Adam", {"learning_rate": 0.002, "beta_1": 0.875, "beta_2": 1 - 2**-10, "epsilon": 2**-23}),
    "adam, defaults": ("Adam", {}),
}


def train(api, dtype, optimizer, weights, batches):
    """Return the loss of each step, the weights after the last, and loss and accuracy then."""
    model = small_convnet(api, dtype)
    model.set_weights(weights)
    name, options = OPTIMIZERS[optimizer]
    eager = {} if api is cycnn else {"run_eagerly": True}  # ten steps are not worth a graph
    loss = "sparse_categorical_crossentropy"
    model.compile(getattr(api.optimizers, name)(**options), loss, metrics=["accuracy"], **eager)
    steps = []
    for x, y in batches:
        if api is not cycnn:
            model.reset_metrics()  # Keras returns the mean over the steps so far
        steps.append(model.train_on_batch(x.astype(dtype), y)[0])
    x, y = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return np.array(steps, "float64"), model.get_weights(), model.evaluate(x.astype(dtype), y, verbose=0)


@pytest.fixture
def floatx(keras):
    """Let Keras keep learning rates, momenta and losses in the type of the model."""
    yield keras.config.set_floatx
    keras.config.set_floatx("float32")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_ten_steps_give_the_weights_of_keras(keras, floatx, rng, optimizer):
    weights = [w.astype("float32") for w in random_weights(rng, small_convnet(cycnn, "float32"))]
    batches = [(rng.random((16, 9, 10, 2), "float32"), rng.integers(0, 5, 16)) for _ in range(10)]
    results = {}
    for dtype in DTYPES:
        floatx(dtype)
        for api in (cycnn, keras):
            results[api.__name__, dtype] = train(api, dtype, optimizer, weights, batches)
    exact = results["keras", "float64"]
    # Each of ten steps rounds the weight, what the optimizer remembers and the step, four times in all: 40 roundings or
    # 20 units, relative to the largest of an array. Adam's first step divides each gradient by its own size: where that
    # is small, as for one weight here with 5e-7 beside a median of 2e-3, the rounding of the gradient counts in full.
    # That weight alone is 44 units off in float64 and 16 in Keras's float32, which is held to the same bound; the next
    # is 4 units off.
    units = 200 if optimizer.startswith("adam") else 20
    tolerances = {dtype: units * np.finfo(dtype).eps for dtype in DTYPES}
    if optimizer == "adam, defaults":
        tolerances["float64"] = 20 * np.finfo("float32").eps  # of the betas, which Keras rounds to float32
    for (_, dtype), (losses, new_weights, (loss, accuracy)) in results.items():
        tolerance = tolerances[dtype]
        for new, expected, old in zip(new_weights, exact[1], weights, strict=True):
            largest = np.abs(expected).max()
            assert np.abs(new - expected).max() <= tolerance * largest
            assert np.abs(expected - old).max() > 1e-3 * largest  # ten steps lead somewhere
        np.testing.assert_allclose([*losses, loss], [*exact[0], exact[2][0]], rtol=tolerance)
        np.testing.assert_allclose(accuracy, exact[2][1], rtol=1e-6)


# --- arguments and defaults ------------------------------------------------------------------------


def public_classes(module, base):
    """Return the classes of a module that users name, without their common base."""
    base = getattr(module, base)
    return sorted(
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base and not name.startswith("_")
    )


CLASSES_OF_MODULES = [
    (module, name)
    for module, base in (
        ("layers", "Layer"),
        ("losses", "Loss"),
        ("optimizers", "Optimizer"),
        ("initializers", "Initializer"),
        ("metrics", "Metric"),
    )
    for name in public_classes(getattr(cycnn, module), base)
    if name not in ("Input", "LossMetric", "PythonLayer", "Variable")
]
METHODS = (
    "compile", "fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch", "get_layer",
    "get_weights", "set_weights", "count_params", "build", "add", "pop",
)  # fmt: skip
# Keras takes these of every layer, out of **kwargs, and of LayerNormalization the last.
NAMED = ("name", "trainable", "dtype", "input_shape", "activity_regularizer", "rms_scaling")


def arguments(function):
    """Return the parameters that have a name."""
    kinds = inspect.Parameter
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p for p in parameters if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)}


def single(default):
    """Return the number that a pair of equal numbers stands for; any other default as it is, classes by their names."""
    if isinstance(default, (tuple, list)) and default and all(item == default[0] for item in default):
        return single(default[0])
    return default.lower() if isinstance(default, str) else default


def assert_defaults_agree(ours, theirs):
    """Assert that Keras has each argument, with the same default if it is optional here."""
    for name, argument in ours.items():
        if name in NAMED:
            continue
        assert name in theirs, f"Keras has no {name}"
        required = inspect.Parameter.empty
        if argument.default is required or theirs[name].default is required:
            continue  # one side insists on what the other leaves open: no call means two things
        assert single(argument.default) == single(theirs[name].default), name


@pytest.mark.parametrize(("module", "name"), CLASSES_OF_MODULES)
def test_arguments_of_classes_are_those_of_keras(keras, module, name):
    ours = arguments(getattr(getattr(cycnn, module), name))
    theirs = arguments(getattr(getattr(keras, module), name))
    assert_defaults_agree(ours, theirs)
    positional = [p.name for p in ours.values() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert positional == list(theirs)[: len(positional)]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (module, name)
        for module, base in (("callbacks", "Callback"), ("regularizers", "Regularizer"), ("constraints", "Constraint"))
        for name in public_classes(getattr(cycnn, module), base)
        if name not in ("Watching", "History")
    ],
)
def test_arguments_of_what_training_is_told_are_those_of_keras(keras, module, name):
    ours, theirs = (arguments(getattr(getattr(api, module), name)) for api in (cycnn, keras))
    if name != "LambdaCallback":  # any event
        assert list(ours) == list(theirs)
    assert_defaults_agree(ours, theirs)


def test_input_takes_what_keras_takes(keras):
    """A function there, a class here."""
    assert_defaults_agree(arguments(cycnn.Input), arguments(keras.Input))
    assert next(iter(arguments(cycnn.Input))) == next(iter(arguments(keras.Input))) == "shape"


@pytest.mark.parametrize("name", METHODS)
def test_arguments_of_models_are_those_of_keras(keras, name):
    ours, theirs = (arguments(getattr(api.Sequential, name)) for api in (cycnn, keras))
    assert_defaults_agree(ours, theirs)


@pytest.mark.parametrize(("module", "name"), CLASSES_OF_MODULES)
def test_configuration_of_a_default_instance_is_that_of_keras(keras, module, name):
    """What defaults turn into: strides that follow the window, names of losses."""
    needed = {"filters": 8, "kernel_size": 3, "pool_size": 2, "units": 8, "rate": 0.5, "scale": 2.0}
    needed |= {"dims": (2, 1), "n": 3, "target_shape": (4, 2), "height": 4, "width": 5, "size": 2, "stddev": 0.5}
    needed |= {"factor": (0.1, 0.2), "height_factor": (-0.1, 0.2), "width_factor": (-0.1, 0.2), "shape": (4,)}
    needed |= {"activation": "relu"} if name == "Activation" else {}
    needed |= {"num_classes": 3, "target_class_ids": [1], "fn": keras.losses.hinge}
    needed |= dict.fromkeys(("precision", "recall", "sensitivity", "specificity"), 0.5)
    theirs = arguments(getattr(getattr(keras, module), name))
    required = [p.name for p in theirs.values() if p.default is inspect.Parameter.empty]
    required += ["shape"] if name == "InputLayer" else []  # which Keras takes out of a batch shape too
    given = {key: needed[key] for key in required}
    keras.utils.clear_session()  # which numbers the names of metrics
    ours, theirs = (getattr(getattr(api, module), name)(**given).get_config() for api in (cycnn, keras))
    skipped = {"seed", "fn"}  # Keras draws one where none is given; a function has a description there
    skipped |= {"name"} if module in ("layers", "optimizers") else set()  # numbered there by the process
    for key in (ours.keys() & theirs.keys()) - skipped:
        assert plain(ours[key]) == plain(theirs[key]), key


def plain(value):
    """Return a configuration's value without what the two libraries write differently."""
    if isinstance(value, dict) and value.get("class_name") == "DTypePolicy":
        return value["config"]["name"]
    if isinstance(value, dict) and "class_name" in value:
        config = {key: item for key, item in value["config"].items() if item is not None}
        return value["class_name"], config
    if isinstance(value, float):
        return np.float32(value)  # as which Keras keeps learning rates
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
