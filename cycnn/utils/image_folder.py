"""Image files as a data set: they are decoded and resized in threads, batch by batch, as they are needed."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cycnn import _native
from cycnn.batches.py_dataset import PyDataset
from cycnn.interpolation import taps
from cycnn.pillow import DecodeError, decode
from cycnn.validation import message

OWNER = "image_dataset_from_directory"
CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}


class Reader:
    """How a file becomes the pixels of an image of one size.

    Parameters
    ----------
    image_module : module
        What `cycnn.pillow.pillow` returned.
    size : tuple (height, width)
    color_mode : {"grayscale", "rgb", "rgba"}
    interpolation : str
        One of `cycnn.interpolation.METHODS`.
    fit : {"distort", "crop", "pad"}
        What happens to an image of another ratio: it is stretched, cut, or put between black bars.
    """

    def __init__(
        self, image_module: Any, size: tuple[int, int], color_mode: str, interpolation: str, fit: str = "distort"
    ) -> None:
        self.shape = (*size, CHANNELS[color_mode])
        self._image_module, self._size = image_module, size
        self._color_mode, self._interpolation, self._fit = color_mode, interpolation, fit

    def __call__(self, path: str, out: NDArray[np.float32]) -> None:
        """Write an image to `out`, of shape (1, height, width, channels); raise DecodeError if it is damaged."""
        with open(path, "rb") as file:
            image = decode(self._image_module, file, self._color_mode)
        if self._fit == "pad":
            out[...] = 0
            out = self._between_bars(image.shape, out)
        elif self._fit == "crop":
            image = self._centre(image)
        self._resize(image, out)

    def _centre(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return the largest part in the middle that has the ratio wanted."""
        (ih, iw), (oh, ow) = image.shape[:2], self._size
        height, width = max(1, min(ih, iw * oh // ow)), max(1, min(iw, ih * ow // oh))
        top, left = (ih - height) // 2, (iw - width) // 2
        return image[top : top + height, left : left + width]

    def _between_bars(self, shape: tuple[int, ...], out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the part of `out` that the whole image fills."""
        wanted, given = np.array(self._size, np.float32), np.array(shape[:2], np.float32)
        exact = given / (given / wanted).max()
        sizes = np.maximum(np.floor(exact), 1).astype(int).tolist()
        starts = np.maximum(np.floor((wanted - exact) / 2), 0).astype(int).tolist()
        return out[:, starts[0] : starts[0] + sizes[0], starts[1] : starts[1] + sizes[1]]

    def _resize(self, image: NDArray[Any], out: NDArray[np.float32]) -> None:
        (ih, iw), (oh, ow) = image.shape[:2], out.shape[1:3]
        if (ih, iw) == (oh, ow):
            out[0] = image
            return
        from cycnn.ops.arrays import run  # here, for the operations need not be loaded with this package

        place = out if out.flags.c_contiguous else np.empty_like(out)
        tables = _table(ih, oh, self._interpolation), _table(iw, ow, self._interpolation)
        run("Resize", out.dtype, np.ascontiguousarray(image[np.newaxis], np.float32), place, *tables)
        if place is not out:
            out[...] = place


@functools.lru_cache(maxsize=256)
def _table(inputs: int, outputs: int, interpolation: str) -> tuple[_native.Buffer, ...]:
    """Return the weights of one axis as the native step reads them."""
    first, starts, weights = taps(inputs, outputs, interpolation)
    return tuple(_native.Buffer.of(array) for array in (first, starts, weights.astype(np.float32)))


class ImageFolder(PyDataset):
    """Batches of images, made by one worker for each thread of cycnn; see `image_dataset_from_directory`.

    Memory holds the names of the files and the batches that are made ahead, however many images there are.

    Parameters
    ----------
    file_paths : list of str
    labels : ndarray or None
        Targets, one row for each file.
    class_names : list of str or None
    batch_size : int
    read : Reader
    seed : int or None
        What the order of the files follows from, with the number of the epoch. None keeps them in their order.
    skip_corrupt : bool

    Attributes
    ----------
    file_paths, labels, class_names
        As given.
    """

    def __init__(
        self,
        file_paths: list[str],
        labels: NDArray[Any] | None,
        class_names: list[str] | None,
        *,
        batch_size: int,
        read: Reader,
        seed: int | None = None,
        skip_corrupt: bool = False,
    ) -> None:
        workers = _native.get_num_threads()
        super().__init__(workers, max_queue_size=workers + 2)
        self.file_paths, self.labels, self.class_names = file_paths, labels, class_names
        self.batch_size, self.seed = batch_size, seed
        self._read, self._skip_corrupt = read, skip_corrupt
        self._skipped: set[str] = set()
        self.epoch = 0

    @property
    def epoch(self) -> int:
        """The number of the epoch, which `on_epoch_end` counts up. Set it to go on where another process ended."""
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._epoch = value
        count = len(self.file_paths)
        self._order = (
            np.arange(count) if self.seed is None else np.random.default_rng([self.seed, value]).permutation(count)
        )

    @property
    def skipped(self) -> list[str]:
        """The damaged files that were left out so far, sorted."""
        return sorted(self._skipped)

    def __len__(self) -> int:
        return -(-len(self.file_paths) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], ...]:
        """Return the batch of this number: float32 images from 0 to 255, and their labels if there are any."""
        if not 0 <= index < len(self):
            raise IndexError(f"There is no batch {index} among {len(self)}.")
        rows = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        images = np.empty((len(rows), *self._read.shape), np.float32)
        good = [k for k, row in enumerate(rows) if self._decode(self.file_paths[row], images[k : k + 1])]
        if len(good) < len(rows):
            rows, images = rows[good], images[good]
        return (images,) if self.labels is None else (images, self.labels[rows])

    def on_epoch_end(self) -> None:
        """Shuffle the files anew, if they are to be shuffled."""
        self.epoch += 1

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self.epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        self.epoch = state["epoch"]

    def _decode(self, path: str, out: NDArray[np.float32]) -> bool:
        """Put an image into its place in a batch; return whether it was intact."""
        try:
            self._read(path, out)
        except DecodeError as error:
            if not self._skip_corrupt:
                what, remedy = f"{path!r}, which {error}", "Remove it, or pass skip_corrupt=True."
                raise ValueError(message(OWNER, "directory", "hold intact images only", what, remedy)) from error
            if path not in self._skipped:
                self._skipped.add(path)
                warnings.warn(f"{OWNER}: left out {path!r}, which {error}.", stacklevel=2)
            return False
        return True
