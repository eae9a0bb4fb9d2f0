"""Layers of several inputs: values, gradients, shapes that broadcast, and what they refuse."""

import numpy as np
import pytest
from helpers import assert_same, integers
from lowering import directional_error, run

import cycnn
from cycnn import Input, Model, check_gradients, layers

LAYERS = {
    "Add": np.add,
    "Subtract": np.subtract,
    "Multiply": np.multiply,
    "Average": np.add,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
}
# Shapes of the inputs; batches of 2.
SHAPES = (
    ((2, 5), (2, 5)),
    ((2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (2, 1, 1, 5)),
    ((2, 1, 1, 5), (2, 3, 4, 5)),
    ((2, 3, 1, 5), (2, 1, 4, 1)),
    ((2, 3, 4, 5), (2, 5)),
    ((2, 4, 1), (2, 3, 1, 5)),
    ((2, 40, 50, 3), (2, 40, 50, 1)),
)
THREE = (((2, 3, 5), (2, 3, 5), (2, 3, 5)), ((2, 3, 1), (2, 1, 5), (2, 3, 5)), ((2, 3, 5), (2, 5), (2, 1)))
ALL = [(name, shapes) for name in LAYERS for shapes in SHAPES + (() if name == "Subtract" else THREE)]

every_case = pytest.mark.parametrize(("name", "shapes"), ALL, ids=str)


@pytest.fixture
def rng():
    return np.random.default_rng(20240917)


def aligned(xs):
    """Return arrays of one rank: axes of one are put behind the batch."""
    rank = max(x.ndim for x in xs)
    return [x.reshape(x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]) for x in xs]


def expected_output(name, xs):
    first, *others = aligned(xs)
    for x in others:
        first = LAYERS[name](first, x)
    return first / len(xs) if name == "Average" else first


def expected_gradients(name, xs, dout):
    """Return the gradients of the inputs: of their copies, added up."""
    copies = np.broadcast_arrays(*aligned(xs))
    if name == "Multiply":
        partial = [np.prod([c for j, c in enumerate(copies) if j != k], axis=0) for k in range(len(xs))]
    elif name in ("Maximum", "Minimum"):
        chosen = np.argmax(copies, axis=0) if name == "Maximum" else np.argmin(copies, axis=0)
        partial = [chosen == k for k in range(len(xs))]
    else:
        partial = [{"Average": 1 / len(xs), "Subtract": 1 - 2 * k}.get(name, 1) for k in range(len(xs))]
    gradients = []
    for x, like, factor in zip(xs, aligned(xs), partial, strict=True):
        axes = tuple(a for a, extent in enumerate(like.shape) if extent != dout.shape[a])
        gradients.append((dout * factor).sum(axis=axes, keepdims=True).reshape(x.shape))
    return gradients


# --- values and gradients --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_case
def test_values_and_gradients_of_whole_numbers_are_exact(rng, dtype, name, shapes):
    count = 4 if name == "Average" and len(shapes) == 3 else 1  # so that thirds are none
    xs = [integers(rng, shape, dtype) for shape in (*shapes, *shapes[:1] * (count > 1))]
    layer = getattr(layers, name)(dtype=dtype)
    out = expected_output(name, xs)
    dout = integers(rng, out.shape, dtype)
    actual, gradients = run(layer, *xs, dout=dout)
    assert_same(actual, out)
    assert_same(run(layer, *xs), out)
    for gradient, expected in zip(gradients, expected_gradients(name, xs, dout), strict=True):
        assert_same(gradient, expected.astype(dtype))


@every_case
@pytest.mark.parametrize("activation", ["linear", "tanh"])
def test_gradients_by_central_differences(rng, name, shapes, activation):
    xs = [rng.standard_normal(shape) for shape in shapes]
    assert directional_error(getattr(layers, name)(dtype="float64"), *xs, activation=activation) < 1e-6


@pytest.mark.parametrize("name", LAYERS)
def test_an_activation_behind_is_part_of_values_and_gradients(rng, name):
    xs = [integers(rng, (2, 3, 4)) for _ in range(2)]
    dout = integers(rng, (2, 3, 4))
    out, gradients = run(getattr(layers, name)(), *xs, dout=dout, activation="relu")
    plain = expected_output(name, xs)
    assert_same(out, np.maximum(plain, 0))
    for gradient, expected in zip(gradients, expected_gradients(name, xs, dout * (plain > 0)), strict=True):
        assert_same(gradient, expected.astype("float32"))


