"""Notifications: the events that need somebody's attention."""

import uuid
from collections.abc import Sequence

from django.db.models import QuerySet

from marketplace.events.models import Event, Notification
from marketplace.foundation import clock


def notify(event: Event) -> None:
    """Write a notification for everybody whom *event* names."""
    Notification.objects.bulk_create(
        [Notification(participant_id=person, event=event) for person in event.notified],
        ignore_conflicts=True,
    )


def notifications_of(
    participant: uuid.UUID, *, unread: bool | None = None
) -> QuerySet[Notification]:
    """Return a participant's notifications with their events."""
    found = Notification.objects.filter(participant_id=participant).select_related("event__actor")
    return found if unread is None else found.filter(read_at__isnull=unread)


def mark_read(participant: uuid.UUID, ids: Sequence[uuid.UUID] | None = None) -> int:
    """Mark notifications as read, all of them unless *ids* says which, and return how many."""
    unread = Notification.objects.filter(participant_id=participant, read_at=None)
    if ids is not None:
        unread = unread.filter(pk__in=ids)
    return unread.update(read_at=clock.now())
