"""CIFAR-10: from its binary files or from a folder of images, both also packed into a .tar.gz."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from cycnn import _native
from cycnn.pillow import DecodeError, decode, pillow

from .archive import read_archive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # Contents, or the path of a file, by what it is known by: "data_batch_1.bin" or "train/cat/0001.jpg".
    Files = dict[str, bytes | str]
    Samples = tuple[NDArray[np.uint8], NDArray[np.int32]]

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_BINARIES = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
_ALL_BINARIES = [name for names in _BINARIES.values() for name in names]
_SIDE, _CHANNELS = 32, 3
_RECORD = 1 + _CHANNELS * _SIDE * _SIDE  # a label, and the planes of red, green and blue
_SUFFIXES = (".jpg", ".jpeg", ".png")
_LARGEST_IMAGE = 1 << 20  # bytes of a file of 1,024 pixels, compressed or not
_LARGEST_BINARY = 1 << 28
_IMAGES_PER_TASK = 256


def load_cifar10(folder: str | os.PathLike[str]) -> tuple[Samples, Samples]:
    """Load CIFAR-10: 60,000 colour photographs of ten kinds of things.

    Parameters
    ----------
    folder : str or os.PathLike
        A folder with either ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``, the binary version
        (they may also lie in ``cifar-10-batches-bin``, as they are published), or ``train/<class>/*`` and
        ``test/<class>/*``, JPEG or PNG files of 32 x 32 pixels, which takes Pillow. Or a .tar.gz file of such a
        folder, which is read without being unpacked.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images, uint8 of shape (count, 32, 32, 3). Labels, int32 of shape (count,): 0 airplane, 1 automobile, 2 bird,
        3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck. For CIFAR-10 itself 50,000 and 10,000: 184 MB.
        Images of a folder come one of each class in turn, so that every part of them holds all classes.

    Raises
    ------
    FileNotFoundError
        If the folder, a file or a class is missing.
    ValueError
        If a file is damaged or holds something else than its name says. The error names it.
    ImportError
        If there are images, and Pillow is not installed.

    Examples
    --------
    >>> from cycnn.datasets import load_cifar10
    >>> (x_train, y_train), (x_test, y_test) = load_cifar10("data/cifar10")  # doctest: +SKIP
    >>> x_train.shape, y_train.shape  # doctest: +SKIP
    ((50000, 32, 32, 3), (50000,))

    References
    ----------
    A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", University of Toronto, 2009.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f"load_cifar10: `folder` must be a str or os.PathLike. Received: folder={folder!r}.")
    name = os.fspath(folder)
    if os.path.isdir(name):
        files = _list_folder(name)
    elif os.path.isfile(name):
        files = {_key(path): data for path, data in read_archive("load_cifar10", name, _limit)}
    else:
        raise FileNotFoundError(
            f"load_cifar10: `folder` must be an existing folder or .tar.gz file. Received: folder={name!r}."
        )
    load = _load_binaries if any(file in files for file in _ALL_BINARIES) else _load_images
    return load(name, files, "train"), load(name, files, "test")


def _key(path: str) -> str:
    """Return what the member of an archive is known by, in whichever folder it lies; "" if it is none of ours."""
    *_, part, label, name = ("", "", *path.split("/"))
    if name in _ALL_BINARIES:
        return name
    image = part in _BINARIES and label in _CLASSES and name.lower().endswith(_SUFFIXES) and not name.startswith(".")
    return f"{part}/{label}/{name}" if image else ""


def _limit(path: str) -> int | None:
    """Return the most bytes that a file of an archive may have; None if it is not to be read."""
    key = _key(path)
    return (_LARGEST_IMAGE if "/" in key else _LARGEST_BINARY) if key else None


def _list_folder(name: str) -> Files:
    """Return the paths of the files of a folder by what they are known by."""
    files: Files = {}
    for folder in (name, os.path.join(name, "cifar-10-batches-bin")):
        for file in _ALL_BINARIES:
            path = os.path.join(folder, file)
            if file not in files and os.path.isfile(path):
                files[file] = path
    for part in _BINARIES:
        for label in _CLASSES:
            folder = os.path.join(name, part, label)
            if os.path.isdir(folder):
                keys = {file: _key(f"{part}/{label}/{file}") for file in os.listdir(folder)}
                files.update({key: os.path.join(folder, file) for file, key in keys.items() if key})
    return files


def _load_binaries(name: str, files: Files, part: str) -> Samples:
    """Return one part of the binary version."""
    for file in _BINARIES[part]:
        if file not in files:
            _miss(name, file)
    records = np.concatenate([_records(name, file, files[file]) for file in _BINARIES[part]])
    planes = records[:, 1:].reshape(-1, _CHANNELS, _SIDE, _SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].astype(np.int32)


def _records(name: str, file: str, data: bytes | str) -> NDArray[np.uint8]:
    if isinstance(data, str):
        file, size = data, os.path.getsize(data)
    else:
        file, size = f"{name}/{file}", len(data)
    if size == 0 or size % _RECORD:
        _refuse("complete binary files", file, f"has {size} bytes, no multiple of {_RECORD}")
    flat = np.fromfile(data, np.uint8) if isinstance(data, str) else np.frombuffer(data, np.uint8)
    records = flat.reshape(-1, _RECORD)
    if records[:, 0].max() >= len(_CLASSES):
        place = int(np.argmax(records[:, 0] >= len(_CLASSES)))
        _refuse(f"labels from 0 to {len(_CLASSES) - 1}", file, f"has label {records[place, 0]} at position {place}")
    return records


def _load_images(name: str, files: Files, part: str) -> Samples:
    """Return one part of a folder of images: the first of every class, the second of every class, and so on."""
    ordered = []
    for number, label in enumerate(_CLASSES):
        keys = sorted(key for key in files if key.startswith(f"{part}/{label}/"))
        if not keys:
            _miss(name, f"{part}/{label} with .jpg or .png files")
        ordered += [(place, number, key) for place, key in enumerate(keys)]
    ordered.sort()
    x = np.empty((len(ordered), _SIDE, _SIDE, _CHANNELS), np.uint8)
    _decode_all(name, [(key, files[key]) for _, _, key in ordered], x)
    return x, np.array([number for _, number, _ in ordered], np.int32)


def _decode_all(name: str, images: list[tuple[str, bytes | str]], x: NDArray[np.uint8]) -> None:
    """Decode images into the rows of `x`, in threads; of several damaged files the first is the error."""
    # Imported here so that importing the package stays cheap.
    from concurrent.futures import ThreadPoolExecutor

    image_module = pillow("load_cifar10")

    def work(start: int) -> None:
        for i, (key, data) in enumerate(images[start : start + _IMAGES_PER_TASK], start):
            x[i] = _decode(image_module, f"{name}/{key}", data)

    pool = ThreadPoolExecutor(_native.get_num_threads())
    try:
        for _ in pool.map(work, range(0, len(images), _IMAGES_PER_TASK)):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(image_module: Any, file: str, data: bytes | str) -> NDArray[np.uint8]:
    rule = f"intact images of {_SIDE} x {_SIDE} pixels"
    if isinstance(data, str):
        file, size = data, os.path.getsize(data)
        if size > _LARGEST_IMAGE:
            _refuse(rule, file, f"has {size} bytes")
        with open(data, "rb") as stream:
            data = stream.read()
    try:
        return decode(image_module, io.BytesIO(data), "rgb", (_SIDE, _SIDE))
    except DecodeError as error:
        _refuse(rule, file, str(error), error)


def _refuse(rule: str, file: str, fact: str, cause: Exception | None = None) -> NoReturn:
    raise ValueError(f"load_cifar10: `folder` must hold {rule}. Received: {file!r}, which {fact}.") from cause


def _miss(name: str, what: str) -> NoReturn:
    raise FileNotFoundError(
        f"load_cifar10: `folder` must hold data_batch_1.bin to data_batch_5.bin and test_batch.bin, or images in "
        f"train/<class> and test/<class>. Received: folder={name!r} without {what}."
    )
