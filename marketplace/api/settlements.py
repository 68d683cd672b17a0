"""Settlements: how the escrow of a task was divided, or would be, and the price chain below it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from credits import amounts
from marketplace.api.endpoints import Endpoint, actor_of
from marketplace.api.fields import CreditsField, IdField
from marketplace.delegation.price_chain import Books, books_of, may_read
from marketplace.delegation.trees import is_side
from marketplace.foundation import ids
from marketplace.participants.models import Participant
from marketplace.participants.scopes import Scope
from marketplace.reuse import uses
from marketplace.tasks.division import divide_accepted
from marketplace.tasks.models import Settlement, Task
from marketplace.tasks.queries import settlement_of, visible_to


class PayoutOut(serializers.Serializer[Any]):
    """What somebody received; nobody yet, where it is only projected."""

    participant = serializers.CharField(allow_null=True)
    amount = CreditsField()


class RoyaltyOut(PayoutOut):
    """What an author received for an asset."""

    asset = serializers.CharField()


class SubtaskPayoutOut(serializers.Serializer[Any]):
    """What left the escrow for a child, net of what came back."""

    task = serializers.CharField()
    amount = CreditsField()


class ChainTotalOut(serializers.Serializer[Any]):
    """What became of a bounty over all tasks that it paid for; the parts add up to it."""

    wages = CreditsField(help_text="What workers received.")
    waiting = CreditsField(help_text="What waits for workers of subtasks.")
    fee = CreditsField()
    royalties = CreditsField()
    compensation = CreditsField()
    panel = CreditsField(help_text="What panels received, also after a subtask was accepted.")
    held = CreditsField(help_text="What lies in escrows.")
    refund = CreditsField(help_text="What went back to where the bounty came from.")


class ChainLinkOut(ChainTotalOut):
    """What became of one task's bounty; the parts add up to it."""

    task = IdField("task")
    parent = IdField("task", allow_null=True)  # type: ignore[assignment] # the contract's word
    bounty = CreditsField()
    subtasks = CreditsField(help_text="What it paid to subtasks, less what came back.")
    refund = CreditsField(help_text="What it did not use.")
    returned = CreditsField(help_text="What a dispute took from its worker and sent back.")


class WalletChainOut(serializers.Serializer[Any]):
    """A bounty that a wallet paid, and all that it pays for."""

    bounty = CreditsField()
    tasks = ChainLinkOut(many=True, source="links")
    total = ChainTotalOut()


class ChainOut(WalletChainOut):
    """The price chain of a tree: the bounty on top, and those that wallets below it paid."""

    wallet_paid = WalletChainOut(many=True)


class SettlementOut(serializers.Serializer[Any]):
    """How the escrow was divided, or would be if the task were accepted now (`final` false).

    `subtasks` names those that have some of it. `chain` is for who posted the task or one above it,
    for whoever holds it, and for staff; null for others, and where there are no subtasks.
    """

    final = serializers.BooleanField()
    bounty = CreditsField()
    workers = PayoutOut(many=True)
    fee = CreditsField()
    royalties = RoyaltyOut(many=True)
    subtasks = SubtaskPayoutOut(many=True)
    compensation = CreditsField()
    panel = CreditsField()
    reviews = CreditsField()
    refund = CreditsField()
    chain = ChainOut(allow_null=True)


class TaskSettlement(Endpoint):
    """`/tasks/{id}/settlement`."""

    scopes = {"GET": Scope.TASKS_READ}

    @extend_schema(responses=SettlementOut)
    def get(self, request: Request, task_id: str) -> Response:
        """Return how the escrow was divided, or would be on acceptance."""
        actor = actor_of(request)
        tasks = visible_to(actor).select_related("worker", "claim")
        task = tasks.get(pk=ids.decode("task", task_id))
        if not may_read(task, actor):
            raise Task.DoesNotExist
        settled = settlement_of(task)
        if settled is None:
            return Response(projected_settlement(task, actor))
        return Response(final_settlement(task, settled, actor))


def _royalties(claim_id: Any, *, final: bool) -> list[dict[str, str]]:
    owed = uses.paid_by(claim_id) if final else uses.owed_by(claim_id)
    return [
        {
            "asset": str(earning.version),
            "participant": earning.author.handle,
            "amount": amounts.format(earning.amount),
        }
        for earning in owed
    ]


def final_settlement(task: Task, settled: Settlement, asking: Participant) -> dict[str, Any]:
    """Return how an ended task's escrow was divided, as *asking* reads it."""
    workers = [
        {"participant": paid.worker.handle, "amount": amounts.format(paid.amount)}
        for paid in settled.payments.all()
    ]
    royalties = []
    if settled.royalties:
        royalties = _royalties(settled.claim_id, final=True)
    _, books = books_of(task) if task.children else (task, None)
    return settlement_body(
        settled.bounty,
        fee=settled.fee,
        workers=workers,
        royalties=royalties,
        subtasks=_subtasks(task, books),
        compensation=settled.compensation,
        panel=settled.panel,
        refund=settled.refund,
        chain=_chain(task, books, asking),
        final=True,
    )


def projected_settlement(task: Task, asking: Participant) -> dict[str, Any]:
    """Return how the escrow would be divided if the task were accepted now, as *asking* reads it.

    Subtasks keep what they have of it.
    """
    # What is left of the escrow and what subtasks have of it are read at one moment.
    read, books = books_of(task) if task.children else (task, None)
    royalties = _royalties(read.claim_id, final=False) if read.claim_id else []
    total = sum(amounts.parse(royalty["amount"]) for royalty in royalties)
    division = divide_accepted(read.held, price=read.payable, royalties=total, fee_bps=read.fee_bps)
    worker = task.worker.handle if task.worker else None
    return settlement_body(
        read.bounty,
        fee=division.fee,
        workers=[{"participant": worker, "amount": amounts.format(division.wages)}],
        royalties=royalties,
        subtasks=_subtasks(task, books),
        refund=division.refund,
        chain=_chain(task, books, asking),
        final=False,
    )


def _subtasks(task: Task, books: Books | None) -> list[dict[str, str]]:
    """Return what left a task's escrow for each subtask, less what came back."""
    paid = {} if books is None else books.paid_to_subtasks(task.pk)
    return [
        {"task": ids.encode("task", subtask), "amount": amounts.format(amount)}
        for subtask, amount in paid.items()
        if amount
    ]


def _chain(task: Task, books: Books | None, asking: Participant) -> dict[str, Any] | None:
    """Return the price chain below a task, to whom it is told (rule 16). Queries: at most one."""
    if books is None or not is_side(task, asking):
        return None
    own, *beside = books.chains
    return dict(WalletChainOut(own).data) | {"wallet_paid": WalletChainOut(beside, many=True).data}


def settlement_body(
    bounty: int,
    *,
    fee: int,
    workers: list[dict[str, Any]],
    royalties: list[dict[str, str]] | None = None,
    subtasks: list[dict[str, str]] | None = None,
    compensation: int = 0,
    panel: int = 0,
    refund: int = 0,
    chain: dict[str, Any] | None = None,
    final: bool,
) -> dict[str, Any]:
    """Return a settlement as the contract has it; its parts add up to the bounty."""
    zero = amounts.format(0)
    return {
        "final": final,
        "bounty": amounts.format(bounty),
        "workers": workers,
        "fee": amounts.format(fee),
        "royalties": royalties or [],
        "subtasks": subtasks or [],
        "compensation": amounts.format(compensation),
        "panel": amounts.format(panel),
        "reviews": zero,
        "refund": amounts.format(refund),
        "chain": chain,
    }
