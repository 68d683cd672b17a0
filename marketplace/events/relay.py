"""The relay: hands events from the outbox to workers, and again where a hand-over came to nothing.

The row stays until its consumers' effects are committed. A process that dies between commit and
enqueue, a broker that forgets, a worker that is killed: each only delays the event until the relay
looks again.
"""

import uuid
from collections.abc import Callable

from django.db import connection

# Rows that another relay holds are its business: SKIP LOCKED lets any number of relays run.
# A handed-out row comes due again after 30 s, 60 s, … up to an hour, should nothing come of it.
HAND_OUT = """
UPDATE events_outboxmessage o
SET attempts = o.attempts + 1,
    due_at = market_now() + least(interval '30 seconds' * (o.attempts + 1), interval '1 hour')
FROM (
    SELECT event_id FROM events_outboxmessage
    WHERE due_at <= market_now()
    ORDER BY due_at
    LIMIT %s
    FOR UPDATE SKIP LOCKED
) due
WHERE o.event_id = due.event_id
RETURNING o.event_id
"""

BATCH = 500


def relay_once(send: Callable[[uuid.UUID], object], *, limit: int = BATCH) -> int:
    """Hand out the events that are due and return how many.

    The rows are marked first: a crash in between costs one wait of 30 s, never an event.

    Args:
        send: Enqueues one event for `consumers.consume`.
        limit: The most to hand out at once.
    """
    with connection.cursor() as cursor:
        cursor.execute(HAND_OUT, [limit])
        due = [event_id for (event_id,) in cursor.fetchall()]
    for event_id in due:
        send(event_id)
    return len(due)
