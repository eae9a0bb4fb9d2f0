"""Argument coercion: what is accepted, and every message."""

import math
from fractions import Fraction

import numpy as np
import pytest
from helpers import assert_same

from cycnn import validation

PADDING_RULE = 'be "valid", "same", a non-negative int or ((top, bottom), (left, right))'
PAIR_RULE = "be a positive int or a pair of them"


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_ints_become_python_ints(value):
    for function in (validation.positive_int, validation.non_negative_int):
        result = function("Conv2D", "filters", value)
        assert result == 3
        assert type(result) is int


def test_non_negative_int_accepts_zero():
    assert validation.non_negative_int("fit", "initial_epoch", 0) == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, (2, 2)),
        ((2, 3), (2, 3)),
        ([2, 3], (2, 3)),
        (np.int32(2), (2, 2)),
        ((np.int8(1), 4), (1, 4)),
    ],
)
def test_positive_pair_becomes_a_tuple_of_python_ints(value, expected):
    result = validation.positive_pair("Conv2D", "strides", value)
    assert result == expected
    assert type(result) is tuple
    assert all(type(item) is int for item in result)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("same", "same"),
        ("SAME", "same"),
        ("Valid", "valid"),
        (0, 0),
        (np.int64(2), 2),
        (((0, 1), (2, 3)), ((0, 1), (2, 3))),
        ([[0, 1], [2, 3]], ((0, 1), (2, 3))),
    ],
)
def test_padding_is_normalised(value, expected):
    result = validation.padding("Conv2D", "padding", value)
    assert result == expected
    assert type(result) is type(expected)


def test_choice_returns_the_name():
    assert validation.choice("Conv2D", "activation", "relu", ("linear", "relu")) == "relu"


@pytest.mark.parametrize("value", [0.25, np.float32(0.25), np.float64(0.25), Fraction(1, 4)])
def test_number_becomes_a_python_float(value):
    result = validation.number("Dropout", "rate", value, 0, 1)
    assert result == 0.25
    assert type(result) is float


def test_number_treats_its_bounds_as_asked():
    assert validation.number("Dropout", "rate", 0, 0, 1) == 0.0
    assert validation.number("Dropout", "rate", 1, 0, 1) == 1.0
    for options in ({"above": True}, {"below": True}):
        with pytest.raises(ValueError, match="`rate` must be a finite number in"):
            validation.number("Dropout", "rate", 0 if "above" in options else 1, 0, 1, **options)


@pytest.mark.parametrize("value", [None, 0, np.int64(7), 2**64 - 1])
def test_seed_is_kept(value):
    assert validation.seed("Dropout", value) == value


