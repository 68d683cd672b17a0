"""Celery's entry to the sweeper of deadlines."""

from celery import shared_task

from marketplace.tasks.deadlines import sweep


@shared_task
def sweep_overdue_tasks() -> None:
    """Do what is due on every task whose limit has passed; safe beside itself."""
    while sweep():
        pass
