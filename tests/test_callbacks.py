"""What callbacks are told, and when."""

import numpy as np
import pytest

from cycnn import Input, Sequential, callbacks, layers


class Recorder(callbacks.Callback):
    """Notes every event with its number and the names in its logs."""

    def __init__(self):
        self.events = []


def _recording(event):
    def note(self, *arguments):
        number = [argument for argument in arguments if isinstance(argument, int)]
        logs = next((list(argument) for argument in arguments if isinstance(argument, dict)), None)
        self.events.append((event[3:], *number, logs))

    return note


for _event in [name for name in vars(callbacks.Callback) if name.startswith("on_") and "on_batch" not in name]:
    setattr(Recorder, _event, _recording(_event))


@pytest.fixture
def model():
    model = Sequential([Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


X = np.random.default_rng(0).normal(size=(10, 4)).astype("float32")
Y = np.arange(10) % 3
TRAIN = ["loss", "accuracy"]
VALIDATION = ["val_loss", "val_accuracy"]


def test_fit_tells_of_training_epochs_batches_and_validation(model):
    recorder = Recorder()
    model.fit(X, Y, batch_size=4, epochs=2, validation_split=0.4, callbacks=[recorder], verbose=0)
    epochs = []
    for epoch in range(2):
        epochs += [
            ("epoch_begin", epoch, []),
            ("train_batch_begin", 0, []),
            ("train_batch_end", 0, TRAIN),
            ("train_batch_begin", 1, []),
            ("train_batch_end", 1, TRAIN),
            ("test_begin", []),
            ("test_batch_begin", 0, []),
            ("test_batch_end", 0, TRAIN),
            ("test_end", TRAIN),
            ("epoch_end", epoch, TRAIN + VALIDATION),
        ]
    assert recorder.events == [("train_begin", []), *epochs, ("train_end", TRAIN + VALIDATION)]
    assert recorder.model is model
    assert recorder.params == {"epochs": 2, "steps": 2, "verbose": 0}


def test_evaluate_and_predict_tell_of_batches(model):
    recorder = Recorder()
    model.evaluate(X, Y, batch_size=10, callbacks=[recorder], verbose=0)
    model.predict(X, batch_size=10, callbacks=[recorder], verbose=0)
    assert recorder.events == [
        ("test_begin", []),
        ("test_batch_begin", 0, []),
        ("test_batch_end", 0, TRAIN),
        ("test_end", TRAIN),
        ("predict_begin", []),
        ("predict_batch_begin", 0, []),
        ("predict_batch_end", 0, ["outputs"]),
        ("predict_end", []),
    ]


def test_the_short_names_of_batch_events_work(model):
    class Short(callbacks.Callback):
        seen = ()

        def on_batch_begin(self, batch, logs=None):
            self.seen += (("begin", batch),)

        def on_batch_end(self, batch, logs=None):
            self.seen += (("end", batch),)

    short = Short()
    model.fit(X, Y, batch_size=5, callbacks=short, verbose=0)
    assert short.seen == (("begin", 0), ("end", 0), ("begin", 1), ("end", 1))


def test_training_stops_when_a_callback_says_so(model):
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    history = model.fit(X, Y, epochs=10, callbacks=[Stop()], verbose=0)
    assert history.epoch == [0, 1]
    assert model.fit(X, Y, epochs=3, verbose=0).epoch == [0, 1, 2]


def test_a_callback_can_change_the_learning_rate(model):
    class Freeze(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.optimizer.learning_rate = 0
                self.weights = self.model.get_weights()

    freeze = Freeze()
    model.fit(X, Y, epochs=3, callbacks=[freeze], verbose=0)
    for weight, was in zip(model.get_weights(), freeze.weights, strict=True):
        np.testing.assert_array_equal(weight, was)


def test_logs_of_batches_are_means_so_far(model):
    losses = []

    class Note(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            losses.append(logs["loss"])

    model.optimizer.learning_rate = 0
    model.fit(X, Y, batch_size=4, shuffle=False, callbacks=[Note()], verbose=0)
    expected = [model.evaluate(X[:n], Y[:n], verbose=0)[0] for n in (4, 8, 10)]
    np.testing.assert_allclose(losses, expected, rtol=1e-15)  # two orders of adding float64 numbers


def test_history_is_new_for_each_fit(model):
    first = model.fit(X, Y, verbose=0)
    second = model.fit(X, Y, epochs=2, verbose=0)
    assert first is not second and model.history is second
    assert len(first.history["loss"]) == 1 and len(second.history["loss"]) == 2
