"""Training that is taken up again where it was, with the same bits, whenever it was killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from .. import files, saving, validation
from ..randomness import default_rng
from ..validation import message
from .base import Callback, Logs

FILE = "backup.safetensors"


class BackupAndRestore(Callback):
    """Keep a backup of a run, and take the run up again from it.

    A run that is started again with the same arguments after it was killed ends with the same bits as one that was
    not: the backup holds parameters, what the optimizer remembers, the state of the random generator, the place in
    the epoch, the logs so far, and the counters of the other callbacks and of the data set (`PyDataset.get_state`).
    After a run that has come to its end, the backup is deleted.

    Parameters
    ----------
    backup_dir : path
        Folder of the backup, made if need be.
    save_freq : "epoch" or int
        After each epoch, the default, or also after so many steps.
    double_checkpoint : bool
        Without effect: a backup is whole or not there, and a killed run leaves the one before.
    delete_checkpoint : bool
        Whether to delete the backup at the end of training, True by default.

    Notes
    -----
    Put it before other callbacks that write files. What a generator has given before cannot be given again: with one,
    back up after epochs, and derive what it draws from the number of the batch (see `MixUp`).

    Examples
    --------
    >>> BackupAndRestore("backup", save_freq=100).save_freq
    100
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        self.backup_dir = Path(backup_dir)
        if save_freq != "epoch":
            validation.positive_int("BackupAndRestore", "save_freq", save_freq)
        self.save_freq = save_freq
        self.double_checkpoint = validation.boolean("BackupAndRestore", "double_checkpoint", double_checkpoint)
        self.delete_checkpoint = validation.boolean("BackupAndRestore", "delete_checkpoint", delete_checkpoint)
        self._epoch = 0

    @property
    def path(self) -> Path:
        """The file of the backup."""
        return self.backup_dir / FILE

    def on_train_begin(self, logs: Logs = None) -> None:
        self.backup_dir.mkdir(parents=True, exist_ok=True)

    def after_train_begin(self) -> None:
        if self.path.exists():
            self._restore()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if isinstance(self.save_freq, int) and (batch + 1) % self.save_freq == 0:
            place = {"order": self.model.epoch_rng, "batch": batch + 1, "meter": self.model.epoch_meter.get_state()}
            self._save(self._epoch, place)

    def after_epoch_end(self, epoch: int) -> None:
        self._save(epoch + 1, None)

    def on_train_end(self, logs: Logs = None) -> None:
        if self.delete_checkpoint:
            self.path.unlink(missing_ok=True)

    def _save(self, epoch: int, place: dict[str, Any] | None) -> None:
        arrays, description = saving.state_of(self.model)
        source = self.model.running_source
        assert source is not None
        description["run"] = {
            "epoch": epoch,
            "place": None if place is None else _packed(place, arrays),
            "data": _packed(source.get_state() if place is None else self.model.epoch_data, arrays),
            "rng": _packed(default_rng().bit_generator.state, arrays),
            "stop": self.model.stop_training,
            "callbacks": [_packed(callback.get_state(), arrays) for callback in self.model.running_callbacks],
        }
        files.write(self.path, arrays, description)

    def _restore(self) -> None:
        arrays, description = files.read(self.path)
        run, now = description.get("run"), saving.state_of(self.model)[1]
        if run is None or description["model"] != now["model"]:
            rule = "hold a backup of this model, with the same layers"
            raise ValueError(message("BackupAndRestore", "backup_dir", rule, f"backup_dir={str(self.backup_dir)!r}"))
        saving.restore(self.model, arrays, description)
        rng, place = _unpacked(run["rng"], arrays), _unpacked(run["place"], arrays)
        default_rng().bit_generator.state = rng
        self.model.start_at(run["epoch"], place and place | {"rng": rng}, _unpacked(run["data"], arrays))
        states = [_unpacked(state, arrays) for state in run["callbacks"]]
        for callback, state in zip(self.model.running_callbacks, states, strict=True):
            callback.set_state(state)
        self.model.stop_training = run["stop"]


def _packed(value: Any, arrays: dict[str, Any]) -> Any:
    """Return nested dicts and lists as plain JSON values; arrays among them go to `arrays`."""
    if isinstance(value, dict):
        return {str(key): _packed(each, arrays) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_packed(each, arrays) for each in value]
    if isinstance(value, np.ndarray):
        name = f"run/{len(arrays)}"
        arrays[name] = value.view(np.uint8) if value.dtype == bool else value
        return {"array": name, "bool": value.dtype == bool}
    if isinstance(value, np.generic):
        return value.item()
    return value


def _unpacked(value: Any, arrays: dict[str, Any]) -> Any:
    """Return what was packed."""
    if isinstance(value, dict):
        if set(value) == {"array", "bool"}:
            array = arrays[value["array"]].copy()
            return array.view(bool) if value["bool"] else array
        return {key: _unpacked(each, arrays) for key, each in value.items()}
    return [_unpacked(each, arrays) for each in value] if isinstance(value, list) else value
