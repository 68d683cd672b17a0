"""The graph of versions: choosing among them, walking them, and what they pass on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Q, QuerySet
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, Resolver
from resolvelib.resolvers import RequirementInformation, ResolutionTooDeep

from assets import semver
from assets.bundles import InvalidInput
from assets.models import Asset, Closure, Dependency, Share, Version
from assets.royalties import ShareEdge, ShareGraph, ShareNode

DIRECT_DEPENDENCIES = 8
CLOSURE_VERSIONS = 256
REQUIREMENTS = 32
# A round settles one asset. Beyond every asset of the largest lock four times over, somebody is
# paying for a puzzle.
ROUNDS = 4 * CLOSURE_VERSIONS
# Matching versions of one asset that are tried, the highest first.
CANDIDATES = 200
GRAPH_VERSIONS = 500
GRAPH_DEPTH = 32

Direction = Literal["dependencies", "dependents"]


class Requirement(TypedDict):
    """What somebody asks for: `owner/name` and an npm-style range, any version by default."""

    asset: str
    constraint: NotRequired[str]


class InvalidRequirement(InvalidInput):
    """A requirement is malformed, or there are too many of them."""


class UnknownAsset(Exception):
    """There is no asset of this name.

    Attributes:
        reference: `owner/name` as it was asked for.
    """

    def __init__(self, reference: str) -> None:
        super().__init__(f"there is no asset {reference[:140]!r}")
        self.reference = reference


class TooManyDependencies(Exception):
    """More dependencies than a version may have.

    Attributes:
        limit: How many there may be.
        found: How many there are.
        whole: Whether all of the closure is meant, and not the direct ones.
    """

    def __init__(self, *, limit: int, found: int, whole: bool) -> None:
        super().__init__(
            f"{found} versions in the closure, at most {limit}"
            if whole
            else f"{found} direct dependencies, at most {limit}"
        )
        self.limit = limit
        self.found = found
        self.whole = whole


@dataclass(frozen=True, slots=True)
class Requirer:
    """One side of a conflict: who needs what of an asset.

    Attributes:
        requirer: `owner/name@1.0.0`, or `this request`.
        asset: `owner/name` that is needed.
        constraint: The range, or the exact version, that is needed.
    """

    requirer: str
    asset: str
    constraint: str

    def __str__(self) -> str:
        return f"{self.requirer} needs {self.asset} {self.constraint}"


class UnresolvableDependency(Exception):
    """No set of versions satisfies all requirements.

    Attributes:
        explanation: What stands against what, for people.
        requirers: The same for programs.
    """

    def __init__(self, explanation: str, requirers: Sequence[Requirer]) -> None:
        super().__init__(explanation)
        self.explanation = explanation
        self.requirers = tuple(requirers)


@dataclass(frozen=True, slots=True)
class LockEntry:
    """An exact version: what a user of a lock receives, and what is paid.

    Attributes:
        asset: `owner/name`.
        version: The number.
        digest: The version's digest, in hex.
        version_id: Its place in the publish sequence.
    """

    asset: str
    version: str
    digest: str
    version_id: int


@dataclass(frozen=True, slots=True)
class Lock:
    """Exact versions, one of each asset, by name.

    Attributes:
        entries: Sorted by asset.
        roots: Version ids of what was asked for itself, in the order it was asked for.
    """

    entries: tuple[LockEntry, ...]
    roots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A version in a graph; `depth` is the shortest way from where the graph starts."""

    version_id: int
    asset: str
    version: str
    kind: str
    depth: int
    is_yanked: bool


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """*source* depends on *target*, as it was asked for."""

    source: int
    target: int
    constraint: str
    rate_bps: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Part of the graph around a version.

    Attributes:
        nodes: The start first, then by depth.
        edges: All direct edges among the nodes.
        truncated: Whether there were more nodes than are shown.
    """

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    truncated: bool


# --- Names ---------------------------------------------------------------------------------------


def owner_lookup(path: str = "owner") -> str:
    """Return the query path to the owner's handle, whatever the user model calls it."""
    return f"{path}__{get_user_model().USERNAME_FIELD}"


def assets_named(references: Iterable[str]) -> dict[str, Asset]:
    """Return the assets among *references* (`owner/name`) by reference, owners loaded.

    Round trips: one.
    """
    wanted = Q(pk__in=())
    for reference in references:
        owner, _, name = reference.partition("/")
        # PostgreSQL takes no NUL in any text, not even to say that it is unknown.
        if owner and name and "\0" not in reference and reference.isprintable():
            wanted |= Q(**{owner_lookup(): owner, "name": name})
    found = Asset.objects.filter(wanted).select_related("owner").defer("search")
    return {asset.reference: asset for asset in found}


