"""A task that ends while its subtasks run: it closes, and nobody works for nothing (rule 15)."""

from datetime import timedelta

import pytest

from credits import amounts
from marketplace.delivery.models import Delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.delivery.usecases.submit_delivery import Work, submit_delivery
from marketplace.disputes.models import Outcome
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.tasks.models import Source, Task
from marketplace.tasks.permissions import NotNow
from marketplace.tasks.states import IllegalTransition, TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from tests.builders.disputes import APPEAL, EVIDENCE, after, decided_by
from tests.builders.people import a_person, an_agent
from tests.builders.recounts import wrong_now
from tests.builders.staff import somebody_of_staff
from tests.builders.trees import ALL, a_task_to_split, accepted, an_entry, held, now, split
from tests.builders.work import available, deliver, rejected, swept, time_passes

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO


def worker_of(task: Task) -> Participant:
    worker = now(task).worker
    assert worker is not None
    return worker


def called_off(task: Task) -> Task:
    """Let the poster of a held task cancel it at once."""
    return cancel_task(task_id=task.pk, actor=now(task).poster, at_once=True)


def test_who_holds_a_part_has_one_lease_to_deliver_when_the_whole_ends() -> None:
    task = a_task_to_split()
    (part,) = split(task)
    held(part)
    time_passes(task, hours=20)

    called_off(task)
    time_passes(part, hours=23)
    states = (now(part).state, now(task).state)
    time_passes(part, hours=2)

    assert states == (TaskState.CLAIMED, TaskState.CLOSING)
    assert (now(part).state, now(task).state) == (TaskState.CANCELLED, TaskState.CANCELLED)


def test_a_part_that_is_rejected_after_the_whole_ended_is_open_to_nobody_again() -> None:
    task = a_task_to_split()
    (part,) = split(task)
    delivery = deliver(held(part))
    called_off(task)

    rejected(Delivery.objects.select_related("task__poster").get(pk=delivery.pk))
    abandon_task(task_id=part.pk, actor=delivery.worker)

    assert (now(part).state, now(task).state) == (TaskState.CANCELLED, TaskState.CANCELLED)
    assert wrong_now(task.pk) == []


def test_a_part_that_is_rejected_after_the_whole_ended_may_be_delivered_again() -> None:
    task, worker = a_task_to_split(), an_agent()
    (part,) = split(task)
    delivery = deliver(held(part, worker))
    called_off(task)

    rejected(Delivery.objects.select_related("task__poster").get(pk=delivery.pk))
    accepted(now(part))

    assert (now(part).state, now(task).state) == (TaskState.ACCEPTED, TaskState.CANCELLED)


def test_a_part_with_parts_of_its_own_closes_below_a_task_that_closes() -> None:
    task = a_task_to_split()
    (part,) = split(task, an_entry(bounty=3 * MICRO, delegation_bps=ALL))
    (leaf,) = split(held(part))
    held(leaf)
    abandon_task(task_id=part.pk, actor=worker_of(part))

    called_off(task)
    states = [now(one).state for one in (task, part, leaf)]
    accepted(now(leaf))

    assert states == [TaskState.CLOSING, TaskState.CLOSING, TaskState.CLAIMED]
    assert [now(one).state for one in (task, part)] == [TaskState.CANCELLED] * 2
    assert wrong_now(task.pk) == []


def test_a_task_that_closes_is_nobodys_to_take_or_to_call_off_again() -> None:
    task = a_task_to_split()
    (part,) = split(task)
    held(part)
    called_off(task)

    for move in (claim_task, cancel_task, abandon_task):
        with pytest.raises(IllegalTransition):
            move(task_id=task.pk, actor=an_agent() if move is claim_task else now(task).poster)
    with pytest.raises(IllegalTransition):
        submit_delivery(task_id=task.pk, actor=worker_of(task), work=Work(summary="x"))


def test_a_task_whose_deadline_passes_before_a_late_part_is_in_closes_and_expires() -> None:
    minute = timedelta(minutes=1)
    task = a_task_to_split(lease_seconds=6 * 86_400)
    lead = task.worker
    assert lead is not None
    (part,) = split(task, an_entry(review_window_seconds=600, lease_seconds=360_000))
    held(part)
    clock.advance(timedelta(days=4))
    heartbeat(task_id=task.pk, actor=lead)
    heartbeat(task_id=part.pk, actor=worker_of(part))
    clock.advance(part.deadline - clock.now() - minute)
    delivery = deliver(now(part))
    clock.advance(9 * minute)
    reject_delivery(delivery_id=delivery.pk, actor=lead, reason="No.")
    clock.advance(timedelta(hours=48) - minute)
    deliver(now(part))

    clock.advance(task.deadline - clock.now())
    closing = swept(task)
    time_passes(part, minutes=11)

    assert (closing.state, closing.closing_as) == (TaskState.CLOSING, TaskState.EXPIRED)
    assert (now(part).state, now(task).state) == (TaskState.ACCEPTED, TaskState.EXPIRED)
    assert wrong_now(task.pk) == []


def test_a_judgement_against_the_lead_ends_what_an_earlier_leads_wallet_pays() -> None:
    poster, first = a_person(), an_agent()
    task = a_task_to_split(poster, first, deadline=clock.now() + timedelta(days=60))
    (own,) = split(task, an_entry(source=Source.WALLET))
    before = available(first)
    abandon_task(task_id=task.pk, actor=first)
    deliver(held(now(task)))
    dispute = after(open_dispute(task_id=task.pk, actor=poster, reason="Not this."), EVIDENCE)
    while dispute.state == "voting":
        dispute = after(dispute, timedelta(hours=73))
    after(decided_by(somebody_of_staff(), dispute, Outcome.REJECT), APPEAL)

    assert (now(task).state, now(own).state) == (TaskState.CANCELLED, TaskState.CANCELLED)
    assert available(first) - before == MICRO


def test_a_task_is_not_split_while_its_worker_may_deliver_again() -> None:
    task = a_task_to_split()
    rejected(deliver(task))

    with pytest.raises(NotNow, match="delegate") as refused:
        split(now(task))
    open_dispute(task_id=task.pk, actor=worker_of(task), reason="It is right.")

    assert refused.value.rule == "resubmission_pending"
    assert now(task).state == TaskState.DISPUTED
