"""What a task says and under which terms: the bounds, and the rules that posting snapshots."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.conf import settings

from marketplace.tasks import dispute_terms, lineage
from marketplace.tasks.division import share_down
from marketplace.tasks.eligibility import ANYONE, Eligibility
from marketplace.tasks.models import Acceptance, Mode, OnDecline, Task

LEAST_BOUNTY = 10_000  # micro-credits: 0.01 credit (rule 2)
LEAST_SPAN_SECONDS = 300
MOST_DEADLINE_SECONDS = 90 * 86_400
LEAST_REVIEW_SECONDS = 600
MOST_REVIEW_SECONDS = 14 * 86_400
MOST_RUNNER_UP_BPS = 5_000  # a second is not paid more than the first


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


class TermsChanged(Exception):
    """The task was edited after the claimant or bidder read it.

    Attributes:
        terms_version: The version of the terms now.
    """

    def __init__(self, *, terms_version: int) -> None:
        super().__init__(f"the terms are at version {terms_version} now")
        self.terms_version = terms_version


@dataclass(frozen=True, slots=True)
class Wanted:
    """A task as its poster describes it. Amounts are micro-credits; None takes the default.

    Attributes:
        verification: Checks as `verification.checks.parse` returned them.
        attachments: Files of the poster's.
        assignee: The handle of whom a direct task is offered to.
        runner_up_bps: A contest's part for a second, in basis points of the bounty.
        delegation_bps: What its worker may pay for subtasks out of the escrow, in basis points of
            the bounty.
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
    assignee: str | None = None
    on_decline: OnDecline = OnDecline.OPEN
    eligibility: Eligibility = ANYONE
    runner_up_bps: int = 0
    delegation_bps: int = 0


@dataclass(frozen=True, slots=True)
class Spans:
    """The limits of time of a new task, within their bounds."""

    deadline: datetime
    lease_seconds: int
    review_window_seconds: int
    snapshot: dict[str, int | dict[str, int]] = field(default_factory=dict)


def check_bounty(bounty: int) -> None:
    """Check that a bounty is worth an escrow.

    Raises:
        InvalidTerms: It is too small.
    """
    if bounty < LEAST_BOUNTY:
        raise InvalidTerms(field="bounty", code="too_small", detail="A bounty is at least 0.01.")


def check_bid(task: Task, amount: int) -> None:
    """Check that an amount is one that may be bid for a task.

    Raises:
        InvalidTerms: It is above the bounty, or too small.
    """
    if amount > task.held:
        raise InvalidTerms(
            field="amount",
            code="above_bounty",
            detail="A bid is at most the bounty, less what subtasks were paid.",
        )
    if amount < LEAST_BOUNTY:
        raise InvalidTerms(field="amount", code="too_small", detail="A bid is at least 0.01.")


def check_raise(
    task: Task, *, bounty: int | None, deadline: datetime | None, now: datetime
) -> None:
    """Check that a raise raises, and stays within the bounds.

    Raises:
        InvalidTerms: Nothing rises, or the deadline is too far.
    """
    if bounty is None and deadline is None:
        raise InvalidTerms(
            field="bounty", code="required", detail="Say what rises: the bounty or the deadline."
        )
    if bounty is not None and bounty <= task.bounty:
        raise InvalidTerms(
            field="bounty", code="not_higher", detail="A raised bounty is above the one before."
        )
    if deadline is not None:
        if deadline <= task.deadline:
            raise InvalidTerms(
                field="deadline", code="not_later", detail="A raised deadline is a later one."
            )
        # A contest pays nobody before its deadline: moved out again and again it would never.
        check_deadline(deadline, task.created_at if task.entries else now)


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


def latest_deadline(parent: Task, review_window_seconds: int, now: datetime) -> datetime:
    """Return the latest deadline of a subtask: its review and a margin fit into its parent's time.

    While the parent's limits stand still, its deadline moves with the clock.
    """
    ends_at = parent.deadline + (now - parent.own_time(now))
    return ends_at - _room_after(review_window_seconds)


def spans_within(wanted: Wanted, parent: Task, now: datetime) -> Spans:
    """Return when things will be due for a subtask, within the time of its parent (rule 14).

    The default deadline is the latest that fits. Where the parent's time is short, the default of
    the review window is half of what there is, in whole hours.

    Raises:
        InvalidTerms: A limit is out of its bounds.
    """
    left = (latest_deadline(parent, 0, now) - now).total_seconds()
    review = wanted.review_window_seconds
    if review is None:
        half = int(left / 2) // 3600 * 3600
        review = min(settings.REVIEW_WINDOW_SECONDS, max(LEAST_REVIEW_SECONDS, half))
    latest = latest_deadline(parent, review, now)
    if wanted.deadline is not None and wanted.deadline > latest:
        raise late(latest)
    if (latest - now).total_seconds() < LEAST_SPAN_SECONDS:
        raise late(latest)
    deadline = wanted.deadline or latest
    return spans_of(replace(wanted, deadline=deadline, review_window_seconds=review), now)


