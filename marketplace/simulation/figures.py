"""What a simulated market came to for each operator: who gained, who lost, what became of work."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q

from credits import ledger
from marketplace.delivery.models import Delivery
from marketplace.disputes.models import Dispute, Seat, SeatState
from marketplace.simulation.habits import GOOD
from marketplace.standing.figures import standing_of
from marketplace.standing.models import StandingRole
from marketplace.tasks.models import Claim, ClaimEnding, SettlementPayment, Task
from marketplace.tasks.states import ENDED, TaskState


@dataclass(slots=True)
class Figures:
    """The figures of one operator with its agents, or the sum of several. Amounts: micro-credits.

    Attributes:
        operators: How many are in the sum.
        granted: What they were granted when they signed up.
        held: What they have in the end: wallets, escrows, earnings that wait.
        fees: What the market kept of their wages.
        standing: As workers.
        poster_standing: As posters.
        accepted: Tasks of theirs that ended so; also *cancelled* and *expired*.
        running: Tasks of theirs that have not ended.
        paid: Claims and entries of theirs that were paid for.
        unpaid: Those with good work for which they had nothing, though the task has ended.
        kept: Good work that others did for them and had nothing for.
        left: Claims of theirs that they abandoned or let run out.
        disputes: Disputes that they opened.
        votes: Votes that they cast on panels.
    """

    operators: int = 0
    granted: int = 0
    held: int = 0
    fees: int = 0
    standing: int = 0
    poster_standing: int = 0
    accepted: int = 0
    cancelled: int = 0
    expired: int = 0
    running: int = 0
    paid: int = 0
    unpaid: int = 0
    kept: int = 0
    left: int = 0
    disputes: int = 0
    votes: int = 0

    @property
    def gained(self) -> int:
        """Return what they have together beyond their grants."""
        return max(0, self.held - self.granted)

    @property
    def lost(self) -> int:
        """Return what they have together less than their grants."""
        return max(0, self.granted - self.held)

    def add(self, other: "Figures") -> None:
        """Take another's figures into the sum."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


AMOUNTS = ("granted", "gained", "lost", "fees", "standing", "poster_standing")
COUNTS = (
    *("operators", "accepted", "cancelled", "expired", "running"),
    *("paid", "unpaid", "kept", "left", "disputes", "votes"),
)


def total(several: Iterable[Figures]) -> Figures:
    """Return the sum of several."""
    summed = Figures()
    for one in several:
        summed.add(one)
    return summed


def figures_of(granted: Mapping[uuid.UUID, int], *, at: datetime) -> dict[uuid.UUID, Figures]:
    """Return the figures of each operator.

    Args:
        granted: What each operator was granted.
        at: The market's time, for standing.

    Round trips: one for each operator, and seven.
    """
    found = {
        operator: Figures(operators=1, granted=amount, held=sum(ledger.position(operator).values()))
        for operator, amount in granted.items()
    }
    for role, name in ((StandingRole.WORKER, "standing"), (StandingRole.POSTER, "poster_standing")):
        for operator, figure in standing_of(found, role, at=at).items():
            setattr(found[operator], name, figure.points)
    _count_posted(found)
    _count_worked(found)
    for payment in SettlementPayment.objects.select_related("claim"):
        found[payment.claim.operator_id].fees += payment.fee
    for case in Dispute.objects.select_related("opener").defer("pool"):
        if case.opener is not None:
            found[case.opener.operator_key].disputes += 1
    for seat in Seat.objects.filter(state=SeatState.VOTED):
        found[seat.operator_id].votes += 1
    return found


def _count_posted(found: dict[uuid.UUID, Figures]) -> None:
    ended = {
        TaskState.ACCEPTED.value: "accepted",
        TaskState.CANCELLED.value: "cancelled",
        TaskState.EXPIRED.value: "expired",
    }
    for row in Task.objects.values("poster_operator", "state").annotate(number=Count("pk")):
        of, name = found[row["poster_operator"]], ended.get(row["state"], "running")
        setattr(of, name, getattr(of, name) + row["number"])


def _count_worked(found: dict[uuid.UUID, Figures]) -> None:
    payments = SettlementPayment.objects
    claims = Claim.objects.annotate(
        is_paid=Exists(payments.filter(claim=OuterRef("pk"))),
        # Of a contest one is paid, and the others knew that.
        is_lost_contest=Q(is_entry=True)
        & Exists(payments.filter(settlement__task=OuterRef("task"))),
        is_good=Exists(Delivery.objects.filter(claim=OuterRef("pk"), result=GOOD)),
        is_over=Q(task__state__in=sorted(ENDED)),
    )
    rows = claims.values_list(
        *("operator", "task__poster_operator", "ending"),
        *("is_paid", "is_lost_contest", "is_good", "is_over"),
    )
    for operator, poster, ending, is_paid, is_lost_contest, is_good, is_over in rows:
        found[operator].paid += is_paid
        found[operator].left += ending in (ClaimEnding.ABANDONED, ClaimEnding.EXPIRED)
        if is_good and is_over and not is_paid and not is_lost_contest:
            found[operator].unpaid += 1
            found[poster].kept += 1
