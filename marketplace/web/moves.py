"""The moves that one has on a task: what each asks, what it says, and what it does."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.urls import reverse

from credits import amounts
from marketplace.api.bids import BidIn, CounterIn, SelectIn
from marketplace.api.deliveries import AcceptIn, DeliveryIn, RejectIn
from marketplace.api.disputes import DisputeIn
from marketplace.api.standing import RatingIn
from marketplace.api.tasks import (
    AbandonIn,
    CancelIn,
    ClaimIn,
    NothingIn,
    RaiseIn,
)
from marketplace.api.workflows import SaveWorkflowIn
from marketplace.delegation.usecases.save_workflow import save_workflow
from marketplace.delegation.waiting import payments_waiting
from marketplace.delegation.workflows import draft_of
from marketplace.delivery.models import Delivery
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.rate_delivery import rate_delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.delivery.usecases.submit_delivery import Work, submit_delivery
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import ids
from marketplace.participants.models import Participant
from marketplace.tasks.dispute_terms import terms_of
from marketplace.tasks.division import divide_accepted, divide_contest, share_down
from marketplace.tasks.models import Mode, Task
from marketplace.tasks.states import TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.counter_bid import counter_bid
from marketplace.tasks.usecases.decline_task import decline_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from marketplace.tasks.usecases.place_bid import place_bid
from marketplace.tasks.usecases.raise_task import raise_task
from marketplace.tasks.usecases.select_bid import select_bid
from marketplace.tasks.usecases.withdraw_bid import withdraw_bid
from marketplace.web.assets import publishing
from marketplace.web.calls import (
    Amount,
    Files,
    JSONText,
    Lines,
    Moment,
    MoveForm,
    Stored,
    TextArea,
    store,
    upload,
)
from marketplace.web.relatives import delegable
from marketplace.web.templatetags.market import percent, span


class TaskMove(MoveForm):
    """A move on a task.

    Attributes:
        action: Its name in the form that is sent.
        verbs: The verbs of the state table that it stands for, where they have other names.
        heading: What the page calls it.
        consequence: What it leads to, in one sentence.
        is_likely: Whether most who may make it will; its form stands open.
        told: The consequence for this very task, with its amounts.
        is_folded: Whether it does not stand open all the same, as where there are many.
    """

    action: ClassVar[str]
    verbs: ClassVar[frozenset[str]] = frozenset()
    consequence: ClassVar[str] = ""
    is_likely: ClassVar[bool] = False
    told: str = ""
    is_folded: bool = False

    def says(self, task: Task) -> str:
        """Return what the move leads to on *task*."""
        del task
        return self.consequence

    def play(self, actor: Participant, task: Task) -> str:
        """Make the move and return what to say about it."""
        raise NotImplementedError

    def leads_to(self, task: Task) -> str:
        """Return the address of what the move leads to."""
        return reverse("task", args=[task.public_id])


class ClaimForm(TaskMove):
    """Taking the task."""

    call, action = ClaimIn, "claim"
    heading, button = "Claim this task", "Claim"
    is_likely = True

    terms_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    note = forms.CharField(required=False, label="Note to the poster")

    def says(self, task: Task) -> str:
        offer = "It is offered to you. " * (task.state == TaskState.OFFERED)
        return (
            f"{offer}You have the task for yourself for {span(task.lease_seconds)}, and longer if"
            f" you renew the claim. Once accepted it pays you {net(task)} credits after the fee."
            f"{_in_a_tree(task)}"
        )

    def play(self, actor: Participant, task: Task) -> str:
        claim_task(task_id=task.pk, actor=actor, **self.given)
        return "You have claimed this task."


class BidForm(TaskMove):
    """Proposing to do the task for an amount."""

    call, action = BidIn, "bid"
    heading, button = "Bid for this task", "Send the bid"
    is_likely = True

    terms_version = forms.IntegerField(widget=forms.HiddenInput)
    proposal = TextArea(rows=4, help_text="Markdown: how you would do it.")
    amount = Amount(
        required=False,
        label="Your amount in credits",
        help_text="At most what the task pays now, which it is if you say nothing.",
    )
    eta = Moment(
        required=False,
        label="Done by, as you expect (UTC)",
        help_text="An estimate; it binds nobody.",
    )

    def says(self, task: Task) -> str:
        return (
            "Bidding costs nothing, and only the poster reads it. Where your bid is selected you"
            f" have {span(task.offer_seconds)} to take the task, and are paid your amount less a"
            f" fee of {percent(task.fee_bps)}.{_in_a_tree(task)}"
        )

    def play(self, actor: Participant, task: Task) -> str:
        place_bid(task_id=task.pk, actor=actor, **self.given)
        return "Your bid is with the poster."


class DeclineForm(TaskMove):
    """Not taking what one was offered."""

    call, action = AbandonIn, "decline"
    heading, button = "Decline the offer", "Decline"
    consequence = "The poster is told. It does not count against you."
    verbs = frozenset({"decline", "refuse"})

    reason = forms.CharField(required=False)

    def play(self, actor: Participant, task: Task) -> str:
        decline_task(task_id=task.pk, actor=actor, **self.given)
        return "You have declined the offer."


class RaiseForm(TaskMove):
    """Offering more."""

    call, action = RaiseIn, "raise"
    heading, button = "Offer more", "Raise"

    bounty = Amount(required=False, label="New bounty in credits")
    deadline = Moment(required=False, label="New deadline (UTC)")

    def says(self, task: Task) -> str:
        return (
            f"What you add to the bounty leaves {_purse(task)} at once. What was raised is never"
            " lowered."
        )

    def play(self, actor: Participant, task: Task) -> str:
        raise_task(task_id=task.pk, actor=actor, **self.given)
        return "Raised."


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

    def says(self, task: Task) -> str:
        return f"{_refund(task)} to {_purse(task)}.{_of_subtasks(task)}"

    def play(self, actor: Participant, task: Task) -> str:
        ended = cancel_task(task_id=task.pk, actor=actor, **self.given)
        if ended.state == TaskState.CLOSING:
            return "The task is called off; it ends when its last subtask has ended."
        return "The task is cancelled." if ended.is_ended else "You have given notice."


class NoticeForm(CancelForm):
    """Calling off a task that somebody holds, later."""

    action = "give_notice"
    heading, button = "Give notice", "Give notice"

    def says(self, task: Task) -> str:
        only = (
            " You cannot cancel it at once and compensate its worker, for that would be paid out of"
            " an escrow that is not yours."
        )
        refund = _refund(task)
        return (
            "The worker may still deliver until one lease from now; then"
            f" {refund[0].lower()}{refund[1:]} to {_purse(task)}."
            f"{only * task.is_paid_from_escrow}{_of_subtasks(task)}"
        )


class CancelAtOnceForm(CancelForm):
    """Calling off a task that somebody holds, now."""

    action = "cancel_at_once"
    heading, button = "Cancel at once", "Cancel and compensate"

    def says(self, task: Task) -> str:
        lost = share_down(task.payable, task.compensation_bps)
        return (
            f"The worker is paid {amounts.format(lost)} credits for what was begun;"
            f" {amounts.format(task.held - lost)} come back to you.{_of_subtasks(task)}"
        )

    def body(self) -> dict[str, Any]:
        return {"at_once": True}


class DeliverForm(TaskMove):
    """Delivering, or entering a contest."""

    verbs = frozenset({"submit", "enter"})

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

    def says(self, task: Task) -> str:
        if not task.is_contest:
            return self.consequence
        return (
            f"Your entry stays sealed until the deadline. {_prizes(task)} Everybody has one entry,"
            " and it cannot be changed."
        )

    def prepare(self) -> None:
        self.stored = store(self.cleaned_data["uploads"])

    def play(self, actor: Participant, task: Task) -> str:
        files = [file.pk for file in upload(actor, self.stored)]
        submit_delivery(task_id=task.pk, actor=actor, work=Work(**self.given, files=files))
        return "Delivered."


class AboutBid(TaskMove):
    """A move about one of the bids."""

    bid = forms.CharField(widget=forms.HiddenInput)

    @property
    def bid_id(self) -> Any:
        """Return which bid."""
        return ids.decode("bid", self.cleaned_data["bid"])


class SelectForm(AboutBid):
    """Picking a bid."""

    call, action = SelectIn, "select"
    heading, button = "Select this bid", "Offer the task"

    amount = Amount(widget=forms.HiddenInput)  # as it was read

    def says(self, task: Task) -> str:
        price = amounts.parse(str(self["amount"].value()))
        rest = task.held - price
        return (
            f"The bidder has {span(task.offer_seconds)} to take it, and once accepted is paid"
            f" {net(task, price)} credits after the fee."
            + (f" {amounts.format(rest)} of the bounty come back to you at the end." * (rest > 0))
        )

    def play(self, actor: Participant, task: Task) -> str:
        select_bid(bid_id=self.bid_id, actor=actor, **self.given)
        return "The task is offered to the bidder."


class CounterForm(AboutBid):
    """Naming another amount."""

    call, action = CounterIn, "counter"
    heading, button = "Name another amount", "Send"
    consequence = "The latest amount of either side is what a selection offers."

    terms_version = forms.IntegerField(widget=forms.HiddenInput)
    amount = Amount(label="Amount in credits", help_text="At most what the task pays now.")
    note = forms.CharField(required=False)

    def play(self, actor: Participant, task: Task) -> str:
        counter_bid(bid_id=self.bid_id, actor=actor, **self.given)
        return "Your amount stands in the bid."


class WithdrawForm(AboutBid):
    """Taking a bid back."""

    call, action = NothingIn, "withdraw"
    heading, button = "Withdraw this bid", "Withdraw"
    consequence = "It can no longer be selected. You may bid again."

    def play(self, actor: Participant, task: Task) -> str:
        withdraw_bid(bid_id=self.bid_id, actor=actor)
        return "The bid is withdrawn."


class Decision(TaskMove):
    """Deciding about a delivery."""

    delivery = forms.CharField(widget=forms.HiddenInput)

    @property
    def delivery_id(self) -> Any:
        """Return which delivery."""
        return ids.decode("delivery", self.cleaned_data["delivery"])


class AcceptForm(Decision):
    """Accepting a delivery."""

    call, action = AcceptIn, "accept"
    heading, button = "Accept this delivery", "Accept and pay"
    is_likely = True
    consequence = "The escrow is paid out at once, and that is final."

    runner_up = forms.ChoiceField(required=False, label="Who is second")
    rating = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        choices=[("", "no rating"), *((n, f"{n} of 5") for n in (5, 4, 3, 2, 1))],
    )
    comment = TextArea(
        required=False, rows=2, help_text="With a rating, it stays hidden as long as that."
    )

    def __init__(self, *args: Any, entries: Sequence[Delivery] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        this = self["delivery"].value()
        others = [
            (one.public_id, f"Delivery {one.number}, by {one.claim.worker.handle}")
            for one in entries
            if one.public_id != this
        ]
        field = self.fields["runner_up"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "the earliest other entry that passed its checks"), *others]
        if not others:
            del self.fields["runner_up"]

    def says(self, task: Task) -> str:
        prizes = f" {_prizes(task)} The other entries are not paid." if task.is_contest else ""
        waits = (
            " What its worker earns waits until the task that pays it is accepted,"
            f" {span(task.wages_wait_seconds)} at most; until then whoever posted that task may"
            " dispute it."
        )
        parts = " What its subtasks earned and waits is paid with it."
        return (
            f"{self.consequence}{prizes}{waits * task.is_paid_from_escrow}"
            f"{parts * bool(task.delegated)}"
        )

    def play(self, actor: Participant, task: Task) -> str:
        accept_delivery(delivery_id=self.delivery_id, actor=actor, **self.given)
        return "Accepted. The escrow is settled."


class RejectForm(Decision):
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


class DisputeForm(TaskMove):
    """Letting a panel judge."""

    call, action = DisputeIn, "dispute"
    heading, button = "Dispute: let a panel judge", "Dispute and deposit"
    verbs = frozenset({"dispute", "dispute_earnings"})

    reason = TextArea(rows=4, help_text="The other side and the panel read it.")

    def says(self, task: Task) -> str:
        frozen, at_stake = "the escrow is", task.payable
        if task.is_ended:
            at_stake = sum(one.amount for one in payments_waiting([task]))
            frozen = f"the {amounts.format(at_stake)} credits that wait for the worker are"
        deposit = amounts.format(terms_of(task).deposit(at_stake))
        return (
            f"Three strangers judge, and {frozen} frozen until they have. You deposit"
            f" {deposit} credits, which come back unless the outcome gives you nothing."
        )

    def play(self, actor: Participant, task: Task) -> str:
        open_dispute(task_id=task.pk, actor=actor, **self.given)
        return "The dispute is open. Hand in your evidence."


class SaveWorkflowForm(TaskMove):
    """Keeping how the task was split."""

    call, action = SaveWorkflowIn, "save_workflow"
    heading, button = "Save as a workflow", "Save the workflow"
    consequence = (
        "Its accepted subtasks become steps, with their shares of the price and the assets that"
        " helped. Nothing is published yet: you see what was saved first."
    )

    name = forms.CharField(
        required=False, help_text="What the asset is to be called; as the task if left out."
    )
    address: str

    def play(self, actor: Participant, task: Task) -> str:
        draft = draft_of(task_id=task.pk, actor=actor, name=self.given.get("name"))
        file = save_workflow(actor=actor, draft=draft)
        self.address = publishing(draft, file)
        left_out = f" It does not name {', '.join(draft.left_out)}." if draft.left_out else ""
        return f"Saved.{left_out}"

    def leads_to(self, task: Task) -> str:
        return self.address


class RateForm(Decision):
    """Rating the other side."""

    call, action = RatingIn, "rate"
    heading, button = "Rate the other side", "Rate"
    consequence = (
        "Hidden until both sides have rated, or the time to rate has passed. It cannot be changed."
    )

    score = forms.TypedChoiceField(
        coerce=int, choices=[("", "choose one"), *((n, f"{n} of 5") for n in (5, 4, 3, 2, 1))]
    )
    comment = TextArea(required=False, rows=2)

    def play(self, actor: Participant, task: Task) -> str:
        rate_delivery(delivery_id=self.delivery_id, actor=actor, **self.given)
        return "Rated."


def net(task: Task, price: int | None = None) -> str:
    """Return what whoever is accepted is paid after the fee, in credits."""
    price = task.payable if price is None else min(price, task.held)
    division = divide_accepted(task.held, price=price, royalties=0, fee_bps=task.fee_bps)
    return amounts.format(division.wages)


def _in_a_tree(task: Task) -> str:
    """Return what whoever takes a task has to know of its tree, in sentences; often nothing."""
    waits = (
        " What you earn waits until the task that pays it is accepted,"
        f" {span(task.wages_wait_seconds)} at most."
    )
    share = delegable(task)
    splits = f" You may pay {share} credits to others for subtasks."
    return waits * task.is_paid_from_escrow + splits * bool(share)


def _purse(task: Task) -> str:
    """Return where the money of a task comes from, and goes back to, as its poster is told."""
    return "the escrow that pays it" if task.is_paid_from_escrow else "your wallet"


def _refund(task: Task) -> str:
    return (
        "What subtasks leave of the bounty goes back" if task.children else "The bounty goes back"
    )


def _of_subtasks(task: Task) -> str:
    """Return what becomes of the subtasks of a task that ends unaccepted, in sentences."""
    if not task.unsettled_children:
        return ""
    return (
        " Its subtasks that nobody holds are cancelled with it, and those that somebody holds are"
        " given notice; it ends when the last of them has."
    )


def _prizes(task: Task) -> str:
    """Return what a contest pays, in one sentence."""
    division = divide_contest(
        task.bounty,
        fee_bps=task.fee_bps,
        runner_up_bps=task.runner_up_bps,
        has_runner_up=task.runner_up_bps > 0,
    )
    nets = [amounts.format(one.net) for one in division.payments]
    second = f", and a second {nets[1]}" if len(nets) > 1 else ""
    return f"The winner is paid {nets[0]} credits after the fee{second}."


def pays(task: Task) -> str:
    """Return what the task pays whoever is accepted, in words."""
    if task.is_contest:
        return _prizes(task)
    is_open_to_bids = task.mode == Mode.BID and task.price is None
    return f"{'at most ' * is_open_to_bids}{net(task)} after the fee"


MOVES: Mapping[str, type[TaskMove]] = {
    form.action: form
    for form in (
        ClaimForm,
        BidForm,
        DeliverForm,
        DeclineForm,
        HeartbeatForm,
        AbandonForm,
        RaiseForm,
        CancelForm,
        NoticeForm,
        CancelAtOnceForm,
        AcceptForm,
        RejectForm,
        SelectForm,
        CounterForm,
        WithdrawForm,
        RateForm,
        DisputeForm,
        SaveWorkflowForm,
    )
}
