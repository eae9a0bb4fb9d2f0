"""Optimizers and schedules beside Keras: ten steps on the same gradients, and rates over ranges of steps.

Keras computes in float64, so that every bound is about our own rounding.
"""

import itertools
import os

import numpy as np
import pytest

from cycnn import _native, optimizers
from cycnn._native import Buffer, Memory, Program
from cycnn.variable import Variable

pytestmark = pytest.mark.oracle

SHAPES = ((7, 5), (5,))
DTYPES = ("float32", "float64")
# Numbers that float32 has exactly, for Keras rounds some of its own to it.
BETAS = {"beta_1": 0.875, "beta_2": 1 - 2**-10, "epsilon": 2**-20}
AROUND = [
    {},
    {"weight_decay": 0.125},
    {"clipnorm": 0.5},
    {"global_clipnorm": 0.5},
    {"clipvalue": 0.25},
    {"use_ema": True, "ema_momentum": 0.75, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 3},
    {"gradient_accumulation_steps": 2, "global_clipnorm": 0.5, "use_ema": True, "ema_momentum": 0.75},
]
OWN = [
    ("SGD", {"learning_rate": 0.25}),
    ("SGD", {"learning_rate": 0.25, "momentum": 0.875}),
    ("SGD", {"learning_rate": 0.25, "momentum": 0.875, "nesterov": True}),
    ("Adam", {"learning_rate": 0.03125, **BETAS}),
    ("Adam", {"learning_rate": 0.03125, **BETAS, "amsgrad": True}),
    ("AdamW", {"learning_rate": 0.03125, **BETAS}),
    ("Adamax", {"learning_rate": 0.03125, **BETAS}),
    ("Nadam", {"learning_rate": 0.03125, **BETAS}),
    ("RMSprop", {"learning_rate": 0.03125, "rho": 0.875, "epsilon": 2**-10}),
    ("RMSprop", {"learning_rate": 0.03125, "rho": 0.875, "epsilon": 2**-10, "momentum": 0.5, "centered": True}),
    ("Adagrad", {"learning_rate": 0.125, "initial_accumulator_value": 0.125}),
    ("Adadelta", {"learning_rate": 1.0, "rho": 0.9375, "epsilon": 2**-10}),
    ("Lion", {"learning_rate": 0.03125, "beta_1": 0.875, "beta_2": 0.96875}),
]
ROWS = [(name, own | around) for (name, own), around in itertools.product(OWN, AROUND)]


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    pytest.importorskip("tensorflow", reason='TensorFlow is not installed: pip install ".[oracle]"')
    module = pytest.importorskip("keras", minversion="3", reason='Keras 3 is not installed: pip install ".[oracle]"')
    before = module.config.floatx()
    module.config.set_floatx("float64")
    yield module
    module.config.set_floatx(before)


@pytest.fixture
def rng():
    return np.random.default_rng(20241124)


def train(optimizer, dtype, start, gradients):
    """Return the parameters after each step of ours."""
    variables = [Variable(w.astype(dtype), f"w{i}") for i, w in enumerate(start)]
    buffers = [np.empty(w.shape, dtype) for w in start]
    optimizer.build(variables)
    pairs = list(zip(variables, map(Buffer.of, buffers), strict=True))
    steps = optimizer.update_steps(_native.kernels(dtype), pairs)
    for step in steps:
        if step.workspace:
            step.place_workspace(Memory(step.workspace), 0)
    program, results = Program(steps), []
    for arrays in gradients:
        for buffer, array in zip(buffers, arrays, strict=True):
            buffer[:] = array
        optimizer.begin_step()
        program.run()
        results.append([variable.numpy() for variable in variables])
    return results


@pytest.mark.parametrize(("name", "options"), ROWS, ids=[f"{name}-{options}" for name, options in ROWS])
def test_ten_steps_give_the_parameters_of_keras(keras, rng, name, options):
    start = [rng.standard_normal(shape).astype("float32") for shape in SHAPES]
    # Of sizes from 1/4 on: where all but nothing is divided by its own size, the rounding of it counts in full.
    gradients = [
        [(np.sign(g) * (0.25 + np.abs(g))).astype("float32") for g in map(rng.standard_normal, SHAPES)]
        for _ in range(10)
    ]
    theirs = getattr(keras.optimizers, name)(**options)
    variables = [keras.Variable(w, dtype="float64") for w in start]
    wanted = []
    for arrays in gradients:
        theirs.apply_gradients(zip([keras.ops.convert_to_tensor(g, "float64") for g in arrays], variables, strict=True))
        wanted.append([variable.numpy() for variable in variables])
    for dtype in DTYPES:
        ours = getattr(optimizers, name)(**options)
        # A step rounds the parameter and what goes into the step, each of the size of 4 at most, four times in all:
        # ten steps are 40 roundings of half a unit. In float64, Keras's own roundings of some numbers to float32 count.
        # Nadam's 0.96 is one in every step.
        rounded = 10 * options["learning_rate"] * float(np.finfo("float32").eps) if name == "Nadam" else 1e-9
        tolerance = 20 * 4 * np.finfo(dtype).eps + (rounded if dtype == "float64" else 0)
        for actual, expected in zip(train(ours, dtype, start, gradients), wanted, strict=True):
            for a, e in zip(actual, expected, strict=True):
                np.testing.assert_allclose(a, e, rtol=0, atol=tolerance)
        config = theirs.get_config()
        assert type(ours).from_config(config).get_config() == ours.get_config() | {"name": config["name"]}


SCHEDULES = [
    ("ExponentialDecay", (0.1, 7, 0.9)),
    ("ExponentialDecay", (0.1, 7, 0.9, True)),
    ("PiecewiseConstantDecay", ([5, 20], [0.1, 0.05, 0.01])),
    ("PolynomialDecay", (0.1, 13, 0.0001)),
    ("PolynomialDecay", (0.1, 13, 0.02, 0.5)),
    ("PolynomialDecay", (0.1, 13, 0.02, 2.0, True)),
    ("InverseTimeDecay", (0.1, 7, 0.5)),
    ("InverseTimeDecay", (0.1, 7, 0.5, True)),
    ("CosineDecay", (0.1, 17)),
    ("CosineDecay", (0.1, 17, 0.25)),
    ("CosineDecay", (0.0, 17, 0.1, "CosineDecay", 0.2, 9)),
    ("CosineDecayRestarts", (0.1, 8)),
    ("CosineDecayRestarts", (0.1, 8, 1.0, 0.9, 0.1)),
    ("CosineDecayRestarts", (0.1, 8, 2.0, 0.5, 0.25)),
]


def exactly(value):
    """Return a number, or those of a list, as Keras computes with them in float64; a Python float is float32 there."""
    if isinstance(value, list):
        return [exactly(item) for item in value]
    return np.float64(value) if isinstance(value, float) else value


@pytest.mark.parametrize(("name", "arguments"), SCHEDULES)
def test_schedules_are_those_of_keras(keras, name, arguments):
    ours = getattr(optimizers.schedules, name)(*arguments)
    theirs = getattr(keras.optimizers.schedules, name)(*map(exactly, arguments))
    rates = [float(theirs(keras.ops.convert_to_tensor(step))) for step in range(60)]
    np.testing.assert_allclose([ours(step) for step in range(60)], rates, rtol=1e-13, atol=1e-16)
    config = theirs.get_config()
    assert {key: ours.get_config()[key] for key in config} == config
    assert type(ours).from_config(config).get_config() == ours.get_config()
