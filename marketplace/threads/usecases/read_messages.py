"""Somebody has read what was written about a task."""

from marketplace.foundation import clock
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks.models import Task
from marketplace.threads.queries import unread_about


@use_case
def read_messages(*, task: Task, actor: Participant) -> int:
    """Mark the notifications of messages about a task as read and return how many."""
    unread = list(unread_about(task, actor).values_list("pk", flat=True))
    return actor.notifications.filter(pk__in=unread).update(read_at=clock.now())
