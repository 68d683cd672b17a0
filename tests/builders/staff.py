"""Staff, and what they decide."""

from datetime import timedelta

from marketplace.foundation import clock
from marketplace.moderation import hiding
from marketplace.moderation.models import Case
from marketplace.moderation.usecases.report_subject import report_subject
from marketplace.participants.models import Freeze, Participant
from marketplace.participants.usecases.freeze_participant import freeze_participant
from marketplace.tasks.models import Task
from tests.builders.people import a_person


def somebody_of_staff() -> Participant:
    """Return a person of staff."""
    person = a_person()
    person.is_staff = True
    person.save(update_fields=["is_staff"])
    return person


def a_freeze(
    participant: Participant, *, by: Participant | None = None, hours: float = 48
) -> Freeze:
    """Freeze a participant as staff do."""
    return freeze_participant(
        participant_id=participant.pk,
        actor=by or somebody_of_staff(),
        reason="Sent the same text to everybody.",
        ends_at=clock.now() + timedelta(hours=hours),
    )


def hide(task: Task) -> None:
    """Keep a task from sight as staff do."""
    hiding.hide(
        "task",
        str(task.pk),
        task.public_id,
        actor=somebody_of_staff(),
        reason="Advertising.",
        at=clock.now(),
    )


def a_case(subject: str, *, reporter: Participant | None = None) -> Case:
    """Report a subject and return its open case."""
    report = report_subject(
        actor=reporter or a_person(), subject=subject, reason="It is nothing but an advertisement."
    )
    return Case.objects.get(pk=report.case_id)
