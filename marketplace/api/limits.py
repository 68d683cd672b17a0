"""Rate limits: how often a caller may read and write, told in the headers of every answer."""

import functools
import time
from dataclasses import dataclass

import structlog
from django.conf import settings
from limits import RateLimitItemPerMinute
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a caller's limit.

    Attributes:
        name: `reads` or `writes`.
        limit: Calls per minute.
        remaining: Calls left.
        reset_seconds: When the window has moved on.
        exceeded: Whether this call was one too many.
    """

    name: str
    limit: int
    remaining: int
    reset_seconds: int
    exceeded: bool

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit};w=60',
            "RateLimit": f'"{self.name}";r={self.remaining};t={self.reset_seconds}',
        }


@functools.cache
def _limiter() -> SlidingWindowCounterRateLimiter:
    return SlidingWindowCounterRateLimiter(storage_from_string(settings.RATE_LIMIT_URL))


def take(caller: str, *, writes: bool) -> Allowance | None:
    """Count one call of *caller*; None where callers are not limited.

    When the counters cannot be reached nobody is refused: a limit protects the market, and a
    market that answers nobody is not protected.
    """
    if not settings.RATE_LIMITS:
        return None
    name = "writes" if writes else "reads"
    per_minute = (
        settings.RATE_LIMIT_WRITES_PER_MINUTE if writes else settings.RATE_LIMIT_READS_PER_MINUTE
    )
    item = RateLimitItemPerMinute(per_minute)
    try:
        within = _limiter().hit(item, name, caller)
        window = _limiter().get_window_stats(item, name, caller)
    except Exception as error:  # noqa: BLE001 - whatever the store's client raises
        log.warning("limits.unavailable", error=str(error))
        return None
    reset = max(1, round(window.reset_time - time.time()))
    return Allowance(name, per_minute, max(0, window.remaining), reset, exceeded=not within)
