"""Every state has a timed exit, and whoever comes late meets the state that time has made."""

from datetime import timedelta
from typing import Any

import pytest

from credits import amounts
from marketplace.delivery.jobs import sweep_overdue_tasks
from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.tasks import deadlines
from marketplace.tasks.models import Claim, Settlement, Task
from marketplace.tasks.states import IllegalTransition, TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from tests.builders.people import a_person, an_agent
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    a_rejected_delivery,
    a_submitted_delivery,
    a_task,
    again,
    available,
    deliver,
    held,
    rejected,
    swept,
    time_passes,
)

pytestmark = pytest.mark.django_db

GRANT = 100 * amounts.MICRO


def story(task: Task) -> list[str]:
    """Return what happened to the task, oldest first."""
    events = Event.objects.filter(subject_id=task.public_id).order_by("created_at")
    return list(events.values_list("type", flat=True))


def in_minutes(minutes: float) -> dict[str, Any]:
    return {"deadline": clock.now() + timedelta(minutes=minutes)}


def test_an_open_task_expires_at_its_deadline_and_is_refunded() -> None:
    ada = a_person()
    task = a_task(ada, **in_minutes(10))

    assert time_passes(task, minutes=9.9).state == TaskState.OPEN
    task = time_passes(task, minutes=0.2)

    assert task.state == TaskState.EXPIRED
    assert (held(task), available(ada)) == (0, GRANT)
    assert Settlement.objects.get(task=task).refund == BOUNTY
    assert story(task) == ["task.posted", "task.expired"]


def test_a_lease_that_is_not_renewed_opens_the_task_again() -> None:
    bo = an_agent()
    task = a_claimed_task(worker=bo, lease_seconds=600)

    assert time_passes(task, minutes=9.9).worker == bo
    task = time_passes(task, minutes=0.2)

    assert (task.state, task.worker, held(task)) == (TaskState.OPEN, None, BOUNTY)
    assert Claim.objects.get(task=task).ending == "abandoned"
    assert story(task)[-1] == "task.claim_expired"


def test_heartbeats_renew_a_lease_up_to_the_deadline_only() -> None:
    ada, bo = a_person(), an_agent()
    task = a_claimed_task(ada, bo, lease_seconds=600, **in_minutes(15))
    clock.advance(timedelta(minutes=9))

    renewed = heartbeat(task_id=task.pk, actor=bo)

    assert renewed.claim_expires_at == task.deadline
    assert time_passes(task, minutes=5.9).state == TaskState.CLAIMED
    task = time_passes(task, minutes=0.2)
    assert task.state == TaskState.EXPIRED
    assert (available(ada), Claim.objects.get(task=task).ending) == (GRANT, "expired")


def test_a_claim_near_the_deadline_ends_with_it() -> None:
    task = a_task(**in_minutes(6))
    clock.advance(timedelta(minutes=1))

    task = claim_task(task_id=task.pk, actor=an_agent())

    assert task.claim_expires_at == task.deadline
    assert time_passes(task, minutes=6.1).state == TaskState.EXPIRED


# --- After a rejection ----------------------------------------------------------------------------


def test_after_a_rejection_the_worker_has_two_days_whatever_lease_and_deadline_say() -> None:
    delivery = a_rejected_delivery(lease_seconds=600, **in_minutes(30))

    task = time_passes(delivery.task, hours=47)

    assert task.state == TaskState.CLAIMED
    assert deliver(task).number == 2


def test_when_they_have_passed_the_task_is_open_again() -> None:
    task = a_rejected_delivery().task

    assert time_passes(task, hours=48, seconds=1).state == TaskState.OPEN


def test_or_expired_when_its_deadline_has_passed_as_well() -> None:
    ada = a_person()
    task = a_rejected_delivery(ada, **in_minutes(30)).task

    task = time_passes(task, hours=48, seconds=1)

    assert (task.state, available(ada)) == (TaskState.EXPIRED, GRANT)


def test_a_heartbeat_does_not_move_that_limit() -> None:
    task = a_rejected_delivery().task
    assert task.worker is not None

    with pytest.raises(IllegalTransition):
        heartbeat(task_id=task.pk, actor=task.worker)


