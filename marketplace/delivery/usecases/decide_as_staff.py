"""Staff decide about a delivery whose check could not run."""

import uuid

from marketplace.delivery import decisions
from marketplace.delivery.locking import lock_for_decision
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks.states import NotPermitted, Role

STAFF = frozenset({Role.STAFF})


@use_case
def decide_as_staff(
    *, delivery_id: uuid.UUID, actor: Participant, accepts: bool, reason: str
) -> None:
    """Accept or reject a delivery that was handed to staff (market_rules.md, "Time").

    Args:
        delivery_id: Which delivery.
        actor: Somebody of staff, of neither side's operator, nor of anybody's above.
        accepts: Whether it is accepted.
        reason: Why; both sides read it.

    Raises:
        Delivery.DoesNotExist: No such delivery.
        NotPermitted: The actor is not of staff, or decides in their own cause.
        IllegalTransition: It is not with staff.

    Locks: the task; where it is accepted, the accounts that are paid.
    """
    verb = "accept_by_staff" if accepts else "reject_by_staff"
    if not actor.is_staff:
        raise NotPermitted(verb=verb)
    task, delivery, now = lock_for_decision(delivery_id, actor, verb, roles=STAFF)
    if actor.operator_key in task.recused:
        raise NotPermitted(verb=verb, reason="nobody decides in their own cause")
    if accepts:
        decisions.accept(task, delivery, verb, roles=STAFF, actor=actor, at=now, comment=reason)
    else:
        decisions.reject(task, delivery, verb, roles=STAFF, actor=actor, at=now, reason=reason)
