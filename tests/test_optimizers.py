"""Optimizers as objects: settings, state, names and configurations; their steps are tested beside NumPy and Keras."""

import copy

import numpy as np
import pytest
from helpers import assert_same

from cycnn import _native, optimizers
from cycnn._native import Buffer, Memory, Program
from cycnn.optimizers import schedules
from cycnn.variable import Variable

CLASSES = [getattr(optimizers, name) for name in ("SGD", "Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Adagrad",
                                                  "Adadelta", "Lion")]  # fmt: skip
every_class = pytest.mark.parametrize("cls", CLASSES)
AROUND = {
    "weight_decay": 0.1,
    "global_clipnorm": 0.5,
    "use_ema": True,
    "ema_momentum": 0.5,
    "ema_overwrite_frequency": 2,
    "gradient_accumulation_steps": 2,
}


class Run:
    """An optimizer at work on one parameter."""

    def __init__(self, optimizer, start):
        self.optimizer, self.w, self.g = (
            optimizer,
            Variable(start.copy(), "kernel", "dense/kernel"),
            np.empty_like(start),
        )
        optimizer.build([self.w])
        steps = optimizer.update_steps(_native.kernels(start.dtype.name), [(self.w, Buffer.of(self.g))])
        for step in steps:
            if step.workspace:
                step.place_workspace(Memory(step.workspace), 0)
        self.program = Program(steps)

    def steps(self, gradients):
        for gradient in gradients:
            self.g[:] = gradient
            self.optimizer.begin_step()
            self.program.run()
        return self.w.numpy()


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@every_class
def test_a_restored_state_goes_on_with_the_same_bits(rng, cls):
    start, gradients = rng.standard_normal(9), rng.standard_normal((11, 9))
    whole = Run(cls(0.1, **AROUND), start).steps(gradients)
    first = Run(cls(0.1, **AROUND), start)
    middle, state = first.steps(gradients[:5]), first.optimizer.get_state()
    second = Run(cls(0.5, **AROUND), middle)
    second.optimizer.set_state(state)
    assert second.optimizer.learning_rate == 0.1
    assert second.optimizer.steps == 5 and second.optimizer.iterations == 2
    assert_same(second.steps(gradients[5:]), whole)


@every_class
def test_paths_of_the_state_are_unique(cls):
    optimizer = cls(**AROUND)
    optimizer.build([Variable(np.zeros(2), "kernel", "dense/kernel"), Variable(np.zeros(2), "kernel", "dense/kernel")])
    paths = [slot.path for slot in optimizer.variables]
    assert len(set(paths)) == len(paths) >= 4


def test_a_state_that_does_not_fit_changes_nothing(rng):
    run = Run(optimizers.Adam(), rng.standard_normal(3))
    run.steps(rng.standard_normal((2, 3)))
    before = run.optimizer.get_state()
    for wrong in ({}, before | {"more": np.zeros(1)}, before | {"dense/kernel/momentum": np.zeros(4)}):
        with pytest.raises(ValueError, match=r"^Adam: `state"):
            run.optimizer.set_state(wrong)
    after = run.optimizer.get_state()
    assert all(np.array_equal(after[key], before[key]) for key in before)


@every_class
def test_configurations_and_names_give_the_optimizer_back(cls):
    rate = schedules.ExponentialDecay(0.1, 10, 0.5)
    optimizer = cls(rate, clipnorm=1.0, name="mine")
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert type(again) is cls and again.get_config() == optimizer.get_config()
    assert again.learning_rate == 0.1
    assert type(optimizers.get(cls.__name__)) is type(optimizers.get(cls.__name__.lower())) is cls
    assert copy.deepcopy(optimizer).get_config() == optimizer.get_config()


def test_rates_are_numbers_schedules_and_functions(rng):
    rates = []

    class Own(schedules.LearningRateSchedule):
        def __call__(self, step):
            rates.append(step)
            return 0.5 / (step + 1)

    run = Run(optimizers.SGD(Own()), np.zeros(1))
    assert_same(run.steps(np.ones((2, 1))), np.array([-0.75]))
    assert rates == [0, 1]
    with pytest.raises(TypeError, match="SGD: `learning_rate` must be a LearningRateSchedule or a function"):
        run.optimizer.learning_rate = 0.1
    assert_same(Run(optimizers.SGD(lambda: 0.25), np.zeros(1)).steps(np.ones((2, 1))), np.array([-0.5]))


def test_numbers_may_be_set_after_the_first_step_and_what_steps_are_made_of_may_not():
    run = Run(optimizers.SGD(0.5, momentum=0.5), np.zeros(1))
    run.steps([[1.0]])
    run.optimizer.momentum, run.optimizer.learning_rate = 0.25, 1.0
    assert_same(run.steps([[1.0]]), np.array([-0.5 - 1.125]))
    for name, value in (("momentum", 0), ("clipnorm", 1.0), ("use_ema", True), ("weight_decay", 0.1)):
        with pytest.raises(RuntimeError, match=f"^SGD: `{name}` must not become"):
            setattr(run.optimizer, name, value)


def test_parameters_are_spared_by_path_and_by_object():
    kernel, bias = Variable(np.zeros(1), "kernel", "dense/kernel"), Variable(np.zeros(1), "bias", "dense/bias")
    optimizer = optimizers.AdamW()
    assert optimizer.decays(kernel) and not optimizers.Adam().decays(kernel)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert [optimizer.decays(kernel), optimizer.decays(bias)] == [True, False]
    optimizer.exclude_from_weight_decay(var_list=[kernel])
    assert [optimizer.decays(kernel), optimizer.decays(bias)] == [False, True]
    optimizer.build([kernel])
    with pytest.raises(RuntimeError, match="before the first step"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])


def test_averages_become_the_parameters_at_the_end():
    run = Run(optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5), np.zeros(1))
    run.optimizer.finalize_variable_values([run.w])
    assert run.w.value == 0
    run.steps([[1.0], [1.0]])
    run.optimizer.finalize_variable_values([run.w])
    assert run.w.value == -1.5


def test_a_step_can_be_taken_back():
    optimizer = optimizers.Nadam()
    optimizer.begin_step()
    before = optimizer.get_state()
    optimizer.begin_step()
    optimizer.undo_step()
    assert optimizer.get_state() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clipnorm": 1, "clipvalue": 1}, "SGD: `clipvalue` must be left out if `clipnorm` is given. "
         "Received: clipnorm=1.0, clipvalue=1.0."),
        ({"loss_scale_factor": 2.0}, "SGD: `loss_scale_factor` must be None. Received: loss_scale_factor=2.0."),
        ({"gradient_accumulation_steps": 1}, "SGD: `gradient_accumulation_steps` must be None or an int of at least 2. "
         "Received: gradient_accumulation_steps=1."),
        ({"use_ema": True, "ema_momentum": 1.5}, "SGD: `ema_momentum` must be a finite number in [0, 1]. "
         "Received: ema_momentum=1.5."),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(options, words):
    with pytest.raises(ValueError) as caught:
        optimizers.SGD(**options)
    assert str(caught.value) == words
