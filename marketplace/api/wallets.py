"""Credits: the wallet, its statement, and transfers."""

import csv
import io
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from credits import amounts, errors, ledger, seals
from credits.ledger import StatementLine
from marketplace.api import paging
from marketplace.api.endpoints import Endpoint, actor_of, created
from marketplace.api.fields import CreditsField, StrictSerializer, TextField
from marketplace.api.idempotency import retryable
from marketplace.api.paging import PageQuery
from marketplace.foundation import ids
from marketplace.participants.models import Participant
from marketplace.participants.scopes import Scope
from marketplace.participants.usecases.transfer_credits import transfer_credits

# Which account a statement shows: what can be spent, or what assets earned and is not paid yet.
ACCOUNTS = (("wallet", "the wallet"), ("pending", "what assets earned and waits"))


class PositionOut(serializers.Serializer[Any]):
    """What somebody has. `pending` is not theirs yet and no part of `total`."""

    available = CreditsField()
    escrowed = CreditsField()
    total = CreditsField()
    pending = CreditsField()


class SubjectOut(serializers.Serializer[Any]):
    """What something is about."""

    type = serializers.CharField()
    id = serializers.CharField()


class LineOut(serializers.Serializer[Any]):
    """One line of a statement; `amount` is negative when the wallet gave."""

    id = serializers.CharField()
    posting = serializers.CharField()
    kind = serializers.CharField()
    amount = CreditsField()
    balance_after = CreditsField()
    subject = SubjectOut()
    memo = serializers.CharField()
    created_at = serializers.DateTimeField()


class StatementOut(serializers.Serializer[Any]):
    """A page of a statement."""

    results = LineOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class StatementQuery(PageQuery):
    """Which lines to show."""

    kind = serializers.CharField(required=False, max_length=40)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    account = serializers.ChoiceField(choices=ACCOUNTS, required=False, default="wallet")


class TransferIn(StrictSerializer):
    """Paying another participant."""

    to = TextField(max_length=39, help_text="a handle")
    amount = CreditsField()
    memo = TextField(max_length=500, required=False, allow_blank=True)


class TransferOut(serializers.Serializer[Any]):
    """A transfer."""

    posting = serializers.CharField()
    to = serializers.CharField()
    amount = CreditsField()
    memo = serializers.CharField()


class StatementCSV(BaseRenderer):
    """The same lines for a spreadsheet."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        if "results" not in data:  # a problem document
            return JSONRenderer().render(data)
        text = io.StringIO()
        writer = csv.writer(text)
        columns = (
            "id",
            "posting",
            "kind",
            "amount",
            "balance_after",
            "subject",
            "memo",
            "created_at",
        )
        writer.writerow(columns)
        for line in data["results"]:
            created_at = line["created_at"].isoformat().replace("+00:00", "Z")
            row = {**line, "subject": line["subject"]["id"], "created_at": created_at}
            writer.writerow([_inert(str(row[column])) for column in columns])
        return text.getvalue().encode()


def _inert(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; amounts stay numbers."""
    is_formula = cell[:1] in ("=", "+", "@", "\t", "\r") or (
        cell[:1] == "-" and not _is_number(cell)
    )
    return f"'{cell}" if is_formula else cell


def _is_number(cell: str) -> bool:
    return cell[1:].replace(".", "", 1).isdigit()


def position_of(participant: Participant) -> dict[str, int]:
    """Return what a participant's wallet has, in micro-credits. Round trips: one."""
    held = ledger.position(participant.operator_key)
    available, escrowed = held.get("wallet", 0), held.get("escrow", 0)
    return {
        "available": available,
        "escrowed": escrowed,
        "total": available + escrowed,
        "pending": held.get("pending", 0),
    }


def line_of(line: StatementLine) -> dict[str, Any]:
    """Return a statement's line as the contract has it.

    An account takes part in a posting once, so the posting's id names the line as well.
    """
    kind = line.subject.partition("_")[0] if "_" in line.subject else "participant"
    return {
        "id": ids.encode("entry", line.posting_id),
        "posting": ids.encode("posting", line.posting_id),
        "kind": line.kind,
        "amount": amounts.format(line.amount),
        "balance_after": amounts.format(line.balance_after),
        "subject": {"type": kind, "id": line.subject},
        "memo": line.memo,
        "created_at": line.created_at,
    }


