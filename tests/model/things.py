"""What there is in the model: people, tasks, bids, claims, deliveries, uses and disputes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

MICRO: Final = 1_000_000
ENDED: Final = frozenset({"accepted", "cancelled", "expired"})


class Refused(Exception):
    """What the rules answer to a move that is not possible: the name of an error."""


def up(amount: int, bps: int) -> int:
    """Return a share in basis points, rounded up."""
    return (amount * bps + 9_999) // 10_000


def down(amount: int, bps: int) -> int:
    """Return a share in basis points, rounded down."""
    return amount * bps // 10_000


@dataclass(frozen=True)
class Person:
    """Somebody who acts. An operator is their own."""

    id: UUID
    operator: UUID
    kind: str = "agent"
    per_task: int | None = None  # what an operated agent may spend, in micro-credits
    per_day: int | None = None


@dataclass(eq=False)
class Use:
    """A use of the one asset that there is, for a claim."""

    operator: UUID
    amount: int
    state: str = "bound"


@dataclass(eq=False)
class Claim:
    """Somebody's hold on a task, or an entry to a contest."""

    worker: Person
    rejections: int = 0
    ending: str | None = None
    uses: list[Use] = field(default_factory=list)

    @property
    def bound(self) -> int:
        """Return what the claim owes for reuse."""
        return sum(use.amount for use in self.uses if use.state == "bound")


@dataclass(eq=False)
class Delivery:
    """What somebody delivered. The verdict is that of its one check; None where it has none."""

    id: UUID | None
    claim: Claim
    number: int
    verdict: str | None
    state: str = "submitted"
    checks_ended: bool = False
    first_decision: str = ""
    at_stake: int | None = None


@dataclass(eq=False)
class Bid:
    """A proposal."""

    id: UUID | None
    task: "Task"
    bidder: Person
    amount: int
    version: int
    state: str = "open"
    counters: int = 0


@dataclass(eq=False)
class Seat:
    """A place on a panel."""

    position: int
    panelist: UUID
    operator: UUID
    state: str = "open"
    share: int | None = None
    pick: Delivery | None = None
    fee: int = 0


@dataclass(eq=False)
class Dispute:
    """What a panel or an administrator decides about."""

    id: UUID | None
    task: "Task"
    cause: str
    opener: Person | None
    deposit: int
    claim: Claim | None
    delivery: Delivery | None
    state: str
    due: datetime
    redraws: int = 0
    to_seat: list[int] = field(default_factory=list)  # positions that were just drawn
    seats: list[Seat] = field(default_factory=list)
    evidence: dict[UUID, int] = field(default_factory=dict)
    decided: int | None = None  # the worker's share, in basis points
    administrator: UUID | None = None
    share: int | None = None

    def in_state(self, state: str) -> list[Seat]:
        """Return the seats in a state, by position."""
        found = [seat for seat in self.seats if seat.state == state]
        return sorted(found, key=lambda seat: seat.position)


@dataclass(eq=False)
class Task:
    """A task and its terms. Micro-credits and instants."""

    id: UUID | None
    poster: Person
    mode: str
    bounty: int
    posted: datetime
    deadline: datetime
    lease: int
    review: int
    automatic: bool = False
    checked: bool = False
    on_decline: str = "open"
    runner_up: int = 0
    kind: str | None = None
    min_standing: int | None = None
    state: str = "open"
    version: int = 1
    valid_from: int = 1
    price: int | None = None
    selected: Bid | None = None
    offered_to: Person | None = None
    offered_until: datetime | None = None
    worker: Person | None = None
    claim: Claim | None = None
    lease_until: datetime | None = None
    resubmit_by: datetime | None = None
    notice_until: datetime | None = None
    remind_at: datetime | None = None
    review_until: datetime | None = None
    staff_until: datetime | None = None
    dispute: Dispute | None = None
    bids: list[Bid] = field(default_factory=list)
    entries: int = 0
    deliveries: list[Delivery] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    settlement: dict[str, int] | None = None

    @property
    def cost(self) -> int:
        """Return what the work costs."""
        return self.bounty if self.price is None else self.price

    @property
    def contest(self) -> bool:
        """Say whether it is a contest."""
        return self.mode == "contest"

    @property
    def reviewed(self) -> bool:
        """Say whether a review has begun, with the poster or with staff."""
        return self.review_until is not None or self.staff_until is not None

    def limits(self) -> Iterator[tuple[datetime, str]]:
        """Yield when which limit passes (the table "Time" of the rules)."""
        if self.state == "open":
            yield self.deadline, "close_contest" if self.entries else "expire"
        elif self.state == "offered" and self.offered_until is not None:
            yield self.offered_until, "lapse_offer"
        elif self.state == "claimed":
            yield self._limit_of_claim()
        elif self.state == "submitted":
            for at, limit in (
                (self.remind_at, "remind"),
                (self.review_until, "choice" if self.contest else "review"),
                (self.staff_until, "staff"),
            ):
                if at is not None:
                    yield at, limit
        elif self.state == "disputed" and self.dispute is not None:
            yield self.dispute.due, "dispute"

    def _limit_of_claim(self) -> tuple[datetime, str]:
        if self.resubmit_by is not None:
            if self.notice_until is not None:
                return self.resubmit_by, "end_notice"
            late = self.deadline <= self.resubmit_by
            return self.resubmit_by, "expire" if late else "expire_claim"
        if self.notice_until is not None:
            return self.notice_until, "end_notice"
        assert self.lease_until is not None
        if self.deadline <= self.lease_until:
            return self.deadline, "expire"
        return self.lease_until, "expire_claim"

    def due(self) -> datetime | None:
        """Return when its next limit passes."""
        return min((at for at, _ in self.limits()), default=None)

    def under_review(self) -> Delivery:
        """Return the delivery that awaits a decision."""
        (found,) = [one for one in self.deliveries if one.state == "submitted"]
        return found

    def standing_entries(self) -> list[Delivery]:
        """Return the entries that may win, earliest first."""
        return [one for one in self.deliveries if one.verdict in ("passed", "error")]

    def stop_review(self) -> None:
        """Forget the limits of a review."""
        self.remind_at = self.review_until = self.staff_until = None

    def begin_review(self, at: datetime, window: int) -> None:
        """Let the poster review until a window has passed."""
        self.remind_at = at + timedelta(seconds=window / 2)
        self.review_until = at + timedelta(seconds=window)
