"""Reading archives that nobody vouches for, and writing ones that are always the same bytes.

Reading lists first and unpacks then, into memory: no name from an archive ever reaches a file
system. What is ambiguous is refused, because two programs that read one archive differently are how
something harmless is checked and something else is used.
"""

import io
import re
import stat
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Literal, Self

Reason = Literal[
    "absolute_path",
    "backslash",
    "bad_local_header",
    "bundle_too_large",
    "case_clash",
    "control_character",
    "corrupt",
    "device",
    "drive_letter",
    "duplicate",
    "empty",
    "empty_segment",
    "encrypted",
    "file_and_directory",
    "file_too_large",
    "forbidden_name",
    "link",
    "not_an_archive",
    "not_nfc",
    "not_portable",
    "not_utf8",
    "overlap",
    "parent_path",
    "path_too_long",
    "prepended_data",
    "ratio",
    "too_deep",
    "too_many_files",
    "trailing_data",
    "unsupported",
    "upload_too_large",
]

FILE_MODE = 0o644
CHUNK_BYTES = 1 << 16
# Below this size a high ratio is ordinary (a page of blanks), and no bomb.
RATIO_FLOOR_BYTES = 1 << 16
# Folders and a desktop's companion files are entries too; four to a file is plenty.
ENTRIES_PER_FILE = 4
# What an archive may spend on the names and headers of one entry. Real ones need under 2 kB.
ENTRY_OVERHEAD_BYTES = 4_096
# Extended headers (pax, GNU long names) are read into memory whole before they can be judged.
TAR_EXTENSION_BYTES = 1 << 16
TAR_BLOCK_BYTES = 512
SPOOL_BYTES = 8 << 20
SHOWN_CHARACTERS = 120

DRIVE = re.compile(r"[A-Za-z]:")
RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE
)
NOT_PORTABLE = frozenset('<>:"|?*')
# A repository's hooks would run, and a key or a password file was packed by mistake.
FORBIDDEN = frozenset({".git", ".ssh", ".env", ".env.local", ".env.production"})
# Control, format (bidirectional and invisible ones are these), surrogate, private use, not
# assigned, line and paragraph separators: what a person who reads the name cannot see.
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# What desktops add to archives without being asked.
JUNK_FOLDER = "__MACOSX/"
JUNK_NAMES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
# What says that a folder is a bundle.
BUNDLE_MARKS = ("SKILL.md", "asset.json")

# Never in this century's archives by accident, and the first day that a zip can write.
EPOCH = (1980, 1, 1, 0, 0, 0)
EPOCH_SECONDS = 315_532_800

ZIP_END = b"PK\x05\x06"
ZIP_END_BYTES = 22
ZIP_LOCAL = b"PK\x03\x04"
ZIP_LOCAL_BYTES = 30
ZIP_COMMENT_BYTES = 0xFFFF
ZIP_DESCRIPTOR = b"PK\x07\x08"
ZIP_DESCRIPTOR_BYTES = 12
ZIP_ENCRYPTED = 0x1 | 0x40 | 0x2000
ZIP_STREAMED = 0x8
ZIP_PATCHED = 0x20
ZIP_UTF8 = 0x800
ZIP_UNICODE_PATH = 0x7075
ZIP64_COUNT = 0xFFFF
ZIP64_OFFSET = 0xFFFFFFFF
GZIP = b"\x1f\x8b"
STORED_BLOCK_BYTES = 0xFFFF


@dataclass(frozen=True, slots=True)
class Limits:
    """What a bundle may be. Bytes are of content; paths are counted as UTF-8.

    Attributes:
        file_bytes: The most in one file.
        files: The most files.
        bundle_bytes: The most in all files together.
        upload_bytes: The most in an archive as it is uploaded.
        ratio: How many times larger a packed file may unpack.
        path_bytes: The longest path.
        depth: The most segments of a path.
    """

    file_bytes: int = 20 << 20
    files: int = 200
    bundle_bytes: int = 100 << 20
    upload_bytes: int = 100 << 20
    ratio: int = 100
    path_bytes: int = 200
    depth: int = 10


