"""Merging layers against Keras: values, gradients and configurations."""

import numpy as np
import pytest
from helpers import made_anew
from lowering import run

from cycnn import layers

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow", reason='TensorFlow is not installed: pip install ".[oracle]"')


@pytest.fixture(scope="module")
def keras(tf):
    return pytest.importorskip("keras", reason='Keras 3 is not installed: pip install ".[oracle]"')


# The layer, in the words of both libraries, and the shapes of its inputs.
ROWS = [
    (f"{name}()", shapes)
    for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
    for shapes in (
        ((2, 5), (2, 5)),
        ((2, 6, 7, 5), (2, 6, 7, 5)),
        ((2, 6, 7, 5), (2, 1, 1, 5)),
        ((2, 1, 7, 1), (2, 6, 1, 5)),
        ((2, 6, 7, 5), (2, 5)),
        ((2, 5, 3), (2, 5, 3), (2, 5, 3)),
        ((2, 5, 3), (2, 1, 3), (2, 3), (2, 5, 1)),
    )
    if name != "Subtract" or len(shapes) == 2
] + [
    ("Concatenate()", ((2, 5), (2, 3))),
    ("Concatenate()", ((2, 6, 7, 5), (2, 6, 7, 16), (2, 6, 7, 1))),
    ("Concatenate(axis=1)", ((2, 6, 7, 5), (2, 3, 7, 5))),
    ("Concatenate(axis=2)", ((2, 6, 7, 5), (2, 6, 3, 5))),
    ("Concatenate(axis=-2)", ((2, 6, 7, 5), (2, 6, 3, 5), (2, 6, 1, 5))),
    ("Concatenate(axis=1)", ((2, 5), (2, 3), (2, 1), (2, 8))),
]


def gradients_in_keras(tf, layer, xs, dout):
    """Return the output of a layer of Keras and the gradients of its inputs."""
    tensors = [tf.constant(x) for x in xs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        out = layer(tensors)
    return out.numpy(), [gradient.numpy() for gradient in tape.gradient(out, tensors, tf.constant(dout))]


@pytest.mark.parametrize("whole", [False, True], ids=["reals", "ties"])
@pytest.mark.parametrize(("code", "shapes"), ROWS, ids=str)
def test_values_and_gradients(keras, tf, code, shapes, whole):
    rng = np.random.default_rng(0)
    draw = (lambda shape: rng.integers(-1, 2, shape)) if whole else rng.standard_normal
    xs = [draw(shape).astype("float32") for shape in shapes]
    ours, theirs = eval(code, vars(layers)), eval(code, vars(keras.layers))
    ours = made_anew(ours, theirs)
    shape = theirs.compute_output_shape(list(shapes))
    assert ours.compute_output_shape(list(shapes)) == shape
    dout = rng.standard_normal(shape).astype("float32")
    expected, expected_gradients = gradients_in_keras(tf, theirs, xs, dout)
    out, gradients = run(ours, *xs, dout=dout)
    for actual, reference in zip([out, *gradients], [expected, *expected_gradients], strict=True):
        assert actual.shape == reference.shape
        assert np.max(np.abs(actual - reference)) <= 1e-6 * max(np.max(np.abs(reference)), 1e-3)


@pytest.mark.parametrize("name", ["Maximum", "Minimum"])
def test_extremes_with_nan(keras, tf, name):
    nan = float("nan")
    xs = [np.array([[nan, 1, nan, 0, 2]], "float32"), np.array([[1, nan, nan, -0.0, 2]], "float32")]
    dout = np.arange(1, 6, dtype="float32")[None]
    expected, expected_gradients = gradients_in_keras(tf, getattr(keras.layers, name)(), xs, dout)
    out, gradients = run(getattr(layers, name)(), *xs, dout=dout)
    np.testing.assert_array_equal(out, expected)
    for actual, reference in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_array_equal(actual, reference)
