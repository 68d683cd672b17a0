"""The registry: publishing versions, finding them, and handing out their files."""

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, BinaryIO, Literal

import rfc8785
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db import transaction
from django.db.models import Case, Func, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Now

from assets import bundles, graph, semver, workflows
from assets.archives import (
    DEFAULT_LIMITS,
    FILE_MODE,
    SPOOL_BYTES,
    Content,
    Limits,
    UnsafeArchive,
    check_bundle,
    without_top_folder,
    write_tar_gz,
    write_zip,
)
from assets.blobs import StoredBlob, open_blob, store_all
from assets.bundles import DependencyRequest, InvalidBundle, InvalidInput, Said
from assets.graph import (
    DIRECT_DEPENDENCIES,
    InvalidRequirement,
    Lock,
    TooManyDependencies,
    UnknownAsset,
    owner_lookup,
)
from assets.models import (
    DESCRIPTION_CHARACTERS,
    LICENSE_CHARACTERS,
    NAME_CHARACTERS,
    NAME_PATTERN,
    REASON_CHARACTERS,
    REFERENCE_CHARACTERS,
    TAG_CHARACTERS,
    Asset,
    Closure,
    Dependency,
    Kind,
    Share,
    Version,
    VersionFile,
)
from assets.royalties import LEAST_RATE_BPS, MOST_RATE_BPS, DirectEdge, final_shares
from assets.semver import InvalidVersion
from assets.workflows import Workflow

__all__ = [
    "DependencyRequest",
    "InvalidBundle",
    "InvalidInput",
    "InvalidVersion",
    "KindDiffers",
    "SelfDependency",
    "UnknownAsset",
    "UnknownFile",
    "UnknownVersion",
    "VersionExists",
    "YankedAlready",
    "archive_of",
    "digest_of",
    "files_of",
    "find_asset",
    "find_version",
    "publish",
    "read_file",
    "search",
    "versions_of",
    "yank",
]

TAGS = 20
QUERY_WORDS = 16
# ts_rank() is below 1; as millionths it is a whole number, which a cursor can carry exactly.
RANK_UNIT = 1_000_000
_SIDECAR = f"/files/{bundles.SIDECAR_FILE}"


class VersionExists(Exception):
    """The number is taken, also if its version was yanked: numbers are never reused.

    Attributes:
        reference: `owner/name`.
        number: The number, or one that differs from it in build metadata only.
    """

    def __init__(self, reference: str, number: str) -> None:
        super().__init__(f"{reference}@{number} is published already")
        self.reference = reference
        self.number = number


class KindDiffers(Exception):
    """An asset stays what it was first published as.

    Attributes:
        reference: `owner/name`.
        kind: What the asset is.
        given: What the new version claims to be.
    """

    def __init__(self, reference: str, kind: str, given: str) -> None:
        super().__init__(f"{reference} is a {kind}, not a {given}")
        self.reference = reference
        self.kind = kind
        self.given = given


class SelfDependency(Exception):
    """A version asks for its own asset.

    Attributes:
        reference: `owner/name`.
    """

    def __init__(self, reference: str) -> None:
        super().__init__(f"{reference} cannot depend on itself")
        self.reference = reference


class UnknownVersion(Exception):
    """An asset has no such version, or none that is not yanked.

    Attributes:
        reference: `owner/name@1.0.0`, or `owner/name`.
    """

    def __init__(self, reference: str) -> None:
        super().__init__(f"there is no version {reference[:200]!r}")
        self.reference = reference