DEFAULT_LIMITS = Limits()


class UnsafeArchive(Exception):
    """An archive, or a list of files, that is not taken. Nothing of it has been used.

    Attributes:
        reason: A stable code.
        path: The entry it is about, as far as it can be shown; empty when it is about all.
        detail: One sentence for whoever made it.
    """

    def __init__(self, reason: Reason, path: str = "", detail: str = "") -> None:
        # What cannot be seen is spelt out, so that a hostile name cannot rewrite its line.
        shown = "".join(
            ascii(one)[1:-1] if unicodedata.category(one) in INVISIBLE else one
            for one in path[:SHOWN_CHARACTERS]
        )
        super().__init__(" ".join(part for part in (f"{reason}:", detail, shown) if part))
        self.reason: Reason = reason
        self.path = shown
        self.detail = detail


def check_path(path: str, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse a path that is not relative, plain, portable and visible.

    Raises:
        UnsafeArchive: With the rule that it breaks.
    """
    if not path:
        raise UnsafeArchive("empty_segment", path, "A file needs a name.")
    if any(unicodedata.category(one) in INVISIBLE for one in path):
        raise UnsafeArchive(
            "control_character", path, "The path has characters that cannot be seen."
        )
    if "\\" in path:
        raise UnsafeArchive("backslash", path, "Separate folders by a slash.")
    if path.startswith("/"):
        raise UnsafeArchive("absolute_path", path, "The path must be relative.")
    if DRIVE.match(path):
        raise UnsafeArchive("drive_letter", path, "The path must be relative.")
    if not unicodedata.is_normalized("NFC", path):
        raise UnsafeArchive("not_nfc", path, "The path must be in Unicode normal form C.")
    segments = path.split("/")
    if len(path.encode()) > limits.path_bytes:
        raise UnsafeArchive("path_too_long", path, f"At most {limits.path_bytes} bytes.")
    if len(segments) > limits.depth:
        raise UnsafeArchive("too_deep", path, f"At most {limits.depth} levels.")
    for segment in segments:
        _check_segment(segment, path)


def _check_segment(segment: str, path: str) -> None:
    if segment == "..":
        raise UnsafeArchive("parent_path", path, "The path must stay inside the bundle.")
    if segment in ("", "."):
        raise UnsafeArchive("empty_segment", path, "The path has an empty part.")
    if (
        segment.endswith((" ", "."))
        or RESERVED.match(segment)
        or not NOT_PORTABLE.isdisjoint(segment)
    ):
        raise UnsafeArchive("not_portable", path, "Not every system can write such a name.")
    if segment.casefold() in FORBIDDEN:
        raise UnsafeArchive(
            "forbidden_name", path, "Bundles carry no repositories, keys or secrets."
        )


class _Listing:
    """The paths seen so far; refuses what would collide on one file system or another."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entries = 0
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}
        self._total = 0

    def count(self) -> None:
        """Count an entry of any kind, before anything is learnt about it."""
        self._entries += 1
        if self._entries > self._limits.files * ENTRIES_PER_FILE:
            raise UnsafeArchive("too_many_files", detail=f"At most {self._limits.files} files.")

    def add_folder(self, path: str) -> None:
        """Take a folder that has an entry of its own."""
        check_path(path, self._limits)
        self._enter(path)

    def add_file(self, path: str, size: int) -> None:
        """Take a file of a declared *size*."""
        check_path(path, self._limits)
        if size > self._limits.file_bytes:
            raise UnsafeArchive("file_too_large", path, f"At most {self._limits.file_bytes} bytes.")
        self._total += size
        if self._total > self._limits.bundle_bytes:
            limit = self._limits.bundle_bytes
            raise UnsafeArchive("bundle_too_large", path, f"At most {limit} bytes together.")
        key = path.casefold()
        if key in self._files:
            same = self._files[key] == path
            raise UnsafeArchive("duplicate" if same else "case_clash", path, "The name is taken.")
        if key in self._folders:
            raise UnsafeArchive("file_and_directory", path, "The name is that of a folder, too.")
        self._files[key] = path
        # Desktop companions are dropped later, and do not count against the bundle.
        if len(self._files) > self._limits.files and not is_junk(path):
            kept = sum(not is_junk(one) for one in self._files.values())
            if kept > self._limits.files:
                raise UnsafeArchive("too_many_files", detail=f"At most {self._limits.files} files.")
        folder = path.rpartition("/")[0]
        if folder:
            self._enter(folder)

    def _enter(self, folder: str) -> None:
        while folder:
            key = folder.casefold()
            if key in self._files:
                raise UnsafeArchive(
                    "file_and_directory", folder, "The name is that of a file, too."
                )
            if self._folders.setdefault(key, folder) != folder:
                raise UnsafeArchive("case_clash", folder, "The names differ only in case.")
            folder = folder.rpartition("/")[0]


