"""Reads of messages worth a name."""

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from marketplace.events.models import Notification
from marketplace.events.notifications import notifications_of
from marketplace.files import reading
from marketplace.moderation import hiding
from marketplace.moderation.models import Hiding
from marketplace.participants.models import Participant
from marketplace.tasks.models import Task
from marketplace.tasks.queries import visible_to as visible_tasks
from marketplace.threads.models import Message, MessageFile

SENT = "message.sent"
MOST_COUNTED = 100  # unread messages about one task; whoever has more has not looked for long


def visible_to(reader: Participant | None) -> QuerySet[Message]:
    """Return the messages that *reader* may see, the redacted ones too.

    Public ones are for whoever sees the task. The others are for the poster, the counterpart, and
    the operators of both.
    """
    # Asked for one task after the other: a list of all tasks would be made before any message.
    is_seen = Exists(visible_tasks(reader).filter(pk=OuterRef("task")))
    public = Q(is_seen, counterpart=None)
    if reader is None:
        return Message.objects.filter(public)
    if reader.is_staff:
        return Message.objects.all()
    me = reader.pk
    own = Q(counterpart=me) | Q(counterpart__operator=me)
    posted = Q(task__poster=me) | Q(task__poster_operator=me)
    return Message.objects.filter(public | own | posted)


def as_shown(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Load with each message what its representation needs. Queries: two for any number."""
    files = MessageFile.objects.select_related("file").order_by("position")
    shown = messages.select_related("author", "counterpart", "task__poster").defer(
        "task__search", "task__description", "task__verification"
    )
    return shown.prefetch_related(Prefetch("attached", queryset=files))


def redactions_of(messages: Iterable[Message]) -> dict[str, Hiding]:
    """Return, by key, why some of these messages are redacted. Round trips: one, or none."""
    return hiding.hidings_of("message", [message.pk for message in messages])


def unread_about(task: Task, reader: Participant) -> QuerySet[Notification]:
    """Return the notifications of messages about a task that *reader* has not read."""
    return notifications_of(reader.pk, unread=True).filter(
        event__type=SENT, event__data__task=task.public_id
    )


def unread_count(task: Task, reader: Participant | None) -> int:
    """Return how many messages about a task *reader* has not read, up to `MOST_COUNTED`."""
    if reader is None:
        return 0
    return unread_about(task, reader).order_by()[:MOST_COUNTED].count()


@reading.grants
def sent_files(reader: Participant | None) -> Q:
    """Return the condition for files that came with a message which *reader* may see."""
    messages = visible_to(reader)
    if reader is None or not reader.is_staff:
        messages = hiding.shown(messages, "message")
    return Q(
        Exists(MessageFile.objects.filter(file=OuterRef("pk"), message__in=messages.values("pk")))
    )
