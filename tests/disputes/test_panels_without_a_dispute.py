"""Panels that nobody opened a dispute for: silent contests, and checks that could not run."""

import pytest
from pytest_django import Settings

from marketplace.delivery.models import Delivery, DeliveryState
from marketplace.disputes.models import Cause, Dispute, Outcome, Seat
from marketplace.disputes.states import DisputeState, NotInThisState
from marketplace.disputes.usecases.cast_vote import InvalidVote, cast_vote
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.participants.models import Participant
from marketplace.tasks.models import Settlement, Task
from marketplace.tasks.permissions import NotNow
from marketplace.tasks.states import TaskState
from tests.builders.disputes import (
    ABSTAIN,
    APPEAL,
    FOR_WORKER,
    REDRAW,
    VOTES,
    Vote,
    after,
    as_it_stands,
    before_a_panel,
    deposited,
    disputed,
    judges,
    open_seats,
    voted,
)
from tests.builders.people import an_agent
from tests.builders.work import (
    BOUNTY,
    Said,
    a_contest,
    again,
    an_entry,
    available,
    closed,
    held,
    time_passes,
)
from tests.delivery.test_review import CANNOT_RUN, FAILS, PASSES, with_verdicts

pytestmark = pytest.mark.django_db

MICRO = 1_000_000
GRANT = 100 * MICRO
FEE = BOUNTY // 20


def picking(entry: Delivery) -> Vote:
    """Return what votes for an entry."""

    def cast(seat: Seat) -> None:
        cast_vote(
            dispute_id=seat.dispute_id,
            actor=seat.panelist,
            outcome=Outcome.ACCEPT,
            delivery_id=entry.pk,
            rationale="The best.",
        )

    return cast


def a_silent_contest(*workers: Participant, **wanted: Said) -> tuple[Task, list[Delivery]]:
    """Return a contest whose poster chose none of its entries in time."""
    judges()
    task = a_contest(**wanted)
    entries = [an_entry(task, worker) for worker in workers]
    closed(task)
    return time_passes(task, hours=73), entries


def of(task: Task) -> Dispute:
    return as_it_stands(Dispute.objects.get(task=task))


# --- Contests -------------------------------------------------------------------------------------


def test_a_silent_contest_is_judged_at_once_and_without_a_deposit() -> None:
    task, _ = a_silent_contest(an_agent(), an_agent())

    dispute = of(task)

    assert task.state == TaskState.DISPUTED
    assert (dispute.state, dispute.cause) == (DisputeState.VOTING, Cause.SILENCE)
    assert deposited(dispute) == dispute.deposit == 0
    assert len(open_seats(dispute)) == 3


def test_most_votes_win_and_the_panel_is_paid() -> None:
    bo, cy = an_agent(), an_agent()
    task, (first, second) = a_silent_contest(bo, cy)

    dispute = voted(of(task), picking(first), picking(second), picking(second))

    assert dispute.state == DisputeState.SETTLED
    assert again(task).state == TaskState.ACCEPTED
    assert (available(bo), available(cy)) == (GRANT, GRANT + BOUNTY - FEE)
    settlement = Settlement.objects.get(task=task)
    assert (settlement.panel, settlement.fee) == (FEE, 0)
    states = dict(Delivery.objects.filter(task=task).values_list("number", "state"))
    assert states == {1: DeliveryState.UNCHOSEN, 2: DeliveryState.ACCEPTED}
    assert sum(seat.fee for seat in Seat.objects.filter(dispute=dispute)) == FEE


def test_of_as_many_votes_the_earliest_entry_wins() -> None:
    bo, cy = an_agent(), an_agent()
    task, (first, second) = a_silent_contest(bo, cy)
    dispute = voted(of(task), picking(second), picking(first))

    dispute = after(after(after(dispute, VOTES), REDRAW), REDRAW)

    assert dispute.state == DisputeState.SETTLED
    assert available(bo) == GRANT + BOUNTY - FEE


