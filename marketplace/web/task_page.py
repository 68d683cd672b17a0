"""The page of one task: its terms, its thread of deliveries, and every move that one has on it."""

from datetime import datetime
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render

from credits import amounts, escrow
from marketplace.api.bids import as_shown as bids_as_shown
from marketplace.api.paging import Key, PageQuery, paginate, whole
from marketplace.api.settlements import final_settlement, projected_settlement
from marketplace.api.tasks import TaskOut
from marketplace.delegation.inputs import parts_of
from marketplace.delegation.price_chain import may_read
from marketplace.delegation.trees import Tree
from marketplace.delegation.workflows import MOST_STEPS, may_draft
from marketplace.delivery import contests
from marketplace.delivery.models import Delivery
from marketplace.delivery.queries import as_shown as deliveries_as_shown
from marketplace.delivery.queries import permitted_actions as permitted_decisions
from marketplace.delivery.queries import ratings_of
from marketplace.delivery.queries import visible_to as visible_deliveries
from marketplace.disputes.models import Dispute
from marketplace.disputes.queries import visible_to as visible_disputes
from marketplace.foundation import ids
from marketplace.participants.models import Participant
from marketplace.standing.figures import records_of
from marketplace.tasks import bids, eligibility
from marketplace.tasks.dispute_terms import terms_of
from marketplace.tasks.division import share_down
from marketplace.tasks.models import Bid, Mode, Task
from marketplace.tasks.permissions import Viewer, permitted_verbs
from marketplace.tasks.queries import as_shown, settlement_of, viewer, visible_to
from marketplace.tasks.states import TaskState
from marketplace.web.calls import Done, attempt
from marketplace.web.moves import (
    MOVES,
    AboutBid,
    AcceptForm,
    CounterForm,
    Decision,
    RejectForm,
    SaveWorkflowForm,
    SelectForm,
    TaskMove,
    WithdrawForm,
    net,
    pays,
)
from marketplace.web.pages import actor_of, page, viewer_of
from marketplace.web.relatives import Relatives, delegable, relatives_of
from marketplace.web.thread import ON_TASK_PAGE, talk
from marketplace.web.trees import chain_tables, title_in

PAGING = ("cursor", "limit")
CLAIMED = (Mode.CLAIM, Mode.DIRECT)  # modes in which an open task is claimed, which caps bound
MOST_BIDS = 50  # the newest; the API lists all


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
    if kind is AcceptForm and task.is_contest and task.runner_up_bps:
        kwargs["entries"] = contests.standing_entries(task)
    return kind(*data, **kwargs)


def _shown(form: TaskMove, task: Task) -> TaskMove:
    form.told = form.says(task)
    form.is_folded = task.is_contest and isinstance(form, AcceptForm)  # one for each entry
    return form


def _play(request: HttpRequest, form: TaskMove, task: Task) -> Done:
    message = form.play(actor_of(request), task)
    return Done(form.leads_to(task), message)


# --- What the page shows -------------------------------------------------------------------------


def _context(request: HttpRequest, task: Task, sent: TaskMove | None) -> dict[str, Any]:
    looking = viewer(viewer_of(request))
    verbs = permitted_verbs(task, looking)
    query = PageQuery(data={one: request.GET[one] for one in PAGING if one in request.GET})
    query.is_valid(raise_exception=True)
    deliveries = paginate(_thread(task, looking), query.validated_data, (Key("number", whole),))
    relatives = relatives_of(task, looking.participant)
    return {
        "task": task,
        "checks": TaskOut(context={"viewer": looking}).get_verification(task),
        "in_escrow": escrow.held(task.public_id),
        "deliveries": deliveries,
        "thread": [
            (
                delivery,
                _forms(_decisions(delivery, looking, sent), task, sent, delivery),
                ratings_of(delivery, looking),
                parts_of(delivery, looking.participant),
            )
            for delivery in deliveries.rows
        ],
        "record": records_of([task.poster_operator_id], at=looking.at)[
            task.poster_operator_id
        ].as_poster,
        "talk": talk(task, looking.participant, {"limit": ON_TASK_PAGE}),
        "moves": _forms(verbs | _beside(task, looking.participant, relatives), task, sent),
        "obstacle": _obstacle(task, looking, verbs),
        "bids": _bids(task, looking, sent),
        "may_edit": "edit" in verbs,
        "may_split": "delegate" in verbs,
        "relatives": relatives,
        "delegable": delegable(task),
        "dispute": _dispute(task, looking),
        "deposit": terms_of(task).deposit(task.payable),
        "sent": sent,
        "limit": _limit(task),
        "pays": pays(task),
        "compensation": share_down(task.payable, task.compensation_bps),
        "settlement": _settlement(task, looking, relatives.tree if relatives else None),
    }