@pytest.mark.parametrize("name", ["Add", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"])
def test_one_input_alone_is_itself(rng, name):
    class Alone(getattr(layers, name)):
        def lower(self, graph, x):
            return super().lower(graph, [x])

    x, dout = integers(rng, (2, 3)), integers(rng, (2, 3))
    out, (gradient,) = run(Alone(), x, dout=dout)
    assert_same(out, x)
    assert_same(gradient, dout)


@pytest.mark.parametrize("name", [*LAYERS, "Concatenate"])
def test_the_same_input_twice_gets_both_gradients(rng, name):
    class Twice(getattr(layers, name)):
        def lower(self, graph, x):
            return super().lower(graph, [x, x])

    x = rng.standard_normal((2, 3))
    if name not in ("Maximum", "Minimum"):
        assert directional_error(Twice(dtype="float64"), x) < 1e-6
    else:
        dout = rng.standard_normal((2, 3))
        assert_same(run(Twice(dtype="float64"), x, dout=dout)[1][0], dout)


@pytest.mark.parametrize("name", [*LAYERS, "Concatenate"])
def test_empty_inputs_give_empty_outputs(name):
    x = np.zeros((0, 4), "float32")
    out, gradients = run(
        getattr(layers, name)(), x, x, dout=np.zeros((0, 8 if name == "Concatenate" else 4), "float32")
    )
    assert len(out) == 0
    assert [gradient.shape for gradient in gradients] == [(0, 4)] * 2


# --- concatenation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("axis", "shapes"),
    [
        (-1, ((2, 5), (2, 3))),
        (1, ((2, 5), (2, 1), (2, 3))),
        (-1, ((2, 3, 4, 16), (2, 3, 4, 5), (2, 3, 4, 1))),
        (3, ((2, 30, 40, 64), (2, 30, 40, 32))),
        (1, ((2, 3, 4, 5), (2, 1, 4, 5))),
        (2, ((2, 3, 4, 5), (2, 3, 2, 5))),
        (-2, ((2, 3, 4, 5), (2, 3, 2, 5), (2, 3, 9, 5), (2, 3, 1, 5))),
    ],
    ids=str,
)
def test_concatenate(rng, dtype, axis, shapes):
    xs = [integers(rng, shape, dtype) for shape in shapes]
    layer = layers.Concatenate(axis, dtype=dtype)
    expected = np.concatenate(xs, axis)
    assert layer.compute_output_shape([(None, *shape[1:]) for shape in shapes]) == (None, *expected.shape[1:])
    dout = integers(rng, expected.shape, dtype)
    out, gradients = run(layer, *xs, dout=dout)
    assert_same(out, expected)
    ends = np.cumsum([x.shape[axis] for x in xs])[:-1]
    for gradient, part in zip(gradients, np.split(dout, ends, axis), strict=True):
        assert_same(gradient, part)


# --- shapes and configuration ----------------------------------------------------------------------


@every_case
def test_output_shape(name, shapes):
    expected = np.broadcast_shapes(*(x.shape for x in aligned([np.empty(shape) for shape in shapes])))
    layer = getattr(layers, name)()
    assert layer.compute_output_shape(list(shapes)) == expected
    assert layer.compute_output_shape([(None, *shape[1:]) for shape in shapes]) == (None, *expected[1:])


@pytest.mark.parametrize("layer", [layers.Add(name="sum"), layers.Concatenate(axis=2)], ids=repr)
def test_configuration(layer):
    copy = layers.deserialize(layers.serialize(layer))
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()


# fmt: off
CASES = [
    ("layers.Add().compute_output_shape((None, 4))", ValueError,
     "Add: `input_shape` must be a list of the shapes of one or more inputs. Received: input_shape=(None, 4)."),
    ("layers.Add().compute_output_shape([])", ValueError,
     "Add: `input_shape` must be a list of the shapes of one or more inputs. Received: input_shape=[]."),
    ("layers.Add().compute_output_shape([(None, 4), (None, 5)])", ValueError,
     "Add: `input_shape` must have equal extents, or extents of 1, on each axis counted from the last. "
     "Received: input_shape=[(None, 4), (None, 5)]."),
    ("layers.Multiply().compute_output_shape([(2, 4), (3, 4)])", ValueError,
     "Multiply: `input_shape` must have the same batch size for all inputs. Received: input_shape=[(2, 4), (3, 4)]."),
    ("layers.Subtract().compute_output_shape([(None, 4)] * 3)", ValueError,
     "Subtract: `input_shape` must be the shapes of two inputs. "
     "Received: input_shape=[(None, 4), (None, 4), (None, 4)]."),
    ("layers.Maximum().compute_output_shape([(None, 4)] * 257)", ValueError,
     "Maximum: `input_shape` must be the shapes of at most 256 inputs. Received: len(input_shape)=257."),
    ("layers.Concatenate(0)", ValueError,
     "Concatenate: `axis` must be an int other than 0, the axis of the batch. Received: axis=0."),
    ("layers.Concatenate(1.0)", TypeError,
     "Concatenate: `axis` must be an int of 32 bits. Received: axis=1.0."),
    ("layers.Concatenate(3).compute_output_shape([(None, 4), (None, 5)])", ValueError,
     "Concatenate: `axis` must be an axis of the inputs other than the batch. "
     "Received: axis=3, input_shape=[(None, 4), (None, 5)]."),
    ("layers.Concatenate(-2).compute_output_shape([(None, 4), (None, 5)])", ValueError,
     "Concatenate: `axis` must be an axis of the inputs other than the batch. "
     "Received: axis=-2, input_shape=[(None, 4), (None, 5)]."),
    ("layers.Concatenate().compute_output_shape([(None, 4, 5), (None, 3, 5)])", ValueError,
     "Concatenate: `input_shape` must have equal extents on all axes but axis -1. "
     "Received: input_shape=[(None, 4, 5), (None, 3, 5)]."),
    ("layers.Concatenate().compute_output_shape([(None, 4, 5), (None, 5)])", ValueError,
     "Concatenate: `input_shape` must have equal extents on all axes but axis -1. "
     "Received: input_shape=[(None, 4, 5), (None, 5)]."),
]
# fmt: on


@pytest.mark.parametrize(("code", "kind", "text"), CASES, ids=[case[0] for case in CASES])
def test_errors(code, kind, text):
    with pytest.raises(kind) as error:
        eval(code, {"layers": layers})
    assert str(error.value) == text


# --- in models -------------------------------------------------------------------------------------


def test_functions_make_layers_and_call_them(rng):
    xs = [integers(rng, (2, 3, 4)) for _ in range(2)]
    for name in LAYERS:
        assert_same(getattr(layers, name.lower())(xs), expected_output(name, xs))
    assert_same(layers.concatenate(xs), np.concatenate(xs, -1))
    assert_same(layers.concatenate(xs, axis=1), np.concatenate(xs, 1))
    inputs = [Input((3, 4)), Input((3, 4))]
    assert layers.concatenate(inputs, 1, name="both").shape == (None, 6, 4)
    assert layers.add(inputs, name="sum").name == "sum"


def network(dtype="float32"):
    """Return a model with every kind of merge: a residual, a gate for the channels, branches, an image put beside."""
    image, other = Input((6, 6, 2), dtype=dtype, name="image"), Input((4,), dtype=dtype, name="other")

    def conv(x, filters=4, **more):
        return layers.Conv2D(filters, 3, padding="same", dtype=dtype, **more)(x)

    x = conv(image, activation="tanh")
    x = layers.Activation("relu", dtype=dtype)(layers.add([x, conv(x)], dtype=dtype))
    gate = layers.Dense(4, activation="sigmoid", dtype=dtype)(layers.GlobalAveragePooling2D(dtype=dtype)(x))
    x = layers.multiply([x, gate], dtype=dtype)
    x = layers.maximum([conv(x, activation="tanh"), x, conv(x)], dtype=dtype)
    x = layers.average(
        [layers.minimum([x, conv(x)], dtype=dtype), layers.subtract([x, gate], dtype=dtype)], dtype=dtype
    )
    small = layers.MaxPooling2D(dtype=dtype)(x)
    x = layers.concatenate([x, layers.UpSampling2D(dtype=dtype)(conv(small, 3, activation="tanh")), image], dtype=dtype)
    x = layers.concatenate([layers.Flatten(dtype=dtype)(x), other], dtype=dtype)
    out = layers.Dense(3, activation="softmax", dtype=dtype)(x)
    model = Model([image, other], out)
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_gradients_of_a_network_with_all_merges(rng):
    xs = [rng.standard_normal((3, 6, 6, 2)), rng.standard_normal((3, 4))]
    assert check_gradients(network(), xs, np.arange(3) % 3).worst < 1e-6


def test_a_network_with_all_merges_learns_the_same_on_any_number_of_threads(rng):
    xs = [rng.standard_normal((8, 6, 6, 2)).astype("float32"), rng.standard_normal((8, 4)).astype("float32")]
    y, threads, results = np.arange(8) % 3, cycnn.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            cycnn.set_num_threads(count)
            cycnn.utils.set_random_seed(1)
            model = network()
            before = model.evaluate(xs, y, verbose=0)
            model.fit(xs, y, epochs=3, batch_size=4, verbose=0)
            assert model.evaluate(xs, y, verbose=0) < before
            results.append(model.get_weights())
    finally:
        cycnn.set_num_threads(threads)
    for other in results[1:]:
        for actual, expected in zip(other, results[0], strict=True):
            assert_same(actual, expected)
