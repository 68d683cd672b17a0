"""What a poster might try to have work without paying: silence, rejections, cancelling, terms."""

from datetime import timedelta

import pytest

from credits import amounts
from marketplace.delivery.models import Delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.foundation import clock
from marketplace.participants.usecases.block_participant import block_participant
from marketplace.standing.figures import records_of
from marketplace.tasks.permissions import NotNow
from marketplace.tasks.states import IllegalTransition, NotPermitted, TaskState
from marketplace.tasks.terms import InvalidTerms, TermsChanged
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.raise_task import raise_task
from tests.builders.disputes import FOR_WORKER, a_settled_dispute, disputed, judges
from tests.builders.gains import gain, wealth
from tests.builders.people import a_person, an_agent
from tests.builders.work import (
    BOUNTY,
    a_bid,
    a_claimed_task,
    a_contest,
    a_rejected_delivery,
    a_submitted_delivery,
    a_task,
    again,
    an_entry,
    an_exact_check,
    available,
    checked,
    closed,
    deliver,
    everything_handled,
    held,
    rejected,
    swept,
    time_passes,
)

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
GRANT = 100 * MICRO
WAGES = BOUNTY * 95 // 100


def test_silence_pays_the_worker() -> None:
    poster, worker = a_person(), an_agent()
    delivery = a_submitted_delivery(poster, worker)

    assert gain([poster], lambda: time_passes(delivery.task, hours=73)) == -BOUNTY

    assert available(worker) == GRANT + WAGES
    everything_handled()
    record = records_of([poster.pk], at=clock.now())[poster.pk].as_poster
    assert (record.silent, record.silence_rate, record.accepted) == (1, 1.0, 0)


def test_silence_about_a_check_that_failed_pays_nobody() -> None:
    poster, worker = a_person(), an_agent()
    delivery = checked(
        a_submitted_delivery(
            poster, worker, verification=[an_exact_check()], work={"result": {"totals": 0}}
        )
    )

    task = time_passes(delivery.task, hours=73)

    assert task.state == TaskState.CLAIMED  # rejected, naming the check
    assert (wealth(poster), wealth(worker)) == (GRANT, GRANT)


def test_the_entries_of_a_contest_are_not_had_by_silence_or_by_cancelling() -> None:
    poster, workers = a_person(), [an_agent(), an_agent()]
    contest = a_contest(poster)
    for worker in workers:
        an_entry(contest, worker)

    with pytest.raises(NotNow):
        cancel_task(task_id=contest.pk, actor=poster)
    task = closed(contest)
    for _ in range(12):  # the review, and a panel that may be seated and stay silent
        task = time_passes(task, days=4)

    assert task.is_ended
    assert available(poster) == GRANT - BOUNTY
    assert sum(available(worker) for worker in workers) > 2 * GRANT


def test_rejecting_and_keeping_gains_nothing_that_a_dispute_does_not_take_back() -> None:
    judges()
    poster, worker = a_person(), an_agent()
    delivery = a_rejected_delivery(poster, worker)

    a_settled_dispute(*[FOR_WORKER] * 3, dispute=disputed(delivery))

    assert available(poster) == GRANT - BOUNTY
    assert available(worker) == GRANT + WAGES  # and the deposit is back
    everything_handled()
    record = records_of([poster.pk], at=clock.now())[poster.pk].as_poster
    assert (record.rejected, record.disputes, record.disputes_lost) == (1, 1, 1)
    assert (record.rejection_rate, record.lost_dispute_rate) == (1.0, 1.0)


def test_a_third_delivery_cannot_be_rejected() -> None:
    poster = a_person()
    delivery = a_rejected_delivery(poster)
    for _ in range(1):
        delivery = rejected(deliver(_held(delivery)))
    third = deliver(_held(delivery))

    with pytest.raises(NotNow):
        reject_delivery(delivery_id=third.pk, actor=poster, reason="No.")


def test_rejecting_in_bulk_returns_only_what_was_the_posters_and_everybody_sees_it() -> None:
    poster, workers = a_person(), [an_agent() for _ in range(5)]

    def reject_all() -> None:
        for worker in workers:
            delivery = a_rejected_delivery(poster, worker, bounty=MICRO)
            time_passes(delivery.task, hours=48, seconds=1)
            cancel_task(task_id=delivery.task_id, actor=poster)

    assert gain([poster, *workers], reject_all) == 0

    assert wealth(poster) == GRANT
    everything_handled()
    record = records_of([poster.pk], at=clock.now())[poster.pk].as_poster
    assert (record.rejected, record.acceptance_rate, record.rejection_rate) == (5, 0.0, 1.0)


