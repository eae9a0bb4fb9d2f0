"""Initial values: ranges, moments, seeds, names and configurations."""

import json
import math
import random

import numpy as np
import pytest
from helpers import assert_same

from cycnn import initializers, utils
from cycnn.randomness import default_rng

NO_AXES = {"input_axes": None, "output_axes": None}
CLASSES = {
    "constant": initializers.Constant,
    "glorot_normal": initializers.GlorotNormal,
    "glorot_uniform": initializers.GlorotUniform,
    "he_normal": initializers.HeNormal,
    "he_uniform": initializers.HeUniform,
    "lecun_normal": initializers.LecunNormal,
    "lecun_uniform": initializers.LecunUniform,
    "ones": initializers.Ones,
    "random_normal": initializers.RandomNormal,
    "random_uniform": initializers.RandomUniform,
    "truncated_normal": initializers.TruncatedNormal,
    "variance_scaling": initializers.VarianceScaling,
    "zeros": initializers.Zeros,
}
RANDOM = sorted(CLASSES.keys() - {"constant", "ones", "zeros"})
KERNEL = (3, 5, 16, 64)  # fan_in 240, fan_out 960

# Name: (variance for KERNEL, largest magnitude)
SCALINGS = {
    "glorot_uniform": (1 / 600, math.sqrt(3 / 600)),
    "he_uniform": (2 / 240, math.sqrt(6 / 240)),
    "lecun_uniform": (1 / 240, math.sqrt(3 / 240)),
    "glorot_normal": (1 / 600, 2 * math.sqrt(1 / 600) / 0.87962566103423978),
    "he_normal": (2 / 240, 2 * math.sqrt(2 / 240) / 0.87962566103423978),
    "lecun_normal": (1 / 240, 2 * math.sqrt(1 / 240) / 0.87962566103423978),
}


def assert_moments(values, mean, variance):
    """Six standard errors: the samples are fixed by their seed, so this passes always or never."""
    error = math.sqrt(variance / values.size)
    assert abs(values.mean() - mean) < 6 * error
    assert abs(values.var() / variance - 1) < 6 * math.sqrt(2 / values.size)


@pytest.mark.parametrize("name", SCALINGS)
def test_scaling_has_the_variance_and_the_range_of_keras(name):
    variance, limit = SCALINGS[name]
    values = CLASSES[name](seed=1)(KERNEL, "float64")
    assert values.shape == KERNEL
    assert_moments(values, 0, variance)
    assert 0.99 * limit < np.abs(values).max() <= limit


@pytest.mark.parametrize(("mode", "n"), [("fan_in", 240), ("fan_out", 960), ("fan_avg", 600)])
@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
def test_variance_scaling_divides_by_the_fan(mode, n, distribution):
    initializer = initializers.VarianceScaling(3.0, mode, distribution, seed=2)
    assert_moments(initializer(KERNEL, "float64"), 0, 3 / n)


def test_random_normal_and_uniform_have_their_moments():
    shape = (200, 200)
    normal = initializers.RandomNormal(mean=1, stddev=2, seed=3)(shape, "float64")
    assert_moments(normal, 1, 4)
    assert np.abs(normal - 1).max() > 6  # not truncated
    uniform = initializers.RandomUniform(minval=-1, maxval=3, seed=3)(shape, "float64")
    assert_moments(uniform, 1, 16 / 12)
    assert uniform.min() >= -1
    assert uniform.max() < 3


def test_truncated_normal_stays_within_two_deviations():
    values = initializers.TruncatedNormal(mean=1, stddev=2, seed=4)((200, 200), "float64")
    assert_moments(values, 1, 4 * 0.87962566103423978**2)
    assert 3.99 < np.abs(values - 1).max() <= 4


def test_constants_fill():
    assert_same(initializers.Zeros()((2, 3)), np.zeros((2, 3), "float32"))
    assert_same(initializers.Ones()((2,), "float64"), np.ones(2))
    assert_same(initializers.Constant(0.25)((1, 2)), np.full((1, 2), 0.25, "float32"))
    assert_same(initializers.Constant()(()), np.zeros((), "float32"))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((), (1, 1)),
        ((7,), (7, 7)),
        ((784, 10), (784, 10)),
        ((3, 3, 16, 32), (144, 288)),
        ((1, 1, 16, 32), (16, 32)),
        ((5, 3, 16, 1), (240, 15)),  # a depthwise kernel
    ],
)
def test_fans_equal_keras(shape, expected):
    assert initializers.fans(shape) == expected


