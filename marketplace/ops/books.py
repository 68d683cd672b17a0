"""Checking the books: the ledger's invariants, those between the market and it, and the seals.

An audit is kept with what it found and how far it came. What breaks an invariant of money stops
money, unless staff resumed it in spite of that very finding.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from django.db import connection

from credits import audit, seals, switch
from marketplace.ops import findings, standstill
from marketplace.ops.models import AuditRun

log = structlog.get_logger()

INVARIANTS = (audit.INVARIANTS, Path(__file__).parent / "invariants.sql")

# Any number that nothing else of this database takes: one audit at a time holds it.
ADVISORY_LOCK = 4_171_105
# What a reason has room for; the audit's own row has all of it.
MOST_NAMED = 4


class AuditRuns(Exception):
    """Another audit runs on this database just now."""

    def __init__(self) -> None:
        super().__init__("an audit runs already; what it finds will be kept as well")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an audit ended.

    Attributes:
        run: The audit, as it is kept.
        has_stopped_money: Whether it did, and not somebody before it.
    """

    run: AuditRun
    has_stopped_money: bool


def check() -> list[audit.Finding]:
    """Return everything that breaks an invariant now. Reads no seals, keeps and stops nothing."""
    return audit.run(INVARIANTS)


def audit_books(
    *,
    is_full: bool,
    asked_by: str,
    may_stop: bool = True,
    progress: audit.Progress | None = None,
) -> Outcome:
    """Audit the books, keep the result, and stop money where it has to.

    Args:
        is_full: Whether to look at everything, or at what is new since the last audit that found
            nothing. Where there was none, everything.
        asked_by: Whose audit it is: a handle, or what runs by itself.
        may_stop: Whether a broken invariant of money stops money.
        progress: Told how far it is.

    Raises:
        AuditRuns: Another audit runs just now.
        Busy: Money had to stop and could not (`standstill.begin`); the audit is kept.

    Transaction: one read-only snapshot for all of it, then a short one to keep the result, then
    that of the stop. Locks: none that a posting waits for, until money stops.
    """
    last = AuditRun.objects.filter(findings=[]).last()
    since = None if is_full or last is None else last.mark
    with audit.snapshot(), alone():
        report = audit.examine(INVARIANTS, since=since, progress=progress)
        found = report.findings
        if last is not None:
            found += audit.kept(last.mark)
        found += seals.check(first=since.seal + 1 if since else 1, progress=_of_blocks(progress))
    run = AuditRun.objects.create(
        is_full=since is None,
        asked_by=asked_by,
        started_at=report.mark.at,
        findings=[asdict(finding) for finding in found],
        mark_epoch=report.mark.epoch,
        mark_xid=report.mark.xid,
        mark_seal=report.mark.seal,
        mark_seal_hash=report.mark.seal_hash,
    )
    run.refresh_from_db(fields=["ended_at"])
    _log(run)
    return Outcome(run, may_stop and _stop_if_needed(run))


@contextmanager
def alone() -> Iterator[None]:
    """Let one audit at a time into the block; the lock goes with the transaction.

    Raises:
        AuditRuns: Another is in there.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        (is_alone,) = cursor.fetchone()
    if not is_alone:
        raise AuditRuns
    yield


def _of_blocks(progress: audit.Progress | None) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress("sealed_entries_never_change", done, total)


def _stop_if_needed(run: AuditRun) -> bool:
    wrong = findings.unaccepted(run)
    if not wrong or switch.standing_stop() is not None:
        return False
    named = [f"{one['subject']} ({one['invariant']})" for one in wrong[:MOST_NAMED]]
    more = [f"{len(wrong) - MOST_NAMED} more"] if len(wrong) > MOST_NAMED else []
    reason = f"Audit {run.pk} found the books wrong: {', '.join([*named, *more])}."
    has_stopped = standstill.begin(reason=reason[: switch.MAX_REASON_CHARACTERS], actor=None)
    if has_stopped:
        log.error("money.stopped", reason=reason)
    return has_stopped


def _log(run: AuditRun) -> None:
    for finding in run.findings:
        log.error(
            "books.wrong",
            invariant=finding["invariant"],
            subject=finding["subject"],
            wrong=finding["wrong"],
        )
    if not run.findings:
        log.info("books.right", full=run.is_full, seconds=round(run.seconds, 3))
