"""Training and use of models: what fit, evaluate and predict compute, read, print and leave alone."""

import hashlib
import os
import signal
import sys
import tracemalloc

import numpy as np
import pytest
from helpers import assert_same, integers

import cycnn
from cycnn import Input, Sequential, callbacks, datasets, layers, losses, metrics, optimizers


def linear(optimizer="sgd", **more):
    """Return a linear model of four inputs and two outputs, with whole numbers for parameters."""
    rng = np.random.default_rng(2)
    model = Sequential([Input((4,), dtype=more.get("dtype")), layers.Dense(2, **more)])
    model.set_weights([integers(rng, (4, 2)), integers(rng, (2,))])
    model.compile(optimizer, "mse")
    return model


def classifier(size=6, metrics=("accuracy",), optimizer="adam"):
    """Return a small convolutional classifier of three classes, with dropout."""
    model = Sequential(
        [
            Input((size, size, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics))
    return model


def stripes(n, size=6, seed=0):
    """Return images with a bright row, a bright column or neither, and which of the three."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.3, (n, size, size, 1)).astype("float32")
    y = rng.integers(0, 3, n).astype("int32")
    for image, label in zip(x, y, strict=True):
        if label == 0:
            image[rng.integers(size)] += 2
        elif label == 1:
            image[:, rng.integers(size)] += 2
    return x, y


def weights_hash(model):
    return hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()


class Rows(metrics.Metric):
    """A metric that only notes which targets it is shown."""

    def __init__(self):
        super().__init__(name="rows")
        self.seen = []

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.append(y_true.copy())

    def result(self):
        return 0.0


# --- steps --------------------------------------------------------------------------------------


def _linear_gradients(x, y, kernel, bias):
    dout = 2 * (x @ kernel + bias - y) / y.size
    return x.T @ dout, dout.sum(0)


def test_a_step_of_gradient_descent_is_exact_on_whole_numbers():
    rng = np.random.default_rng(3)
    x, y = integers(rng, (8, 4)), integers(rng, (8, 2))
    model = linear(optimizers.SGD(0.5))
    kernel, bias = model.get_weights()
    dkernel, dbias = _linear_gradients(x, y, kernel, bias)
    loss = model.train_on_batch(x, y)
    assert loss == float(np.mean((x @ kernel + bias - y) ** 2))
    assert_same(model.get_weights()[0], kernel - np.float32(0.5) * dkernel)
    assert_same(model.get_weights()[1], bias - np.float32(0.5) * dbias)


def _sgd(momentum, nesterov):
    def update(p, g, state, t):
        state["v"] = momentum * state.get("v", 0) - 0.01 * g
        return p + (momentum * state["v"] - 0.01 * g if nesterov else state["v"])

    return update


def _adam(p, g, state, t):
    m = state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
    v = state["v"] = 0.999 * state.get("v", 0) + 0.001 * g * g
    return p - 0.001 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)


@pytest.mark.parametrize(
    ("optimizer", "update"),
    [
        (optimizers.SGD(), _sgd(0, False)),
        (optimizers.SGD(momentum=0.9), _sgd(0.9, False)),
        (optimizers.SGD(momentum=0.9, nesterov=True), _sgd(0.9, True)),
        (optimizers.Adam(), _adam),
    ],
    ids=["sgd", "momentum", "nesterov", "adam"],
)
def test_ten_steps_follow_the_formula_of_the_optimizer(optimizer, update):
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(8, 4)), rng.normal(size=(8, 2))
    model = linear(optimizer, dtype="float64")
    expected, states = model.get_weights(), [{}, {}]
    for t in range(1, 11):
        model.train_on_batch(x, y)
        gradients = _linear_gradients(x, y, *expected)
        expected = [update(p, g, state, t) for p, g, state in zip(expected, gradients, states, strict=True)]
    assert optimizer.iterations == 10
    for weight, value in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-13)  # a hundred roundings of 1e-16


def test_the_learning_rate_may_change_between_steps():
    rng = np.random.default_rng(3)
    x, y = integers(rng, (8, 4)), integers(rng, (8, 2))
    model = linear(optimizers.SGD(0.5))
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.train_on_batch(x, y)
    assert_same(model.get_weights()[0], before[0])
    model.optimizer.learning_rate = 0.25
    model.train_on_batch(x, y)
    assert_same(model.get_weights()[1], before[1] - np.float32(0.25) * _linear_gradients(x, y, *before)[1])


def test_frozen_layers_stay_and_thawed_ones_move():
    x, y = stripes(32)
    model = classifier()
    conv, dense = model.layers[0], model.layers[-1]
    before = model.get_weights()
    conv.trainable = False
    model.train_on_batch(x, y)
    assert_same(conv.kernel.value, before[0])
    assert not np.array_equal(dense.kernel.value, before[2])
    conv.trainable = True
    model.train_on_batch(x, y)
    assert not np.array_equal(conv.kernel.value, before[0])


# --- fit ----------------------------------------------------------------------------------------


def test_fit_in_order_is_train_on_batch_in_order():
    x, y = stripes(50)
    one, other = classifier(), classifier()
    other.set_weights(one.get_weights())
    other.layers[3]._drawn_seed = one.layers[3]._drawn_seed
    one.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    for _ in range(2):
        for start in range(0, 50, 16):
            other.train_on_batch(x[start : start + 16], y[start : start + 16])
    assert weights_hash(one) == weights_hash(other)


def test_fit_learns():
    x, y = stripes(600)
    cycnn.utils.set_random_seed(1)
    model = classifier(optimizer=optimizers.Adam(0.01))
    history = model.fit(x[:500], y[:500], epochs=8, validation_data=(x[500:], y[500:]), verbose=0)
    assert model.history is history
    assert history.epoch == list(range(8))
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(type(v) is float and len(vs) == 8 for vs in history.history.values() for v in vs)
    assert history.history["val_accuracy"][-1] > 0.95
    assert history.history["loss"][-1] < history.history["loss"][0] / 2


@pytest.mark.skipif("CYCNN_DATA" not in os.environ, reason="CYCNN_DATA names no folder of data sets")
def test_fit_learns_real_digits():
    (x, y), (x_test, y_test) = datasets.load_mnist(os.path.join(os.environ["CYCNN_DATA"], "mnist"))
    cycnn.utils.set_random_seed(2)
    model = Sequential(
        [
            Input((28, 28, 1)),
            layers.Conv2D(8, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:6000], y[:6000], batch_size=32, epochs=4, verbose=0)
    assert model.evaluate(x_test[:2000], y_test[:2000], verbose=0)[1] > 0.9


def test_epochs_are_counted_from_the_initial_one():
    x, y = stripes(20)
    model = classifier()
    history = model.fit(x, y, epochs=5, initial_epoch=3, verbose=0)
    assert history.epoch == [3, 4]
    assert model.optimizer.iterations == 2
    assert model.fit(x, y, epochs=2, initial_epoch=2, verbose=0).history == {}


def test_every_row_is_seen_once_in_each_epoch_in_a_new_order():
    x = np.zeros((23, 4), "float32")
    y = np.arange(23.0).reshape(-1, 1)
    rows = Rows()
    model = Sequential([Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[rows])
    model.fit(x, y, batch_size=10, epochs=2, verbose=0)
    assert [len(batch) for batch in rows.seen] == [10, 10, 3] * 2
    first, second = np.concatenate(rows.seen[:3]), np.concatenate(rows.seen[3:])
    assert not np.array_equal(first, second) and not np.array_equal(first, y)
    assert_same(np.sort(first, 0), y.astype("float32"))
    assert_same(np.sort(second, 0), y.astype("float32"))
    rows.seen.clear()
    model.fit(x, y, batch_size=10, shuffle=False, verbose=0)
    assert_same(np.concatenate(rows.seen), y.astype("float32"))


def test_validation_split_holds_out_the_last_rows_before_shuffling():
    x, y = stripes(50)
    rows = Rows()
    model = classifier(metrics=[rows])
    history = model.fit(x, y, batch_size=8, validation_split=0.3, verbose=0)
    assert_same(np.concatenate(rows.seen[-2:]), y[35:])
    assert_same(np.sort(np.concatenate(rows.seen[:-2])), np.sort(y[:35]))
    loss = model.evaluate(x[35:], y[35:], batch_size=8, return_dict=True, verbose=0)["loss"]
    assert history.history["val_loss"] == [loss]


def test_losses_of_unequal_batches_are_means_over_rows():
    x, y = stripes(41)
    model = classifier()
    p = model.predict(x, verbose=0).astype("float64")
    exact = -np.log(p[np.arange(41), y]).mean()
    accuracy = float((p.argmax(1) == y).mean())
    for batch_size in (1, 7, 32, 41, 100):
        loss, metric = model.evaluate(x, y, batch_size=batch_size, verbose=0)
        assert metric == accuracy
        assert loss == pytest.approx(exact, rel=1e-6)  # the rows' losses are float32


def test_two_runs_and_any_number_of_threads_give_the_same_bits():
    x, y = stripes(320, size=12)
    threads, hashes = cycnn.get_num_threads(), set()
    try:
        for count in (1, 2, 5, 1, 2, 5):
            cycnn.set_num_threads(count)
            cycnn.utils.set_random_seed(11)
            model = classifier(size=12)
            model.fit(x, y, batch_size=16, verbose=0)
            assert model.optimizer.iterations == 20
            hashes.add(weights_hash(model))
    finally:
        cycnn.set_num_threads(threads)
    assert len(hashes) == 1


def test_training_that_diverges_goes_on_as_in_keras():
    x, y = stripes(32)
    model = classifier()
    x[3] = np.nan
    history = model.fit(x, y, epochs=2, verbose=0)
    assert np.isnan(history.history["loss"]).all() and history.epoch == [0, 1]


# --- data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "uint8", "fortran", "every second", "read-only"])
def test_the_data_set_is_never_copied(kind, shuffle):
    n = 8000
    x = np.random.default_rng(0).integers(0, 9, (n, 12, 12, 1)).astype("float32")
    y = np.arange(n) % 3
    if kind in ("float64", "float16", "uint8"):
        x = x.astype(kind)
    elif kind == "fortran":
        x = np.asfortranarray(x)
    elif kind == "every second":
        x, y = x[::2], y[::2]
    elif kind == "read-only":
        x.flags.writeable = False
    model = Sequential(
        [Input((12, 12, 1)), layers.Rescaling(1 / 9), layers.Flatten(), layers.Dense(3, activation="softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x[:64], y[:64], verbose=0)
    tracemalloc.start()
    try:
        model.fit(x, y, shuffle=shuffle, validation_split=0.25, verbose=0)
        model.evaluate(x, y, verbose=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 4


def test_data_of_every_layout_give_the_same_bits():
    x, y = stripes(40)
    start = classifier().get_weights()
    hashes = set()
    twice = np.repeat(x, 2, axis=0)
    for data in (x, x.astype("float64"), np.asfortranarray(x), twice[::2], x[:, ::-1][:, ::-1], x.tolist()):
        cycnn.utils.set_random_seed(6)
        model = classifier()
        model.set_weights(start)
        model.fit(data, y.tolist(), batch_size=16, verbose=0)
        hashes.add(weights_hash(model))
    assert len(hashes) == 1


def test_fit_does_not_change_the_data():
    x, y = stripes(40)
    x_before, y_before = x.copy(), y.copy()
    classifier().fit(x, y, batch_size=16, epochs=2, verbose=0)
    assert_same(x, x_before)
    assert_same(y, y_before)


def test_no_rows_predict_no_rows():
    assert classifier().predict(np.zeros((0, 6, 6, 1), "float32"), verbose=0).shape == (0, 3)


@pytest.mark.parametrize(
    ("y", "units", "loss", "metric"),
    [
        ([0, 2, 1], 3, "sparse_categorical_crossentropy", metrics.SparseCategoricalAccuracy),
        ([[0], [2], [1]], 3, "sparse_categorical_crossentropy", metrics.SparseCategoricalAccuracy),
        ([[1, 0], [0, 1], [0, 1]], 2, "categorical_crossentropy", metrics.CategoricalAccuracy),
        ([0, 1, 1], 1, "binary_crossentropy", metrics.BinaryAccuracy),
        ([[False], [True], [True]], 1, "binary_crossentropy", metrics.BinaryAccuracy),
        ([[1, 0], [0, 1], [1, 1]], 2, "binary_crossentropy", metrics.CategoricalAccuracy),
    ],
)
def test_accuracy_means_what_it_means_in_keras(y, units, loss, metric):
    activation = "sigmoid" if "binary" in loss else "softmax"
    model = Sequential([Input((4,)), layers.Dense(units, activation=activation)])
    model.compile("sgd", loss, metrics=["accuracy", metric()])
    x = np.random.default_rng(5).normal(size=(3, 4)).astype("float32")
    logs = model.evaluate(x, y, return_dict=True, verbose=0)
    assert logs["accuracy"] == list(logs.values())[2]


def test_images_can_be_targets():
    x = np.random.default_rng(5).normal(size=(6, 4, 4, 2)).astype("float32")
    model = Sequential([Input((4, 4, 2)), layers.Conv2D(2, 3, padding="same")])
    model.compile("sgd", "mse")
    loss = model.evaluate(x, x.astype("float64"), verbose=0)
    assert loss == pytest.approx(np.mean((model(x).astype("float64") - x) ** 2), rel=1e-6)
    assert model.fit(x, x, epochs=20, verbose=0).history["loss"][-1] < loss
    labels = np.random.default_rng(5).integers(0, 2, (6, 4, 4, 1))
    model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    loss, accuracy = model.evaluate(x, labels, verbose=0)
    assert accuracy == float((model(x).argmax(-1) == labels[..., 0]).mean())
    assert loss == model.loss(labels, model(x))


# --- what is returned and printed ---------------------------------------------------------------


def test_values_come_as_a_number_a_list_or_a_dict():
    x, y = stripes(10)
    plain, measured = classifier(metrics=[]), classifier()
    for method in ("evaluate", "train_on_batch", "test_on_batch"):
        silent = {"verbose": 0} if method == "evaluate" else {}
        assert type(getattr(plain, method)(x, y, **silent)) is float
        values = getattr(measured, method)(x, y, **silent)
        assert [type(value) for value in values] == [float, float]
        logs = getattr(measured, method)(x, y, return_dict=True, **silent)
        assert list(logs) == ["loss", "accuracy"]


def test_silence_prints_nothing(capsys):
    x, y = stripes(40)
    model = classifier()
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_a_log_gets_one_plain_line_for_each_epoch(capsys, verbose):
    x, y = stripes(40)
    model = classifier()
    model.fit(x, y, epochs=2, validation_split=0.5, verbose=verbose)
    model.evaluate(x, y, verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("Epoch 1/2 - ") and lines[1].startswith("Epoch 2/2 - ")
    assert " rows/s - loss: " in lines[0] and " - val_accuracy: " in lines[0]
    assert lines[2].startswith("Evaluate - ")


def test_a_terminal_gets_a_bar_too(capsys, monkeypatch):
    x, y = stripes(80)
    model = classifier()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    model.fit(x, y, verbose="auto")
    model.predict(x)
    out = capsys.readouterr().out
    assert "\rEpoch 1/1:   0%|" in out and "\rPredict:   0%|" in out
    assert "Epoch 1/1 - " in out.splitlines()[-1] or "Epoch 1/1 - " in out


# --- interruption and failure -------------------------------------------------------------------


class _CtrlC(metrics.Metric):
    """Presses Ctrl-C in the middle of a step, `times` times."""

    def __init__(self, step, times=1):
        super().__init__(name="ctrl_c")
        self.step, self.times, self.finished = step, times, 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        if self.finished == self.step:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)
        self.finished += 1

    def result(self):
        return 0.0


@pytest.fixture
def ctrl_c_is_heard():
    """Handle Ctrl-C as Python does; a process that a shell has started in the background ignores it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_ends_training_after_the_running_step():
    x, y = stripes(64)
    ctrl_c = _CtrlC(step=5)
    model = classifier(metrics=[ctrl_c])
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=16, epochs=3, verbose=0)
    assert ctrl_c.finished == 6 == model.optimizer.iterations
    assert model.history.epoch == [0] and len(model.history.history["loss"]) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ctrl_c.step = -1
    model.fit(x, y, verbose=0)
    assert np.isfinite(model.predict(x, verbose=0)).all()


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_the_second_ctrl_c_does_not_wait():
    x, y = stripes(64)
    ctrl_c = _CtrlC(step=2, times=2)
    model = classifier(metrics=[ctrl_c])
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=16, verbose=0)
    assert ctrl_c.finished == 2


