"""Browsing and posting tasks."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.forms.boundfield import BoundField
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from credits import amounts
from marketplace.api.tasks import (
    EditIn,
    TaskIn,
    TaskQuery,
    with_checks,
)
from marketplace.api.tasks import browse as browse_tasks
from marketplace.foundation import ids
from marketplace.participants.models import Kind, Participant
from marketplace.tasks.models import Acceptance, Mode, OnDecline, Task
from marketplace.tasks.queries import visible_to
from marketplace.tasks.states import TRANSITIONS, TaskState
from marketplace.tasks.terms import (
    LEAST_REVIEW_SECONDS,
    MOST_REVIEW_SECONDS,
    MOST_RUNNER_UP_BPS,
    Wanted,
)
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.post_task import post_task
from marketplace.web.calls import (
    Amount,
    CallForm,
    Done,
    Files,
    Hours,
    JSONText,
    Lines,
    Moment,
    MoveForm,
    Percent,
    Stored,
    TextArea,
    Words,
    attempt,
    store,
    upload,
)
from marketplace.web.pages import actor_of, page, viewer_of

CHECKS_EXAMPLE = """\
[
  {
    "name": "totals",
    "type": "json_schema",
    "config": {
      "schema": {
        "type": "object",
        "required": ["rows"],
        "properties": {"rows": {"type": "integer", "minimum": 1}}
      }
    }
  }
]"""

# The states that tasks can be in, in the order in which they pass through them.
REACHABLE = [
    state for state in TaskState if any(state in (one.source, one.target) for one in TRANSITIONS)
]


class TaskFilters(CallForm):
    """Which tasks to list."""

    call = TaskQuery

    q = forms.CharField(required=False, label="Words")
    state = forms.ChoiceField(
        required=False, choices=[("", "any"), *((state, state) for state in REACHABLE)]
    )
    mode = forms.ChoiceField(
        required=False,
        label="How to get it",
        choices=[
            ("", "any"),
            (Mode.CLAIM, "claim it"),
            (Mode.BID, "bid"),
            (Mode.CONTEST, "enter a contest"),
            (Mode.DIRECT, "be offered it"),
        ],
    )
    tag = forms.CharField(required=False)
    min_bounty = Amount(required=False, label="Bounty from")
    poster = forms.CharField(required=False)
    worker = forms.CharField(required=False)
    ordering = forms.ChoiceField(
        required=False,
        label="Order",
        choices=[
            ("", "best or newest first"),
            ("-bounty", "highest bounty first"),
            ("bounty", "lowest bounty first"),
            ("deadline", "nearest deadline first"),
            ("-created_at", "newest first"),
            ("created_at", "oldest first"),
        ],
    )
    fits = forms.BooleanField(required=False, label="Only what I can take now")
    cursor = forms.CharField(required=False, widget=forms.HiddenInput)
    places = {"for": "fits"}

    def __init__(self, *args: Any, asking: Participant | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if asking is None:
            del self.fields["fits"]

    def body(self) -> dict[str, Any]:
        return super().body() | ({"for": "me"} if self.cleaned_data.get("fits") else {})


@page
def home(request: HttpRequest) -> HttpResponseBase:
    """Show what this is, and the open tasks."""
    filters = TaskFilters({"state": TaskState.OPEN}, asking=viewer_of(request))
    return _list(request, filters, template="web/home.html")


@page
def browse(request: HttpRequest) -> HttpResponseBase:
    """Browse and search tasks."""
    filters = TaskFilters(request.GET, asking=viewer_of(request))
    return _list(request, filters, template="web/tasks.html")


def _list(request: HttpRequest, filters: TaskFilters, *, template: str) -> HttpResponseBase:
    context: dict[str, Any] = {"filters": filters}
    if filters.accepts(request):
        found = browse_tasks(filters.given, viewer_of(request))
        wholes = _wholes_of(found.rows, viewer_of(request))
        context |= {"page": found, "listed": [(one, wholes.get(one.root)) for one in found.rows]}
    return render(request, template, context, status=filters.status)


def _wholes_of(tasks: Iterable[Task], reader: Participant | None) -> Mapping[UUID, Task]:
    """Return what subtasks are parts of: the roots of their trees, by id. Queries: one at most."""
    roots = {task.root for task in tasks if task.is_subtask}
    if not roots:
        return {}
    return {one.pk: one for one in visible_to(reader).filter(pk__in=roots).only("title")}


# --- Posting and editing -------------------------------------------------------------------------


class _Described(MoveForm):
    """What a task says, in the fields that posting and editing share."""

    call = EditIn

    title = forms.CharField(label="Title")
    description = TextArea(rows=8, help_text="Markdown. Say what is wanted and what is not.")
    bounty = Amount(
        label="Bounty in credits", help_text="For example 5 or 0.25. It goes into escrow at once."
    )
    tags = Words(required=False, help_text="Separated by commas, such as csv, prices.")
    requirements = Lines(
        required=False,
        rows=3,
        help_text="One a line. A rejection has to name the one that it rests on.",
    )
    deadline = Moment(
        required=False, label="Deadline (UTC)", help_text="Seven days from now if you leave it out."
    )


# Fields of a task that only some modes read; the page shows and sends them in these modes alone.
ONLY_IN = {
    "assignee": (Mode.DIRECT,),
    "on_decline": (Mode.BID, Mode.DIRECT),
    "runner_up_share": (Mode.CONTEST,),
    "acceptance": (Mode.CLAIM, Mode.BID, Mode.DIRECT),
    "lease_seconds": (Mode.CLAIM, Mode.BID, Mode.DIRECT),
    "delegation_limit": (Mode.CLAIM, Mode.BID, Mode.DIRECT),
}
ELIGIBILITY = ("kind", "min_standing", "capabilities")


@dataclass(frozen=True, slots=True)
class Part:
    """Some fields of a long form under a heading.

    Attributes:
        heading: What they are about.
        fields: Each with the classes of what surrounds it.
        is_folded: Whether most leave them alone; they open where something is wrong in them.
    """

    heading: str
    fields: list[tuple[BoundField, str]]
    is_folded: bool = False


class PostForm(_Described):
    """A task to post."""

    call = TaskIn
    button = "Post the task"
    places = {f"eligibility/{one}": one for one in ELIGIBILITY}

    mode = forms.ChoiceField(
        choices=[
            (Mode.CLAIM, "Whoever claims it first"),
            (Mode.BID, "One of those who bid, whom I pick"),
            (Mode.CONTEST, "Nobody alone: many deliver by the deadline, and I pick one"),
            (Mode.DIRECT, "Somebody whom I offer it to"),
        ],
        required=False,
        label="The task goes to",
        initial=Mode.CLAIM,
        widget=forms.RadioSelect,
    )
    assignee = forms.CharField(label="Offered to", required=False, help_text="Their handle.")
    on_decline = forms.ChoiceField(
        choices=[
            (OnDecline.OPEN, "The task is open again"),
            (OnDecline.CANCEL, "The task is cancelled, and the bounty comes back"),
        ],
        required=False,
        label="If the offer is not taken",
    )
    runner_up_share = Percent(
        required=False,
        max_value=MOST_RUNNER_UP_BPS / 100,
        label="Part for a second, in per cent of the bounty",
        help_text="At most 50; none if you leave it out. It is paid whenever a second entry"
        " passes its checks.",
    )
    delegation_limit = Percent(
        required=False,
        max_value=100,
        label="What its worker may pay for subtasks, in per cent of the bounty",
        help_text="None of it if you leave it out. Who works on the task may then split it, and"
        " pay others out of its escrow; you see who does what for how much.",
    )
    acceptance = forms.ChoiceField(
        choices=[
            (Acceptance.MANUAL, "I look at the delivery and decide"),
            (Acceptance.AUTOMATIC, "The required checks decide"),
        ],
        label="Who accepts",
        initial=Acceptance.MANUAL,
    )
    verification = JSONText(
        required=False,
        rows=8,
        label="Checks (JSON)",
        help_text="A list of checks that run on every delivery; a contest needs one. An example"
        " stands below.",
    )
    attachments = Files(
        most=settings.BUNDLE_LIMIT_FILES,
        required=False,
        help_text="Everybody who sees the task can read them.",
    )
    kind = forms.ChoiceField(
        choices=[("", "People and agents"), (Kind.HUMAN, "People"), (Kind.AGENT, "Agents")],
        required=False,
        label="Open to",
    )
    min_standing = Amount(
        required=False,
        label="Least standing as a worker",
        help_text="In credits of settled work; a newcomer has none.",
    )
    capabilities = Words(
        required=False, help_text="What a profile has to name, separated by commas."
    )
    lease_seconds = Hours(
        required=False,
        label="Hours that a claim lasts",
        help_text=f"{settings.LEASE_SECONDS // 3600} if you leave it out. A worker who is at it"
        " renews the claim, up to the deadline.",
    )
    review_window_seconds = Hours(
        required=False,
        label="Hours that you have for a review",
        help_text=f"{settings.REVIEW_WINDOW_SECONDS // 3600} if you leave it out;"
        f" {LEAST_REVIEW_SECONDS / 3600:.2f} to {MOST_REVIEW_SECONDS // 3600}. If you stay silent,"
        " what no check failed is accepted.",
    )

    stored: list[Stored]

    @property
    def parts(self) -> Iterator[Part]:
        """Yield the form's fields as the page shows them."""
        yield self._part("What you want", "title", "description", "requirements", "attachments")
        yield self._part("What it pays", "bounty", "deadline")
        yield self._part("Who gets it", "mode", "assignee", "runner_up_share", "on_decline")
        yield self._part("Splitting it", "delegation_limit", is_folded=True)
        yield self._part("Checks and acceptance", "verification", "acceptance")
        yield self._part("Who may take it", *ELIGIBILITY, is_folded=True)
        yield self._part(
            "Time and tags", "lease_seconds", "review_window_seconds", "tags", is_folded=True
        )

    def _part(self, heading: str, *names: str, is_folded: bool = False) -> Part:
        fields = [(self[name], modes_of(name)) for name in names]
        is_used = self.is_bound and any(self.data.get(name) or self[name].errors for name in names)
        return Part(heading, fields, is_folded=is_folded and not is_used)

    def clean(self) -> None:
        for name in self._left_out():  # what the page does not show is not wrong either
            self.errors.pop(name, None)
        super().clean()

    def body(self) -> dict[str, Any]:
        left_out = {*self._left_out(), "attachments"}  # they have no ids yet
        body = {name: value for name, value in super().body().items() if name not in left_out}
        asked = {one: self.cleaned_data[one] for one in ELIGIBILITY if self.cleaned_data[one]}
        return {**body, "eligibility": asked} if asked else body

    def _left_out(self) -> list[str]:
        mode = self.cleaned_data.get("mode") or Mode.CLAIM
        return unread_in(mode)

    def prepare(self) -> None:
        self.given = with_checks(self.given)
        self.stored = store(self.cleaned_data["attachments"])


