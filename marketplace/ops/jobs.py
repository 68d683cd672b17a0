"""Celery's entry to operations."""

import structlog
from celery import shared_task

from marketplace.ops import books

log = structlog.get_logger()


@shared_task
def check_the_books() -> None:
    """Check every invariant and log each violation as an error."""
    findings = books.check()
    for finding in findings:
        log.error(
            "books.wrong",
            invariant=finding.invariant,
            subject=finding.subject,
            wrong=finding.wrong,
        )
    if not findings:
        log.info("books.right")
