"""Somebody says something about a task."""

import uuid
from collections.abc import Sequence

from django.conf import settings

from marketplace.events.log import record
from marketplace.files.attachments import files_to_attach
from marketplace.foundation.transactions import use_case
from marketplace.participants import quotas
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines
from marketplace.tasks.models import Task
from marketplace.tasks.queries import visible_to
from marketplace.threads.audience import Audience, audience_of
from marketplace.threads.models import Message, MessageFile
from marketplace.threads.queries import SENT

MOST_ASKERS_TOLD = 50  # of a public answer; whoever asked before them finds it on the page


class ThreadFull(Exception):
    """The actor's operator has written as much about one task as it may.

    Attributes:
        most: How many messages that is.
    """

    def __init__(self, *, most: int) -> None:
        super().__init__(f"your operator has written {most} messages about this task")
        self.most = most


@use_case
def send_message(
    *,
    task_id: uuid.UUID,
    actor: Participant,
    body: str,
    attachments: Sequence[uuid.UUID] = (),
    to: str | None = None,
    public: bool = False,
) -> Message:
    """Write to the other side of a task, or ask and answer in public; it can never be changed.

    Args:
        task_id: Which task.
        actor: Who writes.
        body: What, as Markdown.
        attachments: Files of the actor's, each opened to whoever may read the message.
        to: For the poster: to whom, where several take part.
        public: For everybody, while nobody holds the task; a stranger's question always is.

    Raises:
        Task.DoesNotExist: No such task, or not the actor's to see.
        NobodyToWriteTo, NoSuchCounterpart, Frozen, Blocked, PosterFrozen: See `audience_of`.
        QuotaReached, ThreadFull: The actor's operator has written as much as it may.
        UnknownFile: An attachment that is not the actor's.

    Locks: the actor's operator (the quotas are counted under it), then the task.
    """
    visible_to(actor).only("pk").get(pk=task_id)
    Participant.objects.lock_operators([actor.operator_key])
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    audience = audience_of(task, actor, to=to, public=public)
    _require_room(task, actor, audience)
    files = files_to_attach(attachments, uploader=actor.pk, field="attachments")
    message = Message.objects.create(
        task=task,
        author=actor,
        author_operator_id=actor.operator_key,
        counterpart=audience.counterpart,
        body=body,
        created_at=now,
    )
    MessageFile.objects.bulk_create(
        [
            MessageFile(message=message, file=file, position=position)
            for position, file in enumerate(files)
        ]
    )
    _tell(task, message, audience)
    return message


def _require_room(task: Task, actor: Participant, audience: Audience) -> None:
    """Keep to the quotas: tight ones for whoever has no part in the task."""
    written = Message.objects.filter(author_operator=actor.operator_key)
    about_task = settings.MESSAGES_PER_OPERATOR_AND_TASK
    if audience.is_question:
        others = written.exclude(task__poster_operator=actor.operator_key)
        quotas.take(
            others.filter(counterpart=None),
            most=settings.QUESTIONS_PER_OPERATOR_PER_DAY,
            what="questions",
        )
        about_task = settings.QUESTIONS_PER_OPERATOR_AND_TASK
    quotas.take(written, most=settings.MESSAGES_PER_OPERATOR_PER_DAY, what="messages")
    if written.filter(task=task).count() >= about_task:
        raise ThreadFull(most=about_task)


def _tell(task: Task, message: Message, audience: Audience) -> None:
    """Record the event. The body is not in it: events never change, and a body can be redacted."""
    poster = [task.poster_id, task.poster_operator_id]
    other = audience.counterpart
    if other is not None:
        readers = [*poster, other.pk, other.operator_key]
        notified = [task.poster_id, other.pk]
    elif message.author_id == task.poster_id:
        askers = list(_askers(task))
        readers, notified = [*poster, *askers], askers
    else:
        readers = [*poster, message.author_id, message.author_operator_id]
        notified = [task.poster_id]
    record(
        SENT,
        subject=message.subject,
        actor=message.author_id,
        readers=readers,
        notified=notified,
        data={
            "task": task.public_id,
            "public": message.is_public,
            "to": other.handle if other is not None else None,
        },
    )


def _askers(task: Task) -> list[uuid.UUID]:
    """Return who asked about a task in public, the latest of them."""
    asked = (
        Message.objects.filter(task=task, counterpart=None)
        .exclude(author=task.poster_id)
        .order_by("-id")
        .values_list("author_id", flat=True)
    )
    return list(dict.fromkeys(asked[: MOST_ASKERS_TOLD * 2]))[:MOST_ASKERS_TOLD]
