"""Random changes of images, step by step, against NumPy, on every instruction set this machine can run."""

import numpy as np
import pytest
import reference_images as reference
from helpers import assert_adjoint, assert_same, integers

from cycnn import _native
from cycnn._native import Buffer, run_step

every_isa = pytest.mark.parametrize("isa", _native.supported)
every_dtype = pytest.mark.parametrize("dtype", ("float32", "float64"))
# Around what is special: one channel and three, one pixel, spans of 128 pixels, tasks of 16384 numbers.
SHAPES = ((2, 6, 5, 1), (3, 4, 7, 3), (1, 1, 1, 2), (2, 3, 140, 1), (2, 150, 129, 3), (4, 2, 3, 17), (2, 5, 1, 4))
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
FILL_MODES = ("reflect", "wrap", "constant", "nearest")


@pytest.fixture
def rng():
    return np.random.default_rng(20240917)


@pytest.fixture
def restore_threads():
    threads = _native.get_num_threads()
    yield
    _native.set_num_threads(threads)


def run(name, x, *arguments, shape=None, isa=_native.isa, dtype=None):
    """Run a step on arrays whose output is called by Ellipsis among the arguments; return the output."""
    dtype = dtype or x.dtype.name
    out = np.full(x.shape if shape is None else shape, -99, dtype)
    arrays = [out if argument is ... else argument for argument in arguments]
    buffers = [Buffer.of(array) if isinstance(array, np.ndarray) else array for array in arrays]
    run_step(getattr(_native.kernels(x.dtype.name, isa), name)(Buffer.of(x), *buffers))
    return out


def draw(rows, ranges, seed=5, step=3, first=2, isa=_native.isa):
    out, key = np.full((rows, len(ranges)), np.nan), np.array([0, step], "uint64")
    buffers = map(Buffer.of, (out, key, np.array(ranges, "float64")))
    run_step(_native.kernels(isa=isa).UniformDraws(*buffers, seed, first))
    return out


# --- draws -----------------------------------------------------------------------------------------


@every_isa
@pytest.mark.parametrize("seed", (0, 7, 2**64 - 1))
@pytest.mark.parametrize("step", (0, 1, 10**6))
def test_draws_are_those_of_the_reference(isa, seed, step):
    ranges = [(0, 1), (0, 4), (0, 2**-3)]  # whose products are exact
    assert_same(draw(9, ranges, seed, step, 2, isa), reference.draws(9, ranges, seed, step, 2))


def test_draws_lie_in_their_ranges_and_are_uniform():
    drawn = draw(20000, [(-3, 5), (2, 2), (0, 1)], first=0)
    assert drawn[:, 0].min() >= -3 and drawn[:, 0].max() < 5
    assert np.all(drawn[:, 1] == 2)
    for column, low, width in ((0, -3, 8), (2, 0, 1)):
        counts = np.bincount(((drawn[:, column] - low) / width * 50).astype(int), minlength=50)
        # Chi squared with 49 degrees of freedom: mean 49, deviation 9.9; five deviations
        assert np.sum((counts - 400) ** 2 / 400) < 49 + 5 * 9.9
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 2])[0, 1]) < 5 / np.sqrt(20000)


def test_draws_of_other_seeds_steps_images_and_places_are_not_related():
    base = draw(5000, [(0, 1)], seed=1, step=1, first=0)[:, 0]
    others = [
        draw(5000, [(0, 1)], seed=2, step=1, first=0)[:, 0],
        draw(5000, [(0, 1)], seed=1, step=2, first=0)[:, 0],
        draw(5000, [(0, 1)], seed=1, step=1, first=1)[:, 0],
        draw(5001, [(0, 1)], seed=1, step=1, first=0)[1:, 0],
    ]
    for other in others:
        assert abs(np.corrcoef(base, other)[0, 1]) < 5 / np.sqrt(5000)
    assert len(np.unique(base)) == 5000


# --- maps ------------------------------------------------------------------------------------------


def dyadic_maps(rng, rows):
    """Return maps whose coordinates and weights are exact: multiples of 1/8 up to 1, shifts of multiples of 3/2."""
    return (rng.integers(-8, 9, (rows, 6)) / [8, 8, 1 / 1.5, 8, 8, 1 / 1.5]).astype("float32")


