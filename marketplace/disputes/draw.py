"""The draw of a panel: a pool, a seed that nobody could know, and an order that anybody can check.

The seed is the database's strong randomness, read when the panel is drawn. Its SHA-256 is shown at
once and the seed itself with the pool when the dispute is decided: whoever sorts the pool by
`order_of` finds the panelists, in the order in which they were seated. Redraws take the next ones.
"""

import hashlib
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

MOST_POOLED = 10_000  # of more, as many are taken at random

# One for each operator, who is one person for every rule about self-dealing (rule 7): of its
# participants the one with most accepted work. What was accepted after the dispute began does not
# count, so nobody is made eligible for a dispute that is under way. Whoever administers is not
# drawn: they would decide where a panel fails. Nor is whoever is frozen: a panel is a new dealing.
POOL = """
WITH since AS (
    SELECT market_now() - make_interval(secs => %(recency)s) AS at
), own AS (
    SELECT handle FROM participants_participant
    WHERE id = ANY(%(sides)s) OR operator_id = ANY(%(sides)s)
), dealt AS (
    SELECT claim.operator_id AS operator
    FROM tasks_task AS task JOIN tasks_claim AS claim ON claim.task_id = task.id, since
    WHERE task.poster_operator_id = ANY(%(sides)s)
        AND (claim.ended_at IS NULL OR claim.ended_at >= since.at)
    UNION ALL
    SELECT task.poster_operator_id
    FROM tasks_claim AS claim JOIN tasks_task AS task ON task.id = claim.task_id, since
    WHERE claim.operator_id = ANY(%(sides)s)
        AND (claim.ended_at IS NULL OR claim.ended_at >= since.at)
    UNION ALL
    SELECT coalesce(payee.operator_id, payee.id)
    FROM own JOIN events_event AS event
        ON event.type = 'credits.transferred' AND event.data ->> 'from' = own.handle
    JOIN participants_participant AS payee ON payee.handle = event.data ->> 'to', since
    WHERE event.created_at >= since.at
    UNION ALL
    SELECT coalesce(payer.operator_id, payer.id)
    FROM own JOIN events_event AS event
        ON event.type = 'credits.transferred' AND event.data ->> 'to' = own.handle
    JOIN participants_participant AS payer ON payer.handle = event.data ->> 'from', since
    WHERE event.created_at >= since.at
    UNION ALL
    SELECT coalesce(author.operator_id, author.id)
    FROM reuse_use AS used JOIN reuse_earning AS earning ON earning.use_id = used.id
    JOIN participants_participant AS author ON author.id = earning.author_id
    WHERE used.claim = ANY(%(claims)s)
), worked AS (
    SELECT operator_id, worker_id, count(*) AS accepted,
        sum(count(*)) OVER (PARTITION BY operator_id) AS of_operator
    FROM tasks_claim
    WHERE ending = 'accepted' AND ended_at < %(opened_at)s
    GROUP BY operator_id, worker_id
), eligible AS (
    SELECT DISTINCT ON (worked.operator_id) panelist.handle
    FROM worked
    JOIN participants_participant AS panelist ON panelist.id = worked.worker_id
    JOIN participants_participant AS operator ON operator.id = worked.operator_id
    WHERE worked.of_operator >= %(accepted)s
        AND panelist.is_active AND operator.is_active
        AND NOT panelist.is_staff AND NOT operator.is_staff
        AND NOT worked.operator_id = ANY(%(sides)s)
        AND worked.operator_id NOT IN (SELECT operator FROM dealt)
        AND NOT EXISTS (
            SELECT FROM participants_freeze AS frozen
            WHERE frozen.participant_id IN (worked.worker_id, worked.operator_id)
                AND frozen.lifted_at IS NULL AND frozen.ends_at > market_now()
        )
    ORDER BY worked.operator_id, worked.accepted DESC, worked.worker_id
)
SELECT handle FROM (
    SELECT handle FROM eligible ORDER BY gen_random_uuid() LIMIT %(most)s
) AS pooled ORDER BY handle
"""
# Each UUID has 122 bits of the database's strong randomness; a hash of two makes one seed.
SEED = "SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))"


def pool_for(
    *, sides: Iterable[uuid.UUID], claims: Iterable[uuid.UUID], opened_at: datetime
) -> list[str]:
    """Return the handles of everybody who may judge, in alphabetical order.

    Args:
        sides: The operators of both sides; they are recused, and so is everybody who worked for
            them, had them work, or moved credits with them lately.
        claims: The claims that are judged; the authors whom they owe for reuse are recused.
        opened_at: When the dispute began; only work that was accepted before counts.

    Round trips: one.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            POOL,
            {
                "sides": list(sides),
                "claims": list(claims),
                "opened_at": opened_at,
                "accepted": settings.PANELIST_ACCEPTED_TASKS,
                "recency": timedelta(seconds=settings.RECUSAL_SECONDS).total_seconds(),
                "most": MOST_POOLED,
            },
        )
        return [handle for (handle,) in cursor.fetchall()]


_given: ContextVar[Callable[[], bytes] | None] = ContextVar("hansa_seeds_of_panels", default=None)


@contextmanager
def seeds_from(source: Callable[[], bytes]) -> Iterator[None]:
    """Let *source* give the seeds in this context: a simulation comes to the same end again.

    It is for the process that plays a market of its own; nothing that serves enters it.
    """
    token = _given.set(source)
    try:
        yield
    finally:
        _given.reset(token)


def new_seed() -> bytes:
    """Return 32 bytes that nobody could know before. Round trips: one."""
    given = _given.get()
    if given is not None:
        return given()
    with connection.cursor() as cursor:
        cursor.execute(SEED)
        (seed,) = cursor.fetchone()
    return bytes(seed)


def order_of(pool: Collection[str], seed: bytes) -> list[str]:
    """Return the pool in the order of the draw: by the SHA-256 of the seed and the handle."""
    return sorted(pool, key=lambda handle: hashlib.sha256(seed + handle.encode()).digest())
