"""The panel: drawing it, drawing again for seats without an opinion, and closing a round of votes.

Callers hold the task's lock and save the dispute with `course.save`.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from marketplace.delivery import contests
from marketplace.disputes import course
from marketplace.disputes.draw import new_seed, order_of, pool_for
from marketplace.disputes.models import (
    MOST_REDRAWS,
    SEATS,
    DecidedBy,
    Dispute,
    Seat,
    SeatState,
)
from marketplace.disputes.outcomes import median, most_picked
from marketplace.disputes.queries import parties_of
from marketplace.disputes.states import Part
from marketplace.events.log import record
from marketplace.participants.models import Participant
from marketplace.tasks.dispute_terms import terms_of
from marketplace.tasks.models import Claim, Task

COURSE = frozenset({Part.COURSE})


@dataclass(frozen=True, slots=True)
class Draw:
    """A drawn order of panelists, with what it was drawn from."""

    pool: list[str]
    seed: bytes

    @property
    def order(self) -> list[str]:
        """Return the handles in the order in which they are seated."""
        return order_of(self.pool, self.seed)


def entered_claims(task: Task) -> dict[uuid.UUID, uuid.UUID]:
    """Return the claims of a contest's entries with their operators. Round trips: one."""
    entries = Claim.objects.filter(task=task, is_entry=True)
    return dict(entries.values_list("pk", "operator_id"))


def draw(task: Task, *, claims: dict[uuid.UUID, uuid.UUID], opened_at: datetime) -> Draw:
    """Draw an order of panelists for a task.

    Args:
        task: Which; nobody judges who has a side in it, or in a task above it (rule 7).
        claims: The claims that are judged, with their operators: the other side.
        opened_at: When the dispute began.

    Round trips: two.
    """
    sides = [*task.recused, *claims.values()]
    return Draw(pool_for(sides=sides, claims=claims, opened_at=opened_at), new_seed())


def seat_panel(dispute: Dispute, at: datetime) -> None:
    """Seat three panelists; where there are not three, an administrator decides."""
    assert dispute.claim is not None, "a contest's panel is drawn when it begins"
    claims = {dispute.claim.pk: dispute.claim.operator_id}
    drawn = draw(dispute.task, claims=claims, opened_at=dispute.opened_at)
    if len(drawn.pool) < SEATS:
        course.hand_to_administrator(dispute, at)
        return
    dispute.advance("seat_panel", COURSE)
    begin_voting(dispute, drawn, at=at)


def begin_voting(dispute: Dispute, drawn: Draw, *, at: datetime) -> None:
    """Seat the first of a draw and let their time to vote begin."""
    dispute.pool, dispute.seed = drawn.pool, drawn.seed
    dispute.due_at = at + timedelta(seconds=terms_of(dispute.task).vote_seconds)
    _fill(dispute, list(range(1, SEATS + 1)), drawn.order, at)
    parties = parties_of(dispute)
    record(
        "dispute.voting_began",
        subject=dispute.subject,
        actor=None,
        readers=parties,
        notified=parties,
        # Who judges is not said; what the seed will have been is, so that it stays what it is.
        data={
            "task": dispute.task.public_id,
            "seed_digest": dispute.seed_digest,
            "due_at": dispute.due_at.isoformat(),
        },
    )


def close_round(dispute: Dispute, at: datetime) -> None:
    """Count the votes, or draw again for seats that stayed silent or had no opinion."""
    seats = list(Seat.objects.filter(dispute=dispute).select_related("panelist"))
    for seat in seats:
        if seat.state == SeatState.OPEN:
            _lapse(dispute, seat, at)
    voted = [one for one in seats if one.state == SeatState.VOTED]
    if len(voted) == SEATS:
        _count(dispute, voted, at)
        return
    vacant = sorted(set(range(1, SEATS + 1)) - {one.position for one in voted})
    left = order_of(dispute.pool, bytes(dispute.seed or b""))[len(seats) :]
    # A contest's panel may be smaller: it has no administrator to turn to.
    can_fill = len(left) >= (1 if dispute.is_contest else len(vacant))
    if dispute.redraws < MOST_REDRAWS and can_fill:
        redraw_seconds = terms_of(dispute.task).redraw_seconds
        dispute.advance("redraw", COURSE, due_at=at + timedelta(seconds=redraw_seconds))
        dispute.redraws += 1
        _fill(dispute, vacant, left, at)
    elif dispute.is_contest:
        _count(dispute, voted, at)
    else:
        course.hand_to_administrator(dispute, at)


def _count(dispute: Dispute, voted: list[Seat], at: datetime) -> None:
    if dispute.is_contest:
        entries = [entry.pk for entry in contests.standing_entries(dispute.task)]
        picked = most_picked([one.pick_id for one in voted if one.pick_id], entries)
        course.settle_contest(dispute, picked, at)
        return
    shares = [one.share_bps for one in voted if one.share_bps is not None]
    dispute.advance("count", COURSE)
    course.decide(dispute, DecidedBy.PANEL, median(shares), at=at)


def _fill(dispute: Dispute, positions: list[int], order: list[str], at: datetime) -> None:
    """Give vacant seats to the next in the order, and tell them, and only them."""
    drawn = order[: len(positions)]
    people = {
        one.handle: one
        for one in Participant.objects.filter(handle__in=drawn).select_related("operator")
    }
    seats = [
        Seat(
            dispute=dispute,
            position=position,
            redraw=dispute.redraws,
            panelist=people[handle],
            operator_id=people[handle].operator_key,
            seated_at=at,
        )
        for position, handle in zip(positions, drawn, strict=False)
    ]
    assert dispute.due_at is not None, "a panel that votes has a limit"
    for one in Seat.objects.bulk_create(seats):
        record(
            "dispute.seat_drawn",
            subject=dispute.subject,
            actor=None,
            readers=[one.panelist_id, one.operator_id],
            notified=[one.panelist_id],
            data={"task": dispute.task.public_id, "due_at": dispute.due_at.isoformat()},
        )


def _lapse(dispute: Dispute, seat: Seat, at: datetime) -> None:
    seat.state, seat.ended_at = SeatState.LAPSED, at
    seat.save(update_fields=["state", "ended_at"])
    record(
        "dispute.seat_lapsed",
        subject=dispute.subject,
        actor=None,
        readers=[seat.panelist_id, seat.operator_id],
        notified=[seat.panelist_id],
        data={"task": dispute.task.public_id},
    )
