"""How standing fades: half of it every 90 days, in whole numbers.

What fades is never rewritten. A dealing weighs more the later it was, twice as much for every
half-life since a fixed day; sums of such weights stay as they are, and whoever reads one divides it
by today's weight. Sums of whole numbers are exact in any order, so what is added up as things
happen is what a recount finds, to the last unit. Weights change from one day to the next, in UTC.

Source: docs/decisions/0026-standing-is-a-sum-that-never-decays.md
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from functools import cache

from django.conf import settings

from credits import amounts

# No dealing is older. Later weights are larger: about three decimal digits more every two years.
LANDMARK = date(2020, 1, 1)
# A weight is rounded to a whole number: with 32 bits more, by less than one part in four billions.
UNIT = 2**32
DIGITS = 60  # of the roots, before they are rounded


@cache
def _roots(half_life_days: int) -> tuple[int, ...]:
    """Return the weights of the first half-life's days."""
    with localcontext() as context:
        context.prec = DIGITS
        return tuple(
            int((UNIT * Decimal(2) ** (Decimal(day) / half_life_days)).to_integral_value())
            for day in range(half_life_days)
        )


def day_of(at: datetime) -> date:
    """Return the day that an instant belongs to, in UTC."""
    return at.astimezone(UTC).date()


def weight(day: date) -> int:
    """Return what a micro-credit of that day weighs."""
    assert day >= LANDMARK, f"{day}: nothing was dealt before {LANDMARK}"
    half_life = settings.STANDING_HALF_LIFE_DAYS
    halvings, rest = divmod((day - LANDMARK).days, half_life)
    return _roots(half_life)[rest] << halvings


def days_until(last: date) -> list[date]:
    """Return every day from the first to *last*."""
    return [LANDMARK + timedelta(days=n) for n in range((last - LANDMARK).days + 1)]


def most_per_counterparty() -> int:
    """Return what all dealings with one counterparty stay below, in micro-credits."""
    return int(settings.STANDING_PER_COUNTERPARTY_CREDITS) * amounts.MICRO
