"""Notifications: what happened that needs somebody's attention, in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.db.models import Case, IntegerField, Value, When
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from marketplace.api.events import NotificationQuery, ReadIn
from marketplace.api.paging import NEWEST, Key, paginate, whole
from marketplace.events.models import Event, Notification
from marketplace.events.notifications import mark_read, notifications_of
from marketplace.foundation import ids
from marketplace.tasks.queries import visible_to
from marketplace.web.calls import CallForm, Done, MoveForm, attempt
from marketplace.web.pages import actor_of, page, viewer_of

UNREAD_FIRST = (Key("is_read", whole, descending=False), *NEWEST)

# With somebody's name in front, where somebody did it; the clock and the checks have none.
DEEDS = {
    "credits.transferred": "sent you credits",
    "delivery.accepted": "accepted a delivery",
    "delivery.rejected": "rejected a delivery",
    "delivery.submitted": "delivered",
    "dispute.appealed": "appealed against the outcome of a dispute",
    "dispute.evidence_submitted": "handed in evidence",
    "dispute.opened": "disputes a delivery",
    "message.sent": "wrote about the task",
    "task.abandoned": "gave the task back",
    "task.cancelled": "cancelled the task",
    "task.claimed": "claimed the task",
    "task.notice_given": "gave notice on the task",
}
HAPPENINGS = {
    "content.hidden": "Staff took something of yours from sight",
    "delivery.accepted": "The delivery was accepted",
    "delivery.checked": "The checks of a delivery have ended",
    "delivery.rejected": "The delivery was rejected",
    "dispute.appeal_decided": "An administrator decided about the appeal",
    "dispute.decided": "A dispute is decided, and may be appealed against",
    "dispute.handed_to_administrator": "No panel could be seated; an administrator decides",
    "dispute.opened": "A panel is to judge",
    "dispute.seat_drawn": "You are asked to judge a dispute",
    "dispute.seat_lapsed": "Your time to judge a dispute has passed",
    "dispute.settled": "A dispute is settled",
    "dispute.voting_began": "The panel of a dispute votes",
    "freeze.appeal_answered": "Staff answered the appeal",
    "participant.frozen": "Staff froze you: nothing new until it ends",
    "participant.unfrozen": "Staff lifted the freeze",
    "report.answered": "Staff decided about what you reported",
    "task.cancelled": "The task was cancelled",
    "task.claim_expired": "The claim ran out",
    "task.expired": "The deadline passed and the bounty went back",
    "task.handed_over": "Somebody else acts as the poster of a subtask",
    "task.handed_to_staff": "A check could not run; the delivery waits for staff",
    "task.notice_given": "The task above was called off; this one ends with its notice",
    "task.review_reminder": "A delivery still awaits its review",
    "task.unblocked": "A subtask waits no longer: what it waited for is accepted",
    "wages.released": "What you earned with a subtask is paid",
    "wages.waiting": "A subtask that you pay for is accepted, and you may dispute what it earned",
}

# Why a task was cancelled by nobody, where that is told.
BECAUSE = {
    "deadline": "The deadline passed before what the subtask waits for was accepted",
    "declined": "The subtask could not be offered, and was cancelled",
    "parent_ended": "The task above was called off, and the subtask with it",
    "predecessor_failed": "What the subtask waited for failed, and it was cancelled; plan it anew",
}

# Where to read more of what is about no task: a page, and what the link to it says.
PAGES = {
    "freeze.appeal_answered": ("freezes", "what they say"),
    "participant.frozen": ("freezes", "why, and how to appeal"),
    "participant.unfrozen": ("freezes", "how it went"),
    "report.answered": ("reports", "your reports"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """A notification in words.

    Attributes:
        row: The notification.
        who: The handle of who did it, or an empty string.
        what: What happened.
        about: What it is about, as somebody else named it.
        url: Where to look, or an empty string.
    """

    row: Notification
    who: str
    what: str
    about: str
    url: str


class NotificationFilters(CallForm):
    """Where in the list one is."""

    call = NotificationQuery

    cursor = forms.CharField(required=False, widget=forms.HiddenInput)


class ReadForm(MoveForm):
    """Marking notifications as read: one, or all."""

    call = ReadIn
    button = "Mark all as read"

    ids = forms.CharField(required=False, widget=forms.HiddenInput)

    def body(self) -> dict[str, Any]:
        one = self.cleaned_data["ids"]
        return {"ids": [one]} if one else {}


@page
@login_required
def show(request: HttpRequest) -> HttpResponseBase:
    """Show one's notifications, the unread ones first."""
    actor = actor_of(request)
    form = ReadForm()
    if request.method == "POST":
        form = ReadForm(request.POST)
        done = attempt(request, form, lambda: _read(request, form))
        if done is not None:
            return done
    filters = NotificationFilters(request.GET)
    context: dict[str, Any] = {"form": form, "filters": filters}
    if filters.accepts(request):
        is_read = Case(
            When(read_at=None, then=Value(0)), default=Value(1), output_field=IntegerField()
        )
        rows = notifications_of(actor.pk).annotate(is_read=is_read)
        found = paginate(rows, filters.given, UNREAD_FIRST)
        context |= {"told": _tell(request, found.rows), "next_cursor": found.next_cursor}
    return render(request, "web/notifications.html", context, status=form.status)


def _read(request: HttpRequest, form: ReadForm) -> Done:
    mark_read(actor_of(request).pk, form.given.get("ids"))
    return Done(reverse("notifications"))


def _tell(request: HttpRequest, rows: Iterable[Notification]) -> list[Told]:
    """Put notifications into words. Queries: one, for the titles of tasks."""
    rows = list(rows)
    tasks = {row.pk: _task_of(row.event) for row in rows}
    keys = {ids.decode("task", task) for task in tasks.values() if task}
    titles = {
        ids.encode("task", key): title
        for key, title in visible_to(viewer_of(request))
        .filter(pk__in=keys)
        .values_list("pk", "title")
    }
    return [_told(row, tasks[row.pk], titles) for row in rows]


def _told(row: Notification, task: str, titles: dict[str, str]) -> Told:
    event = row.event
    who = event.actor.handle if event.actor else ""
    words = DEEDS if who else HAPPENINGS
    # An event that is newer than these words is still told, by its name.
    because = BECAUSE.get(event.data.get("because", "")) if event.type == "task.cancelled" else None
    what = because or words.get(event.type) or event.type.replace(".", " ").replace("_", " ")
    if event.type in PAGES:
        view, about = PAGES[event.type]
        return Told(row, who, what, about, reverse(view))
    if task in titles:
        there = reverse("task", args=[task])
        if event.subject_type == "dispute" and event.type != "dispute.seat_lapsed":
            there = reverse("dispute", args=[event.subject_id])
        return Told(row, who, what, titles[task], there)
    if event.type == "credits.transferred":
        return Told(row, who, what, f"{event.data['amount']} credits", reverse("wallet"))
    return Told(row, who, what, "", "")


def _task_of(event: Event) -> str:
    named = event.subject_id if event.subject_type == "task" else event.data.get("task")
    return str(named or "")
