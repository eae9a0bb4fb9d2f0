"""The layers that change training images at random, MixUp and CutMix, and Normalization."""

import json

import numpy as np
import pytest
import reference_images as reference
from helpers import assert_same, integers

import cycnn
from cycnn import Input, Sequential, layers

SHAPE = (9, 8, 3)
AUGMENTATIONS = {
    "flip": lambda **k: layers.RandomFlip("horizontal", **k),
    "rotation": lambda **k: layers.RandomRotation((-0.1, 0.3), "wrap", interpolation="nearest", **k),
    "translation": lambda **k: layers.RandomTranslation(0.2, (0, 0.4), fill_mode="constant", fill_value=2, **k),
    "zoom": lambda **k: layers.RandomZoom((0.1, 0.4), 0.3, fill_mode="nearest", **k),
    "even zoom": lambda **k: layers.RandomZoom(0.3, **k),
    "crop": lambda **k: layers.RandomCrop(5, 6, **k),
    "contrast": lambda **k: layers.RandomContrast((0.3, 0.4), (-10, 10), **k),
    "brightness": lambda **k: layers.RandomBrightness((-0.1, 0.4), (-10, 10), **k),
    "erasing": lambda **k: layers.RandomErasing((0.8, 1.0), (0.1, 0.5), value_range=(-10, 10), **k),
    "constant erasing": lambda **k: layers.RandomErasing((0.9, 1), fill_value=(0, 1, 2), value_range=(-10, 10), **k),
}
MIXING = {
    "mix up": lambda **k: layers.MixUp(0.4, **k),
    "cut mix": lambda **k: layers.CutMix((0.2, 0.9), **k),
}
every_augmentation = pytest.mark.parametrize("make", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
every_mixing = pytest.mark.parametrize("make", MIXING.values(), ids=MIXING)


@pytest.fixture
def rng():
    return np.random.default_rng(20240917)


@pytest.fixture
def restore_threads():
    threads = cycnn.get_num_threads()
    yield
    cycnn.set_num_threads(threads)


def augment(layer, x, step=0, dtype="float32"):
    """Return what a layer makes of a batch in a step of training."""
    model = Sequential([Input(x.shape[1:], dtype=dtype), layer])
    return model.compute(x, training=True, step=step)


# --- augmentation ----------------------------------------------------------------------------------


@every_augmentation
def test_prediction_and_evaluation_change_nothing_but_sizes(rng, make):
    x, layer = integers(rng, (4, *SHAPE)), make(seed=1)
    out = Sequential([Input(SHAPE), layer]).predict(x, verbose=0)
    assert out.shape == layer.compute_output_shape(x.shape)
    if not isinstance(layer, layers.RandomCrop):
        assert_same(out, x)


@every_augmentation
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_changes_each_image_by_itself(rng, make, dtype):
    x = np.repeat(integers(rng, (1, *SHAPE), dtype), 24, axis=0)
    layer = make(seed=3, dtype=dtype)
    out = augment(layer, x, dtype=dtype)
    assert out.dtype == dtype and out.shape == layer.compute_output_shape(x.shape)
    assert np.all(np.isfinite(out))
    different = len(np.unique(out.reshape(24, -1), axis=0))
    if isinstance(layer, layers.RandomCrop):
        assert different == 1  # Keras crops all images of a batch at one place
    elif isinstance(layer, layers.RandomFlip):
        assert different == 2
    else:
        assert different >= 15


@every_augmentation
def test_seed_step_and_place_decide_alone(rng, restore_threads, make):
    x = integers(rng, (6, *SHAPE))
    first = augment(make(seed=3), x, step=5)
    for threads in (1, 2, 5):
        cycnn.set_num_threads(threads)
        assert_same(augment(make(seed=3), x, step=5), first)
        assert_same(augment(make(seed=3), x[:4], step=5), first[:4])
    others = [augment(make(seed=3), x, step=step) for step in range(6, 20)]
    assert any(np.any(other != first) for other in others)
    others = [augment(make(seed=seed), x, step=5) for seed in range(4, 20)]
    assert any(np.any(other != first) for other in others)


@every_augmentation
def test_without_a_seed_the_process_wide_generator_decides(rng, make):
    x = integers(rng, (6, *SHAPE))
    outs = []
    for seed in (1, 1):
        cycnn.utils.set_random_seed(seed)
        layer = make()
        outs.append(augment(layer, x))
        assert layer.get_config()["seed"] is None
    assert_same(*outs)


@every_augmentation
def test_a_layer_called_on_arrays_augments_and_draws_anew(rng, make):
    x, layer = integers(rng, (50, *SHAPE)), make(seed=3)
    first = layer(x)
    assert_same(first, augment(make(seed=3), x, step=1))
    assert_same(layer(x, training=True), augment(make(seed=3), x, step=2))
    still = layer(x, training=False)
    assert_same(layer(x), augment(make(seed=3), x, step=3))
    assert_same(still, Sequential([Input(SHAPE), make()]).predict(x, verbose=0))


def test_a_pipeline_is_a_model_and_part_of_others(rng):
    x = rng.integers(0, 9, (40, *SHAPE)).astype("uint8")
    pipeline = Sequential([layers.RandomFlip(seed=1), layers.RandomRotation(0.1, seed=1)])
    out = pipeline(x, training=True)
    assert out.shape == x.shape and np.any(out != x)
    assert_same(pipeline(x), x.astype("float32"))
    model = Sequential([Input(SHAPE), pipeline, layers.Rescaling(1 / 9), layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    model.fit(x, rng.standard_normal((40, 2)), verbose=0)


@every_augmentation
def test_integers_are_taken_as_floats(rng, make):
    x = rng.integers(0, 9, (5, *SHAPE)).astype("uint8")
    assert_same(augment(make(seed=2), x), augment(make(seed=2), x.astype("float32")))
    model = Sequential([Input(SHAPE), make(seed=2)])
    assert_same(model.predict(x, verbose=0), model.predict(x.astype("float32"), verbose=0))


@pytest.mark.parametrize("make", [*AUGMENTATIONS.values(), *MIXING.values()], ids=[*AUGMENTATIONS, *MIXING])
def test_configuration_is_plain_json_and_makes_the_same_layer(make):
    layer = make(name="it", seed=7)
    config = layer.get_config()
    assert json.loads(json.dumps(config)) == config
    assert type(layer).from_config(config).get_config() == config
    assert layers.deserialize(layers.serialize(layer)).get_config() == config
    assert config["seed"] == 7 and config["data_format"] == "channels_last"


@every_augmentation
def test_models_with_augmentation_train(rng, make):
    x, y = integers(rng, (20, *SHAPE)), rng.integers(0, 3, 20)
    weights = []
    for _ in range(2):
        cycnn.utils.set_random_seed(4)
        model = Sequential([Input(SHAPE), make(seed=1), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)])
        model.compile("sgd", cycnn.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x, y, batch_size=8, epochs=2, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        assert np.all(np.isfinite(a))
        assert_same(a, b)


@every_augmentation
def test_no_gradient_passes_but_through_flips(rng, make):
    x, y = rng.standard_normal((4, *SHAPE)), rng.integers(0, 2, 4)
    model = Sequential([Input(SHAPE), layers.Conv2D(3, 1), make(seed=1), layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", cycnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    if isinstance(model.layers[1], layers.RandomFlip):
        assert cycnn.check_gradients(model, x, y).worst < 1e-6
        return
    with pytest.raises(ValueError, match="must come before every layer that is trained, for no gradient passes"):
        model.fit(x, y, verbose=0)
    model.layers[0].trainable = False
    model.fit(x, y, verbose=0)


def test_flip_mirrors_half_of_the_images(rng):
    x = integers(rng, (2000, 2, 3, 1))
    for mode, flipped in (
        ("horizontal", x[:, :, ::-1]),
        ("vertical", x[:, ::-1]),
        ("horizontal_and_vertical", x[:, ::-1, ::-1]),
    ):
        out = augment(layers.RandomFlip(mode, seed=8), x)
        same, mirrored = (np.all(out == other, axis=(1, 2, 3)) for other in (x, flipped))
        assert np.all(same | mirrored)
        assert abs(np.mean(mirrored & ~same) / np.mean(np.any(x != flipped, axis=(1, 2, 3))) - 0.5) < 0.06


def test_layers_that_share_a_seed_draw_different_numbers(rng):
    x = np.tile(np.float32([[[0]], [[100]]]), (500, 1, 2, 1)).reshape(500, 2, 2, 1)
    flipped = augment(layers.RandomFlip("vertical", seed=1), x)[:, 0, 0, 0] > 0
    brighter = augment(layers.RandomBrightness(0.1, (-255, 255), seed=1), x)[:, 0, 0, 0] > 0
    assert abs(np.corrcoef(flipped, brighter)[0, 1]) < 5 / np.sqrt(500)


def test_brightness_and_contrast_lie_in_their_ranges():
    x = np.tile(np.float32([0.25, 0.75]).reshape(1, 1, 2, 1), (3000, 1, 1, 1))
    added = augment(layers.RandomBrightness((-0.1, 0.2), (0, 1), seed=1), x)[:, 0, 0, 0] - 0.25
    assert -0.1 <= added.min() < -0.098 and 0.198 < added.max() <= 0.2 + 1e-6
    for factor, low, high in ((0.4, 0.6, 1.4), ((0.1, 0.4), 0.9, 1.4), ((0.4, 0.1), 0.9, 1.4)):
        out = augment(layers.RandomContrast(factor, (0, 1), seed=1), x)
        scale = (out[:, 0, 1, 0] - out[:, 0, 0, 0]) / 0.5
        assert low - 1e-5 <= scale.min() < low + 0.01 and high - 0.01 < scale.max() <= high + 1e-5


def test_erasing_happens_as_often_as_it_should():
    x = np.zeros((4000, 5, 5, 1), "float32")
    for factor, probability in ((1.0, 0.5), ((1.0, 1.0), 1.0), ((0.0, 0.4), 0.2), (0.0, 0.0)):
        out = augment(layers.RandomErasing(factor, (0.3, 0.5), fill_value=1, value_range=(0, 1), seed=1), x)
        assert abs(np.mean(np.any(out == 1, axis=(1, 2, 3))) - probability) < 5 * 0.5 / np.sqrt(4000)


@pytest.mark.parametrize(
    ("size", "part"),
    [((4, 4), (9, 9)), ((6, 3), (9, 4)), ((3, 6), (6, 12)), ((18, 24), (9, 12)), ((20, 2), (9, 1)), ((9, 12), (9, 12))],
)
def test_crop_resizes_the_middle_outside_of_training(rng, size, part):
    x = integers(rng, (2, 9, 12, 2))
    out = Sequential([Input((9, 12, 2)), layers.RandomCrop(*size)]).predict(x, verbose=0)
    top, left = (9 - part[0]) // 2, (12 - part[1]) // 2
    middle = x[:, top : top + part[0], left : left + part[1]]
    scale_h, scale_w = part[0] / size[0], part[1] / size[1]
    maps = np.array([[scale_w, 0, scale_w / 2 - 0.5, 0, scale_h, scale_h / 2 - 0.5]])
    expected = reference.affine(middle, maps, size, "bilinear", "nearest", 0)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
    if size[0] > 9 or size[1] > 12:  # too large to be cropped
        assert_same(augment(layers.RandomCrop(*size), x), out)


def test_crops_of_training_are_parts_of_the_image_at_all_places(rng):
    x, layer = np.arange(30, dtype="float32").reshape(1, 5, 6, 1), layers.RandomCrop(3, 4, seed=1)
    corners = {float(augment(layer, x, step)[0, 0, 0, 0]) for step in range(200)}
    assert corners == {6.0 * h + w for h in range(3) for w in range(3)}
    out = augment(layer, x, 1)[0, :, :, 0]
    assert_same(out, out[0, 0] + x[0, :3, :4, 0])


# --- mixing ----------------------------------------------------------------------------------------


@every_mixing
@pytest.mark.parametrize("kind", [tuple, list, dict])
def test_mixing_returns_what_it_was_given_in_its_own_type(rng, make, kind):
    x, y = rng.integers(0, 255, (6, 4, 5, 3)).astype("uint8"), np.eye(6)
    data = {"images": x, "labels": y, "more": 3} if kind is dict else kind((x, y))
    out = make(seed=1)(data)
    images, labels = (out["images"], out["labels"]) if kind is dict else out
    assert images.shape == x.shape and labels.shape == y.shape
    assert images.dtype == labels.dtype == "float32"
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    if kind is dict:
        assert out["more"] == 3 and data["images"] is x
    assert_same(make(seed=1)(x), images)
    for same, array in zip(make(seed=1)((x, y), training=False), (x, y), strict=True):
        assert_same(same, array.astype("float32"))


@every_mixing
def test_mixing_is_decided_by_seed_and_call(rng, make):
    x, y = integers(rng, (6, 4, 5, 3)), np.eye(6)
    layer, again = make(seed=1), make(seed=1)
    outs = [layer((x, y)) for _ in range(3)]
    for out in outs:
        for a, b in zip(out, again((x, y)), strict=True):
            assert_same(a, b)
    assert np.any(outs[0][1] != outs[1][1])
    assert np.any(make(seed=2)((x, y))[1] != outs[0][1])


def test_mix_up_mixes_images_as_labels(rng):
    """Images whose numbers are their labels."""
    y = np.eye(40)
    x, y_mixed = layers.MixUp(0.5, seed=3)((y.reshape(40, 4, 10, 1), y))
    np.testing.assert_allclose(x.reshape(40, 40), y_mixed, rtol=1e-6)
    assert np.all(np.diag(y_mixed) >= 0) and 0.05 < np.mean(np.diag(y_mixed) < 0.5) < 0.95


def test_cut_mix_pastes_rectangles_as_large_as_labels_say(rng):
    x = np.broadcast_to(np.arange(64.0).reshape(64, 1, 1, 1), (64, 40, 60, 2))
    images, labels = layers.CutMix(seed=3)((x, np.eye(64)))
    for n in range(64):
        other = images[n, :, :, 0] != n
        assert_same(images[n, :, :, 0], images[n, :, :, 1])
        rows, columns = np.flatnonzero(other.any(axis=1)), np.flatnonzero(other.any(axis=0))
        assert np.sum(other) == len(rows) * len(columns)  # one rectangle
        assert len(np.unique(images[n][other])) <= 1
        if np.any(other):
            assert abs(np.mean(other) - labels[n, int(images[n][other][0, 0])]) < 0.05


@every_mixing
def test_mixing_has_no_place_in_a_model(make):
    with pytest.raises(ValueError, match="Inside a model a layer sees no labels"):
        Sequential([Input(SHAPE), make()])


# --- normalization ---------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, None, (1, 3), (2,), (1, 2, 3), 3])
@pytest.mark.parametrize("kind", ["array", "uint8", "batches", "pairs"])
def test_adapt_learns_mean_and_variance(rng, axis, kind):
    x = rng.integers(0, 255, (50, 5, 4, 3))
    data = x.astype("float32" if kind == "array" else "uint8")
    if kind in ("batches", "pairs"):
        data = np.split(data, (7, 8, 30))
        data = [(batch, None) for batch in data] if kind == "pairs" else iter(data)
    layer = layers.Normalization(axis)
    layer.adapt(data)
    kept = () if axis is None else axis if isinstance(axis, tuple) else (axis % 4,)
    others = tuple(i for i in range(4) if i not in kept)
    mean, variance, count = layer.get_weights()
    np.testing.assert_allclose(mean, x.mean(axis=others), rtol=1e-6)
    np.testing.assert_allclose(variance, x.var(axis=others), rtol=1e-6)
    assert count.shape == () and not any(variable.trainable for variable in layer.variables)
    out = Sequential([Input((5, 4, 3)), layer]).predict(x.astype("float32"), verbose=0)
    expected = reference.standardize(x.astype(float), mean.astype(float), variance.astype(float), kept, False)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


def test_adapt_is_exact_far_from_zero(rng):
    x = 1e8 + rng.integers(0, 2, (3_000_000, 1)).astype("float64")  # parts of a megabyte
    layer = layers.Normalization(dtype="float64")
    layer.adapt(x)
    np.testing.assert_allclose(layer.adapt_mean.value, x.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(layer.adapt_variance.value, np.var(x - 1e8, axis=0), rtol=1e-7)


def test_adapt_again_forgets_and_changes_a_model_that_has_run(rng):
    layer = layers.Normalization()
    model = Sequential([Input((3,)), layer])
    x = integers(rng, (8, 3))
    assert_same(model.predict(x, verbose=0), x)  # mean 0, variance 1
    layer.adapt(x + 5)
    layer.adapt(x)
    np.testing.assert_allclose(model.predict(x, verbose=0), (x - x.mean(0)) / x.std(0), rtol=1e-5, atol=1e-6)


def test_normalization_by_given_statistics_and_back(rng):
    x = integers(rng, (4, 2, 3, 2))
    given = {"mean": [1.0, 2.0], "variance": np.float32([4, 16])}
    out = Sequential([Input((2, 3, 2)), layers.Normalization(**given)]).predict(x, verbose=0)
    assert_same(out, (x - np.float32([1, 2])) / np.float32([2, 4]))
    layer = layers.Normalization(**given, invert=True)
    assert layer.get_weights() == []
    assert_same(Sequential([Input((2, 3, 2)), layer]).predict(out, verbose=0), x)
    assert layers.deserialize(layers.serialize(layer)).get_config() == layer.get_config()
    assert json.loads(json.dumps(layer.get_config())) == layer.get_config()


@pytest.mark.parametrize("invert", [False, True])
def test_gradients_pass_through_normalization(rng, invert):
    layer = layers.Normalization((1, 2), mean=[[1], [2]], variance=[[3], [4]], invert=invert)
    model = Sequential([Input((2, 3)), layers.Dense(3, activation="tanh"), layer, layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    assert cycnn.check_gradients(model, rng.standard_normal((4, 2, 3)), rng.standard_normal((4, 2))).worst < 1e-6


# --- errors ----------------------------------------------------------------------------------------

IMAGES = np.zeros((2, 4, 4, 3), "float32")
FACTOR = "must be a number in [-1, 1], or a pair of them"
ERRORS = [
    (lambda: layers.RandomFlip("up"), "RandomFlip: `mode` must be one of 'horizontal', 'vertical', "),
    (lambda: layers.RandomFlip(data_format="channels_first"), "RandomFlip: `data_format` must be 'channels_last'"),
    (lambda: layers.RandomFlip(seed=-1), "RandomFlip: `seed` must be None or a non-negative int less than 2**64"),
    (lambda: layers.RandomRotation(2), f"RandomRotation: `factor` {FACTOR}. Received: factor=2."),
    (lambda: layers.RandomRotation((0, 1, 2)), f"RandomRotation: `factor` {FACTOR}. Received: factor=(0, 1, 2)."),
    (lambda: layers.RandomRotation("0.1"), f"RandomRotation: `factor` {FACTOR}. Received: factor='0.1'."),
    (lambda: layers.RandomRotation(float("nan")), f"RandomRotation: `factor` {FACTOR}. Received: factor=nan."),
    (lambda: layers.RandomRotation(0.1, "mirror"), "RandomRotation: `fill_mode` must be one of 'reflect', 'wrap'"),
    (lambda: layers.RandomRotation(0.1, interpolation="cubic"), "RandomRotation: `interpolation` must be one of"),
    (lambda: layers.RandomRotation(0.1, fill_value=None), "RandomRotation: `fill_value` must be a finite number"),
    (lambda: layers.RandomTranslation(0.1, -1.5), f"RandomTranslation: `width_factor` {FACTOR}."),
    (lambda: layers.RandomZoom(-1), "RandomZoom: `height_factor` must be a number in (-1, 1], or a pair of them."),
    (lambda: layers.RandomZoom(0.1, (0, True)), "RandomZoom: `width_factor` must be a number in (-1, 1], or a pair"),
    (lambda: layers.RandomCrop(0, 3), "RandomCrop: `height` must be a positive int. Received: height=0."),
    (lambda: layers.RandomContrast(-0.1), "RandomContrast: `factor` must be a number in [0, 1], or a pair of them."),
    (lambda: layers.RandomContrast(0.1, 255), "RandomContrast: `value_range` must be a pair of finite numbers."),
    (lambda: layers.RandomBrightness(0.1, (0, float("inf"))), "RandomBrightness: `value_range` must be a pair"),
    (lambda: layers.RandomErasing(fill_value="red"), "RandomErasing: `fill_value` must be a finite number."),
    (
        lambda: layers.RandomErasing(fill_value=(1, 2, 3)).compute_output_shape((None, 4, 4, 1)),
        "RandomErasing: `fill_value` must be a number or one for each of the 1 channels. "
        "Received: fill_value=(1.0, 2.0, 3.0).",
    ),
    (lambda: layers.MixUp(0), "MixUp: `alpha` must be a finite number greater than 0. Received: alpha=0."),
    (lambda: layers.CutMix(1.5), "CutMix: `factor` must be a number in [0, 1], or a pair of them."),
    (lambda: layers.MixUp()((IMAGES,)), "MixUp: `data` must be a pair (images, labels). Received: len(data)=1."),
    (lambda: layers.MixUp()({"labels": 1}), 'MixUp: `data` must have the key "images".'),
    (lambda: layers.MixUp()((IMAGES, [0, 1])), "MixUp: `labels` must have the 2 axes (batch, classes)."),
    (lambda: layers.MixUp()((IMAGES, np.eye(3))), "MixUp: `labels` must have as many rows as the images, 2."),
    (lambda: layers.CutMix()((IMAGES[0], [0])), "CutMix: `images` must have the 4 axes (batch, height, width, chann"),
    (lambda: layers.CutMix()((None, [0])), "CutMix: `images` must be an array of numbers."),
    (lambda: layers.Normalization("last"), "Normalization: `axis` must be an int, a tuple of ints or None."),
    (lambda: layers.Normalization(mean=1), "Normalization: `mean` must be given together with `variance`, or neith"),
    (lambda: layers.Normalization(mean=1, variance=[1]), "Normalization: `mean` must have the shape of `variance`, "),
    (lambda: layers.Normalization(mean=np.nan, variance=1), "Normalization: `mean` must be None, or finite numbers."),
    (lambda: layers.Normalization(0).build((None, 3)), "Normalization: `axis` must name different axes of an input "),
    (lambda: layers.Normalization((1, -1)).build((None, 3)), "Normalization: `axis` must name different axes"),
    (lambda: layers.Normalization().adapt(3), "Normalization: `data` must be an array or an iterable of batches."),
    (lambda: layers.Normalization().adapt([]), "Normalization: `data` must have at least one row."),
    (lambda: layers.Normalization().adapt([["a"]]), "Normalization: `data` must hold rows of numbers."),
    (
        lambda: layers.Normalization().adapt([np.ones((2, 3)), np.ones((2, 4))]),
        "Normalization: `input_shape` must have the extents (3,) along `axis`, for which the layer was built.",
    ),
    (
        lambda: layers.Normalization(mean=1, variance=2).adapt(IMAGES),
        "Normalization: mean and variance were given, and `adapt` cannot learn them.",
    ),
]


@pytest.mark.parametrize(("action", "start"), ERRORS, ids=[start for _, start in ERRORS])
def test_error(action, start):
    with pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
        action()
    assert str(caught.value).startswith(start)
