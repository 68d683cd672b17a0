"""What people do with tasks and bids: each move changes the model, or is `Refused`."""

from datetime import datetime, timedelta

from tests.model.market import (
    CLAIMS,
    CLAIMS_OF_OPERATOR,
    LEAST_BOUNTY,
    MOST_TIMES,
    OFFER,
    PER_EXTRA,
    REUSE_CAP,
    Market,
)
from tests.model.things import Bid, Claim, Delivery, Person, Refused, Task, Use, down

# Whose verb it is, and while the task is in which states.
MAY: dict[str, dict[str, set[str]]] = {
    "claim": {"anyone": {"open"}, "offeree": {"offered"}},
    "bid": {"anyone": {"open"}},
    "enter": {"anyone": {"open"}},
    "edit": {"poster": {"open"}},
    "raise": {"poster": {"open", "claimed", "submitted"}},
    "cancel": {"poster": {"open", "offered"}},
    "decline": {"offeree": {"offered"}},
    "refuse": {"offeree": {"offered"}},
    "heartbeat": {"worker": {"claimed"}},
    "submit": {"worker": {"claimed"}},
    "use_asset": {"worker": {"claimed"}},
    "abandon": {"worker": {"claimed"}},
    "withdraw": {"worker": {"claimed"}},
    "give_notice": {"poster": {"claimed"}},
    "cancel_at_once": {"poster": {"claimed"}},
    "accept": {"poster": {"submitted"}},
    "reject": {"poster": {"submitted"}},
    "dispute": {"poster": {"submitted"}, "worker": {"claimed"}},
    "accept_by_staff": {"staff": {"submitted"}},
    "reject_by_staff": {"staff": {"submitted"}},
}
MOST_REJECTIONS, MOST_AUTOMATIC, MOST_RELEASED, MOST_COUNTERS = 2, 3, 3, 20
LEAST_SPAN, MOST_SPAN = timedelta(minutes=5), timedelta(days=90)


def roles_of(task: Task, who: Person) -> set[str]:
    """Return what somebody is to a task."""
    roles = {"poster"} if who.id == task.poster.id else set()
    if task.worker is not None and who.id == task.worker.id:
        roles.add("worker")
    if task.offered_to is not None and who.id == task.offered_to.id:
        roles.add("offeree")
    if who.operator != task.poster.operator:
        roles.add("anyone")
    return roles


def rule_against(task: Task, verb: str, at: datetime) -> str | None:  # noqa: C901, PLR0911, PLR0912 - the rules, in their order
    """Return which rule beside the states forbids a verb."""
    is_open, contest = task.state == "open", task.contest
    if verb == "claim" and is_open and task.mode in ("bid", "contest"):
        return "wrong_mode"
    if verb == "bid" and task.mode != "bid":
        return "wrong_mode"
    if verb in ("reject", "dispute") and contest:
        return "wrong_mode"
    if verb in ("edit", "cancel") and task.entries:
        return "contest_entered"
    if verb == "heartbeat" and (task.resubmit_by or task.notice_until):
        return "lease_not_renewable"
    cancels = verb in ("give_notice", "cancel_at_once")
    if cancels and task.resubmit_by is not None and task.resubmit_by > at:
        return "resubmission_pending"
    if verb == "give_notice" and task.notice_until is not None:
        return "notice_given"
    rejections = task.claim.rejections if task.claim is not None else 0
    if verb == "reject" and rejections >= MOST_REJECTIONS:
        return "rejections_exhausted"
    if verb == "reject" and task.automatic and not task.reviewed:
        return "checks_running"
    if verb in ("accept_by_staff", "reject_by_staff") and task.staff_until is None:
        return "not_with_staff"
    if verb == "dispute" and task.state == "claimed" and task.resubmit_by is None:
        return "nothing_rejected"
    if verb == "dispute" and task.state == "submitted" and not task.reviewed:
        return "checks_running"
    if verb == "submit" and rejections > MOST_REJECTIONS:
        return "rejections_exhausted"
    return None