class Credits(Endpoint):
    """`/credits`."""

    scopes = {"GET": Scope.CREDITS_READ}

    @extend_schema(responses=PositionOut)
    def get(self, request: Request) -> Response:
        """Return what one has."""
        return Response(PositionOut(position_of(actor_of(request))).data)


class Statement(Endpoint):
    """`/credits/statement`."""

    scopes = {"GET": Scope.CREDITS_READ}
    queries = {"GET": StatementQuery}
    renderer_classes = (JSONRenderer, StatementCSV)

    @extend_schema(responses=StatementOut)
    def get(self, request: Request) -> Response:
        """Return the lines of one's wallet, newest first; `Accept: text/csv` gives CSV."""
        actor, query = actor_of(request), self.query
        is_wallet = query["account"] == "wallet"
        account = actor.wallet_account if is_wallet else actor.earnings_account
        before = None
        if "cursor" in query:
            (before,) = paging.decode(query["cursor"], [paging.whole])
        lines = ledger.statement(
            ledger.AccountId(account),
            limit=query["limit"] + 1,
            before=before,  # type: ignore[arg-type] # read by paging.whole
            kinds=[query["kind"]] if "kind" in query else None,
            since=query.get("since"),
            until=query.get("until"),
        )
        shown = lines[: query["limit"]]
        more = len(lines) > len(shown)
        return Response(
            {
                "results": [line_of(line) for line in shown],
                "next_cursor": paging.encode([shown[-1].seq]) if more else None,
            }
        )


class SealOut(serializers.Serializer[Any]):
    """A sealed block of the ledger. Hashes are SHA-256 in hexadecimal."""

    number = serializers.IntegerField()
    previous = serializers.CharField(help_text="the hash of the block before")
    root = serializers.CharField(  # type: ignore[assignment] # the contract's word
        help_text="the Merkle root over the block's entries"
    )
    hash = serializers.CharField(help_text="of all other members; note it elsewhere")
    entries = serializers.IntegerField()
    sealed_at = serializers.CharField()


class SealPageOut(serializers.Serializer[Any]):
    """A page of blocks, the first first."""

    results = SealOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class ProofOut(serializers.Serializer[Any]):
    """That a line is in a block; `credits/verifier.py` checks it offline."""

    type = serializers.CharField()
    format = serializers.CharField()
    leaf = serializers.CharField()
    index = serializers.IntegerField()
    path = serializers.ListField(child=serializers.CharField())
    seal = SealOut()


class Seals(Endpoint):
    """`/credits/seals`."""

    scopes = {"GET": None}
    queries = {"GET": PageQuery}

    @extend_schema(responses=SealPageOut)
    def get(self, request: Request) -> Response:
        """List the sealed blocks of the ledger, the first first."""
        after = 0
        if "cursor" in self.query:
            (after,) = paging.decode(self.query["cursor"], [paging.whole])  # type: ignore[assignment]
        found = seals.list_seals(after=after, limit=self.query["limit"] + 1)
        shown = found[: self.query["limit"]]
        more = len(found) > len(shown)
        return Response(
            {
                "results": [seal.as_json() for seal in shown],
                "next_cursor": paging.encode([shown[-1].number]) if more else None,
            }
        )


class LineProof(Endpoint):
    """`/credits/statement/{id}/proof`."""

    scopes = {"GET": Scope.CREDITS_READ}

    @extend_schema(responses=ProofOut)
    def get(self, request: Request, entry_id: str) -> Response:
        """Return the proof that a line of one's statement is in a sealed block."""
        posting, actor = ids.decode("entry", entry_id), actor_of(request)
        try:
            found = seals.proof(posting, ledger.AccountId(actor.wallet_account))
        except errors.UnknownEntry:  # a line of what assets earned
            found = seals.proof(posting, ledger.AccountId(actor.earnings_account))
        return Response(found.as_json())


class Transfers(Endpoint):
    """`/credits/transfers`."""

    scopes = {"POST": Scope.CREDITS_WRITE}

    @extend_schema(request=TransferIn, responses={201: TransferOut})
    @retryable
    def post(self, request: Request) -> Response:
        """Pay another participant."""
        given = self.read_body(request, TransferIn)
        posted = transfer_credits(
            actor=actor_of(request),
            to=given["to"],
            amount=given["amount"],
            memo=given.get("memo", ""),
        )
        return created(
            TransferOut(
                {
                    "posting": ids.encode("posting", posted.id),
                    "to": given["to"],
                    "amount": given["amount"],
                    "memo": given.get("memo", ""),
                }
            ).data
        )
