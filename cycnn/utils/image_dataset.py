"""Which image files a folder holds, of which classes, and which of them are for training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cycnn import validation
from cycnn.interpolation import METHODS
from cycnn.pillow import COLORS, pillow
from cycnn.randomness import default_rng
from cycnn.validation import message, received

from .image_folder import OWNER, ImageFolder, Reader
from .numerical import to_categorical

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_LABEL_MODES = ("int", "categorical", "binary")
_SUBSETS = ("training", "validation", "both")


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int = 32,
    image_size: int | tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    verbose: bool = True,
    *,
    skip_corrupt: bool = False,
) -> Any:
    """Return the images of a folder as a data set for `fit`, `evaluate` and `predict`.

    Parameters
    ----------
    directory : str or os.PathLike
        A folder with one folder for each class, in which .jpg, .jpeg, .png, .bmp and .gif files are found at any depth.
    labels : "inferred", sequence of int or None
        "inferred" takes the classes from the names of the folders. Otherwise the folders mean nothing: the labels
        are those given, in the order of the sorted paths, or there are none.
    label_mode : {"int", "categorical", "binary"} or None
        Labels are int32 of shape (batch,), float32 rows of zeros and a one, of shape (batch, classes), or float32
        zeros and ones of shape (batch, 1), for two classes. With None there are none.
    class_names : sequence of str, optional
        The folders to take, in the order of their numbers. By default all, sorted.
    color_mode : {"rgb", "rgba", "grayscale"}
        3, 4 or 1 channels.
    batch_size : int
        Images in a batch, 32 by default.
    image_size : int or tuple (height, width)
        What images are resized to, (256, 256) by default.
    shuffle : bool
        Whether the files of a batch are drawn from everywhere, in each epoch anew. Without it they are sorted. What is
        for validation is drawn once, and keeps its order.
    seed : int, optional
        What the order of the files follows from, together with the number of the epoch. By default it is drawn from the
        generator that `set_random_seed` seeds.
    validation_split : float, optional
        Share of the files that is for validation, the last ones.
    subset : {"training", "validation", "both"}, optional
        What to return of the two; needed if there is a split.
    interpolation : {"bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"}
        How images are resized. As in Keras, shrinking does not average over what is left out.
    follow_links : bool
        Whether to look into folders that are symbolic links.
    crop_to_aspect_ratio, pad_to_aspect_ratio : bool
        Whether images of another ratio are cut around their centre, or put between black bars. By default they are
        distorted.
    data_format : {"channels_last"}, optional
        The only order there is.
    verbose : bool
        Whether to print how many files were found.
    skip_corrupt : bool
        Whether to leave out files that cannot be decoded, with a warning. By default they are an error, which names
        the file.

    Returns
    -------
    PyDataset, or a tuple of two for ``subset="both"``
        Its batches are ``(images, labels)``, or ``(images,)`` without labels. Images are float32 of shape (batch,
        height, width, channels), from 0 to 255. They are decoded while the model trains, by one worker for each
        thread. The attributes `class_names`, `file_paths` and `labels` say what is in it.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    FileNotFoundError
        If there is no such folder.
    TypeError, ValueError
        If an argument does not fit, or if there are no images.

    Examples
    --------
    >>> from cycnn.utils import image_dataset_from_directory
    >>> train, test = image_dataset_from_directory(
    ...     "flowers", image_size=(96, 96), validation_split=0.2, subset="both", seed=1
    ... )  # doctest: +SKIP
    >>> model.fit(train, validation_data=test, epochs=10)  # doctest: +SKIP
    """
    image_module = pillow(OWNER)
    read = Reader(
        image_module,
        validation.positive_pair(OWNER, "image_size", image_size),
        validation.choice(OWNER, "color_mode", color_mode, tuple(COLORS)),
        validation.choice(OWNER, "interpolation", interpolation, METHODS),
        _fit(crop_to_aspect_ratio, pad_to_aspect_ratio),
    )
    if label_mode is not None:
        validation.choice(OWNER, "label_mode", label_mode, _LABEL_MODES)
    if data_format is not None:
        validation.choice(OWNER, "data_format", data_format, ("channels_last",))
    batch_size = validation.positive_int(OWNER, "batch_size", batch_size)
    shuffle, verbose = validation.boolean(OWNER, "shuffle", shuffle), validation.boolean(OWNER, "verbose", verbose)
    skip_corrupt = validation.boolean(OWNER, "skip_corrupt", skip_corrupt)
    follow_links = validation.boolean(OWNER, "follow_links", follow_links)
    seed = validation.seed(OWNER, seed)
    share = _share(validation_split, subset, shuffle, seed)

    paths, numbers, classes = _index(directory, labels if label_mode else None, class_names, follow_links)
    targets = None if numbers is None or label_mode is None else _targets(numbers, label_mode, classes or [])
    if verbose:
        print(f"Found {len(paths)} files" + (f" belonging to {len(classes)} classes." if classes else "."))
    if shuffle:
        seed = int(default_rng().integers(10**6)) if seed is None else seed
        order = np.arange(len(paths))
        np.random.RandomState(seed % 2**32).shuffle(order)  # as Keras draws it: the same files are for validation
        paths, targets = [paths[i] for i in order], None if targets is None else targets[order]

    def part(rows: slice, shuffled: bool) -> ImageFolder:
        return ImageFolder(
            paths[rows],
            None if targets is None else targets[rows],
            classes,
            batch_size=batch_size,
            read=read,
            seed=seed if shuffled else None,
            skip_corrupt=skip_corrupt,
        )

    if subset is None:
        return part(slice(None), shuffle)
    at = len(paths) - int(share * len(paths))
    if not 0 < at < len(paths):
        rule = f"leave at least one of the {len(paths)} files on either side"
        raise ValueError(message(OWNER, "validation_split", rule, received("validation_split", validation_split)))
    if verbose and subset != "validation":
        print(f"Using {at} files for training.")
    if verbose and subset != "training":
        print(f"Using {len(paths) - at} files for validation.")
    both = part(slice(at), shuffle), part(slice(at, None), False)
    return both if subset == "both" else both[subset == "validation"]


def _fit(crop: object, pad: object) -> str:
    """Return what happens to images of another ratio."""
    crop = validation.boolean(OWNER, "crop_to_aspect_ratio", crop)
    pad = validation.boolean(OWNER, "pad_to_aspect_ratio", pad)
    if crop and pad:
        rule, what = "be False where `crop_to_aspect_ratio` is True", received("pad_to_aspect_ratio", True)
        raise ValueError(message(OWNER, "pad_to_aspect_ratio", rule, what))
    return "crop" if crop else "pad" if pad else "distort"


def _share(validation_split: object, subset: object, shuffle: bool, seed: int | None) -> float:
    """Return the share of files for validation, if it goes together with the other arguments."""
    if subset is not None:
        validation.choice(OWNER, "subset", subset, _SUBSETS)
    if validation_split is None or validation_split == 0:
        if subset is not None:
            rule, what = "be given where `subset` is", received("validation_split", validation_split)
            raise ValueError(message(OWNER, "validation_split", rule, what))
        return 0.0
    share = validation.number(OWNER, "validation_split", validation_split, 0, 1, above=True, below=True)
    if subset is None:
        rule = "be given where `validation_split` is"
        raise ValueError(message(OWNER, "subset", rule, received("subset", None)))
    if shuffle and seed is None and subset != "both":
        rule = "be given where files are shuffled and split, or the subsets overlap"
        raise ValueError(message(OWNER, "seed", rule, received("seed", None)))
    return share


def _index(
    directory: object, labels: object, class_names: Sequence[str] | None, follow_links: bool
) -> tuple[list[str], NDArray[Any] | None, list[str] | None]:
    """Return the paths of the images, the numbers of their classes, and the classes."""
    if not isinstance(directory, (str, os.PathLike)):
        rule = "be a str or os.PathLike"
        raise TypeError(message(OWNER, "directory", rule, received("directory", directory)))
    folder = str(os.fspath(directory))
    if not os.path.isdir(folder):
        rule = "be an existing folder"
        raise FileNotFoundError(message(OWNER, "directory", rule, received("directory", folder)))
    if class_names is not None and not (isinstance(labels, str) and labels == "inferred"):
        rule = 'be None unless labels are "inferred"'
        raise ValueError(message(OWNER, "class_names", rule, received("class_names", class_names)))
    numbers: NDArray[Any] | None = None
    classes: list[str] | None = None
    if isinstance(labels, str):
        validation.choice(OWNER, "labels", labels, ("inferred",))
        classes = _classes(folder, class_names)
        files = [_files(os.path.join(folder, name), follow_links) for name in classes]
        paths = [path for part in files for path in part]
        numbers = np.repeat(np.arange(len(classes)), [len(part) for part in files])
    else:
        paths = _files(folder, follow_links)
        if labels is not None:
            numbers = _given(labels, paths)
            classes = [str(label) for label in np.unique(numbers)]
    if not paths:
        rule = f"hold files that end in {', '.join(_SUFFIXES)}"
        raise ValueError(message(OWNER, "directory", rule, received("directory", folder)))
    return paths, numbers, classes


def _classes(folder: str, class_names: Sequence[str] | None) -> list[str]:
    """Return the names of the folders that are classes."""
    found = sorted(
        name for name in os.listdir(folder) if os.path.isdir(os.path.join(folder, name)) and not name.startswith(".")
    )
    if class_names is None:
        return found
    names = [class_names] if isinstance(class_names, str) else list(class_names)
    if len(set(names)) < len(names) or not set(names) <= set(found):
        rule = f"be different ones of {', '.join(map(repr, found))}"
        raise ValueError(message(OWNER, "class_names", rule, received("class_names", class_names)))
    return names


def _files(folder: str, follow_links: bool) -> list[str]:
    """Return the images under a folder, sorted by their folders; no folder is entered twice."""
    found: list[tuple[str, str]] = []
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=follow_links):
        folders.sort()
        real = os.path.realpath(root)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        found += [(root, name) for name in names if name.lower().endswith(_SUFFIXES)]
    return [os.path.join(*pair) for pair in sorted(found)]


def _given(labels: object, paths: list[str]) -> NDArray[Any]:
    """Return labels that the caller gave, one for each file."""
    numbers = validation.any_array(OWNER, "labels", labels)
    if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
        rule, what = 'be "inferred", None or a sequence of ints', received("labels", labels)
        raise TypeError(message(OWNER, "labels", rule, what))
    if len(numbers) != len(paths):
        rule = f"be as many as the files, {len(paths)}"
        raise ValueError(message(OWNER, "labels", rule, received("len(labels)", len(numbers))))
    return numbers


def _targets(numbers: NDArray[Any], label_mode: str, classes: list[str]) -> NDArray[Any]:
    """Return the labels of all files as they stand in batches."""
    if label_mode == "int":
        return numbers.astype(np.int32)
    if label_mode == "binary" and len(classes) != 2:
        what = received("class_names", classes)
        raise ValueError(message(OWNER, "label_mode", 'not be "binary" unless there are two classes', what))
    if numbers.min() < 0 or numbers.max() >= len(classes):
        rule = f"lie between 0 and {len(classes) - 1}, for there are {len(classes)} different ones"
        raise ValueError(message(OWNER, "labels", rule, f"labels.min()={numbers.min()}, labels.max()={numbers.max()}"))
    if label_mode == "binary":
        return numbers.astype(np.float32)[:, np.newaxis]
    return to_categorical(numbers, len(classes)).astype(np.float32)
