import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.royalties import DirectEdge, ShareEdge, ShareGraph, ShareNode, final_shares, split


def a_graph(owners: dict[int, str], edges: list[tuple[int, int, int]]) -> ShareGraph:
    """Return a graph whose nodes are published in the order of their ids."""
    return ShareGraph(
        nodes=tuple(
            ShareNode(node, owners[node], f"{owners[node]}/{node}", "1.0.0")
            for node in sorted(owners, reverse=True)
        ),
        edges=tuple(ShareEdge(*edge) for edge in edges),
    )


@st.composite
def graphs(draw: st.DrawFn) -> ShareGraph:
    size = draw(st.integers(1, 12))
    owners = {node: draw(st.sampled_from("abcdef")) for node in range(size)}
    edges = []
    for node in range(1, size):
        uses = draw(st.lists(st.integers(0, node - 1), unique=True, max_size=8))
        rates = final_shares(
            owner="nobody else",
            edges=[DirectEdge(one, one, draw(st.integers(500, 2_000)), {}) for one in uses],
        )
        edges += [(node, one, rate_bps) for one, rate_bps in rates.items()]
    return a_graph(owners, edges)


def test_the_example_of_the_design_is_paid_as_written() -> None:
    alice, bob, carol, erin, dave = 5, 4, 3, 2, 1
    owners = {alice: "alice", bob: "bob", carol: "carol", erin: "erin", dave: "dave"}
    graph = a_graph(
        owners,
        [
            (alice, bob, 1_000),
            (alice, carol, 1_000),
            (alice, erin, 800),
            (bob, dave, 1_000),
            (carol, dave, 1_000),
        ],
    )

    assert split(100_000, graph) == {
        alice: 72_000,
        bob: 9_000,
        carol: 9_000,
        erin: 8_000,
        dave: 2_000,
    }


def test_what_rounding_leaves_stays_with_the_nearer_creator() -> None:
    graph = a_graph({2: "a", 1: "b"}, [(2, 1, 1_000)])

    assert split(19, graph) == {2: 18, 1: 1}
    assert split(9, graph) == {2: 9}
    assert split(0, graph) == {}


def test_a_negative_amount_is_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        split(-1, a_graph({1: "a"}, []))


@given(graphs(), st.integers(0, 10**15))
@settings(max_examples=150, deadline=None)
def test_a_split_conserves_every_amount_and_takes_from_nobody(
    graph: ShareGraph, amount: int
) -> None:
    parts = split(amount, graph)

    assert sum(parts.values()) == amount
    assert all(part > 0 for part in parts.values())
    # At most 40 % of what a version earns goes on, so the first keeps 60 %.
    assert parts.get(graph.nodes[0].version_id, 0) * 10 >= amount * 6


DIRECT = st.lists(
    st.builds(
        DirectEdge,
        st.integers(1, 20),
        st.sampled_from("abc"),
        st.integers(500, 2_000),
        st.dictionaries(st.integers(21, 40), st.integers(1, 2_000), max_size=5),
    ),
    max_size=8,
    unique_by=lambda edge: edge.version_id,
)


@given(DIRECT)
def test_shares_together_never_exceed_their_cap(edges: list[DirectEdge]) -> None:
    shares = final_shares(owner="a", edges=edges)

    assert sum(shares.values()) <= 4_000
    assert all(rate_bps >= 1 for rate_bps in shares.values())
    assert not {edge.version_id for edge in edges if edge.owner == "a"} & set(shares)


def test_a_sum_above_the_cap_scales_every_rate() -> None:
    edges = [DirectEdge(one, "other", 2_000, {}) for one in (1, 2)]
    assert final_shares(owner="a", edges=edges) == {1: 2_000, 2: 2_000}

    edges.append(DirectEdge(3, "other", 500, {}))
    assert final_shares(owner="a", edges=edges) == {1: 1_777, 2: 1_777, 3: 444}


@given(DIRECT)
def test_putting_a_front_of_ones_own_before_work_changes_no_share(edges: list[DirectEdge]) -> None:
    shares = final_shares(owner="a", edges=edges)

    front = final_shares(owner="a", edges=[DirectEdge(99, "a", 2_000, shares)])

    assert front == shares


def test_two_ways_to_the_same_version_count_once_at_the_higher_rate() -> None:
    edges = [DirectEdge(1, "b", 700, {}), DirectEdge(2, "a", 1_000, {1: 900, 3: 500})]

    assert final_shares(owner="a", edges=edges) == {1: 900, 3: 500}
