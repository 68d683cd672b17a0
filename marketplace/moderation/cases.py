"""What the verbs about a case share: its lock, and who is told of a decision."""

import uuid
from datetime import datetime

from marketplace.events.log import record
from marketplace.foundation import clock
from marketplace.moderation.models import Case, CaseState, Report
from marketplace.participants.models import Participant
from marketplace.participants.staff import require_staff

MOST_TOLD = 100  # reporters who get an event; the others see what became of it in their list


class CaseDecided(Exception):
    """Staff have decided this case."""


def lock_open(case_id: uuid.UUID, actor: Participant) -> tuple[Case, datetime]:
    """Lock a case for a decision and return it with the market's time, read after the lock.

    Raises:
        Case.DoesNotExist: No such case.
        StaffOnly: The actor may not decide it.
        CaseDecided: It is decided.
    """
    case = (
        Case.objects.select_for_update(of=("self",), no_key=True)
        .select_related("about__operator")
        .get(pk=case_id)
    )
    require_staff(actor, about=case.about)
    if case.state != CaseState.OPEN:
        raise CaseDecided("this case is decided")
    return case, clock.now()


def close(case: Case, state: CaseState, *, actor: Participant, note: str, at: datetime) -> None:
    """Decide a case and tell its reporters; nobody else learns who they are."""
    case.state, case.decided_by, case.decided_at, case.note = state, actor, at, note
    case.save(
        update_fields=["state", "decided_by", "decided_at", "note", "hides", "freeze"],
    )
    reporters = Report.objects.filter(case=case).order_by("id").values_list("reporter", flat=True)
    told = list(reporters[:MOST_TOLD])
    record(
        "report.answered",
        subject=case.subject,
        actor=None,  # the market's decision, whoever of staff took it; the row says who did
        readers=told,
        notified=told,
        data={"state": state.value},
    )
