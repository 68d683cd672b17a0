"""Staff keep a participant from new dealings for a time (rule 25)."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings

from marketplace.foundation import clock
from marketplace.foundation.transactions import use_case
from marketplace.participants import freezes
from marketplace.participants.models import Freeze, Participant
from marketplace.participants.staff import require_staff

LEAST_SECONDS = 3600


class AlreadyFrozen(Exception):
    """A freeze of this participant runs; it is lifted before another one begins."""


class InvalidEnd(Exception):
    """A freeze has an end, neither at once nor out of sight."""


@use_case
def freeze_participant(
    *, participant_id: uuid.UUID, actor: Participant, reason: str, ends_at: datetime
) -> Freeze:
    """Freeze a participant, and with an operator all of its agents, until *ends_at*.

    Nothing that runs is touched: claims go on, deliveries are reviewed and paid, escrows stay.

    Args:
        participant_id: Whom.
        actor: Somebody of staff, of another operator.
        reason: Why; the participant reads it.
        ends_at: When it ends by itself, an hour to `FREEZE_LIMIT_SECONDS` from now.

    Raises:
        Participant.DoesNotExist: No such participant.
        StaffOnly: The actor may not decide this.
        AlreadyFrozen: A freeze of this participant runs.
        InvalidEnd: The end is out of its bounds.

    Locks: the participant's operator, under which claims ask for freezes.
    """
    frozen = Participant.objects.select_related("operator").get(pk=participant_id)
    require_staff(actor, about=frozen)
    Participant.objects.lock_operators([frozen.operator_key])
    now = clock.now()
    most = timedelta(seconds=settings.FREEZE_LIMIT_SECONDS)
    if not timedelta(seconds=LEAST_SECONDS) <= ends_at - now <= most:
        raise InvalidEnd(f"a freeze lasts between an hour and {most.days} days")
    if Freeze.objects.filter(participant=frozen, lifted_at=None, ends_at__gt=now).exists():
        raise AlreadyFrozen("a freeze of this participant runs already")
    freeze = Freeze.objects.create(
        participant=frozen, reason=reason, decided_by=actor, frozen_at=now, ends_at=ends_at
    )
    freezes.tell(freeze, "participant.frozen", reason=reason, ends_at=ends_at.isoformat())
    return freeze
