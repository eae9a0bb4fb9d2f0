"""One library in a process of its own, which runs training steps when it is told to.

    python -m benchmarks.workers LIBRARY NETWORK BATCH THREADS

prints the number of parameters, then, for every count that it reads, the seconds of a step. A process each, because
the libraries' thread pools would disturb one another.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks import networks


def batch_of(name: str, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one batch of the images and labels that all libraries train on."""
    rng = np.random.default_rng(0)
    shape = networks.NETWORKS[name][0]
    x = rng.random((batch, *shape), dtype=np.float32)
    return x, rng.integers(0, networks.CLASSES, batch).astype(np.int32)


def cycnn_step(name: str, batch: int, threads: int) -> tuple[Callable[[], object], int]:
    """Return a training step of cycnn and its number of parameters."""
    import cycnn

    cycnn.set_num_threads(threads)
    model = networks.keras_model(cycnn, name)
    x, y = batch_of(name, batch)
    return lambda: model.train_on_batch(x, y), model.count_params()


def keras_step(name: str, batch: int, threads: int) -> tuple[Callable[[], object], int]:
    """Return a training step of Keras on TensorFlow: its compiled train function, on tensors."""
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    model = networks.keras_model(keras, name)
    x, y = (tf.constant(array) for array in batch_of(name, batch))
    model.train_on_batch(x, y)

    def step() -> None:
        model.train_function(iter([(x, y)]))

    return step, model.count_params()


def torch_step(name: str, batch: int, threads: int) -> tuple[Callable[[], object], int]:
    """Return a training step of PyTorch: eager, channels last, fused Adam, denormals flushed."""
    import torch

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    model = networks.torch_model(torch, name)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    loss_of = torch.nn.CrossEntropyLoss()
    x, y = batch_of(name, batch)
    x = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    y = torch.from_numpy(y).long()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(x), y).backward()
        optimizer.step()

    return step, sum(p.numel() for p in model.parameters())


LIBRARIES = {"cycnn": cycnn_step, "torch": torch_step, "keras": keras_step}


class Worker:
    """A library's process, as seen from the one that compares."""

    def __init__(self, library: str, name: str, batch: int, threads: int) -> None:
        command = [sys.executable, "-m", "benchmarks.workers", library, name, str(batch), str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.parameters = int(self._answer(library))

    def _answer(self, what: object) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended without an answer ({what})")
        return line

    def seconds(self, steps: int) -> float:
        """Return the mean seconds of so many steps."""
        self.process.stdin.write(f"{steps}\n")
        return float(self._answer(steps))

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    """Answer with the seconds of a step for every count that is read."""
    library, name, batch, threads = sys.argv[1:]
    step, parameters = LIBRARIES[library](name, int(batch), int(threads))
    print(parameters, flush=True)
    for line in sys.stdin:
        steps = int(line)
        start = time.perf_counter()
        for _ in range(steps):
            step()
        print((time.perf_counter() - start) / steps, flush=True)


if __name__ == "__main__":
    main()
