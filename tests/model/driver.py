"""Makes each move twice, in the model and in the product, and compares everything afterwards."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction
from django.test import override_settings

from credits import ledger
from marketplace.delivery.models import CheckRun
from marketplace.delivery.models import Delivery as RealDelivery
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.conclude_checks import conclude_checks
from marketplace.delivery.usecases.decide_as_staff import decide_as_staff
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.delivery.usecases.submit_delivery import Work, submit_delivery
from marketplace.delivery.verification import runs
from marketplace.delivery.verification.isolation import Report
from marketplace.disputes.models import Outcome
from marketplace.disputes.usecases.appeal_outcome import appeal_outcome
from marketplace.disputes.usecases.cast_vote import cast_vote
from marketplace.disputes.usecases.decide_dispute import decide_dispute
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.disputes.usecases.submit_evidence import submit_evidence
from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.foundation.ids import encode
from marketplace.foundation.transactions import run_in_transaction
from marketplace.participants.models import Participant
from marketplace.participants.usecases.block_participant import block_participant
from marketplace.participants.usecases.unblock_participant import unblock_participant
from marketplace.standing import history
from marketplace.standing.figures import standing_of
from marketplace.standing.models import StandingRole, Tally
from marketplace.tasks import deadlines
from marketplace.tasks.eligibility import Eligibility
from marketplace.tasks.models import Acceptance, Mode, OnDecline
from marketplace.tasks.models import Task as RealTask
from marketplace.tasks.terms import Wanted
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.counter_bid import counter_bid
from marketplace.tasks.usecases.decline_task import decline_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from marketplace.tasks.usecases.place_bid import place_bid
from marketplace.tasks.usecases.post_task import post_task
from marketplace.tasks.usecases.raise_task import raise_task
from marketplace.tasks.usecases.select_bid import select_bid
from marketplace.tasks.usecases.use_asset import use_asset
from marketplace.tasks.usecases.withdraw_bid import withdraw_bid
from tests.builders.assets import a_skill
from tests.builders.disputes import judges
from tests.builders.once import once
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.staff import somebody_of_staff
from tests.builders.work import an_exact_check
from tests.model.cases import Cases
from tests.model.observed import Rows, observed
from tests.model.things import ENDED, MICRO, Bid, Delivery, Dispute, Person, Refused, Seat, Task

T = TypeVar("T")

GRANT = 100 * MICRO
PER_TASK, PER_DAY = 12 * MICRO, 25 * MICRO
ASSET = 3 * MICRO // 10
CLOSE_SECONDS = 30  # the product reads its clock a moment after the model did
NEVER = 10**9  # accepted tasks: nobody is drawn who needs so many
MARGIN = timedelta(seconds=40)


@once
def staff() -> list[Participant]:
    return [somebody_of_staff(), somebody_of_staff()]


@once
def an_author() -> tuple[Participant, str]:
    """Return one, which is enough with what it was paid before, and its asset."""
    author = a_person()
    return author, a_skill(author, price=ASSET).asset.reference


class Driver:
    """Ada, Bo, Cy and Di, an agent of Bo's; and Eve, whose asset they use."""

    def __init__(self) -> None:
        judges()
        eve, skill = an_author()
        self.skill = skill.split("/")
        ada, bo, cy = a_person(), an_agent(), an_agent()
        di = an_agent_of(bo, allowance_per_task=PER_TASK, allowance_per_day=PER_DAY)
        self.real = {one.pk: one for one in (ada, bo, cy, di)}
        self.model = Cases()
        self.people = [
            Person(
                one.pk, one.operator_key, one.kind, one.allowance_per_task, one.allowance_per_day
            )
            for one in (ada, bo, cy, di)
        ]
        self.operators = [ada.pk, bo.pk, cy.pk, eve.pk]
        self.model.wallets = dict.fromkeys(self.operators, GRANT)
        self.model.author, self.model.price_of_asset = eve.pk, ASSET
        self.model.pending[eve.pk] = self.earned_before = ledger.held_by(eve.pk, "pending")
        self.moves: Counter[str] = Counter()  # how often each was made and refused
        self.seen: Rows = {}

    # --- Making a move ----------------------------------------------------------------------------

    def _make(
        self,
        name: str,
        predict: Callable[[datetime], T],
        act: Callable[[], Any],
        bind: Callable[[T, Any], None] | None = None,
    ) -> None:
        """Let the model say what comes of a move, make it, and compare."""
        at, predicted, told = clock.now(), None, None
        try:
            predicted = predict(at)
        except Refused as refused:
            told = str(refused)
        came, heard = None, None
        nobody_judges = override_settings(PANELIST_ACCEPTED_TASKS=NEVER)
        with nullcontext() if self.model.panel_seatable else nobody_judges:
            try:
                came = act()
            except Exception as error:
                rule = getattr(error, "rule", "")
                heard = f"{type(error).__name__} {rule}".strip()
                if heard != told:
                    raise AssertionError(f"{name}: {told or 'done'} expected: {error}") from error
        assert heard == told, f"{name}: {told} expected, and it was done"
        if told is None and bind is not None:
            bind(predicted, came)  # type: ignore[arg-type] # it was predicted
        self.moves[f"{name}: {told or 'done'}"] += 1
        self.compare(name)

    def compare(self, after: str) -> None:
        """Compare everything that the model knows with what the database says."""
        self.seen = self._observe()
        for task in self.model.tasks:
            if task.dispute is not None and task.dispute.id is None:  # the clock opened it
                task.dispute.id = UUID(self.seen["dispute"][str(task.id)][0])
        if self._seat_the_drawn():
            self.seen = self._observe()
        expected = self._expected()
        for kind in sorted(expected.keys() | self.seen.keys()):
            told, found = expected.get(kind, {}), self.seen.get(kind, {})
            if kind in ("task", "dispute"):
                _forgive_moments(told, found)
            assert told == found, f"after {after}, {kind}: {_difference(told, found)}"

    def _observe(self) -> Rows:
        tasks = [task.id for task in self.model.tasks if task.id is not None]
        return observed(tasks=tasks, people=self.operators, owners=self.model.wallets)

    def _seat_the_drawn(self) -> bool:
        """Tell the model whom a draw seated; say whether somebody new has a wallet to watch."""
        fresh = False
        for task in self.model.tasks:
            dispute = task.dispute
            if dispute is None or not dispute.to_seat:
                continue
            known = {seat.panelist for seat in dispute.seats}
            for key, (position, operator, _, _) in self.seen.get("seat", {}).items():
                of_task, panelist = map(UUID, key.split())
                if of_task != task.id or panelist in known:
                    continue
                dispute.to_seat.remove(position)
                dispute.seats.append(Seat(position, panelist, UUID(operator)))
                if UUID(operator) not in self.model.wallets:
                    fresh = True
                    held = observed(tasks=[], people=[], owners=[UUID(operator)])
                    self.model.wallets[UUID(operator)] = held["wallet"][operator]
                    self.model.pending[UUID(operator)] = held["pending"][operator]
            assert not dispute.to_seat, "every drawn seat is taken"
        return fresh

    def _expected(self) -> Rows:
        model = self.model
        rows: Rows = defaultdict(dict)
        for task in model.tasks:
            _rows_of(task, rows)
            rows["escrow"][encode("task", _known(task.id))] = model.escrows[task]
            if task.dispute is not None and task.dispute.deposit:
                name = encode("dispute", _known(task.dispute.id))
                rows["escrow"][name] = model.deposits[task.dispute]
        for place, use in enumerate(model.uses, 1):
            rows["use"][str(place)] = [str(use.operator), use.amount, use.state]
        for owner, held in model.wallets.items():
            rows["wallet"][str(owner)] = held
            rows["pending"][str(owner)] = model.pending[owner]
        return rows

    # --- The moves --------------------------------------------------------------------------------

    def post(self, task: Task, assignee: Person | None = None) -> None:
        """Post a task as the model's *task* says; it is open, or offered, afterwards."""
        wanted = Wanted(
            title="Sort these",
            description="By name.",
            bounty=task.bounty,
            mode=Mode(task.mode),
            deadline=task.deadline,
            acceptance=Acceptance.AUTOMATIC if task.automatic else Acceptance.MANUAL,
            verification=[an_exact_check()] if task.checked else [],
            lease_seconds=task.lease,
            review_window_seconds=task.review,
            assignee=self.real[assignee.id].handle if assignee is not None else None,
            on_decline=OnDecline(task.on_decline),
            eligibility=Eligibility(task.kind, task.min_standing),  # type: ignore[arg-type] # a word
            runner_up_bps=task.runner_up,
        )

        def bind(_: object, made: RealTask) -> None:
            task.id = made.pk

        poster = self.real[task.poster.id]
        self._make(
            "post",
            partial(self.model.post, task, assignee),
            partial(post_task, actor=poster, wanted=wanted),
            bind,
        )

    def _on_task(self, name: str, task: Task, who: Person, act: Callable[..., Any]) -> None:
        self._make(
            name,
            partial(getattr(self.model, name), task, who),
            partial(act, task_id=_known(task.id), actor=self.real[who.id]),
        )

    def claim(self, task: Task, who: Person, read: int | None) -> None:
        """Claim."""
        self._make(
            "claim",
            lambda at: self.model.claim(task, who, read, at),
            partial(
                claim_task, task_id=_known(task.id), actor=self.real[who.id], terms_version=read
            ),
        )

    def decline(self, task: Task, who: Person) -> None:
        """Decline an offer."""
        self._on_task("decline", task, who, decline_task)

    def heartbeat(self, task: Task, who: Person) -> None:
        """Renew the lease."""
        self._on_task("heartbeat", task, who, heartbeat)

    def abandon(self, task: Task, who: Person) -> None:
        """Give it back."""
        self._on_task("abandon", task, who, abandon_task)

    def cancel(self, task: Task, who: Person, *, at_once: bool) -> None:
        """Cancel."""
        self._make(
            "cancel",
            partial(self.model.cancel, task, who, at_once=at_once),
            partial(cancel_task, task_id=_known(task.id), actor=self.real[who.id], at_once=at_once),
        )

    def use(self, task: Task, who: Person) -> None:
        """Use the asset for a task."""
        owner, name = self.skill
        self._make(
            "use",
            lambda at: self.model.use(task, who, at),
            partial(
                use_asset,
                actor=self.real[who.id],
                owner=owner,
                name=name,
                task_id=_known(task.id),
                max_charge=ASSET,
            ),
        )

    def edit(self, task: Task, who: Person, bounty: int) -> None:
        """Change the bounty."""
        self._make(
            "edit",
            lambda at: self.model.edit(task, who, bounty, at),
            partial(
                edit_task,
                task_id=_known(task.id),
                actor=self.real[who.id],
                changes={"bounty": bounty},
                read_version=lambda _: True,
            ),
        )

    def raise_bounty(self, task: Task, who: Person, bounty: int) -> None:
        """Raise the bounty."""
        self._make(
            "raise_bounty",
            lambda at: self.model.raise_bounty(task, who, bounty, at),
            partial(raise_task, task_id=_known(task.id), actor=self.real[who.id], bounty=bounty),
        )

    def raise_deadline(self, task: Task, who: Person, by: timedelta) -> None:
        """Move the deadline."""
        deadline = task.deadline + by
        self._make(
            "raise_deadline",
            lambda at: self.model.raise_deadline(task, who, deadline, at),
            partial(
                raise_task, task_id=_known(task.id), actor=self.real[who.id], deadline=deadline
            ),
        )

    def block(self, who: Person, other: Person) -> None:
        """Block somebody, or end that."""
        blocked = (who.operator, other.operator) in self.model.blocks
        act = unblock_participant if blocked else block_participant
        self._make(
            "unblock" if blocked else "block",
            lambda _: self.model.block(who, other),
            partial(act, actor=self.real[who.id], handle=self.real[other.id].handle),
        )

    def deliver(self, task: Task, who: Person) -> None:
        """Deliver, or enter a contest."""

        def bind(told: Delivery, made: RealDelivery) -> None:
            told.id = made.pk

        self._make(
            "deliver",
            partial(self.model.deliver, task, who),
            partial(
                submit_delivery,
                task_id=_known(task.id),
                actor=self.real[who.id],
                work=Work(summary="Sorted."),
            ),
            bind,
        )

    def check(self, task: Task, delivery: Delivery, verdict: str) -> None:
        """Let the check of a delivery end as it ends on a host that runs checks."""
        run = CheckRun.objects.get(delivery=delivery.id)
        for _ in range(runs.MOST_ATTEMPTS if verdict == "error" else 1):
            lease = runs.take(run.pk)
            assert lease is not None
            if not runs.finish(lease, Report(verdict, "It said so.", 1)):
                clock.advance(timedelta(seconds=9))  # longer than between two attempts
        self._make(
            f"check {verdict}",
            partial(self.model.verdict, task, delivery, verdict),
            partial(conclude_checks, delivery_id=_known(delivery.id)),
        )

    def decide(self, task: Task, delivery: Delivery, who: Person, *, accepts: bool) -> None:
        """Accept or reject as the poster."""
        act = accept_delivery if accepts else partial(reject_delivery, reason="No.")
        self._make(
            "accept" if accepts else "reject",
            partial(self.model.accept if accepts else self.model.reject, task, delivery, who),
            partial(act, delivery_id=_known(delivery.id), actor=self.real[who.id]),
        )

    def decide_as_staff(self, task: Task, delivery: Delivery, *, accepts: bool) -> None:
        """Accept or reject where a check could not run."""
        self._make(
            "decide_as_staff",
            partial(self.model.decide_as_staff, task, delivery, accepts=accepts),
            partial(
                decide_as_staff,
                delivery_id=_known(delivery.id),
                actor=staff()[0],
                accepts=accepts,
                reason="I looked.",
            ),
        )

    def bid(self, task: Task, who: Person, amount: int, read: int) -> None:
        """Bid."""

        def bind(told: Bid, made: Any) -> None:  # noqa: ANN401 - a row of the product
            told.id = made.pk

        self._make(
            "bid",
            partial(self.model.bid, task, who, amount, read),
            partial(
                place_bid,
                task_id=_known(task.id),
                actor=self.real[who.id],
                proposal="By hand.",
                amount=amount,
                terms_version=read,
            ),
            bind,
        )

    def counter(self, bid: Bid, who: Person, amount: int) -> None:
        """Put another amount into a bid."""
        read = bid.task.version if who.id == bid.bidder.id else None
        self._make(
            "counter",
            partial(self.model.counter, bid, who, amount),
            partial(
                counter_bid,
                bid_id=_known(bid.id),
                actor=self.real[who.id],
                amount=amount,
                terms_version=read,
            ),
        )

    def select(self, bid: Bid, who: Person, read: int) -> None:
        """Offer the task to a bidder."""
        self._make(
            "select",
            partial(self.model.select, bid, who, read),
            partial(select_bid, bid_id=_known(bid.id), actor=self.real[who.id], amount=read),
        )

    def withdraw_bid(self, bid: Bid, who: Person) -> None:
        """Take a bid back."""
        self._make(
            "withdraw_bid",
            partial(self.model.withdraw_bid, bid, who),
            partial(withdraw_bid, bid_id=_known(bid.id), actor=self.real[who.id]),
        )

    # --- Disputes ---------------------------------------------------------------------------------

    def dispute(self, task: Task, who: Person) -> None:
        """Open a dispute."""
        self._make(
            "dispute",
            partial(self.model.dispute, task, who),
            partial(open_dispute, task_id=_known(task.id), actor=self.real[who.id], reason="Why?"),
            _bind_dispute,
        )

    def submit_evidence(self, dispute: Dispute, who: Person) -> None:
        """Hand something in."""
        self._make(
            "submit_evidence",
            partial(self.model.submit_evidence, dispute, who),
            partial(
                submit_evidence,
                dispute_id=_known(dispute.id),
                actor=self.real[who.id],
                text="Look here.",
            ),
        )

    def vote(
        self,
        dispute: Dispute,
        seat: Seat,
        *,
        share: int | None = None,
        pick: Delivery | None = None,
    ) -> None:
        """Vote on a seat, or abstain."""
        outcome = _outcome(share) if share is not None else Outcome.ABSTAIN
        if pick is not None:
            outcome = Outcome.ACCEPT
        panelist = Participant.objects.select_related("operator").get(pk=seat.panelist)
        self._make(
            "vote",
            lambda at: self.model.vote(seat, dispute, at, share=share, pick=pick),
            partial(
                cast_vote,
                dispute_id=_known(dispute.id),
                actor=panelist,
                outcome=outcome,
                worker_share=share if outcome == Outcome.SPLIT else None,
                delivery_id=pick.id if pick is not None else None,
                rationale="So.",
            ),
        )

    def appeal(self, dispute: Dispute, who: Person) -> None:
        """Appeal against an outcome."""
        self._make(
            "appeal",
            partial(self.model.appeal, dispute, who),
            partial(
                appeal_outcome,
                dispute_id=_known(dispute.id),
                actor=self.real[who.id],
                reason="Again.",
            ),
        )

    def judge(self, dispute: Dispute, which: int, share: int) -> None:
        """Decide as one of two administrators."""
        administrator, outcome = staff()[which], _outcome(share)
        self._make(
            "judge",
            partial(self.model.decide, dispute, administrator.pk, share),
            partial(
                decide_dispute,
                dispute_id=_known(dispute.id),
                actor=administrator,
                outcome=outcome,
                worker_share=share if outcome == Outcome.SPLIT else None,
                rationale="I read it.",
            ),
        )

    # --- Time -------------------------------------------------------------------------------------

    def wait(self, span: timedelta, *, sweeps: bool = True) -> None:
        """Let time pass; without a sweep, whoever acts on a task next finds it overdue."""
        at = clock.now()
        limits = [limit for task in self.model.tasks for limit, _ in task.limits()]
        until = at + span
        # Never so close to a limit that a slow machine would pass it in between.
        while any(limit - timedelta(seconds=90) < until < limit + MARGIN for limit in limits):
            until += timedelta(seconds=23)
        clock.advance(until - at)
        if sweeps:
            self.sweep()

    def sweep(self) -> None:
        """Do what is due, as the sweeper does."""

        def predict(at: datetime) -> None:
            for task in self.model.tasks:
                self.model.current(task, at)

        def act() -> None:
            waiting = {key for key, row in self.seen.get("task", {}).items() if row[-1] is not None}
            for task in self.model.tasks:
                if str(task.id) not in waiting:
                    continue
                while run_in_transaction(partial(deadlines.apply_passed, _known(task.id))):
                    pass

        self._make("sweep", predict, act)

    def until_next_limit(self, task: Task, *, sweeps: bool = True) -> None:
        """Let time pass until a task's next limit has passed."""
        due = task.due()
        if due is not None:
            self.wait(max(due - clock.now(), timedelta(0)) + MARGIN, sweeps=sweeps)

    # --- Standing ---------------------------------------------------------------------------------

    def count_standing(self) -> None:
        """Let the consumer of events count what has become final, and compare what it counted."""
        for task in self.model.tasks:
            told = Event(subject_type="task", subject_id=encode("task", _known(task.id)))
            with transaction.atomic():
                history.count(told)
        self.model.counted = len(self.model.history)
        expected: dict[tuple[UUID, str, UUID], list[int]] = defaultdict(lambda: [0, 0])
        for one in self.model.history:
            sums = expected[one.holder, one.outcome, one.counterparty]
            sums[0] += 1
            sums[1] += one.value * weight(one.day)
        rows = Tally.objects.filter(counterparty__in=self.operators).values_list(
            "holder_id", "outcome", "counterparty", "number", "points"
        )
        found = {tuple(key): [number, int(points)] for *key, number, points in rows}
        assert found == dict(expected), _difference(dict(expected), found)
        self._compare_figures()

    def _compare_figures(self) -> None:
        at = clock.now()
        figures = standing_of(self.real, StandingRole.WORKER, at=at)
        for holder, figure in figures.items():
            told = self.model.as_worker(holder, at)
            assert abs(figure.points - told) <= 4 + told * 1e-6, (figure, told)

    def finish(self) -> None:
        """Compare what is compared once."""
        self.count_standing()
        fees = sum(task.settlement["fee"] for task in self.model.tasks if task.settlement)
        panels = sum(
            seat.fee
            for task in self.model.tasks
            if task.dispute is not None
            for seat in task.dispute.seats
            if seat.operator not in self.operators
        )
        own = sum(self.model.wallets[one] + self.model.pending[one] for one in self.operators)
        held = sum(self.model.escrows.values()) + sum(self.model.deposits.values())
        assert own + held + fees + panels == len(self.operators) * GRANT + self.earned_before


