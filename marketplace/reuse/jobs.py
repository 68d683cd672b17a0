"""Celery's entries to reuse."""

from celery import shared_task

from marketplace.reuse.earnings import BATCH, release_due


@shared_task
def release_due_earnings() -> None:
    """Move what has waited long enough; safe to run twice and beside itself."""
    while release_due() >= BATCH:
        pass
