"""The market's clock: the database's, so that every process agrees on what is overdue.

`market_now()` is `clock_timestamp()` plus an offset that is zero in production; tests and
simulations move the offset forward instead of sleeping. Read it after the lock that a decision
waits for, never before: the wait itself may have made something overdue.
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
    """Move the simulated clock forward for everybody on this database.

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
