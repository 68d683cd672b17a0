"""The price chain of a tree: what became of a bounty, over all that it paid for (rule 16).

An escrow pays subtasks out of itself, and what they do not use comes back into it. So a bounty is
what was paid to people in all tasks that it reached, what lies in their escrows, what waits, and
what left the chain where the bounty came from; to the micro-credit. What a lead's own wallet pays
is a chain of its own, beside it.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef
from django.db.models.functions import JSONObject

from marketplace.delegation.trees import in_order, is_side
from marketplace.participants.models import Participant
from marketplace.tasks.lineage import UNREAD, in_tree
from marketplace.tasks.models import Settlement, SettlementPayment, Task
from marketplace.tasks.queries import may_see_settlement


@dataclass(frozen=True, slots=True)
class Back:
    """Something that goes back where it came from: what was not used, or what a dispute took.

    Attributes:
        amount: Micro-credits.
        at: When it went.
    """

    amount: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """What became of one task's bounty; micro-credits, and all parts add up to it.

    Attributes:
        task: Its id.
        parent: What it is a part of.
        is_paid_from_escrow: Whether that one's escrow pays it.
        bounty: What was put into its escrow, all in all.
        settled_at: When that was divided; null while it is not.
        held: What lies in it.
        subtasks: What it paid to subtasks, less what came back.
        wages: What workers received.
        waiting: What waits for workers (rule 15).
        fee: What the market received.
        royalties: What authors received.
        compensation: What a worker received whose task was cancelled at once.
        panel: What panels received.
        refund: What went back where it came from.
        returns: What disputes took from workers afterwards, and sent back there (rule 20).
    """

    task: uuid.UUID
    parent: uuid.UUID | None
    is_paid_from_escrow: bool
    bounty: int
    settled_at: datetime | None = None
    held: int = 0
    subtasks: int = 0
    wages: int = 0
    waiting: int = 0
    fee: int = 0
    royalties: int = 0
    compensation: int = 0
    panel: int = 0
    refund: int = 0
    returns: Sequence[Back] = ()

    def __post_init__(self) -> None:
        parts = (*self.paid.values(), self.held, self.subtasks, self.refund, self.returned)
        assert all(part >= 0 for part in parts), self
        assert sum(parts) == self.bounty, self

    @property
    def paid(self) -> dict[str, int]:
        """Return what went, or will go, to somebody who had to do with this task."""
        return {name: getattr(self, name) for name in PAID}

    @property
    def returned(self) -> int:
        """Return what disputes took from workers afterwards."""
        return sum(one.amount for one in self.returns)

    @property
    def back(self) -> Sequence[Back]:
        """Return all that went back where it came from, and when."""
        if self.settled_at is None or not self.refund:
            return self.returns
        return [Back(self.refund, self.settled_at), *self.returns]


PAID = ("wages", "waiting", "fee", "royalties", "compensation", "panel")


@dataclass(frozen=True, slots=True)
class Chain:
    """What became of one bounty over all tasks that it paid for; the parts add up to it.

    Attributes:
        links: The task whose bounty it is, then what it paid for, as trees list them.
        refund: What left the chain where the bounty came from, also what disputes returned.
    """

    links: Sequence[Link]
    refund: int

    def __post_init__(self) -> None:
        assert sum(self.total.values()) == self.bounty, self

    @property
    def bounty(self) -> int:
        """Return the bounty that the parts add up to."""
        return self.links[0].bounty

    @property
    def total(self) -> dict[str, int]:
        """Return the parts by their names."""
        paid = {name: sum(getattr(link, name) for link in self.links) for name in PAID}
        return {**paid, "held": sum(link.held for link in self.links), "refund": self.refund}


class Books:
    """What became of the bounties of a task and of all below it."""

    def __init__(self, links: Sequence[Link]) -> None:
        """Read where what went back went to.

        Args:
            links: The task, then all below it, each before its own subtasks.
        """
        self._links = {link.task: link for link in links}
        self._top = links[0].task
        # By the task whose escrow received it, what came back over which of its subtasks.
        self._came_back: dict[uuid.UUID, dict[uuid.UUID, int]] = {}
        self._left: dict[uuid.UUID, int] = {}  # by the task at the top of a chain
        for link in links:
            for back in link.back:
                self._follow(link, back)
        for link in links:
            children = self.paid_to_subtasks(link.task)
            assert sum(children.values()) == link.subtasks, (link, children)

    def _follow(self, link: Link, back: Back) -> None:
        """Note where something went: into the next escrow above that had not been divided."""
        while link.is_paid_from_escrow and link.parent in self._links and link.task != self._top:
            over, link = link, self._links[link.parent]
            if link.settled_at is None or link.settled_at >= back.at:
                received = self._came_back.setdefault(link.task, {})
                received[over.task] = received.get(over.task, 0) + back.amount
                return
        self._left[link.task] = self._left.get(link.task, 0) + back.amount

    def paid_to_subtasks(self, task: uuid.UUID) -> dict[uuid.UUID, int]:
        """Return what left a task's escrow for each subtask, less what came back before its end."""
        back = self._came_back.get(task, {})
        return {
            link.task: link.bounty - back.get(link.task, 0)
            for link in self._links.values()
            if link.parent == task and link.is_paid_from_escrow and link.task != self._top
        }

    @property
    def chains(self) -> list[Chain]:
        """Return the chain of the task on top, then those that wallets below it paid."""
        found: dict[uuid.UUID, list[Link]] = {}
        top_of: dict[uuid.UUID, uuid.UUID] = {}
        for link in self._links.values():
            if link.is_paid_from_escrow and link.parent is not None and link.task != self._top:
                top_of[link.task] = top_of[link.parent]
            else:
                top_of[link.task] = link.task
            found.setdefault(top_of[link.task], []).append(link)
        return [Chain(links, self._left.get(top, 0)) for top, links in found.items()]


