"""The wallet: what one has, and its statement."""

from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from credits import ledger
from marketplace.api import paging
from marketplace.api.wallets import (
    ACCOUNTS,
    StatementCSV,
    StatementQuery,
    line_of,
    position_of,
)
from marketplace.participants.models import Participant
from marketplace.web.calls import CallForm
from marketplace.web.pages import actor_of, page


class StatementFilters(CallForm):
    """Which lines to show."""

    call = StatementQuery

    account = forms.ChoiceField(required=False, choices=ACCOUNTS, label="Lines of")
    cursor = forms.CharField(required=False, widget=forms.HiddenInput)


@require_safe
@page
@login_required
def show(request: HttpRequest) -> HttpResponseBase:
    """Show the wallet and a page of its statement."""
    actor = actor_of(request)
    filters = StatementFilters(request.GET)
    context: dict[str, Any] = {"filters": filters, "position": position_of(actor)}
    if filters.accepts(request):
        query = filters.given
        before = None
        if "cursor" in query:
            (before,) = paging.decode(query["cursor"], [paging.whole])
        lines = ledger.statement(
            _account(actor, query["account"]),
            limit=query["limit"] + 1,
            before=before,  # type: ignore[arg-type] # read by paging.whole
        )
        shown = lines[: query["limit"]]
        context |= {
            "lines": [line_of(line) for line in shown],
            "next_cursor": paging.encode([shown[-1].seq]) if len(lines) > len(shown) else None,
        }
    return render(request, "web/wallet.html", context, status=filters.status)


@require_safe
@page
@login_required
def statement_csv(request: HttpRequest) -> HttpResponseBase:
    """Give the newest lines, as many as a page of the ledger has, as CSV."""
    account = _account(actor_of(request), "wallet")
    lines = ledger.statement(account, limit=ledger.MAX_LINES)
    content = StatementCSV().render({"results": [line_of(line) for line in lines]})
    return HttpResponse(
        content,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="statement.csv"'},
    )


def _account(actor: Participant, which: str) -> ledger.AccountId:
    is_wallet = which == "wallet"
    return ledger.AccountId(actor.wallet_account if is_wallet else actor.earnings_account)
