"""Reading standing: the figure that rules ask for, and the record that people look at.

A read costs one index range for each holder: a row for every counterparty and outcome.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from marketplace.standing import fading
from marketplace.standing.models import Outcome, StandingRole

# What counts towards which role: the dealings that were settled and paid.
SETTLED: Mapping[StandingRole, tuple[Outcome, ...]] = {
    # What silence or a panel gave a worker is no merit of the poster's.
    StandingRole.POSTER: (Outcome.POSTER_ACCEPTED, Outcome.POSTER_CHECKED),
    StandingRole.WORKER: (Outcome.WORKER_PAID,),
    StandingRole.AUTHOR: (Outcome.AUTHOR_USED,),
    StandingRole.PANELIST: (Outcome.PANELIST_VOTED,),
}

# What dealings with one counterparty are worth: P·C/(C+P), where P is what they come to now. The
# first credits count in full, the more there are the less another adds, and C is never reached.
WORTH = "div(points * %(most)s, %(most)s::numeric * %(weight)s::numeric + points)"

FIGURES = f"""
SELECT holder_id, label, sum({WORTH})::bigint, count(*), sum(number)::bigint
FROM (
    SELECT holder_id, label, counterparty, sum(number) AS number, sum(points) AS points
    FROM standing_tally
    JOIN unnest(%(outcomes)s::varchar[], %(labels)s::varchar[]) AS asked (outcome, label)
        USING (outcome)
    WHERE holder_id = ANY (%(holders)s)
    GROUP BY holder_id, label, counterparty
) AS dealt
GROUP BY holder_id, label
"""  # noqa: S608 - words of the program


@dataclass(frozen=True, slots=True)
class Figure:
    """How much of something there is.

    Attributes:
        points: What it is worth now, in micro-credits: faded, and less and less for more with the
            same counterparty.
        counterparties: With how many operators.
        number: How often, ever; a plain count that does not fade.
    """

    points: int = 0
    counterparties: int = 0
    number: int = 0


NOTHING = Figure()


@dataclass(frozen=True, slots=True)
class PosterRecord:
    """How a poster has dealt with deliveries that awaited its decision, shown before a claim.

    Rates are shares of what was at stake, weighed as standing is: recent decisions weigh more, and
    many with the same worker's operator weigh less. None where there was nothing to decide.

    Attributes:
        accepted: Deliveries that it accepted.
        rejected: Deliveries that it rejected.
        silent: Deliveries about which it said nothing until its time had passed.
        checked: Deliveries that checks accepted; nobody's decision, and in no rate.
        workers: Operators of workers that it has accepted from, itself or by checks.
        disputes: Disputes about its tasks that were decided.
        disputes_lost: Those of them that it lost.
    """

    accepted: int
    rejected: int
    silent: int
    checked: int
    workers: int
    disputes: int
    disputes_lost: int
    acceptance_rate: float | None
    rejection_rate: float | None
    silence_rate: float | None
    lost_dispute_rate: float | None


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that is counted about one holder, by role and by outcome."""

    roles: Mapping[StandingRole, Figure]
    outcomes: Mapping[Outcome, Figure]

    @property
    def as_poster(self) -> PosterRecord:
        """Return the poster's side of it."""
        found = self.outcomes
        decided = (Outcome.POSTER_ACCEPTED, Outcome.POSTER_REJECTED, Outcome.POSTER_SILENT)
        at_stake = sum(found[outcome].points for outcome in decided)
        accepted, rejected, silent = (_rate(found[one].points, at_stake) for one in decided)
        disputes, lost = found[Outcome.POSTER_DISPUTED], found[Outcome.POSTER_DISPUTE_LOST]
        return PosterRecord(
            accepted=found[Outcome.POSTER_ACCEPTED].number,
            rejected=found[Outcome.POSTER_REJECTED].number,
            silent=found[Outcome.POSTER_SILENT].number,
            checked=found[Outcome.POSTER_CHECKED].number,
            workers=self.roles[StandingRole.POSTER].counterparties,
            disputes=disputes.number,
            disputes_lost=lost.number,
            acceptance_rate=accepted,
            rejection_rate=rejected,
            silence_rate=silent,
            lost_dispute_rate=_rate(lost.points, disputes.points),
        )


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def standing_of(
    holders: Iterable[uuid.UUID], role: StandingRole, *, at: datetime
) -> dict[uuid.UUID, Figure]:
    """Return the standing in a role of each of *holders*; nothing is a figure too.

    Args:
        holders: Participants. An operator's standing is that of itself and its agents together, an
            agent's is its own.
        role: As what.
        at: The market's time.

    Round trips: one. It may be some moments behind what was settled (see `history`).
    """
    wanted = set(holders)
    found = _read(wanted, [(outcome, role) for outcome in SETTLED[role]], at)
    return {holder: found.get((holder, role), NOTHING) for holder in wanted}


def records_of(holders: Iterable[uuid.UUID], *, at: datetime) -> dict[uuid.UUID, Record]:
    """Return what is counted about each of *holders*. Round trips: one."""
    wanted = set(holders)
    labels = [(outcome, outcome.value) for outcome in Outcome]
    labels += [(outcome, role.value) for role, settled in SETTLED.items() for outcome in settled]
    found = _read(wanted, labels, at)
    return {
        holder: Record(
            {role: found.get((holder, role.value), NOTHING) for role in StandingRole},
            {outcome: found.get((holder, outcome.value), NOTHING) for outcome in Outcome},
        )
        for holder in wanted
    }


def _read(
    holders: Collection[uuid.UUID], labels: list[tuple[Outcome, str]], at: datetime
) -> dict[tuple[uuid.UUID, str], Figure]:
    if not holders:
        return {}
    asked: dict[str, Any] = {
        "holders": list(holders),
        "outcomes": [outcome.value for outcome, _ in labels],
        "labels": [str(label) for _, label in labels],
        "most": fading.most_per_counterparty(),
        "weight": fading.weight(fading.day_of(at)),
    }
    with connection.cursor() as cursor:
        cursor.execute(FIGURES, asked)
        rows = cursor.fetchall()
    return {(holder, label): Figure(*figures) for holder, label, *figures in rows}
