"""Winograd's convolution against the reference in float64: every instruction set, within its rounding."""

import functools
import zlib

import numpy as np
import pytest
import reference
from guard_pages import guarded
from helpers import assert_adjoint, assert_same, assert_within_rounding, rounding

import cycnn
from cycnn import Input, Sequential, _native, config, layers, shapes
from cycnn._native import Buffer, Memory, Program, kernels, run_step
from cycnn.program import algorithms, lower

SAME, VALID, ASYMMETRIC = "same", "valid", ((0, 2), (3, 1))

# The absolute values of what the transforms add up, operation by operation: of the input, the kernel and the output.
INPUT = np.array(
    [
        [1, 1.5, 2, 1.5, 1, 0],
        [0, 1, 2.5, 2.5, 1, 0],
        [0, 1, 2.5, 2.5, 1, 0],
        [0, 2, 1, 2, 1, 0],
        [0, 0.5, 1, 0.5, 1, 0],
        [0, 1, 1.5, 2, 1.5, 1],
    ]
)
POINTS = (0, 1, -1, 0.5, -2)
KERNEL = np.abs([[p**k / np.prod([p - q for q in POINTS if q != p]) for k in range(3)] for p in POINTS] + [[0, 0, 1]])
OUTPUT = np.abs([[p**i for p in POINTS] + [float(i == 3)] for i in range(4)])
# In units of that and of the rounding unit: measured, twice the worst. What can be proven, channels + 30, is loose.
TERMS = 2.5
# Error over result, root mean squares, for so many channels: measured on normal numbers, and a third more.
RMS = {1: 6.5e-7, 16: 1.1e-6, 64: 1.6e-6, 256: 2.9e-6}


def case(n, hw, ic, oc, padding=SAME):
    return n, hw, ic, oc, shapes.window("Conv2D", (3, 3), (1, 1), padding, (1, 1), hw)


SIZES = [case(2, (height, width), 5, 17) for height in (1, 2, 4, 5, 7) for width in (1, 3, 4, 6, 8, 13)]
PADDINGS = [
    case(2, (8, 9), 7, 16, VALID),
    case(3, (3, 3), 16, 8, VALID),
    case(1, (6, 11), 17, 33, ASYMMETRIC),
    case(1, (2, 3), 3, 4, ((5, 4), (4, 6))),  # more padding than kernel
    case(1, (9, 4), 4, 20, 1),
]
CHANNELS = [case(1, (5, 6), ic, oc) for ic in (1, 3, 15, 16, 17, 33) for oc in (1, 3, 15, 16, 17, 33)]
BATCHES = [case(n, (7, 7), 33, 40) for n in (3, 4, 17)] + [
    case(70, (4, 4), 16, 8),  # a block holds tiles of many images
    case(1, (30, 29), 64, 64),
    case(2, (14, 14), 130, 97),  # few blocks: panels are divided too
    case(1, (5, 6), 384, 320),  # a kernel that is transformed at each use
    case(1, (3, 2), 3700, 20),  # and that is one panel
]
CASES = [*SIZES, *PADDINGS, *CHANNELS, *BATCHES]
FEW = [*SIZES[::7], *PADDINGS, *CHANNELS[::5], *BATCHES]


def case_name(case):
    n, hw, ic, oc, w = case
    return f"{n}x{hw[0]}x{hw[1]}-{ic}to{oc}-pad" + ".".join(map(str, w[4:8]))


@pytest.fixture(params=_native.supported)
def steps(request):
    return kernels("float32", request.param)


@pytest.fixture
def threads():
    before = _native.get_num_threads()
    yield _native.set_num_threads
    _native.set_num_threads(before)


@pytest.fixture
def winograd():
    """Return a function that turns it on or off until the test ends."""
    yield functools.partial(setattr, config, "winograd")
    config.winograd = "auto"


@functools.cache
def arrays(case):
    """Return normal numbers for x, kernel, bias and dout."""
    n, hw, ic, oc, w = case
    rng = np.random.default_rng(zlib.crc32(case_name(case).encode()))
    extents = (n, *hw, ic), (3, 3, ic, oc), (oc,), (n, *shapes.output_size(w, hw), oc)
    return tuple(rng.standard_normal(shape).astype("float32") for shape in extents)


def forward(steps, x, kernel, bias, window, activation="linear"):
    out = np.full((len(x), *shapes.output_size(window, x.shape[1:3]), kernel.shape[3]), np.nan, "float32")
    buffers = [None if array is None else Buffer.of(array) for array in (x, kernel, bias, out)]
    run_step(steps.WinogradForward(*buffers, window, activation))
    return out


