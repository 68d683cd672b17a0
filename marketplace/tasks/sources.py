"""Where a task's money comes from, and where it flows back: a wallet, or the escrow of its parent.

Money moves at once and is never a promise (rule 13). An escrow of a tree is touched only by who
holds the lock of the root, so what is checked here stays true until the caller commits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypedDict

from credits import amounts, escrow, ledger
from marketplace.foundation.batching import write
from marketplace.foundation.rows import save_rows
from marketplace.participants import allowances
from marketplace.participants.models import Participant
from marketplace.participants.queries import wallets_of
from marketplace.reuse import uses
from marketplace.tasks.division import share_down
from marketplace.tasks.lineage import parent_of, subtasks_of
from marketplace.tasks.models import Claim, Mode, Task
from marketplace.tasks.states import TaskState


class EscrowExhausted(Exception):
    """Subtasks would take more of an escrow than its poster granted, or than it has left.

    Attributes:
        required: What was asked for, in micro-credits.
        available: What may be delegated now, in micro-credits.
        limit: What may ever be paid to subtasks, in micro-credits.
        field: What asked for it, as the API names it.
    """

    def __init__(self, *, required: int, available: int, limit: int, field: str) -> None:
        super().__init__(
            f"{amounts.format(required)} is asked for,"
            f" and {amounts.format(available)} may be delegated"
        )
        self.required = required
        self.available = available
        self.limit = limit
        self.field = field


def limit_of(task: Task) -> int:
    """Return what may ever be paid to a task's subtasks out of its escrow, in micro-credits."""
    return share_down(task.priced, task.delegation_bps)


def delegable(task: Task, *, owed: int) -> int:
    """Return what may be delegated now: within the limit, and with bound reuse covered.

    What was agreed with a bidder who has not taken the task yet stays untouched, and so does what a
    worker is compensated from whose task was cancelled at once.

    Args:
        task: With its claim.
        owed: What the claim owes for reuse, in micro-credits.
    """
    if task.state == TaskState.CLOSING and task.closing_compensated:
        return 0
    is_agreed = task.claim_id is None and task.price is not None
    spare = task.held - task.payable if is_agreed else task.payable - owed
    return max(0, min(limit_of(task) - task.delegated, spare))


def require_delegable(task: Task, asked: Mapping[str, int]) -> None:
    """Check that more may go to subtasks of a locked task. Round trips: one.

    Args:
        task: Whose escrow is to pay.
        asked: Amounts, in micro-credits, by the fields that ask for them.

    Raises:
        EscrowExhausted: Together they are too much; the field is the first that passes it.
    """
    owed = sum(one.amount for one in uses.owed_by(task.claim_id)) if task.claim_id else 0
    available = delegable(task, owed=owed)
    sums = accumulate(asked.values())
    for field, amount in zip(asked, sums, strict=True):
        if amount > available:
            raise EscrowExhausted(
                required=sum(asked.values()),
                available=available,
                limit=limit_of(task),
                field=field,
            )


def note_delegated(parent: Task, amount: int) -> None:
    """Note, and save, that subtasks have *amount* micro-credits more of a locked parent's escrow.

    Whoever holds the parent bears it: what was agreed with one worker is never paid twice. Where
    nobody does, whoever read its terms before reads them again, for there is less to be had; those
    who bid named an amount of their own, which is compared with what is left when it is selected.

    Round trips: two, or one where nobody holds the parent.
    """
    parent.delegated += amount
    if parent.claim is not None:
        parent.claim.delegated += amount
        write(_save_delegated, parent.claim)
    elif parent.mode != Mode.BID:
        parent.require_reading()
    write(_save_delegated, parent)


def _save_delegated(rows: Sequence[Task | Claim]) -> None:
    for model, fields in (
        (Task, ["delegated", "charged", "terms_version", "terms_valid_from"]),
        (Claim, ["delegated"]),
    ):
        of_model = {row.pk: row for row in rows if isinstance(row, model)}
        save_rows(list(of_model.values()), fields)


