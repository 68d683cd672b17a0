"""Recording events: one statement, in the transaction of what happened."""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import connection

from marketplace.foundation.ids import new_id

# The feed entries repeat the event's epoch and xid, so that a feed is one index range.
RECORD = """
WITH recorded AS (
    INSERT INTO events_event
        (id, type, subject_type, subject_id, actor_id, data, notified)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    RETURNING id, epoch, xid
), fed AS (
    INSERT INTO events_feed (participant_id, epoch, xid, event_id)
    SELECT reader, epoch, xid, id FROM recorded, unnest(%s::uuid[]) AS reader
)
INSERT INTO events_outboxmessage (event_id) SELECT id FROM recorded
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about: a type and the public id within it."""

    type: str
    id: str


def record(
    type: str,  # noqa: A002 - the contract's word for it
    *,
    subject: Subject,
    actor: uuid.UUID | None,
    readers: Iterable[uuid.UUID | None],
    notified: Iterable[uuid.UUID | None] = (),
    data: Mapping[str, object] | None = None,
) -> None:
    """Record that something happened.

    Args:
        type: `noun.past_participle`.
        subject: What it happened to.
        actor: Who did it; None for the clock and for checks.
        readers: Whose feeds show it; None entries are skipped, so that optional roles can be named.
        notified: Who has to act on it or know of it.
        data: JSON facts for readers; amounts as decimal strings.

    Transaction: the caller's. Round trips: one.
    """
    assert connection.in_atomic_block, "an event belongs to the transaction of what happened"
    reading = sorted({reader for reader in readers if reader is not None})
    telling = sorted({person for person in notified if person is not None and person != actor})
    with connection.cursor() as cursor:
        cursor.execute(
            RECORD,
            [
                new_id(),
                type,
                subject.type,
                subject.id,
                actor,
                json.dumps(data or {}),
                telling,
                reading,
            ],
        )
