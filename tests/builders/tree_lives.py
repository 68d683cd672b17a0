"""Lives of trees: every move that somebody may make in one, so that tests draw among them."""

import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from django.db.models import Q

from assets.models import Version
from credits import amounts, ledger
from credits.errors import InsufficientCredits
from marketplace.delegation.usecases.plan_subtasks import plan_subtasks
from marketplace.delegation.waiting import release_due
from marketplace.delivery import contests
from marketplace.delivery.models import Delivery, DeliveryState
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.delivery.usecases.submit_delivery import AlreadyEntered, Work, submit_delivery
from marketplace.disputes.models import Dispute, Outcome, Seat, SeatState
from marketplace.disputes.states import DisputeState
from marketplace.disputes.usecases.appeal_outcome import appeal_outcome
from marketplace.disputes.usecases.cast_vote import cast_vote
from marketplace.disputes.usecases.decide_dispute import decide_dispute
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.reuse.uses import ReuseCapExceeded
from marketplace.tasks import deadlines
from marketplace.tasks.bids import LiveBidExists
from marketplace.tasks.caps import ClaimCapReached
from marketplace.tasks.models import Bid, BidState, Mode, OnDecline, Source, Task
from marketplace.tasks.sources import EscrowExhausted
from marketplace.tasks.states import IllegalTransition, NotPermitted
from marketplace.tasks.terms import InvalidTerms, TermsChanged
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.decline_task import decline_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from marketplace.tasks.usecases.place_bid import place_bid
from marketplace.tasks.usecases.raise_task import raise_task
from marketplace.tasks.usecases.select_bid import select_bid
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import a_skill
from tests.builders.people import a_person, an_agent
from tests.builders.staff import somebody_of_staff
from tests.builders.trees import an_entry
from tests.builders.work import ANSWER, a_task, an_exact_check, everything_handled

MICRO = amounts.MICRO
# What the rules answer to a move that is not possible now. Anything else is a bug.
REFUSALS = (
    IllegalTransition,
    NotPermitted,
    InvalidTerms,
    TermsChanged,
    EscrowExhausted,
    InsufficientCredits,
    ClaimCapReached,
    ReuseCapExceeded,
    LiveBidExists,
    AlreadyEntered,
    Delivery.DoesNotExist,
    Dispute.DoesNotExist,
)
SPANS = (timedelta(minutes=11), timedelta(hours=7), timedelta(hours=25), timedelta(days=3))
BPS = (0, 3_333, 10_000, 10_000)
# How likely a possible move is, while a tree grows and later; 2 and 3 where it is not named.
GROWING = {"claim": 16, "bid": 8, "select": 16, "plan": 24, "edit": 1, "cancel": 1, "abandon": 1}
GROWING |= {"notice": 0, "cancel_at_once": 0, "raise": 1, "submit": 3, "heartbeat": 1}
GROWING |= {"dispute_earnings": 1}
LATER = {"claim": 8, "submit": 8, "accept": 6, "reject": 5, "dispute": 6, "decide": 9, "raise": 1}
LATER |= {"dispute_earnings": 2, "edit": 1, "heartbeat": 1, "notice": 1, "cancel_at_once": 1}
# Of people who bring to an end what they began, wherever in the tree that is.
DILIGENT = {"claim": 8, "bid": 2, "select": 8, "enter": 2, "submit": 8, "accept": 8, "reject": 1}
DILIGENT |= {"dispute": 1, "vote": 4, "decide": 8, "heartbeat": 1}
DILIGENT_SHARE = 0.4  # of trees
SMALL = 9  # tasks


Move = tuple[str, Callable[[], object]]


def wait(span: timedelta) -> None:
    """Let time pass, and what is due happen, in whatever tree."""
    clock.advance(span)
    while deadlines.sweep():
        pass
    while release_due():
        pass


