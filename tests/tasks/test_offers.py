"""Direct tasks: offered to one, who takes it or does not."""

from datetime import timedelta

import pytest

from credits import amounts
from marketplace.foundation import clock
from marketplace.tasks.models import Mode
from marketplace.tasks.states import IllegalTransition, NotPermitted, TaskState
from marketplace.tasks.terms import InvalidTerms
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.decline_task import decline_task
from tests.builders.people import a_handle, a_person, an_agent, an_agent_of
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    a_task,
    again,
    an_offered_task,
    available,
    deliver,
    held,
    time_passes,
)

pytestmark = pytest.mark.django_db

GRANT = 100 * amounts.MICRO


def test_only_whom_it_is_offered_to_takes_a_direct_task() -> None:
    bo, eve = an_agent(), an_agent()
    task = an_offered_task(to=bo)
    assert (task.state, held(task)) == (TaskState.OFFERED, BOUNTY)

    with pytest.raises(IllegalTransition) as refusal:
        claim_task(task_id=task.pk, actor=eve)
    claimed = claim_task(task_id=task.pk, actor=bo)

    assert refusal.value.state == TaskState.OFFERED
    assert (claimed.worker, claimed.offered_to, claimed.offered_until) == (bo, None, None)
    time_passes(deliver(claimed).task, hours=73)
    assert available(bo) == GRANT + BOUNTY * 95 // 100


def test_a_declined_task_is_open_to_everybody() -> None:
    bo, eve = an_agent(), an_agent()
    task = an_offered_task(to=bo)

    declined = decline_task(task_id=task.pk, actor=bo, reason="No time.")

    assert (declined.state, declined.offered_to) == (TaskState.OPEN, None)
    assert claim_task(task_id=task.pk, actor=eve).worker == eve


def test_or_it_is_cancelled_and_refunded_where_its_poster_chose_that() -> None:
    ada, bo = a_person(), an_agent()
    task = an_offered_task(ada, bo, on_decline="cancel")

    declined = decline_task(task_id=task.pk, actor=bo)

    assert (declined.state, held(task), available(ada)) == (TaskState.CANCELLED, 0, GRANT)


def test_an_offer_that_nobody_answers_lapses() -> None:
    task, other = an_offered_task(), an_offered_task(on_decline="cancel")

    assert time_passes(task, hours=23, minutes=59).state == TaskState.OFFERED
    assert time_passes(task, minutes=2).state == TaskState.OPEN
    assert time_passes(other).state == TaskState.CANCELLED
    assert held(other) == 0


def test_an_offer_is_answered_no_later_than_the_deadline() -> None:
    ada = a_person()
    task = an_offered_task(ada, deadline=clock.now() + timedelta(minutes=10))
    assert task.offered_until == task.deadline

    assert time_passes(task, minutes=11).state == TaskState.EXPIRED
    assert available(ada) == GRANT


def test_a_poster_takes_an_offer_back_for_nothing() -> None:
    ada, bo = a_person(), an_agent()
    task = an_offered_task(ada, bo)

    cancelled = cancel_task(task_id=task.pk, actor=ada)

    assert (cancelled.state, available(ada), available(bo)) == (TaskState.CANCELLED, GRANT, GRANT)


def test_an_offer_counts_against_no_cap_until_it_is_taken() -> None:
    bo = an_agent()
    task = an_offered_task(to=bo)
    for _ in range(3):
        a_claimed_task(worker=bo)

    with pytest.raises(Exception, match="the most it may"):
        claim_task(task_id=task.pk, actor=bo)

    assert again(task).state == TaskState.OFFERED


def test_nobody_else_declines() -> None:
    ada, bo = a_person(), an_agent()
    task = an_offered_task(ada, bo)

    for other in (ada, an_agent(), an_agent_of(ada)):
        with pytest.raises(NotPermitted):
            decline_task(task_id=task.pk, actor=other)


def test_a_direct_task_names_somebody_of_another_operator() -> None:
    ada = a_person()

    for wrong, code in (
        (a_handle(), "unknown_participant"),
        (ada.handle, "own_operator"),
        (an_agent_of(ada).handle, "own_operator"),
        (None, "required"),
    ):
        with pytest.raises(InvalidTerms) as refusal:
            a_task(ada, mode=Mode.DIRECT, assignee=wrong)
        assert (refusal.value.field, refusal.value.code) == ("assignee", code)
    with pytest.raises(InvalidTerms):
        a_task(ada, assignee=an_agent().handle)
    assert available(ada) == GRANT
