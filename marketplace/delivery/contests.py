"""Contests: sealed entries, of which the poster accepts one (rule 12).

An entry is a delivery with a claim of its own. While the contest is open nobody but its worker sees
it; from its deadline the poster does. Entries are never rejected: a check fails them, or another is
chosen. Callers hold the task's lock.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from credits import amounts
from marketplace.delivery import review
from marketplace.delivery.models import CheckRun, Delivery, DeliveryState, Verdict
from marketplace.events.log import record
from marketplace.participants.models import Participant
from marketplace.tasks import ending
from marketplace.tasks.deadlines import Limit, when_passed
from marketplace.tasks.models import Claim, Settlement, Task
from marketplace.tasks.permissions import NotNow
from marketplace.tasks.states import Role, TaskState
from marketplace.tasks.terms import InvalidTerms

CLOCK = frozenset({Role.CLOCK})
CHECKS = frozenset({Role.CHECKS})

SeatPanel = Callable[[Task, datetime], bool]

_panels: list[SeatPanel] = []


def when_silent(seat_panel: SeatPanel) -> SeatPanel:
    """Let *seat_panel* take over a contest whose poster stayed silent; it says whether it did."""
    _panels.append(seat_panel)
    return seat_panel


# --- What entries came to ------------------------------------------------------------------------


def verdict_of(runs: Sequence[CheckRun]) -> Verdict:
    """Return what an entry's required checks say together."""
    states = {run.state for run in runs if run.required}
    for verdict in (Verdict.PENDING, Verdict.FAILED, Verdict.ERROR):
        if verdict in states:
            return verdict
    return Verdict.PASSED


def refusal(entry: Delivery, verb: str, task: Task) -> NotNow | None:
    """Return why an entry cannot be accepted, if so. Its checks are best prefetched."""
    verdict = verdict_of(list(entry.checks.all()))
    if verdict == Verdict.PENDING:
        hint = "Wait until its checks have ended; the feed tells."
        return NotNow(verb=verb, state=task.state, rule="checks_running", hint=hint)
    if verdict == Verdict.FAILED:
        hint = "Accept an entry whose required checks did not fail."
        return NotNow(verb=verb, state=task.state, rule="entry_failed", hint=hint)
    return None


def entries_of(task: Task) -> list[Delivery]:
    """Return the entries with their claims and checks, earliest first. Round trips: two."""
    entries = Delivery.objects.filter(task=task, is_entry=True).order_by("number")
    return list(entries.select_related("claim__worker").prefetch_related("checks"))


def standing_entries(task: Task) -> list[Delivery]:
    """Return the entries that may win, earliest first: no required check of theirs failed."""
    return [
        entry
        for entry in entries_of(task)
        if verdict_of(list(entry.checks.all())) in (Verdict.PASSED, Verdict.ERROR)
    ]


# --- From the deadline to the review -------------------------------------------------------------


@when_passed(Limit.CLOSE_CONTEST)
def close(task: Task, at: datetime) -> None:
    """The deadline passed: the poster sees the entries, and has to choose."""
    task.advance("close_contest", roles=CLOCK, at=at)
    record(
        "task.contest_closed",
        subject=task.subject,
        actor=None,
        readers=task.parties,
        notified=[task.poster_id],
        data={"task": task.public_id, "entries": task.entries},
    )
    conclude(task, at=at)


def entry_checked(task: Task, entry: Delivery, runs: list[CheckRun], *, at: datetime) -> None:
    """The required checks of an entry have ended; the review waits until all entries' have."""
    entry.checks_ended_at = at
    entry.save(update_fields=["checks_ended_at"])
    record(
        "delivery.checked",
        subject=entry.subject,
        actor=None,
        readers=_owners(entry.claim),
        notified=[entry.worker_id],
        data={"task": task.public_id, "checks": {run.name: run.state for run in runs}},
    )
    if task.state == TaskState.SUBMITTED:
        conclude(task, at=at)


def conclude(task: Task, *, at: datetime) -> None:
    """Begin the review of a closed contest once the checks of all its entries have ended.

    Where every entry failed, there is nothing to review: the poster is refunded.
    """
    verdicts = _verdicts(task)
    if Verdict.PENDING in verdicts.values():
        pass
    elif all(verdict == Verdict.FAILED for verdict in verdicts.values()):
        _fail(task, at=at)
        return
    else:
        review.begin(task, at=at)
    ending.save_transition(task)


def _verdicts(task: Task) -> Mapping[uuid.UUID, Verdict]:
    return {entry.pk: verdict_of(list(entry.checks.all())) for entry in entries_of(task)}


def _fail(task: Task, *, at: datetime) -> None:
    task.advance("fail_entries", roles=CHECKS, at=at)
    tell = _entrants(task)
    ending.end_contest_failed(task, at=at)
    _mark(task, {}, at=at)
    _record_outcome(task, "failed", tell, actor=None)


# --- Who wins ------------------------------------------------------------------------------------


