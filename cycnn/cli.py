"""The command `cycnn`: train a small network on images, name what is on others, show a model or this installation."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .recipes import RECIPES, network

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Channels of a model's images, and what Pillow's images become for it.
COLORS = {1: "grayscale", 3: "rgb", 4: "rgba"}
# What a recipe says unless the command line does.
SETTINGS: dict[str, type[int] | type[float]] = {"epochs": int, "batch_size": int, "learning_rate": float}
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
    commands = main.add_subparsers(dest="command", required=True, metavar="{train,predict,summary,profile,config}")
    commands.add_parser("config", help="show instruction sets, threads and versions")
    train = commands.add_parser("train", help="train a small convolutional network and print its test accuracy")
    train.add_argument("dataset", choices=list(RECIPES), help="what to learn; digits come with cycnn")
    where = "; ".join(f"for {dataset} {recipe.files}" for dataset, recipe in RECIPES.items() if recipe.files)
    train.add_argument("--data", metavar="DIR", help=where)
    for name, kind in SETTINGS.items():
        values = ", ".join(f"{getattr(recipe, name)} for {dataset}" for dataset, recipe in RECIPES.items())
        train.add_argument(f"--{name.replace('_', '-')}", type=positive(kind), help=f"default: {values}")
    train.add_argument("--seed", type=int, default=0, help="of initial weights, shuffling and dropout")
    train.add_argument("--threads", type=positive(int), help="default: the CPUs that this process may use")
    train.add_argument("--save", metavar="FILE", help="where to save the trained model, such as model.safetensors")
    train.set_defaults(refuse=train.error)
    predict = commands.add_parser("predict", help="print the likeliest classes of images (needs Pillow)")
    predict.add_argument("model", metavar="FILE", help="a saved model")
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="resized, and greyed if need be, to fit the model")
    predict.add_argument("--top", type=positive(int), default=3, help="how many classes to print, 3 by default")
    summary = commands.add_parser("summary", help="print the layers of a saved model")
    summary.add_argument("model", metavar="FILE", help="a saved model")
    profile = commands.add_parser("profile", help="print what each step of a saved model's program costs")
    profile.add_argument("model", metavar="FILE", help="a saved model")
    profile.add_argument("--batch-size", type=positive(int), default=32)
    profile.add_argument("--train", action="store_true", help="a step of training instead of a prediction")
    profile.add_argument("--threads", type=positive(int), help="default: the CPUs that this process may use")
    return main


def train(arguments: argparse.Namespace) -> None:
    """Train a small network, print its test accuracy, and save it if asked to."""
    import cycnn

    recipe = RECIPES[arguments.dataset]
    if recipe.files and arguments.data is None:
        arguments.refuse(f"the following argument is required: --data, {recipe.files}")
    if not recipe.files and arguments.data is not None:
        arguments.refuse(f"argument --data: {arguments.dataset} come with cycnn, and are read from no other place")
    recipe = recipe._replace(**{name: value for name in SETTINGS if (value := getattr(arguments, name)) is not None})
    if arguments.save and not Path(arguments.save).absolute().parent.is_dir():  # better known before the training
        raise FileNotFoundError(f"--save: there is no folder for {arguments.save!r}")
    if arguments.threads:
        cycnn.set_num_threads(arguments.threads)
    cycnn.utils.set_random_seed(arguments.seed)
    load = getattr(cycnn.datasets, f"load_{arguments.dataset}")
    (x_train, y_train), (x_test, y_test) = load(arguments.data) if recipe.files else load()
    model = network(recipe, x_train.shape[1:])
    model.summary(batch_size=recipe.batch_size)
    print(f"\n{len(x_train):,} images to learn from, {len(x_test):,} to test with; {cycnn.get_num_threads()} threads")
    start = time.perf_counter()
    history = model.fit(x_train, y_train, batch_size=recipe.batch_size, epochs=recipe.epochs)
    seconds = time.perf_counter() - start
    loss, accuracy = model.evaluate(x_test, y_test, batch_size=recipe.batch_size, verbose=0)
    images = len(x_train) * len(history.epoch)
    print(f"\ntest accuracy {accuracy:.4f}, loss {loss:.4f}")
    print(f"{seconds:.1f} s of training, {images / seconds:,.0f} images per second")
    if arguments.save:
        model.save(arguments.save)
        print(f"saved: cycnn predict {arguments.save} IMAGE ... names what is on other images")
    print(
        "Try next: --learning-rate 0.003, --epochs 3, --threads 1; other images, see cycnn train --help; "
        "or the lesson in examples/mlp_against_cnn.py"
    )


def predict(arguments: argparse.Namespace) -> None:
    """Print the likeliest classes of every image; outputs beyond 0 to 1 are taken for logits."""
    import numpy as np

    import cycnn

    model = cycnn.load_model(arguments.model, compile=False)
    inputs, outputs = model.input_shapes, model.output_shapes
    if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0]) != 4 or len(outputs[0]) != 2:
        raise ValueError(f"{arguments.model!r} makes {outputs} of {inputs}, not one row of classes of one image")
    images = [read_image(name, inputs[0][1:]) for name in arguments.images]
    x = np.stack(images)
    if not model.takes_integers[0]:
        x = (x / 255).astype(model.dtype)
    rows = np.asarray(model.predict(x, batch_size=1, verbose=0), np.float64)
    if rows.size and (rows.min() < 0 or rows.max() > 1 + 1e-6):
        rows = np.exp(rows - rows.max(axis=1, keepdims=True))
        rows /= rows.sum(axis=1, keepdims=True)
    for name, row in zip(arguments.images, rows, strict=True):
        best = np.argsort(-row, kind="stable")[: arguments.top]
        print(f"{name}: " + ", ".join(f"class {label} {row[label]:.4f}" for label in best))


def read_image(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an image as uint8 of the shape (height, width, channels)."""
    import numpy as np

    from .pillow import DecodeError, decode, pillow

    height, width, channels = shape
    if channels not in COLORS:
        raise ValueError(f"the model's images have {channels} channels, and those of files have 1, 3 or 4")
    image_module = pillow("cycnn predict")
    with open(name, "rb") as file:
        try:
            array = decode(image_module, file, COLORS[channels])
        except DecodeError as error:
            raise ValueError(f"{name!r} {error}") from error
    image = image_module.fromarray(array[..., 0] if channels == 1 else array)
    if image.size != (width, height):
        image = image.resize((width, height), image_module.Resampling.BILINEAR)
    return np.asarray(image).reshape(shape)


def summary(arguments: argparse.Namespace) -> None:
    """Print the layers of a saved model."""
    import cycnn

    cycnn.load_model(arguments.model, compile=False).summary()


def profile(arguments: argparse.Namespace) -> None:
    """Print what each step of a saved model's program costs."""
    import cycnn

    if arguments.threads:
        cycnn.set_num_threads(arguments.threads)
    model = cycnn.load_model(arguments.model, compile=arguments.train)
    mode = "train" if arguments.train else "predict"
    for line in cycnn.utils.profile(model, arguments.batch_size, mode).lines():
        print(line)


def config(arguments: argparse.Namespace) -> None:
    """Print how this installation is set up."""
    import cycnn

    cycnn.show_config()


COMMANDS = {"train": train, "predict": predict, "summary": summary, "profile": profile, "config": config}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, by default the process's own; return the exit status."""
    arguments = parser().parse_args(argv)
    try:
        COMMANDS[arguments.command](arguments)
    except (ImportError, OSError, ValueError) as error:
        print(f"cycnn: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncycnn: stopped", file=sys.stderr)
        return 130
    return 0
