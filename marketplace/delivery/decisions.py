"""Accepting and rejecting a delivery, whoever decides: the poster, the checks or the clock.

Callers hold the task's lock and have asked whether the verb is permitted.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from credits import amounts
from marketplace.delivery.models import Delivery, DeliveryState
from marketplace.events.log import record
from marketplace.foundation.batching import write
from marketplace.foundation.rows import save_rows
from marketplace.participants.models import Participant
from marketplace.tasks import ending
from marketplace.tasks.models import Claim, Settlement, Task
from marketplace.tasks.states import Role

# What a decision may set; saved together, so that neither verb forgets one.
DECIDED = (
    "state",
    "decided_at",
    "comment",
    "reason",
    "requirement",
    "first_decision",
    "first_decided_at",
    "at_stake",
    "decided_for",
)


def accept(
    task: Task,
    delivery: Delivery,
    verb: str,
    *,
    roles: frozenset[Role],
    actor: Participant | None,
    at: datetime,
    comment: str = "",
) -> Settlement:
    """Accept a delivery and settle the escrow."""
    parties = task.parties
    delivery.note_decision(verb, task=task, at_stake=task.payable, at=at)
    task.advance(verb, roles=roles, at=at)
    settlement = ending.end_accepted(task, at=at)
    delivery.state, delivery.decided_at = DeliveryState.ACCEPTED, at
    delivery.comment = comment
    write(_save, delivery)
    record(
        "delivery.accepted",
        subject=delivery.subject,
        actor=actor.pk if actor else None,
        readers=parties,
        notified=parties,
        data={
            "task": task.public_id,
            "by": verb,
            "wages": amounts.format(settlement.wages),
            "fee": amounts.format(settlement.fee),
            "royalties": amounts.format(settlement.royalties),
        },
    )
    return settlement


def reject(
    task: Task,
    delivery: Delivery,
    verb: str,
    *,
    roles: frozenset[Role],
    actor: Participant | None,
    at: datetime,
    reason: str,
    requirement: int | None = None,
) -> None:
    """Reject a delivery; the worker may deliver again until `resubmit_by`."""
    delivery.note_decision(verb, task=task, at_stake=task.payable, at=at)
    task.advance(verb, roles=roles, at=at)
    claim = task.claim
    assert claim is not None, "a submitted task is held"
    claim.rejections += 1
    write(_save_rejections, claim)
    task.stop_review()
    task.resubmit_by = at + timedelta(seconds=task.resubmission_seconds)
    ending.save_transition(task)
    delivery.state, delivery.decided_at = DeliveryState.REJECTED, at
    delivery.reason, delivery.requirement = reason, requirement
    write(_save, delivery)
    record(
        "delivery.rejected",
        subject=delivery.subject,
        actor=actor.pk if actor else None,
        readers=task.parties,
        notified=task.parties,
        data={"task": task.public_id, "by": verb, "reason": reason, "requirement": requirement},
    )


def _save(deliveries: Sequence[Delivery]) -> None:
    save_rows(deliveries, DECIDED)


def _save_rejections(claims: Sequence[Claim]) -> None:
    save_rows(claims, ["rejections"])