REFUSED = [
    (TypeError, "positive_int", ("filters", 2.0), "be a positive int", "filters=2.0"),
    (TypeError, "positive_int", ("filters", True), "be a positive int", "filters=True"),
    (TypeError, "positive_int", ("filters", "8"), "be a positive int", "filters='8'"),
    (TypeError, "positive_int", ("filters", None), "be a positive int", "filters=None"),
    (TypeError, "positive_int", ("n", np.array([1])), "be a positive int", "n=array([1])"),
    (ValueError, "positive_int", ("filters", 0), "be a positive int", "filters=0"),
    (ValueError, "positive_int", ("filters", -1), "be a positive int", "filters=-1"),
    (ValueError, "positive_int", ("filters", 2**31), "be less than 2**31", "filters=2147483648"),
    (TypeError, "non_negative_int", ("n", np.True_), "be a non-negative int", "n=np.True_"),
    (ValueError, "non_negative_int", ("n", -1), "be a non-negative int", "n=-1"),
    (ValueError, "positive_pair", ("strides", (2, 0)), PAIR_RULE, "strides=(2, 0)"),
    (ValueError, "positive_pair", ("strides", -2), PAIR_RULE, "strides=-2"),
    (ValueError, "positive_pair", ("strides", (1, 2, 3)), PAIR_RULE, "strides=(1, 2, 3)"),
    (ValueError, "positive_pair", ("strides", ()), PAIR_RULE, "strides=()"),
    (ValueError, "positive_pair", ("k", (1, 2**31)), "be less than 2**31", "k=(1, 2147483648)"),
    (TypeError, "positive_pair", ("strides", (2, 2.5)), PAIR_RULE, "strides=(2, 2.5)"),
    (TypeError, "positive_pair", ("strides", (2, True)), PAIR_RULE, "strides=(2, True)"),
    (TypeError, "positive_pair", ("strides", True), PAIR_RULE, "strides=True"),
    (TypeError, "positive_pair", ("strides", "22"), PAIR_RULE, "strides='22'"),
    (ValueError, "padding", ("padding", "causal"), PADDING_RULE, "padding='causal'"),
    (ValueError, "padding", ("padding", -1), PADDING_RULE, "padding=-1"),
    (ValueError, "padding", ("padding", (1, 1)), PADDING_RULE, "padding=(1, 1)"),
    (ValueError, "padding", ("p", ((1, 1), (0, -1))), PADDING_RULE, "p=((1, 1), (0, -1))"),
    (ValueError, "padding", ("p", ((1, 1), (0,))), PADDING_RULE, "p=((1, 1), (0,))"),
    (TypeError, "padding", ("p", ((1, 1), (0, 0.5))), PADDING_RULE, "p=((1, 1), (0, 0.5))"),
    (TypeError, "padding", ("padding", None), PADDING_RULE, "padding=None"),
    (TypeError, "padding", ("padding", True), PADDING_RULE, "padding=True"),
    (
        ValueError,
        "choice",
        ("a", "relux", ["relu", "tanh"]),
        "be one of 'relu', 'tanh'",
        "a='relux'",
    ),
    (TypeError, "choice", ("a", 3, ["relu", "tanh"]), "be one of 'relu', 'tanh'", "a=3"),
    (TypeError, "number", ("rate", "0.5"), "be a finite number", "rate='0.5'"),
    (TypeError, "number", ("rate", True), "be a finite number", "rate=True"),
    (TypeError, "number", ("rate", 1j), "be a finite number", "rate=1j"),
    (ValueError, "number", ("rate", math.nan), "be a finite number", "rate=nan"),
    (ValueError, "number", ("rate", math.inf), "be a finite number", "rate=inf"),
    (ValueError, "number", ("rate", 1.5, 0, 1), "be a finite number in [0, 1]", "rate=1.5"),
    (ValueError, "number", ("rate", math.nan, 0, 1), "be a finite number in [0, 1]", "rate=nan"),
    (ValueError, "number", ("lr", -1, 0), "be a finite number of at least 0", "lr=-1"),
    (ValueError, "number", ("lr", 2, -math.inf, 0.5), "be a finite number of at most 0.5", "lr=2"),
    (TypeError, "seed", (1.0,), "be None or a non-negative int less than 2**64", "seed=1.0"),
    (TypeError, "seed", (False,), "be None or a non-negative int less than 2**64", "seed=False"),
    (ValueError, "seed", (-1,), "be None or a non-negative int less than 2**64", "seed=-1"),
    (
        ValueError,
        "seed",
        (2**64,),
        "be None or a non-negative int less than 2**64",
        "seed=18446744073709551616",
    ),
]


@pytest.mark.parametrize(("kind", "function", "arguments", "rule", "received"), REFUSED)
def test_messages_name_rule_and_value(kind, function, arguments, rule, received):
    name = "seed" if function == "seed" else arguments[0]
    with pytest.raises((TypeError, ValueError)) as error:
        getattr(validation, function)("Owner", *arguments)
    assert type(error.value) is kind
    assert str(error.value) == f"Owner: `{name}` must {rule}. Received: {received}."