def is_junk(path: str) -> bool:
    """Say whether a desktop added this file on its own account."""
    name = path.rpartition("/")[2]
    return path.startswith(JUNK_FOLDER) or name in JUNK_NAMES


def check_bundle(
    files: Mapping[str, bytes] | Iterable[tuple[str, bytes]], limits: Limits = DEFAULT_LIMITS
) -> dict[str, bytes]:
    """Return *files* by path after the same checks that an archive's entries get.

    Pairs instead of a mapping let duplicates be seen.

    Raises:
        UnsafeArchive: With the rule that is broken and the path that breaks it.
    """
    listing = _Listing(limits)
    checked: dict[str, bytes] = {}
    for path, content in files.items() if isinstance(files, Mapping) else files:
        listing.count()
        listing.add_file(path, len(content))
        checked[path] = content
    if not checked:
        raise UnsafeArchive("empty", detail="There is no file in it.")
    return checked


def without_top_folder(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return *files* as seen from their one common folder, if that is where the bundle begins.

    People pack `my-skill/SKILL.md` as often as `SKILL.md`. A folder that holds neither `SKILL.md`
    nor `asset.json` stays: it may be part of the content.
    """
    tops = {path.partition("/")[0] for path in files}
    if len(tops) != 1:
        return dict(files)
    (top,) = tops
    if not any(f"{top}/{mark}" in files for mark in BUNDLE_MARKS):
        return dict(files)
    return {path.removeprefix(f"{top}/"): content for path, content in files.items()}


def read_archive(source: bytes | IO[bytes], limits: Limits = DEFAULT_LIMITS) -> dict[str, bytes]:
    """Return the files of a .zip or .tar.gz by path, sorted. Its first bytes say which it is.

    What desktops add on their own account (`__MACOSX/`, `.DS_Store`) is left out.

    Args:
        source: The archive; a stream must be seekable and is read from its beginning.
        limits: What is allowed. Memory is bounded by `bundle_bytes`.

    Raises:
        UnsafeArchive: With the rule that is broken; for whatever reason it cannot be read, too.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    size = stream.seek(0, io.SEEK_END)
    if size > limits.upload_bytes:
        raise UnsafeArchive("upload_too_large", detail=f"At most {limits.upload_bytes} bytes.")
    read = _reader_of(stream, size)
    try:
        files = read(stream, size, limits)
    # Parsers of formats this old fail in many ways on bytes made to fail them. ValueError includes
    # names that are not text, RecursionError extended headers that describe each other.
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        struct.error,
        EOFError,
        NotImplementedError,
        OverflowError,
        RecursionError,
        ValueError,
    ) as error:
        raise UnsafeArchive(
            "corrupt", detail="It cannot be read as what it claims to be."
        ) from error
    kept = {path: files[path] for path in sorted(files) if not is_junk(path)}
    if not kept:
        raise UnsafeArchive("empty", detail="There is no file in it.")
    return kept


def _reader_of(
    stream: IO[bytes], size: int
) -> Callable[[IO[bytes], int, Limits], dict[str, bytes]]:
    stream.seek(0)
    start = stream.read(4)
    if start.startswith(GZIP):
        return _read_tar
    stream.seek(max(0, size - ZIP_END_BYTES - ZIP_COMMENT_BYTES))
    # The end is what makes a zip; one that something was put in front of gets told so.
    if start.startswith(b"PK") or ZIP_END in stream.read():
        return _read_zip
    raise UnsafeArchive("not_an_archive", detail="Neither a .zip nor a .tar.gz.")


