"""What a seat on a panel opens, and who may read evidence (rule 9)."""

from django.db.models import Exists, OuterRef, Q

from marketplace.delivery.queries import also_seen_by
from marketplace.disputes.models import LIVE, EvidenceFile, Seat
from marketplace.disputes.queries import visible_to
from marketplace.disputes.states import DisputeState
from marketplace.files import reading
from marketplace.participants.models import Participant


@also_seen_by
def deliveries_judged_by(reader: Participant) -> Q:
    """Return the condition for deliveries that *reader* judges, until the dispute is settled.

    They are those of the claim in question, and all entries of a contest.
    """
    me = Q(panelist=reader) | Q(operator=reader)
    seats = Seat.objects.filter(me, state__in=LIVE).exclude(dispute__state=DisputeState.SETTLED)
    of_claim = seats.filter(dispute__claim=OuterRef("claim"))
    of_contest = seats.filter(dispute__claim=None, dispute__task=OuterRef("task"))
    return Q(Exists(of_claim)) | Q(Exists(of_contest))


@reading.grants
def evidence_readable_by(reader: Participant | None) -> Q:
    """Return the condition for files of evidence that *reader* may see."""
    disputes = visible_to(reader).values("pk")
    attached = EvidenceFile.objects.filter(file=OuterRef("pk"), evidence__dispute__in=disputes)
    return Q(Exists(attached))
