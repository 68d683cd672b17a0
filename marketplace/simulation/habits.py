"""What members of a simulated market do when their turn comes: small functions over the use cases.

A habit's name in a scenario file is its function's; its parameters are the keyword arguments, and
their annotations say how they are read. Whatever a habit draws comes from the world's one source,
and what it chooses from is sorted by names that are the same in every run.
"""

import inspect
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, get_type_hints

from django.db.models import QuerySet

from credits import amounts, ledger
from marketplace.delivery import contests
from marketplace.delivery.models import Delivery, DeliveryState
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.delivery.usecases.submit_delivery import Work, submit_delivery
from marketplace.delivery.verification import checks
from marketplace.disputes.models import Dispute, Outcome, Seat, SeatState
from marketplace.disputes.queries import for_administrators
from marketplace.disputes.states import DisputeState
from marketplace.disputes.usecases.appeal_outcome import appeal_outcome
from marketplace.disputes.usecases.cast_vote import cast_vote
from marketplace.disputes.usecases.decide_dispute import decide_dispute
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.participants.usecases.transfer_credits import transfer_credits
from marketplace.reuse.models import Use
from marketplace.reuse.usecases.publish_asset import Publication, publish_asset
from marketplace.simulation.members import Habit, Member
from marketplace.simulation.reading import (
    Between,
    Chance,
    Count,
    Credits,
    Day,
    Days,
    GroupName,
    Hours,
    InvalidScenario,
    ModeName,
    PerDay,
    Reader,
    Switch,
)
from marketplace.tasks.division import BASIS_POINTS
from marketplace.tasks.models import LIVE_BIDS, Acceptance, Bid, BidState, Mode, Task
from marketplace.tasks.permissions import MOST_REJECTIONS
from marketplace.tasks.states import TaskState
from marketplace.tasks.terms import Wanted
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.decline_task import decline_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from marketplace.tasks.usecases.place_bid import place_bid
from marketplace.tasks.usecases.post_task import post_task
from marketplace.tasks.usecases.select_bid import select_bid
from marketplace.tasks.usecases.use_asset import use_asset

F = TypeVar("F", bound=Callable[..., None])

HABITS: dict[str, Callable[..., None]] = {}

ALWAYS: Days = 3650.0
# What is delivered says of itself whether it is any good; who reads it sees that.
GOOD, BAD = {"quality": "good"}, {"quality": "bad"}
CENT = amounts.MICRO // 100


def habit(function: F) -> F:
    """Let scenarios name the function."""
    HABITS[function.__name__] = function
    return function


def parameters_of(name: str) -> dict[str, Reader]:
    """Return how each parameter of a habit is read."""
    hints = get_type_hints(HABITS[name], include_extras=True)
    given = inspect.signature(HABITS[name]).parameters.values()
    return {
        one.name: hints[one.name].__metadata__[0]
        for one in given
        if one.kind is inspect.Parameter.KEYWORD_ONLY
    }


def read_habit(place: str, said: dict[str, Any], groups: Iterable[str]) -> Habit:
    """Return the habit that an entry of a scenario names, with its parameters.

    Raises:
        InvalidScenario: There is no such habit or parameter, or a value cannot be read.
    """
    name = said.get("habit")
    if not isinstance(name, str) or name not in HABITS:
        known = ", ".join(sorted(HABITS))
        raise InvalidScenario(f"{place}.habit", f"{name!r} is no habit; there are {known}")
    readers = parameters_of(name)
    unknown = sorted(said.keys() - readers.keys() - {"habit"})
    if unknown:
        takes = ", ".join(readers) or "nothing"
        raise InvalidScenario(f"{place}.{unknown[0]}", f"the habit {name} takes {takes}")
    values = {key: readers[key](f"{place}.{key}", said[key]) for key in readers if key in said}
    for key in ("of", "to", "favours"):
        if values.get(key, "") not in {"", *groups}:
            raise InvalidScenario(f"{place}.{key}", f"there is no group {values[key]!r}")
    return partial(HABITS[name], **values)


def is_good(delivery: Delivery) -> bool:
    """Say whether what was delivered is any good, as whoever reads it sees."""
    return bool(delivery.result == GOOD)


def _held(me: Member) -> list[Task]:
    mine = me.participant.pk
    return [t for t in me.world.live if t.worker_id == mine and t.state == TaskState.CLAIMED]


def _posted(me: Member, state: TaskState) -> list[Task]:
    mine = me.participant.pk
    return [t for t in me.world.live if t.poster_id == mine and t.state == state]


