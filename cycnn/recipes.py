"""What `cycnn train` does with each data set: a table of what varies, and the network that follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .models import Model


class Recipe(NamedTuple):
    """What varies from one data set to another."""

    files: str  # what --data names; nothing for what comes with the package
    epochs: int
    batch_size: int
    learning_rate: float
    average: bool  # keep a moving average of the parameters, which varies less from seed to seed
    before: tuple[tuple[str, dict[str, Any]], ...]  # layers that see the images first: names and arguments
    filters: tuple[int, ...]  # of the convolutions, for each pooling
    paddings: tuple[str, ...]  # of the convolutions before each pooling


# The settings of the digits come from cross-validation on the images to learn from: five folds, three seeds.
RECIPES = {
    "digits": Recipe(
        files="",
        epochs=100,
        batch_size=32,
        learning_rate=2e-3,
        average=True,
        before=(
            ("RandomRotation", {"factor": 0.04, "fill_mode": "constant"}),
            ("RandomTranslation", {"height_factor": 0.06, "width_factor": 0.06, "fill_mode": "constant"}),
        ),
        filters=(64, 128),
        paddings=("same",),
    ),
    "mnist": Recipe(
        files="the folder of the four files of MNIST, gzip or plain",
        epochs=12,
        batch_size=128,
        learning_rate=1e-3,
        average=False,
        before=(),
        filters=(32, 64),
        paddings=("valid",),
    ),
    "cifar10": Recipe(
        files="the folder of CIFAR-10 or a .tar.gz of one",
        epochs=12,
        batch_size=128,
        learning_rate=1e-3,
        average=False,
        before=(("Rescaling", {"scale": 1 / 255}), ("RandomFlip", {"mode": "horizontal"})),
        filters=(32, 64),
        paddings=("same", "valid"),
    ),
}


def network(recipe: Recipe, input_shape: tuple[int, ...]) -> Model:
    """Return what is trained: Keras's MNIST example, with the layers and convolutions of the recipe."""
    import cycnn
    from cycnn import layers

    model = cycnn.Sequential([cycnn.Input(input_shape)])
    for name, arguments in recipe.before:
        model.add(getattr(layers, name)(**arguments))
    for filters in recipe.filters:
        for padding in recipe.paddings:
            model.add(layers.Conv2D(filters, 3, padding=padding, activation="relu"))
        model.add(layers.MaxPooling2D(2))
    for layer in (layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax")):
        model.add(layer)
    optimizer = cycnn.optimizers.Adam(recipe.learning_rate, use_ema=recipe.average)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