def backward_input(steps, dout, kernel, x_shape, window, activation="linear", y=None):
    dx = np.full(x_shape, np.nan, "float32")
    y = None if y is None else Buffer.of(y)
    run_step(steps.WinogradBackwardInput(Buffer.of(dout), Buffer.of(kernel), Buffer.of(dx), window, activation, y))
    return dx


def magnitude(source, kernel, pads, out_hw):
    """Return for each output the sum of the absolute values of all that its tile computes."""
    n, height, width, _ = source.shape
    tiles = [-(-size // 4) for size in out_hw]
    image = np.zeros((n, tiles[0] * 4 + 2, tiles[1] * 4 + 2, source.shape[3]))
    top, left = (max(0, -pad) for pad in pads)  # a negative padding crops
    bottom, right = (
        min(size, room - pad) for size, room, pad in zip((height, width), image.shape[1:3], pads, strict=True)
    )
    inside = np.abs(source[:, top:bottom, left:right])
    image[:, top + pads[0] : bottom + pads[0], left + pads[1] : right + pads[1]] = inside
    windows = np.lib.stride_tricks.sliding_window_view(image, (6, 6), (1, 2))[:, ::4, ::4]
    v = np.einsum("ai,bj,nhwcij->nhwcab", INPUT, INPUT, windows, optimize=True)
    u = np.einsum("ai,bj,ijco->coab", KERNEL, KERNEL, np.abs(kernel), optimize=True)
    m = np.einsum("nhwcab,coab->nhwoab", v, u, optimize=True)
    out = np.einsum("ia,jb,nhwoab->nhiwjo", OUTPUT, OUTPUT, m, optimize=True)
    return out.reshape(n, tiles[0] * 4, tiles[1] * 4, -1)[:, : out_hw[0], : out_hw[1]]


def forward_magnitude(x, kernel, window):
    return magnitude(x, kernel, (window.pad_top, window.pad_left), shapes.output_size(window, x.shape[1:3]))


def backward_magnitude(dout, kernel, window, hw):
    flipped = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    return magnitude(dout, flipped, (2 - window.pad_top, 2 - window.pad_left), hw)


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_forward_is_within_rounding(steps, case):
    x, kernel, bias, _ = arrays(case)
    wide = [array.astype("float64") for array in (x, kernel, bias)]
    exact = reference.conv2d(*wide, case[4])
    size = forward_magnitude(x, kernel, case[4]) + np.abs(bias)
    assert_within_rounding(forward(steps, x, kernel, bias, case[4]), exact, size, TERMS)
    without = reference.conv2d(*wide[:2], None, case[4])
    assert_within_rounding(forward(steps, x, kernel, None, case[4]), without, size, TERMS)


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_backward_input_is_within_rounding(steps, case):
    x, kernel, _, dout = arrays(case)
    exact = reference.conv2d_backward_input(dout.astype("float64"), kernel.astype("float64"), case[4], case[1])
    size = backward_magnitude(dout, kernel, case[4], case[1])
    result = backward_input(steps, dout, kernel, x.shape, case[4])
    assert_within_rounding(result, exact, size, TERMS)


@pytest.mark.parametrize("channels", RMS)
def test_errors_are_as_small_as_documented(steps, channels):
    this = case(2, (16, 16), channels, 16)
    x, kernel, _, _ = arrays(this)
    exact = reference.conv2d(x.astype("float64"), kernel.astype("float64"), None, this[4])
    error = forward(steps, x, kernel, None, this[4]) - exact
    assert np.sqrt(np.mean(error**2) / np.mean(exact**2)) <= RMS[channels]


@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_forward_and_backward_input_are_adjoint(steps, case):
    x, kernel, _, dout = arrays(case)
    out = forward(steps, x, kernel, None, case[4])
    dx = backward_input(steps, dout, kernel, x.shape, case[4])
    bound = rounding(TERMS, "float32") * (
        np.sum(forward_magnitude(x, kernel, case[4]) * np.abs(dout))
        + np.sum(backward_magnitude(dout, kernel, case[4], case[1]) * np.abs(x))
    )
    assert_adjoint((out, dout), (x, dx), bound=bound)


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
@pytest.mark.parametrize("case", FEW[::3], ids=case_name)
def test_forward_applies_the_activation(steps, case, activation):
    x, kernel, bias, _ = arrays(case)
    kernel = kernel * np.float32(0.05)
    z = forward(steps, x, kernel, bias, case[4])
    exact = reference.activation(z.astype("float64"), activation)
    assert_within_rounding(forward(steps, x, kernel, bias, case[4], activation), exact, np.abs(exact), 8)


@pytest.mark.parametrize("activation", ["relu", "relu6", "elu", "sigmoid", "tanh", "softsign"])
@pytest.mark.parametrize("case", FEW[::3], ids=case_name)
def test_backward_input_chains_the_activation(steps, case, activation):
    _, kernel, _, dout = arrays(case)
    rng = np.random.default_rng(1)
    y = rng.integers(-8, 8, (case[0], *case[1], case[2]), endpoint=True).astype("float32") / 8
    dx = backward_input(steps, dout, kernel, y.shape, case[4])
    exact = dx.astype("float64") * reference.activation_derivative(y.astype("float64"), activation)
    assert_within_rounding(
        backward_input(steps, dout, kernel, y.shape, case[4], activation, y), exact, np.abs(exact), 4
    )


@pytest.mark.parametrize("case", BATCHES, ids=case_name)
def test_results_do_not_depend_on_threads(steps, case, threads):
    x, kernel, bias, dout = arrays(case)
    results = []
    for count in (1, 2, 5):
        threads(count)
        out = forward(steps, x, kernel, bias, case[4], "tanh")
        results.append((out, backward_input(steps, dout, kernel, x.shape, case[4], "tanh", x)))
    for others in zip(*results, strict=True):
        assert_same(others[1], others[0])
        assert_same(others[2], others[0])


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("case", FEW, ids=case_name)
def test_arrays_are_not_overstepped(steps, case, at_end):
    x, kernel, bias, dout = (Buffer.of(guarded(array, at_end)) for array in arrays(case))
    run_step(steps.WinogradForward(x, kernel, bias, dout, case[4], "relu"))
    y, dx = (Buffer.of(guarded(np.ones(x.shape, "float32"), at_end)) for _ in range(2))
    run_step(steps.WinogradBackwardInput(dout, kernel, dx, case[4], "relu", y))


def test_the_kernel_is_transformed_when_it_has_changed(steps):
    this = case(1, (6, 6), 5, 7)
    x, kernel, _, dout = (array.copy() for array in arrays(this))
    out, dx = np.empty_like(dout), np.empty_like(x)
    shared = Buffer.of(kernel)
    program = Program(
        [
            steps.WinogradForward(Buffer.of(x), shared, None, Buffer.of(out), this[4], "linear"),
            steps.WinogradBackwardInput(Buffer.of(dout), shared, Buffer.of(dx), this[4], "linear", None),
        ]
    )
    program.run()
    once = out.copy(), dx.copy()
    kernel *= 2
    program.run()
    assert_same(out, once[0])
    shared.touch()
    program.run()
    assert_same(out, 2 * once[0])
    assert_same(dx, 2 * once[1])


@pytest.mark.parametrize("channels", [(5, 7), (33, 17), (352, 352)])
def test_kernel_that_is_not_kept_gives_the_same_bits_and_is_seen_to_change(steps, channels):
    this = case(2, (9, 10), *channels)
    x, kernel, bias, dout = (array.copy() for array in arrays(this))
    out, dx = np.empty_like(dout), np.empty_like(x)
    made = [
        steps.WinogradForward(Buffer.of(x), Buffer.of(kernel), Buffer.of(bias), Buffer.of(out), this[4], "relu"),
        steps.WinogradBackwardInput(Buffer.of(dout), Buffer.of(kernel), Buffer.of(dx), this[4], "linear", None),
    ]
    for step in made:
        step.repack()
        step.place_workspace(Memory(step.workspace), 0)
    for _ in range(2):
        Program(made).run()
        assert_same(out, forward(steps, x, kernel, bias, this[4], "relu"))
        assert_same(dx, backward_input(steps, dout, kernel, x.shape, this[4]))
        kernel *= 3


@pytest.mark.parametrize("extents", [(0, 4, 4, 16, 16), (1, 4, 4, 0, 16), (1, 4, 4, 16, 0)])
def test_empty_extents(steps, extents):
    n, height, width, ic, oc = extents
    _, _, _, _, window = case(1, (height, width), 1, 1)
    x, kernel = np.ones((n, height, width, ic), "float32"), np.ones((3, 3, ic, oc), "float32")
    bias = np.arange(oc, dtype="float32")
    out = forward(steps, x, kernel, bias, window)
    assert_same(out, np.broadcast_to(bias, out.shape).copy())
    assert_same(backward_input(steps, out, kernel, x.shape, window), np.zeros(x.shape, "float32"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_reaches_every_output_that_reads_it(steps, value):
    this = case(1, (9, 10), 16, 16)
    x, kernel, _, _ = (array.copy() for array in arrays(this))
    x[0, 4, 5, 3] = value
    out = forward(steps, x, kernel, None, this[4])
    assert not np.isfinite(out[0, 3:6, 4:7]).any()
    assert np.isfinite(out[0, 8]).all()


def network(dtype="float32"):
    cycnn.utils.set_random_seed(3)
    model = Sequential(
        [
            Input((17, 18, 16), dtype=dtype),
            layers.Conv2D(32, 3, padding="same", activation="relu", dtype=dtype),
            layers.Conv2D(16, 3, use_bias=False, dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            layers.Conv2D(24, 3, activation="tanh", dtype=dtype),
            layers.GlobalAveragePooling2D(dtype=dtype),
            layers.Dense(5, dtype=dtype),
        ]
    )
    model.compile(cycnn.optimizers.SGD(0.1), cycnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def names(model, mode):
    lowered = lower(model, 6, mode, [model.dtype], [False])
    return {type(step).__name__ for step in lowered.steps}


class TestChoice:
    @pytest.mark.parametrize("mode", ["predict", "gradients"])
    def test_it_is_used_unless_it_is_off(self, winograd, mode):
        assert "WinogradForward" in names(network(), mode)
        assert ("WinogradBackwardInput" in names(network(), mode)) == (mode == "gradients")
        winograd("off")
        assert not any("Winograd" in name for name in names(network(), mode))

    def test_float64_never_uses_it(self):
        assert not any("Winograd" in name for name in names(network("float64"), "gradients"))

    def test_a_model_computes_the_same_with_it_and_without(self, winograd):
        x = np.random.default_rng(0).standard_normal((6, 17, 18, 16)).astype("float32")
        y = np.arange(6) % 5
        models = {}
        for setting in ("off", "auto"):
            winograd(setting)
            models[setting] = network()
            for _ in range(3):
                models[setting].train_on_batch(x, y)
        for off, auto in zip(models["off"].get_weights(), models["auto"].get_weights(), strict=True):
            np.testing.assert_allclose(auto, off, rtol=1e-3, atol=2e-5)
        auto = models["auto"].predict_on_batch(x)
        winograd("off")
        off = models["auto"].predict_on_batch(x)
        assert not np.array_equal(auto, off)  # lowered anew
        np.testing.assert_allclose(auto, off, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(
        ("kernel", "window", "pixels", "expected"),
        [
            ((3, 3, 64, 64), case(1, (32, 32), 1, 1)[4], (8, 32, 32), True),
            ((3, 3, 64, 8), case(1, (32, 32), 1, 1)[4], (8, 32, 32), False),
            ((3, 3, 3, 64), case(1, (32, 32), 1, 1)[4], (8, 32, 32), False),
            ((3, 3, 64, 64), case(1, (7, 7), 1, 1)[4], (1, 7, 7), True),
            ((3, 3, 512, 512), case(1, (7, 7), 1, 1)[4], (1, 7, 7), False),
            ((3, 3, 512, 512), case(1, (7, 7), 1, 1)[4], (8, 7, 7), True),
            ((3, 3, 64, 64), case(1, (4, 4), 1, 1)[4], (1, 4, 4), False),
            ((3, 3, 64, 64), case(1, (2, 2), 1, 1)[4], (100, 2, 2), False),  # most of a tile is not needed
            ((5, 5, 64, 64), shapes.window("Conv2D", (5, 5), (1, 1), SAME, (1, 1), (32, 32)), (8, 32, 32), False),
            ((3, 3, 64, 64), shapes.window("Conv2D", (3, 3), (2, 2), SAME, (1, 1), (32, 32)), (8, 16, 16), False),
            ((3, 3, 64, 64), shapes.window("Conv2D", (3, 3), (1, 1), SAME, (2, 2), (32, 32)), (8, 32, 32), False),
        ],
    )
    def test_the_table(self, kernel, window, pixels, expected):
        assert algorithms.winograd(kernels("float32"), kernel, window, pixels) is expected
        assert algorithms.winograd(kernels("float64"), kernel, window, pixels) is False

    def test_the_setting_is_checked(self, winograd):
        winograd("on")
        with pytest.raises(
            ValueError, match=r'^config: `winograd` must be "auto" or "off"\. Received: winograd=\'on\'\.$'
        ):
            network().predict_on_batch(np.zeros((2, 17, 18, 16), "float32"))