def _open(me: Member, mode: Mode, of: str) -> list[Task]:
    own, posters = me.participant.operator_key, me.world.ids_of(of)
    found = [t for t in me.world.live if t.mode == mode and t.state == TaskState.OPEN]
    return [t for t in found if t.poster_operator_id != own and t.poster_id in posters]


def _under_review(me: Member) -> list[Delivery]:
    """Return the deliveries that await a poster's decision; entries to contests are not among."""
    tasks = [task.pk for task in _posted(me, TaskState.SUBMITTED) if not task.is_contest]
    if not tasks:
        return []
    waiting = Delivery.objects.filter(
        task__in=tasks, state=DeliveryState.SUBMITTED, checks_ended_at__isnull=False
    )
    return sorted(waiting.select_related("task", "claim"), key=lambda one: one.task.title)


def _is_any_disputed(me: Member) -> bool:
    return any(task.state == TaskState.DISPUTED for task in me.world.live)


# --- Posters --------------------------------------------------------------------------------------


@habit
def post(
    me: Member,
    *,
    per_day: PerDay = 1.0,
    bounty: Between = (5 * amounts.MICRO, 5 * amounts.MICRO),
    mode: ModeName = "claim",
    checked: Switch = False,
    automatic: Switch = False,
    deadline_days: Days = 7.0,
    to: GroupName = "",
    from_day: Day = 0.0,
    until_day: Days = ALWAYS,
) -> None:
    """Post tasks; *checked* ones fail what is bad, *automatic* ones are accepted by their check."""
    if not from_day <= me.world.day < until_day:
        return
    verification = [_check()] if checked or automatic or mode == Mode.CONTEST else []
    for _ in range(me.world.times(per_day)):
        number = me.notes["posted"] = me.notes.get("posted", 0) + 1
        amount = me.world.chance.randrange(bounty[0], bounty[1] + 1)
        wanted = Wanted(
            title=f"{me.handle} {number:04}",
            description="Something good.",
            bounty=amount // CENT * CENT,
            mode=Mode(mode),
            acceptance=Acceptance.AUTOMATIC if automatic else Acceptance.MANUAL,
            verification=verification,
            deadline=me.world.now + timedelta(days=deadline_days),
            assignee=_somebody_of(me, to) if mode == Mode.DIRECT else None,
        )
        me.attempt(post_task, wanted=wanted)


def _check() -> dict[str, object]:
    (parsed,) = checks.parse(
        [{"name": "quality", "type": "exact", "required": True, "config": {"expected": GOOD}}]
    )
    return parsed.as_json()


def _somebody_of(me: Member, group: str) -> str:
    own = me.participant.operator_key
    members = [one for of in me.world.groups.values() for one in of if group in ("", one.group)]
    return me.world.chance.choice(
        [one.handle for one in members if one.participant.operator_key != own]
    )


@habit
def review(me: Member, *, accepts_good: Chance = 1.0, accepts_bad: Chance = 0.0) -> None:
    """Accept or reject what was delivered; in contests accept the first good entry."""
    for delivery in _under_review(me):
        if me.world.happens(accepts_good if is_good(delivery) else accepts_bad):
            me.attempt(accept_delivery, delivery_id=delivery.pk)
        elif delivery.claim.rejections < MOST_REJECTIONS:
            me.attempt(reject_delivery, delivery_id=delivery.pk, reason="This is not good.")
    for task in _posted(me, TaskState.SUBMITTED):
        if not task.is_contest:
            continue
        good = [entry for entry in contests.standing_entries(task) if is_good(entry)]
        if good and me.world.happens(accepts_good):
            me.attempt(accept_delivery, delivery_id=good[0].pk)


@habit
def select(me: Member, *, after_hours: Hours = 24.0) -> None:
    """Select the lowest bid once a task has been open for some hours."""
    latest = me.world.now - timedelta(hours=after_hours)
    for task in _posted(me, TaskState.OPEN):
        if task.mode != Mode.BID or task.created_at > latest:
            continue
        bids = Bid.objects.filter(task=task, state=BidState.OPEN).select_related("bidder")
        lowest = min(bids, key=lambda bid: (bid.amount, bid.bidder.handle), default=None)
        if lowest is not None:
            me.attempt(select_bid, bid_id=lowest.pk)


@habit
def cancel(me: Member, *, per_day: Chance = 0.1, at_once: Switch = False) -> None:
    """Call off tasks that somebody works on, by notice or at once."""
    for task in _posted(me, TaskState.CLAIMED):
        is_possible = task.resubmit_by is None and task.notice_ends_at is None
        if is_possible and me.world.happens(per_day * me.world.round_days):
            me.attempt(cancel_task, task_id=task.pk, at_once=at_once)


