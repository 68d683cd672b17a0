"""The page of what waits for staff: disputes, checks that could not run, reports, appeals."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from marketplace.disputes.models import Dispute
from marketplace.disputes.queries import for_administrators
from marketplace.moderation.models import Case, CaseState, Report
from marketplace.participants.models import Freeze, Participant
from marketplace.tasks.models import Task
from marketplace.web.pages import page

MOST = 20  # of each kind, what has waited longest; its list has all
REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that waits.

    Attributes:
        what: What it is, in a few words.
        link: Where it is looked at, and often decided.
        since: Since when it waits, or None.
        until: When it is decided without staff, or None where it waits for ever.
        says: What others wrote about it.
    """

    what: str
    link: str
    since: datetime | None = None
    until: datetime | None = None
    says: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits, of one kind.

    Attributes:
        how: How it is decided.
        everything: Where all of it is listed.
    """

    heading: str
    how: str
    everything: str
    rows: list[Waiting]
    number: int


@require_safe
@page
def waiting(request: HttpRequest) -> HttpResponseBase:
    """Show what waits for staff. Staff only. Queries: nine, however much waits."""
    asking = request.user
    if not (isinstance(asking, Participant) and asking.is_staff):
        raise Http404
    queues = [_disputes(), _checks(), _reports(), _appeals()]
    return render(request, "ops/waiting.html", {"queues": queues})


def _disputes() -> Queue:
    found = for_administrators().select_related("task").defer("pool", "task__search")
    return Queue(
        "Disputes without a panel, and appeals",
        "Read the case and decide on its page. What is left is decided by the default, or stands.",
        reverse("disputes"),
        [_dispute(one) for one in found.order_by("due_at")[:MOST]],
        found.count(),
    )


def _dispute(dispute: Dispute) -> Waiting:
    return Waiting(
        f"{dispute.task.title}: {dispute.get_state_display()}",
        reverse("dispute", args=[dispute.public_id]),
        until=dispute.due_at,
        says=(dispute.appeal_reason or dispute.reason,),
    )


def _checks() -> Queue:
    found = Task.objects.filter(with_staff_until__isnull=False).defer("search")
    return Queue(
        "Deliveries whose check could not run",
        "Look at the delivery; decide with manage.py decide_delivery.",
        reverse("admin:tasks_task_changelist"),
        [
            Waiting(task.title, reverse("task", args=[task.public_id]), until=task.with_staff_until)
            for task in found.order_by("with_staff_until")[:MOST]
        ],
        found.count(),
    )


def _reports() -> Queue:
    found: QuerySet[Case] = Case.objects.filter(state=CaseState.OPEN)
    newest = Report.objects.order_by("-pk")
    shown = found.select_related("about").prefetch_related(Prefetch("reports", queryset=newest))
    everything = reverse("admin:moderation_case_changelist")
    return Queue(
        "Reports",
        "Tick a case in the list, say why, and dismiss it, hide the subject or freeze its author.",
        f"{everything}?state__exact={CaseState.OPEN.value}",
        [_case(case) for case in shown.order_by("id")[:MOST]],
        found.count(),
    )


def _case(case: Case) -> Waiting:
    times = f"{case.report_count} report{'s' * (case.report_count != 1)}"
    reasons = [f"{one.category}: {one.reason}" for one in case.reports.all()[:REASONS_SHOWN]]
    author = f" of {case.about.handle}" * (case.about.handle != case.subject_name)
    return Waiting(
        f"{case.subject_type} {case.subject_name}{author}, {times}",
        reverse("admin:moderation_case_change", args=[case.pk]),
        since=case.opened_at,
        says=(*reasons, f"It says: {case.excerpt[:300]}"),
    )


def _appeals() -> Queue:
    found = Freeze.objects.filter(appealed_at__isnull=False, answered_at=None)
    everything = reverse("admin:participants_freeze_changelist")
    return Queue(
        "Appeals against freezes",
        "Tick the freeze in the list, write the answer, and grant the appeal or let it stand.",
        f"{everything}?appeal=waiting",
        [
            Waiting(
                f"{freeze.participant.handle}, frozen: {freeze.reason}",
                reverse("admin:participants_freeze_change", args=[freeze.pk]),
                since=freeze.appealed_at,
                until=freeze.ends_at,
                says=(freeze.appeal,),
            )
            for freeze in found.select_related("participant").order_by("appealed_at")[:MOST]
        ],
        found.count(),
    )
