"""Credits: the wallet, its statement, and transfers."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from credits import amounts, ledger, seals
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

WALLET, PENDING = "wallet", "pending"
# Which account a statement shows: what can be spent, or what assets earned and is not paid yet.
ACCOUNTS = ((WALLET, "the wallet"), (PENDING, "pending earnings"))
# What ids of lines begin with. An account takes part in a posting once, so the posting's id names
# its line as well; a posting may have a line in both accounts.
LINE_IDS = {WALLET: "entry", PENDING: "pending_entry"}

# The same for everybody, and new blocks come about once a minute.
PUBLIC_FOR_A_MINUTE = "public, max-age=60"
MOST_NUMBER = 10**15  # of a block that anybody may ask for; one more still fits a bigint


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

    kind = serializers.CharField(
        required=False, max_length=40, help_text="such as transfer; only lines of this kind"
    )
    since = serializers.DateTimeField(required=False, help_text="only lines from then on")
    until = serializers.DateTimeField(required=False, help_text="only lines before then")
    account = serializers.ChoiceField(choices=ACCOUNTS, required=False, default=WALLET)


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


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Lines of one account, newest first, and where the next page begins; None at the end."""

    account: ledger.AccountId
    lines: list[StatementLine]
    next_cursor: str | None


def account_of(participant: Participant, which: str) -> ledger.AccountId:
    """Return one of `ACCOUNTS` of whoever pays for *participant*."""
    is_wallet = which == WALLET
    return ledger.AccountId(
        participant.wallet_account if is_wallet else participant.earnings_account
    )


def statement_of(participant: Participant, query: Mapping[str, Any]) -> StatementPage:
    """Return a page of a statement.

    Args:
        participant: Whose.
        query: Validated `StatementQuery`.

    Raises:
        InvalidPageCursor: The cursor is not one of this list's.

    Round trips: one.
    """
    account = account_of(participant, query["account"])
    before = None
    if "cursor" in query:
        (before,) = paging.decode(query["cursor"], [paging.whole])
    lines = ledger.statement(
        account,
        limit=query["limit"] + 1,
        before=before,  # type: ignore[arg-type] # read by paging.whole
        kinds=[query["kind"]] if "kind" in query else None,
        since=query.get("since"),
        until=query.get("until"),
    )
    shown = lines[: query["limit"]]
    more = len(lines) > len(shown)
    return StatementPage(account, shown, paging.encode([shown[-1].seq]) if more else None)


def line_of(line: StatementLine, which: str) -> dict[str, Any]:
    """Return a line of one of `ACCOUNTS` as the contract has it."""
    kind = line.subject.partition("_")[0] if "_" in line.subject else "participant"
    return {
        "id": ids.encode(LINE_IDS[which], line.posting_id),
        "posting": ids.encode("posting", line.posting_id),
        "kind": line.kind,
        "amount": amounts.format(line.amount),
        "balance_after": amounts.format(line.balance_after),
        "subject": {"type": kind, "id": line.subject},
        "memo": line.memo,
        "created_at": line.created_at,
    }


def proof_of(participant: Participant, line_id: str) -> seals.Proof:
    """Return the proof that a line of *participant*'s statement is in a sealed block.

    Raises:
        WrongIdType: It is no id of a line.
        UnknownEntry: There is no such line, or it is somebody else's.
        NotSealedYet, SealBroken: As `seals.proof`.

    Complexity: the entries of one block. Round trips: four.
    """
    posting, which = _line_place(line_id)
    return seals.proof(posting, account_of(participant, which))


def _line_place(line_id: str) -> tuple[UUID, str]:
    """Return the posting of a line and which of `ACCOUNTS` the line is of."""
    which = PENDING if line_id.startswith(f"{LINE_IDS[PENDING]}_") else WALLET
    return ids.decode(LINE_IDS[which], line_id), which


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
        found = statement_of(actor_of(request), self.query)
        headers = {}
        if found.next_cursor is not None:  # which CSV has no room for
            following = request.GET.copy()
            following["cursor"] = found.next_cursor
            headers["Link"] = f'<?{following.urlencode()}>; rel="next"'
        return Response(
            {
                "results": [line_of(line, self.query["account"]) for line in found.lines],
                "next_cursor": found.next_cursor,
            },
            headers=headers,
        )


