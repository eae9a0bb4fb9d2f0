"""Resident memory of `fit` on a memory-mapped file that is larger than what training may take.

    python -m benchmarks.mapped [--gigabytes 4] [--dtype float32] [--folder DIR]

Writes a file of random images, trains an epoch on it in random order, and reports how much more the process has had
resident than after training on a few images in memory. Ends with an error where that is 300 MB or more.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import cycnn
from cycnn import Input, Sequential, layers

SIDE, BATCH = 64, 64
ALLOWED = 300.0


def peak():
    """Return the megabytes that this process has had resident at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def write(path, gigabytes, dtype):
    """Write a file of random images; return how many."""
    rng = np.random.default_rng(0)
    shape = (BATCH, SIDE, SIDE, 3)
    count = max(int(gigabytes * 1e9) // (int(np.prod(shape[1:])) * np.dtype(dtype).itemsize), 2 * BATCH)
    with open(path, "wb") as file:
        for start in range(0, count, BATCH):
            images = rng.integers(0, 256, shape, np.uint8) if dtype == "uint8" else rng.random(shape, dtype)
            file.write(images[: count - start].tobytes())
    return count


def network(dtype):
    """Return a small compiled network that takes such images."""
    return Sequential(
        [
            Input((SIDE, SIDE, 3)),
            *([layers.Rescaling(1 / 255)] if dtype == "uint8" else []),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def trained(path, gigabytes, dtype):
    """Train on a few images and then on a file of so many gigabytes; print and return the megabytes between the two."""
    count = write(path, gigabytes, dtype)
    labels = np.arange(count) % 10
    model = network(dtype)
    model.compile("adam", "sparse_categorical_crossentropy")
    mapped = np.memmap(path, dtype, "r", shape=(count, SIDE, SIDE, 3))
    model.fit(np.array(mapped[: 2 * BATCH]), labels[: 2 * BATCH], batch_size=BATCH, verbose=0)
    own, start = peak(), time.perf_counter()
    model.fit(mapped, labels, batch_size=BATCH, verbose=0)
    seconds, more = time.perf_counter() - start, peak() - own
    size = path.stat().st_size / 1e9
    print(f"{dtype:8} {size:5.2f} GB, {count:,} images, {seconds:6.1f} s: {own:5.0f} MB before, {more:5.0f} MB more")
    return more


def main(command=None):
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=4)
    parser.add_argument("--dtype", choices=["float32", "uint8"], default="float32")
    parser.add_argument("--folder", help="where the file is written for the time being, by default that of temporaries")
    arguments = parser.parse_args(command)
    cycnn.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        more = trained(Path(folder) / "images", arguments.gigabytes, arguments.dtype)
    if more >= ALLOWED:
        sys.exit(f"{more:.0f} MB more, of {ALLOWED:.0f} MB")


if __name__ == "__main__":
    main()