@every_isa
@every_dtype
@every_shape
@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("interpolation", ("nearest", "bilinear"))
def test_affine_transform_is_exact(rng, isa, dtype, shape, fill_mode, interpolation):
    x, maps = integers(rng, shape, dtype), dyadic_maps(rng, shape[0])
    out = run("AffineTransform", x, maps, ..., interpolation, fill_mode, 3.0, isa=isa)
    assert_same(out, reference.affine(x, maps, shape[1:3], interpolation, fill_mode, 3.0).astype(dtype))


@pytest.mark.parametrize("fill_mode", FILL_MODES)
def test_affine_transform_of_all_images_to_another_size(rng, fill_mode):
    x, maps = integers(rng, (3, 4, 5, 2)), np.array([[0.5, 0, -0.25, 0.125, 2, 1]], "float32")
    out = run("AffineTransform", x, maps, ..., "bilinear", fill_mode, -1.0, shape=(3, 7, 3, 2))
    assert_same(out, reference.affine(x, maps, (7, 3), "bilinear", fill_mode, -1.0).astype("float32"))


def test_affine_transform_far_outside_is_the_fill_value(rng):
    x, maps = integers(rng, (1, 4, 5, 1)), np.array([[1e30, 0, 9e30, 0, 1, 0]], "float32")
    assert np.all(run("AffineTransform", x, maps, ..., "bilinear", "constant", 7.0) == 7)
    assert np.all(run("AffineTransform", x, maps, ..., "nearest", "constant", 7.0) == 7)


def test_affine_transform_spreads_nan_to_its_neighbours_alone():
    x = np.zeros((1, 4, 4, 1), "float32")
    x[0, 1, 1] = np.nan
    maps = np.array([[1, 0, 0.5, 0, 1, 0]], "float32")
    out = run("AffineTransform", x, maps, ..., "bilinear", "nearest", 0.0)[0, :, :, 0]
    assert np.argwhere(np.isnan(out)).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]  # weights of zero count


@pytest.mark.parametrize(("kind", "columns"), [("rotation", 1), ("translation", 2), ("zoom", 1), ("zoom", 2)])
@every_isa
def test_coefficients_agree_with_their_formulas(rng, isa, kind, columns):
    drawn = rng.uniform(-1, 1.5, (6, columns))
    out = run("AffineCoefficients", drawn, ..., kind, 9, 14, shape=(6, 6), isa=isa, dtype="float32")
    np.testing.assert_allclose(out, reference.coefficients(kind, drawn, 9, 14), rtol=1e-6, atol=1e-6)


def test_a_quarter_turn_is_exact(rng):
    x = integers(rng, (1, 6, 6, 3))
    maps = run("AffineCoefficients", np.array([[0.25]]), ..., "rotation", 6, 6, shape=(1, 6), dtype="float32")
    out = run("AffineTransform", x, maps, ..., "nearest", "constant", 0.0)
    assert_same(out, np.rot90(x, 1, axes=(1, 2)))


# --- flips, crops, boxes, mixtures -----------------------------------------------------------------


@every_isa
@every_dtype
@every_shape
@pytest.mark.parametrize("directions", [(True, False), (False, True), (True, True)])
def test_flip_is_exact_and_its_own_adjoint(rng, isa, dtype, shape, directions):
    x, dout = integers(rng, shape, dtype), integers(rng, shape, dtype)
    drawn = np.resize([0.5, 0.75, 0.0, 0.51], (shape[0], 1))
    out = run("FlipImages", x, drawn, ..., *directions, isa=isa)
    assert_same(out, reference.flip(x, drawn, *directions))
    assert_adjoint((out, dout), (x, run("FlipImages", dout, drawn, ..., *directions, isa=isa)))


@every_isa
@every_dtype
def test_crop_is_exact(rng, isa, dtype):
    x, places = integers(rng, (3, 6, 7, 2), dtype), np.array([[0.9, 3.0], [2.99, 0.0], [3.5, 4.5]])
    out = run("CropImages", x, places, ..., shape=(3, 4, 4, 2), isa=isa)
    assert_same(out, np.stack([x[0, 0:4, 3:7], x[1, 2:6, 0:4], x[2, 2:6, 3:7]]))  # the last cannot be farther out
    out = run("CropImages", x, places[:1], ..., shape=(3, 4, 4, 2), isa=isa)
    assert_same(out, x[:, 0:4, 3:7])


