"""The page for staff about the books: what audits found, and the switch that stops money."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from credits import switch
from marketplace.foundation import clock
from marketplace.foundation.transactions import Busy
from marketplace.ops import jobs, standstill
from marketplace.ops.models import AuditRun
from marketplace.ops.usecases.resume_money import BooksAreWrong, NotAuditedSince
from marketplace.participants.models import Participant
from marketplace.web.pages import page

TURNS_SHOWN = 20
AUDITS_SHOWN = 20
FINDINGS_SHOWN = 100


class StopForm(forms.Form):
    """Why money stops."""

    reason = forms.CharField(
        max_length=switch.MAX_REASON_CHARACTERS, help_text="Staff read it here, for good."
    )


class ResumeForm(StopForm):
    """Why it moves again."""

    despite_findings = forms.BooleanField(
        required=False, label="Also where the newest full audit found something, or none has run"
    )


@page
def books(request: HttpRequest) -> HttpResponseBase:
    """Show the last audits and the switch; turn it, or ask for an audit. Staff only."""
    actor = request.user
    if not (isinstance(actor, Participant) and actor.is_staff):
        raise Http404
    stop, resume = StopForm(auto_id="stop-%s"), ResumeForm(auto_id="resume-%s")
    if request.method == "POST":
        action = request.POST.get("action")
        said: str | None
        if action == "audit":
            jobs.audit_everything.delay(asked_by=actor.handle)
            said = "A full audit was asked for. Its result will stand here."
        elif action == "stop":
            stop = StopForm(request.POST, auto_id="stop-%s")
            said = _stop(stop, actor)
        elif action == "resume":
            resume = ResumeForm(request.POST, auto_id="resume-%s")
            said = _resume(resume, actor)
        else:
            raise BadRequest("no such move")
        if said is not None:
            messages.success(request, said)
            return HttpResponseRedirect(reverse("books"))
    return render(
        request,
        "ops/books.html",
        _shown() | {"stop_form": stop, "resume_form": resume},
        status=400 if stop.errors or resume.errors else 200,
    )


def _shown() -> dict[str, Any]:
    standing = switch.standing_stop()
    runs = list(AuditRun.objects.order_by("-pk")[:AUDITS_SHOWN])
    wrong = AuditRun.objects.exclude(findings=[]).order_by("-pk").first()
    return {
        "standing": standing,
        "market_time": clock.now(),
        "runs": runs,
        "wrong": wrong,
        "findings": wrong.findings[:FINDINGS_SHOWN] if wrong else [],
        "turns": switch.history(limit=TURNS_SHOWN),
    }


def _stop(form: StopForm, actor: Participant) -> str | None:
    if not form.is_valid():
        return None
    try:
        has_stopped = standstill.begin(reason=form.cleaned_data["reason"], actor=actor)
    except Busy:
        form.add_error(None, _HELD)
        return None
    return "Money is read-only." if has_stopped else "Money was read-only already."


def _resume(form: ResumeForm, actor: Participant) -> str | None:
    if not form.is_valid():
        return None
    try:
        has_resumed = standstill.end(**form.cleaned_data, actor=actor)
    except Busy:
        form.add_error(None, _HELD)
        return None
    except (NotAuditedSince, BooksAreWrong) as error:
        form.add_error(None, f"{str(error)[0].upper()}{str(error)[1:]}.")
        return None
    return "Credits move." if has_resumed else "Credits moved already."


_HELD = (
    "Something holds the ledger's tables, such as a VACUUM or an index that is being built."
    " Nothing was changed; stop that and try again."
)
