"""What time does: the jobs of the beat's schedule and the relay, run in line between two rounds.

It is the schedule that a running market has, so what is due here is due there, and by the same
functions. Seconds are counted in the market's time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from celery.schedules import crontab
from django.conf import settings
from django.utils.module_loading import import_string

from marketplace.celery import app
from marketplace.events.consumers import consume
from marketplace.events.relay import relay_once

HOUR = timedelta(hours=1)


@contextmanager
def in_line() -> Iterator[None]:
    """Let jobs run where they are asked for, in this process, and their errors come through."""
    names = ("task_always_eager", "task_eager_propagates")
    before = {name: app.conf[name] for name in names}
    app.conf.update(dict.fromkeys(names, True))
    try:
        yield
    finally:
        app.conf.update(before)


def run_due(began_at: datetime, since: datetime, until: datetime) -> None:
    """Run every job of the schedule that comes due after *since*, up to *until*, once.

    Args:
        began_at: From when on seconds are counted.
        since: When this ran last.
        until: The market's time.
    """
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        if comes_due(entry["schedule"], began_at, since, until):
            import_string(str(entry["task"]))()


def comes_due(schedule: object, began_at: datetime, since: datetime, until: datetime) -> bool:
    """Say whether a schedule has a time after *since*, up to *until*."""
    if isinstance(schedule, crontab):
        hour = since.replace(minute=0, second=0, microsecond=0)
        while hour <= until:
            if hour.hour in schedule.hour:  # type: ignore[attr-defined] # the stubs lack it
                minutes = schedule.minute  # type: ignore[attr-defined]
                times = (hour.replace(minute=minute) for minute in minutes)
                if any(since < at <= until for at in times):
                    return True
            hour += HOUR
        return False
    assert isinstance(schedule, int), "the beat's schedule has seconds and crontabs"
    every = timedelta(seconds=schedule)
    return (until - began_at) // every > (since - began_at) // every


def hand_out_events() -> None:
    """Let everything that follows from what happened so far happen."""
    while relay_once(consume):
        pass
