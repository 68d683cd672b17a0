"""Celery's entries to verification. The rows are the truth; these are nudges."""

import uuid

import structlog
from celery import shared_task

from credits.errors import MoneyReadOnly
from marketplace.delivery.models import CheckRun, Verdict
from marketplace.delivery.usecases.conclude_checks import conclude_checks
from marketplace.delivery.verification import runs

log = structlog.get_logger()

SWEEP_LIMIT = 200


@shared_task
def run_check(*, run_id: str) -> None:
    """Carry out one check and hand its verdict on; safe to run twice and beside itself."""
    lease = runs.take(uuid.UUID(run_id))
    if lease is not None:
        runs.finish(lease, runs.carry_out(lease))
    run = CheckRun.objects.filter(pk=run_id).exclude(state=Verdict.PENDING).first()
    if run is not None:
        # In a job of its own: acting on a verdict needs the ledger, and hosts that run checks
        # have no access to it.
        conclude.delay(delivery_id=str(run.delivery_id))


@shared_task
def conclude(*, delivery_id: str) -> None:
    """Act on the verdicts of a delivery once all required checks have ended."""
    try:
        conclude_checks(delivery_id=uuid.UUID(delivery_id))
    except MoneyReadOnly:
        log.info("checks.conclusion_waits", delivery=delivery_id)  # the sweep finds it again


@shared_task
def sweep_unfinished_checks() -> None:
    """Find runs whose worker died, and deliveries whose verdicts nobody acted on."""
    for run_id in runs.hand_out(SWEEP_LIMIT):
        run_check.delay(run_id=str(run_id))
    runs.give_up_late(SWEEP_LIMIT)
    stranded = (
        CheckRun.objects.filter(delivery__state="submitted", delivery__checks_ended_at=None)
        .exclude(state=Verdict.PENDING)
        .values_list("delivery_id", flat=True)
        .distinct()
    )
    for delivery_id in stranded[:SWEEP_LIMIT]:
        conclude.delay(delivery_id=str(delivery_id))
