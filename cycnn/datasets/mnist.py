"""MNIST, and the data sets that took over its four files: Fashion-MNIST, KMNIST."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from .idx import read_idx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = tuple[NDArray[np.float32], NDArray[np.int32]]

_CLASSES = 10
_PARTS = ("train", "t10k")


def load_mnist(folder: str | os.PathLike[str]) -> tuple[Samples, Samples]:
    """Load MNIST from its four IDX files.

    Parameters
    ----------
    folder : str or os.PathLike
        The folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``. Each may also be spelled with a
        dot (``train-images.idx3-ubyte``) and may end in ``.gz``. Where a file is there more than
        once, the classic spelling comes before the dot, and the plain file before the compressed.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images, float32 of shape (count, height, width, 1), the stored bytes divided by 255: 0 is
        the background, 1 is full ink. Labels, int32 of shape (count,), 0 to 9. For MNIST itself
        60,000 and 10,000 images of 28 x 28: 220 MB.

    Raises
    ------
    FileNotFoundError
        If the folder or one of the files is missing. Nothing has been read then.
    ValueError
        If a file is damaged, holds something else than its name says, or does not fit the others.

    Examples
    --------
    >>> from cycnn.datasets import load_mnist
    >>> (x_train, y_train), (x_test, y_test) = load_mnist("data/mnist")  # doctest: +SKIP
    >>> x_train.shape, y_train.shape  # doctest: +SKIP
    ((60000, 28, 28, 1), (60000,))

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE 86 (11), 1998.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f"load_mnist: `folder` must be a str or os.PathLike. Received: folder={folder!r}.")
    name = os.fspath(folder)
    if not os.path.isdir(name):
        raise FileNotFoundError(f"load_mnist: `folder` must be an existing folder. Received: folder={name!r}.")
    paths = [
        (_find(name, f"{part}-images", "idx3-ubyte"), _find(name, f"{part}-labels", "idx1-ubyte")) for part in _PARTS
    ]
    train, test = (_load_part(images, labels) for images, labels in paths)
    if train[0].shape[1:] != test[0].shape[1:]:
        raise ValueError(
            "load_mnist: `folder` must hold images of one size. Received: "
            f"{paths[0][0]!r} with {_extent(train[0])} and {paths[1][0]!r} with {_extent(test[0])}."
        )
    return train, test


def _find(folder: str, stem: str, kind: str) -> str:
    names = [f"{stem}-{kind}", f"{stem}-{kind}.gz", f"{stem}.{kind}", f"{stem}.{kind}.gz"]
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(
        f"load_mnist: `folder` must contain one of {', '.join(names)}. Received: folder={folder!r}."
    )


def _load_part(images_path: str, labels_path: str) -> Samples:
    # The labels are a thousandth of the images: read first, they fail first.
    labels = read_idx(labels_path, ndim=1)
    if labels.max() >= _CLASSES:
        place = int(np.argmax(labels >= _CLASSES))
        raise ValueError(
            f"load_mnist: `folder` must hold labels from 0 to {_CLASSES - 1}. "
            f"Received: {labels_path!r} with label {labels[place]} at position {place}."
        )
    images = read_idx(images_path, ndim=3)
    if len(images) != len(labels):
        raise ValueError(
            "load_mnist: `folder` must hold one label for every image. Received: "
            f"{images_path!r} with {len(images)} images and "
            f"{labels_path!r} with {len(labels)} labels."
        )
    # The dtype of the division is named: from bytes NumPy would otherwise pass through float64.
    x = np.divide(images, 255, dtype=np.float32)[..., np.newaxis]
    return x, labels.astype(np.int32)


def _extent(images: NDArray[np.float32]) -> str:
    return f"{images.shape[1]} x {images.shape[2]} pixels"
