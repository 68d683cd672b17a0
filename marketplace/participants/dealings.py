"""Whether somebody may enter into something new: freezes (rule 25) and blocks (rule 11).

What runs already goes on: whoever is frozen or blocked delivers, is reviewed, disputes and is paid.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import QuerySet

from marketplace.foundation.clock import MarketNow
from marketplace.participants.models import Freeze, Participant

# Few freezes run at a time, for people decide them: they are read as they are.
BARRIERS = """
SELECT
    ARRAY(
        SELECT participant_id FROM participants_freeze
        WHERE lifted_at IS NULL AND ends_at > market_now()
    ),
    ARRAY(SELECT operator_id FROM participants_block WHERE blocked_operator_id = %s)
"""


class Frozen(Exception):
    """Staff froze the actor, or the actor's operator: no new dealings until it ends (rule 25).

    Attributes:
        reason: Why, as staff wrote it.
        ends_at: When it ends by itself.
        freeze: The public id, under which to appeal.
        whose: `participant` or `operator`: who is frozen, and may appeal.
        hint: How to appeal.
    """

    def __init__(self, *, reason: str, ends_at: datetime, freeze: str, whose: str) -> None:
        super().__init__("you are frozen: what you have begun goes on, and nothing new begins")
        self.reason = reason
        self.ends_at = ends_at
        self.freeze = freeze
        self.whose = whose
        who = "appeal" if whose == "participant" else "let your operator appeal"
        self.hint = (
            f"Go on with what you have begun, and wait until ends_at; or {who} once, with"
            f" POST /api/v1/freezes/{freeze}/appeal."
        )


class PosterFrozen(Exception):
    """Staff froze the other side: nobody enters into anything new with it."""

    def __init__(self) -> None:
        super().__init__("the poster is frozen: nobody takes new work of theirs until it ends")


class Blocked(Exception):
    """The poster's operator lets the actor's operator take no more of its work (rule 11)."""

    def __init__(self) -> None:
        super().__init__("this poster lets you take no more of its work")


@dataclass(frozen=True, slots=True)
class Barriers:
    """What stands between somebody and new dealings.

    Attributes:
        actor: Who wants to deal; None is a visitor without a name.
        frozen: Participants whose freezes run.
        blocked_by: Operators who block the actor's operator.
    """

    actor: Participant | None
    frozen: Collection[uuid.UUID]
    blocked_by: Collection[uuid.UUID]

    @property
    def is_frozen(self) -> bool:
        """Say whether the actor, or its operator, is frozen."""
        return self.actor is not None and self._is_frozen(self.actor.pk, self.actor.operator_key)

    def allow(self, poster: uuid.UUID, poster_operator: uuid.UUID) -> bool:
        """Say whether the actor may enter into something new with a poster."""
        return not (
            self.is_frozen
            or poster_operator in self.blocked_by
            or self._is_frozen(poster, poster_operator)
        )

    def _is_frozen(self, *keys: uuid.UUID) -> bool:
        return any(key in self.frozen for key in keys)


def barriers_of(actor: Participant | None) -> Barriers:
    """Return what stands between *actor* and new dealings now. Round trips: one."""
    with connection.cursor() as cursor:
        cursor.execute(BARRIERS, [actor.operator_key if actor is not None else None])
        frozen, blocked_by = cursor.fetchone()
    return Barriers(actor, frozenset(frozen), frozenset(blocked_by))


def frozen_now() -> QuerySet[Freeze, uuid.UUID]:
    """Return, for use inside a query, the ids of participants whose freezes run.

    A freeze of an operator is one of its agents: compare their operators as well.
    """
    running = Freeze.objects.filter(lifted_at=None, ends_at__gt=MarketNow())
    return running.values_list("participant_id", flat=True)


def require_free(actor: Participant) -> None:
    """Refuse something new to whoever is frozen.

    Under the lock of the actor's operator no freeze can begin before the caller commits.

    Raises:
        Frozen: The actor is, or its operator.

    Round trips: one.
    """
    _require_free(barriers_of(actor))


def require_dealing(actor: Participant, poster: uuid.UUID, poster_operator: uuid.UUID) -> None:
    """Refuse new work of a poster to whoever may not take it.

    Under the lock of the actor's operator no freeze of the actor and no block of it can begin
    before the caller commits. A freeze of the poster at that moment comes after.

    Raises:
        Frozen: The actor is, or its operator.
        Blocked: The poster's operator blocks the actor's.
        PosterFrozen: The poster is frozen, or its operator.

    Round trips: one.
    """
    barriers = barriers_of(actor)
    _require_free(barriers)
    if poster_operator in barriers.blocked_by:
        raise Blocked
    if not barriers.allow(poster, poster_operator):
        raise PosterFrozen


def _require_free(barriers: Barriers) -> None:
    actor = barriers.actor
    if actor is None or not barriers.is_frozen:
        return
    freezes = Freeze.objects.filter(participant__in=[actor.pk, actor.operator_key], lifted_at=None)
    lasting = freezes.order_by("-ends_at").first()
    if lasting is not None:  # or it was lifted this moment
        raise Frozen(
            reason=lasting.reason,
            ends_at=lasting.ends_at,
            freeze=lasting.public_id,
            whose="participant" if lasting.participant_id == actor.pk else "operator",
        )
