"""The wallet: what one has, its statement, and the proof of each line."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.validators import MaxValueValidator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from credits import ledger, seals, verifier
from credits.ledger import StatementLine
from marketplace.api.wallets import (
    ACCOUNTS,
    WALLET,
    StatementCSV,
    StatementPage,
    StatementQuery,
    line_of,
    position_of,
    proof_of,
    statement_of,
)
from marketplace.delegation.waiting import waiting_for
from marketplace.foundation import ids
from marketplace.participants.models import Participant
from marketplace.reuse.models import Use
from marketplace.tasks.models import SettlementPayment
from marketplace.web.calls import CallForm
from marketplace.web.pages import actor_of, attachment, page

# What postings are called, in words. One that is newer than these words is shown by its name.
KINDS = {
    "grant": "grant",
    "transfer": "transfer",
    "fund": "into escrow",
    "withdraw": "out of escrow",
    "allocate": "to subtasks",
    "deposit": "deposit of a dispute",
    "settle": "settlement",
    "refund": "refund",
    "reuse": "use of an asset",
    "earning": "earnings",
    "reversal": "correction",
}
MOST_CSV_LINES = 5_000
MOST_WAITING = 50  # earnings of subtasks, those that are paid first
LAST_DAY = date(9998, 12, 31)  # the day after it still has a date


class Day(forms.DateField):
    """A day in UTC."""

    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    input_formats = ["%Y-%m-%d"]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validators=[MaxValueValidator(LAST_DAY)], **kwargs)


class StatementFilters(CallForm):
    """Which lines to show: of which account, of which kind, of which days."""

    call = StatementQuery

    account = forms.ChoiceField(required=False, choices=ACCOUNTS, initial=WALLET, label="Lines of")
    kind = forms.ChoiceField(required=False, choices=[("", "any"), *KINDS.items()])
    since = Day(required=False, label="From")
    until = Day(required=False, label="Until (included)")
    cursor = forms.CharField(required=False, widget=forms.HiddenInput)

    def body(self) -> dict[str, Any]:
        body = super().body()
        if "since" in body:
            body["since"] = _begin_of(body["since"])
        if "until" in body:
            body["until"] = _begin_of(body["until"] + timedelta(days=1))
        return body


def _begin_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line of a statement as the page shows it.

    Attributes:
        line: As the contract has it.
        what: What it was, in words that lead to what follows.
        about: Whom or what it is about, as a link; empty where there is nothing to look at.
        url: Where to look at that.
        note: What somebody wrote, where `about` does not say it.
        block: The number of the sealed block that it is in; None where it is in none yet.
    """

    line: dict[str, Any]
    what: str
    about: str
    url: str
    note: str
    block: int | None


@require_safe
@page
@login_required
def show(request: HttpRequest) -> HttpResponseBase:
    """Show the wallet and a page of its statement."""
    return _wallet(request, StatementFilters(request.GET))


@require_safe
@page
@login_required
def statement_csv(request: HttpRequest) -> HttpResponseBase:
    """Give the lines that the page's filters choose as CSV, the newest `MOST_CSV_LINES`."""
    filters = StatementFilters(request.GET)
    if not filters.accepts(request):
        return _wallet(request, filters)
    which = filters.given["account"]
    found = statement_of(actor_of(request), filters.given | {"limit": MOST_CSV_LINES})
    content = StatementCSV().render({"results": [line_of(line, which) for line in found.lines]})
    return attachment(content, "text/csv; charset=utf-8", f"statement-{which}.csv")


def _wallet(request: HttpRequest, filters: StatementFilters) -> HttpResponse:
    actor = actor_of(request)
    position = position_of(actor)
    waiting: list[SettlementPayment] = []
    if position["pending"]:
        waiting = list(waiting_for(actor.operator_key)[: MOST_WAITING + 1])
    context: dict[str, Any] = {
        "filters": filters,
        "position": position,
        "waiting": waiting[:MOST_WAITING],
        "most_waiting": MOST_WAITING if len(waiting) > MOST_WAITING else None,
    }
    if filters.accepts(request):
        found = statement_of(actor, filters.given)
        context |= {
            "lines": _shown(found, filters.given["account"], actor.handle),
            "next_cursor": found.next_cursor,
            "is_narrowed": bool(filters.given.keys() & {"kind", "since", "until", "cursor"}),
            "most_csv_lines": f"{MOST_CSV_LINES:,}",
        }
    return render(request, "web/wallet.html", context, status=filters.status)


