"""The feed: what a participant may read of the log, oldest first, never skipping an event.

Events are ordered by (epoch, xid, id) and shown only below the oldest transaction that still runs.
Ordering by id or by time shows an event and then one *before* it that committed later; a reader who
pages by such a cursor loses it. Source: docs/decisions/0005-events-outbox-and-feed.md.
"""

import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Semaphore

from django.conf import settings
from django.db import connection

PAGE = """
SELECT f.epoch, f.xid::text, e.id, e.type, e.subject_type, e.subject_id, a.handle, e.data,
    e.created_at
FROM events_feed f
JOIN events_event e ON e.id = f.event_id
LEFT JOIN participants_participant a ON a.id = e.actor_id
WHERE f.participant_id = %(reader)s
  AND (f.epoch, f.xid, f.event_id) > (%(epoch)s, %(xid)s::xid8, %(id)s)
  AND (f.epoch < xid_epoch() OR f.xid < pg_snapshot_xmin(pg_current_snapshot()))
  AND (%(types)s::text[] IS NULL OR e.type = ANY (%(types)s::text[]))
ORDER BY f.epoch, f.xid, f.event_id
LIMIT %(limit)s
"""

POLL_SECONDS = 0.4
_waiting = Semaphore(settings.LONG_POLL_LIMIT_PER_PROCESS)


BEFORE_ALL = uuid.UUID(int=0)


class InvalidCursor(Exception):
    """A cursor that this service did not hand out."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a feed; its text form is opaque to callers."""

    epoch: int = 0
    xid: int = 0
    id: uuid.UUID = BEFORE_ALL

    def __str__(self) -> str:
        return f"{self.epoch}-{self.xid}-{self.id.hex}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Return the position in *text*.

        Raises:
            InvalidCursor: Not a position.
        """
        try:
            epoch, xid, event = text.split("-")
            position = cls(int(epoch), int(xid), uuid.UUID(hex=event))
        except ValueError:
            raise InvalidCursor from None
        if not (0 <= position.epoch < 2**31 and 0 <= position.xid < 2**64):
            raise InvalidCursor
        return position


@dataclass(frozen=True, slots=True)
class FedEvent:
    """One event of a feed, with the position to continue after it."""

    position: Position
    id: uuid.UUID
    type: str
    subject_type: str
    subject_id: str
    actor: str | None
    data: dict[str, object]
    created_at: datetime


def read(
    reader: uuid.UUID, *, after: Position, types: Sequence[str] | None, limit: int
) -> list[FedEvent]:
    """Return the next events of *reader*'s feed. Round trips: one."""
    with connection.cursor() as cursor:
        cursor.execute(
            PAGE,
            {
                "reader": reader,
                "epoch": after.epoch,
                "xid": str(after.xid),
                "id": after.id,
                "types": list(types) if types else None,
                "limit": limit,
            },
        )
        rows = cursor.fetchall()
    return [
        FedEvent(
            Position(epoch, int(xid), id_), id_, type_, kind, subject, actor, json.loads(data), at
        )
        for epoch, xid, id_, type_, kind, subject, actor, data, at in rows
    ]


def wait_for(read_page: Callable[[], list[FedEvent]], *, seconds: float) -> list[FedEvent]:
    """Return the first non-empty page, or an empty one after *seconds*.

    Gives the database connection back between looks. When this process already has as many
    waiting callers as its setting allows, it answers at once: a waiting caller must never take
    the thread that somebody's claim needs.
    """
    page = read_page()
    if page or seconds <= 0 or not _waiting.acquire(blocking=False):
        return page
    try:
        deadline = time.monotonic() + seconds
        while not page and time.monotonic() < deadline:
            connection.close()
            time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
            page = read_page()
        return page
    finally:
        _waiting.release()
