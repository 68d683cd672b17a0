"""Staff answer an appeal against a freeze."""

import uuid

from marketplace.foundation.transactions import use_case
from marketplace.participants import freezes
from marketplace.participants.models import Freeze, Participant
from marketplace.participants.staff import require_staff


class NothingToAnswer(Exception):
    """There is no appeal, or it was answered."""


@use_case
def answer_appeal(*, freeze_id: uuid.UUID, actor: Participant, grants: bool, answer: str) -> Freeze:
    """Answer an appeal, once: lift the freeze, or let it stand.

    Args:
        freeze_id: Which freeze.
        actor: Somebody of staff, of another operator.
        grants: Whether the freeze is lifted.
        answer: Why; the participant reads it.

    Raises:
        Freeze.DoesNotExist: No such freeze.
        StaffOnly: The actor may not decide this.
        NothingToAnswer: There is no appeal that waits.
        FreezeEnded: It is to be lifted, and has ended.

    Locks: the freeze.
    """
    freeze, now = freezes.lock(freeze_id)
    require_staff(actor, about=freeze.participant)
    if freeze.appealed_at is None or freeze.answered_at is not None:
        raise NothingToAnswer("no appeal against this freeze waits for an answer")
    freeze.answer, freeze.answered_by, freeze.answered_at = answer, actor, now
    if grants:
        freezes.require_running(freeze, now)
        freeze.lifted_at = now
    freeze.save(update_fields=["answer", "answered_by", "answered_at", "lifted_at"])
    freezes.tell(freeze, "freeze.appeal_answered", granted=grants, answer=answer)
    return freeze
