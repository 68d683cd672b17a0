"""The page of one task: its terms, its thread of deliveries, and every move that one has on it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from credits import amounts, escrow
from marketplace.api.deliveries import AcceptIn, DeliveryIn, RejectIn
from marketplace.api.paging import Key, PageQuery, paginate, whole
from marketplace.api.tasks import (
    AbandonIn,
    CancelIn,
    ClaimIn,
    NothingIn,
    TaskOut,
    final_settlement,
    projected_settlement,
)
from marketplace.delivery.models import Delivery
from marketplace.delivery.queries import as_shown as deliveries_as_shown
from marketplace.delivery.queries import permitted_actions as permitted_decisions
from marketplace.delivery.queries import visible_to as visible_deliveries
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.delivery.usecases.submit_delivery import Work, submit_delivery
from marketplace.foundation import ids
from marketplace.participants.models import Participant
from marketplace.tasks.division import share_down
from marketplace.tasks.models import Task
from marketplace.tasks.permissions import Viewer, permitted_verbs
from marketplace.tasks.queries import (
    as_shown,
    may_see_settlement,
    settlement_of,
    viewer,
    visible_to,
)
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from marketplace.web.calls import (
    Done,
    Files,
    JSONText,
    Lines,
    MoveForm,
    Stored,
    TextArea,
    attempt,
    store,
    upload,
)
from marketplace.web.pages import actor_of, page, viewer_of

PAGING = ("cursor", "limit")


class TaskMove(MoveForm):
    """A move on a task.

    Attributes:
        action: Its name in the form that is sent.
        verbs: The verbs of the state table that it stands for, where they have other names.
        heading: What the page calls it.
        consequence: What it leads to, in one sentence.
        is_likely: Whether most who may make it will; its form stands open.
    """

    action: ClassVar[str]
    verbs: ClassVar[frozenset[str]] = frozenset()
    consequence: ClassVar[str] = ""
    is_likely: ClassVar[bool] = False

    def play(self, actor: Participant, task: Task) -> str:
        """Make the move and return what to say about it."""
        raise NotImplementedError


class ClaimForm(TaskMove):
    """Taking the task."""

    call, action = ClaimIn, "claim"
    heading, button = "Claim this task", "Claim"
    is_likely = True
    consequence = "You have the task for yourself until the lease runs out."

    terms_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    note = forms.CharField(required=False, label="Note to the poster")

    def play(self, actor: Participant, task: Task) -> str:
        claim_task(task_id=task.pk, actor=actor, **self.given)
        return "You have claimed this task."


class HeartbeatForm(TaskMove):
    """Renewing the lease."""

    call, action = NothingIn, "heartbeat"
    heading, button = "Keep your claim", "Renew the lease"
    consequence = "Starts the lease again from now, up to the deadline."

    def play(self, actor: Participant, task: Task) -> str:
        heartbeat(task_id=task.pk, actor=actor)
        return "The lease runs from now."


class AbandonForm(TaskMove):
    """Giving the task back."""

    call, action = AbandonIn, "abandon"
    heading, button = "Give the task back", "Give it back"
    consequence = "It counts as abandoned in your reputation."
    verbs = frozenset({"abandon", "withdraw"})

    reason = forms.CharField(required=False)

    def play(self, actor: Participant, task: Task) -> str:
        abandon_task(task_id=task.pk, actor=actor, **self.given)
        return "You have given the task back."


class CancelForm(TaskMove):
    """Calling off a task that nobody holds."""

    call, action = CancelIn, "cancel"
    heading, button = "Cancel this task", "Cancel"
    consequence = "The bounty goes back to your wallet."

    def play(self, actor: Participant, task: Task) -> str:
        ended = cancel_task(task_id=task.pk, actor=actor, **self.given)
        return "The task is cancelled." if ended.is_ended else "You have given notice."


class NoticeForm(CancelForm):
    """Calling off a task that somebody holds, later."""

    action = "give_notice"
    heading, button = "Give notice", "Give notice"
    consequence = (
        "The worker may still deliver until one lease from now; then the bounty comes back."
    )


class CancelAtOnceForm(CancelForm):
    """Calling off a task that somebody holds, now."""

    action = "cancel_at_once"
    heading, button = "Cancel at once", "Cancel and compensate"
    consequence = "The worker is paid the compensation that the terms name; the rest comes back."

    def body(self) -> dict[str, Any]:
        return {"at_once": True}


class DeliverForm(TaskMove):
    """Delivering."""

    call, action = DeliveryIn, "submit"
    heading, button = "Deliver", "Deliver"
    is_likely = True
    consequence = "The checks run as soon as you deliver. What is delivered cannot be changed."

    summary = TextArea(rows=5, help_text="Markdown: what you did and how.")
    result = JSONText(
        required=False, rows=6, label="Result (JSON)", help_text="What the checks look at."
    )
    uploads = Files(most=settings.BUNDLE_LIMIT_FILES, required=False, label="Files")
    uses = Lines(
        required=False,
        rows=2,
        label="Assets that helped",
        help_text="One a line, such as ada/parse-invoices@1.0.0.",
    )
    places = {"files": "uploads"}
    stored: list[Stored]

    def prepare(self) -> None:
        self.stored = store(self.cleaned_data["uploads"])

    def play(self, actor: Participant, task: Task) -> str:
        files = [file.pk for file in upload(actor, self.stored)]
        submit_delivery(task_id=task.pk, actor=actor, work=Work(**self.given, files=files))
        return "Delivered."


class _Decision(TaskMove):
    """Deciding about a delivery."""

    delivery = forms.CharField(widget=forms.HiddenInput)

    @property
    def delivery_id(self) -> Any:
        """Return which delivery."""
        return ids.decode("delivery", self.cleaned_data["delivery"])


class AcceptForm(_Decision):
    """Accepting a delivery."""

    call, action = AcceptIn, "accept"
    heading, button = "Accept this delivery", "Accept and pay"
    is_likely = True
    consequence = "The escrow is paid out at once, and that is final."

    rating = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        choices=[("", "no rating"), *((n, f"{n} of 5") for n in (5, 4, 3, 2, 1))],
    )
    comment = TextArea(required=False, rows=2)

    def play(self, actor: Participant, task: Task) -> str:
        accept_delivery(delivery_id=self.delivery_id, actor=actor, **self.given)
        return "Accepted. The escrow is settled."


class RejectForm(_Decision):
    """Rejecting a delivery."""

    call, action = RejectIn, "reject"
    heading, button = "Reject this delivery", "Reject"
    consequence = "The worker may deliver again."

    reason = TextArea(rows=3, help_text="The worker reads it.")
    requirement = forms.TypedChoiceField(
        required=False, coerce=int, empty_value=None, label="Requirement that it rests on"
    )

    def __init__(self, *args: Any, requirements: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        listed = [(index, text) for index, text in enumerate(requirements)]
        field = self.fields["requirement"]
        assert isinstance(field, forms.TypedChoiceField)
        field.choices = [("", "choose one"), *listed]
        if not listed:
            field.widget = forms.HiddenInput()

    def play(self, actor: Participant, task: Task) -> str:
        reject_delivery(delivery_id=self.delivery_id, actor=actor, **self.given)
        return "Rejected. The worker may deliver again."


MOVES: Mapping[str, type[TaskMove]] = {
    form.action: form
    for form in (
        ClaimForm,
        DeliverForm,
        HeartbeatForm,
        AbandonForm,
        CancelForm,
        NoticeForm,
        CancelAtOnceForm,
        AcceptForm,
        RejectForm,
    )
}


@page
def show(request: HttpRequest, task_id: str) -> HttpResponseBase:
    """Show a task, and make the move that was sent."""
    task = _load(request, task_id)
    sent = None
    if request.method == "POST":
        if viewer_of(request) is None:
            return redirect_to_login(request.get_full_path())
        sent = _sent(request, task)
        done = attempt(request, sent, lambda: _play(request, sent, task))
        if done is not None:
            return done
        task = _load(request, task_id)  # it may have changed meanwhile
    context = _context(request, task, sent)
    return render(request, "web/task.html", context, status=sent.status if sent else 200)


def _load(request: HttpRequest, task_id: str) -> Task:
    tasks = as_shown(visible_to(viewer_of(request)).defer("search"))
    return tasks.get(pk=ids.decode("task", task_id))


def _sent(request: HttpRequest, task: Task) -> TaskMove:
    kind = MOVES.get(request.POST.get("action", ""))
    if kind is None:
        raise BadRequest("no such move")
    return _form(kind, task, request.POST, request.FILES)


def _form(kind: type[TaskMove], task: Task, *data: Any, **kwargs: Any) -> TaskMove:
    if kind is RejectForm:
        kwargs["requirements"] = task.requirements
    return kind(*data, **kwargs)


def _play(request: HttpRequest, form: TaskMove, task: Task) -> Done:
    message = form.play(actor_of(request), task)
    return Done(reverse("task", args=[task.public_id]), message)


# --- What the page shows -------------------------------------------------------------------------


def _context(request: HttpRequest, task: Task, sent: TaskMove | None) -> dict[str, Any]:
    looking = viewer(viewer_of(request))
    verbs = permitted_verbs(task, looking)
    query = PageQuery(data={one: request.GET[one] for one in PAGING if one in request.GET})
    query.is_valid(raise_exception=True)
    deliveries = paginate(_thread(task, looking), query.validated_data, (Key("number", whole),))
    return {
        "task": task,
        "checks": TaskOut(context={"viewer": looking}).get_verification(task),
        "in_escrow": escrow.held(task.public_id),
        "deliveries": deliveries,
        "thread": [
            (delivery, _forms(_decisions(delivery, looking, sent), task, sent, delivery))
            for delivery in deliveries.rows
        ],
        "moves": _forms(verbs, task, sent),
        "may_edit": "edit" in verbs,
        "sent": sent,
        "compensation": share_down(task.bounty, task.compensation_bps),
        "settlement": _settlement(task, looking),
    }


def _thread(task: Task, looking: Viewer) -> QuerySet[Delivery]:
    return deliveries_as_shown(visible_deliveries(looking.participant).filter(task=task))


def _decisions(delivery: Delivery, looking: Viewer, sent: TaskMove | None) -> frozenset[str]:
    verbs = frozenset(permitted_decisions(delivery, looking))
    # What was typed about a delivery stays on the page, also when it can no longer be decided.
    about_this = sent is not None and sent.data.get("delivery") == delivery.public_id
    return verbs | {sent.action} if sent is not None and about_this else verbs


def _forms(
    verbs: frozenset[str], task: Task, sent: TaskMove | None, delivery: Delivery | None = None
) -> list[TaskMove]:
    """Return the forms of moves in the order of `MOVES`; a refused one as it was typed."""
    decides = delivery is not None
    initial: dict[str, Any] = {"terms_version": task.terms_version}
    if delivery is not None:
        initial["delivery"] = delivery.public_id
    shown = []
    for kind in MOVES.values():
        if issubclass(kind, _Decision) != decides:
            continue
        is_offered = not verbs.isdisjoint(kind.verbs or {kind.action})
        if type(sent) is kind and (is_offered or not decides):
            shown.append(sent)
        elif is_offered:
            shown.append(_form(kind, task, initial=initial))
    return shown


def _settlement(task: Task, looking: Viewer) -> dict[str, Any] | None:
    """Return how the escrow was divided, or would be now, where the viewer may know."""
    asking = looking.participant
    if asking is None or not may_see_settlement(task, asking):
        return None
    settled = settlement_of(task)
    if settled is not None:
        body = final_settlement(settled)
    elif task.worker_id is not None:
        body = projected_settlement(task)
    else:
        return None
    shares = [
        *((f"Worker {one['participant']}", one["amount"]) for one in body["workers"]),
        *(
            (f"Author of {one['asset']}, {one['participant']}", one["amount"])
            for one in body["royalties"]
        ),
        ("Fee of the market", body["fee"]),
        ("Compensation of the worker", body["compensation"]),
        ("Refund to the poster", body["refund"]),
    ]
    zero = amounts.format(0)
    return {
        "final": body["final"],
        "bounty": body["bounty"],
        "shares": [(who, amount) for who, amount in shares if amount != zero],
    }
