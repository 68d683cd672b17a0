"""Staff act on what was reported: hide it, freeze whoever did it, or both."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from marketplace.events.log import record
from marketplace.foundation.transactions import use_case
from marketplace.moderation import cases, subjects
from marketplace.moderation.models import Case, CaseState
from marketplace.participants.models import Participant
from marketplace.participants.usecases.freeze_participant import freeze_participant


class NothingDone(Exception):
    """A case is upheld by doing something; whoever does nothing dismisses it."""


@dataclass(frozen=True, slots=True)
class Freezing:
    """A freeze that a decision begins: until when, and whether of the whole operator."""

    ends_at: datetime
    of_operator: bool = False


@use_case
def uphold_case(
    *,
    case_id: uuid.UUID,
    actor: Participant,
    note: str,
    hides: bool = False,
    freezing: Freezing | None = None,
) -> Case:
    """Decide that a report is right and act on it.

    Args:
        case_id: Which case.
        actor: Somebody of staff, of another operator than whoever it is about.
        note: Why; whoever it is about reads it, and it is the reason of the hiding and the freeze.
        hides: Whether the subject is kept from sight.
        freezing: The freeze of whoever it is about, if there is to be one.

    Raises:
        Case.DoesNotExist, StaffOnly, CaseDecided: See `cases.lock_open`.
        NothingDone: Neither is asked for.
        HiddenAlready: It is hidden already.
        AlreadyFrozen, InvalidEnd: See `freeze_participant`.

    Locks: with a freeze the operator of whoever is frozen; then the case.
    """
    if not hides and freezing is None:
        raise NothingDone("hide the subject, freeze whoever did it, or dismiss the case")
    if freezing is not None:  # operators come before cases
        about = Case.objects.select_related("about").get(pk=case_id).about
        Participant.objects.lock_operators([about.operator_key])
    case, now = cases.lock_open(case_id, actor)
    if hides:
        _hide(case, actor, note, now)
    if freezing is not None:
        about = case.about
        case.freeze = freeze_participant(
            participant_id=about.operator_key if freezing.of_operator else about.pk,
            actor=actor,
            reason=note,
            ends_at=freezing.ends_at,
        )
    cases.close(case, CaseState.UPHELD, actor=actor, note=note, at=now)
    return case


def _hide(case: Case, actor: Participant, note: str, at: datetime) -> None:
    case.hides = True
    reportable = subjects.of_type(case.subject_type)
    reportable.keep_from_sight(case.subject_key, case.subject_name, actor=actor, reason=note, at=at)
    concerned = [case.about_id, case.about.operator_key]
    record(
        "content.hidden",
        subject=case.subject,
        actor=None,
        readers=concerned,
        notified=concerned,
        data={"reason": note},
    )
