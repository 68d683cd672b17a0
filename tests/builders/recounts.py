"""What a tree of tasks has to look like, counted anew from the rows, by no code of the product's.

`wrong_now` holds after every move; `wrong_at_the_end` when every task of the tree has ended and
every wait is over. Both say what is wrong in words, and nothing where nothing is.
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from django.db import connection

from marketplace.delegation.models import Dependency
from marketplace.disputes.models import Dispute, Seat
from marketplace.foundation.ids import encode
from marketplace.participants.models import Participant
from marketplace.reuse.models import Use
from marketplace.tasks.models import Claim, Settlement, SettlementPayment, Task

ENDED = {"accepted", "cancelled", "expired"}
HOLDING = {"claimed", "submitted", "disputed"}
UNHELD = {"blocked", "open", "offered"}
GRANT = 100_000_000

ESCROWS = """
SELECT reference, balance, closed_at IS NOT NULL FROM credits_account
WHERE kind = 'escrow' AND reference = ANY(%s)
"""

POSTED = """
SELECT coalesce(sum(amount) FILTER (WHERE NOT ends AND is_ours), 0),
       coalesce(sum(amount) FILTER (WHERE ends AND kind = 'fees'), 0),
       coalesce(sum(amount) FILTER (WHERE ends AND kind IN ('wallet', 'pending')), 0)
FROM (
    SELECT amount, account.kind, posting.reference = ANY(%(ends)s) AS ends,
           account.kind = 'escrow' AND account.reference = ANY(%(escrows)s) AS is_ours
    FROM credits_entry entry
    JOIN credits_posting posting ON posting.id = entry.posting_id
    JOIN credits_account account ON account.id = entry.account_id
    WHERE posting.reference = ANY(%(ends)s)
       OR posting.id IN (
           SELECT posting_id FROM credits_entry
           JOIN credits_account ON id = account_id AND kind = 'escrow'
           WHERE reference = ANY(%(escrows)s)
       )
) entries
"""


@dataclass
class Rows:
    """Everything that the database says about one tree."""

    tasks: Mapping[uuid.UUID, Task]
    settlements: Mapping[uuid.UUID, Settlement]
    payments: Sequence[SettlementPayment]
    claims: Sequence[Claim]
    disputes: Sequence[Dispute]
    judged: Collection[uuid.UUID]  # tasks that ended as a panel or an administrator said
    escrows: Mapping[str, tuple[int, bool]]
    children: Mapping[uuid.UUID, Sequence[Task]] = field(default_factory=dict)

    def operator(self, participant: Participant) -> uuid.UUID:
        """Return whose account a participant is."""
        return participant.operator_id or participant.pk

    def landed(self) -> Iterator[tuple[Task | None, Task, int]]:
        """Return what disputes over earnings sent back, and whence, and into whose escrow.

        None is the wallet that it came from: every escrow on the way had ended.
        """
        for payment in self.payments:
            release = getattr(payment, "release", None)
            if release is None or not release.returned:
                continue
            task = self.tasks[payment.settlement_id]
            home: Task | None = None
            while home is None and task.source == "escrow":
                above = next(self.ancestors(task))
                if above.ended_at is None or above.ended_at > release.released_at:
                    home = above
                task = above
            yield home, task, release.returned

    def ancestors(self, task: Task) -> Iterator[Task]:
        """Return the tasks above one, from its parent up."""
        while task.parent_id is not None:
            task = self.tasks[task.parent_id]
            yield task


def rows_of(root: uuid.UUID) -> Rows:
    """Read a tree."""
    people = ("poster", "lead", "worker", "offered_to", "assignee", "claim", "funder")
    tasks = {
        one.pk: one for one in Task.objects.filter(root=root).select_related(*people).order_by("pk")
    }
    disputes = list(Dispute.objects.filter(task__root=root))
    voted = set(
        Seat.objects.filter(dispute__in=disputes, state="voted").values_list("dispute", flat=True)
    )
    with connection.cursor() as cursor:
        names = [one.public_id for one in tasks.values()] + [one.public_id for one in disputes]
        cursor.execute(ESCROWS, [names])
        escrows = {name: (balance, closed) for name, balance, closed in cursor.fetchall()}
    children: dict[uuid.UUID, list[Task]] = defaultdict(list)
    for one in tasks.values():
        if one.parent_id is not None:
            children[one.parent_id].append(one)
    return Rows(
        tasks=tasks,
        settlements={one.task_id: one for one in Settlement.objects.filter(task__root=root)},
        payments=list(
            SettlementPayment.objects.filter(settlement__task__root=root).select_related(
                "claim", "release"
            )
        ),
        claims=list(Claim.objects.filter(task__root=root).select_related("worker")),
        disputes=disputes,
        judged={
            one.task_id
            for one in disputes
            if one.cause != "funder" and (one.cause != "silence" or one.pk in voted)
        },
        escrows=escrows,
        children=children,
    )


def _waits_for(parent: Task, child: Task) -> bool:
    """Say whether a parent waits for a subtask: it pays for it, or its lead of now planned it."""
    return child.state not in ENDED and (
        child.source == "escrow" or child.lead_claim_id == parent.claim_id
    )


def wrong_now(root: uuid.UUID) -> list[str]:
    """Return what is wrong with a tree at any moment."""
    rows = rows_of(root)
    wrong = [
        f"{_name(rows, task)}: {said}"
        for task in rows.tasks.values()
        for look in (_counts, _money, _states, _people, _clocks)
        for said in look(rows, task)
    ]
    if rows.tasks[root].state in ENDED:
        wrong += _left_open(rows)
    return wrong


def _left_open(rows: Rows) -> Iterator[str]:
    """When the root has ended every escrow is empty, but those that a former lead's wallet pays."""
    for task in rows.tasks.values():
        held, _ = rows.escrows[task.public_id]
        way = [task, *rows.ancestors(task)]
        forsaken = any(
            part.source == "wallet" and part.lead_claim_id != above.claim_id
            for part, above in pairwise(way)
        )
        if held and not forsaken:
            yield f"{_name(rows, task)} holds {held}, and the root has ended"