# --- zip ----------------------------------------------------------------------------------------


def _read_zip(stream: IO[bytes], size: int, limits: Limits) -> dict[str, bytes]:
    directory = _zip_directory(stream, size, limits)
    stream.seek(0)
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
    listing = _Listing(limits)
    for entry in entries:
        listing.count()
        _list_zip_entry(entry, listing, limits)
    return {
        path: _inflate(stream, entry, start, path)
        for path, entry, start in _laid_out(stream, entries, directory)
        if not path.endswith("/")
    }


def _inflate(stream: IO[bytes], entry: zipfile.ZipInfo, start: int, path: str) -> bytes:
    """Return the bytes of an entry, which are exactly those declared and checked before."""
    stream.seek(start)
    data = stream.read(entry.compress_size)
    ends = len(data) == entry.compress_size
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        # One byte more than declared: zipfile would cut there without a word, others would not.
        data = unpacker.decompress(data, entry.file_size + 1)
        ends = ends and unpacker.eof and not unpacker.unused_data
    if not ends or len(data) != entry.file_size or zlib.crc32(data) != entry.CRC:
        raise UnsafeArchive("corrupt", path, "Its bytes are not those that were declared.")
    return data


def _zip_directory(stream: IO[bytes], size: int, limits: Limits) -> int:
    """Return where the central directory begins, having found exactly one, at the very end."""
    tail_at = max(0, size - ZIP_END_BYTES - ZIP_COMMENT_BYTES)
    stream.seek(tail_at)
    tail = stream.read()
    found = tail.rfind(ZIP_END)
    if found < 0 or len(tail) - found < ZIP_END_BYTES:
        raise UnsafeArchive("corrupt", detail="The end of the zip is missing.")
    disk, start_disk, here, entries, length, offset, comment = struct.unpack(
        "<4H2LH", tail[found + 4 : found + ZIP_END_BYTES]
    )
    end_at = tail_at + found
    if end_at + ZIP_END_BYTES + comment != size:
        raise UnsafeArchive("trailing_data", detail="Something follows the end of the zip.")
    if (
        disk
        or start_disk
        or here != entries
        or entries == ZIP64_COUNT
        or ZIP64_OFFSET in (length, offset)
    ):
        raise UnsafeArchive("unsupported", detail="Split and zip64 archives are not taken.")
    if offset + length != end_at:
        reason: Reason = "prepended_data" if offset + length < end_at else "corrupt"
        raise UnsafeArchive(reason, detail="The zip does not begin where it says.")
    # Before anything is parsed: a directory of a million entries costs memory just to list.
    most = limits.files * ENTRIES_PER_FILE
    if entries > most or length > most * ENTRY_OVERHEAD_BYTES:
        raise UnsafeArchive("too_many_files", detail=f"At most {limits.files} files.")
    return int(offset)


def _zip_name(entry: zipfile.ZipInfo) -> bytes:
    return entry.orig_filename.encode("utf-8" if entry.flag_bits & ZIP_UTF8 else "cp437")


def _zip_path(entry: zipfile.ZipInfo) -> str:
    # Many programs write UTF-8 without saying so. A name that is not even that has no one reading.
    try:
        return _zip_name(entry).decode()
    except UnicodeDecodeError:
        raise UnsafeArchive("not_utf8", entry.orig_filename, "Names must be UTF-8.") from None


def _list_zip_entry(entry: zipfile.ZipInfo, listing: _Listing, limits: Limits) -> None:
    path = _zip_path(entry)
    _check_zip_form(entry, path)
    if path.endswith("/"):
        listing.add_folder(path.removesuffix("/"))
        return
    listing.add_file(path, entry.file_size)
    packed = max(1, entry.compress_size)
    if entry.file_size > RATIO_FLOOR_BYTES and entry.file_size > limits.ratio * packed:
        raise UnsafeArchive(
            "ratio", path, f"It unpacks to more than {limits.ratio} times its size."
        )


