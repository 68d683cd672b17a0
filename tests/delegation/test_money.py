"""Where the money of subtasks comes from, and where it goes (rules 13 and 15)."""

from datetime import timedelta

import pytest

from credits import amounts
from marketplace.delegation.waiting import release_due
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.tasks import sources
from marketplace.tasks.models import Settlement, Source, Task
from marketplace.tasks.states import TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from tests.builders.people import a_person, an_agent
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
from tests.builders.work import BOUNTY, available

MICRO = amounts.MICRO

pytestmark = pytest.mark.django_db


def earned_by(worker: Participant, before: int) -> int:
    return available(worker) - before


def test_a_subtask_has_an_escrow_of_its_own_out_of_its_parents() -> None:
    task = a_task_to_split()

    (part,) = split(task, an_entry(bounty=3 * MICRO))

    assert (in_escrow(part), in_escrow(task)) == (3 * MICRO, BOUNTY - 3 * MICRO)
    assert now(task).held == BOUNTY - 3 * MICRO


def test_what_an_escrow_pays_waits_until_the_parent_is_accepted() -> None:
    task, worker = a_task_to_split(), an_agent()
    before = available(worker)
    (part,) = split(task)
    done(part, worker)
    waiting = earned_by(worker, before)

    accepted(now(task))

    assert (waiting, earned_by(worker, before)) == (0, 950_000)


def test_what_an_escrow_pays_waits_no_longer_than_a_week() -> None:
    task, worker = a_task_to_split(), an_agent()
    before = available(worker)
    (part,) = split(task)
    done(part, worker)

    clock.advance(timedelta(days=7))
    release_due()

    assert earned_by(worker, before) == 950_000


def test_what_the_leads_wallet_pays_is_paid_at_once() -> None:
    task, worker = a_task_to_split(), an_agent()
    before = available(worker)
    (part,) = split(task, an_entry(source=Source.WALLET))

    done(part, worker)

    assert earned_by(worker, before) == 950_000
    assert in_escrow(task) == BOUNTY


def test_a_lead_cannot_delegate_more_than_the_poster_granted() -> None:
    task = a_task_to_split(delegation_bps=HALF)
    split(task, an_entry("a", bounty=3 * MICRO))

    with pytest.raises(sources.EscrowExhausted) as refused:
        split(task, an_entry("b", bounty=2 * MICRO), an_entry("c", bounty=10_000))

    assert refused.value.available == 2 * MICRO
    assert Task.objects.filter(parent=task).count() == 1


def test_unspent_budget_flows_back_and_can_be_delegated_again() -> None:
    task = a_task_to_split(delegation_bps=HALF)
    (part,) = split(task, an_entry("a", bounty=5 * MICRO))

    cancel_task(task_id=part.pk, actor=lead_of(task))

    assert (in_escrow(task), now(task).delegated, now(task).unsettled_children) == (BOUNTY, 0, 0)
    split(now(task), an_entry("b", bounty=5 * MICRO))


def test_a_parent_that_is_cancelled_closes_until_its_held_subtasks_have_ended() -> None:
    poster, worker = a_person(), an_agent()
    task = a_task_to_split(poster)
    before = available(poster)
    unheld, taken = split(task, an_entry("a"), an_entry("b"))
    held(taken, worker)

    cancel_task(task_id=task.pk, actor=poster, at_once=True)
    closing = now(task)
    accepted(now(taken))

    assert closing.state == TaskState.CLOSING
    assert now(unheld).state == TaskState.CANCELLED
    assert now(task).state == TaskState.CANCELLED
    # The worker's tenth of what is left of the escrow; the part is paid from it.
    assert available(poster) - before == (BOUNTY - MICRO) * 9 // 10
    assert in_escrow(task) == in_escrow(taken) == 0


def test_an_abandoned_task_reopens_with_what_is_left() -> None:
    poster, worker = a_person(), an_agent()
    task = a_task_to_split(poster)
    first, second = split(task, an_entry("a"), an_entry("b", bounty=2 * MICRO))
    done(first)

    abandon_task(task_id=task.pk, actor=lead_of(task))

    reopened = now(task)
    assert (reopened.state, reopened.held) == (TaskState.OPEN, BOUNTY - 3 * MICRO)
    assert now(second).poster == poster
    lead = held(reopened, worker)
    assert now(second).poster == lead.worker
    done(second)
    accepted(now(task))
    end = Settlement.objects.get(task=task)
    assert (end.wages + end.fee, end.subtasks) == (BOUNTY - 3 * MICRO, 3 * MICRO)
