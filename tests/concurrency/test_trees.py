"""Rivals in trees of tasks: real threads, real commits; no credit more than was granted.

`HANSA_TREE_RACES` says how often ten trees settle and cancel at once, and each pair of rivals
meets; 1 unless it says otherwise.
"""

import os
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import cycle
from random import Random

import pytest

from marketplace.delegation.inputs import parts_of as parts_of_delivery
from marketplace.delegation.models import WageRelease
from marketplace.delegation.waiting import release_due
from marketplace.delivery.models import Delivery
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.submit_delivery import Work, submit_delivery
from marketplace.disputes.models import Dispute
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.ops import books
from marketplace.participants.models import Participant
from marketplace.reuse.uses import owed_by
from marketplace.tasks import deadlines
from marketplace.tasks.models import Mode, Settlement, Source, Task
from marketplace.tasks.states import IllegalTransition, NotPermitted, TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.decline_task import decline_task
from marketplace.tasks.usecases.raise_task import raise_task
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill
from tests.builders.at_once import together
from tests.builders.disputes import judges
from tests.builders.gains import wealth
from tests.builders.people import a_person, an_agent
from tests.builders.recounts import gains_in, wrong_at_the_end, wrong_now
from tests.builders.tree_lives import REFUSALS, end
from tests.builders.trees import (
    HALF,
    a_task_to_split,
    accepted,
    an_entry,
    done,
    held,
    in_escrow,
    lead_of,
    now,
    split,
)
from tests.builders.work import BOUNTY, available, deliver

pytestmark = pytest.mark.django_db

RACES = int(os.environ.get("HANSA_TREE_RACES", "1"))
TREES = 10
MICRO = 1_000_000
GRANT = 100 * MICRO
WEEK, MOMENT = timedelta(days=7), timedelta(seconds=1)

Move = Callable[[], object]


def a_long_one(poster: Participant, lead: Participant | None = None) -> Task:
    """Return a task that somebody holds for weeks and may split."""
    return a_task_to_split(
        poster,
        lead,
        deadline=clock.now() + timedelta(days=60),
        lease_seconds=20 * 86_400,
    )


def kinds(outcomes: Sequence[object]) -> Counter[str]:
    return Counter(type(outcome).__name__ for outcome in outcomes)


def parts_of(task: Task) -> list[Task]:
    return list(Task.objects.filter(parent=task))


def all_is_found(task: Task) -> None:
    """Check that a task's bounty is in its escrow and in those of its subtasks."""
    assert in_escrow(task) + sum(map(in_escrow, parts_of(task))) == now(task).bounty
    assert wrong_now(task.root) == []


# --- One escrow, and many who want it -------------------------------------------------------------


def test_twenty_plans_at_once_never_have_more_than_the_poster_granted() -> None:
    task = a_task_to_split(delegation_bps=HALF)
    plans: list[Move] = [
        partial(
            split,
            task,
            an_entry(f"a{number}", bounty=4 * MICRO // 10),
            an_entry(f"b{number}", bounty=3 * MICRO // 10),
        )
        for number in range(20)
    ]

    outcomes = together(plans)

    # Seven times 0.7 of the 5 that were granted; none of the others has half of a plan.
    assert kinds(outcomes) == {"list": 7, "EscrowExhausted": 13}
    parts = parts_of(task)
    assert sum(part.bounty for part in parts) == now(task).delegated == 49 * MICRO // 10
    assert sorted(Counter(part.key[1:] for part in parts).values()) == [2] * 7
    all_is_found(task)


def test_twenty_plans_at_once_never_have_more_than_what_reuse_leaves() -> None:
    task = a_task_to_split()
    use(task, a_skill(price=MICRO).asset.reference)

    outcomes = together(
        [partial(split, task, an_entry(f"k{n}", bounty=2 * MICRO)) for n in range(20)]
    )

    assert kinds(outcomes) == {"list": 4, "EscrowExhausted": 16}
    assert in_escrow(task) == 2 * MICRO  # which covers the 1 that is owed
    all_is_found(task)


def use(task: Task, reference: str) -> object:
    owner, name = reference.split("/")
    return use_asset(actor=lead_of(task), owner=owner, name=name, task_id=task.pk, max_charge=MICRO)


@pytest.mark.parametrize("round_", range(RACES))
def test_plans_against_raises_of_siblings_never_have_more_than_the_poster_granted(
    round_: int,
) -> None:
    task = a_task_to_split(delegation_bps=HALF)
    standing = split(task, *(an_entry(f"old{number}", bounty=MICRO // 2) for number in range(4)))
    plans: list[Move] = [
        partial(split, task, an_entry(f"new{number}", bounty=MICRO)) for number in range(6)
    ]
    raises: list[Move] = [
        partial(raise_task, task_id=part.pk, actor=lead_of(task), bounty=part.bounty + MICRO)
        for part in standing
    ]

    outcomes = together([*plans, *raises])

    # 2 of 5 had gone, and each asks for 1.
    made = kinds(outcomes)
    assert made.pop("EscrowExhausted") == 7
    assert sum(made.values()) == 3
    assert sum(part.bounty for part in parts_of(task)) == now(task).delegated == 5 * MICRO
    all_is_found(task)


@pytest.mark.parametrize("round_", range(RACES))
def test_plans_against_uses_leave_what_reuse_is_owed_in_the_escrow(round_: int) -> None:
    task = a_task_to_split()
    skills = [a_skill(price=MICRO).asset.reference for _ in range(3)]
    moves: list[Move] = [partial(use, task, one) for one in skills]
    moves += [partial(split, task, an_entry(f"k{n}", bounty=3 * MICRO)) for n in range(4)]

    outcomes = together(moves)

    assert set(kinds(outcomes)) <= {"Used", "ReuseCapExceeded", "list", "EscrowExhausted"}
    task = now(task)
    assert task.claim_id is not None
    owed = sum(one.amount for one in owed_by(task.claim_id))
    assert kinds(outcomes)["Used"] == owed // MICRO <= 2
    assert in_escrow(task) >= owed
    assert kinds(outcomes)["list"] == len(parts_of(task)) == 3
    all_is_found(task)


@pytest.mark.parametrize("round_", range(RACES))
def test_wallet_paid_plans_at_once_never_have_more_than_the_lead_has(round_: int) -> None:
    task = a_task_to_split()
    wallet = available(lead_of(task))
    price = wallet // 4

    outcomes = together(
        [
            partial(split, task, an_entry(f"k{n}", bounty=price, source=Source.WALLET))
            for n in range(8)
        ]
    )

    assert kinds(outcomes) == {"list": 4, "PlanUnaffordable": 4}
    assert available(lead_of(task)) == wallet - 4 * price
    assert in_escrow(task) == BOUNTY
    assert wrong_now(task.root) == []


# --- Ten trees at once ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree in the middle of its life, and what its people are about to do.

    Attributes:
        root: The task on top.
        from_leaves: What those below do, by name.
        from_the_root: What its poster and its lead do.
    """

    root: Task
    from_leaves: Mapping[str, Move]
    from_the_root: Mapping[str, Move]


class People:
    """Few people for ten trees, so that all these lock some of the same wallets."""

    def __init__(self) -> None:
        self.posters = [a_person() for _ in range(TREES // 2)]
        self.leads = [an_agent() for _ in range(TREES // 2)]
        self.workers = [an_agent() for _ in range(2 * TREES)]
        self.all = [*self.posters, *self.leads, *self.workers]
        self._next = cycle(self.workers)

    def root(self, number: int) -> Task:
        """Return a task that is split already, with one part done, whose wages wait."""
        poster, lead = (some[number % len(some)] for some in (self.posters, self.leads))
        root = a_long_one(poster, lead)
        (earlier,) = split(root, an_entry("earlier"))
        done(earlier, next(self._next))
        return root

    def tree(self, root: Task, *, at_once: bool) -> Tree:
        """Let others work below a root, and say what everybody does next."""
        poster, lead = root.poster, lead_of(root)
        ready, _, half, asked, mine, late = split(
            root,
            an_entry("ready"),
            an_entry("after", depends_on=("ready",)),
            an_entry("half", bounty=2 * MICRO, delegation_bps=10_000),
            an_entry("asked", mode=Mode.DIRECT, assignee=next(self._next).handle),
            an_entry("mine", source=Source.WALLET),
            an_entry("late", lease_seconds=300),
        )
        delivered = deliver(held(ready, next(self._next)))
        half = held(half, next(self._next))
        leaf, _ = split(half, an_entry("leaf"), an_entry("idle", bounty=MICRO // 2))
        below = deliver(held(leaf, next(self._next)))
        mine, late = (held(one, next(self._next)) for one in (mine, late))
        offered, earlier = now(asked).offered_to, Task.objects.get(parent=root, key="earlier")
        assert offered is not None
        return Tree(
            root,
            {
                "accept": partial(accept_delivery, delivery_id=delivered.pk, actor=lead),
                "accept below": partial(accept_delivery, delivery_id=below.pk, actor=lead_of(half)),
                "decline": partial(decline_task, task_id=asked.pk, actor=offered),
                "abandon late": partial(abandon_task, task_id=late.pk, actor=lead_of(late)),
                "abandon half": partial(abandon_task, task_id=half.pk, actor=lead_of(half)),
                "abandon mine": partial(abandon_task, task_id=mine.pk, actor=lead_of(mine)),
            },
            {
                "cancel": partial(cancel_task, task_id=root.pk, actor=poster, at_once=at_once),
                "raise": partial(
                    raise_task, task_id=root.pk, actor=poster, bounty=root.bounty + MICRO
                ),
                "dispute": partial(open_dispute, task_id=earlier.pk, actor=poster, reason="See."),
                "abandon": partial(abandon_task, task_id=root.pk, actor=lead),
                "plan": partial(split, root, an_entry("more", bounty=MICRO // 2)),
                "call off": partial(cancel_task, task_id=mine.pk, actor=lead),
            },
        )


def in_some_order(moves: Mapping[str, Move], chance: Random) -> Callable[[], Counter[str]]:
    """Return what makes moves one after the other, and counts those that the rules allowed."""
    order = list(moves)
    chance.shuffle(order)

    def make() -> Counter[str]:
        made: Counter[str] = Counter()
        for name in order:
            with suppress(*REFUSALS):
                moves[name]()
                made[name] += 1
        return made

    return make


@pytest.mark.parametrize("round_", range(RACES))
def test_ten_trees_that_settle_and_cancel_at_once_lose_no_credit_and_never_lock_in_a_ring(
    round_: int,
) -> None:
    judges()
    before = books.check()  # tests of the ledger pay into the fees, and have escrows without tasks
    chance = Random(round_)  # noqa: S311 - the order of moves, not a secret
    people = People()
    roots = [people.root(number) for number in range(TREES)]
    clock.advance(WEEK - MOMENT * 600)
    trees = [people.tree(root, at_once=number % 2 == 0) for number, root in enumerate(roots)]
    clock.advance(MOMENT * 600)  # now wages are due, and leases over

    outcomes = together(
        [
            *(in_some_order(tree.from_leaves, chance) for tree in trees),
            *(in_some_order(tree.from_the_root, chance) for tree in trees),
            *[partial(deadlines.sweep, limit=1000)] * 2,
            *[release_due] * 2,
        ]
    )

    assert [one for one in outcomes if isinstance(one, Exception)] == []
    made = sum((one for one in outcomes if isinstance(one, Counter)), Counter[str]())
    assert made["cancel"] == TREES, made
    assert [wrong_now(root.pk) for root in roots] == [[]] * TREES
    assert [str(one) for one in books.check() if one not in before] == []

    end(*(root.pk for root in roots))

    assert {now(root).state for root in roots} == {TaskState.CANCELLED}
    gains = Counter[uuid.UUID]()
    for root in roots:
        assert wrong_at_the_end(root.pk, [], wealth) == []
        gains.update(gains_in(root.pk))
    assert [wealth(one) - GRANT for one in people.all] == [gains[one.pk] for one in people.all]


# --- Rivals in one tree ---------------------------------------------------------------------------


@pytest.mark.parametrize("round_", range(RACES * 2))
def test_delivering_against_the_acceptance_of_the_last_part_comes_after_it_or_not_at_all(
    round_: int,
) -> None:
    task = a_task_to_split()
    (part,) = split(task)
    delivery = deliver(held(part))
    accept = partial(accept_delivery, delivery_id=delivery.pk, actor=lead_of(task))
    work = Work(summary="All of it.")
    submit = partial(submit_delivery, task_id=task.pk, actor=lead_of(task), work=work)

    outcomes = together([accept, submit] if round_ % 2 else [submit, accept])

    settled, delivered = outcomes if round_ % 2 else outcomes[::-1]
    assert isinstance(settled, Settlement)
    assert now(part).state == TaskState.ACCEPTED
    if isinstance(delivered, Delivery):
        assert now(task).state == TaskState.SUBMITTED
        assert [one.task.pk for one in parts_of_delivery(delivered, task.poster)] == [part.pk]
    else:
        assert isinstance(delivered, IllegalTransition)
        assert now(task).state == TaskState.CLAIMED
    assert wrong_now(task.pk) == []


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("round_", range(RACES))
def test_cancelling_the_whole_against_a_plan_leaves_no_part_that_runs_by_itself(
    round_: int,
    at_once: bool,  # noqa: FBT001 - one of two ways
) -> None:
    poster = a_person()
    task = a_task_to_split(poster)
    cancel = partial(cancel_task, task_id=task.pk, actor=poster, at_once=at_once)
    moves: list[Move] = [cancel, partial(split, task, an_entry("a"), an_entry("b"))]

    cancelled, planned = together(moves)

    assert isinstance(cancelled, Task)
    assert isinstance(planned, (list, IllegalTransition))
    assert wrong_now(task.pk) == []
    end(task.pk)
    assert now(task).state == TaskState.CANCELLED
    assert {part.state for part in parts_of(task)} <= {TaskState.CANCELLED}
    assert sum(map(in_escrow, [task, *parts_of(task)])) == 0
    assert available(poster) == GRANT - (BOUNTY // 10 if at_once else 0)


@pytest.mark.parametrize("round_", range(RACES * 2))
def test_a_lead_who_leaves_against_a_claim_of_a_part_is_replaced_by_the_poster(
    round_: int,
) -> None:
    poster, worker = a_person(), an_agent()
    task = a_task_to_split(poster)
    (part,) = split(task)
    leave = partial(abandon_task, task_id=task.pk, actor=lead_of(task))
    claim = partial(claim_task, task_id=part.pk, actor=worker)

    outcomes = together([leave, claim] if round_ % 2 else [claim, leave])

    assert kinds(outcomes) == {"Task": 2}
    assert now(task).state == TaskState.OPEN
    taken = now(part)
    assert (taken.state, taken.worker, taken.poster) == (TaskState.CLAIMED, worker, poster)
    assert wrong_now(task.pk) == []
    accepted(taken)  # by the poster, who acts for it now


@pytest.mark.parametrize("round_", range(RACES * 2))
def test_leading_the_whole_against_working_on_a_part_of_it_is_one_of_the_two(round_: int) -> None:
    somebody = an_agent()
    task = a_task_to_split()
    (part,) = split(task)
    abandon_task(task_id=task.pk, actor=lead_of(task))

    outcomes = together(
        [partial(claim_task, task_id=one.pk, actor=somebody) for one in (task, part)]
    )

    assert kinds(outcomes) == {"Task": 1, "OwnTask": 1}
    assert [now(task).worker, now(part).worker].count(somebody) == 1
    assert wrong_now(task.pk) == []


@pytest.mark.parametrize("round_", range(RACES * 2))
def test_what_waits_for_two_that_are_accepted_at_once_opens_once(round_: int) -> None:
    task = a_task_to_split()
    *before, after = split(task, an_entry("a"), an_entry("b"), an_entry("c", depends_on=("a", "b")))
    accepts: list[Move] = [
        partial(accept_delivery, delivery_id=deliver(held(one)).pk, actor=lead_of(task))
        for one in before
    ]

    outcomes = together(accepts)

    assert kinds(outcomes) == {"Settlement": 2}
    assert now(after).state == TaskState.OPEN
    opened = Event.objects.filter(type="task.unblocked", subject_id=after.public_id)
    assert opened.count() == 1
    assert wrong_now(task.pk) == []


@pytest.mark.parametrize("round_", range(RACES * 2))
def test_what_waits_for_one_that_is_accepted_and_one_that_fails_is_cancelled(round_: int) -> None:
    task = a_task_to_split()
    first, second, after = split(
        task, an_entry("a"), an_entry("b"), an_entry("c", depends_on=("a", "b"))
    )
    delivery = deliver(held(first))
    moves: list[Move] = [
        partial(accept_delivery, delivery_id=delivery.pk, actor=lead_of(task)),
        partial(cancel_task, task_id=second.pk, actor=lead_of(task)),
    ]

    outcomes = together(moves if round_ % 2 else moves[::-1])

    assert set(kinds(outcomes)) == {"Settlement", "Task"}
    assert now(after).state == TaskState.CANCELLED
    told = Event.objects.filter(type="task.cancelled", subject_id=after.public_id)
    assert told.count() == 1
    assert wrong_now(task.pk) == []


@pytest.mark.parametrize("round_", range(RACES))
def test_disputing_what_has_waited_against_its_release_comes_too_late(round_: int) -> None:
    judges()
    poster, worker = a_person(), an_agent()
    task = a_long_one(poster)
    (part,) = split(task)
    done(part, worker)
    clock.advance(WEEK)

    disputed, *_ = together(
        [partial(open_dispute, task_id=part.pk, actor=poster, reason="See."), *[release_due] * 3]
    )

    # Its week was over whoever came first.
    assert isinstance(disputed, IllegalTransition)
    assert available(worker) == GRANT + MICRO * 95 // 100
    assert WageRelease.objects.filter(payment__settlement=part.pk).count() == 1
    assert wrong_now(task.pk) == []


@pytest.mark.parametrize("round_", range(RACES * 2))
def test_accepting_the_whole_against_disputing_what_a_part_earned_pays_or_keeps_it(
    round_: int,
) -> None:
    judges()
    poster, worker = a_person(), an_agent()
    task = a_task_to_split(poster)
    (part,) = split(task)
    done(part, worker)
    delivery = deliver(now(task))
    moves: list[Move] = [
        partial(accept_delivery, delivery_id=delivery.pk, actor=poster),
        partial(open_dispute, task_id=part.pk, actor=poster, reason="See."),
    ]

    outcomes = together(moves if round_ % 2 else moves[::-1])

    settled, disputed = outcomes if round_ % 2 else outcomes[::-1]
    assert isinstance(settled, Settlement)
    waits = isinstance(disputed, Dispute)
    assert waits or isinstance(disputed, (IllegalTransition, NotPermitted))
    assert available(worker) - GRANT == (0 if waits else MICRO * 95 // 100)
    assert wealth(worker) - GRANT == MICRO * 95 // 100
    assert wrong_now(task.pk) == []
