"""A dispute over what an accepted subtask earned (rules 15 and 20)."""

from datetime import timedelta

import pytest
from pytest_django import Settings

from credits import amounts, escrow
from marketplace.delegation.models import WageRelease
from marketplace.delegation.waiting import release_due
from marketplace.delivery.models import Delivery
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.disputes.models import Dispute
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.tasks.models import Mode, Source, Task
from marketplace.tasks.permissions import NotNow, permitted_actions
from marketplace.tasks.queries import viewer
from marketplace.tasks.states import IllegalTransition, TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from tests.builders import work
from tests.builders.disputes import FOR_POSTER, FOR_WORKER, a_settled_dispute, judges
from tests.builders.disputes import split as vote_split
from tests.builders.people import an_agent
from tests.builders.trees import (
    a_task_to_split,
    accepted,
    an_entry,
    done,
    held,
    in_escrow,
    lead_of,
    now,
    split,
)
from tests.builders.work import (
    BOUNTY,
    an_exact_check,
    available,
    closed,
    swept,
    time_passes,
)

pytestmark = pytest.mark.django_db

MICRO = amounts.MICRO
WAGES = 950_000  # of one credit, after the fee


def disputed(part: Task) -> Dispute:
    """Let the poster of the root dispute what a part earned."""
    judges()
    root = Task.objects.get(pk=part.root)
    return open_dispute(task_id=part.pk, actor=root.poster, reason="Nothing was done.")


def judged(dispute: Dispute, share_bps: int) -> Dispute:
    """Let a panel decide, and the time to appeal pass."""
    outcomes = {0: FOR_POSTER, 10_000: FOR_WORKER}
    return a_settled_dispute(
        *[outcomes.get(share_bps) or vote_split(share_bps)] * 3, dispute=dispute
    )


def a_part_done(worker: Participant | None = None, **entry: object) -> tuple[Task, Task]:
    """Return a task and an accepted part of it, whose earnings wait."""
    task = a_task_to_split()
    (part,) = split(task, an_entry(**entry))  # type: ignore[arg-type] # fields of an entry
    return task, done(part, worker)


def a_closed_contest() -> tuple[Task, Task, list[Delivery]]:
    """Return a task, a part of it that is a contest, and the two entries to choose from."""
    lasting = clock.now() + timedelta(days=60)
    task = a_task_to_split(deadline=lasting, lease_seconds=59 * 86_400)
    checks, deadline = [an_exact_check()], clock.now() + timedelta(days=1)
    (part,) = split(task, an_entry(mode=Mode.CONTEST, verification=checks, deadline=deadline))
    entries = [work.an_entry(part), work.an_entry(part)]
    return task, closed(part), entries


def may(somebody: Participant, part: Task) -> list[str]:
    return permitted_actions(part, viewer(somebody))


@pytest.mark.parametrize("share_bps", [0, 4000, 10_000])
def test_what_is_not_the_workers_goes_back_where_it_came_from(share_bps: int) -> None:
    worker = an_agent()
    task, part = a_part_done(worker)
    poster = task.poster
    before = available(worker), available(poster)

    dispute = disputed(part)
    deposited = available(poster)
    judged(dispute, share_bps)

    panel = 47_500  # a twentieth of what waited
    wages = (WAGES - panel) * share_bps // 10_000
    lost = 300_000 if share_bps == 10_000 else 0
    assert now(part).state == TaskState.ACCEPTED
    assert available(worker) - before[0] == wages + lost
    assert (deposited, available(poster)) == (before[1] - 300_000, before[1] - lost)
    assert in_escrow(task) == now(task).held == BOUNTY - MICRO + WAGES - panel - wages
    release = WageRelease.objects.get(payment__settlement=part.pk)
    assert (release.wages, release.panel, release.waited) == (wages, panel, WAGES)


def test_what_is_disputed_waits_on_when_the_whole_is_accepted() -> None:
    worker = an_agent()
    task, part = a_part_done(worker)
    before = available(worker)

    disputed(part)
    accepted(now(task))

    assert available(worker) == before
    assert now(part).wages_wait_until is not None


def test_what_comes_back_after_the_end_goes_on_to_the_poster() -> None:
    task, part = a_part_done()
    poster = task.poster
    dispute = disputed(part)
    accepted(now(task))
    before = available(poster)

    judged(dispute, 0)

    assert available(poster) - before == WAGES - 47_500 + 300_000
    assert in_escrow(task) == 0


