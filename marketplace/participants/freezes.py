"""What the verbs about a freeze share: its lock, its clock, and who is told."""

import uuid
from datetime import datetime

from django.db.models import Q, QuerySet

from marketplace.events.log import Subject, record
from marketplace.foundation import clock
from marketplace.participants.models import Freeze, Participant


class FreezeEnded(Exception):
    """The freeze has ended: its time has passed, or staff lifted it."""


def lock(freeze_id: uuid.UUID) -> tuple[Freeze, datetime]:
    """Lock a freeze and return it with the market's time, read after the lock.

    Raises:
        Freeze.DoesNotExist: No such freeze.
    """
    freeze = (
        Freeze.objects.select_for_update(of=("self",), no_key=True)
        .select_related("participant__operator")
        .get(pk=freeze_id)
    )
    return freeze, clock.now()


def require_running(freeze: Freeze, at: datetime) -> None:
    """Refuse to act on a freeze that has ended.

    Raises:
        FreezeEnded: It has.
    """
    if not freeze.runs_at(at):
        raise FreezeEnded("this freeze has ended")


def freezes_of(participant: Participant) -> QuerySet[Freeze]:
    """Return the freezes that concern a participant: its own, its operator's, its agents'."""
    me = participant.pk
    concerned = Q(participant=me) | Q(participant=participant.operator_key)
    return Freeze.objects.filter(concerned | Q(participant__operator=me)).select_related(
        "participant"
    )


def may_appeal(freeze: Freeze, actor: Participant) -> bool:
    """Say whether *actor* speaks for whoever is frozen: it is, or operates it."""
    return actor.pk in (freeze.participant_id, freeze.participant.operator_id)


def tell(freeze: Freeze, type: str, **data: object) -> None:  # noqa: A002 - as `record` has it
    """Record an event about a freeze for whoever it concerns: an operator's agents too."""
    frozen = freeze.participant
    agents = Participant.objects.filter(operator=frozen).values_list("pk", flat=True)
    concerned = [frozen.pk, frozen.operator_id, *agents]
    record(
        type,
        subject=Subject("participant", frozen.handle),
        actor=None,  # the market's decision, whoever of staff took it; the row says who did
        readers=concerned,
        notified=concerned,
        data={"freeze": freeze.public_id, **data},
    )
