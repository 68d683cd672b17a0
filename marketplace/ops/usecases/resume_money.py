"""Staff let money move again, and the market's clock goes on."""

from credits import switch
from marketplace.foundation import clock
from marketplace.foundation.transactions import use_case
from marketplace.ops import findings
from marketplace.ops.models import AuditRun
from marketplace.participants.models import Participant
from marketplace.tasks.states import NotPermitted


class NotAuditedSince(Exception):
    """No full audit has run since money was stopped, so nobody knows what is wrong."""

    def __init__(self) -> None:
        super().__init__("no full audit has run since money was stopped; run one first")


class BooksAreWrong(Exception):
    """The newest full audit found what would stop money again.

    Attributes:
        findings: How many rows are wrong.
    """

    def __init__(self, *, findings: int) -> None:
        super().__init__(
            f"the newest full audit has {findings} findings; put the books right and audit again,"
            " or resume in spite of them"
        )
        self.findings = findings


@use_case
def resume_money(*, reason: str, actor: Participant, despite_findings: bool = False) -> bool:
    """Let credits move again; every limit of time is as far away as when money was stopped.

    Args:
        reason: Why; staff read it. 1 to 1,000 characters.
        actor: Somebody of staff.
        despite_findings: Whether it resumes although an audit finds the books wrong, or none has
            run. Those findings do not stop money again; others do.

    Returns:
        Whether this call did, and not an earlier one.

    Raises:
        NotPermitted: The actor is not of staff.
        NotAuditedSince, BooksAreWrong: Unless *despite_findings*.
        InvalidText: The reason is empty, too long or cannot be stored.
        Busy: The ledger's tables are locked; `standstill.end` tries again.

    Locks: the ledger's tables against writing, then the clock.
    """
    if not actor.is_staff:
        raise NotPermitted(verb="resume_money")
    stop = switch.standing_stop()
    if stop is None:
        return False
    newest = AuditRun.objects.filter(is_full=True, started_at__gte=stop.turned_at).last()
    unaccepted = findings.unaccepted(newest) if newest is not None else []
    if not despite_findings and newest is None:
        raise NotAuditedSince
    if not despite_findings and unaccepted:
        raise BooksAreWrong(findings=len(unaccepted))
    if not switch.resume_writing(reason=reason, actor=actor.handle):
        return False
    if newest is not None and unaccepted:
        (turn,) = switch.history(limit=1)
        newest.accepted_by_turn = turn.number
        newest.save(update_fields=["accepted_by_turn"])
    clock.go_on()
    return True
