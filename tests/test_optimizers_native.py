"""The optimizers' compiled updates against NumPy, on every instruction set this machine can run."""

import math

import numpy as np
import pytest
from helpers import assert_same, integers

from cycnn import _native
from cycnn._native import Buffer, Memory, Program, run_step

# Around the widths of vectors, and around the 8192 numbers of a task.
SIZES = (0, 1, 3, 7, 8, 15, 16, 17, 33, 1000, 8191, 8192, 8193, 20000)

every_isa = pytest.mark.parametrize("isa", _native.supported)
every_dtype = pytest.mark.parametrize("dtype", ("float32", "float64"))
every_size = pytest.mark.parametrize("size", SIZES)


@pytest.fixture
def rng():
    return np.random.default_rng(20240919)


@pytest.fixture
def restore_threads():
    threads = _native.get_num_threads()
    yield
    _native.set_num_threads(threads)


def hyperparameters(*own, applies=1, decay=0.0, ema_momentum=0.0, overwrites=0):
    """Return what a step reads: what all rules share, then the rule's own."""
    return np.array([applies, decay, ema_momentum, overwrites, *own], "float64")


# What surrounds a rule, where there is nothing.
BARE = {
    "accumulator": None, "steps": 1.0, "squares": None, "most": 0.0, "across": False, "bound": 0.0, "decays": False,
    "average": None,
}  # fmt: skip


def update(rule, w, g, slots, hyper, isa=_native.isa, **options):
    """Update w, and what is remembered of it, by the compiled step."""
    options = {k: Buffer.of(v) if isinstance(v, np.ndarray) else v for k, v in (BARE | options).items()}
    slots = [None if slot is None else Buffer.of(slot) for slot in slots]
    kernels = _native.kernels(w.dtype.name, isa)
    run_step(kernels.ParameterUpdate(rule, Buffer.of(w), Buffer.of(g), slots, Buffer.of(hyper), **options))


# --- the rules, as they are written in the papers ---------------------------------------------------


def sgd(w, g, v, b, c, rate, momentum, nesterov):
    if v is None:
        return w - rate * g, None, None, None
    v = momentum * v - rate * g
    return w + (momentum * v - rate * g if nesterov else v), v, None, None


def adam(w, g, m, v, top, alpha, beta_1, beta_2, epsilon):
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    top = None if top is None else np.maximum(top, v)
    return w - alpha * m / (np.sqrt(v if top is None else top) + epsilon), m, v, top


def adamax(w, g, m, u, c, alpha, beta_1, beta_2, epsilon):
    m = beta_1 * m + (1 - beta_1) * g
    u = np.maximum(beta_2 * u, np.abs(g))
    return w - alpha * m / (u + epsilon), m, u, None


def nadam(w, g, m, v, c, alpha, alpha_g, alpha_v, beta_1, beta_2, epsilon):
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    return w - (alpha * m + alpha_g * g) / (np.sqrt(alpha_v * v) + epsilon), m, v, None


def rmsprop(w, g, v, b, a, rate, rho, momentum, epsilon):
    v = rho * v + (1 - rho) * g**2
    a = None if a is None else rho * a + (1 - rho) * g
    step = rate * g / np.sqrt(v - (0 if a is None else a**2) + epsilon)
    b = None if b is None else momentum * b + step
    return w - (step if b is None else b), v, b, a


def adagrad(w, g, v, b, c, rate, epsilon):
    v = v + g**2
    return w - rate * g / np.sqrt(v + epsilon), v, None, None


def adadelta(w, g, v, u, c, rate, rho, epsilon):
    v = rho * v + (1 - rho) * g**2
    step = g * np.sqrt(u + epsilon) / np.sqrt(v + epsilon)
    return w - rate * step, v, rho * u + (1 - rho) * step**2, None


def lion(w, g, m, b, c, rate, beta_1, beta_2):
    return w - rate * np.sign(beta_1 * m + (1 - beta_1) * g), beta_2 * m + (1 - beta_2) * g, None, None


