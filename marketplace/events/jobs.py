"""Celery's entry to the event log."""

import uuid

from celery import shared_task

from marketplace.events.consumers import consume


@shared_task
def consume_event(*, event_id: str) -> None:
    """Let the consumers deal with one event; safe to run twice."""
    consume(uuid.UUID(event_id))
