"""The digits that come with the package: 1,797 images of 8 x 8 pixels, in one file of 46 kB beside this one.

`digits-idx2-ubyte.gz` has a row of 65 bytes for each image: its pixels, which are 0 to 16, and which digit it is.
`digits.txt` says who made them, what is changed, and what their licence allows.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from .idx import read_idx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = tuple[NDArray[np.float32], NDArray[np.int32]]

_NAME = "digits-idx2-ubyte.gz"
_FOLDER = os.path.dirname(__file__)
_COUNT, _SIDE, _FULL = 1797, 8, 16
_TESTED = 360


def load_digits() -> tuple[Samples, Samples]:
    """Load the handwritten digits that come with the package.

    They are the 1,797 images of the file ``optdigits.tes`` of the UCI Machine Learning Repository, those that
    scikit-learn has: each pixel tells how many of 4 x 4 dots of a scanned form are black.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images, float32 of shape (count, 8, 8, 1), the stored numbers divided by 16: 0 is the background, 1 is full
        ink. Labels, int32 of shape (count,), 0 to 9. 1,437 images to learn from and 360, a fifth, to test with.

    Raises
    ------
    FileNotFoundError
        If the installation lacks the file.
    ValueError
        If it is damaged.

    Notes
    -----
    All of these images are UCI's test set; what it trains with, digits of 30 other people, is not here. So the split is
    another: that of scikit-learn's ``train_test_split(x, y, test_size=0.2, random_state=0)``, random and fixed, chosen
    before anything was trained on it. The 13 people who wrote the digits are on both sides, so the test is to read
    other digits of theirs, which is easier than to read those of a stranger. One image is 0.28 % of the accuracy.

    Examples
    --------
    >>> from cycnn.datasets import load_digits
    >>> (x_train, y_train), (x_test, y_test) = load_digits()
    >>> x_train.shape, x_test.shape
    ((1437, 8, 8, 1), (360, 8, 8, 1))

    References
    ----------
    E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
    doi:10.24432/C50P49. Licence: CC BY 4.0.
    """
    rows = _read_rows()
    # RandomState, for what it draws is the same with every version of NumPy.
    order = np.random.RandomState(0).permutation(_COUNT)
    x = np.divide(rows[order, :-1], _FULL, dtype=np.float32).reshape(_COUNT, _SIDE, _SIDE, 1)
    y = rows[order, -1].astype(np.int32)
    return (x[_TESTED:], y[_TESTED:]), (x[:_TESTED], y[:_TESTED])


def _read_rows() -> NDArray[np.uint8]:
    path = os.path.join(_FOLDER, _NAME)
    try:
        rows = read_idx(path, ndim=2)
        if rows.shape != (_COUNT, _SIDE * _SIDE + 1):
            raise ValueError(f"{rows.shape[0]} rows of {rows.shape[1]} bytes")
    except (FileNotFoundError, ValueError) as error:
        fact = "is missing" if isinstance(error, FileNotFoundError) else "is damaged"
        raise type(error)(
            f"load_digits: {_NAME} must be as it came with the package. Received: {path!r}, which {fact}. "
            "Install cycnn again."
        ) from error
    return rows
