"""How a task ends: its escrow is divided and paid out, whoever or whatever ended it.

There is one way to end a task, and every ending takes it: acceptance, cancelling, expiry, and the
outcome of a dispute. Settling and refunding share the ledger reference `end:task_…`.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from credits import escrow, ledger
from marketplace.events.log import record
from marketplace.foundation.batching import together, write
from marketplace.foundation.rows import save_rows
from marketplace.participants.queries import earnings_accounts_of, wallets_of
from marketplace.reuse import uses
from marketplace.tasks import bids, deadlines, lineage
from marketplace.tasks.dispute_terms import terms_of
from marketplace.tasks.division import (
    Division,
    divide_accepted,
    divide_contest,
    divide_equally,
    divide_judged,
    divide_unaccepted,
    equal_parts,
    share_up,
)
from marketplace.tasks.lineage import Moment
from marketplace.tasks.models import (
    TRANSITION_FIELDS,
    Claim,
    ClaimEnding,
    Settlement,
    SettlementPayment,
    Task,
)
from marketplace.tasks.sources import forget_charges, home_of
from marketplace.tasks.states import Role, TaskState, next_state

TREE = frozenset({Role.TREE})


def end_accepted(task: Task, *, at: datetime) -> Settlement:
    """Pay the worker and the authors of what was used, and save the task.

    It is in its final state already.

    Transaction: the caller's, which holds the task's lock. Locks: accounts, ascending.
    """
    claim = _claim_of(task)
    owed = claim.owed if claim.owed is not None else uses.owed_by(claim.pk)
    division = divide_accepted(
        task.held,
        price=task.payable,
        royalties=sum(earning.amount for earning in owed),
        fee_bps=task.fee_bps,
    )
    with together():
        settlement = settle(
            task, division, workers=[claim], claim=claim, others=uses.payee_legs(owed), at=at
        )
        uses.pay_bound(claim.pk, owed, at=at)
        claim.end(ClaimEnding.ACCEPTED, poster=task.poster_operator_id, at=at)
        task.stop_limits()
        _end(task, at=at)
    return settlement


def end_unaccepted(
    task: Task,
    verb: str,
    *,
    roles: frozenset[Role],
    at: datetime,
    claim_as: ClaimEnding | None,
    compensated: bool = False,
) -> None:
    """End a task without an accepted delivery, and save it; where subtasks run, it closes first.

    Args:
        task: Locked; what the verb asks for was asked.
        verb: What ends it.
        roles: Who does.
        at: The market's time.
        claim_as: How the claim on it ends, where somebody holds one.
        compensated: Whether the worker receives the compensation that the terms name.

    Transaction: the caller's, which holds the task's lock. Locks: accounts, ascending.
    """
    end = next_state(TaskState(task.state), verb, roles)
    with together():
        lineage.tell(Moment.ENDING, task, at)
        if task.unsettled_children:
            task.advance("close", roles=TREE, at=at)
            task.closing_as, task.closing_compensated = end, compensated
            task.closing_claim_as = claim_as or ""
            task.end_offer()
            task.stop_limits()
            save_transition(task)
            return
        task.advance(verb, roles=roles, at=at)
        _refund(task, at=at, claim_as=claim_as, compensated=compensated)
        _end(task, at=at)


def end_closed(task: Task, *, at: datetime) -> None:
    """End a task whose last subtask has ended, as what it was closing for, and save it.

    Transaction: the caller's, which holds the task's lock. Locks: accounts, ascending.
    """
    claim_as = ClaimEnding(task.closing_claim_as) if task.closing_claim_as else None
    compensated = task.closing_compensated
    verb = "end_expired" if task.closing_as == TaskState.EXPIRED else "end_cancelled"
    parties = task.parties
    with together():
        task.advance(verb, roles=TREE, at=at)
        task.closing_as = task.closing_claim_as = ""
        task.closing_compensated = False
        _refund(task, at=at, claim_as=claim_as, compensated=compensated)
        _end(task, at=at)
    said = "task.expired" if task.state == TaskState.EXPIRED else "task.cancelled"
    record(said, subject=task.subject, actor=None, readers=parties, notified=parties)


def reopen(
    task: Task, verb: str, *, roles: frozenset[Role], at: datetime, claim_as: ClaimEnding
) -> None:
    """Open a task again that its worker gave back, or lost, and save it.

    What subtasks were paid is gone from the escrow: who read the terms before reads them again.

    Transaction: the caller's, which holds the task's lock.
    """
    with together():
        task.advance(verb, roles=roles, at=at)
        claim = release_claim(task, claim_as, at=at)
        if claim.delegated:
            task.require_reading()
            forget_charges(task)
        lineage.tell(Moment.LEFT, task, at, claim)
        save_transition(task)


def _end(task: Task, *, at: datetime) -> None:
    """Save a task that has ended, and let happen what follows for its parent and siblings."""
    task.dispute_due_at = None
    save_transition(task)
    if task.state == TaskState.ACCEPTED:
        lineage.tell(Moment.ACCEPTED, task, at)
    lineage.tell(Moment.ENDED, task, at)


def _refund(
    task: Task, *, at: datetime, claim_as: ClaimEnding | None, compensated: bool = False
) -> None:
    """Send the escrow back where it came from, less what a worker is owed for being cancelled on.

    The task is in its final state already; *claim_as* and *compensated* as for `end_unaccepted`.
    """
    claim = _claim_of(task) if task.claim_id else None
    division = divide_unaccepted(
        task.held,
        price=task.payable,
        compensation_bps=task.compensation_bps if compensated else 0,
    )
    settle(task, division, claim=claim, at=at)
    if claim is not None:
        assert claim_as is not None, "a held claim ends somehow"
        release_claim(task, claim_as, at=at)
    task.end_offer()
    task.selected_bid = task.price = None
    task.stop_review()


def end_contest_won(
    task: Task,
    winner: Claim,
    runner_up: Claim | None,
    *,
    at: datetime,
    voters: Sequence[uuid.UUID] = (),
) -> Settlement:
    """Pay the winner of a contest, and a second its part; the entries' claims end here.

    Where a panel picked the winner, *voters* are the operators of those who voted, who share the
    panel's part in place of the market's fee. The task is in its final state already.

    Transaction: the caller's, which holds the task's lock. Locks: accounts, ascending.
    """
    division = divide_contest(
        task.held,
        fee_bps=0 if voters else task.fee_bps,
        runner_up_bps=task.runner_up_bps,
        has_runner_up=runner_up is not None,
        panel=share_up(task.held, terms_of(task).panel_fee_bps) if voters else 0,
    )
    workers = [winner] if runner_up is None else [winner, runner_up]
    others = panel_legs(division.panel, voters)
    endings = {winner.pk: ClaimEnding.ACCEPTED}
    if runner_up is not None:
        endings[runner_up.pk] = ClaimEnding.RUNNER_UP
    with together():
        settlement = settle(
            task,
            division,
            workers=workers,
            claim=winner,
            others=others,
            judged=bool(voters),
            at=at,
        )
        _end_entries(task, endings, at=at)
        task.win_contest(winner)
        task.stop_review()
        _end(task, at=at)
    return settlement


def end_contest_shared(task: Task, workers: Sequence[Claim], *, at: datetime) -> Settlement:
    """Pay *workers*, earliest first, in equal parts: nobody chose among their entries.

    The task is in its final state already.

    Transaction: the caller's, which holds the task's lock. Locks: accounts, ascending.
    """
    division = divide_equally(task.held, fee_bps=task.fee_bps, workers=len(workers))
    with together():
        settlement = settle(task, division, workers=workers, at=at)
        _end_entries(task, {claim.pk: ClaimEnding.SHARED for claim in workers}, at=at)
        task.stop_review()
        _end(task, at=at)
    return settlement


def end_contest_failed(task: Task, *, at: datetime) -> None:
    """Refund the poster of a contest whose entries all failed; their claims end here.

    Transaction: the caller's, which holds the task's lock. Locks: accounts, ascending.
    """
    with together():
        _refund(task, at=at, claim_as=None)
        _end_entries(task, {}, at=at)
        _end(task, at=at)


@dataclass(frozen=True, slots=True)
class Deposit:
    """What the opener of a dispute deposited, in an escrow of the dispute's own.

    Attributes:
        work: The reference of that escrow.
        amount: Micro-credits.
        payee: The operator who receives it.
    """

    work: str
    amount: int
    payee: uuid.UUID


def end_judged(
    task: Task,
    *,
    share_bps: int,
    voters: Sequence[uuid.UUID],
    deposit: Deposit | None,
    at: datetime,
) -> Settlement:
    """Divide the escrow as a dispute was decided; the task is in its final state already.

    Args:
        task: In its final state already.
        share_bps: The worker's share of what the panel's part leaves, in basis points.
        voters: The operators of the panelists who voted; they share the panel's part, which is in
            place of the market's fee. Without voters the market has its fee.
        deposit: The deposit of the dispute, which is paid out in the same call.
        at: The market's time.

    Transaction: the caller's, which holds the task's lock. Locks: accounts, ascending.
    """
    claim = _claim_of(task)
    owed = uses.owed_by(claim.pk)
    division = divide_judged(
        task.held,
        price=task.payable,
        royalties=sum(earning.amount for earning in owed),
        worker_share_bps=share_bps,
        panel_bps=terms_of(task).panel_fee_bps if voters else 0,
        fee_bps=0 if voters else task.fee_bps,
    )
    paid = uses.reduce_owed(claim.pk, owed, to=division.royalties) if share_bps else []
    with together():
        settlement = settle(
            task,
            division,
            workers=[claim],
            claim=claim,
            others=[*uses.payee_legs(paid), *panel_legs(division.panel, voters)],
            deposit=deposit,
            judged=True,
            at=at,
        )
        if share_bps:
            uses.pay_bound(claim.pk, paid, at=at)
            claim.end(ClaimEnding.ACCEPTED, poster=task.poster_operator_id, at=at)
        else:
            # Told after the escrow was divided, which is the same here: what was judged had been
            # delivered, so nothing that the escrow pays runs any more.
            lineage.tell(Moment.ENDING, task, at)
            release_claim(task, ClaimEnding.LOST, at=at)
        _end(task, at=at)
    return settlement


def panel_legs(amount: int, voters: Sequence[uuid.UUID]) -> list[ledger.Leg]:
    """Return what each panelist receives who voted, whatever the vote was. Round trips: one."""
    if not voters:
        return []
    wallets = wallets_of(voters)
    parts = equal_parts(amount, len(voters))
    return [ledger.Leg(wallets[one], part) for one, part in zip(voters, parts, strict=True)]


def settle(
    task: Task,
    division: Division,
    *,
    at: datetime,
    workers: Sequence[Claim] = (),
    claim: Claim | None = None,
    others: Sequence[ledger.Leg] = (),
    deposit: Deposit | None = None,
    judged: bool = False,
) -> Settlement:
    """Pay out an escrow as *division* says, and record it; every ending comes through here.

    Args:
        task: In its final state already.
        division: The parts of the escrow.
        at: The market's time.
        workers: Whose work is paid, one for each payment of the division.
        claim: Whose claim it was, where it was one's: it receives a compensation.
        others: What authors and panelists receive.
        deposit: Of a dispute; outside the division, and paid out with it.
        judged: Whether a dispute came to this; what was judged does not wait to be disputed.

    Transaction: the caller's, which holds the task's lock. Locks: accounts, ascending.
    """
    lineage.load(task)
    paid = list(zip(workers, division.payments, strict=False))
    assert len(paid) == len(division.payments), "every payment has a worker"
    wages = [(worker.operator_id, payment.net) for worker, payment in paid]
    parts = [] if claim is None else [(claim.operator_id, division.compensation)]
    legs = [ledger.Leg(ledger.FEES, division.fee), *others]
    if wages and task.is_paid_from_escrow and task.wages_wait_seconds and not judged:
        task.wages_wait_until = at + timedelta(seconds=task.wages_wait_seconds)
        accounts = earnings_accounts_of(operator for operator, _ in wages)
        legs += [ledger.Leg(accounts[operator], amount) for operator, amount in wages]
    else:
        parts += wages
    if task.is_paid_from_escrow:
        home = home_of(task)
        legs.append(ledger.Leg(home.account, division.refund))
        home.note_back(division.refund)
    else:
        parts.append((task.poster_operator_id, division.refund))
    said = "Accepted" if paid else TaskState(task.state).value.capitalize()
    settlement = Settlement(
        task=task,
        bounty=task.bounty,
        subtasks=task.delegated,
        fee=division.fee,
        royalties=division.royalties,
        compensation=division.compensation,
        panel=division.panel,
        refund=division.refund,
        wages=division.wages,
        worker_id=claim.worker_id if claim else None,
        claim=claim,
        settled_at=at,
    )
    payments = [
        SettlementPayment(
            settlement=settlement,
            claim=worker,
            worker_id=worker.worker_id,
            gross=payment.gross,
            fee=payment.fee,
        )
        for worker, payment in paid
    ]
    payouts = [
        Payout(
            task.public_id,
            kind="settle" if paid else "refund",
            memo=f"{said}: {task.title}"[:200],
            parts=parts,
            legs=legs,
        )
    ]
    if deposit is not None:
        payouts.append(deposit_payout(task, deposit))
    write(_settle, _Settling(settlement, payments, payouts))
    bids.end_all(task)
    return settlement


@dataclass(frozen=True, slots=True)
class Payout:
    """What an escrow pays when it ends.

    Attributes:
        work: The reference of the escrow.
        kind: What statements call it.
        memo: What they say of it.
        parts: Micro-credits for the wallets of operators.
        legs: Micro-credits for other accounts.
    """

    work: str
    kind: str
    memo: str
    parts: Sequence[tuple[uuid.UUID, int]]
    legs: Sequence[ledger.Leg] = ()


def deposit_payout(task: Task, deposit: Deposit) -> Payout:
    """Return how the deposit of a dispute about a task is paid out."""
    memo = f"Deposit of a dispute: {task.title}"[:200]
    return Payout(deposit.work, kind="deposit", memo=memo, parts=[(deposit.payee, deposit.amount)])


@dataclass(frozen=True, slots=True)
class _Settling:
    settlement: Settlement | None = None
    payments: Sequence[SettlementPayment] = ()
    payouts: Sequence[Payout] = ()
    beside: Sequence[ledger.NewPosting] = ()


def post_beside(postings: Sequence[ledger.NewPosting], payouts: Sequence[Payout] = ()) -> None:
    """Post something, together with the escrows that end in the same batch.

    Transaction: the caller's. Locks: accounts, ascending.
    """
    write(_settle, _Settling(payouts=payouts, beside=postings))


def _settle(settlings: Sequence[_Settling]) -> None:
    """Pay out escrows and record it: the money first, for the last locks are those of accounts."""
    pay_out(
        [payout for one in settlings for payout in one.payouts],
        beside=[posting for one in settlings for posting in one.beside],
    )
    Settlement.objects.bulk_create([one.settlement for one in settlings if one.settlement])
    SettlementPayment.objects.bulk_create(
        [payment for one in settlings for payment in one.payments]
    )


def pay_out(payouts: Sequence[Payout], *, beside: Sequence[ledger.NewPosting] = ()) -> None:
    """End escrows, all in one call: several calls would not lock their accounts in one order.

    Args:
        payouts: The escrows, those that pay into others of them first.
        beside: Further postings of the same call.

    Transaction: the caller's. Locks: accounts, ascending. Round trips: two.
    """
    wallets = wallets_of(operator for payout in payouts for operator, _ in payout.parts)
    ends = []
    for payout in payouts:
        summed: dict[ledger.AccountId, int] = {}
        legs = [*(ledger.Leg(wallets[who], amount) for who, amount in payout.parts), *payout.legs]
        for leg in legs:
            if leg.amount:  # a part of zero makes no leg
                summed[leg.account] = summed.get(leg.account, 0) + leg.amount
        ends.append(
            escrow.End(payout.work, summed, kind=payout.kind, memo=payout.memo, subject=payout.work)
        )
    if len(ends) == 1 and not beside:
        (end,) = ends
        escrow.settle(
            work=end.work, parts=end.parts, kind=end.kind, memo=end.memo, subject=end.subject
        )
    else:
        escrow.settle_many(ends, beside=beside)


def release_claim(task: Task, ending: ClaimEnding, *, at: datetime) -> Claim:
    """Take the task from its worker; the uses bound to the claim are released unpaid."""
    claim = _claim_of(task)
    claim.end(ending, poster=task.poster_operator_id, at=at)
    uses.release_bound(claim.pk)
    bids.end_selected(task)
    task.drop_claim()
    return claim


def load_claims(tasks: Sequence[Task], *, owed: bool = False) -> None:
    """Read the claims of tasks, and what they owe for reuse, for all of them at once.

    Round trips: none for one task, which reads what it needs when it does; else one, and with
    *owed* three.
    """
    if len(tasks) == 1:
        return
    claims = Claim.objects.in_bulk([task.claim_id for task in tasks if task.claim_id is not None])
    owing = uses.owed_by_each(claims) if owed else {}
    for task in tasks:
        if task.claim_id is not None:
            task.claim = claims[task.claim_id]
            task.claim.owed = owing.get(task.claim_id)


def save_transition(task: Task) -> None:
    """Save what a transition changed, with the limit that the task meets next."""
    deadlines.schedule(task)
    write(_save, task)


def _save(tasks: Sequence[Task]) -> None:
    if len(tasks) == 1:
        tasks[0].save(update_fields=TRANSITION_FIELDS)
    else:
        save_rows(list({task.pk: task for task in tasks}.values()), TRANSITION_FIELDS)


def _claim_of(task: Task) -> Claim:
    assert task.claim is not None, "the constraint claimed_tasks_have_a_worker"
    return task.claim


def _end_entries(task: Task, endings: dict[uuid.UUID, ClaimEnding], *, at: datetime) -> None:
    """End the claims of a contest's entries; those that *endings* does not name were not chosen."""
    entries = Claim.objects.filter(task=task, is_entry=True, ended_at=None)
    for ending in set(endings.values()):
        named = [claim for claim, how in endings.items() if how == ending]
        entries.filter(pk__in=named).update(ending=ending, ended_at=at)
    entries.update(ending=ClaimEnding.UNCHOSEN, ended_at=at)
