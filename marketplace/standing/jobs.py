"""Celery's entry to standing."""

import structlog
from celery import shared_task

from marketplace.standing import history

log = structlog.get_logger()


@shared_task
def check_standing() -> None:
    """Recount every figure and log what is stored differently as an error."""
    report = history.check()
    for difference in report.differences:
        log.error(
            "standing.wrong",
            holder=difference.holder,
            outcome=difference.outcome,
            counterparty=difference.counterparty,
            stored=difference.points,
            expected=difference.expected_points,
        )
    if not report.is_right:
        log.error("standing.uneven", missed=report.missed, vanished=report.vanished)
