"""A bidder takes a bid back."""

import uuid

from marketplace.events.log import record
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks import bids
from marketplace.tasks.models import Bid


@use_case
def withdraw_bid(*, bid_id: uuid.UUID, actor: Participant) -> Bid:
    """Withdraw an open bid; one that was selected is an offer, which its bidder declines.

    Raises:
        Bid.DoesNotExist: No such bid, or not the actor's to see.
        IllegalTransition, NotPermitted: The bid is not open; somebody else's bid.

    Locks: the bidder's operator, then the task.
    """
    bid, task, _ = bids.lock(bid_id, actor)
    bids.advance(bid, "withdraw", roles=bids.roles_of(bid, actor))
    record(
        "bid.withdrawn",
        subject=bid.subject,
        actor=actor.pk,
        readers=bids.readers_of(bid),
        notified=[task.poster_id],
        data={"task": task.public_id},
    )
    return bid
