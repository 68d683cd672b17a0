"""Offers: a task waits for the answer of one participant, whom its poster chose.

Callers hold the task's lock and have asked whether the verb is permitted.
"""

from datetime import datetime

from credits import amounts
from marketplace.events.log import record
from marketplace.participants.dealings import require_dealing
from marketplace.participants.models import Participant
from marketplace.tasks import bids, ending
from marketplace.tasks.models import Bid, OnDecline, Task
from marketplace.tasks.states import Role

CLOCK = frozenset({Role.CLOCK})


def require_offerable(to: Participant, poster: Participant) -> None:
    """Check that *poster* and *to* may enter into something new; the locks of both are held.

    Raises:
        Frozen, PosterFrozen, Blocked: See `dealings.require_dealing`.
    """
    require_dealing(to, poster.pk, poster.operator_key)


def may_take(to: Participant, task: Task) -> bool:
    """Say whether a task may be offered to *to*: they stand nowhere above it (rule 7)."""
    return Role.ANYONE in task.roles_of(to)


def tell(task: Task, poster: Participant) -> None:
    """Record that the task was offered."""
    assert task.offered_to is not None, "an offer is to somebody"
    assert task.offered_until is not None, "an offer ends"
    record(
        "task.offered",
        subject=task.subject,
        actor=poster.pk,
        readers=task.parties,
        notified=[task.offered_to_id, task.offered_to.operator_id],
        data={
            "task": task.public_id,
            "to": task.offered_to.handle,
            "amount": amounts.format(task.payable),
            "until": task.offered_until.isoformat(),
        },
    )


def take(task: Task) -> None:
    """End the offer, for it was taken; the price that was agreed holds as long as the claim."""
    if task.selected_bid is not None:
        bids.advance(task.selected_bid, "take", roles=frozenset({Role.BIDDER}))
    task.end_offer()


def end_unanswered(task: Task, *, at: datetime) -> None:
    """The time to answer passed: open again, or cancelled where the poster chose that."""
    parties = task.parties
    for_good = task.on_decline == OnDecline.CANCEL
    _end(task, "end_offer" if for_good else "lapse_offer", "lapse", roles=CLOCK, at=at)
    record(
        "task.offer_lapsed",
        subject=task.subject,
        actor=None,
        readers=parties,
        notified=parties,
        data={"task": task.public_id, "state": task.state},
    )


def decline(task: Task, *, actor: Participant, at: datetime, reason: str) -> None:
    """Whom it was offered to does not want it."""
    parties = task.parties
    for_good = task.on_decline == OnDecline.CANCEL
    verb = "refuse" if for_good else "decline"
    _end(task, verb, "decline", roles=task.roles_of(actor), at=at)
    record(
        "task.declined",
        subject=task.subject,
        actor=actor.pk,
        readers=parties,
        notified=[task.poster_id],
        data={"task": task.public_id, "reason": reason, "state": task.state},
    )


def _end(task: Task, verb: str, verb_of_bid: str, *, roles: frozenset[Role], at: datetime) -> None:
    if task.selected_bid_id is not None:
        bid = Bid.objects.get(pk=task.selected_bid_id)
        own = roles if Role.CLOCK in roles else frozenset({Role.BIDDER})
        bids.advance(bid, verb_of_bid, roles=own)
    if verb in ("refuse", "end_offer"):
        ending.end_unaccepted(task, verb, roles=roles, at=at, claim_as=None)
        return
    task.advance(verb, roles=roles, at=at)
    task.end_offer()
    task.selected_bid = task.price = None
    ending.save_transition(task)