class SealOut(serializers.Serializer[Any]):
    """A sealed block of the ledger. Hashes are SHA-256 in hexadecimal."""

    number = serializers.IntegerField(help_text="from 1, without gaps")
    previous = serializers.CharField(help_text="the hash of the block before; zeros for block 1")
    root = serializers.CharField(  # type: ignore[assignment] # the contract's word
        help_text="the Merkle root over the block's entries (RFC 6962)"
    )
    hash = serializers.CharField(
        help_text="of all other members; noted elsewhere, it vouches for all blocks up to here"
    )
    entries = serializers.IntegerField()
    sealed_at = serializers.DateTimeField()


class SealPageOut(serializers.Serializer[Any]):
    """A page of blocks."""

    results = SealOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class SealQuery(PageQuery):
    """Which blocks to show."""

    first = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_NUMBER,
        help_text="only blocks from this number on",
    )
    last = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_NUMBER,
        help_text="only blocks up to this number",
    )
    ordering = serializers.ChoiceField(
        required=False,
        choices=[("number", "the first first"), ("-number", "the newest first")],
        default="number",
    )


class ProofOut(serializers.Serializer[Any]):
    """That a line is in a block; `credits/verifier.py` checks it offline and says how."""

    type = serializers.CharField()
    format = serializers.IntegerField(help_text="the version of what is hashed, and how")
    leaf = serializers.CharField(help_text="the line as it was hashed: JSON, kept as text")
    index = serializers.IntegerField(help_text="the line's place in the block, from 0")
    path = serializers.ListField(
        child=serializers.CharField(),
        help_text="the hashes beside the way from the leaf up to the root",
    )
    seal = SealOut()


@dataclass(frozen=True, slots=True)
class SealPage:
    """Blocks, and where the next page begins; None at the end."""

    seals: list[seals.Seal]
    next_cursor: str | None


def seals_of(query: Mapping[str, Any]) -> SealPage:
    """Return a page of the public blocks.

    Args:
        query: Validated `SealQuery`.

    Raises:
        InvalidPageCursor: The cursor is not one of this list's.

    Round trips: one.
    """
    newest_first = query["ordering"] == "-number"
    after, before = query.get("first", 1) - 1, query.get("last", MOST_NUMBER) + 1
    if "cursor" in query:
        (cursor,) = paging.decode(query["cursor"], [paging.whole])
        assert isinstance(cursor, int), "read by paging.whole"
        if newest_first:
            before = min(before, cursor)
        else:
            after = max(after, cursor)
    found = seals.list_seals(
        after=after, before=before, newest_first=newest_first, limit=query["limit"] + 1
    )
    shown = found[: query["limit"]]
    more = len(found) > len(shown)
    return SealPage(shown, paging.encode([shown[-1].number]) if more else None)


class Seals(Endpoint):
    """`/credits/seals`."""

    scopes = {"GET": None}
    queries = {"GET": SealQuery}

    @extend_schema(responses=SealPageOut)
    def get(self, request: Request) -> Response:
        """List the sealed blocks of the ledger, the first first."""
        found = seals_of(self.query)
        return Response(
            {
                "results": [seal.as_json() for seal in found.seals],
                "next_cursor": found.next_cursor,
            },
            headers={"Cache-Control": PUBLIC_FOR_A_MINUTE},
        )


class LineProof(Endpoint):
    """`/credits/statement/{id}/proof`."""

    scopes = {"GET": Scope.CREDITS_READ}

    @extend_schema(responses=ProofOut)
    def get(self, request: Request, entry_id: str) -> Response:
        """Return the proof that a line of one's statement is in a sealed block."""
        return Response(proof_of(actor_of(request), entry_id).as_json())


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
