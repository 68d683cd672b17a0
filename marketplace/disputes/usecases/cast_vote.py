"""A panelist votes, or abstains."""

import uuid

from marketplace.delivery import contests
from marketplace.disputes import course, panels, permissions
from marketplace.disputes.locking import lock_dispute
from marketplace.disputes.models import Dispute, Outcome, Seat, SeatState
from marketplace.events.log import record
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks.division import BASIS_POINTS

FULL = {Outcome.ACCEPT: BASIS_POINTS, Outcome.REJECT: 0}


class InvalidVote(Exception):
    """A vote, or an administrator's decision, contradicts itself or is about something else.

    Attributes:
        field: Which member, as the API names it.
        code: Stable name of what is wrong.
    """

    def __init__(self, *, field: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.code = code


@use_case
def cast_vote(
    *,
    dispute_id: uuid.UUID,
    actor: Participant,
    outcome: Outcome,
    worker_share: int | None = None,
    delivery_id: uuid.UUID | None = None,
    rationale: str,
) -> Dispute:
    """Vote on the seat that one was drawn for; nobody sees it until all votes are in.

    Whoever votes last ends the round: all votes are counted, or seats without an opinion are drawn
    again.

    Args:
        dispute_id: Which dispute.
        actor: Who holds the seat.
        outcome: What the vote says; `abstain` gives the seat to another.
        worker_share: With `split`, the worker's share in basis points.
        delivery_id: In a contest, the entry that is picked.
        rationale: Why; both sides read it once it is decided.

    Raises:
        Dispute.DoesNotExist: No such dispute, or not the actor's to see.
        NotPermitted, NotInThisState: See `permissions.require`.
        InvalidVote: The vote contradicts itself.

    Locks: the task; with the last vote of a contest, the accounts that are paid.
    """
    dispute, task, now = lock_dispute(dispute_id, actor)
    permissions.require(dispute, "vote", actor)
    seat = Seat.objects.get(dispute=dispute, panelist=actor)
    if outcome == Outcome.ABSTAIN:
        seat.state = SeatState.ABSTAINED
        _require_absent("worker_share", worker_share)
        _require_absent("delivery", delivery_id)
    elif dispute.is_contest:
        seat.state, seat.pick_id = SeatState.VOTED, _picked(dispute, outcome, delivery_id)
        _require_absent("worker_share", worker_share)
    else:
        if delivery_id not in (None, dispute.delivery_id):
            raise InvalidVote(
                field="delivery", code="other_delivery", detail="The dispute is about another one."
            )
        seat.state, seat.share_bps = SeatState.VOTED, share_of(outcome, worker_share)
    seat.rationale, seat.ended_at = rationale, now
    seat.save(update_fields=["state", "share_bps", "pick", "rationale", "ended_at"])
    record(
        "dispute.voted",
        subject=dispute.subject,
        actor=actor.pk,
        readers=[seat.panelist_id, seat.operator_id],  # and nobody else, until all votes are in
        data={"task": task.public_id, "outcome": outcome},
    )
    if not Seat.objects.filter(dispute=dispute, state=SeatState.OPEN).exists():
        panels.close_round(dispute, now)
        if not dispute.is_settled:
            course.save(dispute)
    return dispute


def share_of(outcome: Outcome, worker_share: int | None) -> int:
    """Return the worker's share, in basis points, that an outcome means.

    Raises:
        InvalidVote: It needs a share, or the share says something else.
    """
    if outcome == Outcome.SPLIT:
        if worker_share is None:
            raise InvalidVote(
                field="worker_share", code="required", detail="Say the worker's share of a split."
            )
        if worker_share in FULL.values():
            raise InvalidVote(
                field="worker_share",
                code="not_a_split",
                detail="A split gives both sides something; accept and reject give one all.",
            )
        return worker_share
    if worker_share not in (None, FULL[outcome]):
        raise InvalidVote(
            field="worker_share",
            code="contradiction",
            detail="accept gives the worker all and reject nothing; for a share say split.",
        )
    return FULL[outcome]


def _require_absent(field: str, value: object) -> None:
    if value is not None:
        raise InvalidVote(field=field, code="contradiction", detail="This vote has none.")


def _picked(dispute: Dispute, outcome: Outcome, delivery_id: uuid.UUID | None) -> uuid.UUID:
    if outcome != Outcome.ACCEPT:
        raise InvalidVote(
            field="outcome", code="contest", detail="In a contest accept one entry, or abstain."
        )
    if delivery_id is None:
        raise InvalidVote(field="delivery", code="required", detail="Name the entry you accept.")
    if delivery_id not in {entry.pk for entry in contests.standing_entries(dispute.task)}:
        raise InvalidVote(
            field="delivery", code="unknown_entry", detail="No entry that can win has this id."
        )
    return delivery_id