def test_a_handler_of_the_user_stays():
    x, y = stripes(16)
    caught = []
    previous = signal.signal(signal.SIGINT, lambda *_: caught.append(1))
    try:
        classifier(metrics=[_CtrlC(step=0)]).fit(x, y, verbose=0)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert caught == [1]


def test_a_call_that_fails_leaves_the_model_as_it_was():
    x, y = stripes(32)
    model = Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    for bad_x, bad_y in ((x, y + 3), (x, y[:5]), (x[:, :2], y), (x[:0], y[:0]), ((x * 9).astype(int), y)):
        with pytest.raises((TypeError, ValueError)):
            model.fit(bad_x, bad_y, verbose=0)
        assert not model.built and model.optimizer.iterations == 0 and model.history is None
    with pytest.raises(ValueError, match="validation_data"):
        model.fit(x, y, validation_data=(x[:, :5], y), verbose=0)
    assert not model.built
    model.fit(x, y, verbose=0)
    before = weights_hash(model)
    with pytest.raises(ValueError, match="between 0 and 2"):
        model.fit(x, y - 1, verbose=0)
    assert weights_hash(model) == before


def test_programs_of_the_last_few_batch_sizes_are_kept():
    model = classifier()
    for n in range(1, 12):
        model.predict(stripes(n)[0], verbose=0)
    assert len(model._programs.values()) == 6
    kept = model._programs.values()
    model.predict(stripes(11)[0], verbose=0)
    assert model._programs.values() == kept
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert len(model._programs.values()) == 0