@pytest.mark.parametrize(
    ("bounds", "rule"),
    [
        ({"low": 0, "high": 1, "below": True}, "be a finite number in [0, 1)"),
        ({"low": 0, "high": 1, "above": True}, "be a finite number in (0, 1]"),
        ({"low": 0, "above": True}, "be a finite number greater than 0"),
        ({"high": 1e-3, "below": True}, "be a finite number less than 0.001"),
    ],
)
def test_number_describes_open_ranges(bounds, rule):
    with pytest.raises(ValueError, match="Adam") as error:
        validation.number("Adam", "beta_1", math.inf, **bounds)
    assert str(error.value) == f"Adam: `beta_1` must {rule}. Received: beta_1=inf."


def test_number_refuses_ints_beyond_floats():
    with pytest.raises(ValueError, match="must be a finite number") as error:
        validation.number("Adam", "epsilon", 10**400)
    assert len(str(error.value)) < 300  # long values are cut


# --- arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_array_returns_a_suitable_array_itself(dtype):
    x = np.zeros((2, 3), dtype)
    assert validation.float_array("conv2d", "x", x, 2) is x
    x.flags.writeable = False
    assert np.shares_memory(validation.float_array("conv2d", "x", x, 2), x)
    assert validation.float_array("conv2d", "x", x, None).dtype == dtype


def unaligned(values):
    data = b"\0" + values.tobytes()
    return np.frombuffer(data, values.dtype, offset=1).reshape(values.shape)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1].copy()[::-1],
        lambda x: x.astype(x.dtype.newbyteorder()),
        unaligned,
        lambda x: np.ma.masked_array(x),
        lambda x: x.reshape(3, 4).view(np.matrix) if x.ndim == 2 else x,
    ],
    ids=["fortran", "strided", "reversed", "byte order", "unaligned", "masked", "matrix"],
)
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_float_array_copies_what_the_loops_cannot_read(prepare):
    x = np.arange(12, dtype="float32").reshape(3, 4)
    result = validation.float_array("conv2d", "x", prepare(x), 2)
    assert type(result) is np.ndarray
    assert result.flags.c_contiguous
    assert result.flags.aligned
    assert result.dtype.isnative
    assert_same(result, x)


def test_float_array_converts_to_the_type_asked_for():
    x = np.array([0.1, 0.2])
    assert_same(validation.float_array("fit", "x", x, 1, "float32"), x.astype("float32"))
    assert_same(validation.float_array("fit", "x", [0.1, 0.2], 1, "float64"), x)
    assert_same(validation.float_array("fit", "x", [0.1, 0.2], 1), x.astype("float32"))


def test_float_array_accepts_empty_batches_and_memory_maps(tmp_path):
    assert validation.float_array("fit", "x", np.zeros((0, 8, 8, 3)), 4).shape == (0, 8, 8, 3)
    np.save(tmp_path / "x.npy", np.ones((2, 2), "float32"))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(validation.float_array("fit", "x", x, 2), x)


FLOATS = "be a float32 or float64 array"
IMAGES = 'Convert it with {}.astype("float32") / 255, or put a Rescaling layer in front.'


@pytest.mark.parametrize(
    ("value", "dtype", "remedy"),
    [
        (np.zeros((2, 2), "uint8"), "uint8", IMAGES.format("x")),
        (np.zeros((2, 2), "int64"), "int64", IMAGES.format("x")),
        ([[1, 2]], "int64", IMAGES.format("np.asarray(x)")),
        (np.zeros((2, 2), "bool"), "bool", 'Convert it with x.astype("float32").'),
        (np.zeros((2, 2), "float16"), "float16", 'Convert it with x.astype("float32").'),
        (np.zeros((2, 2), "complex64"), "complex64", None),
        (np.array([["a"]]), "<U1", None),
        (np.array([[None]]), "object", None),
        (None, "object", None),
        ("x.png", "<U5", None),
        (np.zeros((2, 2), "datetime64[s]"), "datetime64[s]", None),
    ],
)
def test_float_array_refuses_other_dtypes(value, dtype, remedy):
    with pytest.raises(TypeError) as error:
        validation.float_array("Conv2D", "x", value, 2)
    expected = f"Conv2D: `x` must {FLOATS}. Received: x.dtype={dtype}."
    assert str(error.value) == (f"{expected} {remedy}" if remedy else expected)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="long double is float64 here")
