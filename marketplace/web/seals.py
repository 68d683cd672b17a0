"""The sealed books: the public list of blocks, and what one needs to check against it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from django import forms
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from credits import seals, verifier
from marketplace.api.wallets import MOST_NUMBER, PUBLIC_FOR_A_MINUTE, SealQuery, seals_of
from marketplace.web.calls import CallForm
from marketplace.web.pages import attachment, page

VERIFIER = Path(verifier.__file__).read_bytes()
VERIFIER_SHA256 = hashlib.sha256(VERIFIER).hexdigest()
MOST_BLOCKS = 10_000
"""Blocks of one file: some three megabytes, and a month of a busy market in five files."""


class SealFilters(CallForm):
    """Which blocks to show, by number."""

    call = SealQuery

    first = forms.IntegerField(required=False, label="From block", min_value=1)
    last = forms.IntegerField(required=False, label="To block", min_value=1)
    cursor = forms.CharField(required=False, widget=forms.HiddenInput)

    def body(self) -> dict[str, Any]:
        return super().body() | {"ordering": "-number"}


@require_safe
@page
def show(request: HttpRequest) -> HttpResponseBase:
    """Show the sealed blocks, the newest first, and how one holds the market to them."""
    return _blocks(request, SealFilters(request.GET))


@require_safe
@page
def blocks(request: HttpRequest) -> HttpResponseBase:
    """Give the blocks that the page's filters choose as lines of JSON, the first first."""
    filters = SealFilters(request.GET)
    if not filters.accepts(request):
        return _blocks(request, filters)
    after, before = filters.given.get("first", 1) - 1, filters.given.get("last", MOST_NUMBER) + 1
    lines: list[str] = []
    while len(lines) < MOST_BLOCKS:
        found = seals.list_seals(after=after, before=before, limit=seals.MAX_SEALS)
        lines += [json.dumps(one.as_json(), separators=(",", ":")) + "\n" for one in found]
        if len(found) < seals.MAX_SEALS:
            break
        after = found[-1].number
    answer = attachment("".join(lines).encode(), "application/jsonl", "blocks.jsonl")
    answer["Cache-Control"] = PUBLIC_FOR_A_MINUTE
    return answer


@require_safe
@page
def the_verifier(request: HttpRequest) -> HttpResponseBase:
    """Give the program that checks proofs and exports, for whoever does not trust this site."""
    answer = attachment(VERIFIER, "text/x-python; charset=utf-8", "verifier.py")
    answer["Cache-Control"] = PUBLIC_FOR_A_MINUTE
    return answer


def _blocks(request: HttpRequest, filters: SealFilters) -> HttpResponseBase:
    context: dict[str, Any] = {
        "filters": filters,
        "verifier_sha256": VERIFIER_SHA256,
        "most_blocks": f"{MOST_BLOCKS:,}",
    }
    if filters.accepts(request):
        found = seals_of(filters.given)
        context |= {"seals": found.seals, "next_cursor": found.next_cursor}
    return render(request, "web/seals.html", context, status=filters.status)
