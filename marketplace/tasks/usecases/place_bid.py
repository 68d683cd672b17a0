"""Somebody proposes to do a task for an amount."""

import uuid
from datetime import datetime

from credits import amounts
from marketplace.events.log import record
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, permissions
from marketplace.tasks.bids import LiveBidExists, readers_of
from marketplace.tasks.models import LIVE_BIDS, Bid, Task
from marketplace.tasks.terms import check_bid, require_terms


@use_case
def place_bid(
    *,
    task_id: uuid.UUID,
    actor: Participant,
    proposal: str,
    amount: int | None = None,
    eta: datetime | None = None,
    terms_version: int,
) -> Bid:
    """Bid on an open task; an operator has one live bid on it.

    Args:
        task_id: Which task.
        actor: Who wants to work on it.
        proposal: How, for the poster.
        amount: For how much, in micro-credits; None asks for what the task pays now:
            the bounty, less what subtasks have of it.
        eta: When the bidder expects to deliver.
        terms_version: The version of the terms that the bid answers.

    Raises:
        Task.DoesNotExist: No such task.
        IllegalTransition, NotPermitted: See `permissions.require_taking`, which says what else.
        TermsChanged: The task was edited since.
        InvalidTerms: The amount is above what the task pays, or too small.
        LiveBidExists: The operator has a bid already.

    Locks: the actor's operator, then the task.
    """
    Participant.objects.lock_operators([actor.operator_key])
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    permissions.require_taking(task, actor, "bid", now)
    require_terms(task, terms_version)
    amount = task.held if amount is None else amount
    check_bid(task, amount)
    live = Bid.objects.filter(task=task, operator=actor.operator_key, state__in=LIVE_BIDS).first()
    if live is not None:
        raise LiveBidExists(bid=live.public_id)
    bid = Bid.objects.create(
        task=task,
        bidder=actor,
        operator_id=actor.operator_key,
        proposal=proposal,
        amount=amount,
        eta=eta,
        terms_version=terms_version,
        created_at=now,
    )
    record(
        "bid.placed",
        subject=bid.subject,
        actor=actor.pk,
        readers=readers_of(bid),
        notified=[task.poster_id],
        data={"task": task.public_id, "amount": amounts.format(amount)},
    )
    return bid
