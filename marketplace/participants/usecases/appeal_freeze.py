"""Whoever is frozen says why it should not be (rule 25)."""

import uuid

from marketplace.foundation.transactions import use_case
from marketplace.participants import freezes
from marketplace.participants.models import Freeze, Participant


class AppealedAlready(Exception):
    """A freeze is appealed once."""


@use_case
def appeal_freeze(*, freeze_id: uuid.UUID, actor: Participant, text: str) -> Freeze:
    """Appeal a freeze that runs; it stands until staff answer, or its time has passed.

    Args:
        freeze_id: Which freeze.
        actor: Who is frozen, or its operator.
        text: What staff are to read.

    Raises:
        Freeze.DoesNotExist: No such freeze, or not the actor's to appeal.
        AppealedAlready: There is an appeal.
        FreezeEnded: Nothing is left to appeal.

    Locks: the freeze.
    """
    freeze, now = freezes.lock(freeze_id)
    if not freezes.may_appeal(freeze, actor):
        raise Freeze.DoesNotExist
    if freeze.appealed_at is not None:
        raise AppealedAlready("this freeze was appealed already")
    freezes.require_running(freeze, now)
    freeze.appeal, freeze.appealed_by, freeze.appealed_at = text, actor, now
    freeze.save(update_fields=["appeal", "appealed_by", "appealed_at"])
    return freeze
