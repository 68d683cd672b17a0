"""What a task says and under which terms: the bounds, and the rules that posting snapshots."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings

from marketplace.tasks.models import Acceptance, Mode

LEAST_BOUNTY = 10_000  # micro-credits: 0.01 credit (rule 2)
LEAST_SPAN_SECONDS = 300
MOST_DEADLINE_SECONDS = 90 * 86_400
LEAST_REVIEW_SECONDS = 600
MOST_REVIEW_SECONDS = 14 * 86_400


class InvalidTerms(Exception):
    """A field of a task is out of its bounds.

    Attributes:
        field: Which one, as the API names it.
        code: Stable name of what is wrong.
    """

    def __init__(self, *, field: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.code = code


@dataclass(frozen=True, slots=True)
class Wanted:
    """A task as its poster describes it. Amounts are micro-credits; None takes the default.

    Attributes:
        verification: Checks as `verification.checks.parse` returned them.
        attachments: Files of the poster's.
    """

    title: str
    description: str
    bounty: int
    mode: Mode = Mode.CLAIM
    tags: Sequence[str] = ()
    requirements: Sequence[str] = ()
    deadline: datetime | None = None
    acceptance: Acceptance = Acceptance.MANUAL
    verification: Sequence[dict[str, object]] = ()
    attachments: Sequence[uuid.UUID] = ()
    lease_seconds: int | None = None
    review_window_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Spans:
    """The limits of time of a new task, within their bounds."""

    deadline: datetime
    lease_seconds: int
    review_window_seconds: int
    snapshot: dict[str, int] = field(default_factory=dict)


def check_bounty(bounty: int) -> None:
    """Check that a bounty is worth an escrow.

    Raises:
        InvalidTerms: It is too small.
    """
    if bounty < LEAST_BOUNTY:
        raise InvalidTerms(field="bounty", code="too_small", detail="A bounty is at least 0.01.")


def check_deadline(deadline: datetime, now: datetime) -> None:
    """Check that a deadline lies within its bounds.

    Raises:
        InvalidTerms: It is too soon or too far.
    """
    seconds = (deadline - now).total_seconds()
    if not LEAST_SPAN_SECONDS <= seconds <= MOST_DEADLINE_SECONDS:
        raise InvalidTerms(
            field="deadline",
            code="out_of_bounds",
            detail="A deadline lies between 5 minutes and 90 days from now.",
        )


def spans_of(wanted: Wanted, now: datetime) -> Spans:
    """Return when things will be due, with the market's defaults where the poster says nothing.

    Raises:
        InvalidTerms: A limit is out of its bounds.
    """
    deadline = wanted.deadline or now + timedelta(seconds=settings.DEADLINE_SECONDS)
    check_deadline(deadline, now)
    until_deadline = int((deadline - now).total_seconds())
    lease = wanted.lease_seconds
    if lease is None:
        lease = min(settings.LEASE_SECONDS, until_deadline)
    elif not LEAST_SPAN_SECONDS <= lease <= until_deadline:
        raise InvalidTerms(
            field="lease_seconds",
            code="out_of_bounds",
            detail="A lease lasts between 300 seconds and the time until the deadline.",
        )
    review = wanted.review_window_seconds
    if review is None:
        review = settings.REVIEW_WINDOW_SECONDS
    elif not LEAST_REVIEW_SECONDS <= review <= MOST_REVIEW_SECONDS:
        raise InvalidTerms(
            field="review_window_seconds",
            code="out_of_bounds",
            detail="A review window lasts between 600 seconds and 14 days.",
        )
    return Spans(deadline, lease, review, _rules())


def _rules() -> dict[str, int]:
    """Return the market's rules as a task posted now keeps them."""
    return {
        "fee_bps": settings.FEE_BPS,
        "resubmission_seconds": settings.RESUBMISSION_SECONDS,
        "compensation_bps": settings.COMPENSATION_BPS,
        "reuse_cap_bps": settings.REUSE_CAP_BPS,
    }