def fund(
    tasks: Sequence[Task], *, actor: Participant, parent: Task | None, reference: str, memo: str
) -> None:
    """Fund new subtasks of one source, all in one posting.

    Args:
        tasks: New ones, with their bounties and their funders.
        actor: Whose operator's wallet pays where the source is no escrow.
        parent: The locked parent whose escrow pays; None lets the wallet pay.
        reference: Of the posting.
        memo: What statements call it.

    Raises:
        AllowanceExceeded: The actor's operator does not let it spend that much.
        InsufficientCredits: The wallet holds too little.

    Locks: the allowance, then the accounts. Round trips: one or two; three from an escrow.
    """
    works = {task.public_id: task.bounty for task in tasks}
    if parent is None:
        for amount in works.values():  # an allowance bounds what is spent on one task
            allowances.spend(actor, amount)
        escrow.fund_many(
            works=works,
            owner=actor.operator_key,
            source=ledger.AccountId(actor.wallet_account),
            reference=reference,
            memo=memo,
            subject=tasks[0].public_id,
        )
        return
    funder = tasks[0].funder
    assert funder is not None, "what an escrow pays somebody funded"
    escrow.allocate_many(
        work=parent.public_id,
        children=works,
        owner=funder.operator_key,
        reference=reference,
        memo=memo,
        subject=parent.public_id,
    )
    note_delegated(parent, sum(works.values()))


def follow_bounty(task: Task, actor: Participant, old_bounty: int) -> None:
    """Make the escrow hold the new bounty; the terms version names the change.

    Raises:
        InsufficientCredits, AllowanceExceeded: For a higher bounty that a wallet pays.
        EscrowExhausted: For one that the parent's escrow pays.

    Locks: the allowance, then the source and the escrow.
    """
    more = task.bounty - old_bounty
    said = _Said(
        reference=f"edit:{task.public_id}:{task.terms_version}",
        memo=f"Bounty is now {amounts.format(task.bounty)}",
        subject=task.public_id,
    )
    if more > 0 and task.is_paid_from_escrow:
        parent = parent_of(task)
        require_delegable(parent, {"bounty": more})
        escrow.allocate(
            work=parent.public_id, child=task.public_id, owner=None, amount=more, **said
        )
        if parent.claim is not None:
            task.charged += more
            write(_save_delegated, task)
        note_delegated(parent, more)
    elif more > 0:
        allowances.spend(actor, more, on_task=task.bounty)
        wallet = ledger.AccountId(actor.wallet_account)
        escrow.fund(
            work=task.public_id, owner=actor.operator_key, source=wallet, amount=more, **said
        )
    elif more < 0:
        home = home_of(task)
        escrow.withdraw(work=task.public_id, to=home.account, amount=-more, **said)
        home.note_back(-more)


class _Said(TypedDict):
    reference: str
    memo: str
    subject: str


@dataclass(frozen=True, slots=True)
class Home:
    """Where unspent money of a task flows back to.

    Attributes:
        account: The account that receives it.
        subtask: Through which it comes back into its parent's escrow: the task itself, or one above
            it that has ended. None where the account is a wallet.
    """

    account: ledger.AccountId
    subtask: Task | None = None

    def note_back(self, amount: int) -> None:
        """Note that *amount* micro-credits have come back; the posting is the caller's.

        They come back first to whoever holds the parent, as far as its claim was charged. What a
        former lead had planned and nobody bore since is in the escrow again: a worker with a price
        has no part in it, one without has the bounty less what subtasks cost in the end.
        """
        if self.subtask is None or not amount:
            return
        parent = parent_of(self.subtask)
        parent.delegated -= amount
        write(_save_delegated, parent)
        borne = min(amount, self.subtask.charged)
        if borne:
            assert parent.claim is not None, "what leads were charged is forgotten when they leave"
            self.subtask.charged -= borne
            parent.claim.delegated -= borne
            write(_save_delegated, self.subtask)
            write(_save_delegated, parent.claim)


def forget_charges(parent: Task) -> None:
    """Note that a lead has left: what its subtasks have is borne by whoever funds the parent."""
    for one in subtasks_of(parent):
        if one.charged:
            one.charged = 0
            write(_save_delegated, one)


def home_of(task: Task) -> Home:
    """Return where what is left of a task's money belongs (rule 15).

    That is the source that it came from; an escrow that has ended passes it on to its own.

    Round trips: one, and one more where its tree is not loaded.
    """
    while task.is_paid_from_escrow:
        parent = parent_of(task)
        if not parent.is_ended:
            account = escrow.find(parent.public_id)
            assert account is not None, "a task that has not ended has an escrow"
            return Home(account, task)
        task = parent
    operator = task.poster_operator_id
    return Home(wallets_of([operator])[operator])
