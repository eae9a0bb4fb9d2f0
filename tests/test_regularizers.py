"""Regularizers: what they add to the loss and to gradients, their configurations, and their errors."""

import numpy as np
import pytest

import cycnn
from cycnn import Input, Sequential, layers, regularizers

W = np.array([[1.0, -2.0], [0.0, 4.0]])
KINDS = [
    (regularizers.L1(0.5), 3.5),
    (regularizers.L2(0.25), 5.25),
    (regularizers.L1L2(0.5, 0.25), 8.75),
    (regularizers.L1L2(), 0.0),
]


@pytest.mark.parametrize(("regularizer", "expected"), KINDS)
def test_penalty_is_the_formula(regularizer, expected):
    assert regularizer(W) == expected


@pytest.mark.parametrize(("regularizer", "expected"), KINDS)
def test_configuration_gives_it_back(regularizer, expected):
    written = regularizers.serialize(regularizer)
    as_keras_writes = {"module": "keras.regularizers", "registered_name": None, **written}
    for form in (written, as_keras_writes):
        for again in (regularizers.get(form), regularizers.deserialize(form)):
            assert type(again) is type(regularizer)
            assert again(W) == expected


@pytest.mark.parametrize(("regularizer", "penalty"), KINDS)
@pytest.mark.parametrize("where", ["kernel_regularizer", "bias_regularizer"])
def test_loss_and_gradients_include_the_penalty(regularizer, penalty, where):
    def trained(**options):
        layer = layers.Dense(2, **options)
        model = Sequential([Input((2,)), layer])
        model.compile(cycnn.optimizers.SGD(1.0), "mse")
        model.set_weights([W.astype("float32"), W[1].astype("float32")])
        loss = model.train_on_batch(np.zeros((3, 2), "float32"), np.tile(W[1], (3, 1)).astype("float32"))
        return loss, *model.get_weights()

    _, kernel, bias = trained()
    loss, regular_kernel, regular_bias = trained(**{where: regularizer})
    w = W if where == "kernel_regularizer" else W[1]
    change = regularizer.l1 * np.sign(w) + 2 * regularizer.l2 * w
    if where == "kernel_regularizer":
        np.testing.assert_allclose(kernel - regular_kernel, change, rtol=1e-6)
        np.testing.assert_array_equal(bias, regular_bias)
    else:
        np.testing.assert_allclose(bias - regular_bias, change, rtol=1e-6)
        np.testing.assert_array_equal(kernel, regular_kernel)
    assert loss == pytest.approx(regularizer(w), rel=1e-6)


@pytest.mark.parametrize("regularizer", [regularizers.L1(0.1), regularizers.L2(0.2), regularizers.L1L2(0.1, 0.2)])
def test_gradients_of_parameters_and_activities(regularizer):
    model = Sequential(
        [
            Input((5,)),
            layers.Dense(4, activation="tanh", kernel_regularizer=regularizer, activity_regularizer=regularizer),
            layers.Dense(2),
        ]
    ).astype("float64")
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    report = cycnn.check_gradients(model, rng.normal(size=(3, 5)), rng.normal(size=(3, 2)))
    assert report.worst < 1e-6


@pytest.mark.parametrize(
    ("kind", "call", "told"),
    [
        (ValueError, lambda: regularizers.L1(-1), "L1: `l1` must be"),
        (TypeError, lambda: regularizers.L2("much"), "L2: `l2` must be"),
        (ValueError, lambda: regularizers.L1L2(l2=float("nan")), "L1L2: `l2` must be"),
        (ValueError, lambda: regularizers.get("l3"), "regularizers.get: `identifier` must be one of l1, l1_l2, l2."),
        (TypeError, lambda: regularizers.get(0.5), "regularizers.get: `identifier` must be the name of a regularizer,"),
        (ValueError, lambda: layers.Dense(2, kernel_regularizer="l3"), "Dense: `kernel_regularizer` must be"),
    ],
)
def test_errors_name_the_argument(kind, call, told):
    with pytest.raises(kind, match=told.replace(".", r"\.")):
        call()