# The rule, how many slots it has (those of "-" are None), and its hyperparameters.
RULES = {
    "sgd": (sgd, "---", (0.1, 0.0, 0)),
    "momentum": (sgd, "v--", (0.1, 0.9, 0)),
    "nesterov": (sgd, "v--", (0.1, 0.9, 1)),
    "adam": (adam, "mv-", (0.01, 0.9, 0.999, 1e-7)),
    "amsgrad": (adam, "mvv", (0.01, 0.9, 0.999, 1e-7)),
    "adamax": (adamax, "mv-", (0.01, 0.9, 0.999, 1e-7)),
    "nadam": (nadam, "mv-", (0.01, 0.002, 1.5, 0.9, 0.999, 1e-7)),
    "rmsprop": (rmsprop, "v--", (0.01, 0.9, 0.0, 1e-7)),
    "rmsprop, momentum": (rmsprop, "vm-", (0.01, 0.9, 0.8, 1e-7)),
    "rmsprop, centered": (rmsprop, "v-m", (0.01, 0.9, 0.0, 1e-7)),
    "rmsprop, both": (rmsprop, "vmm", (0.01, 0.9, 0.8, 1e-7)),
    "adagrad": (adagrad, "v--", (0.01, 1e-7)),
    "adadelta": (adadelta, "vv-", (1.0, 0.95, 1e-7)),
    "lion": (lion, "m--", (0.01, 0.9, 0.99)),
}
every_rule = pytest.mark.parametrize("rule", RULES)


def state_for(rng, slots, size, dtype):
    """Return a parameter, a gradient and what a rule remembers: "m" of any sign, "v" more than its square."""
    w, g = (rng.standard_normal(size).astype(dtype) for _ in range(2))
    values = {"m": lambda: rng.uniform(-0.5, 0.5, size), "v": lambda: 0.5 + rng.random(size), "-": lambda: None}
    remembered = [values[slot]() for slot in slots]
    return w, g, [None if array is None else array.astype(dtype) for array in remembered]


@every_isa
@every_dtype
@every_size
@every_rule
def test_rules_agree_with_numpy(rng, isa, dtype, size, rule):
    function, letters, own = RULES[rule]
    w, g, slots = state_for(rng, letters, size, dtype)
    exact = [None if array is None else array.astype("float64") for array in (w, g, *slots)]
    # What is remembered is of the size of 1, and so are steps made of it, without a gradient too.
    magnitude = 1 + np.abs(w) + np.abs(g) + g.astype("float64") ** 2
    wanted = function(*exact, *own)
    update(function.__name__, w, g, slots, hyperparameters(*own), isa)
    for actual, expected in zip((w, *slots), wanted, strict=True):
        assert (actual is None) == (expected is None)
        if actual is not None:
            assert actual.dtype == dtype
            assert np.all(np.abs(actual - expected) <= 4 * np.finfo(dtype).eps * magnitude)


@every_isa
@every_dtype
@every_size
@pytest.mark.parametrize("kind", ("sgd", "momentum", "nesterov"))
def test_sgd_of_small_whole_numbers_is_exact(rng, isa, dtype, size, kind):
    w, g, v = (integers(rng, size, dtype) for _ in range(3))
    v = None if kind == "sgd" else v
    wanted_w, wanted_v, *_ = sgd(w, g, v, None, None, 0.25, 0.5, kind == "nesterov")
    update("sgd", w, g, [v], hyperparameters(0.25, 0.5, kind == "nesterov"), isa)
    assert_same(w, wanted_w)
    if v is not None:
        assert_same(v, wanted_v)


@every_isa
@every_dtype
@every_rule
def test_zeros_change_nothing(rng, isa, dtype, rule):
    """Roots and signs of zero, and epsilon that keeps denominators from it."""
    function, letters, own = RULES[rule]
    w = rng.standard_normal(100).astype(dtype)
    before = w.copy()
    slots = [None if letter == "-" else np.zeros(100, dtype) for letter in letters]
    update(function.__name__, w, np.zeros(100, dtype), slots, hyperparameters(*own), isa)
    assert_same(w, before)


