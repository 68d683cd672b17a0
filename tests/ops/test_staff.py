"""Staff: who they are, and what they decide."""

import io

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from marketplace.delivery.models import Delivery
from marketplace.delivery.usecases.decide_as_staff import decide_as_staff
from marketplace.ops.management.commands.add_staff import add_staff
from marketplace.participants.models import Participant
from marketplace.tasks.states import IllegalTransition, NotPermitted, TaskState
from tests.builders.people import a_handle, a_person, an_agent
from tests.builders.work import (
    BOUNTY,
    a_schema_check,
    a_submitted_delivery,
    again,
    available,
    checked,
    held,
    time_passes,
)
from tests.delivery.test_what_a_check_can_take import DOUBLING

pytestmark = pytest.mark.django_db
MICRO = 1_000_000


def staff() -> Participant:
    return add_staff(a_handle("staff"), "a long enough password")


@pytest.fixture
def with_staff(settings: Settings) -> Delivery:
    """A delivery whose check could not run and whose review window has passed."""
    settings.CHECK_WALL_SECONDS = 1
    delivery = a_submitted_delivery(worker=an_agent(), verification=[a_schema_check(DOUBLING)])
    delivery = checked(delivery)
    time_passes(delivery.task, hours=73)
    return delivery


def test_staff_accept_what_a_check_could_not(with_staff: Delivery) -> None:
    said = io.StringIO()

    call_command(
        *("decide_delivery", with_staff.public_id, "accept"),
        handle=staff().handle,
        reason="Read it; it is fine.",
        stdout=said,
    )

    assert said.getvalue().strip() == f"{with_staff.public_id} is accepted"
    assert again(with_staff.task).state == TaskState.ACCEPTED
    assert available(with_staff.worker) == 100 * MICRO + BOUNTY * 95 // 100


def test_staff_reject_it_and_the_worker_may_deliver_again(with_staff: Delivery) -> None:
    decide_as_staff(delivery_id=with_staff.pk, actor=staff(), accepts=False, reason="Empty.")

    task = again(with_staff.task)
    assert task.state == TaskState.CLAIMED
    assert task.resubmit_by is not None
    assert held(task) == BOUNTY


def test_nobody_else_decides_and_staff_only_what_is_with_them(with_staff: Delivery) -> None:
    reviewed = a_submitted_delivery()
    poster = with_staff.task.poster
    Participant.objects.filter(pk=poster.pk).update(is_staff=True)

    with pytest.raises(NotPermitted):
        decide_as_staff(delivery_id=with_staff.pk, actor=a_person(), accepts=True, reason="-")
    with pytest.raises(NotPermitted, match="own cause"):
        decide_as_staff(
            delivery_id=with_staff.pk,
            actor=Participant.objects.get(pk=poster.pk),
            accepts=False,
            reason="-",
        )
    with pytest.raises(IllegalTransition):
        decide_as_staff(delivery_id=reviewed.pk, actor=staff(), accepts=True, reason="-")
    with pytest.raises(CommandError):
        call_command(
            *("decide_delivery", "delivery_none", "accept"),
            handle=staff().handle,
            reason="-",
        )


def test_a_delivery_that_staff_leave_is_decided_by_silence_after_their_week(
    with_staff: Delivery,
) -> None:
    task = time_passes(with_staff.task, days=7, seconds=1)

    assert task.state == TaskState.ACCEPTED  # manual: no required check failed
    assert task.due_at is None
