"""Trees as they are shown: what is below a task, who is told what, and what its end waits for."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from credits import amounts
from marketplace.delegation.trees import Tree, longest_chain, progress_of, time_left, tree_of
from marketplace.foundation import clock, ids
from marketplace.foundation.ids import new_id
from marketplace.participants.models import Participant
from marketplace.tasks.models import Mode, Source, Task
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from tests.builders.disputes import a_dispute
from tests.builders.people import a_person, an_agent
from tests.builders.staff import hide, somebody_of_staff
from tests.builders.trees import (
    ALL,
    a_task_to_split,
    accepted,
    an_entry,
    done,
    held,
    now,
    split,
)
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    a_contest,
    a_rejected_delivery,
    a_submitted_delivery,
    a_task,
    everything_handled,
)

MICRO = amounts.MICRO
HOUR = timedelta(hours=1)
DAY = 24 * HOUR

Waits = Mapping[uuid.UUID, Sequence[uuid.UUID]]
Takes = Mapping[uuid.UUID, timedelta]


# --- The longest chain ----------------------------------------------------------------------------


@st.composite
def drawn_waits(draw: st.DrawFn) -> tuple[Waits, Takes, uuid.UUID]:
    """Draw up to eight tasks, each waiting for some of those before it, and the last of them."""
    tasks = [new_id() for _ in range(draw(st.integers(1, 8)))]
    waits = {
        one: draw(st.lists(st.sampled_from(tasks[:place]), unique=True)) if place else []
        for place, one in enumerate(tasks)
    }
    takes = {one: draw(st.integers(0, 3)) * HOUR for one in tasks}
    return waits, takes, tasks[-1]


def every_chain(waits: Waits, last: uuid.UUID) -> Iterator[list[uuid.UUID]]:
    """Return all chains that end with *last* and begin with one that waits for nothing."""
    if not waits[last]:
        yield [last]
    for waited in waits[last]:
        for chain in every_chain(waits, waited):
            yield [*chain, last]


def length(chain: Sequence[uuid.UUID], takes: Takes) -> timedelta:
    return sum((takes[one] for one in chain), timedelta(0))


@given(drawn_waits())
def test_each_of_the_longest_chain_waits_for_the_one_before(
    drawn: tuple[Waits, Takes, uuid.UUID],
) -> None:
    waits, takes, last = drawn

    chain = longest_chain(waits, takes, last)

    assert chain[-1] == last
    assert waits[chain[0]] == []
    assert all(before in waits[after] for before, after in pairwise(chain))


@given(drawn_waits())
def test_no_chain_takes_longer_than_the_longest(drawn: tuple[Waits, Takes, uuid.UUID]) -> None:
    waits, takes, last = drawn

    chain = longest_chain(waits, takes, last)

    assert length(chain, takes) == max(length(one, takes) for one in every_chain(waits, last))


@given(drawn_waits(), st.randoms(use_true_random=False))
def test_the_longest_chain_does_not_depend_on_the_order_of_what_is_waited_for(
    drawn: tuple[Waits, Takes, uuid.UUID],
    random: Random,
) -> None:
    waits, takes, last = drawn
    shuffled = {one: random.sample(waited, len(waited)) for one, waited in waits.items()}

    assert longest_chain(shuffled, takes, last) == longest_chain(waits, takes, last)


# --- How long a task may still take ---------------------------------------------------------------


def hours_left(task: Task) -> float:
    task = now(task)
    left = time_left(task, clock.now())
    return round(left / HOUR, 1)


@pytest.mark.django_db
def test_an_open_task_takes_a_lease_and_a_review() -> None:
    assert hours_left(a_task()) == 24 + 72


@pytest.mark.django_db
def test_a_task_that_closes_sooner_than_a_lease_takes_what_is_left_of_it() -> None:
    assert hours_left(a_task(deadline=clock.now() + 2 * HOUR)) == 2 + 72


@pytest.mark.django_db
def test_a_contest_stays_open_to_its_deadline() -> None:
    assert hours_left(a_contest(deadline=clock.now() + 5 * DAY)) == 5 * 24 + 72


@pytest.mark.django_db
def test_a_held_task_takes_what_is_left_of_the_claim_and_a_review() -> None:
    task = a_claimed_task(lease_seconds=10 * 3600)
    clock.advance(4 * HOUR)

    assert hours_left(task) == 6 + 72


@pytest.mark.django_db
def test_a_rejected_task_takes_what_is_left_to_deliver_again() -> None:
    assert hours_left(a_rejected_delivery().task) == 48 + 72


@pytest.mark.django_db
def test_a_task_under_review_takes_what_is_left_of_the_review() -> None:
    delivery = a_submitted_delivery()
    everything_handled()
    clock.advance(40 * HOUR)

    assert hours_left(delivery.task) == 72 - 40


@pytest.mark.django_db
def test_a_disputed_task_takes_until_the_next_step_of_its_dispute() -> None:
    assert hours_left(a_dispute().task) == 48


@pytest.mark.django_db
def test_what_is_overdue_takes_no_time_but_its_review() -> None:
    task = a_claimed_task()
    clock.advance(2 * DAY)

    assert hours_left(task) == 72


# --- Trees ----------------------------------------------------------------------------------------


def keys_of(tree: Tree) -> list[str]:
    return [node.task.key for node in tree.nodes]


@pytest.mark.django_db
def test_a_tree_has_each_task_before_its_own_subtasks_and_siblings_as_planned() -> None:
    task = a_task_to_split()
    first, _ = split(task, an_entry("a", bounty=3 * MICRO, delegation_bps=ALL), an_entry("b"))
    split(held(first), an_entry("c"), an_entry("d"))

    assert keys_of(tree_of(task.pk, None)) == ["", "a", "c", "d", "b"]


@pytest.mark.django_db
def test_the_tree_of_a_subtask_is_what_is_below_it_and_says_what_is_above() -> None:
    task = a_task_to_split()
    first, _ = split(task, an_entry("a", bounty=3 * MICRO, delegation_bps=ALL), an_entry("b"))
    (below,) = split(held(first), an_entry("c"))

    tree = tree_of(below.pk, None)

    assert keys_of(tree) == ["c"]
    assert [node.task.pk for node in tree.above] == [task.pk, first.pk]


@pytest.mark.django_db
def test_a_tree_says_what_waits_for_what() -> None:
    task = a_task_to_split()
    one, other, last = split(
        task, an_entry("a"), an_entry("b"), an_entry("c", depends_on=("b", "a"))
    )

    waits_for = {node.task.key: node.waits_for for node in tree_of(task.pk, None).nodes}

    assert waits_for == {"": [], "a": [], "b": [], "c": sorted([one.pk, other.pk])}
    assert last.key == "c"


@pytest.mark.django_db
def test_a_tree_is_one_query_whatever_its_size() -> None:
    task = a_task_to_split()
    for name in "abc":
        (part,) = split(now(task), an_entry(name, bounty=2 * MICRO, delegation_bps=ALL))
        split(held(part), an_entry("x"), an_entry("y", depends_on=("x",)))
    ada = task.poster

    with CaptureQueriesContext(connection) as made:
        tree = tree_of(task.pk, ada)
        said = [
            (node.task.poster.handle, node.task.worker and node.task.worker.handle, node.task.held)
            for node in tree.nodes
        ]
        path, progress = tree.critical_path, progress_of([node.task for node in tree.nodes])

    assert len(made) == 1
    assert len(said) == progress.tasks == 10
    assert path


@pytest.mark.django_db
def test_a_task_that_stands_alone_is_a_tree_of_one() -> None:
    task = a_task()

    tree = tree_of(task.pk, None)

    assert (keys_of(tree), tree.above) == ([""], [])


@pytest.mark.django_db
def test_no_tree_is_found_for_what_is_no_task() -> None:
    with pytest.raises(Task.DoesNotExist):
        tree_of(ids.new_id(), a_person())


# --- Who is told what -----------------------------------------------------------------------------


def told(task: Task, viewer: Participant | None) -> dict[str, bool]:
    return {node.task.key: node.is_told for node in tree_of(task.pk, viewer).nodes}


@pytest.mark.django_db
def test_what_was_agreed_is_told_to_those_above_and_to_the_sides_of_each_task() -> None:
    task, middle, bo = a_task_to_split(), an_agent(), an_agent()
    a, b = split(task, an_entry("a", bounty=3 * MICRO, delegation_bps=ALL), an_entry("b"))
    (c,) = split(held(a, middle), an_entry("c"))
    held(c, bo)
    assert task.worker is not None

    everything = dict.fromkeys(["", "a", "b", "c"], True)
    assert told(task, task.poster) == told(task, task.worker) == everything
    assert told(task, somebody_of_staff()) == everything
    assert told(task, middle) == {"": False, "a": True, "b": False, "c": True}
    assert told(task, bo) == {"": False, "a": False, "b": False, "c": True}
    nothing = dict.fromkeys(everything, False)
    assert told(task, an_agent()) == told(task, None) == nothing
    assert b.key == "b"


@pytest.mark.django_db
def test_who_posted_what_is_above_is_told_also_where_the_tree_begins_below() -> None:
    task = a_task_to_split()
    (part,) = split(task)

    assert told(part, task.poster) == {"a": True}


@pytest.mark.django_db
def test_a_hidden_task_keeps_its_place_and_its_title_from_others() -> None:
    task = a_task_to_split()
    one, own, _ = split(task, an_entry("a"), an_entry("b", source=Source.WALLET), an_entry("c"))
    hide(one)
    hide(own)

    def hidden_from(viewer: Participant | None) -> list[str]:
        return [node.task.key for node in tree_of(task.pk, viewer).nodes if node.is_hidden]

    by_its_poster, by_whose_money_pays = hidden_from(task.worker), hidden_from(task.poster)
    by_others = hidden_from(an_agent())

    assert (by_its_poster, by_whose_money_pays, by_others) == ([], ["b"], ["a", "b"])


@pytest.mark.django_db
def test_the_tree_of_a_hidden_task_is_not_found() -> None:
    task = a_task()
    hide(task)

    with pytest.raises(Task.DoesNotExist):
        tree_of(task.pk, a_person())


# --- The critical path and progress of trees ------------------------------------------------------


def path_of(task: Task) -> list[str]:
    tree = tree_of(task.pk, None)
    key_of = {node.task.pk: node.task.key for node in tree.nodes}
    return [key_of[one] for one in tree.critical_path]


@pytest.mark.django_db
def test_the_critical_path_goes_over_dependencies_and_into_the_parent() -> None:
    task = a_task_to_split()
    split(
        task,
        an_entry("short", lease_seconds=600),
        an_entry("first", lease_seconds=3600),
        an_entry("second", lease_seconds=3600, depends_on=("first",)),
    )

    assert path_of(task) == ["first", "second", ""]


@pytest.mark.django_db
def test_what_has_ended_is_on_no_critical_path() -> None:
    task = a_task_to_split()
    first, _ = split(task, an_entry("first"), an_entry("second", depends_on=("first",)))
    done(first)

    before = path_of(task)
    done(tree_of(task.pk, None).nodes[2].task)
    accepted(now(task))

    assert before == ["second", ""]
    assert path_of(task) == []


@pytest.mark.django_db
def test_what_a_former_leads_wallet_pays_holds_nothing_up() -> None:
    task = a_task_to_split()
    (part,) = split(task, an_entry("a", source=Source.WALLET))
    assert task.worker is not None
    before = path_of(task)

    abandon_task(task_id=task.pk, actor=task.worker)

    assert (before, path_of(task)) == (["a", ""], [""])
    assert not now(part).is_ended


@pytest.mark.django_db
def test_progress_counts_what_each_task_keeps_of_its_bounty() -> None:
    task = a_task_to_split()
    a, b, c = split(
        task, an_entry("a", bounty=2 * MICRO), an_entry("b", bounty=3 * MICRO), an_entry("c")
    )
    done(a)
    assert task.worker is not None
    cancel_task(task_id=b.pk, actor=task.worker)

    progress = progress_of([node.task for node in tree_of(task.pk, None).nodes])

    assert (progress.tasks, progress.accepted, progress.running, progress.failed) == (4, 1, 2, 1)
    assert (progress.bounty_accepted, progress.bounty) == (2 * MICRO, BOUNTY)
    assert progress.share_bps == 2000
    assert c.key == "c"


def test_a_tree_in_which_all_failed_has_no_share() -> None:
    assert progress_of([]).share_bps == 0


@pytest.mark.django_db
def test_a_tree_that_is_accepted_is_done() -> None:
    task = a_task_to_split()
    (part,) = split(task, an_entry(bounty=2 * MICRO, mode=Mode.CLAIM))
    done(part)
    accepted(now(task))

    assert progress_of([node.task for node in tree_of(task.pk, None).nodes]).share_bps == 10_000
