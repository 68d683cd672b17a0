"""One side of a dispute hands in evidence."""

import uuid
from collections.abc import Sequence

from marketplace.disputes import permissions
from marketplace.disputes.locking import lock_dispute
from marketplace.disputes.models import Dispute, Evidence, EvidenceFile
from marketplace.disputes.queries import parties_of
from marketplace.events.log import record
from marketplace.files.attachments import files_to_attach
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant


@use_case
def submit_evidence(
    *, dispute_id: uuid.UUID, actor: Participant, text: str, files: Sequence[uuid.UUID] = ()
) -> Dispute:
    """Hand in a text, and files, that both sides and the panel read.

    Args:
        dispute_id: Which dispute.
        actor: Poster or worker.
        text: What there is to say.
        files: The actor's uploads, in order.

    Raises:
        Dispute.DoesNotExist: No such dispute, or not the actor's to see.
        NotPermitted, NotInThisState: See `permissions.require`.
        UnknownFile: A file that is not the actor's.

    Locks: the task.
    """
    dispute, task, now = lock_dispute(dispute_id, actor)
    permissions.require(dispute, "submit_evidence", actor)
    attached = files_to_attach(files, uploader=actor.pk, field="files")
    evidence = Evidence.objects.create(dispute=dispute, author=actor, text=text, created_at=now)
    EvidenceFile.objects.bulk_create(
        [
            EvidenceFile(evidence=evidence, file=file, position=position)
            for position, file in enumerate(attached)
        ]
    )
    parties = parties_of(dispute)
    record(
        "dispute.evidence_submitted",
        subject=dispute.subject,
        actor=actor.pk,
        readers=parties,
        notified=parties,
        data={"task": task.public_id, "files": len(attached)},
    )
    return dispute
