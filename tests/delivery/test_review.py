"""Who decides about a delivery when its checks have ended, and what silence means."""

from datetime import timedelta
from functools import partial

import pytest
from pytest_django import Settings

from credits import amounts
from marketplace.delivery.models import CheckRun, Delivery, DeliveryState
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.decide_as_staff import decide_as_staff
from marketplace.delivery.usecases.submit_delivery import DeliveriesExhausted
from marketplace.delivery.verification import runs
from marketplace.delivery.verification.isolation import Report
from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.tasks.models import Task
from marketplace.tasks.states import IllegalTransition, NotPermitted, TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.claim_task import claim_task
from tests.builders.people import a_person, an_agent
from tests.builders.work import (
    BOUNTY,
    a_claimed_task,
    a_submitted_delivery,
    again,
    an_exact_check,
    available,
    checked,
    deliver,
    everything_handled,
    held,
    time_passes,
)

pytestmark = pytest.mark.django_db

GRANT = 100 * amounts.MICRO
PAID = GRANT + BOUNTY * 95 // 100
PASSES = an_exact_check("passes")
FAILS = an_exact_check("fails", expected={"other": 1})
CANNOT_RUN = an_exact_check("cannot run")


def with_verdicts(
    *checks: dict[str, object], worker: Participant | None = None, acceptance: str = "manual"
) -> Delivery:
    """Return a delivery whose checks have ended."""
    return checks_ended(
        a_submitted_delivery(worker=worker, acceptance=acceptance, verification=list(checks))
    )


def checks_ended(delivery: Delivery) -> Delivery:
    """Let the checks of a delivery end; those that cannot run fail to do so thrice."""
    for run in CheckRun.objects.filter(delivery=delivery, name=CANNOT_RUN["name"]):
        for _ in range(3):
            lease = runs.take(run.pk)
            assert lease is not None
            runs.finish(lease, Report("error", "The service's fault.", 1))
            clock.advance(timedelta(minutes=1))
    return checked(delivery)


def state_of(delivery: Delivery) -> str:
    return again(delivery.task).state


def test_the_review_begins_when_the_required_checks_have_ended() -> None:
    delivery = a_submitted_delivery(verification=[PASSES])
    assert again(delivery.task).review_due_at is None

    everything_handled()

    task = again(delivery.task)
    assert task.review_due_at is not None
    assert Event.objects.filter(subject_id=delivery.public_id, type="delivery.checked").exists()


def test_a_check_that_is_not_required_does_not_hold_the_review_up() -> None:
    delivery = a_submitted_delivery(verification=[FAILS | {"required": False}])

    assert again(delivery.task).review_due_at is not None
    everything_handled()
    assert time_passes(delivery.task, hours=73).state == TaskState.ACCEPTED


def test_checks_that_pass_accept_at_once_where_they_decide() -> None:
    bo = an_agent()

    delivery = with_verdicts(PASSES, worker=bo, acceptance="automatic")

    assert (delivery.state, state_of(delivery)) == ("accepted", TaskState.ACCEPTED)
    assert available(bo) == PAID


def test_a_check_that_fails_rejects_at_once_where_it_decides_and_is_named() -> None:
    delivery = with_verdicts(PASSES, FAILS, acceptance="automatic")

    assert (delivery.state, state_of(delivery)) == ("rejected", TaskState.CLAIMED)
    assert delivery.reason.startswith("The required check “fails” failed:")


def test_checks_decide_nothing_by_themselves_where_the_poster_does() -> None:
    for checks in ((PASSES,), (FAILS,)):
        assert state_of(with_verdicts(*checks)) == TaskState.SUBMITTED


def test_silence_accepts_what_passed_and_rejects_what_failed() -> None:
    passed, failed = with_verdicts(PASSES), with_verdicts(FAILS)

    assert time_passes(passed.task, hours=73).state == TaskState.ACCEPTED
    task = time_passes(failed.task, hours=73)

    assert task.state == TaskState.CLAIMED
    assert "fails" in Delivery.objects.get(pk=failed.pk).reason


def test_a_poster_may_accept_what_a_check_failed() -> None:
    bo = an_agent()
    delivery = with_verdicts(FAILS, worker=bo)

    accept_delivery(delivery_id=delivery.pk, actor=delivery.task.poster)

    assert available(bo) == PAID


# --- Checks that could not run --------------------------------------------------------------------


def with_staff(*checks: dict[str, object], acceptance: str = "manual") -> Delivery:
    """Return a delivery about which the poster stayed silent, and that staff have to look at."""
    delivery = with_verdicts(*checks, acceptance=acceptance)
    assert state_of(delivery) == TaskState.SUBMITTED
    task = time_passes(delivery.task, hours=73)
    assert task.state == TaskState.SUBMITTED
    assert task.with_staff_until is not None
    return delivery


def test_an_error_counts_against_nobody_and_goes_to_staff_when_the_poster_is_silent() -> None:
    delivery = with_staff(CANNOT_RUN)

    assert delivery.claim.rejections == 0
    assert Event.objects.filter(
        subject_id=delivery.task.public_id, type="task.handed_to_staff"
    ).exists()


def test_an_error_neither_pays_nor_rejects_where_checks_decide() -> None:
    assert state_of(with_verdicts(CANNOT_RUN, acceptance="automatic")) == TaskState.SUBMITTED