def _check_zip_form(entry: zipfile.ZipInfo, path: str) -> None:
    if entry.flag_bits & ZIP_ENCRYPTED:
        raise UnsafeArchive("encrypted", path, "Encrypted entries are not taken.")
    if entry.flag_bits & ZIP_PATCHED or entry.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):
        raise UnsafeArchive("unsupported", path, "Only stored and deflated entries are taken.")
    if _has_extra(entry.extra, ZIP_UNICODE_PATH):
        raise UnsafeArchive("unsupported", path, "The entry has two names.")
    form = stat.S_IFMT(entry.external_attr >> 16)  # 0 where the packer knew no Unix modes
    if form == stat.S_IFLNK:
        raise UnsafeArchive("link", path, "Links are not taken.")
    if form not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UnsafeArchive("device", path, "Only files and folders are taken.")
    folder = path.endswith("/")
    if (form and folder != (form == stat.S_IFDIR)) or (folder and entry.file_size):
        raise UnsafeArchive("file_and_directory", path, "It claims to be a file and a folder.")


def _has_extra(extra: bytes, wanted: int) -> bool:
    while len(extra) >= 4:  # noqa: PLR2004 - a tag and a length of two bytes each
        tag, length = struct.unpack("<HH", extra[:4])
        if tag == wanted:
            return True
        extra = extra[4 + length :]
    return False


def _laid_out(
    stream: IO[bytes], entries: list[zipfile.ZipInfo], directory: int
) -> list[tuple[str, zipfile.ZipInfo, int]]:
    """Return each path with its entry and where its bytes start.

    Refuses local headers that tell another story, and bytes that belong to no entry.
    """
    placed = []
    expected = 0
    for entry in sorted(entries, key=lambda one: one.header_offset):
        path = _zip_path(entry)
        if entry.header_offset < expected:
            raise UnsafeArchive("overlap", path, "Two entries share bytes.")
        if entry.header_offset > expected:
            reason: Reason = "prepended_data" if expected == 0 else "trailing_data"
            raise UnsafeArchive(reason, path, "There are bytes that belong to no entry.")
        start = _zip_start(stream, entry, path)
        expected = _zip_end(stream, entry, start, path)
        placed.append((path, entry, start))
    if expected > directory:
        raise UnsafeArchive("overlap", detail="An entry reaches into the directory.")
    if expected < directory:
        raise UnsafeArchive("trailing_data", detail="There are bytes that belong to no entry.")
    return placed


def _zip_start(stream: IO[bytes], entry: zipfile.ZipInfo, path: str) -> int:
    """Return where the bytes of an entry start, having compared its header with the directory."""
    stream.seek(entry.header_offset)
    header = stream.read(ZIP_LOCAL_BYTES)
    if len(header) < ZIP_LOCAL_BYTES or not header.startswith(ZIP_LOCAL):
        raise UnsafeArchive("bad_local_header", path, "The entry is not where the directory says.")
    flags, method, *declared, name, extra = struct.unpack("<6x2H4x3L2H", header)
    same_flags = (flags ^ entry.flag_bits) & (ZIP_ENCRYPTED | ZIP_STREAMED) == 0
    same_sizes = declared == _declared(entry) or (flags & ZIP_STREAMED and not any(declared))
    same_name = stream.read(name) == _zip_name(entry)
    if not (
        same_flags and same_sizes and same_name and method == entry.compress_type
    ) or _has_extra(stream.read(extra), ZIP_UNICODE_PATH):
        raise UnsafeArchive("bad_local_header", path, "Its header and the directory disagree.")
    return entry.header_offset + ZIP_LOCAL_BYTES + len(_zip_name(entry)) + int(extra)