# --- Silence of the poster ------------------------------------------------------------------------


def test_a_poster_who_stays_silent_is_reminded_at_half_time_and_has_accepted_at_its_end() -> None:
    ada, bo = a_person(), an_agent()
    task = a_submitted_delivery(ada, bo, review_window_seconds=3600).task

    reminded = time_passes(task, minutes=31)
    assert (reminded.state, story(task)[-1]) == (TaskState.SUBMITTED, "task.review_reminder")
    assert Event.objects.filter(
        subject_id=task.public_id, type="task.review_reminder", notified=[ada.pk]
    ).exists()
    assert time_passes(task, minutes=28).state == TaskState.SUBMITTED
    accepted = time_passes(task, minutes=2)

    assert accepted.state == TaskState.ACCEPTED
    assert available(bo) == GRANT + BOUNTY * 95 // 100


def test_a_review_runs_on_past_the_deadline() -> None:
    task = a_submitted_delivery(**in_minutes(10)).task

    assert time_passes(task, hours=71).state == TaskState.SUBMITTED
    assert time_passes(task, hours=2).state == TaskState.ACCEPTED


def test_silence_for_both_halves_at_once_reminds_and_accepts() -> None:
    task = a_submitted_delivery().task

    assert time_passes(task, hours=80).state == TaskState.ACCEPTED
    assert "task.review_reminder" in story(task)


# --- Notice ---------------------------------------------------------------------------------------


def test_under_notice_the_worker_may_deliver_for_one_lease_and_is_paid() -> None:
    ada, bo = a_person(), an_agent()
    task = a_claimed_task(ada, bo, lease_seconds=600)
    notified = cancel_task(task_id=task.pk, actor=ada)
    assert notified.state == TaskState.CLAIMED

    delivery = deliver(time_passes(task, minutes=9))

    assert time_passes(delivery.task, hours=73).state == TaskState.ACCEPTED
    assert available(bo) == GRANT + BOUNTY * 95 // 100


def test_when_notice_ends_the_task_is_cancelled_and_all_of_it_refunded() -> None:
    ada, bo = a_person(), an_agent()
    task = a_claimed_task(ada, bo, lease_seconds=600)
    cancel_task(task_id=task.pk, actor=ada)

    task = time_passes(task, minutes=10, seconds=1)

    assert task.state == TaskState.CANCELLED
    assert (available(ada), available(bo)) == (GRANT, GRANT)
    assert Claim.objects.get(task=task).ending == "cancelled"


def test_notice_ends_with_the_deadline() -> None:
    ada = a_person()
    task = a_claimed_task(ada, **in_minutes(10))
    clock.advance(timedelta(minutes=1))

    assert cancel_task(task_id=task.pk, actor=ada).notice_ends_at == task.deadline


def test_a_task_under_notice_that_is_given_up_is_cancelled() -> None:
    ada, bo = a_person(), an_agent()
    task = a_claimed_task(ada, bo)
    cancel_task(task_id=task.pk, actor=ada)

    given_up = abandon_task(task_id=task.pk, actor=bo)

    assert (given_up.state, available(ada)) == (TaskState.CANCELLED, GRANT)
    assert Claim.objects.get(task=task).ending == "abandoned"


def test_a_task_under_notice_whose_time_to_deliver_again_passes_is_cancelled() -> None:
    ada, bo = a_person(), an_agent()
    task = a_claimed_task(ada, bo, lease_seconds=600)
    cancel_task(task_id=task.pk, actor=ada)
    rejected(deliver(task))

    assert time_passes(task, hours=47).state == TaskState.CLAIMED
    assert time_passes(task, hours=2).state == TaskState.CANCELLED
    assert available(ada) == GRANT