def _beside(task: Task, asking: Participant | None, relatives: Relatives | None) -> frozenset[str]:
    """Return the moves that somebody has beside those of the state table."""
    if asking is None or relatives is None or task.state != TaskState.ACCEPTED:
        return frozenset()
    root = relatives.tree.above[0].task if relatives.tree.above else task
    steps = sum(one.is_seen and one.task.state == TaskState.ACCEPTED for one in relatives.subtasks)
    may_save = 1 <= steps <= MOST_STEPS and may_draft(task, root, asking)
    return frozenset({SaveWorkflowForm.action}) if may_save else frozenset()


def _dispute(task: Task, looking: Viewer) -> Dispute | None:
    """Return the dispute about a task, to those who may see it. Queries: at most one."""
    if task.state != TaskState.DISPUTED and not task.is_ended:
        return None
    return visible_disputes(looking.participant).filter(task=task).defer("pool").first()


def _limit(task: Task) -> tuple[str, datetime] | None:
    """Return the limit of time that matters now, with what it limits."""
    limits = (
        ("To be delivered again by", task.resubmit_by),
        ("Under notice until", task.notice_ends_at),
        ("The claim runs until", task.claim_expires_at),
        ("The review runs until", task.review_due_at),
        ("The offer stands until", task.offered_until),
        ("Open until", task.deadline if task.state == TaskState.OPEN else None),
    )
    return next(((said, at) for said, at in limits if at is not None), None)


def _obstacle(task: Task, looking: Viewer, verbs: frozenset[str]) -> str:
    """Return why somebody cannot take an open task, where they might wonder."""
    asking = looking.participant
    if asking is None or task.state != TaskState.OPEN or verbs or task.pk in looking.bid_on:
        return ""
    if asking.operator_key == task.poster_operator_id:
        return "" if asking.pk == task.poster_id else "Nobody works for their own operator."
    if task.pk in looking.entered:
        return "You have entered. Entries are opened at the deadline."
    if looking.barriers.is_frozen:
        return "Staff froze you: you begin nothing new until that ends."
    if not looking.barriers.allow(task.poster_id, task.poster_operator_id):
        return "Its poster does not deal with you now, or is frozen."
    lacks = eligibility.refusal(task.eligibility, asking, lambda: looking.standing)
    found = lacks or (looking.holdings.refusal if task.mode in CLAIMED else None)
    return f"You cannot take it: {found}." if found else ""


def _bids(
    task: Task, looking: Viewer, sent: TaskMove | None
) -> list[tuple[Bid, str, list[TaskMove]]] | None:
    """Return the newest bids that the viewer may see: what each pays and what may be done about it.

    None where there are none to be seen: the poster alone is told that nobody has bid.
    """
    if task.mode != Mode.BID or looking.participant is None:
        return None
    found = bids_as_shown(bids.visible_to(looking.participant).filter(task=task))
    shown = []
    for bid in found.order_by("-id")[:MOST_BIDS]:
        initial = {
            "bid": bid.public_id,
            "amount": amounts.format(bid.amount),
            "terms_version": task.terms_version,
        }
        allowed = bids.permitted_actions(bid, looking)
        moves: list[TaskMove] = []
        for kind in (SelectForm, CounterForm, WithdrawForm):
            if type(sent) is kind and sent.data.get("bid") == bid.public_id:
                moves.append(_shown(sent, task))
            elif kind.action in allowed:
                moves.append(_shown(kind(initial=initial), task))
        shown.append((bid, net(task, bid.amount), moves))
    return shown if shown or looking.id == task.poster_id else None


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
        if issubclass(kind, AboutBid) or issubclass(kind, Decision) != decides:
            continue
        is_offered = not verbs.isdisjoint(kind.verbs or {kind.action})
        if type(sent) is kind and (is_offered or not decides):
            shown.append(_shown(sent, task))
        elif is_offered:
            shown.append(_shown(_form(kind, task, initial=initial), task))
    return shown


def _settlement(task: Task, looking: Viewer, tree: Tree | None) -> dict[str, Any] | None:
    """Return how the escrow was divided, or would be now, where the viewer may know."""
    asking = looking.participant
    if asking is None or not may_read(task, asking):
        return None
    settled = settlement_of(task)
    if settled is not None:
        body = final_settlement(task, settled, asking)
    elif task.worker_id is not None and task.state != TaskState.CLOSING:
        body = projected_settlement(task, asking)
    else:
        return None
    shares = [
        *((f"Worker {one['participant']}", one["amount"]) for one in body["workers"]),
        *(
            (f"Author of {one['asset']}, {one['participant']}", one["amount"])
            for one in body["royalties"]
        ),
        *((f"Subtask: {title_in(tree, one['task'])}", one["amount"]) for one in body["subtasks"]),
        ("Fee of the market", body["fee"]),
        ("Compensation of the worker", body["compensation"]),
        ("The panel of the dispute", body["panel"]),
        ("Refund to the poster", body["refund"]),
    ]
    zero = amounts.format(0)
    return {
        "final": body["final"],
        "bounty": body["bounty"],
        "shares": [(who, amount) for who, amount in shares if amount != zero],
        "chains": chain_tables(body["chain"], tree),
    }