def unread_in(mode: str) -> list[str]:
    """Return the fields that a task of this mode does not read."""
    return [name for name, modes in ONLY_IN.items() if mode not in modes]


def modes_of(name: str) -> str:
    """Return the classes that show a field in some modes alone, where it is of some alone."""
    modes = ONLY_IN.get(name, ())
    return " ".join(["only", *(f"in-{mode}" for mode in modes)]) if modes else ""


@page
@login_required
def post(request: HttpRequest) -> HttpResponseBase:
    """Post a task."""
    form = PostForm()
    if request.method == "POST":
        form = PostForm(request.POST, request.FILES)
        done = attempt(request, form, lambda: _post(request, form))
        if done is not None:
            return done
    context = {"form": form, "example": CHECKS_EXAMPLE}
    return render(request, "web/task_new.html", context, status=form.status)


def _post(request: HttpRequest, form: PostForm) -> Done:
    actor = actor_of(request)
    files = upload(actor, form.stored)
    wanted = Wanted(**form.given, attachments=[file.pk for file in files])
    task = post_task(actor=actor, wanted=wanted)
    return Done(
        reverse("task", args=[task.public_id]), "Your task is posted; its bounty is in escrow."
    )


class EditForm(_Described):
    """New values for an open task."""

    button = "Save"

    terms_version = forms.IntegerField(widget=forms.HiddenInput)

    def body(self) -> dict[str, Any]:
        # An emptied list is a new value; an emptied deadline is not.
        cleared = {name: self.cleaned_data[name] for name in ("tags", "requirements")}
        return super().body() | cleared


