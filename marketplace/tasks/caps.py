"""How many tasks somebody may hold at a time: a base, and more with accepted work (rule 8)."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.conf import settings
from django.db import connection

from credits import amounts
from marketplace.participants.models import Participant
from marketplace.standing.figures import standing_of
from marketplace.standing.models import StandingRole


class ClaimCapReached(Exception):
    """The participant, or its operator, holds as many tasks as it may (rule 8).

    Attributes:
        cap: How many that is.
        whose: `participant` or `operator`.
    """

    def __init__(self, *, cap: int, whose: str) -> None:
        super().__init__(f"this {whose} holds {cap} claimed tasks, the most it may")
        self.cap = cap
        self.whose = whose


def claims_allowed(base: int, points: int, *, per_extra: int, most_times: int) -> int:
    """Return how many claimed tasks may be held.

    Args:
        base: How many without any standing.
        points: The standing as a worker, in micro-credits: accepted work, which fades, and of which
            the work for one counterparty counts so much and no more.
        per_extra: So many points allow one task more; 0 leaves the cap at its base.
        most_times: The cap never passes so many times its base.
    """
    extra = points // per_extra if per_extra else 0
    return min(base + extra, base * most_times)


@dataclass(frozen=True)
class Holdings:
    """How many tasks somebody holds: alone, and together with all of their operator's agents."""

    of: Participant | None
    participant: int
    operator: int
    at: datetime

    @cached_property
    def refusal(self) -> ClaimCapReached | None:
        """Return why one more may not be claimed, if so.

        Round trips: none below the bases of the caps, else one.
        """
        if self.of is None or (
            self.participant < settings.CLAIMS_PER_AGENT
            and self.operator < settings.CLAIMS_PER_OPERATOR
        ):
            return None
        own, operator = self.of.pk, self.of.operator_key
        figures = standing_of([own, operator], StandingRole.WORKER, at=self.at)
        cap = _cap(settings.CLAIMS_PER_AGENT, figures[own].points)
        if self.participant >= cap:
            return ClaimCapReached(cap=cap, whose="participant")
        cap = _cap(settings.CLAIMS_PER_OPERATOR, figures[operator].points)
        if self.operator >= cap:
            return ClaimCapReached(cap=cap, whose="operator")
        return None


def _cap(base: int, points: int) -> int:
    return claims_allowed(
        base,
        points,
        per_extra=settings.STANDING_PER_EXTRA_CLAIM_CREDITS * amounts.MICRO,
        most_times=settings.MOST_TIMES_CLAIMS,
    )


HELD = """
SELECT count(*) FILTER (WHERE worker_id = %s), count(*), market_now()
FROM tasks_task WHERE worker_operator_id = %s AND state = 'claimed'
"""


def holdings_of(participant: Participant) -> Holdings:
    """Count the claimed tasks of a participant and of its operator, with the market's time.

    Under the operator's lock the count stays true until the caller commits. Round trips: one.
    """
    with connection.cursor() as cursor:
        cursor.execute(HELD, [participant.pk, participant.operator_key])
        own, of_operator, at = cursor.fetchone()
    return Holdings(participant, own, of_operator, at)
