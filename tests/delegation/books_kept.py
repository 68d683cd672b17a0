"""Random trees with an account of every micro-credit, kept as it moves and not as it is read."""

import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from marketplace.delegation.price_chain import PAID, Back, Link
from marketplace.foundation.ids import new_id

START = datetime(2026, 1, 1, tzinfo=UTC)
MOST_STEPS = 14
MOST = 1000


@dataclass
class Kept:
    """One task, and what was written down about its money.

    Attributes:
        task: Its id.
        parent: What it is a part of.
        is_paid_from_escrow: Whether its money came out of the parent's escrow.
        bounty: What was put into its escrow.
        escrow: What lies there.
        delegated: What subtasks have of it.
        paid: What people received, by kind.
        refund: What went back at the end.
        returns: What went back after it.
        ended: When its escrow was divided.
    """

    task: uuid.UUID
    parent: "Kept | None"
    is_paid_from_escrow: bool
    bounty: int
    escrow: int = 0
    delegated: int = 0
    paid: Counter[str] = field(default_factory=Counter)
    refund: int = 0
    returns: list[Back] = field(default_factory=list)
    ended: datetime | None = None

    @property
    def top(self) -> "Kept":
        """Return the task whose bounty it is paid from."""
        if self.is_paid_from_escrow and self.parent is not None:
            return self.parent.top
        return self

    def is_below(self, other: uuid.UUID) -> bool:
        """Say whether it is *other*, or a part of it."""
        return self.task == other or (self.parent is not None and self.parent.is_below(other))

    def link(self) -> Link:
        """Return what the market would have recorded."""
        return Link(
            task=self.task,
            parent=None if self.parent is None else self.parent.task,
            is_paid_from_escrow=self.is_paid_from_escrow,
            bounty=self.bounty,
            settled_at=self.ended,
            held=self.escrow,
            subtasks=self.delegated,
            refund=self.refund,
            returns=self.returns,
            **{name: self.paid[name] for name in PAID},
        )


class KeptTree:
    """Plays a tree: splits, ends and judgements, each as its own movement of money."""

    def __init__(self, bounty: int) -> None:
        self.tasks = [Kept(new_id(), None, is_paid_from_escrow=False, bounty=bounty, escrow=bounty)]
        self.left: Counter[uuid.UUID] = Counter()  # what left a chain, by its top
        self.at = START

    def links(self, below: uuid.UUID | None = None) -> list[Link]:
        """Return what would be recorded of all tasks, or of those from one down."""
        return [one.link() for one in self.tasks if below is None or one.is_below(below)]

    def totals(self) -> dict[uuid.UUID, dict[str, int]]:
        """Return what became of each bounty that a wallet paid, by what was moved."""
        found: dict[uuid.UUID, Counter[str]] = {}
        for one in self.tasks:
            total = found.setdefault(one.top.task, Counter())
            total.update(one.paid)
            total["held"] += one.escrow
        return {
            top: {**{name: total[name] for name in (*PAID, "held")}, "refund": self.left[top]}
            for top, total in found.items()
        }

    def split(self, parent: Kept, amount: int, *, from_escrow: bool) -> None:
        """Create a subtask."""
        if from_escrow:
            parent.escrow -= amount
            parent.delegated += amount
        self.tasks.append(Kept(new_id(), parent, from_escrow, amount, escrow=amount))

    def end(self, task: Kept, parts: dict[str, int]) -> None:
        """Divide an escrow: *parts* to people, what is left back."""
        task.paid.update(parts)
        task.refund, task.escrow, task.ended = task.escrow - sum(parts.values()), 0, self.at
        self._send_back(task, task.refund)

    def judge(self, task: Kept, *, back: int, panel: int) -> None:
        """Decide about what waits for a worker."""
        waited = task.paid["waiting"]
        task.paid.update({"waiting": -waited, "wages": waited - back - panel, "panel": panel})
        task.returns.append(Back(back, self.at))
        self._send_back(task, back)

    def _send_back(self, task: Kept, amount: int) -> None:
        home = task
        while home.is_paid_from_escrow and home.parent is not None:
            home = home.parent
            if home.ended is None:
                home.escrow += amount
                home.delegated -= amount
                return
        self.left[home.task] += amount


@st.composite
def a_kept_tree(draw: st.DrawFn) -> KeptTree:
    """Draw a tree in any state that a tree gets into."""
    tree = KeptTree(draw(st.integers(1, MOST)))
    for _ in range(draw(st.integers(0, MOST_STEPS))):
        tree.at += timedelta(seconds=draw(st.integers(0, 1)))  # some happen at one moment
        running = [one for one in tree.tasks if one.ended is None]
        splittable = [one for one in running if one.escrow]
        waits_for = {one.parent.task for one in running if one.parent and one.is_paid_from_escrow}
        endable = [one for one in running if one.task not in waits_for]
        judgeable = [one for one in tree.tasks if one.paid["waiting"]]
        step = draw(st.sampled_from(["split", "split", "end", "judge"]))
        if step == "split" and splittable:
            parent = draw(st.sampled_from(splittable))
            amount = draw(st.integers(1, parent.escrow))
            tree.split(parent, amount, from_escrow=draw(st.booleans()))
        elif step == "end" and endable:
            task = draw(st.sampled_from(endable))
            tree.end(task, _parts(draw, task))
        elif step == "judge" and judgeable:
            task = draw(st.sampled_from(judgeable))
            back = draw(st.integers(0, task.paid["waiting"]))
            panel = draw(st.integers(0, task.paid["waiting"] - back))
            # Whatever ended before ended at an earlier moment.
            tree.at += timedelta(seconds=1)
            tree.judge(task, back=back, panel=panel)
            tree.at += timedelta(seconds=1)
    return tree


def _parts(draw: st.DrawFn, task: Kept) -> dict[str, int]:
    left, parts = task.escrow, {}
    kinds = [name for name in PAID if name != "waiting" or task.is_paid_from_escrow]
    for name in draw(st.permutations(kinds)):
        parts[name] = draw(st.integers(0, left))
        left -= parts[name]
    return parts
