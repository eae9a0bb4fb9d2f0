"""Pillow, which is installed with `cycnn[images]` and imported where an image is read or written, not before."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Keras's names of colour modes, and Pillow's.
COLORS = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}


class DecodeError(Exception):
    """Why a file could not be decoded, to be put into the message of an error that names the file."""


def pillow(owner: str) -> Any:
    """Return the module PIL.Image; `owner` is what needs it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f"{owner}: Pillow must be installed. Run pip install 'cycnn[images]'.") from error
    Image.preinit()  # here, for threads that all do it at once can miss formats
    return Image


def decode(image_module: Any, file: IO[bytes], color_mode: str, size: tuple[int, int] | None = None) -> NDArray[Any]:
    """Return an image as uint8 of shape (height, width, channels).

    Parameters
    ----------
    image_module : module
        What `pillow` returned.
    file : binary file
        Where the image begins.
    color_mode : {"grayscale", "rgb", "rgba"}
    size : tuple (height, width), optional
        What the image must have, looked at before it is decoded.

    Raises
    ------
    DecodeError
        If that fails, whatever Pillow raised.
    """
    try:
        with image_module.open(file) as image:
            if size is not None and (image.height, image.width) != size:
                raise DecodeError(f"has {image.height} x {image.width} pixels")
            array = np.asarray(convert(image_module, image, COLORS[color_mode]))
    except (DecodeError, MemoryError):
        raise
    except image_module.UnidentifiedImageError as error:
        raise DecodeError("is no image that Pillow knows") from error
    except Exception as error:  # the decoders of its many formats raise what they like
        reason = str(error).rstrip(".") or type(error).__name__
        raise DecodeError(f"cannot be decoded ({reason})") from error
    return array if array.ndim == 3 else array[..., np.newaxis]


def convert(image_module: Any, image: Any, mode: str) -> Any:
    """Return an image in a mode of 8 bits; of 16 bits the upper 8 are taken, where Pillow would clip them."""
    if image.mode.startswith("I"):
        image = image_module.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image if image.mode == mode else image.convert(mode)
