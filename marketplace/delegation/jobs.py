"""Celery's entries to delegation."""

from celery import shared_task

from marketplace.delegation.waiting import BATCH, release_due


@shared_task
def release_due_wages() -> None:
    """Move what has waited long enough; safe to run twice and beside itself."""
    while release_due() >= BATCH:
        pass