def test_while_staff_look_the_poster_may_still_decide() -> None:
    delivery = with_staff(CANNOT_RUN)

    accept_delivery(delivery_id=delivery.pk, actor=delivery.task.poster)

    assert state_of(delivery) == TaskState.ACCEPTED


@pytest.mark.parametrize(
    ("checks", "state"),
    [((CANNOT_RUN,), TaskState.ACCEPTED), ((CANNOT_RUN, FAILS), TaskState.CLAIMED)],
    ids=["nothing failed", "another failed"],
)
def test_when_staff_are_silent_too_the_other_checks_decide(
    checks: tuple[dict[str, object], ...], state: str
) -> None:
    delivery = with_staff(*checks)

    assert time_passes(delivery.task, days=6).state == TaskState.SUBMITTED
    assert time_passes(delivery.task, days=1, hours=1).state == state


def test_on_an_automatic_task_nothing_is_paid_by_silence_alone() -> None:
    delivery = with_staff(CANNOT_RUN, PASSES, acceptance="automatic")

    task = time_passes(delivery.task, days=7, hours=1)

    assert task.state == TaskState.DISPUTED  # a panel decides
    assert held(task) == BOUNTY


def of_staff() -> Participant:
    person = a_person()
    person.is_staff = True
    person.save(update_fields=["is_staff"])
    return person


@pytest.mark.parametrize(
    ("accepts", "state"), [(True, TaskState.ACCEPTED), (False, TaskState.CLAIMED)]
)
def test_staff_decide_with_a_reason(*, accepts: bool, state: str) -> None:
    delivery = with_staff(CANNOT_RUN, acceptance="automatic")

    decide_as_staff(
        delivery_id=delivery.pk, actor=of_staff(), accepts=accepts, reason="I looked at it."
    )

    decided = Delivery.objects.get(pk=delivery.pk)
    assert state_of(delivery) == state
    assert "I looked at it." in (decided.comment, decided.reason)


def test_staff_decide_only_what_was_handed_to_them_and_nobody_else_does() -> None:
    waiting, handed = with_verdicts(PASSES), with_staff(CANNOT_RUN)
    decide = partial(decide_as_staff, accepts=True, reason="Because.")

    with pytest.raises(IllegalTransition):
        decide(delivery_id=waiting.pk, actor=of_staff())
    with pytest.raises(NotPermitted):
        decide(delivery_id=handed.pk, actor=a_person())
    handed.task.poster.is_staff = True
    with pytest.raises(NotPermitted):
        decide(delivery_id=handed.pk, actor=handed.task.poster)


# --- Deliveries -----------------------------------------------------------------------------------


def test_on_an_automatic_task_an_operator_delivers_three_times_and_no_more() -> None:
    bo = an_agent()
    task = a_claimed_task(worker=bo, acceptance="automatic", verification=[FAILS])
    for number in (1, 2, 3):
        delivery = checked(deliver(task))
        assert (delivery.number, delivery.state) == (number, DeliveryState.REJECTED)
    with pytest.raises(IllegalTransition):
        deliver(task)
    abandon_task(task_id=task.pk, actor=bo)
    claimed_again = claim_task(task_id=task.pk, actor=bo)

    with pytest.raises(DeliveriesExhausted) as refusal:
        deliver(claimed_again)

    assert refusal.value.most == 3


def test_another_operator_delivers_all_the_same() -> None:
    task = a_claimed_task(acceptance="automatic", verification=[FAILS])
    checked(deliver(task))
    assert task.worker is not None
    abandon_task(task_id=task.pk, actor=task.worker)

    claimed: Task = claim_task(task_id=task.pk, actor=an_agent())

    assert deliver(claimed).number == 2


# --- Runs -----------------------------------------------------------------------------------------


def a_run() -> CheckRun:
    return a_submitted_delivery(verification=[PASSES]).checks.get()


def test_a_run_is_one_workers_at_a_time() -> None:
    run = a_run()

    lease = runs.take(run.pk)

    assert lease is not None
    assert runs.take(run.pk) is None


def test_the_run_of_a_worker_that_died_is_taken_again_and_its_verdict_is_not_written(
    settings: Settings,
) -> None:
    run = a_run()
    dead = runs.take(run.pk)
    assert dead is not None
    delivery = Delivery.objects.select_related("task").get(pk=run.delivery_id)
    time_passes(delivery.task, seconds=settings.CHECK_WALL_SECONDS + runs.LEASE_MARGIN_SECONDS + 1)

    taken = runs.take(run.pk)

    assert taken is not None
    assert not runs.finish(dead, Report("failed", "From the grave.", 1))
    assert runs.finish(taken, Report("passed", "Fine.", 1))
    assert not runs.finish(taken, Report("failed", "Twice.", 1))
    run.refresh_from_db()
    assert (run.state, run.detail, run.attempts) == ("passed", "Fine.", 2)


def test_a_run_that_kills_its_worker_three_times_is_given_up(settings: Settings) -> None:
    run = a_run()
    delivery = Delivery.objects.select_related("task").get(pk=run.delivery_id)
    for _ in range(3):
        assert runs.take(run.pk) is not None
        time_passes(delivery.task, minutes=2)

    assert runs.take(run.pk) is None
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("error", 3)