def _zip_end(stream: IO[bytes], entry: zipfile.ZipInfo, start: int, path: str) -> int:
    """Return where an entry ends, its data descriptor included."""
    end = start + entry.compress_size
    if not entry.flag_bits & ZIP_STREAMED:
        return end
    stream.seek(end)
    descriptor = stream.read(len(ZIP_DESCRIPTOR) + ZIP_DESCRIPTOR_BYTES)
    mark = len(ZIP_DESCRIPTOR) if descriptor.startswith(ZIP_DESCRIPTOR) else 0
    told = struct.unpack("<3L", descriptor[mark : mark + ZIP_DESCRIPTOR_BYTES])
    if list(told) != _declared(entry):
        raise UnsafeArchive("bad_local_header", path, "Its descriptor and the directory disagree.")
    return end + mark + ZIP_DESCRIPTOR_BYTES


def _declared(entry: zipfile.ZipInfo) -> list[int]:
    return [entry.CRC, entry.compress_size, entry.file_size]


# --- tar.gz -------------------------------------------------------------------------------------


class _Member(tarfile.TarInfo):
    """A tar header, looked at before anything it announces is read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        extension = member.type in (
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        )
        if member.size < 0 or (extension and member.size > TAR_EXTENSION_BYTES):
            raise UnsafeArchive("corrupt", detail="A header announces more than a header can hold.")
        return member


def _read_tar(stream: IO[bytes], size: int, limits: Limits) -> dict[str, bytes]:
    overhead = limits.files * ENTRIES_PER_FILE * ENTRY_OVERHEAD_BYTES
    files: dict[str, bytes] = {}
    with ExitStack() as stack:
        plain = stack.enter_context(tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES))
        length = _gunzip(stream, plain, limits.bundle_bytes + overhead)
        plain.seek(0)
        archive = stack.enter_context(
            tarfile.open(fileobj=plain, mode="r:", tarinfo=_Member, encoding="utf-8")
        )
        listing = _Listing(limits)
        members: list[tuple[str, tarfile.TarInfo]] = []
        end = total = 0
        for member in archive:
            listing.count()
            blocks = -(-member.size // TAR_BLOCK_BYTES) if member.isreg() else 0
            end = max(end, member.offset_data + blocks * TAR_BLOCK_BYTES)
            if _list_tar_member(member, listing):
                total += member.size
                members.append((member.name.removeprefix("./"), member))
        if total > RATIO_FLOOR_BYTES and total > limits.ratio * size:
            raise UnsafeArchive(
                "ratio", detail=f"It unpacks to more than {limits.ratio} times its size."
            )
        for path, member in members:
            content = archive.extractfile(member)
            data = content.read() if content else b""
            if len(data) != member.size:
                raise UnsafeArchive("corrupt", path, "The archive ends in the middle of a file.")
            files[path] = data
        _check_tar_rest(plain, end, length)
    return files


def _list_tar_member(member: tarfile.TarInfo, listing: _Listing) -> bool:
    """Take a member into the listing; say whether it is a file."""
    path = member.name.removeprefix("./")
    if member.issym() or member.islnk():
        raise UnsafeArchive("link", path, "Links are not taken.")
    if member.isdir():
        if path not in ("", "."):  # what `tar czf x.tar.gz .` begins with
            listing.add_folder(path)
        return False
    if member.issparse():
        raise UnsafeArchive("unsupported", path, "Sparse files are not taken.")
    if not member.isreg():
        raise UnsafeArchive("device", path, "Only files and folders are taken.")
    listing.add_file(path, member.size)
    return True


def _gunzip(stream: IO[bytes], plain: tempfile.SpooledTemporaryFile[bytes], most: int) -> int:
    """Unpack one gzip member that ends where *stream* ends; return its length unpacked."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    stream.seek(0)
    length = 0
    for chunk in _chunks(stream):
        if unpacker.eof:
            raise UnsafeArchive("trailing_data", detail="Something follows the end of the gzip.")
        packed = chunk
        while packed:
            data = unpacker.decompress(packed, CHUNK_BYTES)
            length += len(data)
            if length > most:
                raise UnsafeArchive("bundle_too_large", detail="It unpacks to more than is taken.")
            plain.write(data)
            packed = unpacker.unconsumed_tail
    while not unpacker.eof:
        # The last bytes may still hold much; without any progress the end is simply missing.
        data = unpacker.decompress(b"", CHUNK_BYTES)
        length += len(data)
        if not data or length > most:
            reason: Reason = "bundle_too_large" if data else "corrupt"
            raise UnsafeArchive(reason, detail="The archive does not end as it should.")
        plain.write(data)
    if unpacker.unused_data:
        raise UnsafeArchive("trailing_data", detail="Something follows the end of the gzip.")
    return length


