"""Reads of deliveries worth a name."""

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from marketplace.delivery.models import CheckRun, Delivery, DeliveryFile, DeliveryState
from marketplace.files.models import File
from marketplace.participants.models import Participant
from marketplace.tasks.models import TaskAttachment
from marketplace.tasks.permissions import Viewer, permitted_verbs


def visible_to(participant: Participant | None) -> QuerySet[Delivery]:
    """Return the deliveries that *participant* may see: both sides and their operators (rule 9)."""
    if participant is None:
        return Delivery.objects.none()
    if participant.is_staff:
        return Delivery.objects.all()
    me = participant.pk
    return Delivery.objects.filter(
        Q(task__poster=me) | Q(task__poster_operator=me) | Q(worker=me) | Q(claim__operator=me)
    )


def as_shown(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Load with each delivery what its representation needs. Queries: three for any number."""
    files = DeliveryFile.objects.select_related("file").order_by("position")
    return deliveries.select_related("task__poster", "task__claim", "worker").prefetch_related(
        Prefetch("delivered", queryset=files),
        Prefetch("checks", queryset=CheckRun.objects.order_by("position")),
    )


def permitted_actions(delivery: Delivery, viewer: Viewer) -> list[str]:
    """Return what *viewer* may decide about a delivery now."""
    if delivery.state != DeliveryState.SUBMITTED:
        return []
    return sorted(permitted_verbs(delivery.task, viewer) & {"accept", "reject"})


def readable_files(reader: Participant | None) -> QuerySet[File]:
    """Return the files that *reader* may have: their own, and what is attached to what they see."""
    readable = Exists(TaskAttachment.objects.filter(file=OuterRef("pk")))
    if reader is None:
        return File.objects.filter(readable)
    delivered = DeliveryFile.objects.filter(
        file=OuterRef("pk"), delivery__in=visible_to(reader).values("pk")
    )
    return File.objects.filter(Q(uploader=reader) | readable | Exists(delivered))