class UnknownFile(Exception):
    """A version has no file at a path.

    Attributes:
        path: The path that was asked for.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"there is no file {path[:200]!r}")
        self.path = path


class YankedAlready(Exception):
    """A version is yanked once, and stays so.

    Attributes:
        reference: `owner/name@1.0.0`.
    """

    def __init__(self, reference: str) -> None:
        super().__init__(f"{reference} is yanked already")
        self.reference = reference


# --- Publishing ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Draft:
    """A version to be, as far as it can be judged without the database."""

    kind: Kind
    name: str
    number: semver.Number | None
    description: str
    tags: tuple[str, ...]
    license: str
    dependencies: tuple[DependencyRequest, ...]
    source_reference: str
    files: dict[str, bytes]
    said: Said
    workflow: Workflow | None  # of that kind


def publish(
    *,
    owner: AbstractBaseUser,
    published_by: AbstractBaseUser,
    files: Mapping[str, bytes],
    kind: str | None = None,
    name: str | None = None,
    version: str | None = None,
    description: str | None = None,
    tags: Sequence[str] = (),
    license: str | None = None,  # noqa: A002 - the word that everybody knows the field by
    dependencies: Sequence[DependencyRequest] = (),
    source_reference: str = "",
    limits: Limits = DEFAULT_LIMITS,
    judge_workflow: Callable[[Workflow], None] = lambda _: None,
) -> Version:
    """Publish a version of an asset of *owner*; the first one makes the asset.

    What is not given is taken from the sidecar `asset.json`, then from the front matter of
    `SKILL.md`, or from `workflow.json`. One common top folder is stripped where the bundle begins
    inside of it. An asset that a workflow's step names is a dependency, given as one or not.

    Args:
        owner: Whose asset it is.
        published_by: Who publishes; the caller has made sure that they may.
        files: Bytes by path, from `archives.read_archive` or anywhere else; checked here again.
        kind: `skill`, `workflow`, `trace` or `experience`; a bundle with `SKILL.md` is a skill. A
            workflow has a `workflow.json`.
        name: 1 to 64 of a-z, 0-9 and hyphen. A name in `SKILL.md` is brought into that form.
        version: Strict semver. Any free number will do, so that an old line can be mended; by
            default the patch after the highest release, and 1.0.0 to begin with.
        description: At most 4,000 characters.
        tags: At most 20 of at most 40 characters; kept in lower case, once each.
        license: At most 100 characters; an SPDX identifier where there is one.
        dependencies: At most 8; ranges are resolved now and for good.
        source_reference: What the version came out of; opaque, at most 200 characters.
        limits: What a bundle may be.
        judge_workflow: Raises where a well-formed workflow breaks a rule that is not ours.

    Raises:
        InvalidBundle: Something given breaks a rule; `pointer` says what, `code` says which.
        InvalidWorkflow: The bundle's `workflow.json` is missing or wrong, or the lock would have a
            version that is not in the range of a step; `faults` says all that is wrong.
        InvalidVersion: The number is not strict semver.
        VersionExists: The number is taken, also by whoever was faster.
        KindDiffers: The asset is of another kind.
        SelfDependency: The asset itself is among the dependencies.
        UnknownAsset: A dependency does not exist.
        UnresolvableDependency: No set of versions satisfies the ranges.
        TooManyDependencies: More than 8 direct ones, or than 256 in all.

    Transaction: its own inside whichever runs. The files are stored before it; if it is undone,
    they stay as orphans, which hurt nobody.
    Locks: the asset, so that publications of one asset follow one another.
    """
    draft = _draft(
        files=files,
        limits=limits,
        kind=kind,
        name=name,
        version=version,
        description=description,
        tags=tags,
        license=license,
        dependencies=dependencies,
        source_reference=source_reference,
    )
    if draft.workflow is not None:
        judge_workflow(draft.workflow)
    paths = sorted(draft.files, key=str.encode)
    stored = store_all((draft.files[path] for path in paths), limit_bytes=limits.file_bytes)
    with transaction.atomic():
        asset = _locked_asset(owner, draft)
        number = _free_number(asset, draft.number)
        lock = _resolve(asset, draft.dependencies)
        if draft.workflow is not None:
            workflows.require_in_range(
                draft.workflow, {entry.asset: entry.version for entry in lock.entries}
            )
        published = Version.objects.create(
            asset=asset,
            number=str(number),
            precedence=number.precedence,
            digest=digest_of(zip(paths, stored, strict=True)),
            description=draft.description,
            tags=list(draft.tags),
            license=draft.license,
            manifest=draft.said.manifest,
            front_matter=draft.said.front_matter,
            source_reference=draft.source_reference,
            size=sum(blob.size for blob in stored),
            file_count=len(paths),
            published_by_id=published_by.pk,
        )
        VersionFile.objects.bulk_create(
            VersionFile(
                version=published, path=path, mode=FILE_MODE, size=blob.size, blob_id=blob.sha256
            )
            for path, blob in zip(paths, stored, strict=True)
        )
        _write_edges(published, draft.dependencies, lock)
        _show_latest(asset)
    return published


def digest_of(files: Iterable[tuple[str, StoredBlob]]) -> str:
    """Return the digest of a version with these *files*, in hex.

    It is the sha256 of the canonical JSON (RFC 8785) of a list of objects with `path`, `mode`,
    `size` and `sha256`, sorted by the bytes of the path; a mode is text such as `0644`.
    """
    listed: list[dict[str, str | int]] = [
        {"path": path, "mode": f"{FILE_MODE:04o}", "size": blob.size, "sha256": blob.sha256}
        for path, blob in sorted(files, key=lambda one: one[0].encode())
    ]
    return hashlib.sha256(rfc8785.dumps(listed)).hexdigest()


def _draft(
    *,
    files: Mapping[str, bytes],
    limits: Limits,
    kind: str | None,
    name: str | None,
    version: str | None,
    description: str | None,
    tags: Sequence[str],
    license: str | None,  # noqa: A002
    dependencies: Sequence[DependencyRequest],
    source_reference: str,
) -> _Draft:
    try:
        content = without_top_folder(check_bundle(files, limits))
    except UnsafeArchive as unsafe:
        raise InvalidBundle.of(unsafe) from unsafe
    said = bundles.read(content)
    found = _kind(kind, said)
    workflow = workflows.read(content) if found == Kind.WORKFLOW else None
    if workflow is not None:
        said = _said_with(workflow, said)
    wanted = version if version is not None else said.version
    return _Draft(
        kind=found,
        name=_name(name, said),
        number=semver.parse(wanted) if wanted is not None else None,
        description=_text(
            "description",
            description if description is not None else said.description,
            DESCRIPTION_CHARACTERS,
        ),
        tags=_tags(tags or said.tags),
        license=_text(
            "license", license if license is not None else said.license or "", LICENSE_CHARACTERS
        ),
        dependencies=_dependencies(dependencies, said, workflow),
        source_reference=_text("source_reference", source_reference, REFERENCE_CHARACTERS),
        files=content,
        said=said,
        workflow=workflow,
    )


def _said_with(workflow: Workflow, said: Said) -> Said:
    """Return what a bundle says of itself, its workflow filling what nothing else says."""
    about = workflow.description or workflow.title
    return replace(
        said,
        name=said.name or bundles.slug(workflow.title) or None,
        description=said.description or about[:DESCRIPTION_CHARACTERS],
    )


def _kind(kind: str | None, said: Said) -> Kind:
    found = kind or said.kind or (Kind.SKILL if said.has_skill_file else None)
    if found is None:
        raise InvalidBundle("/kind", "required", "Say what it is: there is no SKILL.md in it.")
    if found not in Kind.values:
        pointer = "/kind" if kind else _SIDECAR
        raise InvalidBundle(pointer, "invalid", f"A kind is one of {', '.join(Kind.values)}.")
    if found == Kind.SKILL and not said.has_skill_file:
        raise InvalidBundle(
            "/files", "skill_md_missing", "A skill has a file SKILL.md at its root."
        )
    return Kind(found)


def _name(name: str | None, said: Said) -> str:
    found = name or said.name
    if not found:
        raise InvalidBundle("/name", "required", "Give a name, or one in SKILL.md or asset.json.")
    if len(found) > NAME_CHARACTERS or re.fullmatch(NAME_PATTERN, found) is None:
        pointer = "/name" if name else _SIDECAR
        raise InvalidBundle(
            pointer, "invalid", f"A name is 1 to {NAME_CHARACTERS} of a-z, 0-9 and inner hyphens."
        )
    return found


def _text(member: str, value: str, most: int) -> str:
    if len(value) > most:
        raise InvalidBundle(f"/{member}", "too_long", f"At most {most} characters.")
    if bundles.plain(value) != value:
        raise InvalidBundle(
            f"/{member}", "invalid_characters", "It has characters that are no text."
        )
    return value


def _tags(tags: Sequence[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(" ".join(tag.lower().split()) for tag in tags))
    if len(found) > TAGS:
        raise InvalidBundle("/tags", "too_many", f"At most {TAGS} tags.")
    for place, tag in enumerate(found):
        if not tag:
            raise InvalidBundle(f"/tags/{place}", "required", "A tag is not empty.")
        _text(f"tags/{place}", tag, TAG_CHARACTERS)
    return found


def _dependencies(
    dependencies: Sequence[DependencyRequest], said: Said, workflow: Workflow | None
) -> tuple[DependencyRequest, ...]:
    found = tuple(dependencies or said.dependencies)
    if workflow is not None:
        given = {one.asset for one in found}
        found += tuple(
            DependencyRequest(needed.asset, needed.constraint)
            for needed in workflow.assets
            if needed.asset not in given
        )
    if len(found) > DIRECT_DEPENDENCIES:
        raise TooManyDependencies(limit=DIRECT_DEPENDENCIES, found=len(found), whole=False)
    seen: set[str] = set()
    for place, one in enumerate(found):
        if one.asset in seen:
            raise InvalidBundle(
                f"/dependencies/{place}/asset", "duplicate", "Name an asset once, with one range."
            )
        seen.add(one.asset)
        if not LEAST_RATE_BPS <= one.rate_bps <= MOST_RATE_BPS:
            raise InvalidBundle(
                f"/dependencies/{place}/rate_bps",
                "out_of_range",
                f"From {LEAST_RATE_BPS} to {MOST_RATE_BPS} basis points.",
            )
    return found


def _locked_asset(owner: AbstractBaseUser, draft: _Draft) -> Asset:
    # Whoever is second waits here for the first to commit, and then finds the row.
    Asset.objects.bulk_create(
        [Asset(owner_id=owner.pk, kind=draft.kind, name=draft.name)], ignore_conflicts=True
    )
    asset = (
        Asset.objects.select_related("owner")
        .defer("search")
        # NO KEY: rows that point at the asset may be written meanwhile.
        .select_for_update(of=("self",), no_key=True)
        .get(owner=owner.pk, name=draft.name)
    )
    if asset.kind != draft.kind:
        raise KindDiffers(asset.reference, asset.kind, draft.kind)
    return asset


def _free_number(asset: Asset, wanted: semver.Number | None) -> semver.Number:
    published = Version.objects.filter(asset=asset)
    if wanted is None:
        highest = (
            published.filter(precedence__endswith=semver.RELEASE).order_by("-precedence").first()
            or published.order_by("-precedence").first()
        )
        if highest is None:
            return semver.FIRST
        # Parsed again, because the next patch may be the one too many for the sort key.
        return semver.parse(str(semver.parse(highest.number).next_patch))
    if published.filter(precedence=wanted.precedence).exists():
        raise VersionExists(asset.reference, str(wanted))
    return wanted


def _resolve(asset: Asset, dependencies: Sequence[DependencyRequest]) -> Lock:
    if any(one.asset == asset.reference for one in dependencies):
        raise SelfDependency(asset.reference)
    if not dependencies:
        return Lock(entries=(), roots=())
    try:
        return graph.resolve(
            [{"asset": one.asset, "constraint": one.constraint} for one in dependencies],
            pointer="/dependencies",
            within=asset,
        )
    except InvalidRequirement as invalid:
        raise InvalidBundle(invalid.pointer, invalid.code, invalid.detail) from invalid


def _write_edges(version: Version, dependencies: Sequence[DependencyRequest], lock: Lock) -> None:
    direct = list(zip(lock.roots, dependencies, strict=True))
    Dependency.objects.bulk_create(
        Dependency(
            version=version,
            dependency_id=root,
            constraint=request.constraint.strip(),
            rate_bps=request.rate_bps,
        )
        for root, request in direct
    )
    Closure.objects.bulk_create(
        Closure(version=version, member_id=entry.version_id) for entry in lock.entries
    )
    owners = dict(Version.objects.filter(pk__in=lock.roots).values_list("pk", "asset__owner"))
    owner = version.asset.owner_id
    own = [root for root in lock.roots if owners[root] == owner]
    taken_over: dict[int, dict[int, int]] = {root: {} for root in lock.roots}
    for share in Share.objects.filter(version__in=own):
        taken_over[share.version_id][share.beneficiary_id] = share.rate_bps
    shares = final_shares(
        owner=owner,
        edges=[
            DirectEdge(root, owners[root], request.rate_bps, taken_over[root])
            for root, request in direct
        ],
    )
    Share.objects.bulk_create(
        Share(version=version, beneficiary_id=beneficiary, rate_bps=rate_bps)
        for beneficiary, rate_bps in shares.items()
    )


def _show_latest(asset: Asset) -> None:
    """Let the asset show what its highest version says; needs the asset's lock."""
    usable = Version.objects.filter(asset=asset, yanked_at__isnull=True)
    latest = (
        usable.filter(precedence__endswith=semver.RELEASE).order_by("-precedence").first()
        or usable.order_by("-precedence").first()
    )
    asset.latest = latest
    if latest is not None:
        asset.description = latest.description
        asset.tags = latest.tags
        asset.license = latest.license
    asset.save(update_fields=["latest", "description", "tags", "license"])