# --- Choosing ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Candidate:
    asset_id: int
    asset: str
    number: str
    version_id: int
    digest: str

    @property
    def reference(self) -> str:
        return f"{self.asset}@{self.number}"

    @property
    def entry(self) -> LockEntry:
        return LockEntry(self.asset, self.number, self.digest, self.version_id)


@dataclass(frozen=True, slots=True)
class _Need:
    """What is needed of an asset: a range, or exactly the version that a stored closure names."""

    asset_id: int
    asset: str
    constraint: str
    pinned: _Candidate | None = None

    def admits(self, candidate: _Candidate) -> bool:
        if self.pinned is not None:
            return self.pinned.version_id == candidate.version_id
        return semver.matches(self.constraint, candidate.number)


class _Versions(AbstractProvider[_Need, _Candidate, int]):
    """Tells the resolver of stored versions and stored closures.

    A candidate brings its whole closure, exact, and the members bring nothing further: the closure
    of a member is part of it already.
    """

    def __init__(self, needs: Sequence[_Need]) -> None:
        self.numbers: dict[int, list[str]] = {need.asset_id: [] for need in needs}
        self._choices: dict[int, list[_Candidate]] = {need.asset_id: [] for need in needs}
        self._needs: dict[int, list[_Need]] = {}
        usable = Version.objects.filter(asset__in=self.numbers, yanked_at__isnull=True)
        for candidate in _candidates(usable.order_by("-precedence")):
            self.numbers[candidate.asset_id].append(candidate.number)
            choices = self._choices[candidate.asset_id]
            wanted = all(
                need.admits(candidate) for need in needs if need.asset_id == candidate.asset_id
            )
            if wanted and len(choices) < CANDIDATES:
                choices.append(candidate)

    def identify(self, requirement_or_candidate: _Need | _Candidate) -> int:
        return requirement_or_candidate.asset_id

    def narrow_requirement_selection(
        self,
        identifiers: Iterable[int],
        resolutions: Mapping[int, _Candidate],  # noqa: ARG002 - the resolver's signature
        candidates: Mapping[int, Iterator[_Candidate]],  # noqa: ARG002
        information: Mapping[int, Iterator[RequirementInformation[_Need, _Candidate]]],  # noqa: ARG002
        backtrack_causes: Sequence[RequirementInformation[_Need, _Candidate]],  # noqa: ARG002
    ) -> list[int]:
        # What was asked for itself is settled first. All that follows is pinned and has no choice;
        # comparing the preferences of 256 pins with each other would double the time.
        open_ones = list(identifiers)
        asked = [asset_id for asset_id in open_ones if asset_id in self._choices]
        return asked or open_ones[:1]

    def get_preference(
        self,
        identifier: int,
        resolutions: Mapping[int, _Candidate],  # noqa: ARG002
        candidates: Mapping[int, Iterator[_Candidate]],
        information: Mapping[int, Iterator[RequirementInformation[_Need, _Candidate]]],  # noqa: ARG002
        backtrack_causes: Sequence[RequirementInformation[_Need, _Candidate]],  # noqa: ARG002
    ) -> tuple[int, int]:
        # The fewest candidates first, so that a conflict shows early.
        return sum(1 for _ in candidates[identifier]), identifier

    def find_matches(
        self,
        identifier: int,
        requirements: Mapping[int, Iterator[_Need]],
        incompatibilities: Mapping[int, Iterator[_Candidate]],
    ) -> list[_Candidate]:
        needs = list(requirements[identifier])
        refused = {candidate.version_id for candidate in incompatibilities[identifier]}
        # A pinned version may have been yanked since: whoever locked it keeps it.
        pinned = [need.pinned for need in needs if need.pinned is not None]
        choices = pinned[:1] or self._choices.get(identifier, [])
        return [
            candidate
            for candidate in choices
            if candidate.version_id not in refused and all(need.admits(candidate) for need in needs)
        ]

    def is_satisfied_by(self, requirement: _Need, candidate: _Candidate) -> bool:
        return requirement.admits(candidate)

    def get_dependencies(self, candidate: _Candidate) -> list[_Need]:
        if candidate.asset_id not in self._choices:
            return []
        if candidate.version_id not in self._needs:
            self._needs[candidate.version_id] = [
                _Need(member.asset_id, member.asset, member.number, member)
                for member in _candidates(
                    Version.objects.filter(closures_with_it__version=candidate.version_id)
                )
            ]
        return self._needs[candidate.version_id]


def _candidates(versions: QuerySet[Version]) -> Iterator[_Candidate]:
    rows = versions.values_list(
        "id", "number", "digest", "asset_id", "asset__name", owner_lookup("asset__owner")
    )
    for version_id, number, digest, asset_id, name, owner in rows:
        yield _Candidate(asset_id, f"{owner}/{name}", number, version_id, digest)