# --- Workers --------------------------------------------------------------------------------------


@habit
def claim(me: Member, *, most: Count = 1, willing: Chance = 1.0, of: GroupName = "") -> None:
    """Claim open tasks, of one group or of anybody, while holding fewer than *most*."""
    found = _open(me, Mode.CLAIM, of)
    for _ in range(most - len(_held(me))):
        if not found or not me.world.happens(willing):
            return
        task = found.pop(me.world.chance.randrange(len(found)))
        if me.attempt(claim_task, task_id=task.pk) is None:
            return


@habit
def answer(me: Member, *, takes: Chance = 1.0) -> None:
    """Take or decline what is offered: direct tasks, and those whose bid was selected."""
    for task in [one for one in me.world.live if one.offered_to_id == me.participant.pk]:
        taken = me.world.happens(takes)
        me.attempt(claim_task if taken else decline_task, task_id=task.pk)


@habit
def beat(me: Member) -> None:
    """Renew the lease of every task that one holds, whether or not one works on it."""
    for task in _held(me):
        if task.resubmit_by is None:
            me.attempt(heartbeat, task_id=task.pk)


@habit
def deliver(
    me: Member, *, good: Chance = 1.0, after_hours: Hours = 12.0, again: Switch = True
) -> None:
    """Deliver some hours after the claim; after a rejection once more, unless *again* is false."""
    for task in _held(me):
        assert task.claim is not None, "a held task has a claim"
        if task.claim.rejections and not again:
            continue
        if task.claim.created_at <= me.world.now - timedelta(hours=after_hours):
            me.attempt(submit_delivery, task_id=task.pk, work=_work(me, good))


def _work(me: Member, good: float) -> Work:
    return Work(summary="Done.", result=GOOD if me.world.happens(good) else BAD)


@habit
def dispute(me: Member, *, chance: Chance = 1.0, honest: Switch = True) -> None:
    """As a worker, dispute rejections; *honest* ones only those of good work."""
    for task in _held(me):
        if task.resubmit_by is None:
            continue
        rejected = Delivery.objects.filter(claim=task.claim_id).latest("number")
        if (is_good(rejected) or not honest) and me.world.happens(chance):
            me.attempt(open_dispute, task_id=task.pk, reason="It is good.")


@habit
def abandon(me: Member, *, per_day: Chance = 0.1) -> None:
    """Give tasks back that one holds."""
    for task in _held(me):
        if me.world.happens(per_day * me.world.round_days):
            me.attempt(abandon_task, task_id=task.pk)