@every_isa
def test_boxes_hold_the_pixels_of_their_rectangles(rng, isa):
    drawn = rng.uniform(0, 1, (500, 6)) * [0.5, 1, 1, 1, 1, 1]
    boxes = run("DrawnBoxes", drawn, ..., 11, 7, shape=(500, 4), isa=isa, dtype="int64")
    shape = (500, 11, 7, 1)
    assert_same(reference.inside(boxes, shape), reference.inside(reference.boxes(drawn, 11, 7), shape))
    everything = np.array([[1, 1, 0.3, 0.3, 1, 0]])
    box = run("DrawnBoxes", everything, ..., 11, 7, shape=(1, 4), isa=isa, dtype="int64")
    assert box.tolist() == [[0, 11, 0, 7]]


BOXES = np.array([[1, 3, 0, 4], [0, 0, 1, 2], [2, 2, 3, 3]], "int64")


@every_isa
@every_dtype
@pytest.mark.parametrize("channels", (1, 3, 5))
def test_erase_fills_boxes(rng, isa, dtype, channels):
    x, values = integers(rng, (3, 4, 5, channels), dtype), rng.integers(10, 20, channels).astype(float)
    key = np.zeros(2, "uint64")
    out = run("EraseBoxes", x, BOXES, ..., values, key, 1, 0.0, 255.0, isa=isa)
    assert_same(out, np.where(reference.inside(BOXES, x.shape), values, x).astype(dtype))


@every_isa
@every_dtype
def test_erase_with_noise(rng, isa, dtype):
    x, key = integers(rng, (3, 4, 5, 2), dtype), np.array([0, 9], "uint64")
    out = run("EraseBoxes", x, BOXES, ..., None, key, 77, -0.5, 2.0, isa=isa)
    noise = reference.noise(x.shape, 77, 9, -0.5, 2.0)
    expected = np.where(reference.inside(BOXES, x.shape), noise, x)
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-6)


def test_noise_is_normal():
    x, box = np.zeros((1, 100, 100, 3), "float32"), np.array([[0, 100, 0, 100]], "int64")
    out = run("EraseBoxes", x, box, ..., None, np.zeros(2, "uint64"), 1, -1e9, 2.0)
    for below, probability in ((2, 0.841345), (0, 0.5), (-2, 0.158655), (-4, 0.022750)):
        deviation = np.sqrt(probability * (1 - probability) / out.size)
        assert abs(np.mean(out < below) - probability) < 5 * deviation


@every_isa
@every_dtype
def test_paste_takes_boxes_of_partners(rng, isa, dtype):
    x, partners = integers(rng, (3, 4, 5, 2), dtype), np.array([2, 1, 0])
    out = run("PasteBoxes", x, BOXES, ..., partners, isa=isa)
    assert_same(out, np.where(reference.inside(BOXES, x.shape), x[partners], x))


@every_isa
@every_dtype
@every_shape
def test_mix_is_exact(rng, isa, dtype, shape):
    x, partners = integers(rng, shape, dtype), rng.permutation(shape[0]).astype("int64")
    weights = rng.integers(0, 9, shape[0]) / 8
    out = run("MixImages", x, partners, weights, ..., isa=isa)
    w = weights[:, None, None, None]
    assert_same(out, (w * x + (1 - w) * x[partners]).astype(dtype))


# --- values ----------------------------------------------------------------------------------------


@every_isa
@every_dtype
@pytest.mark.parametrize("shape", [(2, 4, 8, 3), (1, 32, 32, 1), (3, 2, 2, 700), (2, 64, 8, 5)], ids=str)
def test_contrast_is_exact_where_means_are(rng, isa, dtype, shape):
    """As many pixels as a power of two have, and factors of a few bits."""
    x = integers(rng, shape, dtype)
    factors = rng.integers(0, 16, (shape[0], 1)) / 8
    out = run("Contrast", x, factors, ..., -6.0, 5.0, isa=isa)
    assert_same(out, reference.contrast(x, factors, -6, 5).astype(dtype))


@every_isa
@every_dtype
@every_shape
def test_brightness_is_exact(rng, isa, dtype, shape):
    x, delta = integers(rng, shape, dtype), rng.integers(-16, 16, (shape[0], 1)) / 4
    out = run("Brightness", x, delta, ..., -6.0, 5.0, isa=isa)
    assert_same(out, reference.brightness(x, delta, -6, 5).astype(dtype))


