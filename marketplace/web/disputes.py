"""Disputes: what one is asked to judge, what concerns one, and every move that one has."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from marketplace.api.disputes import (
    MOST_EVIDENCE_FILES,
    AppealIn,
    DecisionIn,
    DisputeEvidenceIn,
    DisputeQuery,
    VoteIn,
    browse,
)
from marketplace.delivery import contests
from marketplace.disputes import permissions
from marketplace.disputes.models import Dispute, Outcome
from marketplace.disputes.queries import as_shown, asked_to_judge, for_administrators, visible_to
from marketplace.disputes.states import DisputeState
from marketplace.disputes.usecases.appeal_outcome import appeal_outcome
from marketplace.disputes.usecases.cast_vote import cast_vote
from marketplace.disputes.usecases.decide_dispute import decide_dispute
from marketplace.disputes.usecases.submit_evidence import submit_evidence
from marketplace.foundation import ids
from marketplace.participants.models import Participant
from marketplace.tasks.queries import viewer
from marketplace.web.calls import (
    CallForm,
    Done,
    Files,
    MoveForm,
    Stored,
    TextArea,
    attempt,
    store,
    upload,
)
from marketplace.web.pages import actor_of, page

MOST_ASKED = 50  # of one participant, or of staff, on one page
SHARE_HELP = "The worker's share of a split: 0.4 is 40 %. Leave it empty otherwise."


class DisputeFilters(CallForm):
    """Which disputes to list."""

    call = DisputeQuery

    state = forms.ChoiceField(required=False, choices=[("", "any"), *DisputeState.choices])
    cursor = forms.CharField(required=False, widget=forms.HiddenInput)


@page
@login_required
def queue(request: HttpRequest) -> HttpResponseBase:
    """Show what one is asked to judge, what waits for staff, and every dispute that one may see."""
    actor = actor_of(request)
    filters = DisputeFilters(request.GET)
    context: dict[str, Any] = {
        "filters": filters,
        "asked": _listed(asked_to_judge(actor)),
        "for_staff": _listed(for_administrators()) if actor.is_staff else [],
    }
    if filters.accepts(request):
        context["page"] = browse(filters.given, actor)
    return render(request, "web/disputes.html", context, status=filters.status)


def _listed(disputes: Any) -> list[Dispute]:
    found = disputes.select_related("task", "opener").defer("pool", "task__search")
    return list(found.order_by("due_at")[:MOST_ASKED])


# --- One dispute ---------------------------------------------------------------------------------


class DisputeMove(MoveForm):
    """A move in a dispute.

    Attributes:
        action: Its name in the form that is sent, and in `permitted_actions`.
        consequence: What it leads to, in one sentence.
        is_likely: Whether most who may make it will; its form stands open.
    """

    action: ClassVar[str]
    consequence: ClassVar[str] = ""
    is_likely: ClassVar[bool] = True

    def play(self, actor: Participant, dispute: Dispute) -> str:
        """Make the move and return what to say about it."""
        raise NotImplementedError


class EvidenceForm(DisputeMove):
    """Handing in evidence."""

    call, action = DisputeEvidenceIn, "submit_evidence"
    heading, button = "Hand in evidence", "Hand in"
    consequence = "The other side and the panel read it. It cannot be changed."

    text = TextArea(rows=6, help_text="Markdown.")
    uploads = Files(most=MOST_EVIDENCE_FILES, required=False, label="Files")
    places = {"files": "uploads"}
    stored: list[Stored]

    def prepare(self) -> None:
        self.stored = store(self.cleaned_data["uploads"])

    def play(self, actor: Participant, dispute: Dispute) -> str:
        files = [file.pk for file in upload(actor, self.stored)]
        submit_evidence(dispute_id=dispute.pk, actor=actor, **self.given, files=files)
        return "Handed in."


class VoteForm(DisputeMove):
    """Voting on one's seat."""

    call, action = VoteIn, "vote"
    heading, button = "You are asked to judge", "Vote"
    consequence = (
        "Nobody sees your vote until it is decided. It is final, and paid whatever it says;"
        " an abstention gives the seat to somebody else."
    )

    outcome = forms.ChoiceField(choices=[("", "choose one"), *Outcome.choices])
    worker_share = forms.CharField(required=False, label="Worker's share", help_text=SHARE_HELP)
    delivery = forms.ChoiceField(required=False, label="Entry that you accept")
    rationale = TextArea(rows=4, help_text="Both sides read it once it is decided.")

    def __init__(self, *args: Any, entries: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if entries:
            field = self.fields["delivery"]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", "choose one"), *entries]
            del self.fields["worker_share"]
        else:
            del self.fields["delivery"]

    def play(self, actor: Participant, dispute: Dispute) -> str:
        cast_vote(
            dispute_id=dispute.pk,
            actor=actor,
            outcome=Outcome(self.given["outcome"]),
            worker_share=self.given.get("worker_share"),
            delivery_id=self.given.get("delivery"),
            rationale=self.given["rationale"],
        )
        return "You have voted."


class AppealForm(DisputeMove):
    """Appealing."""

    call, action = AppealIn, "appeal"
    heading, button = "Appeal to an administrator", "Appeal"
    consequence = "An administrator decides for good. There is one appeal."
    is_likely = False

    reason = TextArea(rows=4, help_text="What the outcome got wrong.")

    def play(self, actor: Participant, dispute: Dispute) -> str:
        appeal_outcome(dispute_id=dispute.pk, actor=actor, **self.given)
        return "You have appealed."


class DecideForm(DisputeMove):
    """Deciding as an administrator."""

    call, action = DecisionIn, "decide"
    heading, button = "Decide as an administrator", "Decide"
    consequence = "Both sides read your reasons. A decision about an appeal is paid out at once."

    outcome = forms.ChoiceField(
        choices=[
            ("", "choose one"),
            *(choice for choice in Outcome.choices if choice[0] != Outcome.ABSTAIN),
        ]
    )
    worker_share = forms.CharField(required=False, label="Worker's share", help_text=SHARE_HELP)
    rationale = TextArea(rows=4)

    def play(self, actor: Participant, dispute: Dispute) -> str:
        decide_dispute(
            dispute_id=dispute.pk,
            actor=actor,
            outcome=Outcome(self.given["outcome"]),
            worker_share=self.given.get("worker_share"),
            rationale=self.given["rationale"],
        )
        return "Decided."


MOVES: Mapping[str, type[DisputeMove]] = {
    form.action: form for form in (EvidenceForm, VoteForm, AppealForm, DecideForm)
}


@page
@login_required
def show(request: HttpRequest, dispute_id: str) -> HttpResponseBase:
    """Show a dispute, and make the move that was sent."""
    dispute = _load(request, dispute_id)
    sent = None
    if request.method == "POST":
        sent = _sent(request, dispute)
        done = attempt(request, sent, lambda: _play(request, sent, dispute))
        if done is not None:
            return done
        dispute = _load(request, dispute_id)  # it may have changed meanwhile
    looking = viewer(actor_of(request))
    actions = permissions.permitted_actions(dispute, looking)
    context = {
        "dispute": dispute,
        "task": dispute.task,
        "moves": [
            sent if type(sent) is kind else _form(kind, dispute)
            for kind in MOVES.values()
            if kind.action in actions or type(sent) is kind
        ],
        "sent": sent,
        "seat": permissions.seat_of(dispute, actor_of(request)),
        "votes": permissions.votes_shown(dispute, looking.participant),
        "decisions": list(dispute.decisions.all()),
    }
    return render(request, "web/dispute.html", context, status=sent.status if sent else 200)


def _load(request: HttpRequest, dispute_id: str) -> Dispute:
    return as_shown(visible_to(actor_of(request))).get(pk=ids.decode("dispute", dispute_id))


def _sent(request: HttpRequest, dispute: Dispute) -> DisputeMove:
    kind = MOVES.get(request.POST.get("action", ""))
    if kind is None:
        raise BadRequest("no such move")
    return _form(kind, dispute, request.POST, request.FILES)


def _form(kind: type[DisputeMove], dispute: Dispute, *data: Any) -> DisputeMove:
    if kind is not VoteForm:
        return kind(*data)
    entries = contests.standing_entries(dispute.task) if dispute.is_contest else []
    return VoteForm(
        *data, entries=[(entry.public_id, f"Delivery {entry.number}") for entry in entries]
    )


def _play(request: HttpRequest, form: DisputeMove, dispute: Dispute) -> Done:
    message = form.play(actor_of(request), dispute)
    # Whoever abstained has no seat any more, and so no page to go back to.
    seen = visible_to(actor_of(request)).filter(pk=dispute.pk).exists()
    there = reverse("dispute", args=[dispute.public_id]) if seen else reverse("disputes")
    return Done(there, message)