def test_accepting_ones_own_tiny_tasks_does_not_hide_rejections_of_large_ones() -> None:
    poster, second = a_person(), a_person()
    for _ in range(3):
        a_rejected_delivery(poster, an_agent(), bounty=10 * MICRO)
    for _ in range(20):
        accepted = a_submitted_delivery(poster, second, bounty=10_000)
        swept(time_passes(accepted.task, hours=73))
    everything_handled()

    record = records_of([poster.pk], at=clock.now())[poster.pk].as_poster

    assert record.rejection_rate is not None
    assert record.rejection_rate > 0.9


@pytest.mark.parametrize("at_once", [False, True])
def test_cancelling_after_a_delivery_is_not_possible(at_once: bool) -> None:  # noqa: FBT001
    poster = a_person()
    submitted = a_submitted_delivery(poster)
    again_ = a_rejected_delivery(poster)

    for delivery in (submitted, again_):
        with pytest.raises(IllegalTransition):
            cancel_task(task_id=delivery.task_id, actor=poster, at_once=at_once)
        assert held(delivery.task) == BOUNTY


def test_cancelling_at_once_pays_who_was_at_work() -> None:
    poster, worker = a_person(), an_agent()
    task = a_claimed_task(poster, worker)

    cancel_task(task_id=task.pk, actor=poster, at_once=True)

    assert available(worker) == GRANT + BOUNTY // 10
    assert available(poster) == GRANT - BOUNTY // 10


def test_a_block_after_the_delivery_undoes_nothing() -> None:
    poster, worker = a_person(), an_agent()
    delivery = a_submitted_delivery(poster, worker)

    block_participant(actor=poster, handle=worker.handle)
    time_passes(delivery.task, hours=73)

    assert available(worker) == GRANT + WAGES


@pytest.mark.parametrize("stage", ["claimed", "submitted", "bid on and taken"])
def test_terms_are_not_lowered_once_somebody_works_on_them(stage: str) -> None:
    poster = a_person()
    if stage == "submitted":
        task = a_submitted_delivery(poster).task
    elif stage == "claimed":
        task = a_claimed_task(poster)
    else:
        open_ = a_task(poster, mode="bid")
        bid = a_bid(open_)
        task = again(open_)
        with pytest.raises(InvalidTerms):  # and a raise is no way to lower
            raise_task(task_id=task.pk, actor=poster, bounty=MICRO)
        assert bid.task_id == task.pk
        return

    changes = {"bounty": MICRO, "requirements": ["More."], "title": "Something else"}
    for field, value in changes.items():
        with pytest.raises(IllegalTransition):
            edit_task(
                task_id=task.pk,
                actor=poster,
                changes={field: value},
                read_version=lambda _: True,
            )
    with pytest.raises(InvalidTerms):
        raise_task(task_id=task.pk, actor=poster, bounty=MICRO)
    with pytest.raises(InvalidTerms):
        raise_task(task_id=task.pk, actor=poster, deadline=clock.now() + timedelta(hours=1))
    assert held(task) == BOUNTY


def test_terms_that_were_lowered_before_the_claim_are_not_taken_unread() -> None:
    poster = a_person()
    task = a_task(poster)
    edit_task(task_id=task.pk, actor=poster, changes={"bounty": MICRO}, read_version=lambda _: True)

    with pytest.raises(TermsChanged):
        claim_task(task_id=task.pk, actor=an_agent(), terms_version=1)


def test_harvesting_bids_costs_bidders_nothing_and_brings_the_poster_no_credits() -> None:
    poster, bidders = a_person(), [an_agent() for _ in range(4)]
    task = a_task(poster, mode="bid")

    def harvest() -> None:
        for bidder in bidders:
            a_bid(task, bidder, amount=MICRO)
        cancel_task(task_id=task.pk, actor=poster)

    assert gain([poster, *bidders], harvest) == 0

    assert [wealth(one) for one in (poster, *bidders)] == [GRANT] * 5


def test_a_workers_claim_cannot_be_ended_by_a_stranger() -> None:
    task = a_claimed_task()

    with pytest.raises(NotPermitted):
        cancel_task(task_id=task.pk, actor=a_person())


def _held(delivery: Delivery):  # type: ignore[no-untyped-def] # noqa: ANN202
    return Delivery.objects.select_related("task__worker").get(pk=delivery.pk).task