def test_cancelling_at_once_pays_the_worker_a_tenth() -> None:
    ada, bo = a_person(), an_agent()
    task = a_claimed_task(ada, bo, bounty=3_333_333)

    cancelled = cancel_task(task_id=task.pk, actor=ada, at_once=True)

    settlement = Settlement.objects.get(task=task)
    assert cancelled.state == TaskState.CANCELLED
    assert (settlement.compensation, settlement.refund) == (333_333, 3_000_000)
    assert (available(bo), available(ada)) == (GRANT + 333_333, GRANT - 333_333)


# --- Coming late ----------------------------------------------------------------------------------


def test_a_claim_on_a_task_that_has_expired_is_refused_and_expires_it() -> None:
    ada, bo = a_person(), an_agent()
    task = a_task(ada, **in_minutes(6))
    clock.advance(timedelta(minutes=7))
    assert again(task).state == TaskState.OPEN, "nobody has looked yet"

    with pytest.raises(IllegalTransition) as refusal:
        claim_task(task_id=task.pk, actor=bo)

    assert refusal.value.state == TaskState.EXPIRED
    assert again(task).state == TaskState.EXPIRED
    assert (held(task), available(ada)) == (0, GRANT)
    assert story(task)[-1] == "task.expired"


def test_whoever_lost_the_task_to_time_is_refused_and_the_next_may_claim_at_once() -> None:
    bo, cy = an_agent(), an_agent()
    task = a_claimed_task(worker=bo, lease_seconds=600)
    clock.advance(timedelta(minutes=11))

    with pytest.raises(IllegalTransition):
        abandon_task(task_id=task.pk, actor=bo)

    assert again(task).state == TaskState.OPEN
    assert Claim.objects.get(task=task, worker=bo).ending == "abandoned"
    assert claim_task(task_id=task.pk, actor=cy).worker == cy


def test_a_late_claim_finds_the_task_that_the_lease_gave_up() -> None:
    cy = an_agent()
    task = a_claimed_task(lease_seconds=600)
    clock.advance(timedelta(minutes=11))

    assert claim_task(task_id=task.pk, actor=cy).worker == cy


def test_a_late_rejection_finds_the_delivery_accepted() -> None:
    bo = an_agent()
    delivery = a_submitted_delivery(worker=bo)
    clock.advance(timedelta(hours=73))

    with pytest.raises(IllegalTransition) as refusal:
        rejected(delivery)

    assert refusal.value.state == TaskState.ACCEPTED
    assert available(bo) == GRANT + BOUNTY * 95 // 100


# --- The sweeper ----------------------------------------------------------------------------------


def test_the_sweeper_does_what_is_due_when_nobody_looks_and_does_it_once() -> None:
    ada = a_person()
    due = [a_task(ada, bounty=amounts.MICRO, **in_minutes(6)) for _ in range(3)]
    young = a_task(ada, bounty=amounts.MICRO)
    clock.advance(timedelta(minutes=7))

    sweep_overdue_tasks()
    sweep_overdue_tasks()

    assert [again(task).state for task in due] == [TaskState.EXPIRED] * 3
    assert again(young).state == TaskState.OPEN
    assert [story(task) for task in due] == [["task.posted", "task.expired"]] * 3
    assert not Task.objects.filter(due_at__lte=clock.now()).exists()


def test_what_is_due_next_is_always_known() -> None:
    ada, bo = a_person(), an_agent()
    task = a_task(ada)
    assert task.due_at == task.deadline
    task = claim_task(task_id=task.pk, actor=bo)
    assert task.due_at == task.claim_expires_at
    delivery = deliver(task)
    assert delivery.task.due_at == delivery.task.remind_at
    rejected(delivery)
    assert again(task).due_at == again(task).resubmit_by
    abandon_task(task_id=task.pk, actor=bo)
    assert again(task).due_at == task.deadline
    cancel_task(task_id=task.pk, actor=ada)
    assert again(task).due_at is None


def test_nothing_is_done_that_is_not_due() -> None:
    task = a_claimed_task()

    assert swept(task).state == TaskState.CLAIMED
    assert deadlines.passed(again(task), clock.now()) is None


def test_the_clock_never_goes_back() -> None:
    with pytest.raises(ValueError, match="never goes back"):
        clock.advance(timedelta(seconds=-1))
