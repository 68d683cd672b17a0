import gzip
import hashlib
import io
import os
import stat
import struct
import tarfile
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.archives import (
    Limits,
    UnsafeArchive,
    check_bundle,
    check_path,
    read_archive,
    without_top_folder,
    write_tar_gz,
    write_zip,
)

GOOD = {"SKILL.md": b"---\nname: x\n---\n", "scripts/a.py": b"print(1)\n"}
SMALL = Limits(file_bytes=1_000, files=3, bundle_bytes=2_500, upload_bytes=4_000)


# --- Packing -------------------------------------------------------------------------------------


def a_zip(
    entries: Iterable[tuple[str, bytes]],
    *,
    modes: dict[str, int] | None = None,
    comment: bytes = b"",
    method: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", method) as archive:
        warnings.simplefilter("ignore")  # zipfile warns of the duplicates that are wanted here
        for path, content in entries:
            entry = zipfile.ZipInfo(path)
            entry.compress_type = method
            entry.external_attr = (modes or {}).get(path, 0) << 16
            archive.writestr(entry, content)
        archive.comment = comment
    return packed.getvalue()


def a_tar(
    entries: Iterable[tuple[str, bytes]],
    *,
    types: dict[str, bytes] | None = None,
    form: int = tarfile.PAX_FORMAT,
    pax: dict[str, str] | None = None,
) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form, pax_headers=pax) as archive:
        for path, content in entries:
            member = tarfile.TarInfo(path)
            member.type = (types or {}).get(path, tarfile.REGTYPE)
            member.size = len(content) if member.isreg() else 0
            member.linkname = "/etc/passwd" if member.issym() or member.islnk() else ""
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return packed.getvalue()


def a_tar_gz(
    entries: Iterable[tuple[str, bytes]], *, types: dict[str, bytes] | None = None
) -> bytes:
    return gzip.compress(a_tar(entries, types=types))


