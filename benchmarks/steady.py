"""Whether memory stays as it is: resident size over many training steps, and over many models built and dropped.

Run `python -m benchmarks.steady [--steps 10000] [--models 1000]`. Ends with an error where it grows by more than 2 %
after the first tenth.
"""

import argparse
import ctypes
import gc
import sys

import numpy as np

import cycnn
from cycnn import Input, Sequential, layers

GROWTH = 1.02


def resident():
    """Return the mebibytes of this process that are in memory.

    Without those that the allocator of glibc keeps for later, 10 to 30 here, which come and go with where blocks lie.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    with open("/proc/self/status") as file:
        (kilobytes,) = (line.split()[1] for line in file if line.startswith("VmRSS"))
    return int(kilobytes) / 1024


def network(seed=0):
    """Return a small compiled network."""
    cycnn.utils.set_random_seed(seed)
    model = Sequential(
        [
            Input((12, 12, 3)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def watch(name, count, work):
    """Do `work(i)` so often; print the resident size on the way and return whether it stays."""
    first = None
    for i in range(1, count + 1):
        work(i)
        if i % max(count // 10, 1) == 0:
            gc.collect()
            now = resident()
            first = first or now
            print(f"{name} {i:6d}: {now:7.1f} MiB", flush=True)
    return now <= first * GROWTH


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--models", type=int, default=1_000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 12, 12, 3)).astype("float32"), rng.integers(0, 10, 32)
    model = network()

    def build_and_drop(i):
        other = network(i)
        other.fit(x, y, epochs=1, verbose=0)
        other.predict(x[:5], verbose=0)

    steady = watch("step ", arguments.steps, lambda i: model.train_on_batch(x, y))
    steady &= watch("model", arguments.models, build_and_drop)
    sys.exit(0 if steady else "memory grows")


if __name__ == "__main__":
    main()