def test_float_array_refuses_long_double():
    with pytest.raises(TypeError, match=r'Convert it with x\.astype\("float32"\)\.$'):
        validation.float_array("Conv2D", "x", np.zeros(2, np.longdouble), 1)


@pytest.mark.parametrize(
    ("value", "ndim", "expected"),
    [
        (np.zeros((28, 28)), 4, "Conv2D: `x` must have 4 dimensions. Received: x.shape=(28, 28)."),
        (np.zeros((2, 1)), 1, "Conv2D: `x` must have 1 dimension. Received: x.shape=(2, 1)."),
        (0.5, 1, "Conv2D: `x` must have 1 dimension. Received: x.shape=()."),
        (
            [[1.0], [1.0, 2.0]],
            2,
            "Conv2D: `x` must be an array of numbers, all rows of the same length. Received: x of type list.",
        ),
    ],
)
def test_float_array_refuses_other_shapes(value, ndim, expected):
    with pytest.raises(ValueError, match="Conv2D") as error:
        validation.float_array("Conv2D", "x", value, ndim)
    assert str(error.value) == expected


@pytest.mark.parametrize(
    "value",
    [
        [2, 0, 1],
        np.array([2, 0, 1], "uint8"),
        np.array([2, 0, 1], "uint64"),
        np.array([[2], [0], [1]]),
        np.array([2, 9, 0, 9, 1])[::2],
        np.array([2, 0, 1], ">i4"),
    ],
)
def test_labels_become_contiguous_int32(value):
    result = validation.labels("fit", "y", value, 3)
    assert result.flags.c_contiguous
    assert_same(result, np.array([2, 0, 1], np.int32))


def test_labels_may_be_empty():
    assert_same(validation.labels("fit", "y", [], 3), np.zeros(0, np.int32))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (ValueError, [0, 3], "lie between 0 and 2. Received: y.min()=0, y.max()=3."),
        (ValueError, [-1, 2], "lie between 0 and 2. Received: y.min()=-1, y.max()=2."),
        (ValueError, [2**40], "lie between 0 and 2. Received: y.min()=1099511627776, "
         "y.max()=1099511627776."),
        (ValueError, 1, "have the shape (batch,) or (batch, 1). Received: y.shape=()."),
        (ValueError, [[1, 2]], "have the shape (batch,) or (batch, 1). Received: y.shape=(1, 2)."),
        (ValueError, np.eye(3, dtype=int), "have the shape (batch,) or (batch, 1). Received: "
         "y.shape=(3, 3). Convert one-hot labels with y.argmax(-1)."),
        (TypeError, np.ones(2), "be an array of integers. Received: y.dtype=float64. "
         'Convert it with y.astype("int32").'),
        (TypeError, [1.0], "be an array of integers. Received: y.dtype=float64. "
         'Convert it with np.asarray(y).astype("int32").'),
        (TypeError, ["cat"], "be an array of integers. Received: y.dtype=<U3."),
        (TypeError, None, "be an array of integers. Received: y.dtype=object."),
        (ValueError, [[1], [1, 2]], "be an array of numbers, all rows of the same length. "
         "Received: y of type list."),
    ],
)  # fmt: skip
def test_labels_refuse(kind, value, expected):
    with pytest.raises((TypeError, ValueError)) as error:
        validation.labels("fit", "y", value, 3)
    assert type(error.value) is kind
    assert str(error.value) == f"fit: `y` must {expected}"