def _check_tar_rest(plain: tempfile.SpooledTemporaryFile[bytes], end: int, length: int) -> None:
    # tarfile stops at the first header it cannot read, and says nothing of what comes after.
    if end > length:
        raise UnsafeArchive("corrupt", detail="The archive ends in the middle of a file.")
    plain.seek(end)
    while rest := plain.read(CHUNK_BYTES):
        if rest.strip(b"\0"):
            raise UnsafeArchive("trailing_data", detail="Something follows the last file.")


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


# --- Writing ------------------------------------------------------------------------------------
# Nothing is compressed: what a deflater writes differs between zlib, its successors and their
# versions, and the digest of an archive is published. HTTP can compress on the way.


# Bytes, or how to open them when their turn comes; what is opened is closed again, and seekable.
Content = bytes | Callable[[], IO[bytes]]


def write_zip(entries: Iterable[tuple[str, Content]], stream: IO[bytes]) -> None:
    """Write files as a zip that depends on nothing but their paths and bytes.

    Args:
        entries: Paths that have been checked, and the content of each.
        stream: Where to write; seekable.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for path, content in sorted(entries, key=_by_path):
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.create_system = 3  # Unix, also where this runs on something else
            entry.external_attr = (stat.S_IFREG | FILE_MODE) << 16
            with _opened(content) as source, archive.open(entry, "w") as target:
                for chunk in _chunks(source):
                    target.write(chunk)


def write_tar_gz(entries: Iterable[tuple[str, Content]], stream: IO[bytes]) -> None:
    """Write files as a tar.gz that depends on nothing but their paths and bytes.

    Arguments as for `write_zip`; *stream* need not be seekable.
    """
    packed = _StoredGzip(stream)
    # "w|": tarfile's own gzip would write the time and the deflater's name.
    with tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for path, content in sorted(entries, key=_by_path):
            member = tarfile.TarInfo(path)
            member.mode = FILE_MODE
            member.mtime = EPOCH_SECONDS
            with _opened(content) as source:
                member.size = source.seek(0, io.SEEK_END)
                source.seek(0)
                archive.addfile(member, source)
    packed.finish()


def _by_path(entry: tuple[str, Content]) -> bytes:
    return entry[0].encode()


def _opened(content: Content) -> IO[bytes]:
    return io.BytesIO(content) if isinstance(content, bytes) else content()


class _StoredGzip:
    """A gzip file of stored blocks. Source: RFC 1951 section 3.2.4, RFC 1952."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._waiting = bytearray()
        self._crc = 0
        self._length = 0
        # Deflate, no flags, no time, no hint, an unknown system: nothing of this machine.
        self._stream.write(GZIP + bytes((8, 0, 0, 0, 0, 0, 0, 255)))

    def write(self, data: bytes) -> int:
        self._crc = zlib.crc32(data, self._crc)
        self._length += len(data)
        self._waiting += data
        # Blocks are cut by length alone, whatever pieces the tar arrives in.
        while len(self._waiting) > STORED_BLOCK_BYTES:
            self._block(bytes(self._waiting[:STORED_BLOCK_BYTES]), last=False)
            del self._waiting[:STORED_BLOCK_BYTES]
        return len(data)

    def finish(self) -> None:
        self._block(bytes(self._waiting), last=True)
        self._stream.write(struct.pack("<LL", self._crc, self._length & 0xFFFFFFFF))

    def _block(self, data: bytes, *, last: bool) -> None:
        size = len(data)
        self._stream.write(struct.pack("<BHH", int(last), size, size ^ STORED_BLOCK_BYTES) + data)
