"""Money, time and standing: what follows from moves, and from the passing of limits."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from tests.model.things import (
    ENDED,
    MICRO,
    Bid,
    Claim,
    Delivery,
    Dispute,
    Person,
    Refused,
    Seat,
    Task,
    Use,
    down,
    up,
)

FEE, COMPENSATION, REUSE_CAP, PANEL_FEE, DEPOSIT = 500, 1_000, 2_000, 500, 500  # basis points
LEAST_BOUNTY, LEAST_DEPOSIT = MICRO // 100, 3 * MICRO // 10
OFFER, RESUBMISSION, STAFF = timedelta(hours=24), timedelta(hours=48), timedelta(days=7)
EVIDENCE, VOTES, REDRAW = timedelta(hours=48), timedelta(hours=72), timedelta(hours=24)
ADMINISTRATOR, APPEAL = timedelta(days=7), timedelta(hours=48)
CLAIMS, CLAIMS_OF_OPERATOR, MOST_TIMES, PER_EXTRA = 3, 10, 4, 10 * MICRO
MOST_OF_ONE, HALF_LIFE = 20 * MICRO, 90
SEATS, REDRAWS = 3, 2


@dataclass(frozen=True)
class Dealing:
    """How a dealing ended for one side: what standing is counted from."""

    holder: UUID
    outcome: str
    counterparty: UUID
    value: int
    day: date


class Market:
    """The state of everything, and what the clock does to it."""

    def __init__(self) -> None:
        self.wallets: dict[UUID, int] = {}
        self.pending: dict[UUID, int] = defaultdict(int)
        self.escrows: dict[Task, int] = {}
        self.deposits: dict[Dispute, int] = {}
        self.tasks: list[Task] = []
        self.blocks: set[tuple[UUID, UUID]] = set()
        self.spent: Counter[tuple[UUID, date]] = Counter()
        self.history: list[Dealing] = []
        self.counted = 0  # how much of history standing contains
        self.uses: list[Use] = []
        self.author: UUID | None = None
        self.price_of_asset = 0
        self.panel_seatable = True
        self.edges: Counter[tuple[str, str, str, str]] = Counter()
        self.steps: Counter[tuple[str, str, str, str]] = Counter()
        self.bid_edges: Counter[tuple[str, str, str, str]] = Counter()

    # --- Transitions ------------------------------------------------------------------------------

    def go(self, task: Task, verb: str, role: str, target: str | None = None) -> None:
        """Take one edge of a task's states; it stays where it is unless *target* says else."""
        target = task.state if target is None else target
        self.edges[verb, task.state, target, role] += 1
        task.state = target

    def step(self, dispute: Dispute, verb: str, part: str, target: str | None = None) -> None:
        """Take one edge of a dispute's states."""
        target = dispute.state if target is None else target
        self.steps[verb, dispute.state, target, part] += 1
        dispute.state = target

    def turn(self, bid: Bid, verb: str, role: str, target: str | None = None) -> None:
        """Take one edge of a bid's states."""
        target = bid.state if target is None else target
        self.bid_edges[verb, bid.state, target, role] += 1
        bid.state = target

    # --- Money ------------------------------------------------------------------------------------

    def spend(self, who: Person, amount: int, altogether: int, at: datetime) -> None:
        """Take credits out of the wallet that *who* spends from."""
        day = (who.id, at.astimezone(UTC).date())
        if who.id != who.operator and amount:
            if who.per_task is not None and altogether > who.per_task:
                raise Refused("AllowanceExceeded")
            if who.per_day is not None and self.spent[day] + amount > who.per_day:
                raise Refused("AllowanceExceeded")
        if self.wallets[who.operator] < amount:
            raise Refused("InsufficientCredits")
        if who.id != who.operator and who.per_day is not None:
            self.spent[day] += amount
        self.wallets[who.operator] -= amount

    def settle(
        self,
        task: Task,
        at: datetime,
        *,
        gross: Sequence[tuple[Claim, int]] = (),
        fee_bps: int = FEE,
        royalties: int = 0,
        compensation: int = 0,
        panel: Sequence[tuple[Seat, int]] = (),
    ) -> None:
        """Divide the escrow once and for all: what is nobody's goes back to the poster."""
        assert task.settlement is None
        held, fees, wages = self.escrows[task], 0, 0
        for claim, amount in gross:
            fee = up(amount, fee_bps)
            fees, wages = fees + fee, wages + amount - fee
            self.wallets[claim.worker.operator] += amount - fee
            if amount:
                self.tell(claim.worker, "worker_paid", task.poster.operator, amount, at)
        if compensation:
            assert task.claim is not None
            self.wallets[task.claim.worker.operator] += compensation
        for seat, amount in panel:
            seat.fee = amount
            self.wallets[seat.operator] += amount
        if royalties:
            assert self.author is not None
            self.pending[self.author] += royalties
        panelists = sum(amount for _, amount in panel)
        refund = held - fees - wages - royalties - compensation - panelists
        assert refund >= 0
        self.wallets[task.poster.operator] += refund
        self.escrows[task] = 0
        task.settlement = {
            "bounty": held,
            "fee": fees,
            "royalties": royalties,
            "compensation": compensation,
            "refund": refund,
            "wages": wages,
            "panel": panelists,
            "subtasks": 0,
        }
        for bid in task.bids:
            if bid.state in ("open", "selected", "taken"):
                bid.state = "ended"

    def end_accepted(self, task: Task, at: datetime) -> None:
        """Pay whoever holds the task, and the author of what was used."""
        claim = task.claim
        assert claim is not None
        owed = claim.bound
        self.settle(task, at, gross=[(claim, task.cost - owed)], royalties=owed)
        self.pay_uses(claim, at)
        claim.ending = "accepted"
        task.lease_until = task.resubmit_by = task.notice_until = None
        task.stop_review()

    def pay_uses(self, claim: Claim, at: datetime) -> None:
        """Say that a claim's uses were paid; the settlement moved the credits."""
        for use in claim.uses:
            if use.state == "bound":
                use.state = "paid"
                assert self.author is not None
                holders = (self.author, self.author)
                self.dealt(holders, "author_used", use.operator, use.amount, at)

    def end_unaccepted(
        self, task: Task, at: datetime, ending: str | None, *, compensated: bool = False
    ) -> None:
        """Refund the poster, less a compensation."""
        compensation = down(task.cost, COMPENSATION) if compensated else 0
        self.settle(task, at, compensation=compensation)
        if task.claim is not None:
            assert ending is not None
            self.release(task, ending, at)
        task.offered_to = task.offered_until = None
        task.selected = task.price = None
        task.stop_review()

    def release(self, task: Task, ending: str, at: datetime) -> None:
        """Take the task from its worker; what was bound is released unpaid."""
        claim = task.claim
        assert claim is not None
        claim.ending = ending
        if ending in ("abandoned", "expired"):
            self.tell(claim.worker, f"worker_{ending}", task.poster.operator, 0, at)
        for use in claim.uses:
            if use.state == "bound":
                use.state = "released"
        if task.selected is not None:
            task.selected.state = "ended"
        task.claim = task.worker = task.selected = task.price = None
        task.lease_until = task.resubmit_by = task.notice_until = None
        task.stop_review()

    # --- Standing ---------------------------------------------------------------------------------

    def tell(self, who: Person, outcome: str, counterparty: UUID, value: int, at: datetime) -> None:
        """Note how a dealing ended, for somebody and for their operator."""
        self.dealt((who.id, who.operator), outcome, counterparty, value, at)

    def dealt(
        self, holders: tuple[UUID, UUID], outcome: str, counterparty: UUID, value: int, at: datetime
    ) -> None:
        """Note the same by ids: of a participant, and of its operator."""
        _, operator = holders
        if counterparty == operator:
            return
        day = at.astimezone(UTC).date()
        for one in set(holders):
            self.history.append(Dealing(one, outcome, counterparty, value, day))

    def points(self, holder: UUID, outcomes: frozenset[str], at: datetime) -> float:
        """Return what somebody stands for by what was counted so far."""
        today, dealt = at.astimezone(UTC).date(), defaultdict[UUID, float](float)
        for one in self.history[: self.counted]:
            if one.holder == holder and one.outcome in outcomes:
                faded = 2.0 ** (-(today - one.day).days / HALF_LIFE)
                dealt[one.counterparty] += one.value * faded
        return sum(each * MOST_OF_ONE / (MOST_OF_ONE + each) for each in dealt.values())

    def as_worker(self, holder: UUID, at: datetime) -> float:
        """Return the standing as a worker."""
        return self.points(holder, frozenset({"worker_paid"}), at)

    # --- Deciding about deliveries ----------------------------------------------------------------

    def decided(self, task: Task, delivery: Delivery, verb: str, stake: int, at: datetime) -> None:
        """Note the first decision about a delivery, which standing is counted from."""
        if delivery.first_decision:
            return
        delivery.first_decision, delivery.at_stake = verb, stake
        said = {
            "accept": "poster_accepted",
            "accept_by_checks": "poster_checked",
            "reject": "poster_rejected",
            "reject_by_checks": None,
        }.get(verb, "poster_silent")
        worker = delivery.claim.worker
        if said is not None:
            self.tell(task.poster, said, worker.operator, stake, at)
        if verb.startswith("reject"):
            self.tell(worker, "worker_rejected", task.poster.operator, stake, at)

    def pay_for(self, task: Task, delivery: Delivery, verb: str, role: str, at: datetime) -> None:
        """Accept a delivery and pay for it."""
        self.decided(task, delivery, verb, task.cost, at)
        self.go(task, verb, role, "accepted")
        self.end_accepted(task, at)
        delivery.state = "accepted"

    def turn_down(self, task: Task, delivery: Delivery, verb: str, role: str, at: datetime) -> None:
        """Reject a delivery; its worker may deliver again for a while."""
        self.decided(task, delivery, verb, task.cost, at)
        self.go(task, verb, role, "claimed")
        delivery.claim.rejections += 1
        task.stop_review()
        task.resubmit_by = at + RESUBMISSION
        delivery.state = "rejected"

    def _by_silence(self, task: Task, delivery: Delivery, at: datetime) -> None:
        if delivery.verdict == "failed":
            self.turn_down(task, delivery, "reject_by_silence", "clock", at)
        else:
            self.pay_for(task, delivery, "accept_by_silence", "clock", at)

    def checks_ended(self, task: Task, delivery: Delivery, at: datetime) -> None:
        """Act on the verdict of a delivery's check, once."""
        if delivery.state != "submitted" or delivery.checks_ended:
            return
        delivery.checks_ended = True
        if task.contest:
            if task.state == "submitted":
                self._conclude_contest(task, at)
        elif task.automatic and delivery.verdict == "failed":
            self.turn_down(task, delivery, "reject_by_checks", "checks", at)
        elif task.automatic and delivery.verdict == "passed":
            self.pay_for(task, delivery, "accept_by_checks", "checks", at)
        else:
            task.begin_review(at, task.review)

    # --- Contests ---------------------------------------------------------------------------------

    def _conclude_contest(self, task: Task, at: datetime) -> None:
        verdicts = {one.verdict for one in task.deliveries}
        if "pending" in verdicts:
            return
        if verdicts == {"failed"}:
            self.go(task, "fail_entries", "checks", "expired")
            self.end_unaccepted(task, at, None)
            self._close_entries(task, {})
        else:
            task.begin_review(at, task.review)

    def _close_entries(self, task: Task, became: dict[Delivery, str]) -> None:
        for one in task.deliveries:
            one.state = one.claim.ending = became.get(one, "unchosen")

    def award(
        self,
        task: Task,
        winner: Delivery,
        by: tuple[str, str],
        at: datetime,
        voters: Sequence[Seat] = (),
    ) -> None:
        """Pay the winner of a contest, and a second where the terms reserve a part."""
        others = [one for one in task.deliveries if one is not winner and one.verdict == "passed"]
        second = others[0] if others and task.runner_up else None
        panel = parts_of(up(task.bounty, PANEL_FEE), voters) if voters else []
        left = task.bounty - sum(fee for _, fee in panel)
        for_second = down(left, task.runner_up) if second is not None else 0
        verb, role = by
        self.decided(task, winner, verb, task.bounty, at)
        self.go(task, verb, role, "accepted")
        gross = [(winner.claim, left - for_second)]
        if second is not None and for_second:
            gross.append((second.claim, for_second))
        self.settle(task, at, gross=gross, fee_bps=0 if voters else FEE, panel=panel)
        became = {winner: "accepted"}
        if second is not None:
            became[second] = "runner_up"
        self._close_entries(task, became)
        task.claim, task.worker = winner.claim, winner.claim.worker
        task.stop_review()

    def share(self, task: Task, at: datetime) -> None:
        """Pay all that passed the same, the remainder to the earliest."""
        standing = task.standing_entries()
        winners = [one for one in standing if one.verdict == "passed"] or standing
        each, rest = divmod(task.bounty, len(winners))
        for one in winners:
            self.decided(task, one, "share", each, at)
        self.go(task, "share", "clock", "accepted")
        gross = [(one.claim, each + (rest if one is winners[0] else 0)) for one in winners]
        self.settle(task, at, gross=gross)
        self._close_entries(task, dict.fromkeys(winners, "shared"))
        task.stop_review()

    # --- Disputes ---------------------------------------------------------------------------------

    def open_case(
        self,
        task: Task,
        delivery: Delivery | None,
        cause: str,
        at: datetime,
        deposited: tuple[Person, int] | None = None,
    ) -> Dispute:
        """Begin a dispute about a task that is `disputed`; its other clocks stop for good."""
        task.stop_review()
        task.lease_until = task.resubmit_by = task.notice_until = None
        opener, deposit = deposited or (None, 0)
        task.dispute = Dispute(
            None,
            task,
            cause,
            opener,
            deposit,
            delivery.claim if delivery is not None else None,
            delivery,
            "evidence" if delivery is not None else "voting",
            at + (EVIDENCE if delivery is not None else VOTES),
        )
        if delivery is None:
            task.dispute.to_seat = list(range(1, SEATS + 1))
        self.deposits[task.dispute] = deposit
        return task.dispute

    def lapse_dispute(self, dispute: Dispute, at: datetime) -> None:
        """The step that a dispute is in has had its time."""
        match dispute.state:
            case "evidence" if self.panel_seatable:
                self.step(dispute, "seat_panel", "course", "voting")
                dispute.due, dispute.to_seat = at + VOTES, list(range(1, SEATS + 1))
            case "evidence":
                self._find_no_panel(dispute, at)
            case "voting":
                self.close_round(dispute, at)
            case "administrator":
                self.step(dispute, "default", "course", "decided")
                assert dispute.delivery is not None
                shares = {"failed": 0, "passed": 10_000}
                share = shares.get(dispute.delivery.verdict or "", 5_000)
                self.outcome(dispute, share, at)
            case "decided" | "appealed":
                self.settle_dispute(dispute, at)

    def _find_no_panel(self, dispute: Dispute, at: datetime) -> None:
        self.step(dispute, "find_no_panel", "course", "administrator")
        dispute.due = at + ADMINISTRATOR

    def outcome(self, dispute: Dispute, share: int, at: datetime) -> None:
        """Note an outcome, which may be appealed against."""
        dispute.decided, dispute.due = share, at + APPEAL

    def close_round(self, dispute: Dispute, at: datetime) -> None:
        """Count the votes, or draw again for seats without one."""
        for seat in dispute.in_state("open"):
            seat.state = "lapsed"
        voted = dispute.in_state("voted")
        contest = dispute.claim is None
        if len(voted) == SEATS or (contest and dispute.redraws == REDRAWS):
            if contest:
                self._settle_contest(dispute, voted, at)
            else:
                self.step(dispute, "count", "course", "decided")
                shares = sorted(seat.share or 0 for seat in voted)
                self.outcome(dispute, shares[1], at)
        elif dispute.redraws < REDRAWS:
            self.step(dispute, "redraw", "course")
            dispute.redraws += 1
            dispute.due = at + REDRAW
            kept = {seat.position for seat in voted}
            dispute.to_seat = [one for one in range(1, SEATS + 1) if one not in kept]
        else:
            self._find_no_panel(dispute, at)

    def _settle_contest(self, dispute: Dispute, voted: list[Seat], at: datetime) -> None:
        task = dispute.task
        self.step(dispute, "settle", "course", "settled")
        if voted:
            picks = Counter(seat.pick for seat in voted)
            most = max(picks.values())
            winner = next(one for one in task.deliveries if picks[one] == most)
            self.award(task, winner, ("award", "clock"), at, voted)
        else:
            self.share(task, at)
        self._pay_voters(dispute, voted, at)

    def _pay_voters(self, dispute: Dispute, voted: list[Seat], at: datetime) -> None:
        for seat in voted:
            counterparty = dispute.task.poster.operator
            holders = (seat.panelist, seat.operator)
            self.dealt(holders, "panelist_voted", counterparty, seat.fee, at)

    def settle_dispute(self, dispute: Dispute, at: datetime, *, by_staff: bool = False) -> None:
        """Divide escrow and deposit by the share that was decided last; the task ends."""
        task, claim, share = dispute.task, dispute.claim, dispute.decided
        assert claim is not None and share is not None and dispute.delivery is not None  # noqa: PT018
        role, verb, part = (
            ("staff", "decide", "staff") if by_staff else ("clock", "settle", "course")
        )
        outcome, target = ("accept", "accepted") if share else ("cancel", "cancelled")
        self.go(task, f"{outcome}_by_outcome", role, target)
        self.step(dispute, verb, part, "settled")
        voted = dispute.in_state("voted")
        panel = parts_of(up(task.cost, PANEL_FEE), voted) if voted else []
        part_of_worker = down(task.cost - sum(fee for _, fee in panel), share)
        royalties = min(claim.bound, part_of_worker)
        if share:
            self._reduce(claim, royalties)
        self.settle(
            task,
            at,
            gross=[(claim, part_of_worker - royalties)],
            fee_bps=0 if voted else FEE,
            royalties=royalties,
            panel=panel,
        )
        if dispute.opener is not None:
            self._return_deposit(dispute, dispute.opener, share)
            self._tell_of_dispute(dispute, share, at)
        if share:
            self.pay_uses(claim, at)
            claim.ending, dispute.delivery.state = "accepted", "accepted"
        else:
            self.release(task, "lost", at)
            if dispute.delivery.state == "submitted":
                dispute.delivery.state = "rejected"
        dispute.share = share
        self._pay_voters(dispute, voted, at)

    def _reduce(self, claim: Claim, to: int) -> None:
        """Lower what a claim owes to what its worker's part pays (there is one use at most)."""
        for use in claim.uses:
            if use.state == "bound" and use.amount > to:
                use.amount, use.state = to, "bound" if to else "released"

    def _return_deposit(self, dispute: Dispute, opener: Person, share: int) -> None:
        assert dispute.claim is not None
        poster, worker = dispute.task.poster, dispute.claim.worker
        other, nothing = (worker, 10_000) if opener.id == poster.id else (poster, 0)
        payee = other if share == nothing else opener
        self.wallets[payee.operator] += dispute.deposit
        self.deposits[dispute] = 0

    def _tell_of_dispute(self, dispute: Dispute, share: int, at: datetime) -> None:
        task, claim = dispute.task, dispute.claim
        assert claim is not None
        poster, worker, value = task.poster, claim.worker, task.bounty
        self.tell(poster, "poster_disputed", worker.operator, value, at)
        self.tell(worker, "worker_disputed", poster.operator, value, at)
        if share > 5_000:
            self.tell(poster, "poster_dispute_lost", worker.operator, value, at)
        if share < 5_000:
            self.tell(worker, "worker_dispute_lost", poster.operator, value, at)

    # --- The clock --------------------------------------------------------------------------------

    def current(self, task: Task, at: datetime) -> None:
        """Let the clock have its way with a task before anything else is done with it."""
        while task.state not in ENDED:
            due = sorted((limit_at, limit) for limit_at, limit in task.limits() if limit_at <= at)
            if not due:
                return
            self._pass(task, due[0][1], at)

    def _pass(self, task: Task, limit: str, at: datetime) -> None:  # noqa: C901, PLR0912 - a case for each
        match limit:
            case "expire":
                self.go(task, "expire", "clock", "expired")
                self.end_unaccepted(task, at, "expired")
            case "expire_claim":
                self.go(task, "expire_claim", "clock", "open")
                self.release(task, "abandoned", at)
            case "end_notice":
                self.go(task, "end_notice", "clock", "cancelled")
                self.end_unaccepted(task, at, "cancelled")
            case "lapse_offer":
                verb = "end_offer" if task.on_decline == "cancel" else "lapse_offer"
                self.end_offer(task, verb, ("lapse", "clock", "lapsed"), "clock", at)
            case "close_contest":
                self.go(task, "close_contest", "clock", "submitted")
                self._conclude_contest(task, at)
            case "remind":
                self.go(task, "remind", "clock")
                task.remind_at = None
            case "review":
                delivery = task.under_review()
                if delivery.verdict == "error":
                    self.go(task, "hand_to_staff", "clock")
                    task.stop_review()
                    task.staff_until = at + STAFF
                else:
                    self._by_silence(task, delivery, at)
            case "staff":
                delivery = task.under_review()
                if task.automatic and delivery.verdict != "failed":
                    self.go(task, "hand_to_panel", "clock", "disputed")
                    self.open_case(task, delivery, "checks", at)
                else:
                    self._by_silence(task, delivery, at)
            case "choice":
                if self.panel_seatable:
                    self.go(task, "hand_to_panel", "clock", "disputed")
                    self.open_case(task, None, "silence", at)
                else:
                    self.share(task, at)
            case "dispute":
                assert task.dispute is not None
                self.lapse_dispute(task.dispute, at)

    def end_offer(
        self, task: Task, verb: str, of_bid: tuple[str, str, str], role: str, at: datetime
    ) -> None:
        """An offer was not taken: the task is open again, or cancelled."""
        self.go(task, verb, role, "cancelled" if verb in ("end_offer", "refuse") else "open")
        if task.selected is not None:
            self.turn(task.selected, *of_bid)
        if task.state == "cancelled":
            self.end_unaccepted(task, at, None)
        task.offered_to = task.offered_until = task.selected = task.price = None


def parts_of(amount: int, voters: Sequence[Seat]) -> list[tuple[Seat, int]]:
    """Return each panelist's part: equal, what is left over one each to the first."""
    each, rest = divmod(amount, len(voters))
    return [(seat, each + (place < rest)) for place, seat in enumerate(voters)]