def _shown(found: StatementPage, which: str, own_handle: str) -> list[ShownLine]:
    """Put lines into words. Queries: one, and up to three for what the lines are about."""
    blocks = seals.blocks_of(found.account, [line.posting_id for line in found.lines])
    payers, assets = _payers_of(found), _assets_of(found.lines)
    shown = []
    for line in found.lines:
        as_given = line_of(line, which)
        subject = as_given["subject"]
        person = payers.get(line.posting_id, "")
        if not person and subject["type"] == "participant" and subject["id"] != own_handle:
            person = subject["id"]
        said = _said(line, subject["type"], person, assets.get(line.subject, ""))
        shown.append(ShownLine(as_given, *said, blocks.get(line.posting_id)))
    return shown


def _said(line: StatementLine, kind: str, person: str, asset: str) -> tuple[str, str, str, str]:
    """Return the words of a line: what, about, url and note of a `ShownLine`."""
    words = KINDS.get(line.kind, line.kind)
    if person:
        side = "to" if line.amount < 0 else "from"
        return f"{words} {side}", person, reverse("person", args=[person]), line.memo
    if kind == "task":
        return f"{words}:", line.memo or line.subject, reverse("task", args=[line.subject]), ""
    if asset:
        return f"{words}:", line.memo, asset, ""
    return f"{words}:" if line.memo else words, "", "", line.memo


def _payers_of(found: StatementPage) -> dict[UUID, str]:
    """Return who sent the transfers that came in. Queries: two, where there are any."""
    came_in = [one.posting_id for one in found.lines if one.kind == "transfer" and one.amount > 0]
    if not came_in:
        return {}
    payers = {
        posting: owners[0]
        for posting, owners in ledger.owners_beside(found.account, came_in).items()
    }
    people = Participant.objects.filter(pk__in=set(payers.values()))
    handles = dict(people.values_list("pk", "handle"))
    return {posting: handles[payer] for posting, payer in payers.items() if payer in handles}


def _assets_of(lines: Iterable[StatementLine]) -> dict[str, str]:
    """Return the pages of what was used, by the ids of uses. Queries: one, where there are any."""
    keys = [ids.decode("use", one.subject) for one in lines if one.subject.startswith("use_")]
    if not keys:
        return {}
    uses = Use.objects.filter(pk__in=keys).select_related("version__asset__owner")
    return {
        use.public_id: reverse(
            "asset_version",
            args=[use.version.asset.owner.handle, use.version.asset.name, use.version.number],
        )
        for use in uses.defer("version__asset__search")
    }


# --- The proof of a line --------------------------------------------------------------------------


@require_safe
@page
@login_required
def proof(request: HttpRequest, line_id: str) -> HttpResponseBase:
    """Show the proof that a line is in a sealed block, and how to check it without us."""
    found = proof_of(actor_of(request), line_id)
    leaf = json.loads(found.leaf)
    context = {
        "line_id": line_id,
        "proof": found,
        "position": found.index + 1,
        "entry": {
            "what": KINDS.get(leaf["kind"], leaf["kind"]),
            "memo": leaf["memo"],
            "amount": int(leaf["amount"]),
            "balance_after": int(leaf["balance_after"]),
            "created_at": datetime.fromisoformat(leaf["created_at"]),
        },
        "leaf_hash": verifier.leaf_hash(found.leaf).hex(),
        "file_name": _file_name(found),
    }
    return render(request, "web/proof.html", context)


@require_safe
@page
@login_required
def proof_json(request: HttpRequest, line_id: str) -> HttpResponseBase:
    """Give the proof as the file that the verifier reads."""
    found = proof_of(actor_of(request), line_id)
    content = json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n"
    return attachment(content.encode(), "application/json", _file_name(found))


def _file_name(found: seals.Proof) -> str:
    return f"proof-{found.seal.number}-{found.index + 1}.json"
