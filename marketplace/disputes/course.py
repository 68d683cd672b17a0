"""The course of a dispute after its votes: an administrator, the decision, and the settlement.

Callers hold the task's lock and save the dispute with `save`, unless it is settled here.
"""

import uuid
from datetime import datetime, timedelta

from credits import amounts
from marketplace.delegation import waiting
from marketplace.delivery import contests, review
from marketplace.delivery.models import Delivery, DeliveryState
from marketplace.disputes.models import (
    Cause,
    DecidedBy,
    Decision,
    Dispute,
    Outcome,
    Seat,
    SeatState,
)
from marketplace.disputes.outcomes import default_share
from marketplace.disputes.queries import parties_of
from marketplace.disputes.states import Part
from marketplace.events.log import record
from marketplace.participants.models import Participant
from marketplace.tasks import ending
from marketplace.tasks.dispute_terms import terms_of
from marketplace.tasks.division import BASIS_POINTS, equal_parts
from marketplace.tasks.states import Role

COURSE = frozenset({Part.COURSE})
BY_STAFF = frozenset({Part.STAFF})
CLOCK = frozenset({Role.CLOCK})
STAFF = frozenset({Role.STAFF})

PROGRESS = ("state", "due_at", "pool", "seed", "redraws", "appellant", "appeal_reason")


