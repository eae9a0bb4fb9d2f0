"""Layers that pad, crop, reorder, repeat and resize: values, gradients, shapes, and what they refuse."""

import numpy as np
import pytest
from helpers import assert_adjoint, assert_same, integers
from lowering import directional_error, run
from test_resize import matrix

from cycnn import Input, Sequential, check_gradients, layers
from cycnn.interpolation import METHODS, taps


def padded(*sides):
    return lambda x: np.pad(x, ((0, 0), *sides, (0, 0)))


def resized(x, height, width, method="bilinear", antialias=False):
    by_rows = matrix(taps(x.shape[1], height, method, antialias), x.shape[1])
    by_columns = matrix(taps(x.shape[2], width, method, antialias), x.shape[2])
    return np.einsum("yh,xw,nhwc->nyxc", by_rows, by_columns, x)


# The layer, the shape of its input, and what it does in NumPy.
CASES = [
    ("ZeroPadding1D()", (2, 5, 3), padded((1, 1))),
    ("ZeroPadding1D(3)", (2, 1, 1), padded((3, 3))),
    ("ZeroPadding1D((2, 0))", (2, 5, 3), padded((2, 0))),
    ("ZeroPadding1D(0)", (2, 5, 3), lambda x: x),
    ("ZeroPadding2D()", (2, 5, 6, 3), padded((1, 1), (1, 1))),
    ("ZeroPadding2D(3)", (2, 50, 60, 3), padded((3, 3), (3, 3))),
    ("ZeroPadding2D((2, 0))", (2, 5, 6, 3), padded((2, 2), (0, 0))),
    ("ZeroPadding2D(((0, 1), (2, 3)))", (2, 5, 6, 17), padded((0, 1), (2, 3))),
    ("Cropping1D()", (2, 5, 3), lambda x: x[:, 1:-1]),
    ("Cropping1D(2)", (2, 5, 3), lambda x: x[:, 2:-2]),
    ("Cropping1D((0, 3))", (2, 5, 3), lambda x: x[:, :-3]),
    ("Cropping2D()", (2, 5, 6, 3), lambda x: x),
    ("Cropping2D(2)", (2, 50, 60, 3), lambda x: x[:, 2:-2, 2:-2]),
    ("Cropping2D((1, 0))", (2, 5, 6, 3), lambda x: x[:, 1:-1]),
    ("Cropping2D(((0, 1), (2, 3)))", (2, 5, 6, 17), lambda x: x[:, :-1, 2:-3]),
    ("Reshape((-1,))", (2, 3, 4), lambda x: x.reshape(2, 12)),
    ("Reshape((2, -1, 2))", (2, 3, 4), lambda x: x.reshape(2, 2, 3, 2)),
    ("Reshape((4, 3))", (2, 12), lambda x: x.reshape(2, 4, 3)),
    ("Flatten()", (2, 3, 4), lambda x: x.reshape(2, 12)),
    ("Permute((2, 1))", (2, 50, 33), lambda x: x.transpose(0, 2, 1)),
    ("Permute((1, 2))", (2, 5, 3), lambda x: x),
    ("Permute((3, 1, 2))", (2, 9, 10, 17), lambda x: x.transpose(0, 3, 1, 2)),
    ("Permute((1, 3, 2, 4))", (2, 3, 4, 5, 6), lambda x: x.transpose(0, 1, 3, 2, 4)),
    ("RepeatVector(1)", (2, 5), lambda x: x[:, None]),
    ("RepeatVector(4)", (2, 5), lambda x: np.repeat(x[:, None], 4, 1)),
    ("UpSampling1D()", (2, 5, 3), lambda x: x.repeat(2, 1)),
    ("UpSampling1D(3)", (2, 5, 33), lambda x: x.repeat(3, 1)),
    ("UpSampling2D()", (2, 5, 6, 3), lambda x: x.repeat(2, 1).repeat(2, 2)),
    ("UpSampling2D(3)", (2, 20, 30, 17), lambda x: x.repeat(3, 1).repeat(3, 2)),
    ("UpSampling2D((1, 4))", (2, 5, 6, 1), lambda x: x.repeat(4, 2)),
    ("UpSampling2D((3, 2), interpolation='bilinear')", (2, 5, 6, 3), lambda x: resized(x, 15, 12)),
    ("UpSampling2D(2, interpolation='BICUBIC')", (2, 5, 6, 3), lambda x: resized(x, 10, 12, "bicubic")),
    ("Resizing(5, 6)", (2, 5, 6, 3), lambda x: x),
    ("Resizing(7, 4)", (2, 5, 6, 3), lambda x: resized(x, 7, 4)),
    ("Resizing(7, 4, 'nearest')", (2, 5, 6, 3), lambda x: resized(x, 7, 4, "nearest")),
    ("Resizing(3, 2, 'lanczos3', antialias=True)", (2, 8, 9, 1), lambda x: resized(x, 3, 2, "lanczos3", True)),
    ("Resizing(3, 3, crop_to_aspect_ratio=True)", (2, 6, 9, 3), lambda x: resized(x[:, :, 1:7], 3, 3)),
    ("Resizing(8, 4, crop_to_aspect_ratio=True)", (2, 5, 6, 3), lambda x: resized(x[:, :, 2:4], 8, 4)),
    ("Resizing(4, 4, pad_to_aspect_ratio=True)", (2, 8, 4, 3), lambda x: resized(padded((0, 0), (2, 2))(x), 4, 4)),
    ("Resizing(4, 4, pad_to_aspect_ratio=True)", (2, 3, 8, 3), lambda x: resized(padded((2, 2), (0, 0))(x), 4, 4)),
    ("CenterCrop(3, 4)", (2, 5, 6, 3), lambda x: x[:, 1:4, 1:5]),
    ("CenterCrop(2, 3)", (2, 5, 6, 3), lambda x: x[:, 1:3, 1:4]),
    ("CenterCrop(5, 6)", (2, 5, 6, 3), lambda x: x),
    ("CenterCrop(8, 4)", (2, 5, 6, 3), lambda x: resized(x[:, :, 2:4], 8, 4)),
]  # fmt: skip
EXACT = [case for case in CASES if not case[0].startswith(("Resizing", "CenterCrop(8")) and "interp" not in case[0]]
INTEGERS = [case for case in CASES if case[0].startswith(("Cropping", "CenterCrop"))]


