"""How much an operator may write in a day, where it costs nothing."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet

from marketplace.foundation import clock

DAY = timedelta(days=1)


class QuotaReached(Exception):
    """An operator has written as much of something as it may in a day.

    Attributes:
        what: Of what.
        most: How much that is.
        retry_after_seconds: When there is room again.
    """

    def __init__(self, *, what: str, most: int, retry_after_seconds: int) -> None:
        super().__init__(f"your operator has written {most} {what} in a day, the most it may")
        self.what = what
        self.most = most
        self.retry_after_seconds = retry_after_seconds


def take(written: "QuerySet[Any]", *, most: int, what: str) -> None:
    """Check that there is room for one more.

    Args:
        written: The operator's rows, which have a `created_at`.
        most: How many there may be in 24 hours.
        what: What they are called.

    Raises:
        QuotaReached: There is none.

    Transaction: the caller's, which holds the operator's lock; otherwise two at once would both
    see the last place free. Round trips: two.
    """
    now = clock.now()
    of_a_day = written.filter(created_at__gt=now - DAY).aggregate(
        number=Count("pk"), oldest=Min("created_at")
    )
    if of_a_day["number"] >= most:
        wait = of_a_day["oldest"] + DAY - now if of_a_day["oldest"] else DAY
        raise QuotaReached(
            what=what, most=most, retry_after_seconds=max(1, round(wait.total_seconds()))
        )