def share_text(bps: int) -> str:
    """Return a share as callers read it: `0.35`."""
    return amounts.format(bps * (amounts.MICRO // BASIS_POINTS))


def save(dispute: Dispute) -> None:
    """Save what a step changed, and let the task know when the next one is due."""
    dispute.save(update_fields=PROGRESS)
    dispute.task.dispute_due_at = dispute.due_at
    ending.save_transition(dispute.task)


def hand_to_administrator(dispute: Dispute, at: datetime) -> None:
    """Three panelists cannot be seated: an administrator decides."""
    seconds = terms_of(dispute.task).administrator_seconds
    dispute.advance("find_no_panel", COURSE, due_at=at + timedelta(seconds=seconds))
    parties = parties_of(dispute)
    record(
        "dispute.handed_to_administrator",
        subject=dispute.subject,
        actor=None,
        readers=parties,
        notified=parties,
        data={"task": dispute.task.public_id},
    )


def decide_by_default(dispute: Dispute, at: datetime) -> None:
    """No administrator decided either: what the checks proved does."""
    assert dispute.delivery is not None, "a contest without a panel is shared"
    dispute.advance("default", COURSE)
    share = default_share(review.required_runs(dispute.delivery))
    decide(dispute, DecidedBy.DEFAULT, share, at=at)


def decide(
    dispute: Dispute,
    by: DecidedBy,
    share_bps: int,
    *,
    at: datetime,
    administrator: Participant | None = None,
    rationale: str = "",
) -> None:
    """Record the outcome of a dispute that has been advanced; it may be appealed against.

    Nothing is paid before the time to appeal is over, so that nothing has to be paid back.
    """
    decision = Decision.objects.create(
        dispute=dispute,
        on_appeal=False,
        decided_by=by,
        administrator=administrator,
        share_bps=share_bps,
        rationale=rationale,
        decided_at=at,
    )
    dispute.due_at = at + timedelta(seconds=terms_of(dispute.task).appeal_seconds)
    parties = parties_of(dispute)
    record(
        "dispute.decided",
        subject=dispute.subject,
        actor=None,  # the row says who of staff decided
        readers=parties,
        notified=parties,
        data={
            "task": dispute.task.public_id,
            "outcome": decision.outcome,
            "worker_share": share_text(share_bps),
            "decided_by": by,
            "appeal_until": dispute.due_at.isoformat(),
        },
    )


def settle(dispute: Dispute, *, at: datetime, by_staff: bool = False) -> None:
    """Divide the escrow and the deposit as was decided last; the dispute, and its task, end.

    Args:
        dispute: Which dispute.
        at: The market's time.
        by_staff: Whether an administrator decides about the appeal now, rather than time passing.

    Locks: the accounts that are paid.
    """
    task, delivery = dispute.task, dispute.delivery
    assert delivery is not None, "contests are settled by their pick"
    decision = Decision.objects.filter(dispute=dispute).order_by("-on_appeal")[0]
    voters = _voters(dispute)
    if dispute.is_about_earnings:
        _settle_earnings(dispute, decision, voters, at=at, by_staff=by_staff)
        return
    verb = "accept_by_outcome" if decision.share_bps else "cancel_by_outcome"
    task.advance(verb, roles=STAFF if by_staff else CLOCK, at=at)
    dispute.advance(*(("decide", BY_STAFF) if by_staff else ("settle", COURSE)))
    settlement = ending.end_judged(
        task,
        share_bps=decision.share_bps,
        voters=[seat.operator_id for seat in voters],
        deposit=_deposit(dispute, decision.share_bps),
        at=at,
    )
    _close_delivery(delivery, decision, at)
    _close(dispute, voters, settlement.panel, at, share_bps=decision.share_bps)
    _tell_decision(dispute, decision, voters, wages=settlement.wages, refund=settlement.refund)


def _settle_earnings(
    dispute: Dispute, decision: Decision, voters: list[Seat], *, at: datetime, by_staff: bool
) -> None:
    """Divide what an accepted subtask earned and what waited; the subtask stays accepted."""
    dispute.advance(*(("decide", BY_STAFF) if by_staff else ("settle", COURSE)))
    released = waiting.judge(
        dispute.task,
        share_bps=decision.share_bps,
        voters=[seat.operator_id for seat in voters],
        deposit=_deposit(dispute, decision.share_bps),
        at=at,
    )
    _close(dispute, voters, released.panel, at, share_bps=decision.share_bps)
    _tell_decision(dispute, decision, voters, wages=released.wages, refund=released.returned)


def _tell_decision(
    dispute: Dispute, decision: Decision, voters: list[Seat], *, wages: int, refund: int
) -> None:
    assert dispute.delivery is not None, "contests are told of by their pick"
    _tell(
        dispute,
        voters,
        delivery=dispute.delivery.public_id,
        outcome=decision.outcome,
        worker_share=share_text(decision.share_bps),
        decided_by=decision.decided_by,
        wages=amounts.format(wages),
        refund=amounts.format(refund),
    )


def settle_contest(dispute: Dispute, picked: uuid.UUID | None, at: datetime) -> None:
    """Pay the entry that was picked; where nobody voted, all that passed share (rule 12)."""
    task = dispute.task
    voters = _voters(dispute)
    dispute.advance("settle", COURSE)
    if picked is None:
        settlement = contests.share(task, "share", roles=CLOCK, at=at)
        _close(dispute, voters, settlement.panel, at, share_bps=None)
        _tell(dispute, voters, decided_by=DecidedBy.DEFAULT)
    else:
        entry = Delivery.objects.select_related("claim").get(pk=picked)
        settlement = contests.award(
            task,
            entry,
            "award",
            roles=CLOCK,
            actor=None,
            at=at,
            voters=[seat.operator_id for seat in voters],
        )
        _close(dispute, voters, settlement.panel, at, share_bps=None)
        _tell(
            dispute,
            voters,
            delivery=entry.public_id,
            outcome=Outcome.ACCEPT,
            decided_by=DecidedBy.PANEL,
        )


def _voters(dispute: Dispute) -> list[Seat]:
    voted = Seat.objects.filter(dispute=dispute, state=SeatState.VOTED)
    return list(voted.select_related("panelist").order_by("position"))


def _deposit(dispute: Dispute, share_bps: int) -> ending.Deposit | None:
    """Return the deposit and who receives it: the opener, unless the outcome gives it nothing."""
    if dispute.opener is None or dispute.claim is None:
        return None
    by_worker = dispute.cause == Cause.WORKER
    other = dispute.poster_side[1] if by_worker else dispute.claim.operator_id
    nothing = share_bps == (0 if by_worker else BASIS_POINTS)
    payee = other if nothing else dispute.opener.operator_key
    return ending.Deposit(work=dispute.public_id, amount=dispute.deposit, payee=payee)


def _close_delivery(delivery: Delivery, decision: Decision, at: datetime) -> None:
    if decision.share_bps:
        delivery.state, delivery.decided_at = DeliveryState.ACCEPTED, at
    elif delivery.state == DeliveryState.SUBMITTED:
        delivery.state, delivery.decided_at = DeliveryState.REJECTED, at
        delivery.reason = "A dispute was decided against it."
    delivery.save(update_fields=["state", "decided_at", "reason"])


def _close(
    dispute: Dispute,
    voters: list[Seat],
    panel: int,
    at: datetime,
    *,
    share_bps: int | None,
) -> None:
    dispute.share_bps, dispute.settled_at, dispute.due_at = share_bps, at, None
    dispute.save(update_fields=["state", "share_bps", "settled_at", "due_at"])
    fees = equal_parts(panel, len(voters))
    for seat, fee in zip(voters, fees, strict=True):
        seat.fee = fee
    Seat.objects.bulk_update(voters, ["fee"])


def _tell(dispute: Dispute, voters: list[Seat], **data: object) -> None:
    sides = parties_of(dispute)
    panel = [seat.panelist_id for seat in voters]
    record(
        "dispute.settled",
        subject=dispute.subject,
        actor=None,
        readers=[*sides, *panel, *(seat.operator_id for seat in voters)],
        notified=[*sides, *panel],
        data={
            "task": dispute.task.public_id,
            "cause": dispute.cause,
            "opened_by": dispute.opener.handle if dispute.opener else None,
            "voters": [seat.panelist.handle for seat in voters],
            **data,
        },
    )
