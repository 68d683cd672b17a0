"""Reads of tasks worth a name."""

import uuid
from functools import reduce
from operator import or_

from django.conf import settings
from django.db.models import (
    Exists,
    IntegerField,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
)
from django.db.models.expressions import RawSQL

from marketplace.foundation import clock
from marketplace.moderation import hiding
from marketplace.participants.dealings import barriers_of
from marketplace.participants.models import Participant
from marketplace.tasks.caps import Holdings, holdings_of
from marketplace.tasks.models import (
    LIVE_BIDS,
    Bid,
    Claim,
    ClaimEnding,
    Mode,
    Settlement,
    Task,
    TaskAttachment,
)
from marketplace.tasks.permissions import Viewer
from marketplace.tasks.states import TaskState

SHARED_TAGS = """
cardinality(ARRAY(
    SELECT unnest(tasks_task.tags) INTERSECT SELECT unnest(%s::varchar[])
))
"""


def visible_to(participant: Participant | None) -> QuerySet[Task]:
    """Return the tasks that *participant* may see: all but those that staff hide.

    A hidden one is still seen by its poster, whoever holds it or entered, whose money pays it, and
    staff.
    """
    if participant is None:
        return hiding.shown(Task.objects.all(), "task")
    if participant.is_staff:
        return Task.objects.all()
    me = participant.pk
    held = Claim.objects.filter(Q(worker=me) | Q(operator=me), ended_at=None, task=OuterRef("pk"))
    own = Q(poster=me) | Q(poster_operator=me) | Q(worker=me) | Q(worker_operator=me)
    agents = Participant.objects.filter(operator=me)
    pays = Q(funder=me) | Q(funder__in=agents.values("pk"))
    return Task.objects.filter(
        ~hiding.is_hidden("task") | own | pays | Q(offered_to=me) | Exists(held)
    )


def as_shown(tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Load with each task what its representation needs. Queries: two for any number of tasks."""
    attached = TaskAttachment.objects.select_related("file").order_by("position")
    return tasks.select_related("poster", "worker", "claim", "offered_to", "lead").prefetch_related(
        Prefetch("attached", queryset=attached)
    )


def ranked_for(participant: Participant, tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Return the open tasks that *participant* may take, with a `rank`: shared tags come first.

    These are the tasks of which `permissions.permitted_actions` offers to claim, to bid for or to
    enter, decided in the query, so that pages are full. Round trips: three, one more for who holds
    as many tasks as the base of the cap; then that of the query.
    """
    looking = viewer(participant)
    barriers, operator = looking.barriers, participant.operator_key
    if barriers.is_frozen:
        return tasks.none()
    frozen = barriers.frozen
    tasks = tasks.filter(
        ~hiding.is_hidden("task"),
        ~Q(poster_operator=operator),
        ~Q(barred__contains=[operator]),
        ~Q(poster_operator__in={*barriers.blocked_by, *frozen}),
        ~Q(poster__in=frozen),
        Q(due_at=None) | Q(due_at__gt=looking.at),
        Q(eligible_kind="") | Q(eligible_kind=participant.kind),
        Q(eligible_standing=None) | Q(eligible_standing__lte=looking.standing),
        state=TaskState.OPEN,
        eligible_capabilities__contained_by=participant.capabilities,
    )
    live_bid = Bid.objects.filter(task=OuterRef("pk"), operator=operator, state__in=LIVE_BIDS)
    entry = Claim.objects.filter(
        task=OuterRef("pk"), operator=operator, is_entry=True, ended_at=None
    )
    ways = [
        Q(~Exists(live_bid), mode=Mode.BID),
        Q(~Exists(entry), mode=Mode.CONTEST, entries__lt=settings.ENTRIES_PER_CONTEST),
    ]
    if looking.holdings.refusal is None:
        ways.append(Q(mode__in=[Mode.CLAIM, Mode.DIRECT]))
    # A constant with a parameter; the ORM has no intersection of arrays.
    shared = RawSQL(SHARED_TAGS, [participant.capabilities], IntegerField())  # noqa: S611
    return tasks.filter(reduce(or_, ways)).annotate(rank=shared)


def viewer(participant: Participant | None) -> Viewer:
    """Return who looks, for `permissions.permitted_actions`. Round trips: two."""
    if participant is None:
        at = clock.now()
        return Viewer(None, Holdings(None, 0, 0, at), barriers_of(None), at)
    barriers, holdings = barriers_of(participant), holdings_of(participant)
    return Viewer(participant, holdings, barriers, holdings.at)


def may_see_settlement(task: Task, participant: Participant) -> bool:
    """Say whether *participant* is a side of the task, or was paid when it ended."""
    if participant.is_staff or participant.pk in task.parties:
        return True
    paid = Settlement.objects.filter(task=task)
    return paid.filter(
        Q(worker=participant)
        | Q(claim__operator=participant)
        | Q(payments__worker=participant)
        | Q(payments__claim__operator=participant)
    ).exists()


def counterparts(task: Task) -> QuerySet[Participant]:
    """Return who deals with the poster of a task: bidders, whom it is offered to, entrants, worker.

    Those whose bid or claim has ended are not among them any more.
    """
    bidders = Bid.objects.filter(task=task, state__in=LIVE_BIDS).values("bidder")
    claimants = Claim.objects.filter(task=task, ended_at=None).values("worker")
    holders = [one for one in (task.worker_id, task.offered_to_id) if one is not None]
    return Participant.objects.filter(Q(pk__in=bidders) | Q(pk__in=claimants) | Q(pk__in=holders))


def may_name_source(participant: Participant, task_id: uuid.UUID) -> bool:
    """Say whether an asset of *participant* may be said to come out of a task.

    It may where the participant's operator posted the task or was accepted for it.
    """
    operator = participant.operator_key
    accepted = Q(claims__operator=operator, claims__ending=ClaimEnding.ACCEPTED)
    found = Task.objects.filter(Q(poster_operator=operator) | accepted, pk=task_id)
    return found.exists()


def settlement_of(task: Task) -> Settlement | None:
    """Return how the escrow was divided, once the task has ended."""
    settled = Settlement.objects.filter(task=task).select_related("worker", "claim")
    return settled.prefetch_related("payments__worker").first()