def resolve(
    requirements: Sequence[Requirement],
    *,
    pointer: str = "/requirements",
    within: Asset | None = None,
) -> Lock:
    """Choose a version of each asset that is required, and join what they need.

    The highest matching version comes first, never a yanked one and, as npm has it, a pre-release
    only where the range names one. Each version keeps the closure it was published with. There is
    one version of an asset in a lock.

    Args:
        requirements: At most 32; the same asset may be required more than once.
        pointer: Where the requirements stand in the request, for errors.
        within: An asset that the lock will be part of, and that may therefore not be in it.

    Raises:
        InvalidRequirement: A name or a range is malformed, or there are too many.
        UnknownAsset: An asset does not exist.
        UnresolvableDependency: Nothing satisfies them all; names the requirers on both sides.
        TooManyDependencies: The lock would have more than 256 entries.

    Round trips: two, and one for each version tried.
    """
    needs = _needs(requirements, pointer)
    provider = _Versions(needs)
    for need in needs:
        numbers = provider.numbers[need.asset_id]
        if not any(semver.matches(need.constraint, number) for number in numbers):
            raise _unmatched(need, numbers)
    roots = list(dict.fromkeys(need.asset_id for need in needs))
    if within is not None:
        # No version of it can be chosen, because the one to be published stands here already.
        future = _Candidate(within.pk, within.reference, "", 0, "")
        needs.append(_Need(within.pk, within.reference, "", future))
    try:
        result = Resolver(provider, BaseReporter[_Need, _Candidate, int]()).resolve(
            needs, max_rounds=ROUNDS
        )
    except ResolutionImpossible as impossible:
        raise _conflict(impossible.causes, within) from None
    except ResolutionTooDeep:
        raise UnresolvableDependency("No set of versions was found in bounded time.", ()) from None
    chosen = [one for one in result.mapping.values() if one.version_id]
    if len(chosen) > CLOSURE_VERSIONS:
        raise TooManyDependencies(limit=CLOSURE_VERSIONS, found=len(chosen), whole=True)
    return Lock(
        entries=tuple(sorted((one.entry for one in chosen), key=lambda entry: entry.asset)),
        roots=tuple(result.mapping[asset_id].version_id for asset_id in roots),
    )


def _needs(requirements: Sequence[Requirement], pointer: str) -> list[_Need]:
    if len(requirements) > REQUIREMENTS:
        raise InvalidRequirement(pointer, "too_many", f"At most {REQUIREMENTS} at a time.")
    asked = [(one["asset"], one.get("constraint", "*")) for one in requirements]
    for place, (reference, constraint) in enumerate(asked):
        if reference.count("/") != 1:
            raise InvalidRequirement(
                f"{pointer}/{place}/asset", "invalid", "Name an asset as owner/name."
            )
        if not semver.is_range(constraint):
            raise InvalidRequirement(
                f"{pointer}/{place}/constraint", "invalid", "Give a range such as ^1.2 or >=1 <3."
            )
    found = assets_named({reference for reference, _ in asked})
    needs = []
    for reference, constraint in asked:
        if reference not in found:
            raise UnknownAsset(reference)
        needs.append(_Need(found[reference].pk, reference, constraint.strip()))
    return needs


def _unmatched(need: _Need, numbers: list[str]) -> UnresolvableDependency:
    known = ", ".join(numbers[:5]) + (", …" if len(numbers) > 5 else "")  # noqa: PLR2004 - a few to see
    explanation = (
        f"No version of {need.asset} matches {need.constraint}; there are {known}."
        if numbers
        else f"{need.asset} has no version that is not yanked."
    )
    return UnresolvableDependency(
        explanation, [Requirer("this request", need.asset, need.constraint)]
    )


def _conflict(
    causes: Iterable[RequirementInformation[_Need, _Candidate]], within: Asset | None
) -> UnresolvableDependency:
    requirers = []
    for cause in causes:
        need = cause.requirement
        if need.pinned is not None and need.pinned.version_id == 0:
            # The version to be published, standing for itself.
            requirers.append(Requirer("this request", need.asset, "in the version to be published"))
        else:
            requirer = cause.parent.reference if cause.parent else "this request"
            requirers.append(Requirer(requirer, need.asset, need.constraint))
    requirers = list(dict.fromkeys(requirers))
    own = within.reference if within is not None else None
    about = "; ".join(str(one) for one in requirers)
    if any(one.asset == own for one in requirers):
        about += ". An asset cannot need another version of itself"
    return UnresolvableDependency(f"There can be one version of an asset: {about}.", requirers)


