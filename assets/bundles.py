"""What a bundle says of itself: the front matter of `SKILL.md` and the sidecar `asset.json`.

Both were written by strangers. They are read leniently, for most real skills break some rule of the
format, but within bounds, and into plain values that a database can hold.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import yaml
from django.utils.text import slugify
from frontmatter.default_handlers import SafeLoader, YAMLHandler

from assets.archives import UnsafeArchive
from assets.models import DESCRIPTION_CHARACTERS, LICENSE_CHARACTERS, NAME_CHARACTERS
from assets.royalties import DEFAULT_RATE_BPS

SKILL_FILE = "SKILL.md"
SIDECAR_FILE = "asset.json"
FRONT_MATTER_CHARACTERS = 16_384
SIDECAR_BYTES = 65_536
NESTING = 20
# Python writes no integer of more than 4,300 digits, and readers of JSON trip over shorter ones.
INTEGER_BITS = 63
# What a line of a front matter that is no YAML may still tell.
LENIENT_LINE = re.compile(r"(name|description)[ \t]*:[ \t]*(.*)")


class InvalidInput(Exception):
    """Something in a request breaks a rule of the registry.

    Attributes:
        pointer: JSON pointer to it, such as `/dependencies/0/constraint` or `/files/SKILL.md`.
        code: A stable word for the rule.
        detail: One sentence for whoever asked.
    """

    def __init__(self, pointer: str, code: str, detail: str) -> None:
        super().__init__(f"{pointer}: {detail}")
        self.pointer = pointer
        self.code = code
        self.detail = detail


class InvalidBundle(InvalidInput):
    """What was to be published breaks a rule. Nothing was published."""

    @classmethod
    def of(cls, unsafe: UnsafeArchive) -> "InvalidBundle":
        """Return the same refusal as one about a file of the bundle."""
        pointer = f"/files/{escaped(unsafe.path)}" if unsafe.path else "/files"
        return cls(pointer, unsafe.reason, unsafe.detail)


@dataclass(frozen=True, slots=True)
class DependencyRequest:
    """A dependency as it is asked for.

    Attributes:
        asset: `owner/name`.
        constraint: An npm-style range such as `^1.2`.
        rate_bps: What is passed on to it of all that the new version earns, 500 to 2,000.
    """

    asset: str
    constraint: str
    rate_bps: int = DEFAULT_RATE_BPS


@dataclass(frozen=True, slots=True)
class Said:
    """What a bundle says of itself; None and empty where it says nothing."""

    name: str | None = None
    kind: str | None = None
    version: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    license: str | None = None
    dependencies: tuple[DependencyRequest, ...] = ()
    manifest: dict[str, object] = field(default_factory=dict)
    front_matter: dict[str, object] = field(default_factory=dict)
    has_skill_file: bool = False


def escaped(path: str) -> str:
    """Return *path* as one segment of a JSON pointer (RFC 6901)."""
    return path.replace("~", "~0").replace("/", "~1")


def slug(text: str) -> str:
    """Return the asset name nearest to *text*; empty where there is none."""
    return slugify(text).replace("_", "-")[:NAME_CHARACTERS].strip("-")


def plain(value: object, depth: int = 0) -> object:
    """Return *value* as JSON that PostgreSQL can hold.

    Dates become text; what JSON has no word for and integers beyond 63 bits become null; characters
    that a database cannot hold (NUL, lone surrogates) are left out. Below twenty levels there is
    only null.
    """
    kept: object = None
    match value:
        case str():
            kept = value.replace("\0", "").encode(errors="ignore").decode()
        case bool() | int() if value.bit_length() <= INTEGER_BITS:
            kept = value
        case float() if math.isfinite(value):
            kept = value
        case date():
            kept = value.isoformat()
        case dict() if depth < NESTING:
            kept = {str(plain(str(key))): plain(one, depth + 1) for key, one in value.items()}
        case list() | tuple() | set() if depth < NESTING:
            kept = [plain(one, depth + 1) for one in value]
    return kept


def read(files: Mapping[str, bytes]) -> Said:
    """Return what *files* say of the bundle they make; the sidecar before the front matter.

    Raises:
        InvalidBundle: A sidecar that is no JSON object or has a member of the wrong type; a front
            matter that does not end, or uses YAML anchors, aliases or tags of its own.
    """
    front_matter = _front_matter(files[SKILL_FILE]) if SKILL_FILE in files else {}
    manifest = _sidecar(files[SIDECAR_FILE]) if SIDECAR_FILE in files else {}
    name, description = _line(front_matter.get("name")), _line(front_matter.get("description"))
    stated = _text(manifest, "description")
    return Said(
        name=_text(manifest, "name") or (slug(name) if name else None) or None,
        kind=_text(manifest, "kind"),
        version=_text(manifest, "version"),
        # Real descriptions run long. They are cut here and whole in the file.
        description=stated if stated is not None else (description or "")[:DESCRIPTION_CHARACTERS],
        tags=_tags(manifest),
        license=_text(manifest, "license")
        or (_line(front_matter.get("license")) or "")[:LICENSE_CHARACTERS]
        or None,
        dependencies=_dependencies(manifest),
        manifest=manifest,
        front_matter=front_matter,
        has_skill_file=SKILL_FILE in files,
    )


# --- The sidecar ---------------------------------------------------------------------------------

_SIDECAR = f"/files/{SIDECAR_FILE}"


def _sidecar(content: bytes) -> dict[str, object]:
    if len(content) > SIDECAR_BYTES:
        raise InvalidBundle(_SIDECAR, "too_long", f"At most {SIDECAR_BYTES} bytes.")
    try:
        value = plain(json.loads(content))
    except (ValueError, RecursionError):
        raise InvalidBundle(_SIDECAR, "invalid_json", "It is not valid JSON.") from None
    if not isinstance(value, dict):
        raise InvalidBundle(_SIDECAR, "invalid_json", "It must be a JSON object.")
    return value


def _text(manifest: Mapping[str, object], member: str) -> str | None:
    value = manifest.get(member)
    if value is None or isinstance(value, str):
        return value
    raise InvalidBundle(_SIDECAR, "invalid_type", f"{member} must be a string.")


def _tags(manifest: Mapping[str, object]) -> tuple[str, ...]:
    value = manifest.get("tags")
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    raise InvalidBundle(_SIDECAR, "invalid_type", "tags must be a list of strings.")


def _dependencies(manifest: Mapping[str, object]) -> tuple[DependencyRequest, ...]:
    value = manifest.get("dependencies")
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InvalidBundle(_SIDECAR, "invalid_type", "dependencies must be a list.")
    return tuple(_dependency(one) for one in value)


def _dependency(value: object) -> DependencyRequest:
    match value:
        case {"asset": str(asset), "constraint": str(constraint), **rest}:
            rate_bps = rest.get("rate_bps", DEFAULT_RATE_BPS)
            if isinstance(rate_bps, int) and not isinstance(rate_bps, bool):
                return DependencyRequest(asset, constraint, rate_bps)
    raise InvalidBundle(
        _SIDECAR, "invalid_type", "A dependency is an object with asset, constraint and rate_bps."
    )


# --- The front matter ----------------------------------------------------------------------------

_SKILL = f"/files/{SKILL_FILE}"


class _Refused(yaml.YAMLError):
    """The document uses what bundles may not."""


def _check_events(block: str) -> None:
    """Refuse anchors and aliases (ten lines of them can describe a billion values) and deep nests.

    Over the parser's events, before anything is built of them.
    """
    depth = 0
    for event in yaml.parse(block, Loader=SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _Refused
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > NESTING:
            raise yaml.YAMLError("nested too deep")


def _front_matter(content: bytes) -> dict[str, object]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidBundle(_SKILL, "not_utf8", "It must be UTF-8 text.") from None
    handler = YAMLHandler()
    # The format's own splitter would take any two rules of a text for a front matter.
    if not handler.detect(text):
        return {}
    try:
        block, _ = handler.split(text[:FRONT_MATTER_CHARACTERS])
    except ValueError:
        raise InvalidBundle(
            _SKILL,
            "front_matter_open",
            f"The front matter does not end within {FRONT_MATTER_CHARACTERS} characters.",
        ) from None
    try:
        _check_events(block)
        value = plain(handler.load(block))
    except _Refused:
        raise InvalidBundle(
            _SKILL, "yaml_alias", "YAML anchors and aliases are not taken in a front matter."
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        # One real skill in thirteen has a front matter that no YAML parser reads, mostly for a
        # colon in the description. Its two lines that matter can be read all the same.
        value = None
    return value if isinstance(value, dict) else _lenient(block)


def _lenient(block: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for line in block.splitlines():
        match = LENIENT_LINE.fullmatch(line)
        if match is not None and match[1] not in found:
            found[match[1]] = plain(match[2].strip().strip("\"'"))
    return found


def _line(value: object) -> str | None:
    """Return a scalar as text on one line, where there is any."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    return " ".join(str(value).split()) or None
