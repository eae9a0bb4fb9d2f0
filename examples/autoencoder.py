"""Keras's example "Convolutional autoencoder for image denoising": only the import is another.

python examples/autoencoder.py --data DIR      # the folder of the four files of MNIST
"""

import argparse

import numpy as np

import cycnn as keras
from cycnn import layers

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", required=True, help="folder of the four files of MNIST")
parser.add_argument("--images", type=int, default=60000, help="how many to learn from")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()


def noisy(images, rng):
    """Return images with noise added, within 0 and 1."""
    return np.clip(images + 0.4 * rng.normal(size=images.shape), 0.0, 1.0).astype("float32")


keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
(x_train, _), (x_test, _) = keras.datasets.load_mnist(options.data)
x_train, x_test = x_train[: options.images], x_test[: options.images]

inputs = keras.Input(shape=(28, 28, 1))
x = layers.Conv2D(32, (3, 3), activation="relu", padding="same")(inputs)
x = layers.MaxPooling2D((2, 2), padding="same")(x)
x = layers.Conv2D(32, (3, 3), activation="relu", padding="same")(x)
encoded = layers.MaxPooling2D((2, 2), padding="same")(x)
x = layers.Conv2DTranspose(32, (3, 3), strides=2, activation="relu", padding="same")(encoded)
x = layers.Conv2DTranspose(32, (3, 3), strides=2, activation="relu", padding="same")(x)
decoded = layers.Conv2D(1, (3, 3), activation="sigmoid", padding="same")(x)

autoencoder = keras.Model(inputs, decoded)
autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
autoencoder.summary()
held_out = (noisy(x_test, rng), x_test)
autoencoder.fit(
    noisy(x_train, rng),
    x_train,
    epochs=options.epochs,
    batch_size=128,
    shuffle=True,
    validation_data=held_out,
    verbose=2,
)
restored = autoencoder.predict(held_out[0], verbose=0)
before, after = (float(np.mean((images - x_test) ** 2)) for images in (held_out[0], restored))
print(f"Mean squared error: {before:.4f} with noise, {after:.4f} restored")

encoder = keras.Model(inputs, encoded)
print(f"Code of an image: {encoder.predict(x_test[:1], verbose=0).shape[1:]}")
