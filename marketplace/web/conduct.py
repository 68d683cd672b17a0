"""One's reports, freezes and blocks."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from marketplace.api.blocks import BlockIn
from marketplace.api.freezes import FreezeAppealIn
from marketplace.api.paging import PageQuery, paginate
from marketplace.api.reports import ReportIn
from marketplace.api.tasks import NothingIn
from marketplace.foundation import clock, ids
from marketplace.moderation.models import Category, Report
from marketplace.moderation.usecases.report_subject import report_subject
from marketplace.participants.freezes import freezes_of, may_appeal
from marketplace.participants.models import Block, Freeze, Participant
from marketplace.participants.usecases.appeal_freeze import appeal_freeze
from marketplace.participants.usecases.block_participant import block_participant
from marketplace.participants.usecases.unblock_participant import unblock_participant
from marketplace.web.calls import CallForm, Done, MoveForm, TextArea, attempt
from marketplace.web.pages import actor_of, page


class Filters(CallForm):
    """Where in the list one is."""

    call = PageQuery

    cursor = forms.CharField(required=False, widget=forms.HiddenInput)


def _page_of(request: HttpRequest, rows: QuerySet[Any]) -> dict[str, Any]:
    filters = Filters(request.GET)
    found = paginate(rows, filters.given) if filters.accepts(request) else None
    return {"filters": filters, "page": found}


# --- Reports -------------------------------------------------------------------------------------


class ReportForm(MoveForm):
    """A report of spam or harm."""

    call = ReportIn
    heading, button = "Report", "Report to staff"

    subject = forms.CharField(
        label="What",
        help_text="An id such as task_… or message_…, a handle, or an asset's owner/name.",
    )
    category = forms.ChoiceField(choices=Category.choices, label="What kind of wrong")
    reason = TextArea(rows=4, label="What is wrong with it")


@page
@login_required
def reports(request: HttpRequest) -> HttpResponseBase:
    """Show one's reports and what became of them; make another one."""
    actor = actor_of(request)
    form = ReportForm(initial={"subject": request.GET.get("subject", "")[:200]})
    if request.method == "POST":
        form = ReportForm(request.POST)
        done = attempt(request, form, lambda: _report(actor, form))
        if done is not None:
            return done
    rows = Report.objects.filter(reporter=actor).select_related("case")
    context = {"form": form, **_page_of(request, rows)}
    return render(request, "web/reports.html", context, status=form.status)


def _report(actor: Participant, form: ReportForm) -> Done:
    report_subject(actor=actor, **form.given)
    return Done(reverse("reports"), "Staff will look at it. Nothing happens until they decide.")


# --- Freezes -------------------------------------------------------------------------------------


class AppealForm(MoveForm):
    """Why a freeze should not be."""

    call = FreezeAppealIn
    heading, button = "Appeal", "Appeal"

    freeze = forms.CharField(widget=forms.HiddenInput)
    text = TextArea(rows=4, label="Why it should not be", help_text="Staff read it, once.")


@page
@login_required
def freezes(request: HttpRequest) -> HttpResponseBase:
    """Show freezes that concern one; appeal one."""
    actor = actor_of(request)
    sent = None
    if request.method == "POST":
        sent = AppealForm(request.POST)
        done = attempt(request, sent, lambda: _appeal(actor, sent))
        if done is not None:
            return done
    found = _page_of(request, freezes_of(actor))
    now = clock.now()
    rows = found["page"].rows if found["page"] else ()
    shown = [
        (freeze, freeze.runs_at(now), _appeal_form(freeze, actor, sent, now)) for freeze in rows
    ]
    context = {"sent": sent, "freezes": shown, **found}
    return render(request, "web/freezes.html", context, status=sent.status if sent else 200)


def _appeal_form(
    freeze: Freeze, actor: Participant, sent: AppealForm | None, now: datetime
) -> AppealForm | None:
    """Return the form by which *actor* may appeal; what was typed stays in it."""
    if sent is not None and sent.data.get("freeze") == freeze.public_id:
        return sent
    if freeze.appealed_at is not None or not freeze.runs_at(now) or not may_appeal(freeze, actor):
        return None
    name = f"{freeze.public_id}-%s"  # several such forms may stand on the page
    return AppealForm(initial={"freeze": freeze.public_id}, auto_id=name)


def _appeal(actor: Participant, form: AppealForm) -> Done:
    freeze_id = ids.decode("freeze", form.cleaned_data["freeze"])
    appeal_freeze(freeze_id=freeze_id, actor=actor, **form.given)
    return Done(reverse("freezes"), "Staff will answer your appeal.")


# --- Blocks --------------------------------------------------------------------------------------


class BlockForm(MoveForm):
    """Whom to block."""

    call = BlockIn
    heading, button = "Block somebody", "Block"

    handle = forms.CharField()
    reason = forms.CharField(required=False, help_text="For your own records; nobody else sees it.")


class UnblockForm(MoveForm):
    """The end of a block."""

    call = NothingIn
    button = "Unblock"

    handle = forms.CharField(widget=forms.HiddenInput)


@page
@login_required
def blocks(request: HttpRequest) -> HttpResponseBase:
    """Show whom one blocks; block somebody, or end it."""
    actor = actor_of(request)
    form = BlockForm(initial={"handle": request.GET.get("handle", "")[:39]})
    ending = UnblockForm()
    if request.method == "POST":
        if request.POST.get("action") == "block":
            form = BlockForm(request.POST)
            done = attempt(request, form, lambda: _block(actor, form))
        elif request.POST.get("action") == "unblock":
            ending = UnblockForm(request.POST)
            done = attempt(request, ending, lambda: _unblock(actor, ending))
        else:
            raise BadRequest("no such move")
        if done is not None:
            return done
    rows = Block.objects.filter(operator=actor.operator_key).select_related("blocked")
    context = {"form": form, "ending": ending, **_page_of(request, rows)}
    status = max(form.status, ending.status)
    return render(request, "web/blocks.html", context, status=status)


def _block(actor: Participant, form: BlockForm) -> Done:
    block_participant(actor=actor, **form.given)
    return Done(reverse("blocks"), "They can take no more of your work. What they hold stands.")


def _unblock(actor: Participant, form: UnblockForm) -> Done:
    unblock_participant(actor=actor, handle=form.cleaned_data["handle"])
    return Done(reverse("blocks"), "They can take your work again.")