# --- Walking -------------------------------------------------------------------------------------


def lock_of(version: Version) -> Lock:
    """Return what using *version* means: itself and its stored closure, by name.

    Round trips: one, however large the closure is.
    """
    members = Closure.objects.filter(version=version).values("member")
    whole = Version.objects.filter(Q(pk=version.pk) | Q(pk__in=members))
    entries = sorted((one.entry for one in _candidates(whole)), key=lambda entry: entry.asset)
    return Lock(entries=tuple(entries), roots=(version.pk,))


# The walk goes from `near` to `far`. UNION drops a version that was reached before at the same
# depth, so there are never more rows than versions times depths; LIMIT ends the walk beyond that.
_WALK = """
    WITH RECURSIVE walk(id, depth) AS (
        SELECT %s::bigint, 0
        UNION
        SELECT edge.{far}, walk.depth + 1
        FROM walk JOIN assets_dependency edge ON edge.{near} = walk.id
        WHERE walk.depth < %s
    )
    SELECT id, min(depth) AS depth FROM (SELECT id, depth FROM walk LIMIT %s) AS seen
    GROUP BY id ORDER BY depth, id LIMIT %s
"""


def graph_of(version: Version, *, direction: Direction, depth: int = 3) -> Graph:
    """Return the versions that *version* depends on, or that depend on it, to a *depth* of 0 to 32.

    At most 500 versions are shown, the nearest first.

    Round trips: three.
    """
    depth = max(0, min(depth, GRAPH_DEPTH))
    near, far = (
        ("version_id", "dependency_id")
        if direction == "dependencies"
        else ("dependency_id", "version_id")
    )
    most = GRAPH_VERSIONS + 1
    with connection.cursor() as cursor:
        cursor.execute(
            _WALK.format(near=near, far=far), [version.pk, depth, most * (depth + 1), most]
        )
        depths = dict(cursor.fetchall())
    shown = list(depths)[:GRAPH_VERSIONS]
    rows = {
        row[0]: row[1:]
        for row in Version.objects.filter(pk__in=shown).values_list(
            "id", owner_lookup("asset__owner"), "asset__name", "number", "asset__kind", "yanked_at"
        )
    }
    nodes = []
    for version_id in shown:
        owner, name, number, kind, yanked_at = rows[version_id]
        nodes.append(
            GraphNode(
                version_id,
                f"{owner}/{name}",
                number,
                kind,
                depths[version_id],
                yanked_at is not None,
            )
        )
    edges = Dependency.objects.filter(version__in=shown, dependency__in=shown).order_by("id")
    return Graph(
        nodes=tuple(nodes),
        edges=tuple(
            GraphEdge(*row)
            for row in edges.values_list("version_id", "dependency_id", "constraint", "rate_bps")
        ),
        truncated=len(depths) > len(shown),
    )


def dependents_of(version: Version) -> QuerySet[Version]:
    """Return the versions whose lock holds *version*: what a yank would be news to."""
    return (
        Version.objects.filter(closure__member=version)
        .select_related("asset", "asset__owner")
        .defer("asset__search")
        .order_by("-id")
    )


def count_dependents(asset: Asset) -> int:
    """Return how many other assets have a version that needs this one, directly or not."""
    needing = Closure.objects.filter(member__asset=asset).exclude(version__asset=asset)
    return needing.values("version__asset").distinct().count()


# --- Passing on ----------------------------------------------------------------------------------

# Follows the shares and not the closure: they are what is paid, and final.
_SHARES = """
    WITH RECURSIVE reached(id) AS (
        SELECT %s::bigint
        UNION
        SELECT share.beneficiary_id
        FROM reached JOIN assets_share share ON share.version_id = reached.id
    )
    SELECT id FROM reached
"""


def shares_of(version: Version) -> ShareGraph:
    """Return everything that is needed to split what *version* earns; see `royalties.split`.

    Round trips: three.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SHARES, [version.pk])
        reached = [version_id for (version_id,) in cursor.fetchall()]
    # Whatever a version passes something to was published before it, so the publish sequence from
    # its end is an order in which users come before what they use.
    nodes = Version.objects.filter(pk__in=reached).order_by("-id")
    return ShareGraph(
        nodes=tuple(
            ShareNode(version_id, owner_id, f"{owner}/{name}", number)
            for version_id, owner_id, owner, name, number in nodes.values_list(
                "id", "asset__owner_id", owner_lookup("asset__owner"), "asset__name", "number"
            )
        ),
        edges=tuple(
            ShareEdge(*row)
            for row in Share.objects.filter(version__in=reached)
            .order_by("-version_id", "-beneficiary_id")
            .values_list("version_id", "beneficiary_id", "rate_bps")
        ),
    )
