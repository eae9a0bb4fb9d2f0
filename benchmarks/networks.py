"""The networks that are compared: one table, built for each library by a worker of its own.

Each entry is the shape of an image, and the layers in order. Every library gets the same parameters' shapes, the same
data and the same loss; dropout is left out of the comparison of steps, as its generators differ.
"""

from __future__ import annotations

NETWORKS = {
    "mnist_cnn": (
        (28, 28, 1),
        [
            ("conv", 32, 3, "valid", "relu"),
            ("max_pool", 2),
            ("conv", 64, 3, "valid", "relu"),
            ("max_pool", 2),
            ("flatten",),
            ("dense", 10, "linear"),
        ],
    ),
    "lenet5": (
        (28, 28, 1),
        [
            ("conv", 6, 5, "same", "tanh"),
            ("average_pool", 2),
            ("conv", 16, 5, "valid", "tanh"),
            ("average_pool", 2),
            ("flatten",),
            ("dense", 120, "tanh"),
            ("dense", 84, "tanh"),
            ("dense", 10, "linear"),
        ],
    ),
    "cifar_small": (
        (32, 32, 3),
        [
            ("conv", 32, 3, "same", "relu"),
            ("conv", 32, 3, "same", "relu"),
            ("max_pool", 2),
            ("conv", 64, 3, "same", "relu"),
            ("conv", 64, 3, "same", "relu"),
            ("max_pool", 2),
            ("flatten",),
            ("dense", 512, "relu"),
            ("dense", 10, "linear"),
        ],
    ),
}
CLASSES = 10


def keras_model(keras, name: str):
    """Build and compile a network with Keras's API, for Keras and for cycnn alike."""
    shape, layers = NETWORKS[name]
    make = {
        "conv": lambda filters, size, padding, act: keras.layers.Conv2D(filters, size, padding=padding, activation=act),
        "dense": lambda units, act: keras.layers.Dense(units, activation=act),
        "max_pool": keras.layers.MaxPooling2D,
        "average_pool": keras.layers.AveragePooling2D,
        "flatten": keras.layers.Flatten,
    }
    model = keras.Sequential([keras.Input(shape=shape), *(make[kind](*rest) for kind, *rest in layers)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss)
    return model


def torch_model(torch, name: str):
    """Build a network with PyTorch, channels last."""
    (height, width, channels), layers = NETWORKS[name]
    activations = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
    modules, features = [], None
    for kind, *rest in layers:
        if kind == "conv":
            filters, size, padding, activation = rest
            modules += [torch.nn.Conv2d(channels, filters, size, padding=padding), activations[activation]()]
            channels = filters
            height, width = (n if padding == "same" else n - size + 1 for n in (height, width))
        elif kind in ("max_pool", "average_pool"):
            modules.append((torch.nn.MaxPool2d if kind == "max_pool" else torch.nn.AvgPool2d)(rest[0]))
            height, width = height // rest[0], width // rest[0]
        elif kind == "flatten":
            modules.append(torch.nn.Flatten())
            features = height * width * channels
        else:
            modules.append(torch.nn.Linear(features, rest[0]))
            features = rest[0]
            if rest[1] != "linear":
                modules.append(activations[rest[1]]())
    return torch.nn.Sequential(*modules).to(memory_format=torch.channels_last)
