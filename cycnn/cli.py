"""The command `cycnn`: train a small network on real digits, or show how this installation is set up."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

EPILOG = "Environment: CYCNN_NUM_THREADS, CYCNN_ISA (an instruction set named by `cycnn config`)."


def positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    """Return a converter of options to positive numbers."""

    def number(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be positive: {text}")
        return value

    number.__name__ = kind.__name__  # what argparse calls a value that is none: "invalid int value"
    return number


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    main = argparse.ArgumentParser(prog="cycnn", description=__doc__, epilog=EPILOG)
    commands = main.add_subparsers(dest="command", required=True, metavar="{train,config}")
    commands.add_parser("config", help="show instruction sets, threads and versions")
    train = commands.add_parser("train", help="train conv-pool-conv-pool-dense and print its test accuracy")
    train.add_argument("dataset", choices=["mnist"], help="what to learn")
    train.add_argument("--data", required=True, metavar="DIR", help="folder of the four files of MNIST, gzip or plain")
    train.add_argument("--epochs", type=positive(int), default=12)
    train.add_argument("--batch-size", type=positive(int), default=128)
    train.add_argument("--learning-rate", type=positive(float), default=1e-3)
    train.add_argument("--seed", type=int, default=0, help="of initial weights, shuffling and dropout")
    train.add_argument("--threads", type=positive(int), help="default: the CPUs that this process may use")
    return main


def train(arguments: argparse.Namespace) -> None:
    """Train Keras's MNIST example and print its test accuracy."""
    import cycnn
    from cycnn import layers

    if arguments.threads:
        cycnn.set_num_threads(arguments.threads)
    cycnn.utils.set_random_seed(arguments.seed)
    (x_train, y_train), (x_test, y_test) = cycnn.datasets.load_mnist(arguments.data)
    model = cycnn.Sequential(
        [
            cycnn.Input(x_train.shape[1:]),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    optimizer = cycnn.optimizers.Adam(arguments.learning_rate)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.summary(batch_size=arguments.batch_size)
    print(f"\n{len(x_train):,} images to learn from, {len(x_test):,} to test with; {cycnn.get_num_threads()} threads")
    start = time.perf_counter()
    history = model.fit(x_train, y_train, batch_size=arguments.batch_size, epochs=arguments.epochs)
    seconds = time.perf_counter() - start
    loss, accuracy = model.evaluate(x_test, y_test, batch_size=arguments.batch_size, verbose=0)
    images = len(x_train) * len(history.epoch)
    print(f"\ntest accuracy {accuracy:.4f}, loss {loss:.4f}")
    print(f"{seconds:.1f} s of training, {images / seconds:,.0f} images per second")
    print("Try next: --learning-rate 0.003, --epochs 3, --threads 1; or the lesson in examples/mlp_against_cnn.py")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, by default the process's own; return the exit status."""
    arguments = parser().parse_args(argv)
    try:
        if arguments.command == "config":
            import cycnn

            cycnn.show_config()
        else:
            train(arguments)
    except (OSError, ValueError) as error:
        print(f"cycnn: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncycnn: stopped", file=sys.stderr)
        return 130
    return 0
