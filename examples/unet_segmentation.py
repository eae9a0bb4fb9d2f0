"""A U-Net that finds the pixels of handwritten digits in clutter, after Keras's example of image segmentation.

    python examples/unet_segmentation.py --data DIR      # the folder of the four files of MNIST

Each image is a digit among strokes cut from other digits; the target says of each pixel whether it is the digit's.
Ronneberger, Fischer, Brox: "U-Net: convolutional networks for biomedical image segmentation", 2015.
"""

import argparse

import numpy as np

import cycnn as keras
from cycnn import layers

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", required=True, help="folder of the four files of MNIST")
parser.add_argument("--images", type=int, default=20000, help="how many to learn from")
parser.add_argument("--epochs", type=int, default=5)
options = parser.parse_args()


def cluttered(digits, seed):
    """Return 32x32 images of digits among strokes of others, and the pixels of the digits."""
    rng = np.random.default_rng(seed)
    images = np.zeros((len(digits), 32, 32, 1), "float32")
    images[:, 2:30, 2:30] = digits
    masks = (images > 0.5).astype("int32")[..., 0]
    for image in images:
        for other in digits[rng.integers(0, len(digits), 6)]:
            row, column = rng.integers(0, 20, 2)
            patch = other[row : row + 8, column : column + 8]
            top, left = rng.integers(0, 24, 2)
            image[top : top + 8, left : left + 8] = np.maximum(image[top : top + 8, left : left + 8], patch)
    return images, masks


def block(x, filters):
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
    return x


def unet():
    inputs = keras.Input(shape=(32, 32, 1))
    x, skipped = inputs, []
    for filters in (16, 32):
        x = block(x, filters)
        skipped.append(x)
        x = layers.MaxPooling2D()(x)
    x = block(x, 64)
    for filters, skip in zip((32, 16), reversed(skipped), strict=True):
        x = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
        x = block(layers.concatenate([x, skip]), filters)
    outputs = layers.Conv2D(2, 1, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="unet")


keras.utils.set_random_seed(0)
(x_train, _), (x_test, _) = keras.datasets.load_mnist(options.data)
x_train, y_train = cluttered(x_train[: options.images], seed=1)
x_test, y_test = cluttered(x_test[: max(options.images // 10, 1)], seed=2)
model = unet()
model.summary()
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=options.epochs, validation_data=(x_test, y_test), verbose=2)
found = model.predict(x_test, verbose=0).argmax(-1)
overlap = np.logical_and(found, y_test).sum() / np.logical_or(found, y_test).sum()
print(f"Intersection over union: {overlap:.4f}")
