"""A training short enough for valgrind: layers of each kind, forward, backward and an update, and a saved model."""

import tempfile
from pathlib import Path

import numpy as np

import cycnn
from cycnn import Input, Model, layers

x = inputs = Input((9, 9, 3))
x = layers.Conv2D(17, 3, padding="same", activation="relu")(x)
x = layers.BatchNormalization()(x)
x = layers.Add()([x, layers.Conv2D(17, 1)(x)])
x = layers.DepthwiseConv2D(3, strides=2, padding="same", activation="tanh")(x)
x = layers.Concatenate()([layers.MaxPooling2D(2)(x), layers.AveragePooling2D(2)(x)])
x = layers.Dropout(0.3, seed=1)(x)
x = layers.Flatten()(x)
model = Model(inputs, layers.Dense(5, activation="softmax")(x))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

rng = np.random.default_rng(0)
images, labels = rng.standard_normal((7, 9, 9, 3)).astype("float32"), rng.integers(0, 5, 7)
history = model.fit(images, labels, batch_size=4, epochs=2, verbose=0)
path = Path(tempfile.mkdtemp(), "model.safetensors")
model.save(path)
loaded = cycnn.load_model(path)
assert np.array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))
print(history.history["loss"], cycnn.get_num_threads())