def yank(version: Version, *, reason: str) -> Version:
    """Keep *version* out of every lock made from now on; locks that hold it keep it.

    Args:
        version: The version; the caller has made sure that whoever asks may yank it.
        reason: What others should know, 1 to 1,000 characters.

    Raises:
        InvalidInput: The reason is empty or too long.
        YankedAlready: It was yanked before; the first reason stands.

    Transaction: its own inside whichever runs. Locks: the asset.
    """
    if not reason.strip():
        raise InvalidInput("/reason", "required", "Say why: others depend on it.")
    text = _text("reason", reason.strip(), REASON_CHARACTERS)
    with transaction.atomic():
        asset = (
            Asset.objects.select_related("owner")
            .defer("search")
            .select_for_update(of=("self",), no_key=True)
            .get(pk=version.asset_id)
        )
        yanked = Version.objects.filter(pk=version.pk, yanked_at__isnull=True)
        if not yanked.update(yanked_at=Now(), yank_reason=text):
            raise YankedAlready(f"{asset.reference}@{version.number}")
        _show_latest(asset)
        found = Version.objects.get(pk=version.pk)
        found.asset = asset
    return found


# --- Finding -------------------------------------------------------------------------------------


def find_asset(owner: str, name: str) -> Asset:
    """Return the asset `owner/name` with its owner and its latest version.

    Raises:
        UnknownAsset: There is none.

    Round trips: one.
    """
    reference = f"{owner}/{name}"
    if not reference.isprintable():
        raise UnknownAsset(reference)  # PostgreSQL takes no NUL, and no name has a control in it
    assets = Asset.objects.select_related("owner", "latest").defer("search")
    try:
        return assets.get(**{owner_lookup(): owner, "name": name})
    except Asset.DoesNotExist:
        raise UnknownAsset(reference) from None