@every_isa
@every_dtype
@pytest.mark.parametrize("invert", (False, True))
@pytest.mark.parametrize(("shape", "axis"), [((5, 3), (1,)), ((2, 70, 30, 3), (3,)), ((3, 4, 6), (1,)), ((7, 5), ())])
def test_standardize_is_exact(rng, isa, dtype, invert, shape, axis):
    """With variances that are powers of four."""
    x, kept = integers(rng, shape, dtype), tuple(shape[i] for i in axis)
    mean, variance = (np.array(a, dtype) for a in (rng.integers(-8, 9, kept), 4.0 ** rng.integers(-2, 3, kept)))
    trailing = shape[min(axis, default=len(shape)) :]
    places = [extent if i in axis else 1 for i, extent in enumerate(shape)][len(shape) - len(trailing) :]
    index = np.broadcast_to(np.arange(mean.size).reshape(places), trailing).ravel().copy()
    out = run("Standardize", x, mean, variance, index, ..., invert, True, isa=isa)
    assert_same(out, reference.standardize(x, mean, variance, axis, invert).astype(dtype))
    dout = integers(rng, shape, dtype)
    dx = run("Standardize", dout, mean, variance, index, ..., invert, False, isa=isa)
    zero = reference.standardize(np.zeros(shape), mean, variance, axis, invert)
    assert_adjoint((out - zero, dout), (x, dx))


def test_nan_stays_nan_and_alone():
    x = np.zeros((2, 4, 4, 2), "float32")
    x[0, 1, 2, 1] = np.nan
    one = np.ones((2, 1))
    assert np.argwhere(np.isnan(run("Brightness", x, one, ..., 0.0, 1.0))).tolist() == [[0, 1, 2, 1]]
    out = run("Contrast", x, one, ..., 0.0, 1.0)  # the mean of its channel is NaN
    assert np.all(np.isnan(out[0, :, :, 1])) and not np.any(np.isnan(out[1])) and not np.any(np.isnan(out[0, :, :, 0]))


# --- for all of them -------------------------------------------------------------------------------


def calls(rng, shape, dtype):
    """Return the name and the arguments of each step on images of this shape."""
    n, h, w, _ = shape
    partners, key = rng.permutation(n).astype("int64"), np.array([0, 4], "uint64")
    boxes = np.tile(np.array([[0, h // 2, w // 3, w]], "int64"), (n, 1))
    unit = rng.uniform(size=(n, 1))
    x = rng.standard_normal(shape).astype(dtype)
    mean, variance, index = np.zeros((), dtype), np.full((), 3, dtype), np.zeros(1, "int64")
    return x, {
        "AffineTransform": (rng.uniform(-2, 2, (n, 6)).astype("float32"), ..., "bilinear", "reflect", 0.0),
        "FlipImages": (unit, ..., True, True),
        "CropImages": (np.zeros((n, 2)), ...),
        "EraseBoxes": (boxes, ..., None, key, 1, 0.0, 1.0),
        "PasteBoxes": (boxes, ..., partners),
        "MixImages": (partners, unit[:, 0].copy(), ...),
        "Contrast": (unit, ..., -1.0, 1.0),
        "Brightness": (unit, ..., -1.0, 1.0),
        "Standardize": (mean, variance, index, ..., False, True),
    }


@every_dtype
@pytest.mark.parametrize("isa", _native.supported)
def test_threads_change_no_bit(rng, restore_threads, isa, dtype):
    x, steps = calls(rng, (7, 60, 50, 3), dtype)
    for name, arguments in steps.items():
        results = []
        for threads in (1, 2, 5):
            _native.set_num_threads(threads)
            results.append(run(name, x, *arguments, isa=isa))
        assert_same(results[1], results[0])
        assert_same(results[2], results[0])


@pytest.mark.parametrize("shape", [(0, 4, 5, 3), (2, 0, 5, 3), (2, 4, 0, 3), (2, 4, 5, 0)], ids=str)
def test_empty_images_are_no_error(rng, shape):
    x, steps = calls(rng, shape, "float32")
    for name, arguments in steps.items():
        assert run(name, x, *arguments).shape == shape