def test_callbacks_of_evaluate_and_predict_are_told():
    x, y = stripes(10)

    class Note(callbacks.Callback):
        def on_test_end(self, logs=None):
            self.logs = logs

        def on_predict_batch_end(self, batch, logs=None):
            self.outputs = logs["outputs"].copy()

    note, model = Note(), classifier()
    assert model.evaluate(x, y, callbacks=[note], return_dict=True, verbose=0) == note.logs
    assert_same(model.predict(x, callbacks=note, verbose=0), note.outputs)


class _StopAfter(callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = True


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_training_may_stop_within_an_epoch(verbose, capsys):
    model = Sequential([Input((4,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 4), "float32"), np.zeros((8, 2), "float32")
    history = model.fit(x, y, batch_size=2, epochs=3, verbose=verbose, callbacks=[_StopAfter()])
    assert history.epoch == [0]
    assert model.optimizer.iterations == 1


def test_frozen_layers_cost_no_gradient_steps():
    model = Sequential([Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    for layer in model.layers[:2]:
        layer.trainable = False
    frozen = [layer.get_weights() for layer in model.layers[:2]]
    x, y = np.ones((4, 8, 8, 1), "float32"), np.zeros((4, 2), "float32")
    model.train_on_batch(x, y)
    (program,) = model._programs.values()
    names = [type(step).__name__ for step in program.steps]
    assert names.count("Conv2DBackwardKernel") == 1
    assert names.count("Conv2DBackwardInput") == 0
    for layer, before in zip(model.layers[:2], frozen, strict=True):
        for now, then in zip(layer.get_weights(), before, strict=True):
            assert_same(now, then)


def test_metrics_that_do_not_fit_the_targets_are_refused_before_any_work():
    model = Sequential([Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["categorical_accuracy"])
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"CategoricalAccuracy: `y_true` must have the shape \(batch, 3\)"):
        model.fit(np.ones((6, 4), "float32"), np.zeros(6, int), verbose=0)
    for now, then in zip(model.get_weights(), before, strict=True):
        assert_same(now, then)
