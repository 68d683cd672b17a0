"""Splitting a task: the page on which its worker plans subtasks."""

import json
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.forms.boundfield import BoundField
from django.forms.utils import pretty_name
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from credits import amounts
from marketplace.api.subtasks import PlanIn, read_entries, read_steps
from marketplace.api.wallets import position_of
from marketplace.delegation.plans import Entry
from marketplace.delegation.usecases.plan_subtasks import plan_subtasks, require_lead
from marketplace.foundation import clock, ids
from marketplace.participants.models import Participant
from marketplace.reuse import uses
from marketplace.tasks import sources
from marketplace.tasks.models import Acceptance, Mode, OnDecline, Source, Task
from marketplace.tasks.queries import as_shown, visible_to
from marketplace.tasks.terms import (
    MOST_RUNNER_UP_BPS,
    InvalidTerms,
    Spans,
    Wanted,
    spans_within,
)
from marketplace.web.calls import (
    Amount,
    CallForm,
    Done,
    Hours,
    JSONText,
    Lines,
    Moment,
    MoveForm,
    Percent,
    TextArea,
    Words,
    attempt,
)
from marketplace.web.pages import actor_of, page
from marketplace.web.tasks import CHECKS_EXAMPLE, Part, modes_of, unread_in
from marketplace.web.templatetags.market import span

ROWS_AT_FIRST = 2
MOST_ROWS = 40  # of one form; Django reads a thousand fields
PLACE = re.compile(r"subtasks(?:/(?P<place>\d+)(?:/(?P<name>\w+)(?:/(?P<rest>.+))?)?)?\Z")
NOTHING = Wanted(title="", description="", bounty=0)


@dataclass(frozen=True, slots=True)
class Means:
    """What a lead can plan with.

    Attributes:
        task: What is split.
        lead: Who splits it.
        limit: What may ever be paid to subtasks out of the task's escrow, in micro-credits.
        escrow: What is left of that now.
        wallet: What the lead's wallet can spend.
        spans: The limits of time of a subtask of which nothing is said.
        siblings: The subtasks that stand already.
    """

    task: Task
    lead: Participant
    limit: int
    escrow: int
    wallet: int
    spans: Spans
    siblings: Sequence[Task]

    @property
    def sources(self) -> list[tuple[Source, str]]:
        """Return who may pay, each with what is available of it."""
        wallet = (Source.WALLET, f"my wallet: {amounts.format(self.wallet)} available")
        escrow = (Source.ESCROW, f"the task's escrow: {amounts.format(self.escrow)} available")
        return [escrow, wallet] if self.escrow else [wallet, escrow] if self.limit else [wallet]

    @property
    def latest(self) -> datetime:
        """Return the latest deadline of a subtask of which nothing else is said."""
        return self.spans.deadline

    @property
    def review(self) -> str:
        """Return how long its review may take, in words."""
        return span(self.spans.review_window_seconds)


def means_of(task: Task, lead: Participant) -> Means:
    """Return what *lead* can plan subtasks of a task with. Round trips: four.

    Raises:
        InvalidTerms: The task has no time for subtasks.
    """
    owed = sum(one.amount for one in uses.owed_by(task.claim_id)) if task.claim_id else 0
    return Means(
        task=task,
        lead=lead,
        limit=sources.limit_of(task),
        escrow=sources.delegable(task, owed=owed),
        wallet=position_of(lead)["available"],
        spans=spans_within(NOTHING, task, clock.now()),
        siblings=list(Task.objects.filter(parent=task).defer("search").order_by("pk")),
    )


# --- The form of a plan --------------------------------------------------------------------------


class EntryFields(forms.Form):
    """The fields of one subtask; a plan has all of them once for each."""

    title = forms.CharField()
    description = TextArea(rows=4, help_text="Markdown. Say what is wanted and what is not.")
    bounty = Amount(label="Bounty in credits")
    source = forms.ChoiceField(label="Paid out of")
    key = forms.CharField(label="Key", help_text="A short name that others can wait for.")
    depends_on = Words(
        required=False, label="Waits for", help_text="Keys of other parts, separated by commas."
    )
    mode = forms.ChoiceField(
        choices=[
            (Mode.CLAIM, "whoever claims it first"),
            (Mode.BID, "one of those who bid"),
            (Mode.CONTEST, "the best of many entries"),
            (Mode.DIRECT, "somebody whom I offer it to"),
        ],
        label="It goes to",
        initial=Mode.CLAIM,
    )
    assignee = forms.CharField(label="Offered to", required=False, help_text="Their handle.")
    runner_up_share = Percent(
        required=False,
        max_value=MOST_RUNNER_UP_BPS / 100,
        label="Part for a second, in per cent",
        help_text="Only where your wallet pays.",
    )
    deadline = Moment(required=False, label="Deadline (UTC)")
    requirements = Lines(
        required=False,
        rows=3,
        help_text="One a line. A rejection has to name the one that it rests on.",
    )
    verification = JSONText(
        required=False,
        rows=6,
        label="Checks (JSON)",
        help_text="They run on every delivery; a contest needs one. An example stands below.",
    )
    acceptance = forms.ChoiceField(
        choices=[
            (Acceptance.MANUAL, "I look at the delivery and decide"),
            (Acceptance.AUTOMATIC, "The required checks decide"),
        ],
        label="Who accepts",
        initial=Acceptance.MANUAL,
    )
    delegation_limit = Percent(
        required=False,
        max_value=100,
        label="What its worker may pay for subtasks, in per cent of the bounty",
        help_text="None of it if you leave it out.",
    )
    on_decline = forms.ChoiceField(
        choices=[
            (OnDecline.OPEN, "It is open again"),
            (OnDecline.CANCEL, "It is cancelled, and the bounty comes back"),
        ],
        label="If an offer is not taken",
        initial=OnDecline.OPEN,
    )
    review_window_seconds = Hours(required=False, label="Hours that you have for a review")
    tags = Words(required=False, help_text="Separated by commas, such as csv, prices.")


