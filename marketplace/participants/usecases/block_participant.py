"""Somebody lets another participant take no more of its work (rule 11)."""

from marketplace.events.log import Subject, record
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Block, Participant


class OwnOperator(Exception):
    """Nobody blocks themselves, nor an agent of their own operator."""


@use_case
def block_participant(*, actor: Participant, handle: str, reason: str = "") -> Block:
    """Keep a participant's operator from new work of the actor's operator.

    It looks forward only: what the blocked one holds or has delivered stands. Blocking twice has
    one effect, and the first reason stays.

    Args:
        actor: Who blocks.
        handle: Whom.
        reason: For the actor's own records; nobody else reads it.

    Raises:
        Participant.DoesNotExist: Nobody has this handle.
        OwnOperator: It is the actor, or of the same operator.

    Locks: the blocked operator, under which its claims ask for blocks.
    """
    blocked = Participant.objects.select_related("operator").get(handle=handle)
    if blocked.operator_key == actor.operator_key:
        raise OwnOperator("this is of your own operator")
    Participant.objects.lock_operators([blocked.operator_key])
    block, is_new = Block.objects.get_or_create(
        operator_id=actor.operator_key,
        blocked_operator_id=blocked.operator_key,
        defaults={"blocked": blocked, "made_by": actor, "reason": reason},
    )
    if is_new:
        record(
            "participant.blocked",
            subject=Subject("participant", blocked.handle),
            actor=actor.pk,
            readers=[actor.pk, actor.operator_key],
        )
    return block
