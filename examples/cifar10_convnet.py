"""TensorFlow's tutorial "Convolutional Neural Network (CNN)" on CIFAR-10: only the import is another.

python examples/cifar10_convnet.py --data DIR_OR_TAR_GZ
"""

import argparse

import cycnn as keras
from cycnn import layers

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", required=True, help="CIFAR-10: a folder, or a .tar.gz of one")
parser.add_argument("--images", type=int, default=50000, help="how many to learn from")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--save", help="where to save the model")
options = parser.parse_args()

keras.utils.set_random_seed(0)
(x_train, y_train), (x_test, y_test) = keras.datasets.load_cifar10(options.data)
x_train, y_train = x_train[: options.images].astype("float32") / 255.0, y_train[: options.images]
x_test = x_test.astype("float32") / 255.0

model = keras.Sequential(
    [
        keras.Input(shape=(32, 32, 3)),
        layers.Conv2D(32, (3, 3), activation="relu"),
        layers.MaxPooling2D((2, 2)),
        layers.Conv2D(64, (3, 3), activation="relu"),
        layers.MaxPooling2D((2, 2)),
        layers.Conv2D(64, (3, 3), activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ]
)
model.summary()
model.compile(
    optimizer="adam",
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.fit(x_train, y_train, epochs=options.epochs, validation_data=(x_test, y_test), verbose=2)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"Test accuracy: {accuracy:.4f}")
if options.save:
    model.save(options.save)