def cases(rows):
    return pytest.mark.parametrize(("code", "shape", "in_numpy"), rows, ids=[f"{row[0]}-{row[1]}" for row in rows])


@pytest.fixture
def rng():
    return np.random.default_rng(20240917)


def make(code, dtype="float32"):
    layer = eval(f"layers.{code}", {"layers": layers})
    layer.dtype = dtype
    return layer


# --- values and gradients --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@cases(EXACT)
def test_values_and_gradients_of_whole_numbers_are_exact(rng, dtype, code, shape, in_numpy):
    x = integers(rng, shape, dtype)
    out = in_numpy(x)
    dout = integers(rng, out.shape, dtype)

    class Read(type(make(code))):
        """Behind an activation, so that the gradient has to pass it too."""

        def lower(self, graph, x):
            return super().lower(graph, graph.activation(x, "relu"))

    layer = make(code, dtype)
    assert_same(run(layer, x), out)
    layer.__class__ = Read
    actual, (dx,) = run(layer, x, dout=dout)
    positive = np.maximum(x, 0)
    assert_same(actual, in_numpy(positive))
    assert_adjoint((actual, dout), (positive, dx))
    assert np.all(dx[x <= 0] == 0)


@cases(CASES)
def test_values_agree_with_numpy(rng, code, shape, in_numpy):
    x = rng.standard_normal(shape)
    np.testing.assert_allclose(run(make(code, "float64"), x), in_numpy(x), rtol=1e-12, atol=1e-12)


@cases(CASES)
def test_gradients_by_central_differences(rng, code, shape, in_numpy):
    if make(code).compute_output_shape(shape) == shape:
        return  # the output is the input
    assert directional_error(make(code, "float64"), rng.standard_normal(shape)) < 1e-6