def find_version(owner: str, name: str, number: str | None = None) -> Version:
    """Return a version with its asset and owner; by default the one the asset shows.

    That is the highest that is not yanked, a pre-release only where there is nothing else. A yanked
    one is found by its number.

    Raises:
        UnknownAsset: There is no such asset.
        UnknownVersion: It has no such version, or only yanked ones.

    Round trips: one or two.
    """
    asset = find_asset(owner, name)
    if number is None:
        found = asset.latest
    else:
        usable = number.isprintable()
        found = Version.objects.filter(asset=asset, number=number).first() if usable else None
    if found is None:
        raise UnknownVersion(asset.reference if number is None else f"{asset.reference}@{number}")
    found.asset = asset
    return found


def versions_of(asset: Asset) -> QuerySet[Version]:
    """Return all versions of *asset*, the highest first; yanked ones too."""
    return Version.objects.filter(asset=asset).order_by("-precedence")


def search(
    *, q: str = "", kind: str | None = None, tag: str | None = None, owner: str | None = None
) -> QuerySet[Asset]:
    """Return assets that have a usable version, best first, with owner and latest version.

    Each has `rank`, a whole number. The order is by `rank`, then `id`, both descending, and total,
    so a cursor of the two skips nothing and shows nothing twice. Without *q* the newest come first.

    Args:
        q: Words; an asset that has any of them is found, one that has more of them, or has them in
            its name, comes earlier. An exact `owner/name` comes first.
        kind: Only this kind.
        tag: Only with this tag.
        owner: Only of this handle.
    """
    found = Asset.objects.filter(latest__isnull=False).select_related("owner", "latest")
    found = found.defer("search")
    if kind is not None:
        found = found.filter(kind=kind)
    if tag is not None:
        found = found.filter(tags__contains=[_storable(tag.lower())])
    if owner is not None:
        found = found.filter(**{owner_lookup(): _storable(owner)})
    if not q.strip():
        return found.annotate(rank=Value(0, output_field=IntegerField())).order_by("-rank", "-id")
    words = list(dict.fromkeys(re.findall(r"[^\W_]+", q.lower())))[:QUERY_WORDS]
    if not words:
        return found.none().annotate(rank=Value(0, output_field=IntegerField()))
    query = SearchQuery(" | ".join(words), search_type="raw", config="simple")
    handle, _, name = q.strip().partition("/")
    exact = Q(**{owner_lookup(): _storable(handle), "name": _storable(name)})
    rank = Func(
        SearchRank("search", query),
        template=f"round(%(expressions)s * {RANK_UNIT})::int",
        output_field=IntegerField(),
    ) + Case(When(exact, then=Value(RANK_UNIT)), default=Value(0), output_field=IntegerField())
    return found.filter(search=query).annotate(rank=rank).order_by("-rank", "-id")


