import pytest
from django.db import IntegrityError, connection, transaction

from assets import graph, royalties
from assets.catalog import DependencyRequest, publish, yank
from assets.graph import (
    InvalidRequirement,
    Requirement,
    TooManyDependencies,
    UnknownAsset,
    UnresolvableDependency,
    lock_of,
    resolve,
    shares_of,
)
from assets.models import Closure, Version
from tests.assets.publishing import a_name, a_skill, skill_files
from tests.builders.people import a_person

pytestmark = pytest.mark.django_db


def asking(version: Version, constraint: str = "*") -> Requirement:
    return {"asset": version.asset.reference, "constraint": constraint}


def another(version: Version, number: str, *needs: Version | tuple[Version, str]) -> Version:
    return a_skill(version.asset.owner, name=version.asset.name, version=number, needs=needs)


def locked(lock: graph.Lock) -> dict[str, str]:
    return {entry.asset: entry.version for entry in lock.entries}


# --- Choosing ------------------------------------------------------------------------------------


def test_the_highest_matching_version_is_chosen_and_locked_with_its_digest() -> None:
    one = a_skill(version="1.0.0")
    two = another(one, "1.10.0")
    another(one, "1.9.0")
    another(one, "2.0.0")

    lock = resolve([asking(one, "^1.0")])

    (entry,) = lock.entries
    assert (entry.version, entry.digest, entry.version_id) == ("1.10.0", two.digest, two.pk)
    assert lock.roots == (two.pk,)


def test_a_range_is_resolved_when_a_version_is_published_and_stays_so() -> None:
    base = a_skill(version="1.0.0")
    user = a_skill(needs=[(base, "^1.0")])

    another(base, "1.1.0")

    assert locked(lock_of(user))[base.asset.reference] == "1.0.0"
    assert locked(resolve([asking(user)]))[base.asset.reference] == "1.0.0"


def test_a_yanked_version_is_never_chosen_and_stays_in_locks_that_have_it() -> None:
    base = a_skill(version="1.0.0")
    bad = another(base, "1.1.0")
    user = a_skill(needs=[(base, "^1")])

    yank(bad, reason="Broken.")

    assert locked(resolve([asking(base, "^1")])) == {base.asset.reference: "1.0.0"}
    assert locked(lock_of(user))[base.asset.reference] == "1.1.0"
    assert locked(resolve([asking(user)]))[base.asset.reference] == "1.1.0"
    with pytest.raises(UnresolvableDependency, match=r"matches 1\.1\.0"):
        resolve([asking(base, "1.1.0")])


def test_a_lower_version_is_taken_where_the_highest_does_not_fit() -> None:
    base = a_skill(version="1.0.0")
    low = a_skill(version="1.0.0", needs=[(base, "^1")])
    another(base, "2.0.0")
    another(low, "1.1.0", (base, "^2"))
    other = a_skill(needs=[(base, "^1")])

    lock = resolve([asking(low, "^1"), asking(other)])

    assert locked(lock)[low.asset.reference] == "1.0.0"
    assert locked(lock)[base.asset.reference] == "1.0.0"


def test_a_conflict_names_both_requirers() -> None:
    base = a_skill(version="1.0.0")
    old = a_skill(needs=[(base, "^1")])
    another(base, "2.0.0")
    new = a_skill(needs=[(base, "^2")])

    with pytest.raises(UnresolvableDependency) as refusal:
        a_skill(needs=[old, new])

    assert {(one.requirer, one.constraint) for one in refusal.value.requirers} == {
        (old.reference, "1.0.0"),
        (new.reference, "2.0.0"),
    }
    assert old.reference in refusal.value.explanation
    assert new.reference in refusal.value.explanation


def test_a_conflict_with_the_request_itself_says_so() -> None:
    base = a_skill(version="1.0.0")
    user = a_skill(needs=[base])
    another(base, "2.0.0")

    with pytest.raises(UnresolvableDependency) as refusal:
        resolve([asking(user), asking(base, "^2")])

    assert {one.requirer for one in refusal.value.requirers} == {user.reference, "this request"}


