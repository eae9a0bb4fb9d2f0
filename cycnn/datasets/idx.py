"""IDX files: the format of MNIST and its relatives, plain or gzip-compressed.

An IDX file is a header and the elements in row-major order. All integers are big-endian::

    byte 0, 1    zero
    byte 2       type of the elements; 8, unsigned byte, is the one read here
    byte 3       number of dimensions
    4 bytes each the sizes
    the rest     the elements

A file comes from anywhere, so its header is a claim and not a fact. The data are read in pieces
until the file ends or holds one byte too many: memory grows with what is really there, never with
what the header announces, and a compressed file is not inflated beyond the size that it announced.
"""

from __future__ import annotations

import os
from math import prod
from typing import TYPE_CHECKING, BinaryIO, NoReturn, cast

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 8
_MAX_NDIM = 32  # the most that every supported NumPy can hold
_PIECE = 1 << 20
_CONTENTS = {1: "labels (1 dimension)", 3: "images (3 dimensions)"}


def read_idx(path: str | os.PathLike[str], *, ndim: int | None = None) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Parameters
    ----------
    path : str or os.PathLike
        The file. Whether it is compressed is seen from its first bytes, not from its name.
    ndim : int, optional
        The number of dimensions that the file must have: 1 for labels, 3 for images.
        Any by default.

    Returns
    -------
    ndarray of uint8
        The elements, in the shape that the file announces. Writable.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the contents are not exactly one array of unsigned bytes with ``ndim`` dimensions: the
        file is truncated or has trailing bytes, the header is not IDX, a size is zero, the
        compression is damaged.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "labels-idx1-ubyte")
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"read_idx: `path` must be a str or os.PathLike. Received: path={path!r}.")
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise FileNotFoundError(f"read_idx: `path` must name an existing file. Received: path={name!r}.")
    with open(name, "rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        return _read_gzip(file, name, ndim) if compressed else _read_array(file, name, ndim)


def _read_gzip(file: BinaryIO, name: str, ndim: int | None) -> NDArray[np.uint8]:
    # Imported here so that importing the package stays cheap.
    import gzip
    import zlib

    try:
        with gzip.GzipFile(fileobj=file) as stream:
            return _read_array(cast(BinaryIO, stream), name, ndim)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        reason = str(error).rstrip(".")
        raise ValueError(
            f"read_idx: `path` must name an intact gzip file. Received: path={name!r}, "
            f"which cannot be decompressed ({reason})."
        ) from error


def _read_array(stream: BinaryIO, name: str, ndim: int | None) -> NDArray[np.uint8]:
    shape = _read_shape(stream, name, ndim)
    size = prod(shape)
    # The byte beyond the end tells trailing bytes, and makes gzip verify its checksum.
    data = _read_at_most(stream, size + 1)
    if len(data) < size:
        _refuse(name, f"is truncated: {len(data)} of {size} data bytes")
    if len(data) > size:
        _refuse(name, f"has trailing bytes after its {size} data bytes")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _read_shape(stream: BinaryIO, name: str, ndim: int | None) -> tuple[int, ...]:
    """Read the header; the stream is left at the first element."""
    magic = _read_at_most(stream, 4)
    if len(magic) < 4:
        _refuse(name, f"is truncated: {len(magic)} of 4 bytes of the magic number")
    found = magic[3]
    if magic[:2] != b"\0\0" or magic[2] != _UNSIGNED_BYTE or not 1 <= found <= _MAX_NDIM:
        _refuse(name, f"begins with {magic.hex(' ')}")
    if ndim is not None and found != ndim:
        raise ValueError(
            f"read_idx: `path` must name an IDX file of {_contents(ndim)}. "
            f"Received: path={name!r}, which holds {_contents(found)}."
        )
    header = _read_at_most(stream, 4 * found)
    if len(header) < 4 * found:
        _refuse(name, f"is truncated: {len(header)} of {4 * found} bytes of sizes")
    shape = tuple(int.from_bytes(header[i : i + 4], "big") for i in range(0, 4 * found, 4))
    if 0 in shape:
        _refuse(name, f"announces no elements: shape {shape}")
    return shape


def _read_at_most(stream: BinaryIO, limit: int) -> bytearray:
    data = bytearray()
    while len(data) < limit:
        piece = stream.read(min(_PIECE, limit - len(data)))
        if not piece:
            break
        data += piece
    return data


def _contents(ndim: int) -> str:
    return _CONTENTS.get(ndim, f"arrays with {ndim} dimensions")


def _refuse(name: str, fact: str) -> NoReturn:
    raise ValueError(
        f"read_idx: `path` must name a complete IDX file of unsigned bytes. Received: path={name!r}, which {fact}."
    )
