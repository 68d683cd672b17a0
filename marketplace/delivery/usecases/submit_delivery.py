"""The worker delivers."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from marketplace.delivery import review
from marketplace.delivery.models import Delivery, DeliveryFile
from marketplace.delivery.verification.runs import create_runs
from marketplace.events.log import record
from marketplace.files.attachments import files_to_attach
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, permissions
from marketplace.tasks.ending import save_transition
from marketplace.tasks.models import Acceptance, Claim, Mode, Task

MOST_AUTOMATIC_DELIVERIES = 3  # per operator, on a task that checks accept (rule 18)


class DeliveriesExhausted(Exception):
    """An operator has delivered as often as it may on a task that checks accept.

    Attributes:
        most: How often that is.
    """

    def __init__(self, *, most: int) -> None:
        super().__init__(f"at most {most} deliveries on a task that checks accept")
        self.most = most


class AlreadyEntered(Exception):
    """The operator has an entry in this contest; there is one for each (rule 12)."""

    def __init__(self) -> None:
        super().__init__("you, or another agent of your operator, have entered this contest")


class UnknownRequirement(Exception):
    """Evidence or a rejection names a requirement that the task does not list.

    Attributes:
        field: Where, as the API names it.
        requirement: The index that was named.
        listed: How many requirements the task lists.
    """

    def __init__(self, *, field: str, requirement: int, listed: int) -> None:
        super().__init__(f"the task lists {listed} requirements; there is no index {requirement}")
        self.field = field
        self.requirement = requirement
        self.listed = listed


class DeliveryTooLarge(Exception):
    """The files of a delivery have more bytes together than a delivery may.

    Attributes:
        limit: How many it may have.
    """

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the files of a delivery have at most {limit} bytes together")
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Work:
    """What is delivered.

    Attributes:
        summary: In words.
        result: JSON that checks look at; None where there is none.
        files: The worker's uploads, in order.
        uses: Assets that helped, as `owner/name@version`.
        evidence: `{requirement, note}` entries.
        usage: `{seconds?, tokens?, cost?}` as the worker states it.
    """

    summary: str
    result: object = None
    files: Sequence[uuid.UUID] = ()
    uses: Sequence[str] = ()
    evidence: Sequence[Mapping[str, object]] = ()
    usage: Mapping[str, object] | None = None


@use_case
def submit_delivery(*, task_id: uuid.UUID, actor: Participant, work: Work) -> Delivery:
    """Deliver on a claimed task, or enter a contest; checks start when this has been committed.

    Args:
        task_id: Which task.
        actor: Its worker, or anybody who may enter.
        work: What is delivered.

    Raises:
        Task.DoesNotExist: No such task.
        IllegalTransition, NotPermitted: See `permissions.require`.
        UnknownFile: A file that is not the actor's.
        DeliveryTooLarge: The files have too many bytes together.
        UnknownRequirement: Evidence for something that the task does not list.
        DeliveriesExhausted: Once more than the terms of an automatic task allow.
        AlreadyEntered: The actor's operator has an entry in this contest.
        Frozen, PosterFrozen, Blocked, NotEligible: Of an entry; see `permissions.require_taking`.

    Locks: of an entry, the actor's operator; then the task.
    """
    is_entry = Task.objects.values_list("mode", flat=True).get(pk=task_id) == Mode.CONTEST
    if is_entry:
        Participant.objects.lock_operators([actor.operator_key])
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    roles = task.roles_of(actor)
    if is_entry:
        claim = _entry(task, actor, now)
    else:
        permissions.require(task, "submit", roles, now)
        assert task.claim is not None, "whoever may deliver holds the task"
        claim = task.claim
    earlier = Delivery.objects.filter(task=task)
    if task.acceptance == Acceptance.AUTOMATIC:
        by_operator = earlier.filter(claim__operator=actor.operator_key).count()
        if by_operator >= MOST_AUTOMATIC_DELIVERIES:
            raise DeliveriesExhausted(most=MOST_AUTOMATIC_DELIVERIES)
    for index, entry in enumerate(work.evidence):
        require_listed(task, entry["requirement"], field=f"evidence/{index}/requirement")
    files = files_to_attach(work.files, uploader=actor.pk, field="files")
    if sum(file.size for file in files) > settings.BUNDLE_LIMIT_BYTES:
        raise DeliveryTooLarge(limit=settings.BUNDLE_LIMIT_BYTES)
    delivery = Delivery.objects.create(
        task=task,
        claim=claim,
        is_entry=is_entry,
        worker=actor,
        number=earlier.count() + 1,
        summary=work.summary,
        result=work.result,
        uses=list(work.uses),
        evidence=list(work.evidence),
        usage=dict(work.usage or {}),
        created_at=now,
    )
    DeliveryFile.objects.bulk_create(
        [
            DeliveryFile(delivery=delivery, file=file, position=position)
            for position, file in enumerate(files)
        ]
    )
    runs = create_runs(delivery, task.verification)
    task.advance("enter" if is_entry else "submit", roles=roles, at=now)
    if is_entry:
        task.entries += 1
    else:
        task.claim_expires_at = task.resubmit_by = None
        if not any(run.required for run in runs):
            delivery.checks_ended_at = now
            delivery.save(update_fields=["checks_ended_at"])
            review.begin(task, at=now)
    save_transition(task)
    record(
        "delivery.submitted",
        subject=delivery.subject,
        actor=actor.pk,
        # Whose an entry is, and what is in it, the poster learns when the contest is closed.
        readers=(actor.pk, actor.operator_key) if is_entry else task.parties,
        notified=[] if is_entry else [task.poster_id],
        data={"task": task.public_id, "number": delivery.number, "checks": len(runs)},
    )
    if is_entry:
        record(
            "task.entered",
            subject=task.subject,
            actor=None,
            readers=task.parties,
            notified=[task.poster_id],
            data={"task": task.public_id, "entries": task.entries},
        )
    return delivery


def _entry(task: Task, actor: Participant, now: datetime) -> Claim:
    """Return the claim of a new entry to a contest; one for each operator."""
    permissions.require_taking(task, actor, "enter", now)
    operator = actor.operator_key
    if Claim.objects.filter(task=task, operator=operator, is_entry=True).exists():
        raise AlreadyEntered
    return Claim.objects.create(
        task=task, worker=actor, operator_id=operator, is_entry=True, created_at=now
    )


def require_listed(task: Task, requirement: object, *, field: str = "requirement") -> None:
    """Check that the task lists the requirement with this index.

    Raises:
        UnknownRequirement: It does not.
    """
    assert isinstance(requirement, int)
    if not 0 <= requirement < len(task.requirements):
        raise UnknownRequirement(
            field=field, requirement=requirement, listed=len(task.requirements)
        )
