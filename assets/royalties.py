"""What reuse passes on: which shares a version has for good, and how an amount flows along them.

Pure functions over integers. What an integer is worth is no business of this library.
Source: rule 22 of the market, and what reuse pays in the design of assets.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

BPS = 10_000
DEFAULT_RATE_BPS = 1_000
LEAST_RATE_BPS = 500
MOST_RATE_BPS = 2_000
# The most that all shares of one version take of what it earns.
SHARED_BPS = 4_000


@dataclass(frozen=True, slots=True)
class DirectEdge:
    """An edge as it was asked for at publication, before it becomes a share.

    Attributes:
        version_id: What is used.
        owner: Whose that is.
        rate_bps: The rate asked for.
        shares: The final shares of what is used, taken over where it is the publisher's own.
    """

    version_id: int
    owner: Hashable
    rate_bps: int
    shares: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class ShareNode:
    """A version that an amount reaches.

    Attributes:
        version_id: The version.
        owner_id: Whose it is; the primary key of the owner.
        asset: `owner/name`, for showing.
        number: The version's number, for showing.
    """

    version_id: int
    owner_id: Hashable
    asset: str
    number: str


@dataclass(frozen=True, slots=True)
class ShareEdge:
    """A final share: *source* passes *rate_bps* of all it earns to *beneficiary*."""

    source: int
    beneficiary: int
    rate_bps: int


@dataclass(frozen=True, slots=True)
class ShareGraph:
    """Everything that is needed to split what a version earns.

    Attributes:
        nodes: Users before what they use; the version that earns comes first.
        edges: The final external edges among the nodes.
    """

    nodes: tuple[ShareNode, ...]
    edges: tuple[ShareEdge, ...]


def final_shares(*, owner: Hashable, edges: Iterable[DirectEdge]) -> dict[int, int]:
    """Return what a version passes on for good: basis points by version.

    Edges to the owner's own assets are transparent: their shares are taken over in their place, so
    splitting one's own work neither dilutes nor raises what others get. Where two ways lead to the
    same version, the higher rate counts, once. A sum over 4,000 scales every rate down to fit.
    """
    rates: dict[int, int] = {}
    for edge in edges:
        found = edge.shares if edge.owner == owner else {edge.version_id: edge.rate_bps}
        for version_id, rate_bps in found.items():
            rates[version_id] = max(rates.get(version_id, 0), rate_bps)
    total = sum(rates.values())
    if total > SHARED_BPS:
        rates = {one: rate_bps * SHARED_BPS // total for one, rate_bps in rates.items()}
    # Scaling can round a tiny share down to nothing, and nothing needs no edge.
    return {one: rate_bps for one, rate_bps in rates.items() if rate_bps}


def split(amount: int, graph: ShareGraph) -> dict[int, int]:
    """Return how much of *amount* each version of *graph* keeps; the parts add up to *amount*.

    Every edge passes on its rate of all that reached its source, rounded down, so what rounding
    leaves stays with the nearer creator. Versions that keep nothing are absent.

    Args:
        amount: A whole number, not negative; it reaches the first node.
        graph: As `graph.shares_of` returns it.

    Raises:
        ValueError: *amount* is negative.

    Complexity: linear in nodes and edges.
    """
    if amount < 0:
        raise ValueError("an amount to split is not negative")
    outgoing: dict[int, list[ShareEdge]] = {}
    for edge in graph.edges:
        outgoing.setdefault(edge.source, []).append(edge)
    reached = dict.fromkeys((node.version_id for node in graph.nodes), 0)
    reached[graph.nodes[0].version_id] = amount
    kept: dict[int, int] = {}
    for node in graph.nodes:
        inflow = keeps = reached[node.version_id]
        for edge in outgoing.get(node.version_id, ()):
            passed = inflow * edge.rate_bps // BPS
            reached[edge.beneficiary] += passed
            keeps -= passed
        if keeps:
            kept[node.version_id] = keeps
    assert sum(kept.values()) == amount, "a split neither makes nor loses anything"
    return kept