TEXTS = ("title", "description")
SHORT = ("bounty", "source", "key", "depends_on", "mode", "assignee", "runner_up_share", "deadline")
FOLDED = tuple(name for name in EntryFields.base_fields if name not in (*TEXTS, *SHORT))
# Of an entry that is left out nothing is filled in but what the page fills in.
FILLED_IN_BY_US = ("key", "source", "mode", "acceptance", "on_decline")


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of one subtask as the page shows them.

    Attributes:
        number: From 1.
        texts: What it says.
        short: What takes little room, each with the classes of what surrounds it.
        folded: What most leave alone.
    """

    number: int
    texts: list[BoundField]
    short: list[tuple[BoundField, str]]
    folded: Part


class PlanForm(MoveForm):
    """A plan: several subtasks, of which those that are left empty are left out.

    Attributes:
        entries: What was typed, as plans have it.
    """

    call = PlanIn
    button = "Split the task"

    entries: list[Entry]

    def __init__(self, *args: Any, means: Means, rows: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.means = means
        self.numbers = range(1, rows + 1)
        self._sent: list[int] = []  # numbers of the entries that are sent, in their order
        taken = {one.key for one in means.siblings} | {str(one) for one in self.initial.values()}
        keys = (key for key in map("part-{}".format, count(1)) if key not in taken)
        for number in self.numbers:
            for name, field in deepcopy(EntryFields.base_fields).items():
                field.label = field.label or pretty_name(name)  # or the number would be in it
                self.fields[f"{number}-{name}"] = field
            _offer(means, self.fields[f"{number}-source"])
            self.fields[
                f"{number}-deadline"
            ].help_text = f"Left out it is the latest that fits, {means.latest:%Y-%m-%d %H:%M}."
            if f"{number}-key" not in self.initial:
                self.fields[f"{number}-key"].initial = next(keys)

    @property
    def rows(self) -> Iterator[Row]:
        """Yield the fields of each subtask."""
        for number in self.numbers:
            fields = {name: self[f"{number}-{name}"] for name in EntryFields.base_fields}
            folded = [(fields[name], modes_of(name)) for name in FOLDED]
            is_used = any(
                field.errors or str(field.value() or "") != str(field.field.initial or "")
                for field, _ in folded
            )
            yield Row(
                number,
                [fields[name] for name in TEXTS],
                [(fields[name], modes_of(name)) for name in SHORT],
                Part("Checks, time and more", folded, is_folded=not is_used),
            )

    @property
    def faults(self) -> list[tuple[BoundField, str]]:
        """Return the fields that are wrong, each with the part that it is of."""
        wrong = (field for field in self.visible_fields() if field.errors)
        return [(one, f"Part {one.name.partition('-')[0]}, {one.label}") for one in wrong]

    def clean(self) -> None:
        self._sent = [number for number in self.numbers if self._is_filled(number)]
        for number in self.numbers:
            unread = list(EntryFields.base_fields)
            if number in self._sent:
                unread = unread_in(self.cleaned_data.get(f"{number}-mode", Mode.CLAIM))
            for name in unread:  # what the page does not show is not wrong either
                self.errors.pop(f"{number}-{name}", None)
        super().clean()

    def _is_filled(self, number: int) -> bool:
        names = (name for name in EntryFields.base_fields if name not in FILLED_IN_BY_US)
        return any(str(self.data.get(f"{number}-{name}", "")).strip() for name in names)

    def body(self) -> dict[str, Any]:
        return {"subtasks": [self._entry(number) for number in self._sent]}

    def _entry(self, number: int) -> dict[str, Any]:
        unread = unread_in(self.cleaned_data[f"{number}-mode"])
        given = {name: self.cleaned_data[f"{number}-{name}"] for name in EntryFields.base_fields}
        return {
            name: value
            for name, value in given.items()
            if name not in unread and value not in (None, "", [])
        }

    def prepare(self) -> None:
        require_lead(self.means.task, self.means.lead)
        self.entries = read_entries(self.given["subtasks"])

    def _place_of(self, path: str) -> tuple[str, str]:
        found = PLACE.match(path)
        if found is None:
            return super()._place_of(path)
        place = int(found["place"] or 0)
        number = self._sent[place] if place < len(self._sent) else 1
        name, rest = found["name"] or "", found["rest"] or ""
        if name == "depends_on" and rest.isdigit():
            waited = [key.strip() for key in self.data[f"{number}-{name}"].split(",")]
            rest = [key for key in waited if key][int(rest)]
        if name not in EntryFields.base_fields:
            return f"{number}-key", name  # the entry as a whole
        return f"{number}-{name}", rest


def _offer(means: Means, field: forms.Field) -> None:
    """Let a field choose among those who may pay."""
    assert isinstance(field, forms.ChoiceField)
    field.choices = means.sources
    field.initial = means.sources[0][0]


def typed_rows(data: QueryDict) -> int:
    """Return how many subtasks a form that was sent has room for."""
    return max(1, min(MOST_ROWS, sum(name.endswith("-title") for name in data)))


# --- A workflow as a plan ------------------------------------------------------------------------


class WorkflowForm(CallForm):
    """A workflow whose steps are filled into the plan. Nothing is written yet.

    Attributes:
        entries: Its steps.
    """

    call = PlanIn

    workflow = forms.CharField(help_text="Such as ada/price-lists@1.0.0.")
    budget = Amount(label="Budget in credits", help_text="Its steps share it.")
    source = forms.ChoiceField(label="Paid out of")

    entries: list[Entry]

    def __init__(self, *args: Any, means: Means, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.means = means
        _offer(means, self.fields["source"])

    def prepare(self) -> None:
        require_lead(self.means.task, self.means.lead)
        self.entries = read_steps(
            self.means.lead,
            self.given["workflow"],
            budget=self.given["budget"],
            source=self.given["source"],
        )


def as_typed(entries: Sequence[Entry]) -> dict[str, str]:
    """Return a plan as a lead would have typed it."""
    typed: dict[str, str] = {}
    for number, entry in enumerate(entries, start=1):
        wanted = entry.wanted
        said = {
            "key": entry.key,
            "title": wanted.title,
            "description": wanted.description,
            "bounty": amounts.format(wanted.bounty),
            "source": entry.source,
            "depends_on": ", ".join(entry.depends_on),
            "mode": wanted.mode,
            "runner_up_share": f"{wanted.runner_up_bps / 100:g}" if wanted.runner_up_bps else "",
            "requirements": "\n".join(wanted.requirements),
            "verification": json.dumps(wanted.verification, indent=2, ensure_ascii=False)
            if wanted.verification
            else "",
            "acceptance": wanted.acceptance,
            "delegation_limit": f"{wanted.delegation_bps / 100:g}" if wanted.delegation_bps else "",
            "tags": ", ".join(wanted.tags),
        }
        typed |= {f"{number}-{name}": value for name, value in said.items() if value}
    return typed


# --- The page ------------------------------------------------------------------------------------


@page
@login_required
def split(request: HttpRequest, task_id: str) -> HttpResponseBase:
    """Plan subtasks of a task that one holds."""
    lead = actor_of(request)
    tasks = as_shown(visible_to(lead).defer("search"))
    task = tasks.get(pk=ids.decode("task", task_id))
    if request.method != "POST":
        require_lead(task, lead)
    try:
        means = means_of(task, lead)
    except InvalidTerms as error:
        context = {"task": task, "no_time": str(error)}
        return render(request, "web/task_split.html", context)
    form, workflow = PlanForm(means=means, rows=ROWS_AT_FIRST), WorkflowForm(means=means)
    if "more" in request.POST:
        rows = min(typed_rows(request.POST) + 1, settings.MOST_SUBTASKS)
        form = PlanForm(means=means, rows=rows, initial=request.POST.dict())
    elif "workflow" in request.POST:
        workflow = WorkflowForm(request.POST, means=means)
        if workflow.accepts(request):
            found = workflow.entries
            form = PlanForm(means=means, rows=len(found), initial=as_typed(found))
    elif request.method == "POST":
        form = PlanForm(request.POST, means=means, rows=typed_rows(request.POST))
        done = attempt(request, form, lambda: _split(request, form, task))
        if done is not None:
            return done
    sent = workflow if workflow.is_bound else form
    context = {
        "task": task,
        "means": means,
        "form": form,
        "workflow": workflow,
        "sent": sent,
        "example": CHECKS_EXAMPLE,
    }
    return render(request, "web/task_split.html", context, status=sent.status)


def _split(request: HttpRequest, form: PlanForm, task: Task) -> Done:
    new = plan_subtasks(task_id=task.pk, actor=actor_of(request), entries=form.entries)
    said = "One subtask is" if len(new) == 1 else f"{len(new)} subtasks are"
    there = reverse("task", args=[task.public_id])
    return Done(f"{there}#subtasks", f"{said} planned; what they pay is in escrow.")
