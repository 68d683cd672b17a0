"""Recording events: one statement, in the transaction of what happened."""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import connection

from marketplace.foundation.batching import write
from marketplace.foundation.ids import new_id

# The feed entries repeat the event's epoch and xid, so that a feed is one index range.
RECORD = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset(%s) AS given (
        id uuid, type text, subject_type text, subject_id text, actor uuid, data jsonb,
        notified uuid[], readers uuid[]
    )
), recorded AS (
    INSERT INTO events_event
        (id, type, subject_type, subject_id, actor_id, data, notified, epoch)
    SELECT id, type, subject_type, subject_id, actor, data, notified, (SELECT xid_epoch())
    FROM given
    RETURNING id, epoch, xid
), fed AS (
    INSERT INTO events_feed (participant_id, epoch, xid, event_id)
    SELECT reader, recorded.epoch, recorded.xid, recorded.id
    FROM recorded JOIN given USING (id), unnest(given.readers) AS reader
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

    Transaction: the caller's. Round trips: one, or one for all that are recorded `together`.
    """
    assert connection.in_atomic_block, "an event belongs to the transaction of what happened"
    event: dict[str, object] = {
        "id": str(new_id()),
        "type": type,
        "subject_type": subject.type,
        "subject_id": subject.id,
        "actor": str(actor) if actor is not None else None,
        "data": data or {},
        "notified": _ids(person for person in notified if person != actor),
        "readers": _ids(readers),
    }
    write(_record, event)


def _ids(people: Iterable[uuid.UUID | None]) -> list[str]:
    return sorted({str(person) for person in people if person is not None})


def _record(events: list[dict[str, object]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(RECORD, [json.dumps(events)])
