"""Whole architectures, written once and built with both libraries: the same weights in the same order, predictions,
losses and, after steps of training, the same parameters."""

import numpy as np
import pytest

import cycnn

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(3)


def vgg(k):
    return k.Sequential(
        [
            k.Input((16, 16, 3)),
            *(
                layer
                for filters in (8, 16)
                for layer in (
                    k.layers.Conv2D(filters, 3, padding="same", activation="relu"),
                    k.layers.Conv2D(filters, 3, padding="same", activation="relu"),
                    k.layers.MaxPooling2D(),
                )
            ),
            k.layers.Flatten(),
            k.layers.Dense(10, activation="softmax"),
        ]
    )


def resnet(k):
    x = inputs = k.Input((16, 16, 3))
    x = k.layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    for filters, strides in ((8, 1), (16, 2)):
        y = k.layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        y = k.layers.ReLU()(k.layers.BatchNormalization()(y))
        y = k.layers.BatchNormalization()(k.layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
        if strides > 1:
            x = k.layers.Conv2D(filters, 1, strides=strides)(x)
        x = k.layers.ReLU()(k.layers.Add()([x, y]))
    return k.Model(inputs, k.layers.Dense(10, activation="softmax")(k.layers.GlobalAveragePooling2D()(x)))


def inception(k):
    inputs = k.Input((16, 16, 3))
    branches = [
        k.layers.Conv2D(4, 1, activation="relu")(inputs),
        k.layers.Conv2D(6, 3, padding="same", activation="relu")(k.layers.Conv2D(3, 1)(inputs)),
        k.layers.Conv2D(5, 5, padding="same", activation="relu")(k.layers.Conv2D(2, 1)(inputs)),
        k.layers.Conv2D(4, 1)(k.layers.MaxPooling2D(3, strides=1, padding="same")(inputs)),
    ]
    x = k.layers.Concatenate()(branches)
    return k.Model(inputs, k.layers.Dense(10, activation="softmax")(k.layers.GlobalMaxPooling2D()(x)))


def mobilenet(k):
    x = inputs = k.Input((16, 16, 3))
    x = k.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    for filters, strides in ((16, 1), (24, 2)):
        x = k.layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
        x = k.layers.ReLU(6.0)(k.layers.BatchNormalization()(x))
        x = k.layers.Conv2D(filters, 1, use_bias=False)(x)
        x = k.layers.ReLU(6.0)(k.layers.BatchNormalization()(x))
    return k.Model(inputs, k.layers.Dense(10, activation="softmax")(k.layers.GlobalAveragePooling2D()(x)))


def unet(k):
    inputs = k.Input((16, 16, 3))
    down = k.layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    x = k.layers.Conv2D(8, 3, padding="same", activation="relu")(k.layers.MaxPooling2D()(down))
    x = k.layers.Conv2DTranspose(6, 2, strides=2, padding="same")(x)
    x = k.layers.Concatenate()([x, down])
    return k.Model(inputs, k.layers.Conv2D(10, 1, activation="softmax")(x))


def shared(k):
    inputs = k.Input((16, 16, 3))
    conv = k.layers.Conv2D(3, 3, padding="same", activation="tanh")
    inner = k.Sequential([k.Input((16, 16, 3)), k.layers.AveragePooling2D(2), k.layers.Conv2D(4, 3)], name="inner")
    x = k.layers.Multiply()([conv(inputs), conv(conv(inputs))])
    return k.Model(inputs, k.layers.Dense(10, activation="softmax")(k.layers.Flatten()(inner(x))))


ARCHITECTURES = [vgg, resnet, inception, mobilenet, unet, shared]


@pytest.mark.parametrize("build", ARCHITECTURES, ids=lambda build: build.__name__)
def test_architectures_agree(keras, build):
    theirs, ours = build(keras), build(cycnn)
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    ours.set_weights(theirs.get_weights())
    x = RNG.normal(size=(8, 16, 16, 3)).astype("float32")
    expected = theirs.predict(x, verbose=0)
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, atol=1e-5 * np.abs(expected).max())
    y = RNG.integers(0, 10, expected.shape[:-1])
    for k, model in ((keras, theirs), (cycnn, ours)):
        model.compile(k.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
        for _ in range(3):
            model.train_on_batch(x, y)
    for ours_w, theirs_w in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(ours_w, theirs_w, atol=2e-5 * max(np.abs(theirs_w).max(), 1.0))