def test_an_asset_does_not_come_to_need_another_version_of_itself() -> None:
    first = a_skill(version="1.0.0")
    user = a_skill(needs=[first])

    with pytest.raises(UnresolvableDependency, match="another version of itself"):
        another(first, "2.0.0", user)


def test_a_dependency_that_would_need_the_asset_itself_is_passed_over() -> None:
    first = a_skill(version="1.0.0")
    free = a_skill(version="1.0.0")
    another(free, "1.1.0", first)

    second = another(first, "2.0.0", free)

    assert locked(lock_of(second))[free.asset.reference] == "1.0.0"


def test_the_same_asset_may_be_required_twice() -> None:
    base = a_skill(version="1.0.0")
    another(base, "1.5.0")

    lock = resolve([asking(base, "^1"), asking(base, "<1.5")])

    assert locked(lock) == {base.asset.reference: "1.0.0"}


@pytest.mark.parametrize(
    ("requirement", "pointer"),
    [
        ({"asset": "noslash", "constraint": "*"}, "/requirements/0/asset"),
        ({"asset": "a/b/c", "constraint": "*"}, "/requirements/0/asset"),
        ({"asset": "a/b", "constraint": "newest"}, "/requirements/0/constraint"),
    ],
)
def test_a_malformed_requirement_is_pointed_at(requirement: Requirement, pointer: str) -> None:
    with pytest.raises(InvalidRequirement) as refusal:
        resolve([requirement])

    assert refusal.value.pointer == pointer


@pytest.mark.parametrize("asset", ["nobody/nothing", "a/", "/b", "a\0/b"])
def test_an_asset_that_does_not_exist_is_unknown(asset: str) -> None:
    with pytest.raises(UnknownAsset):
        resolve([{"asset": asset}])


def test_a_version_has_at_most_eight_direct_dependencies() -> None:
    ada = a_person()
    requests = [DependencyRequest(f"nobody/n{n}", "*") for n in range(9)]

    with pytest.raises(TooManyDependencies):
        publish(owner=ada, published_by=ada, files=skill_files(a_name()), dependencies=requests)


def test_a_closure_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "CLOSURE_VERSIONS", 2)
    chain = a_skill(needs=[a_skill(needs=[a_skill()])])

    with pytest.raises(TooManyDependencies) as refusal:
        a_skill(needs=[chain])

    assert (refusal.value.found, refusal.value.whole) == (3, True)


# --- The stored graph ----------------------------------------------------------------------------


def a_diamond() -> tuple[Version, Version, Version, Version]:
    bottom = a_skill()
    left, right = a_skill(needs=[bottom]), a_skill(needs=[bottom])
    return a_skill(needs=[left, right]), left, right, bottom


def test_a_lock_is_the_version_and_all_it_needs(django_assert_num_queries: object) -> None:
    top, *rest = a_diamond()

    with django_assert_num_queries(1):  # type: ignore[operator]
        lock = lock_of(top)

    assert {entry.version_id for entry in lock.entries} == {one.pk for one in (top, *rest)}
    assert set(Closure.objects.filter(version=top).values_list("member", flat=True)) == {
        one.pk for one in rest
    }


