"""A small MobileNet on a folder of images, one folder for each class.

    python examples/mobilenet_image_folder.py --data DIR [--size 96]

Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications", 2017.
"""

import argparse

import cycnn as keras
from cycnn import layers

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", required=True, help="folder of folders of images")
parser.add_argument("--size", type=int, default=96, help="height and width that images are brought to")
parser.add_argument("--width", type=float, default=0.25, help="share of the channels of the full network")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()

# filters and strides of the blocks
BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]


def normalised(x):
    return layers.ReLU(max_value=6.0)(layers.BatchNormalization()(x))


def block(x, filters, strides):
    x = normalised(layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x))
    return normalised(layers.Conv2D(filters, 1, use_bias=False)(x))


def mobilenet(size, width, classes):
    inputs = keras.Input(shape=(size, size, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = layers.RandomFlip("horizontal")(x)
    x = normalised(layers.Conv2D(int(32 * width), 3, strides=2, padding="same", use_bias=False)(x))
    for filters, strides in BLOCKS:
        x = block(x, int(filters * width), strides)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(classes, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="mobilenet")


keras.utils.set_random_seed(0)
folder = {"directory": options.data, "validation_split": 0.2, "seed": 1, "image_size": (options.size, options.size)}
train = keras.utils.image_dataset_from_directory(**folder, subset="training")
held_out = keras.utils.image_dataset_from_directory(**folder, subset="validation")
model = mobilenet(options.size, options.width, len(train.class_names))
model.summary()
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(train, validation_data=held_out, epochs=options.epochs, verbose=2)
print(f"Validation accuracy: {history.history['val_accuracy'][-1]:.4f}")
