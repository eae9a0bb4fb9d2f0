"""Files that are whole or not there: written under a temporary name, flushed, renamed; read with a checksum."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .validation import message

Arrays = Mapping[str, NDArray[Any]]

_FORMAT = "cycnn 1"
_TYPES = {"F32": "float32", "F64": "float64", "I32": "int32", "I64": "int64", "U8": "uint8", "U64": "uint64"}


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file such that, whatever happens, either the old or the new one is there, and whole."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write(path: str | os.PathLike[str], arrays: Arrays, description: Mapping[str, Any]) -> None:
    """Write arrays and a description of plain JSON values as one safetensors file.

    Parameters
    ----------
    path : path
    arrays : dict of str to ndarray
    description : dict
    """
    from safetensors.numpy import save  # here, for it takes longer to import than all of cycnn

    contiguous = {name: np.array(array, order="C") for name, array in arrays.items()}  # 0-d stays 0-d
    text = json.dumps(description)
    seal = json.dumps({"format": _FORMAT, "sha256": _checksum(contiguous, text), "description": text})
    # One entry, for safetensors writes several in any order, and the same model shall be the same bytes.
    write_atomically(path, save(contiguous, metadata={"cycnn": seal}))


def read(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the arrays and the description of a file that `write` has written.

    Raises
    ------
    ValueError
        If the file is no such file, or not as it was written: cut short or altered.
    OSError
        If it cannot be read.
    """
    from safetensors import SafetensorError, deserialize

    data = Path(path).read_bytes()
    try:
        tensors = deserialize(data)  # type: ignore[no-untyped-call]
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["cycnn"])
        arrays = {name: _array(entry) for name, entry in tensors}
        text = metadata["description"]
        if metadata["format"] != _FORMAT or metadata["sha256"] != _checksum(arrays, text):
            raise ValueError("the checksum does not agree with the contents")
        description = json.loads(text)
        if not isinstance(description, dict):
            raise ValueError("the description is not a JSON object")
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError, OverflowError) as error:
        rule = "be a whole file that cycnn has written"
        reason = "it holds no description" if isinstance(error, KeyError) else str(error)
        raise ValueError(message("load", "filepath", rule, f"filepath={str(path)!r} ({reason})")) from None
    return arrays, description


def _array(entry: Mapping[str, Any]) -> NDArray[Any]:
    flat = np.frombuffer(entry["data"], np.dtype(_TYPES[entry["dtype"]]).newbyteorder("<"))
    return flat.reshape(entry["shape"])


def _checksum(arrays: Arrays, text: str) -> str:
    """Return a digest of names, types, shapes and values in the order of the names."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"|{name}|{array.dtype.name}|{array.shape}|".encode("utf-8", "surrogatepass"))
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
