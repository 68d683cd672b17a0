"""A side of a dispute appeals to an administrator, once."""

import uuid
from datetime import timedelta

from marketplace.disputes import course, permissions
from marketplace.disputes.locking import lock_dispute
from marketplace.disputes.models import Dispute
from marketplace.disputes.queries import parties_of
from marketplace.events.log import record
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks.dispute_terms import terms_of


@use_case
def appeal_outcome(*, dispute_id: uuid.UUID, actor: Participant, reason: str) -> Dispute:
    """Appeal against the outcome of a dispute before it is settled.

    An administrator who did not decide before decides about it, for good; where none does in time,
    the outcome stands.

    Args:
        dispute_id: Which dispute.
        actor: Poster or worker; whoever was given everything has nothing to appeal for.
        reason: What the outcome got wrong.

    Raises:
        Dispute.DoesNotExist: No such dispute, or not the actor's to see.
        NotPermitted, NotInThisState: See `permissions.require`.

    Locks: the task.
    """
    dispute, task, now = lock_dispute(dispute_id, actor)
    parts = permissions.require(dispute, "appeal", actor)
    seconds = terms_of(task).administrator_seconds
    dispute.advance("appeal", parts, due_at=now + timedelta(seconds=seconds))
    dispute.appellant, dispute.appeal_reason = actor, reason
    course.save(dispute)
    readers = parties_of(dispute)
    record(
        "dispute.appealed",
        subject=dispute.subject,
        actor=actor.pk,
        readers=readers,
        notified=readers,
        data={"task": task.public_id},
    )
    return dispute
