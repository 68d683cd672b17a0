"""Rivals in disputes: real threads, real commits, one effect."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.delivery.usecases.submit_delivery import Work, submit_delivery
from marketplace.disputes.models import Decision, Dispute, Outcome, Seat, SeatState
from marketplace.disputes.states import DisputeState
from marketplace.disputes.usecases.appeal_outcome import appeal_outcome
from marketplace.disputes.usecases.cast_vote import cast_vote
from marketplace.disputes.usecases.decide_dispute import decide_dispute
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.disputes.usecases.submit_evidence import submit_evidence
from marketplace.foundation import clock
from marketplace.foundation.transactions import run_in_transaction
from marketplace.tasks import deadlines
from marketplace.tasks.models import Settlement
from marketplace.tasks.states import TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from tests.builders.at_once import together
from tests.builders.disputes import (
    APPEAL,
    FOR_POSTER,
    a_decided_dispute,
    a_dispute,
    after,
    appealed,
    as_it_stands,
    before_a_panel,
    deposited,
    judges,
    open_seats,
)
from tests.builders.people import a_person, an_agent
from tests.builders.staff import somebody_of_staff
from tests.builders.work import (
    BOUNTY,
    a_rejected_delivery,
    a_submitted_delivery,
    again,
    available,
    held,
)

pytestmark = pytest.mark.django_db

MICRO = 1_000_000
GRANT = 100 * MICRO
DEPOSIT = FEE = BOUNTY // 20


def kinds(outcomes: list[object]) -> Counter[str]:
    return Counter(type(outcome).__name__ for outcome in outcomes)


def test_twenty_votes_at_once_on_one_seat_are_one_vote() -> None:
    dispute = before_a_panel()
    seat = open_seats(dispute)[0]
    votes: list[Callable[[], object]] = [
        partial(
            cast_vote,
            dispute_id=dispute.pk,
            actor=seat.panelist,
            outcome=Outcome.SPLIT,
            worker_share=share,
            rationale=f"{share}",
        )
        for share in range(100, 2_100, 100)
    ]

    outcomes = together(votes)

    assert kinds(outcomes) == {"Dispute": 1, "NotInThisState": 19}
    (voted,) = Seat.objects.filter(dispute=dispute, state=SeatState.VOTED)
    assert voted.rationale == str(voted.share_bps)


def test_three_who_vote_at_once_are_counted_once() -> None:
    dispute = before_a_panel()
    votes: list[Callable[[], object]] = [
        partial(
            cast_vote,
            dispute_id=dispute.pk,
            actor=seat.panelist,
            outcome=Outcome.SPLIT,
            worker_share=1_000 * seat.position,
            rationale="x",
        )
        for seat in open_seats(dispute)
    ]

    outcomes = together(votes * 3)

    assert kinds(outcomes) == {"Dispute": 3, "NotInThisState": 6}
    assert Decision.objects.get(dispute=dispute).share_bps == 2_000


def test_a_vote_against_the_end_of_the_time_to_vote_is_in_or_out() -> None:
    for _ in range(5):
        dispute = before_a_panel()
        seat = open_seats(dispute)[0]
        clock.advance(timedelta(hours=72, seconds=1))
        vote = partial(
            cast_vote,
            dispute_id=dispute.pk,
            actor=seat.panelist,
            outcome=Outcome.ACCEPT,
            rationale="x",
        )

        outcomes = together([vote, partial(deadlines.sweep, limit=1000)])

        # Its time had passed whoever came first: the seat lapsed, and its holder sees it no more.
        assert "Dispute" not in kinds(outcomes)
        states = Seat.objects.filter(dispute=dispute).values_list("state", flat=True)
        assert Counter(states) == {"lapsed": 3, "open": 3}
        assert as_it_stands(dispute).redraws == 1


def test_of_twenty_disputes_at_once_one_is_opened_and_deposited() -> None:
    judges()
    worker = an_agent()
    task = a_rejected_delivery(worker=worker).task

    outcomes = together([partial(open_dispute, task_id=task.pk, actor=worker, reason="x")] * 20)

    assert kinds(outcomes) == {"Dispute": 1, "IllegalTransition": 19}
    assert available(worker) == GRANT - DEPOSIT
    assert deposited(Dispute.objects.get(task=task)) == DEPOSIT


@pytest.mark.parametrize("round_", range(5))
def test_disputing_against_accepting_has_one_outcome(round_: int) -> None:
    poster, worker = a_person(), an_agent()
    delivery = a_submitted_delivery(poster, worker)

    outcomes = together(
        [
            partial(open_dispute, task_id=delivery.task_id, actor=poster, reason="x"),
            partial(accept_delivery, delivery_id=delivery.pk, actor=poster),
        ]
    )

    assert kinds(outcomes)["IllegalTransition"] == 1
    task = again(delivery.task)
    if task.state == TaskState.DISPUTED:
        assert held(task) == BOUNTY
        assert available(poster) == GRANT - BOUNTY - DEPOSIT
    else:
        assert (task.state, held(task)) == (TaskState.ACCEPTED, 0)
        assert available(poster) == GRANT - BOUNTY
    assert Settlement.objects.filter(task=task).exists() == (task.state == TaskState.ACCEPTED)


@pytest.mark.parametrize("round_", range(3))
def test_disputing_against_rejecting_and_silence_has_one_outcome(round_: int) -> None:
    poster, worker = a_person(), an_agent()
    delivery = a_submitted_delivery(poster, worker)
    clock.advance(timedelta(hours=73))

    outcomes = together(
        [
            partial(open_dispute, task_id=delivery.task_id, actor=poster, reason="x"),
            partial(reject_delivery, delivery_id=delivery.pk, actor=poster, reason="x"),
            partial(deadlines.sweep, limit=1000),
            partial(deadlines.sweep, limit=1000),
        ]
    )

    # Silence had accepted it before either of them came.
    assert kinds(outcomes)["IllegalTransition"] == 2
    assert again(delivery.task).state == TaskState.ACCEPTED
    assert available(poster) == GRANT - BOUNTY
    assert available(worker) == GRANT + BOUNTY - FEE


@pytest.mark.parametrize("round_", range(5))
def test_disputing_against_delivering_again_and_giving_back_has_one_outcome(round_: int) -> None:
    worker = an_agent()
    task = a_rejected_delivery(worker=worker).task

    outcomes = together(
        [
            partial(open_dispute, task_id=task.pk, actor=worker, reason="x"),
            partial(submit_delivery, task_id=task.pk, actor=worker, work=Work(summary="x")),
            partial(abandon_task, task_id=task.pk, actor=worker),
        ]
    )

    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1, outcomes
    disputed = again(task).state == TaskState.DISPUTED
    assert available(worker) == GRANT - (DEPOSIT if disputed else 0)


@pytest.mark.parametrize("round_", range(5))
def test_appealing_against_the_end_of_its_time_settles_once(round_: int) -> None:
    poster, worker = a_person(), an_agent()
    dispute = a_decided_dispute(dispute=a_dispute(poster, worker))
    clock.advance(APPEAL + timedelta(seconds=1))

    outcomes = together(
        [
            partial(appeal_outcome, dispute_id=dispute.pk, actor=poster, reason="x"),
            partial(deadlines.sweep, limit=1000),
            partial(deadlines.sweep, limit=1000),
        ]
    )

    assert kinds(outcomes)["NotInThisState"] == 1
    assert as_it_stands(dispute).state == DisputeState.SETTLED
    assert available(worker) == GRANT + BOUNTY - FEE
    assert deposited(dispute) == held(dispute.task) == 0


def test_two_administrators_who_decide_at_once_pay_once() -> None:
    poster, worker = a_person(), an_agent()
    won = a_decided_dispute(*[FOR_POSTER] * 3, dispute=a_dispute(poster, worker))
    dispute = appealed(won, worker)
    staff = [somebody_of_staff() for _ in range(4)]

    outcomes = together(
        [
            partial(
                decide_dispute,
                dispute_id=dispute.pk,
                actor=one,
                outcome=outcome,
                rationale="x",
            )
            for one, outcome in zip(staff, [Outcome.ACCEPT, Outcome.REJECT] * 2, strict=True)
        ]
    )

    assert kinds(outcomes) == {"Dispute": 1, "NotInThisState": 3}
    share = Decision.objects.get(dispute=dispute, on_appeal=True).share_bps
    assert available(worker) == (GRANT + BOUNTY - FEE if share else GRANT - DEPOSIT)


def test_evidence_against_the_end_of_its_time_is_in_or_out() -> None:
    poster = a_person()
    dispute = a_dispute(poster)
    clock.advance(timedelta(hours=48, seconds=1))

    outcomes = together(
        [
            *[partial(submit_evidence, dispute_id=dispute.pk, actor=poster, text="x")] * 5,
            partial(deadlines.sweep, limit=1000),
        ]
    )

    assert kinds(outcomes)["NotInThisState"] == 5
    assert Seat.objects.filter(dispute=dispute).count() == 3


def test_disputes_that_settle_at_once_and_share_people_never_wait_for_each_other_in_a_ring() -> (
    None
):
    poster, worker = a_person(), an_agent()
    disputes = [
        a_decided_dispute(*votes, dispute=a_dispute(poster, worker, bounty=MICRO))
        for votes in ([FOR_POSTER] * 3, [], [FOR_POSTER] * 3, [], [FOR_POSTER] * 3, [])
    ]
    clock.advance(APPEAL + timedelta(seconds=1))

    outcomes = together(
        [
            partial(run_in_transaction, partial(deadlines.apply_passed, one.task_id))
            for one in disputes
            for _ in range(2)
        ]
    )

    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert all(after(one, timedelta(0)).state == DisputeState.SETTLED for one in disputes)
    assert sum(map(deposited, disputes)) == 0
