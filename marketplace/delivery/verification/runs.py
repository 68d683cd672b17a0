"""Runs of checks: taken with a lease, carried out apart, and their verdict written once."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from assets.blobs import open_blob
from marketplace.delivery.models import CheckRun, Delivery, DeliveryFile, Verdict
from marketplace.delivery.verification.checks import Check
from marketplace.delivery.verification.isolation import Report, run_check, states_on_empty
from marketplace.foundation import clock

MOST_ATTEMPTS = 3
# A lease outlasts the run itself by this much, for reading the inputs and writing the verdict.
LEASE_MARGIN_SECONDS = 30
FILE_BYTES = 5_000_000  # what a check reads of a named file


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write a run's verdict."""

    run: CheckRun
    token: uuid.UUID


def create_runs(delivery: Delivery, checks: Iterable[Mapping[str, Any]]) -> list[CheckRun]:
    """Create the pending runs of a new delivery. Round trips: one."""
    return CheckRun.objects.bulk_create(
        [
            CheckRun(
                delivery=delivery,
                position=position,
                name=check["name"],
                type=check["type"],
                required=check["required"],
                config=check["config"],
            )
            for position, check in enumerate(checks)
        ]
    )


def take(run_id: uuid.UUID) -> Lease | None:
    """Take a run that is due, or return None: it has ended, or somebody else has it.

    Attempts are counted here and not at the end, so that a delivery that kills its checker each
    time is given up after three attempts.

    Transaction: its own. Locks: the run.
    """
    with transaction.atomic():
        run = (
            CheckRun.objects.select_for_update(skip_locked=True)
            .filter(
                Q(taken_until=None) | Q(taken_until__lte=clock.MarketNow()),
                pk=run_id,
                state=Verdict.PENDING,
            )
            .first()
        )
        if run is None:
            return None
        now = clock.now()
        if run.attempts >= MOST_ATTEMPTS:
            _write(run, Report("error", "The check did not end in three attempts.", 0))
            return None
        run.attempts += 1
        run.lease_token = uuid.uuid4()
        seconds = settings.CHECK_WALL_SECONDS + LEASE_MARGIN_SECONDS
        run.taken_until = run.due_at = now + timedelta(seconds=seconds)
        run.save(update_fields=["attempts", "lease_token", "taken_until", "due_at"])
        return Lease(run, run.lease_token)


def carry_out(lease: Lease) -> Report:
    """Run the check. Slow, outside any transaction, and without access to the ledger."""
    run = lease.run
    delivery = Delivery.objects.get(pk=run.delivery_id)
    return run_check(run.type, run.config, delivery.result, _files(run, delivery))


def finish(lease: Lease, report: Report) -> bool:
    """Write the verdict if the lease still holds, and say whether it did.

    An `error` is tried again until the attempts are used up.

    Transaction: its own. Locks: the run.
    """
    with transaction.atomic():
        run = (
            CheckRun.objects.select_for_update()
            .filter(pk=lease.run.pk, lease_token=lease.token, state=Verdict.PENDING)
            .first()
        )
        if run is None:
            return False
        if report.state == Verdict.ERROR and run.attempts < MOST_ATTEMPTS:
            run.lease_token = None
            run.taken_until = run.due_at = clock.now() + timedelta(seconds=2**run.attempts)
            run.detail = report.detail
            run.save(update_fields=["lease_token", "taken_until", "due_at", "detail"])
            return False
        _write(run, report)
        return True


def _write(run: CheckRun, report: Report) -> None:
    run.state, run.detail, run.duration_ms = report.state, report.detail, report.duration_ms
    run.lease_token = run.taken_until = None
    run.ended_at = clock.now()
    run.save(
        update_fields=[
            *("state", "detail", "duration_ms"),
            *("lease_token", "taken_until", "ended_at"),
        ]
    )


def _files(run: CheckRun, delivery: Delivery) -> dict[str, str]:
    """Return the content of the file that the check names, where the delivery has it."""
    name = run.config.get("file")
    if name is None:
        return {}
    delivered = (
        DeliveryFile.objects.filter(delivery=delivery, file__name=name)
        .select_related("file")
        .first()
    )
    if delivered is None:
        return {}
    with open_blob(delivered.file.sha256) as blob:
        return {name: blob.read(FILE_BYTES).decode("utf-8", errors="replace")}


def can_decide(checks: Sequence[Check]) -> bool:
    """Say whether a required check fails an empty delivery, `{}` and no files (rule 18).

    Only such checks may settle by themselves; those that do not end on it in time cannot. Slow:
    call it before a transaction.

    Raises:
        Busy: Too many are asking at once.
    """
    required = [check.as_json() for check in checks if check.required]
    states = states_on_empty(required) if required else []
    return states is not None and Verdict.FAILED in states


# Handed out at most once a minute, so that a queue that nobody consumes does not fill up.
HAND_OUT = """
UPDATE delivery_checkrun SET due_at = market_now() + interval '60 seconds'
WHERE id IN (
    SELECT id FROM delivery_checkrun WHERE state = 'pending' AND due_at <= market_now()
    ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


def hand_out(limit: int) -> list[uuid.UUID]:
    """Return runs that nobody has taken in time, each to one caller. Round trips: one."""
    with connection.cursor() as cursor:
        cursor.execute(HAND_OUT, [limit])
        return [run_id for (run_id,) in cursor.fetchall()]


def give_up_late(limit: int) -> int:
    """End runs that no worker took for too long as errors, and return how many.

    So no delivery waits for ever for a queue that nobody consumes.
    """
    with transaction.atomic():
        now = clock.now()
        latest = now - timedelta(seconds=settings.CHECK_PENDING_SECONDS)
        late = CheckRun.objects.select_for_update(skip_locked=True).filter(
            state=Verdict.PENDING, delivery__created_at__lt=latest
        )
        found = list(late.order_by("due_at")[:limit])
        for run in found:
            _write(run, Report("error", "No worker took the check in time.", 0))
    return len(found)