@page
@login_required
def edit(request: HttpRequest, task_id: str) -> HttpResponseBase:
    """Edit one's open task."""
    key = ids.decode("task", task_id)
    task = visible_to(viewer_of(request)).defer("search").get(pk=key, poster=actor_of(request))
    if request.method == "POST":
        form = EditForm(request.POST)
        done = attempt(request, form, lambda: _edit(request, form, task))
        if done is not None:
            return done
    else:
        form = EditForm(initial=_as_typed(task))
    return render(request, "web/task_edit.html", {"form": form, "task": task}, status=form.status)


def _as_typed(task: Task) -> dict[str, Any]:
    return {
        "title": task.title,
        "description": task.description,
        "bounty": amounts.format(task.bounty),
        "tags": ", ".join(task.tags),
        "requirements": "\n".join(task.requirements),
        "deadline": task.deadline,
        "terms_version": task.terms_version,
    }


def _edit(request: HttpRequest, form: EditForm, task: Task) -> Done:
    read = form.cleaned_data["terms_version"]
    edit_task(
        task_id=task.pk,
        actor=actor_of(request),
        changes=_changes(form, task),
        read_version=lambda version: version == read,
    )
    return Done(reverse("task", args=[task.public_id]), "The task is changed.")


def _changes(form: EditForm, task: Task) -> dict[str, Any]:
    """Return what was changed: a deadline's seconds, which the form does not show, stay."""
    given = dict(form.given)
    deadline = given.get("deadline")
    if deadline is not None and deadline == task.deadline.replace(second=0, microsecond=0):
        del given["deadline"]
    return {name: value for name, value in given.items() if value != getattr(task, name)}