class _Pipe(io.BytesIO):
    """What a program that packs into a pipe writes to: no going back, so sizes come afterwards."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def a_streamed_zip(entries: Iterable[tuple[str, bytes]]) -> bytes:
    packed = _Pipe()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in entries:
            archive.writestr(path, content)
    return packed.getvalue()


def patched(data: bytes, mark: bytes, offset: int, value: bytes, *, nth: int = 0) -> bytes:
    """Return *data* with *value* written *offset* bytes after the *nth* occurrence of *mark*."""
    at = -1
    for _ in range(nth + 1):
        at = data.index(mark, at + 1)
    at += offset
    return data[:at] + value + data[at + len(value) :]


LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def a_lying_zip() -> bytes:
    data = a_zip([("z", os.urandom(1) * 200_000)])
    return data.replace(struct.pack("<I", 200_000), struct.pack("<I", 10))


def a_zip_with_a_gap() -> bytes:
    data = a_zip(GOOD.items())
    start = data.index(CENTRAL)
    moved = data[:start] + b"hidden" + data[start:]
    return patched(moved, END, 16, struct.pack("<I", start + 6))


def a_zip_behind_a_program() -> bytes:
    """Return a zip with something before it, and offsets that take account of it."""
    data = a_zip([("a", b"1")])
    data = patched(data, CENTRAL, 42, struct.pack("<I", 9))
    data = patched(data, END, 16, struct.pack("<I", data.index(CENTRAL) + 9))
    return b"#!/bin/x\n" + data


def a_zip_of_two_stories() -> bytes:
    """Return a zip whose deflate stream goes on after the size and checksum that it declares."""
    whole, part = b"harmless" + b"; rm -rf /", b"harmless"
    data = a_zip([("a.sh", whole)])
    for mark, offset in ((LOCAL, 14), (CENTRAL, 16)):
        crc = zipfile.crc32(part)  # type: ignore[attr-defined] # zlib's, as zipfile names it
        data = patched(data, mark, offset, struct.pack("<I", crc))
        data = patched(data, mark, offset + 8, struct.pack("<I", len(part)))
    return data


def nested_extensions() -> bytes:
    """Return a tar of pax headers that each describe the next one."""
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    header.size = 11
    block = header.tobuf(tarfile.USTAR_FORMAT) + b"11 path=ab\n".ljust(512, b"\0")
    return gzip.compress(os.urandom(0) + block * 3_000)


def a_huge_extension() -> bytes:
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    header.size = 50 << 20
    return gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + bytes(1 << 20))


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "zip slip": (lambda: a_zip([*GOOD.items(), ("../../etc/x", b"1")]), "parent_path"),
    "zip inner slip": (lambda: a_zip([("a/../../x", b"1")]), "parent_path"),
    "zip absolute": (lambda: a_zip([("/etc/x", b"1")]), "absolute_path"),
    "zip drive": (lambda: a_zip([("C:evil", b"1")]), "drive_letter"),
    "zip backslash": (lambda: a_zip([("..\\x", b"1")]), "backslash"),
    "zip NUL": (lambda: patched(a_zip([("a.md_", b"1")]), b"a.md_", 4, b"\0"), "bad_local_header"),
    "zip NUL twice": (
        lambda: a_zip([("a.md_", b"1")]).replace(b"a.md_", b"a.md\0"),
        "control_character",
    ),
    "zip link": (lambda: a_zip([("l", b"/etc")], modes={"l": stat.S_IFLNK | 0o777}), "link"),
    "zip device": (lambda: a_zip([("d", b"")], modes={"d": stat.S_IFCHR | 0o600}), "device"),
    "zip fifo": (lambda: a_zip([("d", b"")], modes={"d": stat.S_IFIFO | 0o600}), "device"),
    "zip folder mode": (
        lambda: a_zip([("d", b"x")], modes={"d": stat.S_IFDIR}),
        "file_and_directory",
    ),
    "zip duplicate": (lambda: a_zip([("SKILL.md", b"a"), ("SKILL.md", b"b")]), "duplicate"),
    "zip case": (lambda: a_zip([("SKILL.md", b"a"), ("skill.md", b"b")]), "case_clash"),
    "zip folder case": (lambda: a_zip([("A/x", b"a"), ("a/y", b"b")]), "case_clash"),
    "zip not NFC": (lambda: a_zip([("e\u0301.md", b"1")]), "not_nfc"),
    "zip bidi": (lambda: a_zip([("a\u202egpj.sh", b"1")]), "control_character"),
    "zip invisible": (lambda: a_zip([("a\u200b.md", b"1")]), "control_character"),
    "zip newline": (lambda: a_zip([("a\nb", b"1")]), "control_character"),
    "zip file is folder": (lambda: a_zip([("a", b"1"), ("a/b", b"1")]), "file_and_directory"),
    "zip folder is file": (lambda: a_zip([("a/b", b"1"), ("a", b"1")]), "file_and_directory"),
    "zip reserved": (lambda: a_zip([("aux.md", b"1")]), "not_portable"),
    "zip stream name": (lambda: a_zip([("ab:c", b"1")]), "not_portable"),
    "zip repository": (lambda: a_zip([(".git/config", b"1")]), "forbidden_name"),
    "zip secrets": (lambda: a_zip([("x/.env", b"KEY=1")]), "forbidden_name"),
    "zip bomb": (lambda: a_zip([("z", bytes(4 << 20))]), "ratio"),
    "zip of many": (lambda: a_zip([(f"f{n}", b"") for n in range(2_000)]), "too_many_files"),
    "zip of folders": (lambda: a_zip([(f"f{n}/", b"") for n in range(900)]), "too_many_files"),
    "zip overlap": (
        lambda: patched(
            a_zip([("SKILL.md", b"x" * 50), ("b", b"y" * 50)]), CENTRAL, 42, bytes(4), nth=1
        ),
        "overlap",
    ),
    "zip lying size": (a_lying_zip, "corrupt"),
    "zip of two stories": (a_zip_of_two_stories, "corrupt"),
    "zip encrypted": (
        lambda: patched(patched(a_zip([("a", b"1")]), LOCAL, 6, b"\1"), CENTRAL, 8, b"\1"),
        "encrypted",
    ),
    "zip method": (lambda: a_zip([("a", b"1")], method=zipfile.ZIP_BZIP2), "unsupported"),
    "zip two names": (lambda: patched(a_zip([("abc", b"1")]), LOCAL, 30, b"x"), "bad_local_header"),
    "zip two methods": (lambda: patched(a_zip([("a", b"1")]), LOCAL, 8, b"\0"), "bad_local_header"),
    "zip no header": (
        lambda: patched(a_zip([("a", b"1")]), LOCAL, 0, b"PK\x03\x05"),
        "bad_local_header",
    ),
    "zip trailing": (lambda: a_zip(GOOD.items()) + b"x", "trailing_data"),
    "zip prepended": (lambda: b"#!/bin/x\n" + a_zip(GOOD.items()), "prepended_data"),
    "zip program": (a_zip_behind_a_program, "prepended_data"),
    "zip gap": (a_zip_with_a_gap, "trailing_data"),
    "zip truncated": (lambda: a_zip(GOOD.items())[:-30], "corrupt"),
    "zip checksum": (
        lambda: patched(a_zip([("a", b"1" * 9)], method=0), b"1" * 9, 0, b"2"),
        "corrupt",
    ),
    "zip empty": (lambda: a_zip([]), "empty"),
    "zip not UTF-8": (lambda: a_zip([("a_b", b"1")]).replace(b"a_b", b"a\xffb"), "not_utf8"),
    "tar slip": (lambda: a_tar_gz([("../x", b"1")]), "parent_path"),
    "tar dotted slip": (lambda: a_tar_gz([("./../x", b"1")]), "parent_path"),
    "tar absolute": (lambda: a_tar_gz([("/etc/x", b"1")]), "absolute_path"),
    "tar link": (lambda: a_tar_gz([("l", b"")], types={"l": tarfile.SYMTYPE}), "link"),
    "tar hard link": (lambda: a_tar_gz([("l", b"")], types={"l": tarfile.LNKTYPE}), "link"),
    "tar fifo": (lambda: a_tar_gz([("f", b"")], types={"f": tarfile.FIFOTYPE}), "device"),
    "tar device": (lambda: a_tar_gz([("f", b"")], types={"f": tarfile.CHRTYPE}), "device"),
    "tar block device": (lambda: a_tar_gz([("f", b"")], types={"f": tarfile.BLKTYPE}), "device"),
    "tar duplicate": (lambda: a_tar_gz([("a", b"1"), ("./a", b"2")]), "duplicate"),
    "tar case": (lambda: a_tar_gz([("a", b"1"), ("A", b"2")]), "case_clash"),
    "tar file is folder": (lambda: a_tar_gz([("a", b"1"), ("a/b", b"2")]), "file_and_directory"),
    "tar not UTF-8": (
        lambda: gzip.compress(a_tar([("a_b", b"1")]).replace(b"a_b", b"a\xffb")),
        "corrupt",  # the header's checksum covers the name
    ),
    "tar bomb": (lambda: a_tar_gz([(f"z{n}", bytes(4 << 20)) for n in range(5)]), "ratio"),
    "tar of many": (lambda: a_tar_gz([(f"f{n}", b"") for n in range(900)]), "too_many_files"),
    "tar truncated": (lambda: a_tar_gz([("a", os.urandom(9_000))])[:4_000], "corrupt"),
    "tar cut inside": (lambda: gzip.compress(a_tar([("a", os.urandom(9_000))])[:4_096]), "corrupt"),
    "tar checksum": (lambda: a_tar_gz([("a", b"1")])[:-8] + bytes(8), "corrupt"),
    "tar trailing": (lambda: a_tar_gz(GOOD.items()) + b"x", "trailing_data"),
    "tar second gzip": (lambda: a_tar_gz(GOOD.items()) * 2, "trailing_data"),
    "tar hidden end": (lambda: gzip.compress(a_tar(GOOD.items()) + b"hidden"), "trailing_data"),
    "tar prepended": (lambda: b"x" + a_tar_gz(GOOD.items()), "not_an_archive"),
    "tar of headers": (nested_extensions, "corrupt"),
    "tar huge header": (a_huge_extension, "corrupt"),
    "tar empty": (lambda: a_tar_gz([]), "empty"),
    "gzip of text": (lambda: gzip.compress(b"hello" * 500), "corrupt"),
    "text": (lambda: b"hello", "not_an_archive"),
    "nothing": (lambda: b"", "not_an_archive"),
}


# --- Reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_by_the_rule_it_breaks(case: str) -> None:
    pack, reason = HOSTILE[case]

    with pytest.raises(UnsafeArchive) as refusal:
        read_archive(pack())

    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    "packed",
    [
        a_zip(GOOD.items()),
        a_zip(GOOD.items(), method=zipfile.ZIP_STORED),
        a_zip([("scripts/", b""), *GOOD.items()], comment=b"0123abcd"),
        a_streamed_zip(GOOD.items()),
        a_zip([*GOOD.items(), ("__MACOSX/._SKILL.md", b"x"), ("scripts/.DS_Store", b"x")]),
        a_tar_gz(GOOD.items()),
        a_tar_gz(
            [("./", b""), *((f"./{path}", one) for path, one in GOOD.items())],
            types={"./": tarfile.DIRTYPE},
        ),
        gzip.compress(a_tar(GOOD.items(), form=tarfile.GNU_FORMAT)),
        gzip.compress(a_tar(GOOD.items(), pax={"comment": "0123abcd"})),
    ],
    ids=["zip", "stored", "folders", "streamed", "desktop", "tar", "dotted", "gnu", "pax"],
)
def test_archives_as_people_pack_them_are_read_alike(packed: bytes) -> None:
    assert read_archive(packed) == GOOD
    assert read_archive(io.BytesIO(packed)) == GOOD


def test_names_beyond_ascii_and_long_ones_are_read() -> None:
    files = {"größe/日本.md": b"1", "d/" * 5 + "n" * 120: b"2"}

    assert read_archive(a_zip(files.items())) == files
    assert read_archive(a_tar_gz(files.items())) == files
    assert read_archive(gzip.compress(a_tar(files.items(), form=tarfile.GNU_FORMAT))) == files


@pytest.mark.parametrize("pack", [a_zip, a_tar_gz])
@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([("a", os.urandom(1_001))], "file_too_large"),
        ([(name, os.urandom(900)) for name in "abc"], "bundle_too_large"),
        ([(name, b"1") for name in "abcd"], "too_many_files"),
        ([("a", os.urandom(5_000))], "upload_too_large"),
        ([("a" * 201, b"1")], "path_too_long"),
        ([("a/" * 10 + "a", b"1")], "too_deep"),
    ],
)
def test_each_limit_binds(
    pack: Callable[[Iterable[tuple[str, bytes]]], bytes],
    entries: list[tuple[str, bytes]],
    reason: str,
) -> None:
    with pytest.raises(UnsafeArchive) as refusal:
        read_archive(pack(entries), SMALL)

    assert refusal.value.reason == reason


def test_what_is_exactly_within_the_limits_is_taken() -> None:
    files = {"a": os.urandom(1_000), "b": os.urandom(1_000), "c": os.urandom(500)}

    assert read_archive(a_zip(files.items()), SMALL) == files


def test_companion_files_of_a_desktop_do_not_count() -> None:
    companions = [(f"__MACOSX/._{name}", b"x") for name in "abc"]

    assert set(read_archive(a_zip([*((n, b"1") for n in "abc"), *companions]), SMALL)) == set("abc")


def test_a_refusal_spells_out_what_cannot_be_seen() -> None:
    with pytest.raises(UnsafeArchive) as refusal:
        check_path("a\u202eb\x1b[2J")

    assert refusal.value.path == "a\\u202eb\\x1b[2J"


@given(
    st.sampled_from([a_zip(GOOD.items()), a_streamed_zip(GOOD.items()), a_tar_gz(GOOD.items())]),
    st.data(),
)
@settings(max_examples=300, deadline=None)
def test_a_damaged_archive_is_refused_or_read_safely(good: bytes, data: st.DataObject) -> None:
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(good) - 1))
        damaged[at] = data.draw(st.integers(0, 255))

    try:
        files = read_archive(bytes(damaged))
    except UnsafeArchive:
        return

    assert check_bundle(files) == files


# --- Paths and bundles ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["SKILL.md", "a/b.c", ".gitignore", "..a", "日本.md", "con-fig", "a b"]
)
def test_an_ordinary_path_is_taken(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "empty_segment"),
        ("a//b", "empty_segment"),
        ("a/", "empty_segment"),
        ("./a", "empty_segment"),
        ("..", "parent_path"),
        ("a/..", "parent_path"),
        ("a.", "not_portable"),
        ("a ", "not_portable"),
        ("COM1", "not_portable"),
        ("nul.txt", "not_portable"),
        ("a?b", "not_portable"),
        (".GIT/x", "forbidden_name"),
        ("\ud800", "control_character"),
    ],
)
def test_a_path_that_means_trouble_somewhere_is_refused(path: str, reason: str) -> None:
    with pytest.raises(UnsafeArchive) as refusal:
        check_path(path)

    assert refusal.value.reason == reason


@given(st.text(alphabet=st.sampled_from("aA.\\/: \u0301\u202e\0é"), max_size=12))
def test_a_path_that_is_taken_stays_inside_and_is_visible(path: str) -> None:
    try:
        check_path(path)
    except UnsafeArchive:
        return

    assert os.path.normpath(os.path.join("/top", path)) == f"/top/{path}"  # noqa: PTH118
    assert path.isprintable()
    assert unicodedata.is_normalized("NFC", path)


def test_pairs_let_a_duplicate_be_seen() -> None:
    with pytest.raises(UnsafeArchive, match="duplicate"):
        check_bundle([("a", b"1"), ("a", b"2")])


def test_one_common_folder_is_stripped_where_the_bundle_begins_in_it() -> None:
    assert without_top_folder({"my-skill/SKILL.md": b"1", "my-skill/a/b": b"2"}) == {
        "SKILL.md": b"1",
        "a/b": b"2",
    }
    content = {"data/a.csv": b"1", "data/b.csv": b"2"}
    assert without_top_folder(content) == content
    two = {"x/SKILL.md": b"1", "y/SKILL.md": b"2"}
    assert without_top_folder(two) == two


# --- Writing -------------------------------------------------------------------------------------


def packed(write: Callable[..., None], files: Iterable[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    write(files, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("write", "digest"),
    [
        (write_zip, "ad986af4a9b60777ce733e542ecabf5ef0fe617bb708ce039df75739114cbe91"),
        (write_tar_gz, "080c49426873a315f18f70dd150576aa114c27a5c897c130ba1ad0324e28e4b9"),
    ],
)
def test_an_archive_of_the_same_files_is_the_same_bytes_for_ever(
    write: Callable[..., None], digest: str
) -> None:
    files = [*GOOD.items(), ("größe.bin", bytes(range(256)) * 300)]

    assert hashlib.sha256(packed(write, files)).hexdigest() == digest
    assert packed(write, reversed(files)) == packed(write, files)


def test_other_programs_read_the_archives() -> None:
    files = dict(GOOD) | {"big": os.urandom(200_000)}

    with zipfile.ZipFile(io.BytesIO(packed(write_zip, files.items()))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files
    tar = gzip.decompress(packed(write_tar_gz, files.items()))
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive_:
        assert {one.name: archive_.extractfile(one).read() for one in archive_} == files  # type: ignore[union-attr]


PATHS = st.lists(st.sampled_from("abcé"), min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(PATHS, st.binary(max_size=300), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(files: dict[str, bytes]) -> None:
    try:
        check_bundle(files)
    except UnsafeArchive:  # a file that is a folder, too
        return

    assert read_archive(packed(write_zip, files.items())) == files
    assert read_archive(packed(write_tar_gz, files.items())) == files