class Moves(Market):
    """The market, and what people do in it."""

    def _require(self, task: Task, verb: str, roles: set[str], at: datetime) -> str:
        """Return what somebody does *verb* as, or say why they may not."""
        if verb in ("claim", "bid", "enter") and "anyone" not in roles:
            raise Refused("OwnTask")
        own = sorted(role for role in MAY[verb] if role in roles)
        as_what = next((role for role in own if task.state in MAY[verb][role]), None)
        if as_what is None:
            of_somebody = any(task.state in states for states in MAY[verb].values())
            raise Refused("IllegalTransition" if own or not of_somebody else "NotPermitted")
        rule = rule_against(task, verb, at)
        if rule is not None:
            raise Refused(f"NotNow {rule}")
        return as_what

    def _require_dealing(self, who: Person, poster: Person) -> None:
        if (poster.operator, who.operator) in self.blocks:
            raise Refused("Blocked")

    def _require_taking(self, task: Task, who: Person, verb: str, at: datetime) -> str:
        role = self._require(task, verb, roles_of(task, who), at)
        self._require_dealing(who, task.poster)
        if task.state != "offered":
            if task.kind is not None and who.kind != task.kind:
                raise Refused("NotEligible")
            least = task.min_standing
            if least is not None and self.as_worker(who.operator, at) < least:
                raise Refused("NotEligible")
        return role

    def _require_terms(self, task: Task, read: int | None) -> None:
        if read is not None and not task.valid_from <= read <= task.version:
            raise Refused("TermsChanged")

    def _check_amount(self, task: Task, amount: int) -> None:
        if not LEAST_BOUNTY <= amount <= task.bounty:
            raise Refused("InvalidTerms")

    # --- Posters ----------------------------------------------------------------------------------

    def post(self, task: Task, assignee: Person | None, at: datetime) -> None:
        """Put the bounty into escrow; the task is open, or offered."""
        poster = task.poster
        if task.bounty < LEAST_BOUNTY or (task.mode == "direct") != (assignee is not None):
            raise Refused("InvalidTerms")
        if assignee is not None:
            if assignee.operator == poster.operator:
                raise Refused("InvalidTerms")
            self._require_dealing(assignee, poster)
        self.spend(poster, task.bounty, task.bounty, at)
        self.tasks.append(task)
        self.escrows[task] = task.bounty
        if assignee is not None:
            task.state = "offered"
            self._offer(task, assignee, at)

    def _offer(self, task: Task, to: Person, at: datetime) -> None:
        task.offered_to, task.offered_until = to, min(at + OFFER, task.deadline)

    def edit(self, task: Task, who: Person, bounty: int, at: datetime) -> None:
        """Change the bounty of an open task: new terms, which nobody has agreed to."""
        self.current(task, at)
        role = self._require(task, "edit", roles_of(task, who), at)
        if bounty < LEAST_BOUNTY:
            raise Refused("InvalidTerms")
        self._follow(task, who, bounty, at)
        self.go(task, "edit", role)
        task.version += 1
        task.valid_from = task.version

    def _follow(self, task: Task, who: Person, bounty: int, at: datetime) -> None:
        more = bounty - task.bounty
        if more > 0:
            self.spend(who, more, bounty, at)
        else:
            self.wallets[who.operator] -= more
        self.escrows[task] += more
        task.bounty = bounty

    def raise_bounty(self, task: Task, who: Person, bounty: int, at: datetime) -> None:
        """Raise the bounty; a price that was agreed rises by as much."""
        self.current(task, at)
        role = self._require(task, "raise", roles_of(task, who), at)
        if bounty <= task.bounty:
            raise Refused("InvalidTerms")
        old = task.bounty
        self._follow(task, who, bounty, at)
        if task.price is not None:
            task.price += bounty - old
        self._raised(task, role)

    def raise_deadline(self, task: Task, who: Person, deadline: datetime, at: datetime) -> None:
        """Move the deadline out; of a contest with entries no further than from its posting."""
        self.current(task, at)
        role = self._require(task, "raise", roles_of(task, who), at)
        since = task.posted if task.entries else at
        if deadline <= task.deadline or not LEAST_SPAN <= deadline - since <= MOST_SPAN:
            raise Refused("InvalidTerms")
        task.deadline = deadline
        self._raised(task, role)

    def _raised(self, task: Task, role: str) -> None:
        self.go(task, "raise", role)
        task.version += 1

    def cancel(self, task: Task, who: Person, at: datetime, *, at_once: bool) -> None:
        """Cancel: free while open, by notice or with compensation while held."""
        self.current(task, at)
        held = task.state == "claimed"
        verb = ("cancel_at_once" if at_once else "give_notice") if held else "cancel"
        role = self._require(task, verb, roles_of(task, who), at)
        if verb == "give_notice":
            self.go(task, verb, role)
            task.notice_until = min(at + timedelta(seconds=task.lease), task.deadline)
            return
        self.go(task, verb, role, "cancelled")
        self.end_unaccepted(task, at, "cancelled" if held else None, compensated=held)

    def block(self, who: Person, other: Person) -> None:
        """Keep somebody's operator from new work of one's own, or end that."""
        if who.operator == other.operator:
            raise Refused("OwnOperator")
        self.blocks ^= {(who.operator, other.operator)}

    # --- Workers ----------------------------------------------------------------------------------

    def claim(self, task: Task, who: Person, read: int | None, at: datetime) -> None:
        """Claim an open task, or take an offer."""
        self.current(task, at)
        role = self._require_taking(task, who, "claim", at)
        self._require_terms(task, read)
        self._require_room(who, at)
        self.go(task, "claim", role, "claimed")
        if task.selected is not None:
            self.turn(task.selected, "take", "bidder", "taken")
        task.offered_to = task.offered_until = None
        task.claim, task.worker = Claim(who), who
        task.claims.append(task.claim)
        task.lease_until = min(at + timedelta(seconds=task.lease), task.deadline)

    def _require_room(self, who: Person, at: datetime) -> None:
        held = [task.worker for task in self.tasks if task.state == "claimed" and task.worker]
        own = sum(one.id == who.id for one in held)
        together = sum(one.operator == who.operator for one in held)
        for count, base, holder in (
            (own, CLAIMS, who.id),
            (together, CLAIMS_OF_OPERATOR, who.operator),
        ):
            extra = int(self.as_worker(holder, at)) // PER_EXTRA
            if count >= min(base + extra, base * MOST_TIMES):
                raise Refused("ClaimCapReached")

    def decline(self, task: Task, who: Person, at: datetime) -> None:
        """Decline an offer."""
        self.current(task, at)
        verb = "refuse" if task.on_decline == "cancel" else "decline"
        role = self._require(task, verb, roles_of(task, who), at)
        self.end_offer(task, verb, ("decline", "bidder", "declined"), role, at)

    def heartbeat(self, task: Task, who: Person, at: datetime) -> None:
        """Renew the lease."""
        self.current(task, at)
        self.go(task, "heartbeat", self._require(task, "heartbeat", roles_of(task, who), at))
        task.lease_until = min(at + timedelta(seconds=task.lease), task.deadline)

    def abandon(self, task: Task, who: Person, at: datetime) -> None:
        """Give a task back."""
        self.current(task, at)
        verb = "abandon" if task.notice_until is None else "withdraw"
        role = self._require(task, verb, roles_of(task, who), at)
        if verb == "withdraw":
            self.go(task, verb, role, "cancelled")
            self.end_unaccepted(task, at, "abandoned")
        else:
            self.go(task, verb, role, "open")
            self.release(task, "abandoned", at)

    def use(self, task: Task, who: Person, at: datetime) -> None:
        """Use the asset for a task: owed out of what the claim earns."""
        self.current(task, at)
        role = self._require(task, "use_asset", roles_of(task, who), at)
        claim = task.claim
        assert claim is not None
        if not any(use.state == "bound" for use in claim.uses):
            if self._debt(who) >= MOST_RELEASED:
                raise Refused("ReleasedUsesUnpaid")
            if claim.bound + self.price_of_asset > down(task.cost, REUSE_CAP):
                raise Refused("ReuseCapExceeded")
            claim.uses.append(Use(who.operator, self.price_of_asset))
            self.uses.append(claim.uses[-1])
        self.go(task, "use_asset", role)

    def _debt(self, who: Person) -> int:
        """Count the uses that were released unpaid since the last one that was paid."""
        own = [use for use in self.uses if use.operator == who.operator]
        paid = max((place for place, use in enumerate(own) if use.state == "paid"), default=-1)
        return sum(use.state == "released" and use.amount > 0 for use in own[paid + 1 :])

    def deliver(self, task: Task, who: Person, at: datetime) -> Delivery:
        """Deliver, or enter a contest."""
        self.current(task, at)
        if task.contest:
            role = self._require_taking(task, who, "enter", at)
            if any(one.worker.operator == who.operator for one in task.claims):
                raise Refused("AlreadyEntered")
            claim = Claim(who)
            task.claims.append(claim)
            task.entries += 1
            self.go(task, "enter", role)
        else:
            role = self._require(task, "submit", roles_of(task, who), at)
            own = [one for one in task.deliveries if one.claim.worker.operator == who.operator]
            if task.automatic and len(own) >= MOST_AUTOMATIC:
                raise Refused("DeliveriesExhausted")
            assert task.claim is not None
            claim = task.claim
            task.lease_until = task.resubmit_by = None
            self.go(task, "submit", role, "submitted")
        verdict = "pending" if task.checked else None
        delivery = Delivery(None, claim, len(task.deliveries) + 1, verdict)
        task.deliveries.append(delivery)
        if not task.checked:
            delivery.checks_ended = True
            task.begin_review(at, task.review)
        return delivery

    def verdict(self, task: Task, delivery: Delivery, verdict: str, at: datetime) -> None:
        """The check of a delivery has ended."""
        delivery.verdict = verdict
        self.checks_ended(task, delivery, at)

    # --- Bids -------------------------------------------------------------------------------------

    def bid(self, task: Task, who: Person, amount: int, read: int, at: datetime) -> Bid:
        """Propose a price."""
        self.current(task, at)
        role = self._require_taking(task, who, "bid", at)
        self._require_terms(task, read)
        self._check_amount(task, amount)
        live = ("open", "selected", "taken")
        if any(one.bidder.operator == who.operator and one.state in live for one in task.bids):
            raise Refused("LiveBidExists")
        self.go(task, "bid", role)
        made = Bid(None, task, who, amount, read)
        task.bids.append(made)
        return made

    def _deal(self, bid: Bid, who: Person, verb: str, own: set[str], at: datetime) -> str:
        """Return what somebody is to a bid with which they may do something now."""
        task = bid.task
        sides = {bid.bidder.operator, bid.bidder.id, task.poster.id, task.poster.operator}
        if who.id not in sides:
            raise Refused("DoesNotExist")
        self.current(task, at)
        role = {bid.bidder.id: "bidder", task.poster.id: "poster"}.get(who.id)
        if bid.state != "open":
            raise Refused("IllegalTransition")
        if role not in own:
            raise Refused("NotPermitted")
        if verb != "withdraw" and task.state != "open":
            raise Refused("IllegalTransition")
        return role

    def counter(self, bid: Bid, who: Person, amount: int, at: datetime) -> None:
        """Put another amount into a bid; its bidder answers the terms as they stand."""
        role = self._deal(bid, who, "counter", {"bidder", "poster"}, at)
        task = bid.task
        self._require_dealing(bid.bidder, task.poster)
        if role != "bidder":
            self._require_terms(task, bid.version)
        self._check_amount(task, amount)
        if bid.counters >= MOST_COUNTERS:
            raise Refused("CountersExhausted")
        if role == "bidder":
            bid.version = task.version
        bid.counters += 1
        bid.amount = amount
        self.turn(bid, "counter", role)

    def select(self, bid: Bid, who: Person, read: int, at: datetime) -> None:
        """Offer the task to a bidder for the amount of the bid."""
        role = self._deal(bid, who, "select", {"poster"}, at)
        task = bid.task
        self._require_dealing(bid.bidder, task.poster)
        self._require_terms(task, bid.version)
        if read != bid.amount:
            raise Refused("BidChanged")
        self.turn(bid, "select", role, "selected")
        self.go(task, "select", role, "offered")
        task.selected, task.price = bid, bid.amount
        self._offer(task, bid.bidder, at)

    def withdraw_bid(self, bid: Bid, who: Person, at: datetime) -> None:
        """Take a bid back."""
        self.turn(bid, "withdraw", self._deal(bid, who, "withdraw", {"bidder"}, at), "withdrawn")