@every_isa
@every_dtype
@every_rule
def test_nan_stays_where_it_is(rng, isa, dtype, rule):
    function, letters, own = RULES[rule]
    w, g, slots = state_for(rng, letters, 50, dtype)
    g[31] = np.nan
    update(function.__name__, w, g, slots, hyperparameters(*own), isa)
    for array in (w, *slots):
        assert array is None or np.isnan(array[31])
    assert np.flatnonzero(np.isnan(w)).tolist() == [31]


@every_isa
@every_dtype
def test_adam_adds_epsilon_outside_the_root(isa, dtype):
    g = np.full(20, 1e-3, dtype)
    w, m, v = np.zeros((3, 20), dtype)
    update("adam", w, g, [m, v, None], hyperparameters(1.0, 0.0, 0.0, 1e-3), isa)
    np.testing.assert_allclose(w, -0.5, rtol=1e-6)  # m / (sqrt(v) + epsilon) = 1e-3 / (1e-3 + 1e-3)


def test_an_unknown_rule_is_an_error():
    with pytest.raises(KeyError, match="adafactor"):
        update("adafactor", np.zeros(1), np.zeros(1), [], hyperparameters())


# --- around a rule ----------------------------------------------------------------------------------


@every_isa
@every_dtype
@every_size
def test_weights_decay_before_the_update(rng, isa, dtype, size):
    w, g = integers(rng, size, dtype), integers(rng, size, dtype)
    wanted = w - 0.5 * w - 0.25 * g
    still = w.copy()
    update("sgd", w, g, [], hyperparameters(0.25, 0, 0, decay=0.5), isa, decays=True)
    assert_same(w, wanted)
    wanted = still - 0.25 * g
    update("sgd", still, g, [], hyperparameters(0.25, 0, 0, decay=0.5), isa)
    assert_same(still, wanted)


@every_isa
@every_dtype
@every_size
def test_values_are_clipped(rng, isa, dtype, size):
    w, g = integers(rng, size, dtype), integers(rng, size, dtype)
    wanted, before = w - 0.25 * np.clip(g, -3, 3), g.copy()
    update("sgd", w, g, [], hyperparameters(0.25, 0, 0), isa, bound=3.0)
    assert_same(w, wanted)
    assert_same(g, before)


@every_isa
@every_dtype
@every_size
def test_gradients_are_accumulated_then_applied(rng, isa, dtype, size):
    w, g, acc = integers(rng, size, dtype), integers(rng, size, dtype), np.zeros(size, dtype)
    before = w.copy()
    for count in (1, 2, 3):
        update("sgd", w, g, [], hyperparameters(0.25, 0, 0, applies=0), isa, accumulator=acc, steps=4.0)
        assert_same(acc, count * g)
        assert_same(w, before)
    update("sgd", w, g, [], hyperparameters(0.25, 0, 0), isa, accumulator=acc, steps=4.0)
    assert_same(w, before - 0.25 * g)
    assert_same(acc, np.zeros(size, dtype))


@every_isa
@every_dtype
@every_size
def test_an_average_follows_and_overwrites(rng, isa, dtype, size):
    w, g, average = integers(rng, size, dtype), integers(rng, size, dtype), integers(rng, size, dtype)
    new = w - 0.25 * g
    mean = 0.5 * average + 0.5 * new
    update("sgd", w, g, [], hyperparameters(0.25, 0, 0, ema_momentum=0.5), isa, average=average)
    assert_same(w, new)
    assert_same(average, mean)
    new = new - 0.25 * g
    mean = 0.5 * mean + 0.5 * new
    update("sgd", w, g, [], hyperparameters(0.25, 0, 0, ema_momentum=0.5, overwrites=1), isa, average=average)
    assert_same(w, mean)
    assert_same(average, mean)


