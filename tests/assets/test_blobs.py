import hashlib
import io
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import transaction

from assets.blobs import StoredBlob, TooLarge, UnknownBlob, open_blob, store, store_all
from assets.models import Blob
from tests.builders.at_once import together

pytestmark = pytest.mark.django_db


def some_bytes(size: int = 100) -> bytes:
    return uuid.uuid4().bytes * (size // 16 + 1)


def place_of(data: bytes) -> Path:
    sha256 = hashlib.sha256(data).hexdigest()
    return Path(default_storage.path(f"blobs/{sha256[:2]}/{sha256[2:4]}/{sha256}"))


class Unready(io.RawIOBase):
    """A stream that breaks off."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    def read(self, size: int = -1) -> bytes:
        del size
        return next(self._parts)


def test_bytes_and_streams_are_kept_under_their_digest() -> None:
    data = some_bytes(3 << 20)

    stored = store(io.BytesIO(data), limit_bytes=4 << 20)

    assert stored == StoredBlob(hashlib.sha256(data).hexdigest(), len(data))
    assert store(data, limit_bytes=4 << 20) == stored
    with open_blob(stored.sha256) as kept:
        assert kept.read() == data
    assert Blob.objects.get(pk=stored.sha256).size == len(data)


def test_too_many_bytes_leave_nothing_behind() -> None:
    data = some_bytes()
    waiting = Path(default_storage.path("blobs/waiting"))

    for given in (data, io.BytesIO(data)):
        with pytest.raises(TooLarge):
            store(given, limit_bytes=len(data) - 1)

    assert not place_of(data).exists()
    assert not Blob.objects.filter(pk=place_of(data).name).exists()
    assert not list(waiting.glob("*"))


def test_a_stream_that_breaks_off_is_never_seen() -> None:
    data = some_bytes()

    def parts() -> Iterator[bytes]:
        yield data
        assert not place_of(data).exists()
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store(Unready(parts()), limit_bytes=10**6)  # type: ignore[arg-type]

    assert not place_of(data).exists()
    assert not list(Path(default_storage.path("blobs/waiting")).glob("*"))


def test_a_blob_whose_file_was_lost_is_written_again() -> None:
    data = some_bytes()
    store(data, limit_bytes=10**6)
    place_of(data).unlink()

    store(data, limit_bytes=10**6)

    assert place_of(data).read_bytes() == data


def test_many_who_store_the_same_at_once_keep_one_file() -> None:
    data = [some_bytes() for _ in range(5)]

    def storing(turn: int) -> Callable[[], list[StoredBlob]]:
        return lambda: [
            store(io.BytesIO(one) if turn % 2 else one, limit_bytes=10**6)
            for one in data[turn:] + data[:turn]
        ]

    outcomes = together([storing(turn) for turn in range(5)])

    assert all(isinstance(outcome, list) for outcome in outcomes), outcomes
    for one in data:
        assert [file.name for file in place_of(one).parent.glob(f"{place_of(one).name}*")] == [
            place_of(one).name
        ]
        assert place_of(one).read_bytes() == one


def test_several_are_stored_in_one_round_trip(django_assert_num_queries: object) -> None:
    data = [some_bytes() for _ in range(20)]

    with transaction.atomic(), django_assert_num_queries(1):  # type: ignore[operator]
        stored = store_all([*data, data[0]], limit_bytes=10**6)

    assert [one.sha256 for one in stored] == [
        hashlib.sha256(one).hexdigest() for one in [*data, data[0]]
    ]


@pytest.mark.parametrize("sha256", ["0" * 64, "", "../../etc/passwd", "A" * 64, "0" * 64 + "\n"])
def test_what_is_not_kept_is_unknown(sha256: str) -> None:
    with pytest.raises(UnknownBlob):
        open_blob(sha256)