def _storable(text: str) -> str:
    return text.replace("\0", "").encode(errors="ignore").decode()


# --- Handing out ---------------------------------------------------------------------------------


def files_of(version: Version) -> QuerySet[VersionFile]:
    """Return the files of *version* by path."""
    return VersionFile.objects.filter(version=version).order_by("path")


def read_file(version: Version, path: str) -> BinaryIO:
    """Return the bytes of one file, to be read and closed by the caller.

    Raises:
        UnknownFile: There is no file at *path*.
    """
    found = files_of(version).filter(path=path).first() if "\0" not in path else None
    if found is None:
        raise UnknownFile(path)
    return open_blob(found.sha256)


def archive_of(version: Version, form: Literal["zip", "tar.gz"] = "zip") -> IO[bytes]:
    """Return *version* as an archive: the same bytes every time and everywhere.

    It is rebuilt from the blobs, never what was uploaded. Files stand at its root. Beyond a few
    megabytes it is on disk, and gone when it is closed.

    Round trips: one.
    """
    entries: list[tuple[str, Content]] = [
        (file.path, partial(open_blob, file.sha256)) for file in files_of(version)
    ]
    archive = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    write = {"zip": write_zip, "tar.gz": write_tar_gz}[form]
    write(entries, archive)
    archive.seek(0)
    return archive
