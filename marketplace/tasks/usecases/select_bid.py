"""The poster picks a bid."""

import uuid

from marketplace.foundation.transactions import use_case
from marketplace.participants.dealings import require_free
from marketplace.participants.models import Participant
from marketplace.tasks import bids, offers, permissions
from marketplace.tasks.ending import save_transition
from marketplace.tasks.models import Bid
from marketplace.tasks.terms import check_bid, require_terms


@use_case
def select_bid(*, bid_id: uuid.UUID, actor: Participant, amount: int | None = None) -> Bid:
    """Offer the task to a bidder for the bid's amount, which takes the bounty's place (rule 3).

    The bidder takes the offer by claiming the task. The rest of the bounty stays in escrow and is
    refunded at the end.

    Args:
        bid_id: Which bid.
        actor: The poster of its task.
        amount: What the poster read in it, in micro-credits; None takes what stands.

    Raises:
        Bid.DoesNotExist: No such bid, or not the actor's to see.
        IllegalTransition, NotPermitted: The bid, or its task, is not open; somebody else's move.
        TermsChanged: The task was edited after the bid; the bidder has to answer the new terms.
        BidChanged: It has another amount now.
        InvalidTerms: It is above what subtasks have left of the bounty.
        OwnTask: The bidder has become somebody who cannot take it (rule 7).
        Frozen, PosterFrozen, Blocked: One side enters into nothing new.

    Locks: the operators of both sides, then the task.
    """
    bid, task, now = bids.lock(bid_id, actor)
    roles = bids.require(bid, task, "select", actor)
    permissions.require(task, "select", roles, now)
    require_free(actor)
    offers.require_offerable(bid.bidder, actor)
    if not offers.may_take(bid.bidder, task):
        raise permissions.OwnTask(verb="select", reason="the bidder leads a task above this one")
    require_terms(task, bid.terms_version)
    if amount is not None and amount != bid.amount:
        raise bids.BidChanged(amount=bid.amount)
    check_bid(task, bid.amount)  # subtasks may have more of the bounty than when it was made
    bids.advance(bid, "select", roles=roles)
    task.advance("select", roles=roles, at=now)
    task.selected_bid, task.price = bid, bid.amount
    task.offer(bid.bidder, at=now)
    save_transition(task)
    offers.tell(task, actor)
    return bid
