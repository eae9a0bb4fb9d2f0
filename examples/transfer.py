"""Keras's example of transfer learning on MNIST: learn the digits 0 to 4, freeze the convolutions, learn 5 to 9.

python examples/transfer.py --data DIR      # the folder of the four files of MNIST
"""

import argparse

import cycnn as keras
from cycnn import layers

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", required=True, help="folder of the four files of MNIST")
parser.add_argument("--images", type=int, default=60000, help="how many to learn from")
parser.add_argument("--epochs", type=int, default=5)
options = parser.parse_args()


def train(model, train, test, name):
    (x_train, y_train), (x_test, y_test) = train, test
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=128, epochs=options.epochs, verbose=2, validation_data=(x_test, y_test))
    print(f"Test accuracy on {name}: {model.evaluate(x_test, y_test, verbose=0)[1]:.4f}")


keras.utils.set_random_seed(0)
(x_train, y_train), (x_test, y_test) = keras.datasets.load_mnist(options.data)
x_train, y_train = x_train[: options.images], y_train[: options.images]

features = keras.Sequential(
    [
        keras.Input(shape=(28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(pool_size=2),
        layers.Dropout(0.25),
        layers.Flatten(),
    ],
    name="features",
)


def classifier():
    return keras.Sequential(
        [features, layers.Dense(128, activation="relu"), layers.Dropout(0.5), layers.Dense(5, activation="softmax")]
    )


low, low_test = y_train < 5, y_test < 5
first = classifier()
train(first, (x_train[low], y_train[low]), (x_test[low_test], y_test[low_test]), "0 to 4")

features.trainable = False
second = classifier()
second.summary()
train(second, (x_train[~low], y_train[~low] - 5), (x_test[~low_test], y_test[~low_test] - 5), "5 to 9")
