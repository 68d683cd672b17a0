"""Disputes in the states that tests begin from, reached as the product reaches them."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from credits import escrow
from marketplace.delivery.models import Delivery
from marketplace.disputes.models import Dispute, Outcome, Seat, SeatState
from marketplace.disputes.usecases.appeal_outcome import appeal_outcome
from marketplace.disputes.usecases.cast_vote import cast_vote
from marketplace.disputes.usecases.decide_dispute import decide_dispute
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.foundation.transactions import run_in_transaction
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines
from tests.builders.once import once
from tests.builders.people import an_agent
from tests.builders.work import (
    Said,
    a_rejected_delivery,
    a_submitted_delivery,
    an_accepted_delivery,
)

EVIDENCE, VOTES, REDRAW = timedelta(hours=48), timedelta(hours=72), timedelta(hours=24)
ADMINISTRATOR, APPEAL = timedelta(days=7), timedelta(hours=48)
MOMENT = timedelta(seconds=1)


@once
def judges() -> list[Participant]:
    """Return strangers to everybody else whose work was accepted; made once for all who ask."""
    return [an_accepted_delivery(worker=an_agent()).worker for _ in range(14)]


def a_dispute(
    poster: Participant | None = None, worker: Participant | None = None, **wanted: Said
) -> Dispute:
    """Return a dispute that a worker opened about a rejection."""
    return disputed(a_rejected_delivery(poster, worker, **wanted))


def a_posters_dispute(
    poster: Participant | None = None, worker: Participant | None = None, **wanted: Said
) -> Dispute:
    """Return a dispute that a poster opened about a delivery under review."""
    judges()
    delivery = a_submitted_delivery(poster, worker, **wanted)
    return open_dispute(task_id=delivery.task_id, actor=delivery.task.poster, reason="Not this.")


def disputed(delivery: Delivery) -> Dispute:
    """Dispute a rejection as the delivery's worker, where there are people to judge it."""
    judges()
    return open_dispute(task_id=delivery.task_id, actor=delivery.worker, reason="It is right.")


def as_it_stands(dispute: Dispute) -> Dispute:
    """Return the dispute as it stands now."""
    return Dispute.objects.select_related("task__poster", "claim__worker").get(pk=dispute.pk)


def after(dispute: Dispute, span: timedelta) -> Dispute:
    """Let a span pass, do what is due on the task as the sweeper does, and return the dispute."""
    clock.advance(span + MOMENT)
    while run_in_transaction(partial(deadlines.apply_passed, dispute.task_id)):
        pass
    return as_it_stands(dispute)


def before_a_panel(dispute: Dispute | None = None) -> Dispute:
    """Return a dispute whose panel has been seated."""
    judges()
    return after(dispute or a_dispute(), EVIDENCE)


def open_seats(dispute: Dispute) -> list[Seat]:
    """Return the seats that have not answered."""
    seats = Seat.objects.filter(dispute=dispute, state=SeatState.OPEN)
    return list(seats.select_related("panelist__operator").order_by("position"))


Vote = Callable[[Seat], object]


def a_vote(outcome: Outcome, share: int | None = None, rationale: str = "I looked.") -> Vote:
    """Return what gives a vote on a seat; *share* is in basis points."""

    def cast(seat: Seat) -> Dispute:
        return cast_vote(
            dispute_id=seat.dispute_id,
            actor=seat.panelist,
            outcome=outcome,
            worker_share=share,
            rationale=rationale,
        )

    return cast


FOR_WORKER = a_vote(Outcome.ACCEPT)
FOR_POSTER = a_vote(Outcome.REJECT)
ABSTAIN = a_vote(Outcome.ABSTAIN)


def split(share: int) -> Vote:
    """Return a vote for a share of the worker's, in basis points."""
    return a_vote(Outcome.SPLIT, share)


def voted(dispute: Dispute, *votes: Vote) -> Dispute:
    """Let the open seats vote, in their order, and return the dispute as it stands."""
    for seat, vote in zip(open_seats(dispute), votes, strict=False):
        vote(seat)
    return as_it_stands(dispute)


def a_decided_dispute(*votes: Vote, dispute: Dispute | None = None) -> Dispute:
    """Return a dispute that its panel decided; nobody has appealed."""
    return voted(before_a_panel(dispute), *(votes or [FOR_WORKER] * 3))


def a_settled_dispute(*votes: Vote, dispute: Dispute | None = None) -> Dispute:
    """Return a dispute that its panel decided, and that nobody appealed against in time."""
    return after(a_decided_dispute(*votes, dispute=dispute), APPEAL)


def appealed(dispute: Dispute, actor: Participant) -> Dispute:
    """Appeal as *actor*."""
    appeal_outcome(dispute_id=dispute.pk, actor=actor, reason="They missed the point.")
    return as_it_stands(dispute)


def decided_by(
    administrator: Participant, dispute: Dispute, outcome: Outcome, share: int | None = None
) -> Dispute:
    """Decide as an administrator."""
    decide_dispute(
        dispute_id=dispute.pk,
        actor=administrator,
        outcome=outcome,
        worker_share=share,
        rationale="I read all of it.",
    )
    return as_it_stands(dispute)


def deposited(dispute: Dispute) -> int:
    """Return what the escrow of a dispute's deposit holds, in micro-credits."""
    return escrow.held(dispute.public_id)