@habit
def bid(
    me: Member,
    *,
    most: Count = 3,
    willing: Chance = 0.5,
    least_share: Chance = 0.5,
    of: GroupName = "",
) -> None:
    """Bid on open tasks, for between *least_share* of the bounty and all of it."""
    found = _open(me, Mode.BID, of)
    if not found:
        return
    own = Bid.objects.filter(operator=me.participant.operator_key, state__in=LIVE_BIDS)
    bidden = set(own.values_list("task", flat=True))
    free = [task for task in found if task.pk not in bidden]
    for task in free[: max(0, most - len(bidden))]:
        if me.world.happens(willing):
            share = me.world.chance.uniform(least_share, 1.0)
            me.attempt(
                place_bid,
                task_id=task.pk,
                proposal="I can do this.",
                amount=max(CENT, int(task.bounty * share) // CENT * CENT),
                terms_version=task.terms_version,
            )


@habit
def enter(me: Member, *, good: Chance = 1.0, willing: Chance = 0.25, of: GroupName = "") -> None:
    """Enter open contests, one entry in each."""
    entered = me.notes.setdefault("entered", set())
    for task in _open(me, Mode.CONTEST, of):
        if task.pk not in entered and me.world.happens(willing):
            entered.add(task.pk)
            me.attempt(submit_delivery, task_id=task.pk, work=_work(me, good))


# --- Authors --------------------------------------------------------------------------------------


@habit
def publish(me: Member, *, number: Count = 1, price: Credits = amounts.MICRO // 10) -> None:
    """Publish some skills on the first day."""
    for _ in range(number - me.notes.get("published", 0)):
        count = me.notes["published"] = me.notes.get("published", 0) + 1
        name = f"skill-{count}"
        text = f"---\nname: {name}\ndescription: Helps with good work.\n---\n# {name}\n"
        publication = Publication(files={"SKILL.md": text.encode()}, name=name, price=price)
        me.attempt(publish_asset, publication=publication)


@habit
def use(me: Member, *, of: GroupName = "", chance: Chance = 1.0) -> None:
    """Use a published skill for each task that one holds, to be paid when it is accepted."""
    authors = me.world.groups[of] if of else [a for g in me.world.groups.values() for a in g]
    skills = [
        (author.handle, f"skill-{number}")
        for author in authors
        if author.participant.operator_key != me.participant.operator_key
        for number in range(1, author.notes.get("published", 0) + 1)
    ]
    for task in _held(me):
        if skills and not Use.objects.filter(claim=task.claim_id).exists():
            owner, name = me.world.chance.choice(skills)
            if me.world.happens(chance):
                charge = task.priced
                me.attempt(use_asset, owner=owner, name=name, task_id=task.pk, max_charge=charge)


# --- Judges ---------------------------------------------------------------------------------------


@habit
def judge(me: Member, *, mistakes: Chance = 0.0, favours: GroupName = "") -> None:
    """Vote on the seats that one was drawn for: by what is good, or for a group's side."""
    if not _is_any_disputed(me):
        return
    seats = Seat.objects.filter(
        panelist=me.participant, state=SeatState.OPEN, dispute__state=DisputeState.VOTING
    )
    loaded = seats.select_related("dispute__task", "dispute__delivery", "dispute__claim")
    for seat in sorted(loaded, key=lambda one: one.dispute.task.title):
        case = seat.dispute
        if case.is_contest:
            _pick(me, case, favours)
            continue
        assert case.delivery is not None, "only contests have none"
        for_worker = is_good(case.delivery) != me.world.happens(mistakes)
        if favours:
            friends = me.world.ids_of(favours)
            for_worker = case.delivery.worker_id in friends or (
                for_worker and case.task.poster_id not in friends
            )
        outcome = Outcome.ACCEPT if for_worker else Outcome.REJECT
        me.attempt(cast_vote, dispute_id=case.pk, outcome=outcome, rationale="I have read it.")


def _pick(me: Member, case: Dispute, favours: str) -> None:
    entries = contests.standing_entries(case.task)
    friends = me.world.ids_of(favours) if favours else ()
    best = max(entries, key=lambda one: (one.worker_id in friends, is_good(one), -one.number))
    me.attempt(
        cast_vote,
        dispute_id=case.pk,
        outcome=Outcome.ACCEPT,
        delivery_id=best.pk,
        rationale="I have read them.",
    )


@habit
def appeal(me: Member, *, chance: Chance = 1.0) -> None:
    """Appeal against outcomes that are not what the delivery deserves, where one lost by them."""
    if not _is_any_disputed(me):
        return
    decided = Dispute.objects.filter(state=DisputeState.DECIDED, delivery__isnull=False)
    for case in _cases(decided.prefetch_related("decisions")):
        assert case.delivery is not None, "filtered"
        share, deserved = case.decisions.all()[0].share_bps, _deserved(case)
        loses = (case.delivery.worker_id == me.participant.pk and share < deserved) or (
            case.task.poster_id == me.participant.pk and share > deserved
        )
        if loses and me.world.happens(chance):
            me.attempt(appeal_outcome, dispute_id=case.pk, reason="Read it again.")


@habit
def administrate(me: Member) -> None:
    """As staff, decide disputes without a panel, and appeals, by what the delivery deserves."""
    for case in _cases(for_administrators()) if _is_any_disputed(me) else ():
        outcome = Outcome.ACCEPT if _deserved(case) else Outcome.REJECT
        me.attempt(decide_dispute, dispute_id=case.pk, outcome=outcome, rationale="I read it.")


def _cases(disputes: QuerySet[Dispute]) -> list[Dispute]:
    loaded = disputes.defer("pool").select_related("task", "delivery")
    return sorted(loaded, key=lambda one: one.task.title)


def _deserved(case: Dispute) -> int:
    assert case.delivery is not None, "contests go to no administrator"
    return BASIS_POINTS if is_good(case.delivery) else 0


# --- Those with many accounts ---------------------------------------------------------------------


@habit
def gather(me: Member, *, to: GroupName = "", from_day: Day = 0.0) -> None:
    """Hand everything in the wallet to the first member of a group."""
    first = me.world.groups[to or me.group][0]
    if first is me or me.world.day < from_day:
        return
    held = ledger.held_by(me.participant.operator_key, "wallet")
    if held:
        me.attempt(transfer_credits, to=first.handle, amount=held)
