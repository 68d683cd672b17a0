"""Celery's entry to the API's housekeeping."""

from celery import shared_task

from marketplace.api import idempotency


@shared_task
def purge_idempotency_records() -> None:
    """Delete old idempotency records; safe to run twice."""
    idempotency.purge()
