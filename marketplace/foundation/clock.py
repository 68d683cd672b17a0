"""The market's clock: the database's, so that every process agrees on what is overdue.

`market_now()` is `clock_timestamp()` plus an offset. Tests and simulations move the offset forward
instead of sleeping; elsewhere it is zero, less the time that the clock has stood still. Read the
clock after the lock that a decision waits for, never before: the wait itself may have made
something overdue.
"""

from datetime import datetime, timedelta

from django.db import connection, models


class MarketNow(models.Func):
    """`market_now()` inside a query."""

    function = "market_now"
    output_field = models.DateTimeField()


def now() -> datetime:
    """Return the market's time. Round trips: one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT market_now()")
        (value,) = cursor.fetchone()
    return value  # type: ignore[no-any-return]


def advance(by: timedelta) -> None:
    """Move the simulated clock forward for everybody on this database; a clock that stands, stands.

    Raises:
        ValueError: *by* is negative; time that passed has had its effects.
    """
    if by < timedelta(0):
        raise ValueError("the market's clock never goes back")
    with connection.cursor() as cursor:
        cursor.execute(
            'UPDATE market_clock SET "offset" = "offset" + make_interval(secs => %s)',
            [by.total_seconds()],
        )


def stand_still() -> None:
    """Stop the clock where it is; it shows that moment until it goes on.

    Transaction: the caller's, with whatever it stands still for. Locks: the clock, which readers
    do not wait for.
    """
    with connection.cursor() as cursor:
        cursor.execute("UPDATE market_clock SET stands_at = market_now() WHERE stands_at IS NULL")


def go_on() -> None:
    """Let the clock go on from the moment that it shows: all limits are as far away as before.

    Transaction: the caller's. Locks: the clock.
    """
    with connection.cursor() as cursor:
        # Whatever moved the offset meanwhile passed while the clock stood. Seconds, because days
        # are not always of the same length where a session has a time zone of its own.
        cursor.execute(
            'UPDATE market_clock SET stands_at = NULL, "offset" ='
            " make_interval(secs => extract(epoch FROM stands_at - clock_timestamp()))"
            " WHERE stands_at IS NOT NULL"
        )


def stands_at() -> datetime | None:
    """Return the moment at which the clock stands; None while it goes. Round trips: one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT stands_at FROM market_clock")
        (value,) = cursor.fetchone()
    return value  # type: ignore[no-any-return]