def may_read(task: Task, participant: Participant) -> bool:
    """Say whether somebody reads how a task's escrow was divided: sides, payees, and those above.

    Round trips: two at most.
    """
    return may_see_settlement(task, participant) or is_side(task, participant)


def books_of(task: Task) -> tuple[Task, Books]:
    """Return a task as it is now, and what became of its bounty and of those of all below it.

    Round trips: one, whatever the size. Escrows change together with what ended beside them, so
    what is read has to be of one moment.
    """
    payments = SettlementPayment.objects.filter(settlement=OuterRef("pk")).values(
        paid=JSONObject(
            amount=F("gross") - F("fee"),
            returned="release__returned",
            panel="release__panel",
            at="release__released_at",
        )
    )
    rows = Task.objects.filter(in_tree(task.root))
    rows = rows.select_related("settlement", "claim").annotate(payments=ArraySubquery(payments))
    found = {row.pk: row for row in rows.defer(*UNREAD).order_by("pk")}
    order = in_order({pk: row.parent_id for pk, row in found.items()}, task.pk)
    links = [
        link_of(row, [_payment(one) for one in row.payments])
        for row in map(found.__getitem__, order)
    ]
    return found[task.pk], Books(links)


@dataclass(frozen=True, slots=True)
class Payment:
    """What one worker was paid at the end of a task, and what became of it where it waited.

    Attributes:
        amount: What was the worker's, after the fee.
        returned: What a dispute sent back of it.
        panel: What that dispute's panel had of it.
        released_at: When it was decided what becomes of it; null where it waits, or never did.
    """

    amount: int
    returned: int = 0
    panel: int = 0
    released_at: datetime | None = None


def _payment(row: dict[str, Any]) -> Payment:
    if row["at"] is None:
        return Payment(row["amount"])
    at = datetime.fromisoformat(row["at"])
    return Payment(row["amount"], row["returned"], row["panel"], at)


def link_of(task: Task, payments: Sequence[Payment] = ()) -> Link:
    """Return what became of one task's bounty, by what was recorded when it ended and after."""
    settled: Settlement | None = getattr(task, "settlement", None)
    if settled is None:
        return Link(
            task=task.pk,
            parent=task.parent_id,
            is_paid_from_escrow=task.is_paid_from_escrow,
            bounty=task.bounty,
            held=task.held,
            subtasks=task.delegated,
        )
    waits = task.wages_wait_until is not None
    waiting = sum(one.amount for one in payments if waits and one.released_at is None)
    panel = sum(one.panel for one in payments)
    returns = [
        Back(one.returned, one.released_at) for one in payments if one.returned and one.released_at
    ]
    return Link(
        task=task.pk,
        parent=task.parent_id,
        is_paid_from_escrow=task.is_paid_from_escrow,
        bounty=settled.bounty,
        settled_at=settled.settled_at,
        subtasks=settled.subtasks,
        wages=settled.wages - waiting - panel - sum(one.returned for one in payments),
        waiting=waiting,
        fee=settled.fee,
        royalties=settled.royalties,
        compensation=settled.compensation,
        panel=settled.panel + panel,
        refund=settled.refund,
        returns=returns,
    )
