"""Copies of models: by `copy.deepcopy` and by pickle, they are models of their own that predict and learn."""

import copy
import pickle

import numpy as np
import pytest
from helpers import assert_same

from cycnn import Input, Sequential, layers
from cycnn._native import Buffer

X = np.random.default_rng(0).normal(size=(12, 6, 6, 1)).astype("float32")
Y = np.arange(12) % 3
COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda model: pickle.loads(pickle.dumps(model))}


def small():
    model = Sequential([Input((6, 6, 1)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(3)])
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
class TestCopies:
    def test_predict_and_learn_like_the_original(self, duplicate, used):
        model, targets = small(), np.eye(3, dtype="float32")[Y]
        if used:
            model.predict(X, verbose=0)
            model.train_on_batch(X, targets)
        twin = duplicate(model)
        for _ in range(3):
            assert twin.train_on_batch(X, targets) == model.train_on_batch(X, targets)
        assert_same(twin.predict(X, verbose=0), model.predict(X, verbose=0))

    def test_share_nothing_with_the_original(self, duplicate, used):
        model = small()
        if used:
            model.predict(X, verbose=0)
        before = model.get_weights()
        twin = duplicate(model)
        twin.set_weights([np.zeros_like(weight) for weight in before])
        twin.train_on_batch(X, np.eye(3, dtype="float32")[Y])
        for now, then in zip(model.get_weights(), before, strict=True):
            assert_same(now, then)


def test_what_is_compiled_is_not_copied():
    with pytest.raises(TypeError, match="cannot pickle"):
        copy.deepcopy(Buffer((3,)))