def squared(g, isa=_native.isa, accumulator=None, steps=1.0, applies=1):
    """Return the sum of squares of a gradient by the compiled step."""
    squares = np.full(3, -1.0)
    kernels = _native.kernels(g.dtype.name, isa)
    hyper = Buffer.of(hyperparameters(applies=applies))
    accumulator = None if accumulator is None else Buffer.of(accumulator)
    run_step(kernels.SquaredNorm(Buffer.of(g), accumulator, Buffer.of(squares), 1, hyper, steps))
    assert squares[0] == squares[2] == -1
    return squares[1]


@every_isa
@every_dtype
@every_size
def test_squared_norms_are_exact(rng, isa, dtype, size):
    g, acc = integers(rng, size, dtype), integers(rng, size, dtype)
    assert squared(g, isa) == np.sum(g.astype("float64") ** 2)
    assert squared(g, isa, acc, 2.0) == np.sum((g.astype("float64") + acc) ** 2) / 4
    assert squared(g, isa, acc, 2.0, applies=0) == -1  # nothing to be clipped


@every_isa
@every_dtype
@pytest.mark.parametrize("across", (False, True))
def test_norms_are_clipped(isa, dtype, across):
    """3, 4 have the norm 5; with 12 of another gradient it is 13."""
    squares = np.array([25.0, 144.0]) if across else np.array([25.0])
    norm = math.sqrt(squares.sum())
    for most in (1.0, norm, 100.0):
        w, g = np.zeros(2, dtype), np.array([3, 4], dtype)
        update("sgd", w, g, [], hyperparameters(1, 0, 0), isa, squares=squares, most=most, across=across)
        np.testing.assert_allclose(w, -g * min(1, most / norm), rtol=2 * np.finfo(dtype).eps)


@every_dtype
def test_an_infinite_norm_leaves_what_keras_leaves(dtype):
    """The norm of one gradient divides by infinity, that of all makes everything NaN."""
    g = np.array([np.inf, 1], dtype)
    for across, wanted in ((False, [np.nan, 0]), (True, [np.nan, np.nan])):
        w = np.zeros(2, dtype)
        update("sgd", w, g, [], hyperparameters(1, 0, 0), squares=np.array([np.inf]), most=1.0, across=across)
        np.testing.assert_array_equal(w, wanted)


def test_the_parameter_gets_a_new_version_only_if_it_changes():
    buffers = [Buffer.of(np.ones(3)) for _ in range(3)]
    w, g, acc = buffers
    hyper = hyperparameters(0.1, 0, 0, applies=0)
    options = BARE | {"accumulator": acc, "steps": 2.0}
    program = Program([_native.kernels("float64").ParameterUpdate("sgd", w, g, [], Buffer.of(hyper), **options)])
    before = w.version
    program.run()
    assert w.version == before
    hyper[0] = 1
    program.run()
    assert w.version > before


@every_isa
@every_dtype
@every_rule
def test_results_do_not_depend_on_threads(rng, restore_threads, isa, dtype, rule):
    function, letters, own = RULES[rule]
    size = 100_001
    w, g, slots = state_for(rng, letters, size, dtype)
    kernels, results = _native.kernels(dtype, isa), []
    for threads in (1, 2, 5):
        _native.set_num_threads(threads)
        arrays = [None if a is None else a.copy() for a in (w, g, *slots, np.ones_like(w), np.ones_like(w))]
        buffers = [None if a is None else Buffer.of(a) for a in arrays]
        squares, hyper = Buffer.of(np.zeros(1)), Buffer.of(hyperparameters(*own, decay=0.01, ema_momentum=0.9))
        norm = kernels.SquaredNorm(buffers[1], buffers[5], squares, 0, hyper, 2.0)
        norm.place_workspace(Memory(norm.workspace), 0)
        options = {"accumulator": buffers[5], "steps": 2.0, "squares": squares, "most": 3.0, "decays": True}
        options = BARE | options | {"average": buffers[6]}
        step = kernels.ParameterUpdate(function.__name__, *buffers[:2], buffers[2:5], hyper, **options)
        Program([norm, step]).run()
        results.append(arrays)
    for other in results[1:]:
        for actual, first in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(actual, first)  # NaN too