def check_fits(task: Task, deadline: datetime, now: datetime) -> None:
    """Check that a new deadline fits between those of the tasks above and below (rule 14).

    Raises:
        InvalidTerms: It does not; or the limits of the task stand, and the deadline with them.

    Round trips: none for a task that stands alone, else one at most.
    """
    if task.stands_since is not None:
        raise InvalidTerms(
            field="deadline",
            code="limits_stand",
            detail="A panel judges a part of this task. Until it has, the deadline stands: change"
            " it when the dispute has ended.",
        )
    if task.is_subtask:
        latest = latest_deadline(lineage.parent_of(task), task.review_window_seconds, now)
        if deadline > latest:
            raise late(latest)
    if task.children:
        _check_below(task, deadline)


def _check_below(task: Task, deadline: datetime) -> None:
    waited_for = [
        one for one in lineage.subtasks_of(task) if not one.is_ended and lineage.holds_up(one, task)
    ]
    ends = [one.deadline + _room_after(one.review_window_seconds) for one in waited_for]
    needed = max(ends, default=deadline)
    if deadline < needed:
        raise InvalidTerms(
            field="deadline",
            code="before_subtasks",
            detail="Its subtasks, their review windows and a margin have to fit into the time: the"
            f" deadline is at least {needed:%Y-%m-%dT%H:%M:%SZ}.",
        )


def _room_after(review_window_seconds: int) -> timedelta:
    return timedelta(seconds=review_window_seconds + settings.SUBTASK_MARGIN_SECONDS)


def late(latest: datetime) -> InvalidTerms:
    """Return what is wrong with a deadline of a subtask that is later than *latest*."""
    hours = settings.SUBTASK_MARGIN_SECONDS // 3600
    return InvalidTerms(
        field="deadline",
        code="after_parent",
        detail=f"The deadline, the review window and {hours} hours have to fit into the parent's"
        f" time: this subtask's deadline is at most {latest:%Y-%m-%dT%H:%M:%SZ}.",
    )


def check_lowered(task: Task) -> None:
    """Check that what subtasks have of a bounty is still within the share that was granted.

    Raises:
        InvalidTerms: It does not.
    """
    if share_down(task.bounty, task.delegation_bps) < task.delegated:
        raise InvalidTerms(
            field="bounty", code="below_delegated", detail="Subtasks have more than that."
        )


def require_terms(task: Task, read: int | None) -> None:
    """Check that the terms that somebody read still bind; None accepts what stands.

    A raise of the bounty or the deadline takes nothing from anybody, so it keeps what was read
    before it.

    Raises:
        TermsChanged: The task was edited since, or never had such a version.
    """
    if read is not None and not task.terms_valid_from <= read <= task.terms_version:
        raise TermsChanged(terms_version=task.terms_version)


def check_mode(wanted: Wanted) -> None:
    """Check that a task says what its mode needs, and nothing that only another mode reads.

    Raises:
        InvalidTerms: Something is missing, or means nothing here.
    """
    if wanted.mode == Mode.DIRECT and wanted.assignee is None:
        raise InvalidTerms(
            field="assignee", code="required", detail="Say to whom a direct task is offered."
        )
    if wanted.mode != Mode.DIRECT and wanted.assignee is not None:
        raise InvalidTerms(
            field="assignee", code="wrong_mode", detail="Only a direct task has an assignee."
        )
    if wanted.mode == Mode.CONTEST:
        _check_contest(wanted)
    elif wanted.runner_up_bps:
        raise InvalidTerms(
            field="runner_up_share", code="wrong_mode", detail="Only a contest has a runner-up."
        )


def _check_contest(wanted: Wanted) -> None:
    if wanted.acceptance == Acceptance.AUTOMATIC:
        raise InvalidTerms(
            field="acceptance",
            code="wrong_mode",
            detail="The poster of a contest picks the entry; checks cannot.",
        )
    # Whether it can settle (rule 12) takes a while to find out, so the API asks before.
    if not any(check["required"] for check in wanted.verification):
        raise InvalidTerms(
            field="verification",
            code="required",
            detail="A contest needs at least one required check.",
        )
    if not 0 <= wanted.runner_up_bps <= MOST_RUNNER_UP_BPS:
        raise InvalidTerms(
            field="runner_up_share", code="out_of_bounds", detail="A runner-up has at most half."
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
            detail="A lease lasts between 5 minutes and the time until the deadline.",
        )
    review = wanted.review_window_seconds
    if review is None:
        review = settings.REVIEW_WINDOW_SECONDS
    elif not LEAST_REVIEW_SECONDS <= review <= MOST_REVIEW_SECONDS:
        raise InvalidTerms(
            field="review_window_seconds",
            code="out_of_bounds",
            detail="A review window lasts between 10 minutes and 14 days.",
        )
    return Spans(deadline, lease, review, _rules())


def _rules() -> dict[str, int | dict[str, int]]:
    """Return the market's rules as a task posted now keeps them."""
    return {
        "fee_bps": settings.FEE_BPS,
        "resubmission_seconds": settings.RESUBMISSION_SECONDS,
        "compensation_bps": settings.COMPENSATION_BPS,
        "reuse_cap_bps": settings.REUSE_CAP_BPS,
        "offer_seconds": settings.OFFER_SECONDS,
        "wages_wait_seconds": settings.WAGES_WAIT_SECONDS,
        "dispute_terms": dispute_terms.snapshot(),
    }
