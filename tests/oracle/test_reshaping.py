"""Padding, cropping, reshaping, repeating and resizing layers against Keras: values, gradients and configurations."""

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


IMAGE = (2, 6, 9, 3)
# The layer, in the words of both libraries, and the shape of its input.
ROWS = [
    ("ZeroPadding1D()", (2, 5, 3)),
    ("ZeroPadding1D((0, 3))", (2, 5, 3)),
    ("ZeroPadding2D()", IMAGE),
    ("ZeroPadding2D(3)", IMAGE),
    ("ZeroPadding2D((0, 2))", IMAGE),
    ("ZeroPadding2D(((1, 0), (2, 3)))", IMAGE),
    ("Cropping1D()", (2, 5, 3)),
    ("Cropping1D(2)", (2, 5, 3)),
    ("Cropping1D((0, 3))", (2, 5, 3)),
    ("Cropping2D(1)", IMAGE),
    ("Cropping2D((0, 2))", IMAGE),
    ("Cropping2D(((1, 0), (2, 3)))", IMAGE),
    ("Reshape((-1, 9))", IMAGE),
    ("Reshape((3, 9, 6))", IMAGE),
    ("Reshape((-1,))", IMAGE),
    ("Flatten()", IMAGE),
    ("Permute((2, 1))", (2, 5, 3)),
    ("Permute((3, 1, 2))", IMAGE),
    ("Permute((2, 3, 1))", IMAGE),
    ("RepeatVector(4)", (2, 5)),
    ("UpSampling1D()", (2, 5, 3)),
    ("UpSampling1D(3)", (2, 5, 3)),
    ("UpSampling2D()", IMAGE),
    ("UpSampling2D((3, 1))", IMAGE),
    *[
        (f"UpSampling2D({size}, interpolation='{method}')", IMAGE)
        for size in (2, (3, 1), (2, 5))
        for method in ("bilinear", "bicubic", "lanczos3", "lanczos5")
    ],
    *[
        (f"Resizing({height}, {width}, interpolation='{method}', antialias={antialias})", IMAGE)
        for height, width in ((12, 18), (3, 3), (1, 20), (41, 4))
        for method, antialias in (
            ("bilinear", False), ("bilinear", True), ("nearest", False), ("bicubic", False), ("bicubic", True),
            ("lanczos3", False), ("lanczos5", True),
        )
    ],
    ("Resizing(4, 4, crop_to_aspect_ratio=True)", IMAGE),
    ("Resizing(8, 3, crop_to_aspect_ratio=True)", IMAGE),
    ("Resizing(3, 11, crop_to_aspect_ratio=True)", (2, 9, 8, 1)),
    ("Resizing(4, 4, pad_to_aspect_ratio=True)", IMAGE),
    ("Resizing(8, 3, pad_to_aspect_ratio=True, fill_value=0.5)", IMAGE),
    ("Resizing(3, 11, pad_to_aspect_ratio=True, fill_value=-2.0)", (2, 9, 8, 1)),
    ("Resizing(60, 80)", (1, 224, 224, 3)),
    ("Resizing(224, 224, 'nearest')", (1, 60, 80, 3)),
    ("CenterCrop(4, 4)", IMAGE),
    ("CenterCrop(3, 8)", IMAGE),
    ("CenterCrop(8, 4)", IMAGE),
    ("CenterCrop(12, 20)", IMAGE),
]  # fmt: skip


def agree(actual, reference, tolerance):
    assert actual.shape == reference.shape
    assert np.max(np.abs(actual - reference)) <= tolerance * np.max(np.abs(reference))


@pytest.mark.parametrize(("code", "shape"), ROWS, ids=str)
def test_values_and_gradients(keras, tf, code, shape):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype("float32")
    ours, theirs = eval(code, vars(layers)), eval(code, vars(keras.layers))
    ours = made_anew(ours, theirs)
    assert ours.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape))
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        expected = theirs(tensor)
    dout = rng.standard_normal(expected.shape).astype("float32")
    out, (dx,) = run(ours, x, dout=dout)
    agree(out, expected.numpy(), 1e-5)
    agree(dx, tape.gradient(expected, tensor, tf.constant(dout)).numpy(), 1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
@pytest.mark.parametrize(
    "code",
    [
        "Resizing(9, 13)",
        "Resizing(3, 4)",
        "Resizing(9, 13, 'nearest')",
        "Resizing(9, 13, 'bicubic')",
        "Resizing(9, 13, 'lanczos3')",
        "CenterCrop(4, 4)",
        "CenterCrop(8, 4)",
    ],
)
def test_integers(keras, code, dtype):
    x = np.random.default_rng(0).integers(0, 256, IMAGE).astype(dtype)
    expected = np.asarray(eval(code, vars(keras.layers))(x)).astype("float32")
    error = np.abs(run(eval(code, vars(layers)), x) - expected)
    # Halves are rounded either way where the last bit of the sum decides.
    assert np.max(error) <= 1 and np.mean(error > 1e-4) < 0.05
