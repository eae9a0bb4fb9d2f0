"""What parameters start from and are held to, beside Keras: initializers, regularizers, constraints."""

import numpy as np
import pytest

from cycnn import constraints, initializers, regularizers

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

SCALINGS = ["GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal"]
DRAWN = [
    *((name, {}) for name in SCALINGS),
    ("RandomUniform", {"minval": -0.5, "maxval": 2.0}),
    ("RandomNormal", {"mean": 1.0, "stddev": 0.25}),
    ("TruncatedNormal", {"mean": -1.0, "stddev": 0.5}),
    *(
        ("VarianceScaling", {"scale": 2.0, "mode": mode, "distribution": distribution})
        for mode in ("fan_in", "fan_out", "fan_avg")
        for distribution in ("uniform", "truncated_normal", "untruncated_normal")
    ),
]
SHAPES = [(3, 3, 32, 64), (5, 5, 1, 200), (400, 60), (30_000,)]
FILLED = [("Zeros", {}), ("Ones", {}), ("Constant", {"value": 0.25})]
PENALTIES = [
    ("L1", {}),
    ("L1", {"l1": 0.5}),
    ("L2", {}),
    ("L2", {"l2": 0.25}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.5, "l2": 0.25}),
]
BOUNDS = [
    ("NonNeg", {}),
    *(("MaxNorm", {"max_value": value, "axis": axis}) for value in (0.5, 2) for axis in (0, 1, [0, 1, 2])),
    *(("UnitNorm", {"axis": axis}) for axis in (0, [0, 1])),
    *(
        ("MinMaxNorm", {"min_value": 0.75, "max_value": 1.25, "rate": rate, "axis": axis})
        for rate in (1.0, 0.25)
        for axis in (0, [0, 1, 2])
    ),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "config"), DRAWN)
def test_initializers_draw_from_the_same_distribution(keras, name, config, shape):
    """Quantiles of as many numbers as a layer has; 6 standard errors apart at most."""
    ours = np.sort(np.ravel(getattr(initializers, name)(**config, seed=1)(shape, "float32")))
    theirs = np.sort(np.ravel(getattr(keras.initializers, name)(**config, seed=1)(shape, "float32")))
    n = len(ours)
    at = np.linspace(0.05, 0.95, 19)
    for p in at:
        low, high = np.quantile(
            theirs, np.clip([p - 6 * np.sqrt(p * (1 - p) / n), p + 6 * np.sqrt(p * (1 - p) / n)], 0, 1)
        )
        assert low <= np.quantile(ours, p) <= high
    spread = theirs[-1] - theirs[0]
    if "Normal" not in name and config.get("distribution") != "untruncated_normal":  # with bounds: both reach them
        np.testing.assert_allclose([ours[0], ours[-1]], [theirs[0], theirs[-1]], atol=0.02 * spread)


@pytest.mark.parametrize(("name", "config"), DRAWN + FILLED)
def test_initializers_read_what_keras_writes(keras, name, config):
    theirs = getattr(keras.initializers, name)(**config)
    ours = initializers.deserialize(keras.initializers.serialize(theirs))
    assert type(ours).__name__ == name
    assert ours.get_config() == getattr(initializers, name)(**config).get_config()
    again = getattr(keras.initializers, name).from_config(ours.get_config())
    assert again.get_config() == theirs.get_config()


@pytest.mark.parametrize(("name", "config"), FILLED)
def test_initializers_fill(keras, name, config):
    ours = getattr(initializers, name)(**config)((3, 4), "float32")
    np.testing.assert_array_equal(ours, getattr(keras.initializers, name)(**config)((3, 4), "float32"))


@pytest.mark.parametrize(("name", "config"), PENALTIES)
def test_regularizers(keras, tensorflow, name, config):
    w = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")
    ours, theirs = getattr(regularizers, name)(**config), getattr(keras.regularizers, name)(**config)
    variable = tensorflow.Variable(w)
    with tensorflow.GradientTape() as tape:
        penalty = theirs(variable)
    np.testing.assert_allclose(ours(w), np.asarray(penalty), rtol=1e-5)
    if ours.l1 or ours.l2:
        gradient = ours.l1 * np.sign(w) + 2 * ours.l2 * w
        np.testing.assert_allclose(gradient, tape.gradient(penalty, variable), rtol=1e-5)
    again = regularizers.get(keras.regularizers.serialize(theirs))
    assert type(again).__name__ == name
    assert again.get_config() == pytest.approx(theirs.get_config())


@pytest.mark.parametrize(("name", "config"), BOUNDS)
def test_constraints(keras, name, config):
    w = np.random.default_rng(1).normal(size=(3, 3, 4, 5)).astype("float32")
    ours, theirs = getattr(constraints, name)(**config), getattr(keras.constraints, name)(**config)
    expected = np.asarray(theirs(w))
    np.testing.assert_allclose(ours(w), expected, atol=1e-5 * np.abs(expected).max())
    again = constraints.get(keras.constraints.serialize(theirs))
    assert type(again).__name__ == name
    assert again.get_config() == theirs.get_config()


@pytest.mark.parametrize(
    ("ours", "group"), [(initializers, "initializers"), (regularizers, "regularizers"), (constraints, "constraints")]
)
def test_other_names_of_classes_are_those_of_keras(keras, ours, group):
    theirs = {name: value.__name__ for name, value in vars(getattr(keras, group)).items() if isinstance(value, type)}
    found = {name: value.__name__ for name, value in vars(ours).items() if isinstance(value, type)}
    assert {name: found.get(name) for name, cls in theirs.items() if cls in found} == {
        name: cls for name, cls in theirs.items() if cls in found
    }