@pytest.mark.parametrize(
    ("table", "columns", "values"),
    [
        (
            "assets_dependency",
            'version_id, dependency_id, "constraint", rate_bps',
            "%s, %s, '*', 1000",
        ),
        ("assets_closure", "version_id, member_id", "%s, %s"),
        ("assets_share", "version_id, beneficiary_id, rate_bps", "%s, %s, 1000"),
    ],
)
def test_an_edge_to_something_published_later_cannot_be_written(
    table: str, columns: str, values: str
) -> None:
    early, late = a_skill(), a_skill()

    for version, other in ((early, late), (early, early)):
        with (
            pytest.raises(IntegrityError, match="points_back"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({values})",  # noqa: S608 - the table above
                [version.pk, other.pk],
            )


def test_a_graph_is_walked_in_either_direction_to_a_depth() -> None:
    top, left, right, bottom = a_diamond()

    down = graph.graph_of(top, direction="dependencies", depth=1)
    up = graph.graph_of(bottom, direction="dependents", depth=9)

    assert {node.version_id: node.depth for node in down.nodes} == {
        top.pk: 0,
        left.pk: 1,
        right.pk: 1,
    }
    assert {node.version_id: node.depth for node in up.nodes} == {
        bottom.pk: 0,
        left.pk: 1,
        right.pk: 1,
        top.pk: 2,
    }
    assert {(edge.source, edge.target) for edge in up.edges} == {
        (top.pk, left.pk),
        (top.pk, right.pk),
        (left.pk, bottom.pk),
        (right.pk, bottom.pk),
    }
    assert not up.truncated


def test_a_graph_that_is_too_large_is_cut_at_its_far_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "GRAPH_VERSIONS", 3)
    top, left, right, _ = a_diamond()

    shown = graph.graph_of(top, direction="dependencies", depth=5)

    assert shown.truncated
    assert [node.version_id for node in shown.nodes] == [top.pk, left.pk, right.pk]


def test_a_graph_takes_three_queries_whatever_its_size(django_assert_num_queries: object) -> None:
    top, *_ = a_diamond()

    with django_assert_num_queries(3):  # type: ignore[operator]
        graph.graph_of(top, direction="dependencies", depth=5)


def test_dependents_are_counted_by_asset_and_listed_by_version() -> None:
    top, left, right, bottom = a_diamond()
    another(left, "1.0.1", bottom)

    assert graph.count_dependents(bottom.asset) == 3
    assert {left, right, top} <= set(graph.dependents_of(bottom))
    assert graph.count_dependents(top.asset) == 0


# --- Passing on ----------------------------------------------------------------------------------


def rates(version: Version) -> dict[int, int]:
    return {
        edge.beneficiary: edge.rate_bps
        for edge in shares_of(version).edges
        if edge.source == version.pk
    }


def test_the_example_of_the_design_is_split_as_written(django_assert_num_queries: object) -> None:
    dave, erin = a_skill(), a_skill()
    bob, carol = a_skill(needs=[dave]), a_skill(needs=[dave])
    alice = a_skill(needs=[bob, carol, (erin, "*", 800)])

    with django_assert_num_queries(3):  # type: ignore[operator]
        shares = shares_of(alice)

    assert royalties.split(100_000, shares) == {
        alice.pk: 72_000,
        bob.pk: 9_000,
        carol.pk: 9_000,
        erin.pk: 8_000,
        dave.pk: 2_000,
    }
    assert shares.nodes[0].owner_id == alice.asset.owner_id


def test_edges_to_ones_own_assets_are_transparent() -> None:
    ada, other = a_person(), a_skill()
    inner = a_skill(ada, needs=[(other, "*", 1_500)])
    middle = a_skill(ada, needs=[inner])

    outer = a_skill(ada, needs=[middle, (a_skill(ada), "*", 2_000)])

    assert rates(outer) == rates(inner) == {other.pk: 1_500}
    assert royalties.split(1_000, shares_of(outer)) == {outer.pk: 850, other.pk: 150}


def test_shares_above_the_cap_are_scaled_down_for_good() -> None:
    others = [a_skill() for _ in range(4)]

    greedy = a_skill(needs=[(one, "*", 2_000) for one in others])

    assert rates(greedy) == {one.pk: 1_000 for one in others}


def test_someone_elses_own_assets_are_not_transparent_to_others() -> None:
    ada = a_person()
    inner = a_skill(ada)
    outer = a_skill(ada, needs=[inner])

    user = a_skill(needs=[outer])

    assert rates(user) == {outer.pk: 1_000}
    assert royalties.split(100, shares_of(user)) == {user.pk: 90, outer.pk: 10}
