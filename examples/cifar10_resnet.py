"""Residual networks on CIFAR-10 by the functional API: MLPerf Tiny's ResNet-8, or the deeper ones of the paper.

    python examples/cifar10_resnet.py --data DIR_OR_TAR_GZ [--blocks 3]

With one block a stage and Adam this is the recipe of MLPerf Tiny (78,666 parameters); `--blocks 3` is ResNet-20
(He et al., "Deep residual learning for image recognition", 2015). At its learning rate the accuracy on the test images
jumps by several percent from one epoch to the next, so the moving average of the parameters over some thousand steps is
kept beside: epochs show the test accuracy of the parameters themselves, and the last line that of their average.
"""

import argparse

import cycnn as keras
from cycnn import layers

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", required=True, help="CIFAR-10: a folder, or a .tar.gz of one")
parser.add_argument("--images", type=int, default=50000, help="how many to learn from")
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--blocks", type=int, default=1, help="residual blocks in each of the three stages")
parser.add_argument("--save", help="where to save the model")
options = parser.parse_args()


def convolution(x, filters, kernel_size=3, strides=1):
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(1e-4),
    )(x)


def block(x, filters, strides):
    y = layers.Activation("relu")(layers.BatchNormalization()(convolution(x, filters, strides=strides)))
    y = layers.BatchNormalization()(convolution(y, filters))
    if strides != 1:
        x = convolution(x, filters, kernel_size=1, strides=strides)
    return layers.Activation("relu")(layers.add([x, y]))


def resnet(blocks):
    inputs = keras.Input(shape=(32, 32, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.RandomFlip("horizontal")(x)
    # One bilinear interpolation, as in the recipe: a second would blur the images further.
    x = layers.RandomRotation(15 / 360, fill_mode="nearest", interpolation="bilinear")(x)
    x = layers.RandomTranslation(0.1, 0.1, fill_mode="nearest", interpolation="nearest")(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(convolution(x, 16)))
    for stage, filters in enumerate((16, 32, 64)):
        for i in range(blocks):
            x = block(x, filters, strides=2 if stage > 0 and i == 0 else 1)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(10, activation="softmax", kernel_initializer="he_normal")(x)
    return keras.Model(inputs, outputs, name=f"resnet{6 * blocks + 2}")


keras.utils.set_random_seed(0)
(x_train, y_train), (x_test, y_test) = keras.datasets.load_cifar10(options.data)
x_train, y_train = x_train[: options.images], y_train[: options.images]
model = resnet(options.blocks)
model.summary()
optimizer = keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.999)
model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
slower = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 1e-3 * 0.99**epoch)
model.fit(
    x_train,
    y_train,
    batch_size=32,
    epochs=options.epochs,
    validation_data=(x_test, y_test),
    callbacks=[slower],
    verbose=2,
)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"Test accuracy of the average: {accuracy:.4f}")
if options.save:
    model.save(options.save)
