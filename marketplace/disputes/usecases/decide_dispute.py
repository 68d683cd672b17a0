"""An administrator decides where no panel could be seated, or about an appeal."""

import uuid

from marketplace.disputes import course, permissions
from marketplace.disputes.locking import lock_dispute
from marketplace.disputes.models import DecidedBy, Decision, Dispute, Outcome
from marketplace.disputes.queries import parties_of
from marketplace.disputes.states import DisputeState
from marketplace.disputes.usecases.cast_vote import InvalidVote, share_of
from marketplace.events.log import record
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant


@use_case
def decide_dispute(
    *,
    dispute_id: uuid.UUID,
    actor: Participant,
    outcome: Outcome,
    worker_share: int | None = None,
    rationale: str,
) -> Dispute:
    """Decide a dispute; a decision about an appeal settles it at once.

    Args:
        dispute_id: Which dispute.
        actor: Somebody of staff, of neither side's operator; about an appeal somebody else than who
            decided before.
        outcome: What is decided.
        worker_share: With `split`, the worker's share in basis points.
        rationale: Why; both sides read it.

    Raises:
        Dispute.DoesNotExist: No such dispute, or not the actor's to see.
        NotPermitted, NotInThisState: See `permissions.require`.
        InvalidVote: The decision contradicts itself.

    Locks: the task; about an appeal, the accounts that are paid.
    """
    dispute, task, now = lock_dispute(dispute_id, actor)
    parts = permissions.require(dispute, "decide", actor)
    if outcome == Outcome.ABSTAIN:
        raise InvalidVote(
            field="outcome", code="undecided", detail="An administrator decides, or leaves it."
        )
    share_bps = share_of(outcome, worker_share)
    if dispute.state == DisputeState.ADMINISTRATOR:
        dispute.advance("decide", parts)
        course.decide(
            dispute,
            DecidedBy.ADMINISTRATOR,
            share_bps,
            at=now,
            administrator=actor,
            rationale=rationale,
        )
        course.save(dispute)
        return dispute
    Decision.objects.create(
        dispute=dispute,
        on_appeal=True,
        decided_by=DecidedBy.ADMINISTRATOR,
        administrator=actor,
        share_bps=share_bps,
        rationale=rationale,
        decided_at=now,
    )
    readers = parties_of(dispute)
    record(
        "dispute.appeal_decided",
        subject=dispute.subject,
        actor=None,  # the row says who of staff decided
        readers=readers,
        notified=readers,
        data={
            "task": task.public_id,
            "outcome": outcome,
            "worker_share": course.share_text(share_bps),
        },
    )
    course.settle(dispute, at=now, by_staff=True)
    return dispute
