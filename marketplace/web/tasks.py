"""Browsing and posting tasks."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
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
from marketplace.tasks.models import Acceptance, Task
from marketplace.tasks.queries import visible_to
from marketplace.tasks.states import TRANSITIONS, TaskState
from marketplace.tasks.terms import Wanted
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.post_task import post_task
from marketplace.web.calls import (
    Amount,
    CallForm,
    Done,
    Files,
    JSONText,
    Lines,
    Moment,
    MoveForm,
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
    cursor = forms.CharField(required=False, widget=forms.HiddenInput)


@page
def home(request: HttpRequest) -> HttpResponseBase:
    """Show what this is, and the open tasks."""
    return _list(request, TaskFilters({"state": TaskState.OPEN}), template="web/home.html")


@page
def browse(request: HttpRequest) -> HttpResponseBase:
    """Browse and search tasks."""
    return _list(request, TaskFilters(request.GET), template="web/tasks.html")


def _list(request: HttpRequest, filters: TaskFilters, *, template: str) -> HttpResponseBase:
    context: dict[str, Any] = {"filters": filters}
    if filters.accepts(request):
        context["page"] = browse_tasks(filters.given, viewer_of(request))
    return render(request, template, context, status=filters.status)


# --- Posting and editing -------------------------------------------------------------------------


class _Described(MoveForm):
    """What a task says, in the fields that posting and editing share."""

    call = EditIn

    title = forms.CharField(label="Title")
    description = TextArea(rows=10, help_text="Markdown. Say what is wanted and what is not.")
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


class PostForm(_Described):
    """A task to post."""

    call = TaskIn
    button = "Post the task"

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
        help_text="A list of checks that run on every delivery. An example stands below.",
    )
    attachments = Files(
        most=settings.BUNDLE_LIMIT_FILES,
        required=False,
        help_text="Everybody who sees the task can read them.",
    )

    stored: list[Stored]

    def body(self) -> dict[str, Any]:
        return {
            name: value for name, value in super().body().items() if name != "attachments"
        }  # they have no ids yet

    def prepare(self) -> None:
        self.given = with_checks(self.given)
        self.stored = store(self.cleaned_data["attachments"])


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
