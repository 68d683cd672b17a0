"""Tasks that are split, as the product splits them."""

from typing import Any

from credits import amounts, escrow
from marketplace.delegation.plans import Entry
from marketplace.delegation.usecases.plan_subtasks import plan_subtasks
from marketplace.delivery.usecases.accept_delivery import accept_delivery
from marketplace.participants.models import Participant
from marketplace.tasks.models import Source, Task
from marketplace.tasks.terms import Wanted
from marketplace.tasks.usecases.abandon_task import abandon_task
from marketplace.tasks.usecases.claim_task import claim_task
from tests.builders.people import an_agent
from tests.builders.work import Said, a_claimed_task, deliver

HALF = 5000
ALL = 10_000


def a_task_to_split(
    poster: Participant | None = None, lead: Participant | None = None, **wanted: Said
) -> Task:
    """Return a task that an agent, or *lead*, holds and may split out of its whole escrow."""
    return a_claimed_task(poster, lead, **({"delegation_bps": ALL} | wanted))


def an_entry(
    key: str = "a",
    *,
    bounty: int = amounts.MICRO,
    depends_on: tuple[str, ...] = (),
    source: Source = Source.ESCROW,
    **wanted: Said,
) -> Entry:
    """Return a subtask of one credit; *wanted* are fields of `Wanted`."""
    says: dict[str, Any] = {"title": f"Part {key}", "description": "A part.", "bounty": bounty}
    return Entry(key, Wanted(**(says | wanted)), depends_on, source)


def split(task: Task, *entries: Entry) -> list[Task]:
    """Split a task as whoever holds it; one subtask where nothing else is said."""
    return plan_subtasks(task_id=task.pk, actor=lead_of(task), entries=entries or [an_entry()])


def lead_of(task: Task) -> Participant:
    """Return who holds a task, and may split it."""
    assert task.worker is not None
    return task.worker


def held(task: Task, worker: Participant | None = None) -> Task:
    """Let an agent, or *worker*, claim an open task."""
    return claim_task(task_id=task.pk, actor=worker or an_agent())


def done(task: Task, worker: Participant | None = None, **work: Said) -> Task:
    """Let somebody claim an open task, deliver, and be accepted by whoever is its poster then."""
    return accepted(held(task, worker), **work)


def accepted(task: Task, **work: Said) -> Task:
    """Let whoever holds a task deliver, and its poster accept."""
    delivery = deliver(task, **work)
    accept_delivery(delivery_id=delivery.pk, actor=now(task).poster)
    return now(task)


def left(task: Task) -> Task:
    """Let whoever holds a task give it back."""
    abandon_task(task_id=task.pk, actor=lead_of(now(task)))
    return now(task)


def now(task: Task) -> Task:
    """Return a task as it is in the database."""
    return Task.objects.select_related("poster", "worker", "parent").get(pk=task.pk)


def in_escrow(task: Task) -> int:
    """Return what a task's escrow holds, in micro-credits."""
    return escrow.held(task.public_id)