def _name(rows: Rows, task: Task) -> str:
    keys = [task.key or "root", *(one.key or "root" for one in rows.ancestors(task))]
    return f"{'/'.join(reversed(keys))} ({task.state})"


def _counts(rows: Rows, task: Task) -> Iterator[str]:
    children = rows.children.get(task.pk, [])
    waited_for = 0 if task.state in ENDED else sum(_waits_for(task, one) for one in children)
    if task.children != len(children):
        yield f"has {len(children)} subtasks and says {task.children}"
    if task.unsettled_children != waited_for:
        yield f"waits for {waited_for} subtasks and says {task.unsettled_children}"
    if task.parent_id is None:
        expected = (0, task.pk, task.pk)
    else:
        above = rows.tasks[task.parent_id]
        funded = above.funding_root if task.source == "escrow" else task.pk
        expected = (above.depth + 1, above.root, funded)
    if (task.depth, task.root, task.funding_root) != expected:
        yield f"stands at {(task.depth, task.root, task.funding_root)} instead of {expected}"


def _spent(rows: Rows, task: Task) -> int:
    """Return what a subtask took out of its parent's escrow for good, or has of it now."""
    end = rows.settlements.get(task.pk)
    return task.bounty if end is None else end.bounty - end.refund


def _money(rows: Rows, task: Task) -> Iterator[str]:
    children = rows.children.get(task.pk, [])
    paid_here = [one for one in children if one.source == "escrow"]
    delegated = sum(_spent(rows, one) for one in paid_here)
    delegated -= sum(amount for home, _, amount in rows.landed() if home is task)
    if task.delegated != delegated:
        yield f"has delegated {delegated} and says {task.delegated}"
    held, is_closed = rows.escrows[task.public_id]
    should = 0 if task.state in ENDED else task.bounty - task.delegated
    if held != should:
        yield f"holds {held} instead of {should}"
    if is_closed != (task.state in ENDED):
        yield f"its escrow is {'closed' if is_closed else 'open'}"
    end = rows.settlements.get(task.pk)
    if (end is not None) != (task.state in ENDED):
        yield f"{'has' if end else 'lacks'} a settlement"
    yield from _waits(rows, task)
    price = task.bounty if task.price is None else task.price
    if task.state not in ENDED and task.claim is not None and task.claim.delegated > price:
        yield f"its claim has delegated {task.claim.delegated} of {price}"


def _waits(rows: Rows, task: Task) -> Iterator[str]:
    """Rule 15: what an escrow paid waits, or was released; nothing else does."""
    for payment in rows.payments:
        if payment.settlement_id == task.pk:
            released = getattr(payment, "release", None) is not None
            waits = task.wages_wait_until is not None
            if waits + released != (task.source == "escrow" and task.pk not in rows.judged):
                yield f"its wages {'wait' if waits else 'do not wait'}; released: {released}"


def _states(rows: Rows, task: Task) -> Iterator[str]:
    running = [one for one in rows.children.get(task.pk, []) if one.state not in ENDED]
    if task.state in ENDED | {"submitted", "disputed"}:
        paid = [one.key for one in running if one.source == "escrow"]
        if paid:
            yield f"its escrow pays for {paid}, which run"
    unheld = [one.key for one in running if one.state in UNHELD and not one.entries]
    if unheld and task.state in ENDED | {"closing"}:
        yield f"nobody holds {unheld}, and they did not end with it"
    live = [one for one in rows.claims if one.task_id == task.pk and one.ended_at is None]
    if task.state in ENDED and live:
        yield "somebody's claim on it runs"
    if task.state == "blocked":
        yield from _blocked(rows, task)


