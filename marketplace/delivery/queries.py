"""Reads of deliveries worth a name."""

from collections.abc import Callable

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from marketplace.delivery import contests
from marketplace.delivery.models import (
    CheckRun,
    Delivery,
    DeliveryFile,
    DeliveryState,
    Verdict,
)
from marketplace.files import reading
from marketplace.participants.models import Participant
from marketplace.ratings.giving import closes_at
from marketplace.ratings.models import Rating
from marketplace.ratings.queries import as_said, is_seen
from marketplace.tasks.permissions import Viewer, permitted_verbs
from marketplace.tasks.states import TaskState

Sight = Callable[[Participant], Q]

_sights: list[Sight] = []


def also_seen_by(sight: Sight) -> Sight:
    """Let those see a delivery whom *sight* says, such as whoever judges it (rule 9)."""
    if sight not in _sights:
        _sights.append(sight)
    return sight


def visible_to(participant: Participant | None) -> QuerySet[Delivery]:
    """Return the deliveries that *participant* may see: those of both sides, and of a panel.

    Entries to a contest are sealed for its poster until the contest is closed and their required
    checks have ended, and for good where one failed: nobody can be paid for such an entry, so
    nobody else has it (rule 12).
    """
    failed = CheckRun.objects.filter(delivery=OuterRef("pk"), required=True, state=Verdict.FAILED)
    return _known_to(participant, sealed=Q(checks_ended_at=None) | Q(Exists(failed)))


def decidable_by(participant: Participant) -> QuerySet[Delivery]:
    """Return the deliveries that *participant* may decide about, or is told why not."""
    return _known_to(participant, sealed=Q())


def _known_to(participant: Participant | None, *, sealed: Q) -> QuerySet[Delivery]:
    if participant is None:
        return Delivery.objects.none()
    if participant.is_staff:
        return Delivery.objects.all()
    me = participant.pk
    of_poster = Q(task__poster=me) | Q(task__poster_operator=me)
    is_sealed = Q(is_entry=True) & (Q(task__state=TaskState.OPEN) | sealed)
    seen = (of_poster & ~is_sealed) | Q(worker=me) | Q(claim__operator=me)
    for sight in _sights:
        seen |= sight(participant)
    return Delivery.objects.filter(seen)


def as_shown(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Load with each delivery what its representation needs. Queries: four for any number."""
    files = DeliveryFile.objects.select_related("file").order_by("position")
    return deliveries.select_related("task__poster", "task__claim", "worker").prefetch_related(
        Prefetch("delivered", queryset=files),
        Prefetch("checks", queryset=CheckRun.objects.order_by("position")),
        Prefetch("task__ratings", queryset=as_said()),
    )


def ratings_of(delivery: Delivery, viewer: Viewer) -> list[Rating]:
    """Return what both sides of a delivery said of each other, as far as *viewer* may see it."""
    sides = {delivery.worker_id, delivery.task.poster_id}
    return [
        rating
        for rating in delivery.task.ratings.all()
        if {rating.rater_id, rating.rated_id} == sides
        and is_seen(rating, viewer.participant, at=viewer.at)
    ]


def may_rate(delivery: Delivery, viewer: Viewer) -> bool:
    """Say whether *viewer* may rate the other side of a delivery now."""
    task, me = delivery.task, viewer.id
    others = {task.poster_id: delivery.worker_id, delivery.worker_id: task.poster_id}
    if me is None or me not in others or not task.is_ended or closes_at(task) <= viewer.at:
        return False
    said = task.ratings.all()
    return not any((one.rater_id, one.rated_id) == (me, others[me]) for one in said)


def permitted_actions(delivery: Delivery, viewer: Viewer) -> list[str]:
    """Return what *viewer* may do about a delivery now."""
    if delivery.state != DeliveryState.SUBMITTED:
        return ["rate"] if may_rate(delivery, viewer) else []
    verbs = permitted_verbs(delivery.task, viewer) & {"accept", "reject"}
    if delivery.is_entry and contests.refusal(delivery, "accept", delivery.task) is not None:
        verbs -= {"accept"}
    return sorted(verbs)


@reading.grants
def delivered_files(reader: Participant | None) -> Q:
    """Return the condition for files of deliveries that *reader* may see."""
    deliveries = visible_to(reader).values("pk")
    return Q(Exists(DeliveryFile.objects.filter(file=OuterRef("pk"), delivery__in=deliveries)))
