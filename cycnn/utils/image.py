"""Images as files, as objects of Pillow and as arrays."""

from __future__ import annotations

import io
import os
import warnings
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from cycnn import validation
from cycnn.pillow import COLORS, pillow
from cycnn.validation import message, received

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

_INTERPOLATIONS = ("bicubic", "bilinear", "box", "hamming", "lanczos", "nearest")
_DATA_FORMATS = ("channels_first", "channels_last")


def load_img(
    path: str | os.PathLike[str] | bytes | io.BytesIO,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Read an image from a file.

    Parameters
    ----------
    path : str, os.PathLike, bytes or io.BytesIO
    color_mode : {"rgb", "rgba", "grayscale"}
        What to convert the image to. Grey images of 16 or 32 bits stay so with "grayscale".
    target_size : tuple (height, width), optional
        What to resize the image to. By default it keeps its size.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"}
        How Pillow resizes: all but "nearest" average over the pixels that a smaller image leaves out.
    keep_aspect_ratio : bool
        Whether to cut the image to the ratio of `target_size`, around its centre, before it is resized.

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    ImportError
        If Pillow is not installed.
    OSError
        If there is no such file, or if it cannot be decoded.

    Examples
    --------
    >>> from cycnn.utils import img_to_array, load_img
    >>> x = img_to_array(load_img("cat.jpg", target_size=(96, 96)))  # doctest: +SKIP
    """
    validation.choice("load_img", "color_mode", color_mode, tuple(COLORS))
    validation.choice("load_img", "interpolation", interpolation, _INTERPOLATIONS)
    keep_aspect_ratio = validation.boolean("load_img", "keep_aspect_ratio", keep_aspect_ratio)
    size = None if target_size is None else validation.positive_pair("load_img", "target_size", target_size)
    if not isinstance(path, (str, os.PathLike, bytes, io.BytesIO)):
        rule = "be a str, an os.PathLike or an io.BytesIO"
        raise TypeError(message("load_img", "path", rule, received("path", path)))
    Image = pillow("load_img")
    image = Image.open(path)
    image.load()  # closes the file
    mode = COLORS[color_mode]
    if image.mode != mode and not (mode == "L" and image.mode in ("I;16", "I")):
        image = image.convert(mode)
    if size is None or (image.height, image.width) == size:
        return image
    box = _centre(image.size, size[::-1]) if keep_aspect_ratio else None
    return image.resize(size[::-1], Image.Resampling[interpolation.upper()], box=box)


def _centre(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the largest box (left, top, right, bottom) in the middle of an image that has the ratio of another."""
    width = max(1, min(size[0], size[1] * target[0] // target[1]))
    height = max(1, min(size[1], size[0] * target[1] // target[0]))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def img_to_array(img: Any, data_format: str | None = None, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """Return an image of Pillow as an array.

    Parameters
    ----------
    img : PIL.Image.Image or array_like
        Of two or three dimensions.
    data_format : {"channels_last", "channels_first"}, optional
        "channels_last" by default.
    dtype : dtype, optional
        float32 by default.

    Returns
    -------
    ndarray
        Of shape (height, width, channels), or (channels, height, width).

    Examples
    --------
    >>> img_to_array([[0, 128], [255, 7]]).shape
    (2, 2, 1)
    """
    first = _channels_first("img_to_array", data_format)
    x = np.asarray(img, np.float32 if dtype is None else dtype)
    if x.ndim == 2:
        x = x[..., np.newaxis]
    elif x.ndim != 3:
        rule = "have two or three dimensions"
        raise ValueError(message("img_to_array", "img", rule, received("img.shape", x.shape)))
    return x.transpose(2, 0, 1) if first else x


def array_to_img(
    x: ArrayLike, data_format: str | None = None, scale: bool = True, dtype: DTypeLike | None = None
) -> Any:
    """Return an array as an image of Pillow.

    Parameters
    ----------
    x : array_like
        Of shape (height, width, channels) or, with "channels_first", (channels, height, width). One channel is
        grey, three are red, green and blue, four have opacity too.
    data_format : {"channels_last", "channels_first"}, optional
        "channels_last" by default.
    scale : bool
        Whether to scale the least number to 0 and the greatest to 255, True by default. Otherwise numbers are cut
        to whole ones, and should lie between 0 and 255; grey ones above make an image of 32 bits.
    dtype : dtype, optional
        What to compute in, float32 by default.

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    ImportError
        If Pillow is not installed.
    """
    first = _channels_first("array_to_img", data_format)
    scale = validation.boolean("array_to_img", "scale", scale)
    Image = pillow("array_to_img")
    array = np.asarray(x, np.float32 if dtype is None else dtype)
    if array.ndim != 3:
        rule = "have three dimensions"
        raise ValueError(message("array_to_img", "x", rule, received("x.shape", array.shape)))
    array = array.transpose(1, 2, 0) if first else array
    if array.shape[2] not in (1, 3, 4):
        raise ValueError(message("array_to_img", "x", "have 1, 3 or 4 channels", received("x.shape", np.shape(x))))
    if scale and array.size:
        array = array - array.min()
        greatest = array.max()
        array = array / greatest * 255 if greatest else array
    if array.shape[2] > 1:
        return Image.fromarray(np.ascontiguousarray(array.astype(np.uint8)))
    array = array[..., 0]
    return Image.fromarray(array.astype(np.int32 if array.size and array.max() > 255 else np.uint8))


def save_img(
    path: str | os.PathLike[str] | IO[bytes],
    x: ArrayLike,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array to an image file.

    Parameters
    ----------
    path : str, os.PathLike or binary file
    x, data_format, scale
        As of `array_to_img`.
    file_format : str, optional
        Such as "png". By default what the name of the file ends in.
    **kwargs
        Arguments of Pillow's `Image.save`, such as ``quality=90``.
    """
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = os.path.splitext(os.fspath(path))[1][1:]
    file_format = "jpeg" if (file_format or "").lower() == "jpg" else file_format
    image = array_to_img(x, data_format, scale)
    if image.mode == "RGBA" and file_format == "jpeg":
        warnings.warn("save_img: JPEG knows no opacity, which is left out.", stacklevel=2)
        image = image.convert("RGB")
    image.save(path, format=file_format, **kwargs)


def _channels_first(owner: str, data_format: str | None) -> bool:
    if data_format is None:
        return False
    return validation.choice(owner, "data_format", data_format, _DATA_FORMATS) == "channels_first"