def test_a_second_has_its_part_of_what_the_panel_leaves() -> None:
    bo, cy = an_agent(), an_agent()
    task, (_, second) = a_silent_contest(bo, cy, runner_up_bps=2_000)

    voted(of(task), *[picking(second)] * 3)

    left = BOUNTY - FEE
    assert (available(bo), available(cy)) == (GRANT + left // 5, GRANT + left * 4 // 5)
    assert held(task) == 0


def test_a_contest_without_votes_is_shared() -> None:
    bo, cy = an_agent(), an_agent()
    task, _ = a_silent_contest(bo, cy)

    dispute = after(after(after(of(task), VOTES), REDRAW), REDRAW)

    assert dispute.state == DisputeState.SETTLED
    each = BOUNTY // 2 - BOUNTY // 40
    assert (available(bo), available(cy)) == (GRANT + each, GRANT + each)
    assert Settlement.objects.get(task=task).panel == 0


def test_a_contest_that_nobody_can_judge_is_shared(settings: Settings) -> None:
    settings.PANELIST_ACCEPTED_TASKS = 10**6

    task, _ = a_silent_contest(an_agent(), an_agent())

    assert task.state == TaskState.ACCEPTED
    assert not Dispute.objects.filter(task=task).exists()


def test_the_panel_of_a_contest_picks_one_that_can_win() -> None:
    task = a_contest()
    good, bad = an_entry(task), an_entry(task, result={"totals": 1})
    judges()
    closed(task)
    task = time_passes(task, hours=73)
    seat = open_seats(of(task))[0]

    def vote(outcome: Outcome, entry: Delivery | None, share: int | None = None) -> None:
        cast_vote(
            dispute_id=seat.dispute_id,
            actor=seat.panelist,
            outcome=outcome,
            worker_share=share,
            delivery_id=entry.pk if entry else None,
            rationale="x",
        )

    for wrong in (
        (Outcome.ACCEPT, bad),
        (Outcome.ACCEPT, None),
        (Outcome.REJECT, None),
        (Outcome.SPLIT, good, 5_000),
        (Outcome.ACCEPT, good, 5_000),
    ):
        with pytest.raises(InvalidVote):
            vote(*wrong)
    vote(Outcome.ACCEPT, good)
    with pytest.raises(NotInThisState):
        vote(Outcome.ACCEPT, good)


def test_those_who_entered_and_the_poster_do_not_judge() -> None:
    entrant = judges()[0]
    task, _ = a_silent_contest(entrant, an_agent())

    dispute = Dispute.objects.get(task=task)

    assert entrant.handle not in dispute.pool
    assert task.poster.handle not in dispute.pool


def test_a_contest_is_not_disputed() -> None:
    task = closed(an_entry(a_contest()).task)
    entry = Delivery.objects.select_related("task__poster", "worker").get(task=task)

    with pytest.raises(NotNow, match="dispute"):
        open_dispute(task_id=task.pk, actor=entry.task.poster, reason="x")


# --- Checks that could not run --------------------------------------------------------------------


def left_by_everybody(*checks: dict[str, object]) -> Task:
    """Return an automatic task whose check could not run, and that neither poster nor staff saw."""
    judges()
    delivery = with_verdicts(*checks, acceptance="automatic")
    task = time_passes(delivery.task, hours=73)
    assert task.with_staff_until is not None
    return time_passes(task, days=7, seconds=1)


def test_what_checks_and_staff_left_open_goes_to_a_panel_without_a_deposit() -> None:
    task = left_by_everybody(CANNOT_RUN, PASSES)

    dispute = of(task)

    assert task.state == TaskState.DISPUTED
    assert (dispute.cause, dispute.opener, deposited(dispute)) == (Cause.CHECKS, None, 0)
    assert held(task) == BOUNTY


def test_its_panel_decides_like_any_other() -> None:
    task = left_by_everybody(CANNOT_RUN)
    dispute = of(task)
    worker = dispute.claim.worker  # type: ignore[union-attr] # it has one

    after(voted(before_a_panel(dispute), *[FOR_WORKER] * 3), APPEAL)

    assert again(task).state == TaskState.ACCEPTED
    assert available(worker) == GRANT + BOUNTY - FEE


def test_a_panel_of_abstentions_ends_with_somebody_of_staff() -> None:
    dispute = before_a_panel(of(left_by_everybody(CANNOT_RUN)))

    for _ in range(3):
        dispute = voted(dispute, *[ABSTAIN] * 3)

    assert dispute.state == DisputeState.ADMINISTRATOR
    assert dispute.redraws == 2
    assert Seat.objects.filter(dispute=dispute).count() == 9


def test_a_rejection_by_checks_can_be_disputed_by_its_worker() -> None:
    delivery = with_verdicts(FAILS, acceptance="automatic")
    delivery = Delivery.objects.select_related("task", "worker").get(pk=delivery.pk)
    assert delivery.state == DeliveryState.REJECTED

    assert disputed(delivery).cause == Cause.WORKER
