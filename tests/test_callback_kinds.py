"""Callbacks that stop, slow down, save and log."""

import csv
import struct

import numpy as np
import pytest
from helpers import assert_same

import cycnn
from cycnn import Input, Sequential, callbacks, layers

RNG = np.random.default_rng(2)
X = RNG.normal(size=(32, 4)).astype("float32")
Y = (X @ RNG.normal(size=(4, 1))).astype("float32")


def model(rate=0.05):
    made = Sequential([Input((4,)), layers.Dense(3, activation="tanh", name="hidden"), layers.Dense(1, name="out")])
    made.compile(cycnn.optimizers.SGD(rate), "mse")
    return made


class Logs(callbacks.Callback):
    """Give the callbacks behind it a loss of our choice, and note the parameters of each epoch."""

    def __init__(self, values):
        self.values, self.weights, self.rates = values, [], []

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.values[epoch]
        self.weights.append(self.model.get_weights())
        self.rates.append(float(self.model.optimizer.learning_rate))


def run(values, *others):
    made, logs = model(), Logs(values)
    history = made.fit(X, Y, epochs=len(values), verbose=0, callbacks=[logs, *others])
    return made, logs, history


@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping(restore):
    stop = callbacks.EarlyStopping(patience=2, restore_best_weights=restore)
    made, logs, history = run([5.0, 3.0, 4.0, 3.5, 1.0], stop)
    assert len(history.epoch) == 4 and stop.stopped_epoch == 3 and stop.best_epoch == 1
    for weight, expected in zip(made.get_weights(), logs.weights[1 if restore else 3], strict=True):
        assert_same(weight, expected)


def test_reduce_on_plateau():
    reduce = callbacks.ReduceLROnPlateau(factor=0.5, patience=2, min_lr=0.02)
    made, logs, _ = run([5.0, 5.0, 5.0, 5.0, 5.0, 1.0], reduce)
    assert np.allclose(logs.rates, [0.05, 0.05, 0.05, 0.025, 0.025, 0.02])
    assert float(made.optimizer.learning_rate) == 0.02


def test_learning_rate_scheduler():
    scheduler = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    _, logs, history = run([1.0, 1.0, 1.0], scheduler)
    assert np.allclose(logs.rates, [0.025, 0.0125, 0.00625])
    assert history.history["learning_rate"] == logs.rates


def test_checkpoints(tmp_path):
    every = callbacks.ModelCheckpoint(tmp_path / "model-{epoch:02d}.safetensors")
    best = callbacks.ModelCheckpoint(tmp_path / "best.safetensors", save_best_only=True, save_weights_only=True)
    made, logs, _ = run([3.0, 1.0, 2.0], every, best)
    assert {path.name for path in tmp_path.iterdir()} == {"best.safetensors"} | {
        f"model-0{i}.safetensors" for i in (1, 2, 3)
    }
    made.load_weights(tmp_path / "best.safetensors")
    assert_same(made.get_weights()[0], logs.weights[1][0])
    assert_same(cycnn.load_model(tmp_path / "model-01.safetensors").get_weights()[0], logs.weights[0][0])


def test_csv_logger(tmp_path):
    run([3.0, 1.0], callbacks.CSVLogger(tmp_path / "log.csv"))
    run([2.0], callbacks.CSVLogger(tmp_path / "log.csv", append=True))
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "0"]
    assert [float(row["val_loss"]) for row in rows] == [3.0, 1.0, 2.0]


def test_terminate_on_nan_names_the_layer_and_keeps_the_parameters(capsys):
    made = model()
    weights = made.get_weights()
    weights[0][...], weights[1][...], weights[2][...] = 0, 10, 3e38  # three times the largest number, nearly
    made.set_weights(weights)
    end = callbacks.TerminateOnNaN()
    made.fit(X, Y, batch_size=8, epochs=3, verbose=0, callbacks=[end])
    assert end.found == "the output of 'out'"
    assert "Batch 0" in capsys.readouterr().out
    for weight, before in zip(made.get_weights(), weights, strict=True):
        assert_same(weight, before)