def end(*roots: uuid.UUID) -> None:
    """Let all time pass until everything in some trees has ended, and nothing waits."""
    for _ in range(400):
        due = _next_limit(roots)
        if due is None:
            return
        wait(max(timedelta(0), due - clock.now()) + timedelta(seconds=1))
    raise AssertionError("some task goes on for ever")


def _next_limit(roots: Collection[uuid.UUID]) -> datetime | None:
    tasks = Task.objects.filter(root__in=roots)
    waits = tasks.filter(dispute_due_at=None).values_list("wages_wait_until", flat=True)
    due = [*tasks.values_list("due_at", flat=True), *waits]
    return min((at for at in due if at is not None), default=None)


@dataclass
class Life:
    """A tree, everybody who takes part in it, and what they may do next."""

    chance: Random
    root: uuid.UUID
    people: list[Participant]
    author: Participant
    skill: Version
    made: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    keys: int = 0
    has_grown: bool = False
    is_diligent: bool = False

    @classmethod
    def begun(cls, chance: Random) -> "Life":
        """Post a task that may be split."""
        poster, author = a_person(), a_person()
        mode = chance.choice([Mode.CLAIM, Mode.BID])
        task = a_task(
            poster,
            mode=mode,
            bounty=chance.randint(5 * MICRO, 30 * MICRO),
            delegation_bps=chance.choice(BPS[1:]),
            deadline=clock.now() + timedelta(days=60),
            lease_seconds=20 * 86_400,
            review_window_seconds=7_200,
        )
        skill = a_skill(author, price=70_001)
        diligent = chance.random() < DILIGENT_SHARE
        return cls(chance, task.pk, [poster, author], author, skill, is_diligent=diligent)

    def somebody(self) -> Participant:
        """Return somebody: a newcomer, or one who takes part already."""
        if self.chance.randint(0, 3):
            self.people.append(an_agent())
            return self.people[-1]
        return self.chance.choice(self.people[2:] or self.people[:1])

    def tasks(self) -> list[Task]:
        """Return the tasks that have not ended, or whose wages wait, as they stand."""
        going_on = Q(ended_at=None) | Q(wages_wait_until__isnull=False)
        running = Task.objects.filter(going_on, root=self.root)
        people = ("poster", "worker", "offered_to", "funder")
        return list(running.select_related(*people).order_by("pk"))

    def moves(self) -> list[Move]:
        """Return what somebody may try, on one task or on all, each as often as it is likely."""
        tasks = self.tasks()
        if not tasks:
            return []
        enough = 12 if self.is_diligent else 30
        self.has_grown |= len(tasks) >= SMALL or sum(self.made.values()) > enough
        likely, otherwise = (LATER, 3) if self.has_grown else (GROWING, 2)
        looked_at = [self.chance.choice(tasks)]
        if self.has_grown and self.is_diligent:
            likely, otherwise, looked_at = DILIGENT, 0, tasks
        return [
            (name, move)
            for task in looked_at
            for name, move in self._moves_of(task)
            for _ in range(likely.get(name, otherwise))
        ]

    def make(self, name: str, move: Callable[[], object]) -> None:
        """Make a move; the rules may refuse it."""
        try:
            move()
        except REFUSALS:
            self.refused[name] = self.refused.get(name, 0) + 1
        else:
            self.made[name] = self.made.get(name, 0) + 1

    def wait(self, span: timedelta) -> None:
        """Let time pass, and what is due happen."""
        wait(span)

    def end(self) -> None:
        """Let all time pass until everything has ended, and nothing waits."""
        end(self.root)

    def _moves_of(self, task: Task) -> Iterator[Move]:
        pk, poster = task.pk, task.poster
        if task.state in ("blocked", "open", "offered"):
            yield "cancel", partial(cancel_task, task_id=pk, actor=poster)
        if task.state in ("blocked", "open"):
            yield "edit", partial(self._edit, task)
        if task.state in ("open", "claimed", "submitted"):
            yield "raise", partial(self._raise, task)
        if task.state == "open":
            yield from self._takings(task)
        elif task.state == "offered":
            assert task.offered_to is not None
            yield "claim", partial(claim_task, task_id=pk, actor=task.offered_to)
            yield "decline", partial(decline_task, task_id=pk, actor=task.offered_to)
        elif task.state == "claimed":
            yield from self._works(task)
        elif task.state == "submitted":
            yield "accept", partial(self._accept, task)
            yield "reject", partial(self._reject, task)
            yield "dispute", partial(self._dispute, task, poster)
        elif task.dispute_due_at is not None:
            yield from self._judgements(task)
        elif task.wages_wait_until is not None:
            assert task.funder is not None
            yield "dispute_earnings", partial(self._dispute, task, task.funder)

    def _works(self, task: Task) -> Iterator[Move]:
        pk, poster, worker = task.pk, task.poster, task.worker
        assert worker is not None
        yield "plan", partial(self._plan, task)
        yield "submit", partial(self._submit, task, worker)
        yield "abandon", partial(abandon_task, task_id=pk, actor=worker)
        yield "notice", partial(cancel_task, task_id=pk, actor=poster)
        yield "cancel_at_once", partial(cancel_task, task_id=pk, actor=poster, at_once=True)
        yield "heartbeat", partial(heartbeat, task_id=pk, actor=worker)
        yield "use", partial(self._use, task)
        if task.resubmit_by is not None:
            yield "dispute", partial(self._dispute, task, worker)

    # --- Money and terms ---

    def _edit(self, task: Task) -> object:
        bounty = max(10_000, self.chance.randint(task.bounty // 2, task.bounty * 2))
        return edit_task(
            task_id=task.pk,
            actor=task.poster,
            changes={"bounty": bounty},
            read_version=lambda _: True,
        )

    def _raise(self, task: Task) -> object:
        more = self.chance.randint(1, 2 * MICRO)
        return raise_task(task_id=task.pk, actor=task.poster, bounty=task.bounty + more)

    def _use(self, task: Task) -> object:
        owner, name = self.skill.asset.reference.split("/")
        assert task.worker is not None
        return use_asset(
            actor=task.worker, owner=owner, name=name, task_id=task.pk, max_charge=MICRO
        )

    # --- Splitting and taking ---

    def _plan(self, task: Task) -> object:
        assert task.worker is not None
        siblings = list(Task.objects.filter(parent=task).values_list("key", flat=True))
        entries = []
        for _ in range(self.chance.randint(1, 3)):
            self.keys += 1
            key = f"k{self.keys}"
            entries.append(an_entry(key, **self._terms(siblings)))
            siblings.append(key)
        return plan_subtasks(task_id=task.pk, actor=task.worker, entries=entries)

    def _terms(self, siblings: list[str]) -> dict[str, Any]:
        modes = [Mode.CLAIM, Mode.CLAIM, Mode.CLAIM, Mode.DIRECT, Mode.BID, Mode.CONTEST]
        said: dict[str, Any] = {
            "mode": self.chance.choice(modes),
            "bounty": self.chance.randint(10_000, MICRO),
            "source": self.chance.choice([Source.ESCROW, Source.ESCROW, Source.WALLET]),
            "delegation_bps": self.chance.choice(BPS),
            "lease_seconds": self.chance.choice([None, 8 * 86_400]),
            "review_window_seconds": 3_600,
            "on_decline": self.chance.choice([OnDecline.OPEN, OnDecline.CANCEL]),
        }
        if siblings and said["mode"] != Mode.CONTEST and self.chance.randint(0, 1):
            said["depends_on"] = (self.chance.choice(siblings),)
        if said["mode"] == Mode.DIRECT:
            said["assignee"] = self.somebody().handle
        if said["mode"] == Mode.CONTEST:
            said["verification"] = [an_exact_check()]
            said["deadline"] = clock.now() + timedelta(days=2)
            said["lease_seconds"] = None
        return said

    def _takings(self, task: Task) -> Iterator[Move]:
        if task.mode == Mode.BID:
            yield "bid", partial(self._bid, task)
            for bid in Bid.objects.filter(task=task, state=BidState.OPEN)[:2]:
                yield "select", partial(select_bid, bid_id=bid.pk, actor=task.poster)
        elif task.is_contest:
            yield "enter", partial(self._enter, task)
        else:
            yield "claim", partial(self._claim, task)

    def _claim(self, task: Task) -> object:
        return claim_task(task_id=task.pk, actor=self.somebody())

    def _bid(self, task: Task) -> object:
        return place_bid(
            task_id=task.pk,
            actor=self.somebody(),
            proposal="So.",
            amount=self.chance.randint(10_000, task.bounty),
            terms_version=task.terms_version,
        )

    def _enter(self, task: Task) -> object:
        work = Work(summary="Done.", result=self.chance.choice([ANSWER, {"totals": None}]))
        entry = submit_delivery(task_id=task.pk, actor=self.somebody(), work=work)
        everything_handled()
        return entry

    # --- Delivering and deciding ---

    def _submit(self, task: Task, worker: Participant) -> object:
        work = Work(summary="Done.", result=ANSWER)
        return submit_delivery(task_id=task.pk, actor=worker, work=work)

    def _under_review(self, task: Task) -> uuid.UUID:
        submitted = list(Delivery.objects.filter(task=task, state=DeliveryState.SUBMITTED))
        if task.is_contest:
            submitted = contests.standing_entries(task)
        return self.chance.choice([one.pk for one in submitted] or [uuid.uuid4()])

    def _accept(self, task: Task) -> object:
        return accept_delivery(delivery_id=self._under_review(task), actor=task.poster)

    def _reject(self, task: Task) -> object:
        return reject_delivery(
            delivery_id=self._under_review(task), actor=task.poster, reason="No."
        )

    def _dispute(self, task: Task, by: Participant) -> object:
        return open_dispute(task_id=task.pk, actor=by, reason="See.")

    def _judgements(self, task: Task) -> Iterator[Move]:
        dispute = Dispute.objects.select_related("task__poster", "claim__worker").get(task=task)
        if dispute.state == DisputeState.VOTING:
            for seat in Seat.objects.filter(dispute=dispute, state=SeatState.OPEN).select_related(
                "panelist"
            ):
                yield "vote", partial(self._vote, dispute, seat)
        elif dispute.state in (DisputeState.ADMINISTRATOR, DisputeState.APPEALED):
            yield "decide", partial(self._decide, dispute)
        elif dispute.state == DisputeState.DECIDED and dispute.claim is not None:
            for side in (task.poster, dispute.claim.worker):
                yield (
                    "appeal",
                    partial(appeal_outcome, dispute_id=dispute.pk, actor=side, reason="No."),
                )

    def _said(self) -> dict[str, Any]:
        outcome = self.chance.choice([Outcome.ACCEPT, Outcome.REJECT, Outcome.SPLIT])
        share = self.chance.randint(1, 9_999) if outcome == Outcome.SPLIT else None
        return {"outcome": outcome, "worker_share": share, "rationale": "I looked."}

    def _vote(self, dispute: Dispute, seat: Seat) -> object:
        said: dict[str, Any] = self._said()
        if dispute.is_contest:
            entry = self._under_review(dispute.task)
            said = {"outcome": Outcome.ACCEPT, "delivery_id": entry, "rationale": "It."}
        return cast_vote(dispute_id=dispute.pk, actor=seat.panelist, **said)

    def _decide(self, dispute: Dispute) -> object:
        return decide_dispute(dispute_id=dispute.pk, actor=somebody_of_staff(), **self._said())

    def wealth(self, participant: Participant) -> int:
        """Return what somebody has, with what waits, in micro-credits."""
        return sum(ledger.position(participant.operator_key).values())
