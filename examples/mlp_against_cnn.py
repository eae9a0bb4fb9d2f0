"""A multilayer perceptron and a convolutional network on the same handwritten digits.

    python examples/mlp_against_cnn.py --data DIR      # the folder of the four files of MNIST

Both learn 20x20 digits in the middle of a 40x40 canvas. Then both are tested twice: on digits that they have not seen,
in the middle as before; and on the same digits moved to other places of the canvas, where neither has ever seen one.

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

CANVAS, DIGIT = 40, 20
CENTRE = (CANVAS - DIGIT) // 2

LESSONS = {
    "parameters": "The perceptron pays for every pixel of the canvas, the CNN only for its small kernels.",
    "multiply-adds": "Shared weights are used at every place: few parameters, but many multiplications.",
    "centred digits": "Where training and test digits are in the same place, both learn the task.",
    "moved digits": "The same digits elsewhere: weight sharing and pooling find them, a weight per pixel does not.",
}


def on_canvas(digits: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
    """Place each 20x20 digit with its top left corner at (row, column) of a canvas of zeros."""
    canvas = np.zeros((len(digits), CANVAS, CANVAS, 1), np.float32)
    for image, digit, row, column in zip(canvas, digits, rows, columns, strict=True):
        image[row : row + DIGIT, column : column + DIGIT] = digit
    return canvas


def centred(digits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Place every digit in the middle."""
    middle = np.full(len(digits), CENTRE)
    return on_canvas(digits, middle, middle)


def moved(digits: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Place every digit anywhere, at least 5 pixels from the middle along either axis."""
    places = np.array([p for p in range(CANVAS - DIGIT + 1) if abs(p - CENTRE) >= 5])
    return on_canvas(digits, rng.choice(places, len(digits)), rng.choice(places, len(digits)))


def perceptron() -> cycnn.Sequential:
    """Return a multilayer perceptron: every neuron sees every pixel."""
    return cycnn.Sequential(
        [
            cycnn.Input((CANVAS, CANVAS, 1)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def convolutional() -> cycnn.Sequential:
    """Return a convolutional network: conv, pool, conv, pool, conv, then the strongest response anywhere."""
    return cycnn.Sequential(
        [
            cycnn.Input((CANVAS, CANVAS, 1)),
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
    parser.add_argument("--data", required=True, help="folder of the four files of MNIST")
    parser.add_argument("--images", type=int, default=20000, help="how many to learn from")
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()
    cycnn.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    (x_train, y_train), (x_test, y_test) = cycnn.datasets.load_mnist(arguments.data)
    x_train, y_train = x_train[: arguments.images, 4:24, 4:24], y_train[: arguments.images]
    x_test = x_test[:, 4:24, 4:24]  # MNIST's digits are 20x20, in the middle of 28x28
    data = {
        "training": (centred(x_train), y_train),
        "centred digits": (centred(x_test), y_test),
        "moved digits": (moved(x_test, rng), y_test),
    }
    results = {}
    for name, model in (("perceptron", perceptron()), ("CNN", convolutional())):
        print(f"\n{name}")
        results[name] = learn(model, data, arguments.epochs)
    print(f"\n{'':16}" + "".join(f"{name:>14}" for name in results))
    for row, lesson in LESSONS.items():
        cells = (result[row] for result in results.values())
        print(f"{row:16}" + "".join(f"{c:14.4f}" if isinstance(c, float) else f"{c:14,}" for c in cells))
        print(textwrap.indent(textwrap.fill(lesson, 76), "    "))


if __name__ == "__main__":
    main()
