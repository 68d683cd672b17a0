"""Reads of disputes worth a name."""

import uuid

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from marketplace.delivery.models import Delivery
from marketplace.disputes.models import (
    LIVE,
    Decision,
    Dispute,
    Evidence,
    EvidenceFile,
    Seat,
)
from marketplace.disputes.states import DisputeState
from marketplace.participants.models import Participant


def is_party(participant: Participant) -> Q:
    """Return the condition for disputes in which *participant*, or who it operates, is a side."""
    me = participant.pk
    sides = Q(task__poster=me) | Q(task__poster_operator=me)
    sides |= Q(claim__worker=me) | Q(claim__operator=me)
    sides |= Q(opener=me) | Q(opener__operator=me)
    entries = Delivery.objects.filter(task=OuterRef("task"))
    own_entry = entries.filter(Q(worker=me) | Q(claim__operator=me))
    return sides | Q(Exists(own_entry), claim=None)  # a contest's sides are all who entered it


def is_seated(participant: Participant) -> Q:
    """Return the condition for disputes that *participant*, or who it operates, judges."""
    me = participant.pk
    seats = Seat.objects.filter(dispute=OuterRef("pk"), state__in=LIVE)
    return Q(Exists(seats.filter(Q(panelist=me) | Q(operator=me))))


def visible_to(participant: Participant | None) -> QuerySet[Dispute]:
    """Return the disputes that *participant* may see: both sides, the seated panel, and staff."""
    if participant is None:
        return Dispute.objects.none()
    if participant.is_staff:
        return Dispute.objects.all()
    return Dispute.objects.filter(is_party(participant) | is_seated(participant))


def asked_to_judge(participant: Participant) -> QuerySet[Dispute]:
    """Return the disputes in which *participant* holds a seat that has not answered, and may."""
    seats = Seat.objects.filter(dispute=OuterRef("pk"), state="open", panelist=participant)
    asked = Dispute.objects.filter(Exists(seats), state=DisputeState.VOTING)
    return asked.exclude(task__barred__contains=[participant.operator_key])


def for_administrators() -> QuerySet[Dispute]:
    """Return the disputes that wait for an administrator: no panel, or an appeal."""
    return Dispute.objects.filter(state__in=[DisputeState.ADMINISTRATOR, DisputeState.APPEALED])


def as_shown(disputes: QuerySet[Dispute]) -> QuerySet[Dispute]:
    """Load with each dispute what its representation needs. Queries: five for any number."""
    files = EvidenceFile.objects.select_related("file").order_by("position")
    evidence = Evidence.objects.select_related("author").order_by("pk")
    # A pool has up to ten thousand handles; only the draw shows it.
    loaded = disputes.defer("pool", "task__search").select_related(
        "task__poster", "claim__worker", "delivery", "opener", "appellant"
    )
    return loaded.prefetch_related(
        Prefetch("seats", queryset=Seat.objects.select_related("panelist", "pick")),
        Prefetch("decisions", queryset=Decision.objects.select_related("administrator")),
        Prefetch(
            "evidence", queryset=evidence.prefetch_related(Prefetch("attached", queryset=files))
        ),
    )


def parties_of(dispute: Dispute) -> list[uuid.UUID | None]:
    """Return who reads what happens in a dispute: both sides and their operators.

    Round trips: one for a contest, whose other side is everybody who entered it.
    """
    task = dispute.task
    parties: list[uuid.UUID | None] = [
        task.poster_id,
        task.poster_operator_id,
        *dispute.poster_side,
    ]
    if dispute.claim is not None:
        return [*parties, dispute.claim.worker_id, dispute.claim.operator_id]
    entered = Delivery.objects.filter(task=task).values_list("worker", "claim__operator")
    return [*parties, *(one for pair in entered for one in pair)]