def _blocked(rows: Rows, task: Task) -> Iterator[str]:
    waits = Dependency.objects.filter(task=task).values_list("predecessor", flat=True)
    before = {rows.tasks[one].state for one in waits}
    if before <= {"accepted"}:
        yield "is blocked, and what it waits for is in"
    if before & {"cancelled", "expired"}:
        yield "is blocked, and what it waits for has failed"


def _people(rows: Rows, task: Task) -> Iterator[str]:
    """Rule 7: no work of an ancestor's poster or lead; rule 15: who acts as the poster."""
    barred: set[uuid.UUID | None] = {one.poster_operator_id for one in rows.ancestors(task)}
    barred.add(task.poster_operator_id)
    barred |= {one.worker_operator_id for one in rows.ancestors(task)}
    judging = barred - {None, task.poster_operator_id, *task.barred}
    if judging and (task.state not in ENDED or task.wages_wait_until is not None):
        yield f"{judging} are above it, and may judge it"
    if task.state in ENDED:
        return
    busy = {rows.operator(one) for one in (task.worker, task.offered_to) if one is not None}
    busy |= {
        one.operator_id for one in rows.claims if one.task_id == task.pk and one.ended_at is None
    }
    if busy & barred:
        yield f"{busy & barred} work on it, and are above it"
    if task.parent_id is not None and task.poster_id != _acting(rows, task):
        yield f"{task.poster} acts as its poster"


def _acting(rows: Rows, task: Task) -> uuid.UUID | None:
    """Return who has to act as the poster of a subtask."""
    assert task.parent_id is not None
    if task.source == "wallet":
        return task.lead_id
    parent = rows.tasks[task.parent_id]
    return parent.worker_id if parent.state in HOLDING else parent.poster_id


def _clocks(rows: Rows, task: Task) -> Iterator[str]:
    """Rule 15: what waits for a disputed subtask has no limit that runs."""
    if task.state in ENDED | {"closing"}:
        return
    if _disputed_below(rows, task):
        if task.due_at is not None or task.stands_since is None:
            yield f"something below it is disputed, and it is due at {task.due_at}"
    elif task.stands_since is not None:
        yield "nothing below it is disputed, and its clock stands"
    elif task.due_at is None and not _checks_run(task):
        yield "no limit of it runs"


def _checks_run(task: Task) -> bool:
    return task.state == "submitted" and task.review_due_at is None


def _disputed_below(rows: Rows, task: Task) -> bool:
    return any(
        _waits_for(task, one) and (one.state == "disputed" or _disputed_below(rows, one))
        for one in rows.children.get(task.pk, [])
    )


def wrong_at_the_end(
    root: uuid.UUID, people: Sequence[Participant], wealth: Callable[[Participant], int]
) -> list[str]:
    """Return what is wrong with a tree that has ended, and with whom it moved credits.

    Args:
        root: Of the tree.
        people: Everybody who had a grant and did nothing but take part in this tree.
        wealth: Returns what somebody has, with what waits, in micro-credits.
    """
    rows = rows_of(root)
    wrong = wrong_now(root)
    stuck = [one for one in rows.tasks.values() if one.state not in ENDED]
    if stuck:
        return [*wrong, *(f"{_name(rows, one)} has not ended" for one in stuck)]
    wrong += [
        f"the escrow of {name} holds {held}" for name, (held, shut) in rows.escrows.items() if held
    ]
    wrong += _sums(rows)
    wrong += _wages(rows)
    expected = _wallets(rows)
    for one in people:
        if wealth(one) != GRANT + expected.get(one.pk, 0):
            wrong.append(f"{one} has {wealth(one)} instead of {GRANT + expected.get(one.pk, 0)}")
    return wrong


def _sums(rows: Rows) -> Iterator[str]:
    """Rule 3: each bounty that came out of a wallet is what was paid of it, to the micro-credit.

    What was paid is told by the settlements, kind by kind, and found again in the ledger.
    """
    for task in rows.tasks.values():
        end = rows.settlements.get(task.pk)
        if end is None:
            continue
        if task.funding_root == task.pk:
            chain = [one for one in rows.tasks.values() if one.funding_root == task.pk]
            parts = _parts(rows, chain)
            if end.bounty != parts.total():
                yield f"{_name(rows, task)} cost {end.bounty}, and {dict(parts)} is found"
            posted = _posted(rows, chain)
            people = parts.total() - parts["fee"]
            if (posted.paid_in, posted.fees, posted.people) != (end.bounty, parts["fee"], people):
                yield f"{_name(rows, task)}: {dict(parts)} was settled, and {posted} posted"
        paid = sum(
            _spent(rows, one) for one in rows.children.get(task.pk, []) if one.source == "escrow"
        )
        paid -= sum(amount for home, _, amount in rows.landed() if home is task)
        if end.subtasks != paid:
            yield f"{_name(rows, task)} says {end.subtasks} for subtasks, which took {paid}"


