"""Saved models: what comes back, what is refused, and that a file is whole or not there."""

import json
import os
import random

import numpy as np
import pytest
from helpers import assert_same
from processes import output_of

import cycnn
from cycnn import Input, Model, Sequential, constraints, files, initializers, layers, losses, metrics, optimizers

X = np.random.default_rng(0).normal(size=(24, 8, 8, 2)).astype("float32")
Y = np.arange(24) % 3


def network():
    """Return a compiled network with a branch, batch normalisation, dropout and an inner model."""
    x = Input((8, 8, 2))
    y = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.Add()([y, layers.Conv2D(4, 1)(x)])
    y = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(y))
    head = Sequential(
        [Input((4,)), layers.Dense(5, activation="tanh"), layers.Dense(3, activation="softmax")], name="head"
    )
    model = Model(x, head(y))
    model.compile(cycnn.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_training_goes_on_with_the_same_bits(path):
    cycnn.utils.set_random_seed(1)
    model = network()
    model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    model.save(path)
    again = cycnn.load_model(path)
    assert again.get_config() == model.get_config()
    assert_same(again.predict(X, verbose=0), model.predict(X, verbose=0))
    for each in (model, again):
        each.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        assert_same(ours, theirs)


class Scaled(losses.MeanSquaredError):
    """A loss of the user's."""


class Share(metrics.MeanAbsoluteError):
    """A metric of the user's."""


class Clip(constraints.Constraint):
    """A constraint of the user's."""

    def __call__(self, w):
        return np.clip(w, -1, 1)


class Sevenths(initializers.Constant):
    """An initializer of the user's."""

    def __init__(self, value=1 / 7):
        super().__init__(value)


class Halving(optimizers.schedules.LearningRateSchedule):
    """A schedule of the user's."""

    arguments = ("first",)

    def __init__(self, first=0.1):
        self.first = first

    def __call__(self, step):
        return self.first * 0.5**step


OWN = {cls.__name__: cls for cls in (Scaled, Share, Clip, Sevenths, Halving)}


@pytest.mark.parametrize(
    ("loss", "chosen", "custom"),
    [
        (losses.Huber(2.0), [metrics.MeanSquaredError(name="squares"), "mae"], None),
        (losses.Huber, [metrics.MeanSquaredError], None),
        (losses.mean_absolute_error, [metrics.mean_squared_error, losses.log_cosh, metrics.binary_accuracy], None),
        ({"dense": losses.hinge}, {"dense": [metrics.hinge]}, None),
        ([losses.Huber(delta=3.0)], [losses.LogCosh(), losses.Hinge], None),
        ({"dense": "mse"}, {"dense": [metrics.R2Score(num_regressors=1)]}, None),
        (Scaled(reduction="sum"), [Share(name="own")], OWN),
    ],
)
def test_objects_that_compile_was_given_come_back(path, loss, chosen, custom):
    layer = layers.Dense(2, kernel_constraint=Clip(), kernel_initializer=Sevenths()) if custom else layers.Dense(2)
    model = Sequential([Input((3,)), layer])
    model.compile("sgd", loss, metrics=chosen)
    x, y = X.reshape(-1, 3)[:24], X.reshape(-1, 2)[:24]
    model.fit(x, y, verbose=0)
    model.save(path)
    again = cycnn.load_model(path, custom_objects=custom)
    assert [type(each.loss) for each in again.objectives] == [type(each.loss) for each in model.objectives]
    for each in (model, again):
        each.fit(x, y, shuffle=False, verbose=0)
    assert again.history.history == model.history.history


def test_classes_of_the_users_are_found_wherever_they_are_used(path):
    layer = layers.Dense(2, kernel_constraint=Clip(), kernel_initializer=Sevenths())
    model = Sequential([Input((3,)), Sequential([layer])])
    model.compile(optimizers.SGD(Halving(0.25)), Scaled())
    model.save(path)
    again = cycnn.load_model(path, custom_objects=OWN)
    assert type(again.layers[0].layers[0].kernel_constraint) is Clip
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for name in OWN.keys() - {"Share"}:
        with pytest.raises(ValueError, match=f"{name}|custom_objects"):
            cycnn.load_model(path, custom_objects={key: OWN[key] for key in OWN if key != name})
    with pytest.raises(ValueError, match="Clip"):
        cycnn.load_model(path, custom_objects=OWN | {"Clip": Scaled})  # of another kind: it is not known


def test_weights_alone_are_found_by_name(path):
    model, other = network(), network()
    model.save_weights(path)
    other.load_weights(path)
    assert_same(other.predict(X, verbose=0), model.predict(X, verbose=0))


def test_weights_that_do_not_fit_are_refused_or_passed_over(path):
    model = network()
    model.save_weights(path)
    other = Sequential([Input((8, 8, 2)), layers.Conv2D(4, 3, padding="same", use_bias=False), layers.Conv2D(9, 3)])
    before = other.get_weights()
    with pytest.raises(ValueError, match="load_weights: `filepath` must hold conv2d_1/"):
        other.load_weights(path)
    assert_same(other.get_weights()[0], before[0])
    other.load_weights(path, skip_mismatch=True)
    assert_same(other.get_weights()[0], model.get_weights()[0])
    assert_same(other.get_weights()[1], before[1])


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    model = network()
    model.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_file_is_replaced_unless_it_must_not_be(path):
    model = network()
    model.save(filepath=path, overwrite=False)
    for save in (model.save, model.save_weights):
        with pytest.raises(FileExistsError, match=r"save_(model|weights): `overwrite` must be True to replace a file"):
            save(path, overwrite=False)
    model.save(path)
    assert_same(cycnn.models.load_model(path, safe_mode=True).get_weights()[0], model.get_weights()[0])


def test_missing_file_is_an_os_error(path):
    with pytest.raises(FileNotFoundError):
        cycnn.load_model(path)


def damaged(data, rng):
    """Return a damaged copy of a file: cut short, with bits flipped, or with another header."""
    kind = rng.randrange(4)
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        copy = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            copy[rng.randrange(len(copy))] ^= 1 << rng.randrange(8)
        return bytes(copy)
    length = int.from_bytes(data[:8], "little")
    if kind == 2:  # a wrong length of the header
        return rng.choice([2**63, 2**64 - 1, 10**8, length + 1, length - 1, 0]).to_bytes(8, "little") + data[8:]
    header = json.loads(data[8 : 8 + length])
    name = rng.choice([name for name in header if name != "__metadata__"])
    change = rng.randrange(5)
    if change == 0:
        header[name]["shape"] = [2**40, 2**40]
    elif change == 1:
        header[name]["data_offsets"] = [0, 4]
    elif change == 2:
        header["__metadata__"]["cycnn"] = "[" * 100_000
    elif change == 3:
        header["__metadata__"] = {"cycnn": '{"format": "cycnn 1"}'}
    else:
        header[name]["dtype"] = rng.choice(["F16", "BF16", "nonsense", "BOOL"])
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


# Descriptions that lie, in files whose checksum is right.
HOSTILE = [
    lambda d: d["model"]["config"]["layers"][1]["config"].update(filters=2**30),
    lambda d: d["model"]["config"]["layers"][1].update(class_name="os.system"),
    lambda d: d["model"]["config"]["layers"][1].update(class_name="Layer"),
    lambda d: d["model"]["config"]["wiring"].append([1, {"one": [99, 0]}]),
    lambda d: d["model"].update(config=[]),
    lambda d: d.update(model={"class_name": "Sequential", "config": {"name": "x", "layers": "abc", "trainable": 1}}),
    lambda d: d.update(compiled={"optimizer": 3}),
    lambda d: d.update(seeds={"nobody": "1"}),
    lambda d: d.clear(),
]

# Loads every bad file in a process that may use 64 MB more than a good file took.
LOAD_ALL = """
import glob
import sys

import cycnn

cycnn.load_model("good.safetensors")
if sys.platform == "linux":
    import resource

    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 64_000_000,) * 2)
names = sorted(glob.glob("bad*.safetensors"))
for name in names:
    try:
        cycnn.load_model(name)
    except ValueError as error:
        assert name in str(error), error
    else:
        sys.exit(f"{name} was loaded")
print(len(names))
"""


def test_two_thousand_damaged_files_are_refused_by_name_in_bounded_memory(path):
    network().save(path)
    data = path.read_bytes()
    path.rename(path.parent / "good.safetensors")
    rng = random.Random(0)
    bad = [each for each in (damaged(data, rng) for _ in range(2010)) if each != data]
    for i, content in enumerate(bad):
        (path.parent / f"bad{i:04}.safetensors").write_bytes(content)
    for i, change in enumerate(HOSTILE):
        arrays, description = files.read(path.parent / "good.safetensors")
        change(description)
        files.write(path.parent / f"bad_description{i}.safetensors", arrays, description)
    count = int(output_of(LOAD_ALL, path.parent, CYCNN_NUM_THREADS="1"))
    assert count == len(bad) + len(HOSTILE) > 2000


@pytest.mark.parametrize("change", HOSTILE)
def test_hostile_descriptions_with_a_right_checksum_are_refused(path, change):
    network().save(path)
    arrays, description = files.read(path)
    change(description)
    files.write(path, arrays, description)
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        cycnn.load_model(path)


def test_deep_json_with_a_right_checksum_is_refused(path):
    network().save(path)
    arrays, description = files.read(path)
    inner = description["model"]
    for _ in range(300):
        inner = {"class_name": "Sequential", "config": {"name": "s", "trainable": True, "layers": [inner]}}
    description["model"] = inner
    files.write(path, arrays, description)
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        cycnn.load_model(path)
