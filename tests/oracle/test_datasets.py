"""The digits of the package beside scikit-learn's copy of the same images, and its split."""

import numpy as np
import pytest

from cycnn.datasets import load_digits

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


def test_digits_and_their_split_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed: pip install '.[oracle]'")
    selection = pytest.importorskip("sklearn.model_selection")
    images, labels = datasets.load_digits(return_X_y=True)
    split = selection.train_test_split(images, labels, test_size=0.2, random_state=0)
    (x_train, y_train), (x_test, y_test) = load_digits()
    for ours, theirs in zip((x_train * 16, x_test * 16, y_train, y_test), split, strict=True):
        np.testing.assert_array_equal(ours.reshape(theirs.shape), theirs)
