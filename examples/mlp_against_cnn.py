"""A multilayer perceptron and a convolutional network on the same handwritten digits.

    python examples/mlp_against_cnn.py                 # the digits that come with cycnn, a few seconds
    python examples/mlp_against_cnn.py --data DIR      # MNIST, a folder of its four files

Both learn digits in the middle of a canvas of twice their size. Then both are tested twice: on digits that they have
not seen, in the middle as before; and on the same digits moved to other places, where neither has ever seen one.

Why the convolutional network should win:

- It has the same few weights at every place (weight sharing), so what it learned in the middle is known everywhere.
  The perceptron has a weight of its own for every pixel; those away from the middle have learned nothing.
- Each of its neurons looks at a small neighbourhood (local receptive fields), which suits images: near pixels belong
  together. It needs far fewer parameters, and pays for it with more multiplications per parameter.
- Pooling keeps whether a feature is there and forgets exactly where. Global pooling at the end forgets place entirely.
"""

from __future__ import annotations

import argparse
import textwrap

import numpy as np
from numpy.typing import NDArray

import cycnn
from cycnn import layers

Samples = tuple[NDArray[np.float32], NDArray[np.int32]]

LESSONS = {
    "parameters": "The perceptron pays for every pixel of the canvas, the CNN only for its small kernels.",
    "multiply-adds": "Shared weights are used at every place: few parameters, but many multiplications.",
    "centred digits": "Where training and test digits are in the same place, both learn the task.",
    "moved digits": "The same digits elsewhere: weight sharing and pooling find them, a weight per pixel does not.",
}


def read(folder: str | None) -> tuple[Samples, Samples]:
    """Return digits to learn from and to test with, as large as their ink: 20x20 of MNIST, or 16x16 of cycnn's own."""
    if folder:
        (x_train, y_train), (x_test, y_test) = cycnn.datasets.load_mnist(folder)
        return (x_train[:, 4:24, 4:24], y_train), (x_test[:, 4:24, 4:24], y_test)
    (x_train, y_train), (x_test, y_test) = cycnn.datasets.load_digits()
    # Twice as large, so that a digit is still a digit after the pooling, whichever pixel it begins at.
    return (x_train.repeat(2, axis=1).repeat(2, axis=2), y_train), (x_test.repeat(2, axis=1).repeat(2, axis=2), y_test)


def on_canvas(digits: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
    """Place each digit with its top left corner at (row, column) of a canvas of zeros of twice its size."""
    side = digits.shape[1]
    canvas = np.zeros((len(digits), 2 * side, 2 * side, 1), np.float32)
    for image, digit, row, column in zip(canvas, digits, rows, columns, strict=True):
        image[row : row + side, column : column + side] = digit
    return canvas


def centred(digits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Place every digit in the middle."""
    middle = np.full(len(digits), digits.shape[1] // 2)
    return on_canvas(digits, middle, middle)


def moved(digits: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Place every digit anywhere, at least a quarter of its size from the middle along either axis."""
    side = digits.shape[1]
    places = np.array([p for p in range(side + 1) if abs(p - side // 2) >= side // 4])
    return on_canvas(digits, rng.choice(places, len(digits)), rng.choice(places, len(digits)))


def perceptron(input_shape: tuple[int, ...]) -> cycnn.Sequential:
    """Return a multilayer perceptron: every neuron sees every pixel."""
    return cycnn.Sequential(
        [
            cycnn.Input(input_shape),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def convolutional(input_shape: tuple[int, ...]) -> cycnn.Sequential:
    """Return a convolutional network: conv, pool, conv, pool, conv, then the strongest response anywhere."""
    return cycnn.Sequential(
        [
            cycnn.Input(input_shape),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def learn(model: cycnn.Sequential, data: dict[str, tuple], epochs: int) -> dict[str, float]:
    """Train a model on centred digits and return its row of the table."""
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*data["training"], batch_size=64, epochs=epochs, verbose=2)
    accuracy = {name: model.evaluate(*data[name], verbose=0)[1] for name in ("centred digits", "moved digits")}
    return {"parameters": model.count_params(), "multiply-adds": model.multiply_adds(model.input_shape), **accuracy}


def main() -> None:
    """Train both and print the table, with what each row shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the four files of MNIST; without it, the digits that come with cycnn")
    parser.add_argument("--images", type=int, default=20000, help="how many to learn from, at most")
    parser.add_argument("--epochs", type=int, help="20 by default, 4 of MNIST, which is larger")
    arguments = parser.parse_args()
    cycnn.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    epochs = arguments.epochs or (4 if arguments.data else 20)
    (x_train, y_train), (x_test, y_test) = read(arguments.data)
    x_train, y_train = x_train[: arguments.images], y_train[: arguments.images]
    data = {
        "training": (centred(x_train), y_train),
        "centred digits": (centred(x_test), y_test),
        "moved digits": (moved(x_test, rng), y_test),
    }
    results = {}
    for name, network in (("perceptron", perceptron), ("CNN", convolutional)):
        print(f"\n{name}")
        results[name] = learn(network(data["training"][0].shape[1:]), data, epochs)
    print(f"\n{'':16}" + "".join(f"{name:>14}" for name in results))
    for row, lesson in LESSONS.items():
        cells = (result[row] for result in results.values())
        print(f"{row:16}" + "".join(f"{c:14.4f}" if isinstance(c, float) else f"{c:14,}" for c in cells))
        print(textwrap.indent(textwrap.fill(lesson, 76), "    "))


if __name__ == "__main__":
    main()