@cases(CASES)
def test_output_shape_and_configuration(code, shape, in_numpy):
    layer = make(code)
    expected = in_numpy(np.zeros(shape)).shape
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *expected[1:])
    copy = layers.deserialize(layers.serialize(layer))
    assert copy.get_config() == layer.get_config()
    assert copy.compute_output_shape(shape) == expected


@cases(CASES)
def test_no_images_give_no_images(code, shape, in_numpy):
    layer = make(code)
    x = np.zeros((0, *shape[1:]), "float32")
    assert run(layer, x).shape == layer.compute_output_shape(x.shape)


@pytest.mark.parametrize("value", [2.5, -1.0])
def test_padding_to_the_aspect_ratio_has_a_value(value):
    x = np.zeros((1, 4, 2, 1), "float32")
    layer = layers.Resizing(4, 4, "nearest", pad_to_aspect_ratio=True, fill_value=value)
    assert_same(run(layer, x)[0, :, :, 0], np.repeat(np.array([[value, 0, 0, value]], "float32"), 4, 0))


# --- in models -------------------------------------------------------------------------------------

STACK = [
    "ZeroPadding2D(((1, 0), (2, 1)))", "Cropping2D(((0, 1), (1, 0)))", "UpSampling2D()", "Resizing(5, 4)",
    "UpSampling2D(2, interpolation='bilinear')", "CenterCrop(5, 5)", "Permute((2, 1, 3))", "Reshape((-1, 5))",
    "ZeroPadding1D(1)", "Cropping1D(2)", "UpSampling1D(2)", "Flatten()", "RepeatVector(2)", "Flatten()",
]  # fmt: skip


def test_gradients_pass_through_all_of_them_in_a_model(rng):
    first, last = layers.Conv2D(3, 3, activation="tanh"), layers.Dense(3, activation="softmax")
    model = Sequential([Input((8, 7, 2)), first, *map(make, STACK), last])
    model.compile("sgd", "sparse_categorical_crossentropy")
    report = check_gradients(model, rng.standard_normal((4, 8, 7, 2)), np.arange(4) % 3)
    assert report.worst < 1e-6


