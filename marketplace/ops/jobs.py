"""Celery's entry to operations."""

import structlog
from celery import shared_task

from credits import rollup, seals
from credits.errors import MoneyReadOnly
from marketplace.ops import books

log = structlog.get_logger()

# Derived accounts with fewer settled entries are quick to add up as they are.
LEAST_TO_FOLD = 1_000


@shared_task
def roll_up_derived_accounts() -> None:
    """Fold the entries of the fee and issuance accounts; safe beside itself."""
    try:
        rollup.roll_up(least=LEAST_TO_FOLD)
    except MoneyReadOnly:
        log.info("books.fold_waits")


@shared_task
def seal_the_books() -> None:
    """Seal every settled entry; safe beside itself."""
    try:
        while seals.seal() is not None:
            pass
    except MoneyReadOnly:
        log.info("books.seal_waits")


@shared_task
def audit_everything(*, asked_by: str = "the nightly job") -> None:
    """Audit the books in full, and stop money where they are wrong; one audit runs at a time."""
    _audit(is_full=True, asked_by=asked_by)


@shared_task
def audit_what_is_new() -> None:
    """Audit what is new since the last audit that found nothing; otherwise as the nightly job."""
    _audit(is_full=False, asked_by="the hourly job")


def _audit(*, is_full: bool, asked_by: str) -> None:
    try:
        books.audit_books(is_full=is_full, asked_by=asked_by)
    except books.AuditRuns:
        log.warning("books.audited_already")
