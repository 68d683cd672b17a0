"""The review of a delivery: it begins when the required checks have ended, and it has an end.

Silence never favours the side that gains by it (market_rules.md, "Time").
"""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.conf import settings

from marketplace.delivery import decisions
from marketplace.delivery.models import CheckRun, Delivery, DeliveryState, Verdict
from marketplace.events.log import record
from marketplace.tasks.deadlines import Limit, when_passed, when_passed_by_many
from marketplace.tasks.ending import load_claims, save_transition
from marketplace.tasks.models import Acceptance, Task
from marketplace.tasks.states import Role

CLOCK = frozenset({Role.CLOCK})
CHECKS = frozenset({Role.CHECKS})
# Large, and no matter to what becomes of a delivery.
WHAT_WAS_DELIVERED = ("summary", "result", "evidence", "usage")

SeatPanel = Callable[[Task, datetime], None]

_panels: list[SeatPanel] = []


def when_undecided(seat_panel: SeatPanel) -> SeatPanel:
    """Let *seat_panel* take over an automatic task whose check could not run, and nobody decided.

    It leaves the task disputed, and saved.
    """
    assert not _panels, "one panel judges"
    _panels.append(seat_panel)
    return seat_panel


def begin(task: Task, *, at: datetime) -> None:
    """Start the review window, with a reminder at its half; the caller saves the task."""
    window = timedelta(seconds=task.review_window_seconds)
    task.remind_at, task.review_due_at = at + window / 2, at + window


def under_review(task: Task) -> Delivery:
    """Return the delivery that awaits a decision."""
    return Delivery.objects.get(task=task, state=DeliveryState.SUBMITTED)


def accepted(task: Task) -> Delivery:
    """Return the delivery that was accepted."""
    return Delivery.objects.select_related("claim").get(task=task, state=DeliveryState.ACCEPTED)


def required_runs(delivery: Delivery) -> list[CheckRun]:
    """Return the runs that decide, in their order. Round trips: one."""
    return list(CheckRun.objects.filter(delivery=delivery, required=True).order_by("position"))


def conclude(task: Task, delivery: Delivery, runs: list[CheckRun], *, at: datetime) -> None:
    """Act on the verdicts of the required checks, which have all ended (rules 10, 17 and 18)."""
    delivery.checks_ended_at = at
    delivery.save(update_fields=["checks_ended_at"])
    record(
        "delivery.checked",
        subject=delivery.subject,
        actor=None,
        readers=task.parties,
        notified=task.parties,
        data={"task": task.public_id, "checks": {run.name: run.state for run in runs}},
    )
    failed = _first(runs, Verdict.FAILED)
    automatic = task.acceptance == Acceptance.AUTOMATIC
    if automatic and failed is not None:
        decisions.reject(
            task, delivery, "reject_by_checks", roles=CHECKS, actor=None, at=at, reason=_why(failed)
        )
    elif automatic and all(run.state == Verdict.PASSED for run in runs):
        decisions.accept(task, delivery, "accept_by_checks", roles=CHECKS, actor=None, at=at)
    else:
        begin(task, at=at)
        save_transition(task)


@when_passed_by_many(Limit.REMIND)
def remind(tasks: Sequence[Task], at: datetime) -> None:
    """Half of the review window has passed: tell the poster."""
    for task in tasks:
        task.advance("remind", roles=CLOCK, at=at)
        task.remind_at = None
        save_transition(task)
        record(
            "task.review_reminder",
            subject=task.subject,
            actor=None,
            readers=task.parties,
            notified=[task.poster_id],
        )


@when_passed_by_many(Limit.LAPSE_REVIEW)
def lapse_review(tasks: Sequence[Task], at: datetime) -> None:
    """The poster stayed silent: the checks decide, and where one could not run, staff look."""
    load_claims(tasks, owed=True)
    deliveries = Delivery.objects.filter(task__in=tasks, state=DeliveryState.SUBMITTED)
    of_task = {delivery.task_id: delivery for delivery in deliveries.defer(*WHAT_WAS_DELIVERED)}
    runs_of: dict[uuid.UUID, list[CheckRun]] = {one.pk: [] for one in of_task.values()}
    required = CheckRun.objects.filter(delivery__in=runs_of, required=True).defer("config")
    for run in required.order_by("position"):
        runs_of[run.delivery_id].append(run)
    for task in tasks:
        delivery = of_task[task.pk]
        runs = runs_of[delivery.pk]
        if _first(runs, Verdict.ERROR) is not None:
            _hand_to_staff(task, at)
        else:
            _decide_by_silence(task, delivery, runs, at)


@when_passed(Limit.LAPSE_STAFF)
def lapse_staff(task: Task, at: datetime) -> None:
    """Neither staff nor the poster decided about a delivery whose check could not run."""
    delivery = under_review(task)
    runs = required_runs(delivery)
    if task.acceptance == Acceptance.AUTOMATIC and _first(runs, Verdict.FAILED) is None:
        for seat_panel in _panels:
            seat_panel(task, at)
    else:
        _decide_by_silence(task, delivery, runs, at)


def _decide_by_silence(task: Task, delivery: Delivery, runs: list[CheckRun], at: datetime) -> None:
    failed = _first(runs, Verdict.FAILED)
    if failed is None:
        decisions.accept(task, delivery, "accept_by_silence", roles=CLOCK, actor=None, at=at)
    else:
        decisions.reject(
            task,
            delivery,
            "reject_by_silence",
            roles=CLOCK,
            actor=None,
            at=at,
            reason=_why(failed),
        )


def _hand_to_staff(task: Task, at: datetime) -> None:
    task.advance("hand_to_staff", roles=CLOCK, at=at)
    task.stop_review()
    task.with_staff_until = at + timedelta(seconds=settings.STAFF_REVIEW_SECONDS)
    save_transition(task)
    record(
        "task.handed_to_staff",
        subject=task.subject,
        actor=None,
        readers=task.parties,
        notified=task.parties,
    )


def _first(runs: list[CheckRun], state: Verdict) -> CheckRun | None:
    return next((run for run in runs if run.state == state), None)


def _why(failed: CheckRun) -> str:
    return f"The required check “{failed.name}” failed: {failed.detail}"
