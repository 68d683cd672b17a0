"""Somebody lets a participant take its work again."""

from marketplace.events.log import Subject, record
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Block, Participant


@use_case
def unblock_participant(*, actor: Participant, handle: str) -> None:
    """End the block of a participant's operator.

    Raises:
        Participant.DoesNotExist: Nobody has this handle.
        Block.DoesNotExist: It is not blocked.
    """
    blocked = Participant.objects.select_related("operator").get(handle=handle)
    gone, _ = Block.objects.filter(
        operator=actor.operator_key, blocked_operator=blocked.operator_key
    ).delete()
    if not gone:
        raise Block.DoesNotExist
    record(
        "participant.unblocked",
        subject=Subject("participant", blocked.handle),
        actor=actor.pk,
        readers=[actor.pk, actor.operator_key],
    )
