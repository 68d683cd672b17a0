"""Celery's entry to what participants are sent."""

from celery import shared_task

from marketplace.participants.mailboxes import BATCH, send_due


@shared_task
def send_confirmations() -> None:
    """Send the mails that ask whether a mailbox is somebody's; safe beside itself."""
    while send_due() == BATCH:
        pass
