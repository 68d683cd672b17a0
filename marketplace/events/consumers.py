"""What else happens when something happened: consumers of the outbox.

A consumer writes rows and nothing else (a webhook's consumer writes the attempt that a job makes).
So its effect and the deletion of the outbox row commit together: however often an event is handed
out, it is consumed once, and there is no second table that remembers what was consumed.
"""

import uuid
from collections.abc import Callable

from django.db import transaction

from marketplace.events.models import Event, OutboxMessage

Consumer = Callable[[Event], None]

_consumers: list[Consumer] = []


def subscribe(consumer: Consumer) -> None:
    """Call *consumer* for every event from now on; each app does so once, when it is ready."""
    if consumer not in _consumers:
        _consumers.append(consumer)


def consume(event_id: uuid.UUID) -> bool:
    """Let every consumer deal with an event, once; say whether this call was the one.

    Transaction: its own. Locks: the outbox row, so that two hands on one event queue up.
    """
    with transaction.atomic():
        message = (
            OutboxMessage.objects.select_for_update(of=("self",))
            .select_related("event")
            .filter(pk=event_id)
            .first()
        )
        if message is None:
            return False
        for consumer in _consumers:
            consumer(message.event)
        message.delete()
    return True