def award(
    task: Task,
    entry: Delivery,
    verb: str,
    *,
    roles: frozenset[Role],
    actor: Participant | None,
    at: datetime,
    runner_up: uuid.UUID | None = None,
    voters: Sequence[uuid.UUID] = (),
) -> Settlement:
    """Accept one entry, and pay a second the part that the terms reserve for one.

    Args:
        task: The contest.
        entry: Which wins.
        verb: How it came to that.
        roles: Who decided.
        actor: Who decided, where it is one.
        at: The market's time.
        runner_up: Which is second; where nobody says, the earliest other one that passed.
        voters: The operators of the panel that picked the entry, where one did.

    Raises:
        NotNow: Its checks have not ended, or failed it.
        InvalidTerms: The second is none of the entries that may win, or the terms reserve nothing.
    """
    refused = refusal(entry, verb, task)
    if refused is not None:
        raise refused
    second = _second(task, entry, runner_up)
    tell = _entrants(task)
    entry.save(update_fields=entry.note_decision(verb, task=task, at_stake=task.payable, at=at))
    task.advance(verb, roles=roles, at=at)
    settlement = ending.end_contest_won(
        task, entry.claim, second.claim if second is not None else None, at=at, voters=voters
    )
    states = {entry.pk: DeliveryState.ACCEPTED}
    if second is not None:
        states[second.pk] = DeliveryState.RUNNER_UP
    _mark(task, states, at=at)
    record(
        "delivery.accepted",
        subject=entry.subject,
        actor=actor.pk if actor else None,
        readers=task.parties,
        notified=task.parties,
        data={
            "task": task.public_id,
            "by": verb,
            "wages": amounts.format(settlement.wages),
            "fee": amounts.format(settlement.fee),
            "royalties": amounts.format(settlement.royalties),
        },
    )
    _record_outcome(task, "won", tell, actor=actor, winners=[entry], second=second)
    return settlement


def share(task: Task, verb: str, *, roles: frozenset[Role], at: datetime) -> Settlement:
    """Pay every entry that passed its checks the same: nobody chose among them.

    Where none passed, because checks could not run, those share that did not fail.
    """
    standing = standing_entries(task)
    passed = [one for one in standing if verdict_of(list(one.checks.all())) == Verdict.PASSED]
    winners = passed or standing
    tell = _entrants(task)
    for one in winners:
        at_stake = task.payable // len(winners)
        one.save(update_fields=one.note_decision(verb, task=task, at_stake=at_stake, at=at))
    task.advance(verb, roles=roles, at=at)
    settlement = ending.end_contest_shared(task, [one.claim for one in winners], at=at)
    _mark(task, dict.fromkeys((one.pk for one in winners), DeliveryState.SHARED), at=at)
    _record_outcome(task, "shared", tell, actor=None, winners=winners)
    return settlement


@when_passed(Limit.LAPSE_CHOICE)
def lapse(task: Task, at: datetime) -> None:
    """The poster stayed silent: a panel picks; where none can be seated, those who passed share."""
    if not any(seat_panel(task, at) for seat_panel in _panels):
        share(task, "share", roles=CLOCK, at=at)


def _second(task: Task, winner: Delivery, named: uuid.UUID | None) -> Delivery | None:
    if not task.runner_up_bps:
        if named is not None:
            raise InvalidTerms(
                field="runner_up", code="none_reserved", detail="This contest pays no second."
            )
        return None
    others = [one for one in standing_entries(task) if one.pk != winner.pk]
    if named is None:
        passed = (one for one in others if verdict_of(list(one.checks.all())) == Verdict.PASSED)
        return next(passed, None)
    for one in others:
        if one.pk == named:
            return one
    raise InvalidTerms(
        field="runner_up",
        code="unknown_entry",
        detail="Name another entry of this contest whose required checks did not fail.",
    )


def _mark(task: Task, states: Mapping[uuid.UUID, DeliveryState], *, at: datetime) -> None:
    """Say of every entry what became of it; those that *states* does not name were not chosen."""
    entries = Delivery.objects.filter(task=task, is_entry=True, state=DeliveryState.SUBMITTED)
    for state in sorted(set(states.values())):
        named = [entry for entry, became in states.items() if became == state]
        entries.filter(pk__in=named).update(state=state, decided_at=at)
    entries.update(state=DeliveryState.UNCHOSEN, decided_at=at)


def _owners(claim: Claim) -> tuple[uuid.UUID, ...]:
    return (claim.worker_id, claim.operator_id)


def _entrants(task: Task) -> set[uuid.UUID]:
    entered = Claim.objects.filter(task=task, is_entry=True)
    return {one for claim in entered for one in _owners(claim)}


def _record_outcome(
    task: Task,
    outcome: str,
    entrants: set[uuid.UUID],
    *,
    actor: Participant | None,
    winners: Sequence[Delivery] = (),
    second: Delivery | None = None,
) -> None:
    everybody = [*entrants, *task.parties]
    record(
        "task.contest_decided",
        subject=task.subject,
        actor=actor.pk if actor else None,
        readers=everybody,
        notified=everybody,
        data={
            "task": task.public_id,
            "outcome": outcome,
            "winners": [one.claim.worker.handle for one in winners],
            "runner_up": second.claim.worker.handle if second is not None else None,
        },
    )