@cases(INTEGERS)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_integers_become_floats(rng, code, shape, in_numpy, dtype):
    x = rng.integers(0, 256, shape).astype(dtype)
    model = Sequential([Input(shape[1:]), make(code)])
    np.testing.assert_allclose(model.predict(x, verbose=0), in_numpy(x.astype("float32")), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_resized_integers_are_whole_numbers_of_their_type(rng, method):
    x = (255 * rng.integers(0, 2, (3, 9, 11, 3))).astype("uint8")
    out = run(layers.Resizing(14, 8, method), x)
    exact = resized(x.astype("float64"), 14, 8, method)
    apart = np.abs(exact - np.floor(exact) - 0.5) > 1e-3  # rounding of exact halves depends on the last bit
    assert_same(out[apart], np.clip(np.rint(exact), 0, 255).astype("float32")[apart])
    assert_same(out, np.rint(out))


# --- errors ----------------------------------------------------------------------------------------

# fmt: off
ERRORS = [
    ("ZeroPadding1D(-1)", ValueError,
     "ZeroPadding1D: `padding` must be a non-negative int or a pair of them. Received: padding=-1."),
    ("ZeroPadding1D((1, 2, 3))", ValueError,
     "ZeroPadding1D: `padding` must be a non-negative int or a pair of them. Received: padding=(1, 2, 3)."),
    ("ZeroPadding2D(((1, 1), (1,)))", ValueError,
     "ZeroPadding2D: `padding` must be a non-negative int, a pair of them or ((top, bottom), (left, right)). "
     "Received: padding=((1, 1), (1,))."),
    ("ZeroPadding2D('same')", TypeError,
     "ZeroPadding2D: `padding` must be a non-negative int, a pair of them or ((top, bottom), (left, right)). "
     "Received: padding='same'."),
    ("ZeroPadding2D(data_format='channels_first')", ValueError,
     "ZeroPadding2D: `data_format` must be 'channels_last'. Received: data_format='channels_first'."),
    ("Cropping2D(1.5)", TypeError,
     "Cropping2D: `cropping` must be a non-negative int, a pair of them or ((top, bottom), (left, right)). "
     "Received: cropping=1.5."),
    ("Cropping2D(2).compute_output_shape((None, 4, 9, 1))", ValueError,
     "Cropping2D: `cropping` must leave something of an input of 4 x 9. Received: cropping=((2, 2), (2, 2))."),
    ("Cropping1D(3).compute_output_shape((None, 5, 1))", ValueError,
     "Cropping1D: `cropping` must leave something of an input of 5. Received: cropping=(3, 3)."),
    ("Reshape(5)", TypeError,
     "Reshape: `target_shape` must be a tuple of positive ints, one of which may be -1. Received: target_shape=5."),
    ("Reshape((-1, -1))", ValueError,
     "Reshape: `target_shape` must be a tuple of positive ints, one of which may be -1. "
     "Received: target_shape=(-1, -1)."),
    ("Reshape((0, 2))", ValueError,
     "Reshape: `target_shape` must be a tuple of positive ints, one of which may be -1. "
     "Received: target_shape=(0, 2)."),
    ("Reshape(())", ValueError,
     "Reshape: `target_shape` must be a tuple of positive ints, one of which may be -1. "
     "Received: target_shape=()."),
    ("Reshape((4, 3)).compute_output_shape((None, 5, 2))", ValueError,
     "Reshape: `target_shape` must have room for the 10 values of a row of (5, 2). Received: target_shape=(4, 3)."),
    ("Reshape((-1, 3)).compute_output_shape((None, 5, 2))", ValueError,
     "Reshape: `target_shape` must have room for the 10 values of a row of (5, 2). Received: target_shape=(-1, 3)."),
    ("Permute((0, 1))", ValueError,
     "Permute: `dims` must be a tuple of positive ints. Received: dims=(0, 1)."),
    ("Permute((1, 3))", ValueError,
     "Permute: `dims` must hold each of 1, 2, ... once. Received: dims=(1, 3)."),
    ("Permute((2, 1)).compute_output_shape((None, 3))", ValueError,
     "Permute: `input_shape` must have 2 axes besides the batch, one for each of `dims`. "
     "Received: input_shape=(None, 3)."),
    ("RepeatVector(0)", ValueError,
     "RepeatVector: `n` must be a positive int. Received: n=0."),
    ("UpSampling2D(0)", ValueError,
     "UpSampling2D: `size` must be a positive int or a pair of them. Received: size=0."),
    ("UpSampling2D(interpolation='area')", ValueError,
     "UpSampling2D: `interpolation` must be one of 'bilinear', 'nearest', 'bicubic', 'lanczos3', 'lanczos5'. "
     "Received: interpolation='area'."),
    ("UpSampling1D((2,))", TypeError,
     "UpSampling1D: `size` must be a positive int. Received: size=(2,)."),
    ("Resizing(0, 4)", ValueError,
     "Resizing: `height` must be a positive int. Received: height=0."),
    ("Resizing(4, 4, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True)", ValueError,
     "Resizing: `pad_to_aspect_ratio` must be False where `crop_to_aspect_ratio` is True. "
     "Received: pad_to_aspect_ratio=True."),
    ("Resizing(4, 4, fill_mode='reflect')", ValueError,
     "Resizing: `fill_mode` must be one of 'constant'. Received: fill_mode='reflect'."),
    ("Resizing(4, 4).compute_output_shape((None, 0, 4, 3))", ValueError,
     "Resizing: `input_shape` must have at least one row and one column of pixels. "
     "Received: input_shape=(None, 0, 4, 3)."),
    ("CenterCrop(4, -1)", ValueError,
     "CenterCrop: `width` must be a positive int. Received: width=-1."),
]
# fmt: on


@pytest.mark.parametrize(("code", "kind", "text"), ERRORS, ids=[case[0] for case in ERRORS])
def test_errors(code, kind, text):
    with pytest.raises(kind) as error:
        make(code)
    assert str(error.value) == text