def test_time_alone_releases_nothing_that_is_disputed() -> None:
    worker = an_agent()
    _, part = a_part_done(worker)
    before = available(worker)

    dispute = disputed(part)
    time_passes(part, hours=1)
    release_due()

    assert available(worker) == before
    assert escrow.held(dispute.public_id) == 300_000


def test_only_who_funded_it_disputes() -> None:
    task, part = a_part_done()

    for somebody in (lead_of(task), an_agent(), part.worker):
        assert somebody is not None
        with pytest.raises(IllegalTransition):
            open_dispute(task_id=part.pk, actor=somebody, reason="No.")


def test_what_the_leads_wallet_paid_is_nobodys_to_dispute() -> None:
    task, part = a_part_done(source=Source.WALLET)

    with pytest.raises(IllegalTransition):
        open_dispute(task_id=part.pk, actor=task.poster, reason="No.")


def test_it_is_disputed_once_and_not_after_it_was_paid() -> None:
    _, part = a_part_done()
    _, paid = a_part_done()
    accepted(now(Task.objects.get(pk=paid.root)))
    disputed(part)

    with pytest.raises(NotNow) as again:
        disputed(part)
    with pytest.raises(NotNow) as late:
        disputed(paid)

    assert (again.value.rule, late.value.rule) == ("disputed_already", "nothing_waits")


def test_it_is_not_disputed_when_the_time_is_over_and_the_job_has_yet_to_run() -> None:
    task, part = a_part_done()
    until = part.wages_wait_until
    assert until is not None
    offered = may(task.poster, part)

    clock.advance(until - clock.now())

    with pytest.raises(NotNow) as late:
        disputed(part)
    assert late.value.rule == "nothing_waits"
    assert (offered, may(task.poster, part)) == (["dispute"], [])
    assert now(part).wages_wait_until == until


def test_what_the_winner_of_a_contest_earned_is_disputed_once() -> None:
    task, part, (first, _) = a_closed_contest()
    accept_delivery(delivery_id=first.pk, actor=lead_of(task))
    assert may(task.poster, now(part)) == ["dispute"]

    dispute = judged(disputed(now(part)), 0)

    assert (dispute.claim, now(part).wages_wait_until) == (first.claim, None)
    assert may(task.poster, now(part)) == []


def test_what_entries_share_waits_and_is_nobodys_to_dispute(settings: Settings) -> None:
    settings.PANELIST_ACCEPTED_TASKS = 10**6
    task, part, entries = a_closed_contest()
    before = [available(entry.worker) for entry in entries]

    shared = time_passes(part, hours=73)
    with pytest.raises(NotNow) as refused:
        disputed(shared)
    waiting = [available(entry.worker) for entry in entries]
    time_passes(part, days=7)
    release_due()

    assert (shared.state, shared.claim) == (TaskState.ACCEPTED, None)
    assert shared.wages_wait_until is not None
    assert (refused.value.rule, may(task.poster, shared)) == ("nobody_chosen", [])
    assert waiting == before
    assert [available(entry.worker) for entry in entries] == [one + WAGES // 2 for one in before]
    assert now(part).wages_wait_until is None


def test_a_lead_that_hires_a_friend_deeper_down_still_waits_for_the_roots_poster() -> None:
    friend = an_agent()
    task = a_task_to_split(deadline=clock.now() + timedelta(days=30))
    # The lead accepts the middle one; what the deepest earned is the money of the root's poster.
    (middle,) = split(task, an_entry(bounty=4 * MICRO, delegation_bps=10_000))
    middle_held = held(middle)
    before = available(friend)
    (deep,) = split(middle_held)
    done(deep, friend)

    accepted(now(middle))

    assert available(friend) == before
    dispute = disputed(now(deep))
    assert dispute.opener == task.poster


def test_a_part_is_paid_even_when_the_whole_fails() -> None:
    worker = an_agent()
    task, part = a_part_done(worker)
    before = available(worker)
    abandon_task(task_id=task.pk, actor=lead_of(task))
    cancel_task(task_id=task.pk, actor=task.poster)

    time_passes(part, days=7)
    release_due()

    assert available(worker) - before == WAGES
    assert swept(part).wages_wait_until is None
