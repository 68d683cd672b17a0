"""What is said about a task: the newest of it on the task's page, all of it on one of its own."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from marketplace.api.messages import MessageIn
from marketplace.api.paging import PageQuery, paginate
from marketplace.api.tasks import NothingIn
from marketplace.foundation import ids
from marketplace.moderation.models import Hiding
from marketplace.participants.models import Participant
from marketplace.tasks.models import Task
from marketplace.tasks.queries import visible_to as visible_tasks
from marketplace.threads.audience import choices_of
from marketplace.threads.models import MOST_ATTACHMENTS, Message
from marketplace.threads.queries import as_shown, redactions_of, unread_count, visible_to
from marketplace.threads.usecases.read_messages import read_messages
from marketplace.threads.usecases.send_message import send_message
from marketplace.web.calls import (
    CallForm,
    Done,
    Files,
    MoveForm,
    Stored,
    TextArea,
    attempt,
    store,
    upload,
)
from marketplace.web.pages import actor_of, page, viewer_of

ON_TASK_PAGE = 5
EVERYBODY = "*"  # no handle has it


class ThreadFilters(CallForm):
    """Where in the thread one is."""

    call = PageQuery

    cursor = forms.CharField(required=False, widget=forms.HiddenInput)
    limit = forms.IntegerField(required=False, widget=forms.HiddenInput)


class ReadForm(MoveForm):
    """Saying that one has read what is there."""

    call = NothingIn
    button = "Mark as read"


class MessageForm(MoveForm):
    """Something to say about a task, to one of those whom one may write to."""

    call = MessageIn
    heading, button = "Write", "Send"
    places = {"body": "text", "to": "reader", "public": "reader", "attachments": "uploads"}

    reader = forms.ChoiceField(label="Who may read it")
    text = TextArea(rows=3, label="Message", help_text="Markdown. It cannot be changed later.")
    uploads = Files(most=MOST_ATTACHMENTS, required=False, label="Files")
    stored: list[Stored]

    def __init__(self, *args: Any, task: Task, writer: Participant | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_posters = writer is not None and writer.pk == task.poster_id
        public, handles = choices_of(task, writer)
        choices = [(handle, f"{handle} and you alone") for handle in handles]
        if public:
            choices.append((EVERYBODY, "everybody"))
        field = self.fields["reader"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices
        if len(choices) == 1:
            ((field.initial, self.only_reader),) = choices
            field.widget = forms.HiddenInput()
        self.is_offered = bool(choices)

    def body(self) -> dict[str, Any]:
        said = {"body": self.cleaned_data["text"]}
        reader = self.cleaned_data["reader"]
        if reader == EVERYBODY:
            return said | {"public": True}
        return said | {"to": reader} if self.is_posters else said

    def prepare(self) -> None:
        self.stored = store(self.cleaned_data["uploads"])


@dataclass(frozen=True, slots=True)
class Said:
    """A message as a page shows it.

    Attributes:
        message: The message.
        between: The handles of those who read it; empty for everybody.
        redaction: Why staff took it from sight, if they did.
    """

    message: Message
    between: tuple[str, ...]
    redaction: Hiding | None


def talk(task: Task, reader: Participant | None, query: dict[str, Any]) -> dict[str, Any]:
    """Return what a page shows of a thread. Queries: at most five.

    Args:
        task: With its poster; one that the reader may see.
        reader: Who looks; None is a visitor without a name.
        query: Validated `PageQuery`.
    """
    found = paginate(as_shown(visible_to(reader).filter(task=task)), query)
    redactions = redactions_of(found.rows)
    said = [
        Said(
            message,
            (task.poster.handle, message.counterpart.handle) if message.counterpart else (),
            redactions.get(str(message.pk)),
        )
        for message in found.rows
    ]
    return {
        "said": said,
        "next_cursor": found.next_cursor,
        "unread": unread_count(task, reader),
        "form": MessageForm(task=task, writer=reader),
        "reading": ReadForm(),
    }


@page
def show(request: HttpRequest, task_id: str) -> HttpResponseBase:
    """Show a thread; write to it, or say that one has read it."""
    reader = viewer_of(request)
    tasks = visible_tasks(reader).select_related("poster", "worker", "offered_to").defer("search")
    task = tasks.get(pk=ids.decode("task", task_id))
    sent: MoveForm | None = None
    if request.method == "POST":
        if reader is None:
            return redirect_to_login(request.get_full_path())
        done, sent = _sent(request, task)
        if done is not None:
            return done
    filters = ThreadFilters(request.GET)
    context: dict[str, Any] = {"task": task, "sent": sent, "filters": filters}
    if filters.accepts(request):
        context["talk"] = talk(task, reader, filters.given)
        if isinstance(sent, MessageForm):
            context["talk"]["form"] = sent
    status = sent.status if sent else filters.status
    return render(request, "web/thread.html", context, status=status)


def _sent(request: HttpRequest, task: Task) -> tuple[HttpResponseBase | None, MoveForm]:
    there = reverse("thread", args=[task.public_id])
    actor = actor_of(request)
    if "read" in request.POST:
        reading = ReadForm(request.POST)

        def read() -> Done:
            read_messages(task=task, actor=actor)
            return Done(there)

        return attempt(request, reading, read), reading
    form = MessageForm(request.POST, request.FILES, task=task, writer=actor)

    def send() -> Done:
        files = [file.pk for file in upload(actor, form.stored)]
        send_message(task_id=task.pk, actor=actor, attachments=files, **form.given)
        return Done(there, "Your message is sent.")

    return attempt(request, form, send), form