def _parts(rows: Rows, chain: Sequence[Task]) -> Counter[str]:
    """Return what became of a bounty over all tasks that it paid for, the first one first.

    Workers have what was released to them; what a dispute took of it is the panel's, or went back.
    """
    found: Counter[str] = Counter()
    for end in (rows.settlements[one.pk] for one in chain if one.pk in rows.settlements):
        found["fee"] += end.fee
        found["workers"] += end.wages
        found["reuse"] += end.royalties
        found["compensation"] += end.compensation
        found["panel"] += end.panel
    for payment in rows.payments:
        release = getattr(payment, "release", None)
        if release is not None and rows.tasks[payment.settlement_id] in chain:
            found["workers"] -= release.panel + release.returned
            found["panel"] += release.panel
    found["refund"] = rows.settlements[chain[0].pk].refund
    found["refund"] += sum(
        amount for home, whence, amount in rows.landed() if home is None and whence in chain
    )
    return found


@dataclass(frozen=True)
class Posted:
    """What the ledger says of the escrows of one bounty, in micro-credits.

    Attributes:
        paid_in: What came into them, less what a lower bounty took out again.
        fees: What the market had of them.
        people: What wallets had, and accounts of what is pending.
    """

    paid_in: int
    fees: int
    people: int


def _posted(rows: Rows, chain: Sequence[Task]) -> Posted:
    escrows = [one.public_id for one in chain]
    paid = [one for one in rows.payments if rows.tasks[one.settlement_id] in chain]
    ends = [f"end:{one}" for one in escrows]
    ends += [f"wages:{encode('claim', one.claim_id)}" for one in paid]
    with connection.cursor() as cursor:
        cursor.execute(POSTED, {"escrows": escrows, "ends": ends})
        return Posted(*map(int, cursor.fetchone()))


def _wages(rows: Rows) -> Iterator[str]:
    for payment in rows.payments:
        task = rows.tasks[payment.settlement_id]
        release = getattr(payment, "release", None)
        if task.wages_wait_until is not None:
            yield f"{_name(rows, task)}: its wages wait for ever"
        if release is not None and release.waited != payment.amount:
            yield f"{_name(rows, task)}: {release.waited} was released of {payment.amount}"


def _wallets(rows: Rows) -> Mapping[uuid.UUID, int]:
    """Return by how much each operator's credits changed, from settlements and disputes alone."""
    gains: Counter[uuid.UUID] = Counter()
    for task in rows.tasks.values():
        end = rows.settlements[task.pk]
        if task.funding_root == task.pk:
            gains[task.poster_operator_id] += end.refund - end.bounty
        if end.claim is not None:
            gains[end.claim.operator_id] += end.compensation
    for payment in rows.payments:
        release = getattr(payment, "release", None)
        gains[payment.claim.operator_id] += payment.amount if release is None else release.wages
    for home, whence, amount in rows.landed():
        gains[whence.poster_operator_id] += amount if home is None else 0
    uses = Use.objects.filter(claim__in=[one.pk for one in rows.claims], state="paid")
    for author, amount in uses.values_list("earnings__author", "earnings__amount"):
        gains[author] += amount
    for seat in Seat.objects.filter(dispute__in=rows.disputes):
        gains[seat.operator_id] += seat.fee
    for dispute in rows.disputes:
        gains.update(_forfeited(rows, dispute))
    return gains


def gains_in(root: uuid.UUID) -> Mapping[uuid.UUID, int]:
    """Return by how much a tree that has ended changed what each operator has."""
    return _wallets(rows_of(root))


def _forfeited(rows: Rows, dispute: Dispute) -> Mapping[uuid.UUID, int]:
    """Return where a deposit went that did not come back: the opener was given nothing."""
    by_worker = dispute.cause == "worker"
    if dispute.opener is None or dispute.share_bps != (0 if by_worker else 10_000):
        return {}
    assert dispute.claim is not None
    poster = rows.tasks[dispute.task_id].poster_operator_id
    other = poster if by_worker else dispute.claim.operator_id
    return {rows.operator(dispute.opener): -dispute.deposit, other: dispute.deposit}
