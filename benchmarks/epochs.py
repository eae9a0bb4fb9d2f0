"""The MNIST recipe to its test accuracy, beside PyTorch and Keras: seconds per epoch, and seconds until 0.99.

    python -m benchmarks.epochs --data DIR [--libraries cycnn torch keras] [--epochs 12] [--until 0.99] [--threads 2]

Keras's `mnist_convnet`: conv32 3x3, pool, conv64 3x3, pool, dropout 0.5, dense 10; Adam 1e-3, batch 128. Every library
trains on the same arrays, in a process of its own, one epoch of each in turn, in its quickest configuration
(`benchmarks.libraries`). After every epoch it is tested, which is not counted.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import cycnn
from benchmarks.workers import TUNED
from cycnn.datasets import load_mnist

BATCH = 128


def keras_epochs(keras, data, **options) -> Iterator[float]:
    """Train an epoch and then test, in turn, with Keras's API, for Keras and for cycnn alike."""
    (x_train, y_train), (x_test, y_test) = data
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(shape=(28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    while True:
        model.fit(x_train, y_train, batch_size=BATCH, verbose=0)
        yield 0.0
        yield model.evaluate(x_test, y_test, batch_size=1000, verbose=0)[1]


def cycnn_epochs(data, threads: int) -> Iterator[float]:
    """Train with cycnn."""
    cycnn.set_num_threads(threads)
    cycnn.utils.set_random_seed(0)
    return keras_epochs(cycnn, data)


def tensorflow_epochs(data, threads: int) -> Iterator[float]:
    """Train with Keras on TensorFlow, in graphs: XLA takes five times as long."""
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(0)
    return keras_epochs(keras, data, jit_compile=False)


def torch_epochs(data, threads: int) -> Iterator[float]:
    """Train with PyTorch: eager, channels last, fused Adam, Keras's initial weights."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(1600, 10),
    ).to(memory_format=torch.channels_last)
    for layer in model:
        if hasattr(layer, "weight"):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, eps=1e-7, fused=True)
    loss_of = nn.CrossEntropyLoss()
    (x_train, y_train), (x_test, y_test) = (
        (
            torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last),
            torch.from_numpy(y).long(),
        )
        for x, y in data
    )
    while True:
        model.train()
        for index in torch.randperm(len(x_train)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss_of(model(x_train[index]), y_train[index]).backward()
            optimizer.step()
        yield 0.0
        model.eval()
        with torch.no_grad():
            found = torch.cat([model(x).argmax(1) for x in x_test.split(1000)])
        yield float((found == y_test).float().mean())


LIBRARIES = {"cycnn": cycnn_epochs, "torch": torch_epochs, "keras": tensorflow_epochs}


def work(library: str, folder: str, threads: int) -> None:
    """Train an epoch for every line that is read; answer with its seconds and the test accuracy."""
    data = load_mnist(folder)
    epochs = LIBRARIES[library](data, threads)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        next(epochs)
        seconds = time.perf_counter() - start
        print(seconds, next(epochs), flush=True)


def main() -> None:
    """Print a row per library."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of the four files of MNIST")
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--until", type=float, default=0.99, help="test accuracy whose time is reported")
    parser.add_argument("--threads", type=int, default=cycnn.get_num_threads())
    parser.add_argument("--worker", choices=LIBRARIES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.data, arguments.threads)
        return
    command = [sys.executable, "-m", "benchmarks.epochs", "--data", arguments.data, "--threads", str(arguments.threads)]
    workers = {}
    for name in arguments.libraries:
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed and is left out")
            continue
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        workers[name] = subprocess.Popen([*command, "--worker", name], env=os.environ | TUNED, **pipes)
        while workers[name].stdout.readline().strip() != "ready":
            pass
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    accuracy: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(arguments.epochs):
        for name, worker in workers.items():
            worker.stdin.write("next\n")
            took, reached = map(float, worker.stdout.readline().split())
            seconds[name].append(took)
            accuracy[name].append(reached)
    print(f"{arguments.epochs} epochs, batch {BATCH}, {arguments.threads} threads")
    for name, worker in workers.items():
        worker.stdin.close()
        worker.wait()
        print(f"{name:8} {line(seconds[name], accuracy[name], arguments.until)}")


def line(seconds: list[float], accuracy: list[float], until: float) -> str:
    """Return what there is to say of a library."""
    median, total = statistics.median(seconds), sum(seconds)
    epoch = next((i for i, reached in enumerate(accuracy, 1) if reached >= until), None)
    when = f"{sum(seconds[:epoch]):.1f} s (epoch {epoch})" if epoch else "not reached"
    return f"{median:6.2f} s per epoch (median), {total:6.1f} s in all, {accuracy[-1]:.4f} in the end, {until} {when}"


if __name__ == "__main__":
    main()