@pytest.mark.parametrize("shape", [(), (5,), (0, 4), (3, 3, 0, 2), [2, 3]])
@pytest.mark.parametrize("name", CLASSES)
def test_every_shape_is_filled(name, shape):
    values = CLASSES[name]()(shape)
    assert values.shape == tuple(shape)
    assert values.dtype == np.float32
    assert values.flags.c_contiguous


@pytest.mark.parametrize("name", RANDOM)
def test_int_seed_repeats_itself(name):
    initializer = CLASSES[name](seed=5)
    values = initializer((4, 6))
    assert np.unique(values).size == 24
    assert_same(initializer((4, 6)), values)
    assert_same(initializer((4, 6), rng=np.random.default_rng(6)), values)
    assert not np.array_equal(CLASSES[name](seed=6)((4, 6)), values)


@pytest.mark.parametrize("name", RANDOM)
def test_without_seed_values_come_from_the_generator(name):
    initializer = CLASSES[name]()
    rng = np.random.default_rng(7)
    first, second = initializer((4, 6), rng=rng), initializer((4, 6), rng=rng)
    assert not np.array_equal(first, second)
    assert_same(initializer((4, 6), rng=np.random.default_rng(7)), first)


@pytest.mark.parametrize("name", CLASSES)
def test_float32_is_float64_rounded(name):
    initializer = CLASSES[name]() if name not in RANDOM else CLASSES[name](seed=8)
    assert_same(initializer(KERNEL), initializer(KERNEL, "float64").astype("float32"))


def test_set_random_seed_fixes_every_generator():
    def draw():
        values = initializers.GlorotUniform()((3, 3)), default_rng().permutation(9)
        return [*map(np.ndarray.tolist, values), random.random(), np.random.rand()]

    utils.set_random_seed(9)
    first = draw()
    assert draw() != first
    utils.set_random_seed(9)
    assert draw() == first
    utils.set_random_seed(2**64 - 1)
    assert draw() != first


@pytest.mark.parametrize(("kind", "seed"), [(TypeError, None), (TypeError, 1.0), (ValueError, -1), (ValueError, 2**64)])
def test_set_random_seed_refuses(kind, seed):
    with pytest.raises(kind, match=r"^set_random_seed: `seed` must be .* Received: seed="):
        utils.set_random_seed(seed)


@pytest.mark.parametrize("name", CLASSES)
def test_get_finds_every_name(name):
    cls = CLASSES[name]
    for identifier in (name, cls.__name__, cls, cls(), {"class_name": cls.__name__}):
        assert type(initializers.get(identifier)) is cls


@pytest.mark.parametrize("name", ["normal", "uniform", "zero", "one"])
def test_get_finds_the_short_names_of_keras(name):
    found = {"normal": "random_normal", "uniform": "random_uniform", "zero": "zeros", "one": "ones"}
    assert type(initializers.get(name)) is CLASSES[found[name]]


