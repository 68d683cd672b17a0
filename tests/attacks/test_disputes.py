"""Cheating by disputes: what each attempt would gain, and that it gains nothing."""

import pytest
from pytest_django import Settings

from credits import amounts
from marketplace.disputes.draw import pool_for
from marketplace.disputes.models import Dispute, Outcome, Seat
from marketplace.disputes.states import DisputeState
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.tasks.models import Task
from marketplace.tasks.states import IllegalTransition
from marketplace.tasks.usecases.cancel_task import cancel_task
from tests.builders.disputes import (
    APPEAL,
    FOR_POSTER,
    FOR_WORKER,
    a_decided_dispute,
    a_dispute,
    a_posters_dispute,
    a_settled_dispute,
    after,
    appealed,
    before_a_panel,
    decided_by,
    deposited,
    judges,
    open_seats,
    split,
    voted,
)
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.staff import somebody_of_staff
from tests.builders.work import (
    BOUNTY,
    a_submitted_delivery,
    an_accepted_delivery,
    available,
    held,
)

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
GRANT = 100 * MICRO
DEPOSIT = FEE = BOUNTY // 20


def pool(*sides: Participant) -> list[str]:
    return pool_for(sides=[one.operator_key for one in sides], claims=(), opened_at=clock.now())


def test_disputing_what_is_good_costs_the_poster_the_deposit() -> None:
    poster, worker = a_person(), an_agent()

    a_settled_dispute(*[FOR_WORKER] * 3, dispute=a_posters_dispute(poster, worker))

    assert available(poster) == GRANT - BOUNTY - DEPOSIT
    assert available(worker) == GRANT + BOUNTY - FEE + DEPOSIT


def test_disputing_a_rejection_that_is_right_costs_the_worker_the_deposit() -> None:
    poster, worker = a_person(), an_agent()

    a_settled_dispute(*[FOR_POSTER] * 3, dispute=a_dispute(poster, worker))

    assert available(worker) == GRANT - DEPOSIT
    assert available(poster) == GRANT - FEE + DEPOSIT


def test_a_task_that_was_refunded_by_a_dispute_is_never_open_again() -> None:
    dispute = a_settled_dispute(*[FOR_POSTER] * 3)
    task = dispute.task

    for move in (
        lambda: open_dispute(task_id=task.pk, actor=task.poster, reason="Again."),
        lambda: cancel_task(task_id=task.pk, actor=task.poster),
    ):
        with pytest.raises(IllegalTransition):
            move()
    assert held(task) == deposited(dispute) == 0


def test_a_poster_cannot_leave_with_the_escrow_while_a_dispute_runs() -> None:
    dispute = a_dispute(a_person())

    for at_once in (False, True):
        with pytest.raises(IllegalTransition):
            cancel_task(task_id=dispute.task_id, actor=dispute.task.poster, at_once=at_once)
    assert held(dispute.task) == BOUNTY


def test_ones_own_agents_never_judge_ones_cause() -> None:
    operator = a_person()
    agents = [an_agent_of(operator) for _ in range(5)]
    for agent in agents:
        an_accepted_delivery(worker=agent)

    assert not {one.handle for one in agents} & set(pool(operator, an_agent()))


def test_accounts_that_one_fed_with_work_or_credits_do_not_judge_ones_cause() -> None:
    packer = a_person()
    fed = [an_accepted_delivery(packer, an_agent(), bounty=10_000).worker for _ in range(4)]

    assert not {one.handle for one in fed} & set(pool(packer, an_agent()))


def test_agents_of_one_operator_have_one_ticket_however_many_they_are() -> None:
    stuffer = a_person()
    agents = [an_agent_of(stuffer) for _ in range(6)]
    for agent in agents:
        an_accepted_delivery(worker=agent, bounty=10_000)

    assert len({one.handle for one in agents} & set(pool(a_person(), an_agent()))) == 1


def test_accounts_made_for_a_dispute_that_runs_come_too_late() -> None:
    poster, packer = a_person(), a_person()
    dispute = a_dispute(poster)
    late = [an_accepted_delivery(packer, an_agent(), bounty=10_000).worker for _ in range(3)]

    dispute = before_a_panel(dispute)

    assert not {one.handle for one in late} & set(dispute.pool)


def test_a_panel_that_was_packed_all_the_same_is_overruled_on_appeal() -> None:
    poster, worker = a_person(), an_agent()
    dispute = a_decided_dispute(*[FOR_POSTER] * 3, dispute=a_dispute(poster, worker))
    dispute = appealed(dispute, worker)

    decided_by(somebody_of_staff(), dispute, Outcome.ACCEPT)

    assert available(worker) == GRANT + BOUNTY - FEE
    assert available(poster) == GRANT - BOUNTY


def test_one_bought_vote_moves_the_outcome_no_further_than_the_honest_two() -> None:
    for bought in (FOR_WORKER, FOR_POSTER):
        dispute = a_settled_dispute(split(3_000), bought, split(5_000))
        assert dispute.share_bps is not None
        assert 3_000 <= dispute.share_bps <= 5_000


def test_agreeing_with_the_others_pays_a_panelist_nothing_more() -> None:
    dispute = a_settled_dispute(FOR_WORKER, FOR_POSTER, FOR_WORKER)

    fees = Seat.objects.filter(dispute=dispute).values_list("fee", flat=True)

    assert max(fees) - min(fees) <= 1


def test_voting_again_and_staying_silent_pay_nothing() -> None:
    dispute = before_a_panel()
    silent = [seat.panelist for seat in open_seats(dispute)]
    before = [available(one) for one in silent]

    dispute = after(dispute, APPEAL * 10)

    assert dispute.redraws >= 1
    assert [available(one) for one in silent] == before


def test_the_winner_cannot_use_up_the_one_appeal() -> None:
    poster, worker = a_person(), an_agent()
    dispute = a_decided_dispute(*[FOR_POSTER] * 3, dispute=a_dispute(poster, worker))

    with pytest.raises(IllegalTransition):
        appealed(dispute, poster)

    assert appealed(dispute, worker).state == DisputeState.APPEALED


def test_lowering_the_deposit_after_posting_changes_nothing_for_tasks_that_stand(
    settings: Settings,
) -> None:
    judges()
    delivery = a_submitted_delivery(a_person())
    settings.DISPUTE_DEPOSIT_LEAST_MICRO_CREDITS = 1
    settings.DISPUTE_DEPOSIT_BPS = 0

    dispute = open_dispute(task_id=delivery.task_id, actor=delivery.task.poster, reason="x")

    assert dispute.deposit == DEPOSIT


def test_disputing_tiny_tasks_costs_more_than_they_hold() -> None:
    dispute = a_dispute(bounty=10_000)

    assert dispute.deposit == 3 * MICRO // 10


def test_a_dispute_moves_nothing_before_it_is_settled() -> None:
    poster, worker = a_person(), an_agent()
    dispute: Dispute = a_dispute(poster, worker)
    before = [available(one) for one in (poster, worker)]

    dispute = voted(before_a_panel(dispute), FOR_WORKER, FOR_POSTER, FOR_WORKER)
    dispute = appealed(dispute, poster)

    assert [available(one) for one in (poster, worker)] == before
    assert held(Task.objects.get(pk=dispute.task_id)) == BOUNTY
