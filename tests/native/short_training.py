"""A training short enough for valgrind: layers of each kind, forward, backward and an update, and a saved model."""

import tempfile
from pathlib import Path

import numpy as np

import cycnn
from cycnn import Input, Model, layers

x = inputs = Input((17, 17, 3))
for filters, strides in ((32, 1), (32, 1), (18, 2)):  # the second by Winograd's algorithm
    x = layers.Conv2D(filters, 3, strides=strides, padding="same", activation="relu")(x)
x = layers.BatchNormalization()(x)
x = layers.Add()([x, layers.Conv2D(18, 1, groups=2)(x)])
x = layers.DepthwiseConv2D(3, strides=2, padding="same", activation="tanh")(x)
x = layers.Concatenate()([layers.MaxPooling2D(2)(x), layers.AveragePooling2D(2)(x)])
x = layers.Dropout(0.3, seed=1)(x)
x = layers.Flatten()(x)
model = Model(inputs, layers.Dense(5, activation="softmax")(x))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

rng = np.random.default_rng(0)
images, labels = rng.standard_normal((7, 17, 17, 3)).astype("float32"), rng.integers(0, 5, 7)
history = model.fit(images, labels, batch_size=4, epochs=2, verbose=0)
path = Path(tempfile.mkdtemp(), "model.safetensors")
model.save(path)
loaded = cycnn.load_model(path)
many = np.tile(images, (6, 1, 1, 1))  # more than are predicted in one piece
assert np.array_equal(loaded.predict(many, batch_size=42, verbose=0), model.predict(many, batch_size=42, verbose=0))
print(history.history["loss"], cycnn.get_num_threads())
