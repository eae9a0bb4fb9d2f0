"""Runs that were killed and started again: the same bits as those that were not."""

import hashlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import assert_same
from processes import environment

import cycnn
from cycnn import Input, Sequential, callbacks, layers, losses, utils

SCRIPT = """
import sys
import numpy as np
import cycnn
from cycnn import Input, Sequential, callbacks, layers

folder, pause = sys.argv[1], float(sys.argv[2])
cycnn.utils.set_random_seed(5)
rng = np.random.default_rng(0)
x = rng.integers(0, 255, (256, 12, 12, 3)).astype("uint8")
y = rng.integers(0, 4, 256)
model = Sequential([
    Input((12, 12, 3)), layers.Rescaling(1 / 255), layers.RandomFlip("horizontal"), layers.RandomTranslation(0.1, 0.1),
    layers.Conv2D(8, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D(),
    layers.Flatten(), layers.Dropout(0.4), layers.Dense(4, activation="softmax"),
])
rate = cycnn.optimizers.schedules.CosineDecay(0.01, 96)
model.compile(cycnn.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])


class Slow(callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        import time

        time.sleep(pause)


stopping = callbacks.EarlyStopping("val_loss", patience=50, restore_best_weights=True)
backup = callbacks.BackupAndRestore(folder + "/backup", save_freq=3)
model.fit(x, y, batch_size=16, epochs=6, validation_split=0.25, verbose=0, callbacks=[stopping, backup, Slow()])
model.save(folder + "/final.safetensors")
"""


def digest(folder):
    return hashlib.sha256((folder / "final.safetensors").read_bytes()).hexdigest()


def test_killed_at_twenty_random_moments(tmp_path):
    """However fast the machine is: a run that ends between two kills is compared, and another one begun."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    subprocess.run([sys.executable, script, whole, "0"], env=environment(), check=True)
    rng = np.random.default_rng(11)
    kills = 0
    while kills < 20:
        process = subprocess.Popen([sys.executable, script, killed, "0.1"], env=environment())
        time.sleep(rng.uniform(0.2, 1.0))
        process.kill()
        if process.wait() == -signal.SIGKILL:
            kills += 1
        else:
            check_ended(killed, whole)
            (killed / "final.safetensors").unlink()
    subprocess.run([sys.executable, script, killed, "0"], env=environment(), check=True)
    check_ended(killed, whole)


def check_ended(killed, whole):
    """Compare the file that a run has left behind, and see that its backup is gone."""
    assert digest(killed) == digest(whole)
    assert not (killed / "backup" / "backup.safetensors").exists()


class Killed(Exception):
    """What stands for a process that is killed."""


class Kill(callbacks.Callback):
    """Kills the run after so many steps."""

    def __init__(self, steps):
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise Killed


class Shifted(utils.PyDataset):
    """Batches that are others in each epoch."""

    def __init__(self):
        super().__init__(workers=2)
        self.epoch = 0

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rng = np.random.default_rng([self.epoch, index])
        return rng.normal(size=(6, 3)), rng.normal(size=(6, 2))

    def on_epoch_end(self):
        self.epoch += 1

    def get_state(self):
        return {"epoch": self.epoch}

    def set_state(self, state):
        self.epoch = state["epoch"]


def arrays():
    """Return inputs, targets and the size of batches, of which there are four."""
    rng = np.random.default_rng(4)
    return rng.normal(size=(22, 3)).astype("float32"), rng.normal(size=(22, 2)).astype("float32"), 6


def folder_of_images(path):
    """Return a data set of a folder of images, shuffled anew in each epoch."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    for i in range(20):
        file = path / "images" / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(np.full((4, 4, 3), 12 * i, "uint8")).save(file)
    return utils.image_dataset_from_directory(path / "images", image_size=(4, 4), batch_size=5, seed=3, verbose=False)


@pytest.mark.parametrize("steps_per_epoch", (None, 3))
@pytest.mark.parametrize("save_freq", ("epoch", 2))
@pytest.mark.parametrize("kind", ("arrays", "batches", "images"))
def test_data_sets_go_on_where_they_were(tmp_path, kind, save_freq, steps_per_epoch):
    def train(folder, *kills):
        folder.mkdir(exist_ok=True)
        for kill in (*kills, 0):
            cycnn.utils.set_random_seed(5)
            data = {"arrays": arrays, "batches": Shifted, "images": lambda: folder_of_images(folder)}[kind]()
            x, y, batch_size = data if kind == "arrays" else (data, None, None)
            shape = (4, 4, 3) if kind == "images" else (3,)
            model = Sequential([Input(shape), layers.Flatten(), layers.Dropout(0.2), layers.Dense(2)])
            model.compile("adam", "mse" if kind != "images" else losses.SparseCategoricalCrossentropy(True))
            backup = callbacks.BackupAndRestore(folder / "backup", save_freq)
            checkpoint = callbacks.ModelCheckpoint(folder / "{epoch}.safetensors", save_freq=5)
            options = {"epochs": 4, "steps_per_epoch": steps_per_epoch, "verbose": 0}
            try:
                history = model.fit(x, y, batch_size, callbacks=[backup, checkpoint, Kill(kill)], **options)
            except Killed:
                continue
        files = sorted(path.name for path in folder.glob("*.safetensors"))
        return history.history, files, *model.get_weights()

    whole = train(tmp_path / "whole")
    killed = train(tmp_path / "killed", 6, 5, 2)
    assert killed[:2] == whole[:2]
    for ours, theirs in zip(killed[2:], whole[2:], strict=True):
        assert_same(ours, theirs)


def test_backup_of_another_model_is_refused(tmp_path):
    x, y = np.zeros((8, 3), "float32"), np.zeros((8, 2), "float32")
    for units in (2, 5):
        model = Sequential([Input((3,)), layers.Dense(units), layers.Dense(2)])
        model.compile("sgd", "mse")
        keep = callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        if units == 2:
            model.fit(x, y, verbose=0, callbacks=[keep])
        else:
            with pytest.raises(ValueError, match="hold a backup of this model"):
                model.fit(x, y, verbose=0, callbacks=[keep])