def test_lambda_callback():
    seen = []
    run([1.0, 1.0], callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch)))
    assert seen == [0, 1]
    with pytest.raises(TypeError, match="must be an event of Callback"):
        callbacks.LambdaCallback(on_tuesday=print)


def tensorboard_events(folder):
    """Return (tag, step, value) of all scalars, and (tag, step) of all histograms, in the files of a folder."""
    from tensorboardX.proto.event_pb2 import Event

    scalars, histograms = [], []
    for path in folder.iterdir():
        data, at = path.read_bytes(), 0
        while at < len(data):  # a length, its checksum, so many bytes, their checksum
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            at += length + 16
            for value in event.summary.value:
                if value.HasField("histo"):
                    histograms.append((value.tag, event.step))
                else:
                    scalars.append((value.tag, event.step, value.simple_value))
    return scalars, histograms


def test_tensorboard_gets_the_logs_of_epochs_and_batches_and_histograms(tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    made = model()
    made.compile("sgd", "mse", metrics=[cycnn.metrics.MeanAbsoluteError(name="interval_error")])
    callback = callbacks.TensorBoard(tmp_path, histogram_freq=2, update_freq=3)
    history = made.fit(
        X, Y, batch_size=8, epochs=3, validation_data=(X[:8], Y[:8]), verbose=0, callbacks=callback
    ).history
    scalars, histograms = tensorboard_events(tmp_path / "train")
    expected = [
        (f"epoch_{name}", epoch, np.float32(history[name][epoch]))
        for epoch in range(3)
        for name in ("loss", "interval_error")
    ]
    assert [scalar for scalar in scalars if scalar[0].startswith("epoch")] == expected
    batches = [("batch_loss", "batch_interval_error")[i % 2] for i in range(8)]
    assert [scalar[:2] for scalar in scalars if scalar[0].startswith("batch")] == list(
        zip(batches, np.repeat([3, 6, 9, 12], 2), strict=True)
    )
    assert sorted(histograms) == [(path, epoch) for path in sorted(made.named_variables()) for epoch in (0, 2)]
    held_out, none = tensorboard_events(tmp_path / "validation")
    assert held_out == [(tag, epoch, np.float32(history["val_" + tag[6:]][epoch])) for tag, epoch, _ in expected]
    assert none == []


def test_tensorboard_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(ImportError, match="pip install tensorboardX"):
        callbacks.TensorBoard()


def test_a_schedule_may_be_of_the_epoch_alone():
    _, logs, _ = run([1.0, 1.0, 1.0], callbacks.LearningRateScheduler(lambda epoch: 0.5 / 2**epoch))
    assert logs.rates == [0.5, 0.25, 0.125]
    with pytest.raises(TypeError, match="LearningRateScheduler: `schedule` must be a function"):
        callbacks.LearningRateScheduler(0.1)


def test_numbers_that_are_not_finite_may_raise():
    made = model(1e30)
    with pytest.raises(RuntimeError, match=r"TerminateOnNaN: Batch [01]: not a finite number in "):
        made.fit(X, Y, epochs=3, verbose=0, callbacks=[callbacks.TerminateOnNaN(raise_error=True)])
    assert all(np.isfinite(w).all() for w in made.get_weights())
    assert not made.guarded


def test_events_without_a_function_are_passed_over():
    seen = []
    both = callbacks.LambdaCallback(on_epoch_begin=None, on_epoch_end=lambda epoch, logs: seen.append(epoch))
    model().fit(X, Y, epochs=2, verbose=0, callbacks=[both])
    assert seen == [0, 1]


@pytest.mark.parametrize("name", ("write_images", "write_steps_per_second", "profile_batch", "embeddings_freq"))
def test_tensorboard_refuses_what_it_does_not_write(tmp_path, name):
    with pytest.raises(ValueError, match=f"TensorBoard: `{name}` must be left out"):
        callbacks.TensorBoard(tmp_path, **{name: 1})
