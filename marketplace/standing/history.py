"""History: which rows standing is counted from, counting them once, and the recount.

Packages register the rows that are theirs to explain (`Source`). A consumer of events looks at what
an event is about and adds what has become final; every row is added once, whichever event shows it
first and however often, because `Counted` names it in the same statement. So nothing of this is on
the path of a settlement, and no event has to be the right one.
"""

import uuid
from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection, transaction

from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.foundation.ids import WrongIdType, decode
from marketplace.standing import fading

Key = tuple[uuid.UUID, str, uuid.UUID]  # holder, outcome, counterparty


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one package that say how a dealing ended.

    Attributes:
        name: For people, such as `claims`.
        rows: A SELECT of `source` (the row's id, a UUID; it may come with several rows), `about`
            (the task that it belongs to, or the use where there is none), `holder` (a participant),
            `outcome`, `counterparty` (an operator), `value` (micro-credits) and `at`. Only rows
            that are final: what it returned once it returns for ever.
    """

    name: str
    rows: str


_sources: dict[str, Source] = {}


def register(source: Source) -> None:
    """Count *source* from now on; each app does so once, when it is ready."""
    _sources[source.name] = source


# An operator's standing is that of itself and its agents. Nobody stands by dealing with themselves.
HISTORY = """
SELECT final.source, final.about, person.holder, final.outcome, final.counterparty, final.value,
    final.at, (final.at AT TIME ZONE 'UTC')::date AS day
FROM ({rows}) AS final
JOIN participants_participant AS dealer ON dealer.id = final.holder
CROSS JOIN LATERAL (
    SELECT dealer.id AS holder
    UNION ALL
    SELECT dealer.operator_id WHERE dealer.operator_id IS NOT NULL
) AS person
WHERE final.counterparty <> coalesce(dealer.operator_id, dealer.id)
"""

# Whoever else counts the same row has to commit first; then it is no longer fresh here.
COUNT = """
WITH history AS MATERIALIZED (SELECT * FROM ({history}) AS told WHERE about = %(about)s),
fresh AS (
    INSERT INTO standing_counted (source)
    SELECT DISTINCT source FROM history ORDER BY source
    ON CONFLICT DO NOTHING RETURNING source
)
SELECT holder, outcome, counterparty, value, day FROM history JOIN fresh USING (source)
"""

# In one order everywhere, so that two who add to the same rows queue up.
ADD = """
INSERT INTO standing_tally (holder_id, outcome, counterparty, number, points)
SELECT * FROM unnest(%s::uuid[], %s::varchar[], %s::uuid[], %s::bigint[], %s::numeric[])
ORDER BY 1, 2, 3
ON CONFLICT (holder_id, outcome, counterparty) DO UPDATE
SET number = standing_tally.number + EXCLUDED.number,
    points = standing_tally.points + EXCLUDED.points
"""


def _history() -> str:
    columns = "source, about, holder, outcome, counterparty, value, at"
    rows = " UNION ALL ".join(
        f"SELECT {columns} FROM ({source.rows}) AS {source.name}"  # noqa: S608 - words of the program
        for source in _sources.values()
    )
    return HISTORY.format(rows=rows)


def about(event: Event) -> uuid.UUID | None:
    """Return what history an event may have added to: a task, or the use of an asset."""
    named = {
        "task": event.subject_id if event.subject_type == "task" else event.data.get("task"),
        "use": event.data.get("use"),
    }
    for prefix, text in named.items():
        if isinstance(text, str):
            try:
                return decode(prefix, text)
            except WrongIdType:  # somebody's own word in the data of an event
                continue
    return None


def count(event: Event) -> None:
    """Add what an event made final to the standing of whom it concerns: a consumer.

    Transaction: the caller's. Locks: what it counts, then the sums, each in ascending order.
    Round trips: one, and another where something is new.
    """
    subject = about(event)
    if subject is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(COUNT.format(history=_history()), {"about": subject})
        _add(cursor.fetchall())


def _add(rows: Iterable[tuple[uuid.UUID, str, uuid.UUID, int, date]]) -> None:
    numbers: Counter[Key] = Counter()
    points: Counter[Key] = Counter()
    for holder, outcome, counterparty, value, day in rows:
        key = (holder, outcome, counterparty)
        numbers[key] += 1
        points[key] += value * fading.weight(day)
    if not numbers:
        return
    keys = list(numbers)
    with connection.cursor() as cursor:
        cursor.execute(
            ADD,
            [
                *([key[place] for key in keys] for place in range(3)),
                [numbers[key] for key in keys],
                [str(points[key]) for key in keys],  # larger than any integer that SQL knows
            ],
        )


# --- The recount ----------------------------------------------------------------------------------

# What the sums have to be, if history is {counted}.
RECOUNT = """
SELECT holder AS holder_id, outcome, counterparty, count(*) AS number, sum(value * factor) AS points
FROM ({history}) AS told
JOIN unnest(%(days)s::date[], %(factors)s::numeric[]) AS weight (day, factor) USING (day)
{counted}
GROUP BY holder, outcome, counterparty
"""

DIFFERENCES = """
WITH expected AS ({recount})
SELECT holder.handle, outcome, counterparty.handle,
    stored.number, stored.points, expected.number, expected.points
FROM standing_tally AS stored
FULL JOIN expected USING (holder_id, outcome, counterparty)
LEFT JOIN participants_participant AS holder ON holder.id = holder_id
LEFT JOIN participants_participant AS counterparty ON counterparty.id = counterparty
WHERE (stored.number, stored.points) IS DISTINCT FROM (expected.number, expected.points)
ORDER BY holder.handle, outcome, counterparty.handle
"""

# A row that is not counted yet has an event that is not consumed yet. The event was recorded in the
# transaction of what happened, a moment after the instant that the row names.
UNCOUNTED = """
WITH oldest AS (SELECT min(created_at) AS at FROM events_outboxmessage)
SELECT count(DISTINCT source),
    count(DISTINCT source) FILTER (
        WHERE oldest.at IS NULL OR told.at < oldest.at - interval '1 hour'
    )
FROM ({history}) AS told
CROSS JOIN oldest
WHERE NOT EXISTS (SELECT FROM standing_counted AS counted WHERE counted.source = told.source)
"""

VANISHED = """
SELECT count(*) FROM standing_counted AS counted
WHERE NOT EXISTS (SELECT FROM ({history}) AS told WHERE told.source = counted.source)
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A sum that is not what history says; numbers and points, None where there is no row."""

    holder: str
    outcome: str
    counterparty: str
    number: int | None
    points: int | None
    expected_number: int | None
    expected_points: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a recount found.

    Attributes:
        differences: Every sum that is wrong.
        waiting: Rows of history whose event is not consumed yet; a matter of moments.
        missed: Rows of history that no event will bring any more.
        vanished: Rows that were counted and are no history any more.
    """

    differences: list[Difference]
    waiting: int
    missed: int
    vanished: int

    @property
    def is_right(self) -> bool:
        """Say whether every figure is what history says."""
        return not (self.differences or self.missed or self.vanished)


def check() -> Report:
    """Recount everything and say what is stored differently; change nothing.

    Transaction: one snapshot of its own, or the caller's. Complexity: all of history, once for each
    of three questions.
    """
    own = not connection.in_atomic_block
    with transaction.atomic() if own else nullcontext(), connection.cursor() as cursor:
        if own:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        history = _history()
        counted = "JOIN standing_counted USING (source)"
        recount = RECOUNT.format(history=history, counted=counted)
        cursor.execute(DIFFERENCES.format(recount=recount), _weights())
        differences = [
            Difference(*names, *(None if figure is None else int(figure) for figure in figures))
            for *names, figures in ((*row[:3], row[3:]) for row in cursor.fetchall())
        ]
        cursor.execute(UNCOUNTED.format(history=history))
        uncounted, missed = cursor.fetchone()
        cursor.execute(VANISHED.format(history=history))
        (vanished,) = cursor.fetchone()
    return Report(differences, waiting=uncounted - missed, missed=missed, vanished=vanished)


def rebuild() -> int:
    """Throw every sum away and count all of history again; return how many sums there are.

    Whoever reads meanwhile sees the old sums; whoever would count waits, and finds it done.

    Transaction: its own, or the caller's. Locks: both tables against writers, until it commits.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # Locked before anything is read, in the order in which `count` writes to them.
        cursor.execute("LOCK TABLE standing_counted, standing_tally IN EXCLUSIVE MODE")
        history = _history()
        cursor.execute("DELETE FROM standing_tally")
        cursor.execute("DELETE FROM standing_counted")
        cursor.execute(
            f"INSERT INTO standing_counted (source) SELECT DISTINCT source FROM ({history}) AS told"  # noqa: S608 - words of the program
        )
        recount = RECOUNT.format(history=history, counted="JOIN standing_counted USING (source)")
        cursor.execute(
            "INSERT INTO standing_tally (holder_id, outcome, counterparty, number, points)"
            f" {recount}",
            _weights(),
        )
        return int(cursor.rowcount)


def _weights() -> dict[str, list[object]]:
    """Return the weight of every day that a dealing can have had."""
    last: datetime = clock.now() + timedelta(days=2)  # days may end while this runs
    days = fading.days_until(fading.day_of(last))
    return {"days": list(days), "factors": [str(fading.weight(day)) for day in days]}
