"""Either side of a bid names another amount."""

import uuid
from datetime import datetime

from credits import amounts
from marketplace.events.log import record
from marketplace.foundation.transactions import use_case
from marketplace.participants.dealings import require_dealing
from marketplace.participants.models import Participant
from marketplace.tasks import bids
from marketplace.tasks.models import Bid, CounterOffer
from marketplace.tasks.states import Role
from marketplace.tasks.terms import check_bid, require_terms


@use_case
def counter_bid(
    *,
    bid_id: uuid.UUID,
    actor: Participant,
    amount: int,
    eta: datetime | None = None,
    note: str = "",
    terms_version: int | None = None,
) -> Bid:
    """Put another amount into a bid; it is what a selection offers from now on.

    Args:
        bid_id: Which bid.
        actor: Its bidder, or the poster of its task.
        amount: For how much, in micro-credits.
        eta: When the work would be delivered; None leaves it.
        note: Why, for the other side.
        terms_version: The version of the terms that the bidder answers now; None leaves the one
            that the bid answered, which is refused once the task was edited.

    Raises:
        Bid.DoesNotExist: No such bid, or not the actor's to see.
        IllegalTransition, NotPermitted: The bid, or its task, is not open; somebody else's move.
        TermsChanged: The task was edited since the bidder read it.
        InvalidTerms: The amount is above the bounty, or too small.
        CountersExhausted: Both sides have countered often enough.
        Frozen, PosterFrozen, Blocked: See `dealings.require_dealing`.

    Locks: the bidder's operator, then the task.
    """
    bid, task, now = bids.lock(bid_id, actor)
    roles = bids.require(bid, task, "counter", actor)
    require_dealing(bid.bidder, task.poster_id, task.poster_operator_id)
    if Role.BIDDER in roles and terms_version is not None:
        bid.terms_version = terms_version
    require_terms(task, bid.terms_version)
    check_bid(task, amount)
    number = bid.counters.count() + 1
    if number > bids.MOST_COUNTERS:
        raise bids.CountersExhausted(most=bids.MOST_COUNTERS)
    CounterOffer.objects.create(
        bid=bid, number=number, by=actor, amount=amount, eta=eta, note=note, created_at=now
    )
    bid.amount, bid.eta = amount, eta or bid.eta
    bid.save(update_fields=["amount", "eta", "terms_version"])
    record(
        "bid.countered",
        subject=bid.subject,
        actor=actor.pk,
        readers=bids.readers_of(bid),
        notified=[bid.bidder_id, task.poster_id],
        data={"task": task.public_id, "amount": amounts.format(amount), "note": note},
    )
    return bid
