"""Archives, read from beginning to end, and never unpacked to a disk.

An archive comes from anywhere. Its members' names are looked at and never used as paths; their sizes are claims, which
are compared with what such a file may have; and all that the compressed file expands to is counted, headers included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from tarfile import TarFile

_LARGEST_TOTAL = 1 << 29
_PIECE = 1 << 20


class _DamagedError(Exception):
    """What is wrong with an archive."""


class _Counted:
    """A stream that refuses to expand beyond a limit."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream, self._limit, self._count = stream, limit, 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._count += len(data)
        if self._count > self._limit:
            raise _DamagedError(f"expands to more than {self._limit} bytes")
        return data


def read_archive(
    owner: str, path: str, limit: Callable[[str], int | None], total: int = _LARGEST_TOTAL
) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of files in a .tar.gz or .tar file.

    Parameters
    ----------
    owner : str
        The function whose argument `folder` the archive is, for error messages.
    path : str
    limit : callable
        Returns the most bytes that the member of a name may have, or None if it is not wanted.
    total : int
        The most bytes that the archive may expand to.
    """
    # Imported here so that importing the package stays cheap.
    import gzip
    import tarfile
    import zlib

    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if compressed else file
        counted = cast("IO[bytes]", _Counted(stream, total))
        try:
            with tarfile.open(fileobj=counted, mode="r|") as archive:
                yield from _members(archive, limit)
                _read_to_the_end(archive)
        except (_DamagedError, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError) as error:
            fact = str(error) if isinstance(error, _DamagedError) else f"cannot be read ({str(error).rstrip('.')})"
            raise ValueError(
                f"{owner}: `folder` must be an intact archive. Received: folder={path!r}, which {fact}."
            ) from error


def _members(archive: TarFile, limit: Callable[[str], int | None]) -> Iterator[tuple[str, bytes]]:
    while (member := archive.next()) is not None:
        vars(archive)["members"].clear()  # kept for a second look, which a stream does not allow
        most = limit(member.name) if member.isfile() else None
        if most is None:
            continue
        if not 0 <= member.size <= most:
            raise _DamagedError(f"holds {member.name!r} of {member.size} bytes, more than {most}")
        content = archive.extractfile(member)
        assert content is not None  # of a file
        data = content.read()
        if len(data) < member.size:
            raise _DamagedError(f"ends within {member.name!r}")
        yield member.name, data


def _read_to_the_end(archive: TarFile) -> None:
    """Make gzip verify its checksum, and see whether what ended the archive was its end or a damaged header."""
    assert archive.fileobj is not None
    while piece := archive.fileobj.read(_PIECE):
        if piece.strip(b"\0"):
            raise _DamagedError("has a damaged header")
