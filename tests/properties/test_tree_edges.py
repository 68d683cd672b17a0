"""Short lives of trees that together take every edge of the table that only trees take."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from marketplace.delivery.usecases.reject_delivery import reject_delivery
from marketplace.disputes.usecases.open_dispute import open_dispute
from marketplace.foundation import clock
from marketplace.tasks import permissions
from marketplace.tasks.models import Mode, Task
from marketplace.tasks.states import TRANSITIONS, Role, TaskState
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.heartbeat import heartbeat
from marketplace.tasks.usecases.select_bid import select_bid
from tests.builders.people import an_agent
from tests.builders.recounts import wrong_now
from tests.builders.tree_lives import end
from tests.builders.trees import (
    ALL,
    a_task_to_split,
    accepted,
    an_entry,
    done,
    held,
    lead_of,
    now,
    split,
)
from tests.builders.work import a_bid, a_task_held_on_a_bid, deliver, swept, time_passes
from tests.model.edges import TABLE_OF_TREES, Edge

pytestmark = pytest.mark.django_db

MICRO = 1_000_000
MINUTE = timedelta(minutes=1)


def states(*tasks: Task) -> list[str]:
    return [now(task).state for task in tasks]


def waiting() -> Task:
    root = a_task_to_split()
    lead, worker = lead_of(root), an_agent()
    first, _, changed, called_off, opens, asked = split(
        root,
        an_entry("first"),
        an_entry("second"),
        an_entry("changed", depends_on=("second",)),
        an_entry("called_off", depends_on=("second",)),
        an_entry("opens", depends_on=("first",)),
        an_entry("asked", depends_on=("first",), mode=Mode.DIRECT, assignee=worker.handle),
    )
    edit_task(
        task_id=changed.pk,
        actor=lead,
        changes={"bounty": MICRO // 2},
        read_version=lambda _: True,
    )
    cancel_task(task_id=called_off.pk, actor=lead)
    done(first)
    assert states(changed, called_off, opens, asked) == [
        TaskState.BLOCKED,
        TaskState.CANCELLED,
        TaskState.OPEN,
        TaskState.OFFERED,
    ]
    return root


def falling() -> Task:
    root = a_task_to_split()
    first, second, third = split(
        root,
        an_entry("first"),
        an_entry("second", depends_on=("first",)),
        an_entry("third", depends_on=("second",)),
    )
    cancel_task(task_id=first.pk, actor=lead_of(root))
    assert states(second, third) == [TaskState.CANCELLED] * 2
    return root


def lapsing() -> Task:
    root = a_task_to_split()
    _, waits = split(
        root,
        an_entry("first"),
        an_entry("second", depends_on=("first",), deadline=clock.now() + timedelta(hours=1)),
    )
    assert time_passes(waits, minutes=61).state == TaskState.CANCELLED
    return root


def cancelling_all() -> Task:
    root = a_task_to_split()
    not_taken, asked, waits, worked_on, under_review = split(
        root,
        an_entry("not_taken"),
        an_entry("asked", mode=Mode.DIRECT, assignee=an_agent().handle),
        an_entry("waits", depends_on=("not_taken",)),
        an_entry("worked_on"),
        an_entry("under_review"),
    )
    held(worked_on)
    deliver(held(under_review))
    cancel_task(task_id=root.pk, actor=root.poster, at_once=True)
    assert states(not_taken, asked, waits) == [TaskState.CANCELLED] * 3
    assert states(worked_on, under_review) == [TaskState.CLAIMED, TaskState.SUBMITTED]
    assert all(now(one).notice_ends_at is not None for one in (worked_on, under_review))
    abandon_task(task_id=worked_on.pk, actor=lead_of(now(worked_on)))
    assert states(root) == [TaskState.CLOSING]
    end(root.pk)
    assert states(root) == [TaskState.CANCELLED]
    return root


def cancelling_what_nobody_leads() -> Task:
    root = a_task_to_split()
    (part,) = split(root)
    held(part)
    abandon_task(task_id=root.pk, actor=lead_of(root))
    cancel_task(task_id=root.pk, actor=root.poster)
    assert states(root) == [TaskState.CLOSING]
    accepted(now(part))
    assert states(root) == [TaskState.CANCELLED]
    return root


def cancelling_what_is_offered_again() -> Task:
    root = a_task_held_on_a_bid(delegation_bps=ALL)
    (part,) = split(root)
    held(part)
    abandon_task(task_id=root.pk, actor=lead_of(root))
    select_bid(bid_id=a_bid(now(root), amount=3 * MICRO).pk, actor=root.poster)
    cancel_task(task_id=root.pk, actor=root.poster)
    assert states(root) == [TaskState.CLOSING]
    end(root.pk)
    assert states(root) == [TaskState.CANCELLED]
    return root


def expiring() -> Task:
    root = a_task_to_split(lease_seconds=6 * 86_400)
    lead = lead_of(root)
    (part,) = split(root, an_entry(review_window_seconds=600, lease_seconds=360_000))
    worker = lead_of(held(part))
    clock.advance(timedelta(days=4))
    heartbeat(task_id=root.pk, actor=lead)
    heartbeat(task_id=part.pk, actor=worker)
    clock.advance(part.deadline - clock.now() - MINUTE)
    late = deliver(now(part))
    clock.advance(9 * MINUTE)
    reject_delivery(delivery_id=late.pk, actor=lead, reason="No.")
    clock.advance(timedelta(hours=48) - MINUTE)
    deliver(now(part))
    clock.advance(root.deadline - clock.now())
    assert swept(root).state == TaskState.CLOSING
    end(root.pk)
    assert states(root) == [TaskState.EXPIRED]
    return root


def disputing_what_waits() -> Task:
    root = a_task_to_split()
    (part,) = split(root)
    done(part)
    open_dispute(task_id=part.pk, actor=root.poster, reason="See.")
    assert states(part) == [TaskState.ACCEPTED]
    return root


LIVES: tuple[Callable[[], Task], ...] = (
    waiting,
    falling,
    lapsing,
    cancelling_all,
    cancelling_what_nobody_leads,
    cancelling_what_is_offered_again,
    expiring,
    disputing_what_waits,
)


@contextmanager
def noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[Edge]]:
    """Note every edge that the product takes inside the block, or lets somebody take."""
    found: set[Edge] = set()
    advance, require = Task.advance, permissions.require

    def note(verb: str, source: str, roles: frozenset[Role]) -> None:
        found.update(
            (verb, row.source.value, row.target.value, row.role.value)
            for row in TRANSITIONS
            if (row.verb, row.source) == (verb, source) and row.role in roles
        )

    def advancing(task: Task, verb: str, *, roles: frozenset[Role], at: datetime) -> None:
        source = task.state
        advance(task, verb, roles=roles, at=at)
        note(verb, source, roles)

    def requiring(task: Task, verb: str, roles: frozenset[Role], at: datetime) -> None:
        require(task, verb, roles, at)
        note(verb, task.state, roles)

    with monkeypatch.context() as patch:
        patch.setattr(Task, "advance", advancing)
        patch.setattr(permissions, "require", requiring)
        yield found


def test_short_lives_take_every_edge_that_only_trees_take(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: set[Edge] = set()
    for life in LIVES:
        with noted(monkeypatch) as edges:
            root = life()
        taken |= edges
        assert wrong_now(root.pk) == [], life.__name__

    assert TABLE_OF_TREES - taken == set()
