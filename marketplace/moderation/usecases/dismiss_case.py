"""Staff find nothing wrong with what was reported."""

import uuid

from marketplace.foundation.transactions import use_case
from marketplace.moderation import cases
from marketplace.moderation.models import Case, CaseState
from marketplace.participants.models import Participant


@use_case
def dismiss_case(*, case_id: uuid.UUID, actor: Participant, note: str) -> Case:
    """Decide that nothing is done about a case.

    Args:
        case_id: Which case.
        actor: Somebody of staff, of another operator than whoever it is about.
        note: Why, for staff.

    Raises:
        Case.DoesNotExist, StaffOnly, CaseDecided: See `cases.lock_open`.

    Locks: the case.
    """
    case, now = cases.lock_open(case_id, actor)
    cases.close(case, CaseState.DISMISSED, actor=actor, note=note, at=now)
    return case
