"""The way back through a rectified normalisation where convolutions store its gradient: exact on integers."""

import zlib

import numpy as np
import pytest
from guard_pages import guarded
from helpers import assert_same, integers

from cycnn import Sequential, _native, layers, shapes
from cycnn._native import Buffer, kernels, run_step
from cycnn.layers import Input
from cycnn.program import lower


def case(channels, filters, kernel=(1, 1), strides=(1, 1), padding="same", n=2, hw=(7, 9), groups=1, name="Conv2D"):
    """Return a step's name, images, a kernel's shape, a window and how many channels the other side has."""
    window = shapes.window("Conv2D", kernel, strides, padding, (1, 1), hw)
    if filters == 0:
        return "DepthwiseConv2D", (n, *hw, channels), (*kernel, channels, 1), window, channels
    return name, (n, *hw, channels), (*kernel, channels // groups, filters), window, filters


CASES = [
    *(case(channels, 5) for channels in (16, 17, 20, 33, 64)),
    *(case(24, 16, (3, 3), strides) for strides in ((1, 1), (2, 2), (2, 3))),
    case(40, 8, (1, 1), (2, 2)),  # pixels that no window meets
    case(18, 6, (3, 3), groups=2),
    case(256, 256, n=1, hw=(2, 2)),  # few pixels: panels of the kernel are tasks too
    *(case(channels, 0, (3, 3), s) for channels in (16, 48, 160) for s in ((1, 1), (2, 2))),
    case(32, 0, (3, 3), padding=((1, 1), (1, 1)), hw=(14, 14)),
    case(32, 0, (3, 3), (2, 2), ((1, 1), (1, 1)), hw=(15, 12)),
    *(case(channels, 8, (3, 3), padding=p, name="Winograd") for channels in (16, 48, 24) for p in ("same", "valid")),
    case(288, 288, (3, 3), n=1, name="Winograd"),  # a large kernel: panels are tasks too
]


def name_of(case):
    return f"{case[0]}-{case[1]}-{case[2]}-{case[3].stride_h}".replace(" ", "")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def restore_threads():
    before = _native.get_num_threads()
    yield
    _native.set_num_threads(before)


@pytest.fixture(params=CASES, ids=name_of)
def arrays(request):
    """Return the step's name, its window, dout, the kernel, x, and scale, shift and mean of every channel."""
    name, image, kernel, window, filters = request.param
    rng = np.random.default_rng(zlib.crc32(name_of(request.param).encode()))
    oh, ow = (shapes.pixels(image, window, filters))[1:3]
    dout, weights, x = integers(rng, (image[0], oh, ow, filters)), integers(rng, kernel), integers(rng, image)
    return name, window, dout, weights, x, *(integers(rng, image[3:]) for _ in range(3))


def assert_near(actual, expected):
    """Winograd's algorithm is not exact on integers."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def backward(arrays, isa, activation, place=lambda array: array):
    """Return dx and the sums that the step writes in passing, or skip the test where it cannot."""
    name, window, *inputs = arrays
    dout, weights, *norm = (place(array) for array in inputs)
    dx = place(np.full(norm[0].shape, np.nan, "float32"))
    step = getattr(kernels("float32", isa), f"{name}BackwardInput")
    step = step(*(Buffer.of(array) for array in (dout, weights, dx)), window, "linear", None)
    if not step.parts:
        assert name != "Conv2D"
        pytest.skip("vectors of channels that are not full")
    sums = place(np.full((step.parts, 2, dx.shape[3]), np.nan, "float32"))
    step.gate(*(Buffer.of(array) for array in (*norm, sums)), activation)
    run_step(step)
    return dx, sums


def expected(arrays, isa, activation):
    """Return the same from the gradient of the convolution alone."""
    name, window, dout, weights, x, scale, shift, mean = arrays
    dx = np.empty_like(x)
    step = getattr(kernels("float32", isa), f"{name}BackwardInput")
    run_step(step(Buffer.of(dout), Buffer.of(weights), Buffer.of(dx), window, "linear", None))
    z = scale * x + shift
    dx[(z <= 0) | (z >= 6 if activation == "relu6" else False)] = 0
    return dx, dx.sum((0, 1, 2)), (dx * (x - mean)).sum((0, 1, 2))


@pytest.mark.parametrize("isa", _native.supported)
@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_gradient_and_its_sums_are_those_of_passes_of_their_own(arrays, isa, activation):
    dx, sums = backward(arrays, isa, activation)
    wanted, first, second = expected(arrays, isa, activation)
    same = assert_near if arrays[0] == "Winograd" else assert_same
    same(dx, wanted)
    same(sums[:, 0].sum(0), first)
    same(sums[:, 1].sum(0), second)


@pytest.mark.parametrize("isa", _native.supported)
@pytest.mark.parametrize("at_end", [True, False])
def test_nothing_beyond_the_arrays_is_touched(arrays, isa, at_end):
    dx, sums = backward(arrays, isa, "relu", lambda array: guarded(array, at_end))
    assert np.isfinite(dx).all() and np.isfinite(sums).all()


def test_bits_do_not_depend_on_threads(arrays, rng, restore_threads):
    arrays = (*arrays[:2], *(array + rng.standard_normal(array.shape).astype("float32") for array in arrays[2:]))
    results = []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        results.append(backward(arrays, _native.isa, "relu"))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert_same(a, b)


@pytest.mark.parametrize("isa", _native.supported)
@pytest.mark.parametrize("channels", [1, 64, 100])
def test_parts_are_added_up(rng, isa, channels):
    sums, variance = integers(rng, (7, 2, channels)), np.full(channels, 4, "float32")
    by_scale, by_shift = np.empty_like(variance), np.empty_like(variance)
    arrays = [Buffer.of(array) for array in (sums, variance, by_scale, by_shift)]
    run_step(kernels("float32", isa).NormSums(*arrays, 0.0))
    assert_same(by_shift, sums[:, 0].sum(0))
    assert_same(by_scale, sums[:, 1].sum(0) / 2)


def model(*behind, activation="relu", dtype="float32"):
    """Return a network whose rectified normalisation is read by the layers behind it: classes and their arguments."""
    front = [(layers.Conv2D, 16, 3), (layers.BatchNormalization,), (layers.Activation, activation)]
    made = Sequential([Input((8, 8, 3), dtype=dtype)])
    for kind, *arguments in [*front, *behind, (layers.GlobalAveragePooling2D,), (layers.Dense, 2)]:
        made.add(kind(*arguments, dtype=dtype))
    made.compile("sgd", "mse")
    return made


def steps_of(made):
    return {type(step).__name__ for step in lower(made, 3, "gradients", [made.dtype]).steps}


@pytest.mark.parametrize("behind", [(layers.Conv2D, 4, 1), (layers.DepthwiseConv2D, 3, 1, "same")], ids=str)
def test_the_layer_behind_takes_the_sums(behind):
    steps = steps_of(model(behind))
    assert "NormSums" in steps
    assert "ChannelSums" not in steps


@pytest.mark.parametrize(
    ("behind", "activation"),
    [
        ((), "relu"),
        ([(layers.Flatten,), (layers.Dense, 4), (layers.Reshape, (2, 2, 1))], "relu"),
        ([(layers.Conv2D, 4, 1)], "tanh"),
    ],
    ids=["pool", "flat", "tanh"],
)
def test_other_layers_and_other_activations_leave_them_to_a_pass(behind, activation):
    steps = steps_of(model(*behind, activation=activation))
    assert "NormSums" not in steps
    assert "ChannelSums" in steps


def test_gradients_agree_with_those_of_double_precision(rng):
    norm, relu6 = (layers.BatchNormalization,), (layers.Activation, "relu6")
    behind = (layers.DepthwiseConv2D, 3, 1, "same"), norm, relu6, (layers.Conv2D, 8, 1)
    single, double = (model(*behind, dtype=dtype) for dtype in ("float32", "float64"))
    double.set_weights(single.get_weights())
    x, y = rng.standard_normal((4, 8, 8, 3)), rng.standard_normal((4, 2))
    results = []
    for made in (single, double):
        run, lowered = made.gradient_program("test", x.astype(made.dtype), y.astype(made.dtype))
        run()
        results.append([gradient.copy() for gradient in lowered.gradients.values()])
    assert steps_of(single) >= {"NormSums"} > steps_of(double) & {"NormSums"}
    for actual, exact in zip(*results, strict=True):
        np.testing.assert_allclose(actual, exact, rtol=0, atol=1e-6 * max(np.abs(exact).max(), 1))
