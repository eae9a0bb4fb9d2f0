"""Schedules at their corners; they are compared with Keras's among the oracles."""

import pytest

from cycnn.optimizers import schedules


@pytest.mark.parametrize("factor", (1.5, 2.0, 3.0, 5.0))
def test_waves_begin_anew_where_they_should(factor):
    """Logarithms of powers round to either side of a whole number."""
    schedule = schedules.CosineDecayRestarts(0.1, 16, t_mul=factor)
    start = 0.0
    for wave in range(5):
        if start == int(start):
            assert schedule(int(start)) == pytest.approx(0.1, rel=1e-12)
        start += 16 * factor**wave


def test_without_growth_all_waves_are_equal():
    schedule = schedules.CosineDecayRestarts(0.1, 10, t_mul=1.0, m_mul=0.5)
    assert schedule(25) == pytest.approx(0.25 * schedule(5))


def test_cycles_of_a_polynomial_end_at_the_multiple():
    schedule = schedules.PolynomialDecay(1.0, 10, 0.0, cycle=True)
    assert [schedule(step) for step in (0, 10, 15, 20)] == pytest.approx([1, 0, 0.25, 0])


def test_warming_up_is_a_line():
    schedule = schedules.CosineDecay(0.1, 10, warmup_target=0.5, warmup_steps=4)
    assert [schedule(step) for step in (0, 2, 4, 14, 99)] == pytest.approx([0.1, 0.3, 0.5, 0, 0])


def test_a_users_schedule_is_made_by_its_name():
    class Own(schedules.LearningRateSchedule):
        arguments = ("rate",)

        def __init__(self, rate):
            self.rate = rate

    config = schedules.serialize(Own(0.5))
    assert schedules.deserialize(config, {"Own": Own}).rate == 0.5
    with pytest.raises(ValueError, match=r"deserialize: `config` must be one of CosineDecay, "):
        schedules.deserialize(config)
    with pytest.raises(NotImplementedError, match=r"Own must override `__call__"):
        Own(0.5)(3)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), ValueError),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), ValueError),
        (lambda: schedules.PiecewiseConstantDecay([2], [0.1]), ValueError),
        (lambda: schedules.CosineDecay("fast", 1), TypeError),
    ],
)
def test_bad_arguments_are_errors(make, error):
    with pytest.raises(error, match=r"` must .* Received: "):
        make()
