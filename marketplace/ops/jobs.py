"""Celery's entry to operations."""

import structlog
from celery import shared_task

from credits import rollup, seals
from marketplace.ops import books

log = structlog.get_logger()

# Derived accounts with fewer settled entries are quick to add up as they are.
LEAST_TO_FOLD = 1_000


@shared_task
def roll_up_derived_accounts() -> None:
    """Fold the entries of the fee and issuance accounts; safe beside itself."""
    rollup.roll_up(least=LEAST_TO_FOLD)


@shared_task
def seal_the_books() -> None:
    """Seal every settled entry; safe beside itself."""
    while seals.seal() is not None:
        pass


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