def weight(day: date) -> int:
    """Return what a micro-credit of a day weighs: twice as much every 90 days."""
    halvings, rest = divmod((day - date(2020, 1, 1)).days, 90)
    with localcontext() as context:
        context.prec = 60
        root = int((2**32 * Decimal(2) ** (Decimal(rest) / 90)).to_integral_value())
    return root << halvings


def _outcome(share: int) -> Outcome:
    return {0: Outcome.REJECT, 10_000: Outcome.ACCEPT}.get(share, Outcome.SPLIT)


def _known(key: UUID | None) -> UUID:
    assert key is not None
    return key


def _text(one: Person | None) -> str | None:
    return str(one.id) if one is not None else None


def _seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at is not None else None


def _rows_of(task: Task, rows: Rows) -> None:
    key = str(task.id)
    due = None if task.state in ENDED else task.due()
    rows["task"][key] = [
        *(task.state, task.bounty, task.price, _text(task.worker), _text(task.offered_to)),
        *(task.version, task.valid_from, task.entries, _seconds(due)),
    ]
    for bid in task.bids:
        rows["bid"][str(bid.id)] = [bid.state, bid.amount, bid.version]
    for place, claim in enumerate(task.claims, 1):
        rows["claim"][f"{key} {place}"] = [_text(claim.worker), claim.ending, claim.rejections]
    for one in task.deliveries:
        rows["delivery"][str(one.id)] = [one.state, one.first_decision, one.at_stake]
    if task.settlement is not None:
        rows["settlement"][key] = task.settlement
    dispute = task.dispute
    if dispute is not None:
        due = None if dispute.state == "settled" else dispute.due
        rows["dispute"][key] = [
            str(dispute.id),
            *(dispute.cause, dispute.state, dispute.redraws, dispute.share, dispute.deposit),
            _seconds(due),
        ]
        for seat in dispute.seats:
            said = [seat.position, str(seat.operator), seat.state, seat.fee]
            rows["seat"][f"{key} {seat.panelist}"] = said


def _bind_dispute(told: Dispute, made: Any) -> None:  # noqa: ANN401 - a row of the product
    told.id = made.pk


def _forgive_moments(told: dict[str, Any], found: dict[str, Any]) -> None:
    """Make instants equal that are as good as that; they stand last in their rows."""
    for key in told.keys() & found.keys():
        ours, theirs = told[key][-1], found[key][-1]
        if ours is not None and theirs is not None and abs(ours - theirs) < CLOSE_SECONDS:
            found[key][-1] = ours


def _difference(told: dict[Any, Any], found: dict[Any, Any]) -> str:
    keys: Iterable[Any] = sorted(told.keys() | found.keys(), key=str)
    return "; ".join(
        f"{key}: expected {told.get(key)}, found {found.get(key)}"
        for key in keys
        if told.get(key) != found.get(key)
    )