@pytest.mark.parametrize(
    ("initializer", "config"),
    [
        (initializers.Zeros(), {}),
        (initializers.Ones(), {}),
        (initializers.Constant(3), {"value": 3.0}),
        (initializers.GlorotUniform(), {"seed": None, **NO_AXES}),
        (initializers.HeNormal(seed=np.int64(4)), {"seed": 4, **NO_AXES}),
        (initializers.RandomNormal(0.5, 2), {"mean": 0.5, "stddev": 2.0, "seed": None}),
        (initializers.TruncatedNormal(seed=1), {"mean": 0.0, "stddev": 0.05, "seed": 1}),
        (initializers.RandomUniform(), {"minval": -0.05, "maxval": 0.05, "seed": None}),
        (
            initializers.VarianceScaling(2, "fan_out", "normal"),
            {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal", "seed": None, **NO_AXES},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_configuration_survives_json(initializer, config):
    assert initializer.get_config() == config
    stored = json.loads(json.dumps(initializers.serialize(initializer)))
    assert stored == {"class_name": type(initializer).__name__, "config": config}
    restored = initializers.get(stored)
    assert type(restored) is type(initializer)
    assert restored.get_config() == config
    assert type(initializer).from_config(config).get_config() == config


def test_get_reads_configurations_that_keras_wrote():
    config = {
        "module": "keras.initializers",
        "class_name": "HeNormal",
        "config": {"seed": 3},
        "registered_name": None,
    }
    assert initializers.get(config).get_config() == {"seed": 3, **NO_AXES}


def test_axes_say_what_inputs_and_outputs_are():
    assert initializers.fans((4, 5, 6), [0, 1], [2]) == (20, 6)
    values = initializers.HeUniform(seed=0, input_axes=[0, 1], output_axes=[2])((400, 5, 6), "float32")
    assert np.abs(values).max() == pytest.approx(np.sqrt(6 / 2000), rel=0.01)
    with pytest.raises(TypeError, match="HeUniform: `input_axes` must be None or a list of ints"):
        initializers.HeUniform(input_axes=0)


def test_get_passes_functions_on():
    def halves(shape, dtype="float32"):
        return np.full(shape, 0.5, dtype)

    assert initializers.get(halves) is halves
    with pytest.raises(TypeError, match="`initializer` must be an Initializer to be saved"):
        initializers.serialize(halves)


NAMES = ", ".join(CLASSES)


@pytest.mark.parametrize(
    ("kind", "call", "expected"),
    [
        (
            ValueError,
            lambda: initializers.get("orthogonal", owner="Conv2D", name="kernel_initializer"),
            f"Conv2D: `kernel_initializer` must be one of {NAMES}. Received: kernel_initializer='orthogonal'.",
        ),
        (
            ValueError,
            lambda: initializers.get({"class_name": "Xavier", "config": {}}),
            f"initializers.get: `identifier` must be one of {NAMES}. "
            "Received: identifier={'class_name': 'Xavier', 'config': {}}.",
        ),
        (
            TypeError,
            lambda: initializers.get(None),
            "initializers.get: `identifier` must be the name of an initializer, its configuration, "
            "or an initializer. Received: identifier=None.",
        ),
        (
            TypeError,
            lambda: initializers.get({"name": "zeros"}),
            "initializers.get: `identifier` must be the name of an initializer, its configuration, "
            "or an initializer. Received: identifier={'name': 'zeros'}.",
        ),
        (
            ValueError,
            lambda: initializers.VarianceScaling(scale=0),
            "VarianceScaling: `scale` must be a finite number greater than 0. Received: scale=0.",
        ),
        (
            ValueError,
            lambda: initializers.VarianceScaling(mode="fan"),
            "VarianceScaling: `mode` must be one of 'fan_in', 'fan_out', 'fan_avg'. Received: mode='fan'.",
        ),
        (
            TypeError,
            lambda: initializers.VarianceScaling(distribution=None),
            "VarianceScaling: `distribution` must be one of 'truncated_normal', "
            "'untruncated_normal', 'uniform'. Received: distribution=None.",
        ),
        (
            ValueError,
            lambda: initializers.RandomUniform(minval=1, maxval=0),
            "RandomUniform: `maxval` must be a finite number of at least 1. Received: maxval=0.",
        ),
        (
            ValueError,
            lambda: initializers.TruncatedNormal(stddev=-1),
            "TruncatedNormal: `stddev` must be a finite number of at least 0. Received: stddev=-1.",
        ),
        (
            TypeError,
            lambda: initializers.HeNormal(seed="a"),
            "HeNormal: `seed` must be None or a non-negative int less than 2**64. Received: seed='a'.",
        ),
        (
            TypeError,
            lambda: initializers.Constant("1"),
            "Constant: `value` must be a finite number. Received: value='1'.",
        ),
    ],
)
def test_errors_name_argument_and_value(kind, call, expected):
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert type(error.value) is kind
    assert str(error.value) == expected
