"""Files kept under the sha256 of their bytes, in whatever storage the settings name.

A blob is first a file and then a row: a file without a row is an orphan that hurts nobody, a row
without its file would be a loss. The final name appears only with all bytes behind it.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from django.core.files import File
from django.core.files.storage import default_storage

from assets.models import Blob

CHUNK_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


class TooLarge(Exception):
    """More bytes than the caller allows. Nothing of them is kept.

    Attributes:
        limit_bytes: The most that was allowed.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"more than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class UnknownBlob(Exception):
    """No bytes are kept under this digest.

    Attributes:
        sha256: The digest that was asked for.
    """

    def __init__(self, sha256: str) -> None:
        super().__init__(f"no blob {sha256[:80]!r}")
        self.sha256 = sha256


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """What is kept of some bytes: the sha256 in hex, and the size in bytes."""

    sha256: str
    size: int


def store(data: bytes | BinaryIO, *, limit_bytes: int) -> StoredBlob:
    """Keep *data*, once, however often it is stored.

    A stream is read in pieces of a megabyte and never held in memory as a whole.

    Raises:
        TooLarge: There is more than *limit_bytes*.

    Transaction: works in and out of one; the file stays behind as an orphan if it is undone.
    Round trips: one.
    """
    blob = _write(data, limit_bytes)
    _record([blob])
    return blob


def store_all(contents: Iterable[bytes], *, limit_bytes: int) -> list[StoredBlob]:
    """Keep several, and return them in the order given. As `store`, in one round trip."""
    blobs = [_write(data, limit_bytes) for data in contents]
    _record(blobs)
    return blobs


def open_blob(sha256: str) -> BinaryIO:
    """Return the bytes kept under *sha256*, to be read and closed by the caller.

    Raises:
        UnknownBlob: Not a digest in lower-case hex, or nothing is kept under it.
    """
    if _DIGEST.fullmatch(sha256) is None:
        raise UnknownBlob(sha256)
    try:
        return default_storage.open(_place(sha256), "rb")  # type: ignore[return-value] # File is one
    except FileNotFoundError:
        raise UnknownBlob(sha256) from None


def _place(sha256: str) -> str:
    # Two levels, so that no folder grows beyond what people and tools can list.
    return f"blobs/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def _record(blobs: Iterable[StoredBlob]) -> None:
    # In the order of their digests: two writers that share several blobs wait for one another on
    # the first, instead of each holding what the other needs.
    sizes = {blob.sha256: blob.size for blob in blobs}
    Blob.objects.bulk_create(
        [Blob(sha256=sha256, size=sizes[sha256]) for sha256 in sorted(sizes)],
        ignore_conflicts=True,
    )


def _write(data: bytes | BinaryIO, limit_bytes: int) -> StoredBlob:
    if isinstance(data, bytes):
        if len(data) > limit_bytes:
            raise TooLarge(limit_bytes)
        blob = StoredBlob(hashlib.sha256(data).hexdigest(), len(data))
        if default_storage.exists(_place(blob.sha256)):
            return blob
        data = BytesIO(data)
    with tempfile.NamedTemporaryFile(dir=_waiting_room(), delete=False) as waiting:
        try:
            size = 0
            digest = hashlib.sha256()
            for chunk in _chunks(data):
                size += len(chunk)
                if size > limit_bytes:
                    raise TooLarge(limit_bytes)
                digest.update(chunk)
                waiting.write(chunk)
            waiting.flush()
            # The row that follows will outlive a power cut; so must what it names.
            os.fsync(waiting.fileno())
            blob = StoredBlob(digest.hexdigest(), size)
            _move(Path(waiting.name), _place(blob.sha256))
        finally:
            with suppress(FileNotFoundError):  # it moved to its final name
                Path(waiting.name).unlink()
    return blob


def _waiting_room() -> Path | None:
    """Return a folder from which a file reaches its final name by a rename, if there is one."""
    try:
        folder = Path(default_storage.path("blobs/waiting"))
    except NotImplementedError:
        return None  # A remote storage: its objects appear whole, and any local folder will do.
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class _Movable(File):  # type: ignore[type-arg] # generic in the stubs only
    """A file that a storage on disk may take by renaming instead of copying it."""

    def temporary_file_path(self) -> str:
        return str(self.name)


def _move(waiting: Path, place: str) -> None:
    if default_storage.exists(place):
        return
    with waiting.open("rb") as content:
        taken = default_storage.save(place, _Movable(content, name=str(waiting)))
    if taken != place:
        # Somebody stored the same bytes in the meantime, so the storage picked another name.
        default_storage.delete(taken)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk
