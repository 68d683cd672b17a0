"""Every pair of moves against each other: one effect each, and the books stay right.

`HANSA_PAIR_ROUNDS` says how often each pair runs in each order; 2 unless it says otherwise.
"""

import os
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import combinations_with_replacement

import pytest

from marketplace.delivery.models import Delivery
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.disputes.models import Dispute
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.foundation.ids import new_id
from marketplace.foundation.transactions import run_in_transaction
from marketplace.participants.models import Block, Participant
from marketplace.participants.usecases.block_participant import block_participant
from marketplace.tasks import deadlines
from marketplace.tasks.models import Claim, Settlement, Task
from marketplace.tasks.states import IllegalTransition, NotPermitted
from marketplace.tasks.terms import InvalidTerms
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.raise_task import raise_task
from tests.builders.at_once import a_crew
from tests.builders.disputes import deposited
from tests.builders.people import a_person, an_agent
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    a_rejected_delivery,
    a_submitted_delivery,
    again,
    available,
    held,
)

pytestmark = pytest.mark.django_db

ROUNDS = int(os.environ.get("HANSA_PAIR_ROUNDS", "2"))
# Whoever is second; a raise that was made is no raise any more.
REFUSED = (IllegalTransition, NotPermitted, InvalidTerms)
GRANT = 100_000_000
LEASE, REVIEW, RESUBMISSION = timedelta(minutes=10), timedelta(minutes=20), timedelta(hours=48)
MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Case:
    """A task that somebody works on, or has delivered for, with both sides."""

    task: Task
    poster: Participant
    worker: Participant
    delivery: uuid.UUID | None


Move = Callable[[Case], object]


def _held() -> Task:
    return a_claimed_task(a_person(), an_agent(), lease_seconds=int(LEASE.total_seconds()))


def _submitted() -> Task:
    return a_submitted_delivery(
        a_person(),
        an_agent(),
        lease_seconds=int(LEASE.total_seconds()),
        review_window_seconds=int(REVIEW.total_seconds()),
    ).task


def _rejected() -> Task:
    return a_rejected_delivery(
        a_person(), an_agent(), lease_seconds=int(LEASE.total_seconds())
    ).task


def _case(task: Task) -> Case:
    claim = Claim.objects.select_related("worker", "task__poster").get(task=task)
    delivery = Delivery.objects.filter(task=task).values_list("pk", flat=True).first()
    return Case(claim.task, claim.task.poster, claim.worker, delivery)


def _accept(case: Case) -> object:
    assert case.delivery is not None
    return accept_delivery(delivery_id=case.delivery, actor=case.poster)


def _reject(case: Case) -> object:
    assert case.delivery is not None
    return reject_delivery(delivery_id=case.delivery, actor=case.poster, reason="No.")


def _cancel(case: Case) -> object:
    return cancel_task(task_id=case.task.pk, actor=case.poster, at_once=True)


def _abandon(case: Case) -> object:
    return abandon_task(task_id=case.task.pk, actor=case.worker)


def _dispute_as_poster(case: Case) -> object:
    return open_dispute(task_id=case.task.pk, actor=case.poster, reason="Not this.")


def _dispute_as_worker(case: Case) -> object:
    return open_dispute(task_id=case.task.pk, actor=case.worker, reason="It is right.")


def _clock(case: Case) -> object:
    return run_in_transaction(partial(deadlines.apply_passed, case.task.pk))


def _block(case: Case) -> object:
    return block_participant(actor=case.poster, handle=case.worker.handle)


def _raise(case: Case) -> object:
    return raise_task(task_id=case.task.pk, actor=case.poster, bounty=BOUNTY + 1_000_000)


# What the moves of people leave in the log, once for each that was made.
TOLD = {
    "accept": "delivery.accepted",
    "reject": "delivery.rejected",
    "cancel": "task.cancelled",
    "abandon": "task.abandoned",
    "dispute": "dispute.opened",
    "raise": "task.raised",
}
# The clock's moves, and the time that has to pass before them, by what the task waits for. Under
# review a lease is over: its end must do nothing then.
PASSING = {
    "claim": {"lease expiry": LEASE},
    "delivery": {"auto-accept": REVIEW, "lease expiry": LEASE},
    "rejection": {"lease expiry": RESUBMISSION},
}
EITHER: dict[str, Move] = {
    "cancel": _cancel,
    "abandon": _abandon,
    "lease expiry": _clock,
    "block": _block,
    "raise": _raise,
}
DECIDING: dict[str, Move] = {"accept": _accept, "reject": _reject}
SITUATIONS: dict[str, tuple[Callable[[], Task], dict[str, Move]]] = {
    "claim": (_held, EITHER | {"dispute": _dispute_as_worker}),
    "delivery": (
        _submitted,
        DECIDING | EITHER | {"dispute": _dispute_as_poster, "auto-accept": _clock},
    ),
    "rejection": (_rejected, DECIDING | EITHER | {"dispute": _dispute_as_worker}),
}
PAIRS = [
    pytest.param(situation, first, second, id=f"{situation}: {first} and {second}")
    for situation, (_, moves) in SITUATIONS.items()
    for first, second in combinations_with_replacement(moves, 2)
]


@pytest.mark.parametrize(("situation", "first", "second"), PAIRS)
def test_two_moves_at_once_have_one_effect_each(situation: str, first: str, second: str) -> None:
    build, moves = SITUATIONS[situation]
    spans = PASSING[situation]
    passing = max((spans[one] for one in (first, second) if one in spans), default=None)
    with a_crew(2) as at_once:
        for order in ((first, second), (second, first)) * ROUNDS:
            case = _case(build())
            before = new_id()
            if passing is not None:
                clock.advance(passing + MOMENT)

            outcomes = at_once([partial(moves[name], case) for name in order])

            failed = [one for one in outcomes if isinstance(one, Exception)]
            assert all(isinstance(one, REFUSED) for one in failed), outcomes
            _each_had_one_effect(case, order, outcomes, _told(case, since=before))
            _the_books_are_right(case)


def _told(case: Case, *, since: uuid.UUID) -> Counter[tuple[str, bool]]:
    """Count the events about a task, by type and by whether somebody made the move."""
    name = case.task.public_id
    told = Event.objects.filter(pk__gt=since).values_list("type", "actor", "subject_id", "data")
    return Counter(
        (kind, actor is not None)
        for kind, actor, subject, data in told
        if name in (subject, data.get("task"))
    )


def _each_had_one_effect(
    case: Case,
    order: tuple[str, str],
    outcomes: list[object],
    told: Counter[tuple[str, bool]],
) -> None:
    made = Counter(
        TOLD[name]
        for name, outcome in zip(order, outcomes, strict=True)
        if name in TOLD and not isinstance(outcome, Exception)
    )
    by_people = Counter({kind: count for (kind, somebody), count in told.items() if somebody})
    assert by_people == made, (order, outcomes, told)
    assert max(told.values(), default=0) <= 1, (order, told)
    blocks = Block.objects.filter(operator=case.poster, blocked_operator=case.worker)
    assert blocks.count() == int("block" in order)
    accepted = sum(count for (kind, _), count in told.items() if kind == "delivery.accepted")
    assert accepted == int(again(case.task).state == "accepted"), (order, told)


def _the_books_are_right(case: Case) -> None:
    now = again(case.task)
    assert held(now) == (0 if now.is_ended else now.bounty)
    assert Settlement.objects.filter(task=now).count() == int(now.is_ended)
    live = int(now.claim_id is not None) - (now.state == "accepted")
    assert Claim.objects.filter(task=now, ended_at=None).count() == live
    disputes = Dispute.objects.filter(task=now)
    assert len(disputes) == int(now.state == "disputed")

    gained = available(case.worker) - GRANT
    lost = GRANT - available(case.poster)
    fee = sum(Settlement.objects.filter(task=now).values_list("fee", flat=True))
    assert gained + fee + held(now) + sum(map(deposited, disputes)) == lost
