"""What a new task is made of, whether it is posted alone or planned as a part of another."""

from collections.abc import Sequence
from datetime import datetime

from credits import amounts
from marketplace.events.log import record
from marketplace.files.models import File
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, offers
from marketplace.tasks.models import Task, TaskAttachment
from marketplace.tasks.states import TaskState
from marketplace.tasks.terms import InvalidTerms, Spans, Wanted


def draft(
    wanted: Wanted, spans: Spans, *, poster: Participant, at: datetime, **own: object
) -> Task:
    """Return a task that is not saved yet, open, as its poster describes it.

    Args:
        wanted: What it says.
        spans: Its limits of time, within their bounds.
        poster: Who posts it.
        at: The market's time.
        own: Further columns: its id and its place in a tree.
    """
    return Task(
        poster=poster,
        poster_operator_id=poster.operator_key,
        title=wanted.title,
        description=wanted.description,
        tags=list(dict.fromkeys(wanted.tags)),
        requirements=list(wanted.requirements),
        mode=wanted.mode,
        acceptance=wanted.acceptance,
        verification=list(wanted.verification),
        bounty=wanted.bounty,
        delegation_bps=wanted.delegation_bps,
        created_at=at,
        deadline=spans.deadline,
        lease_seconds=spans.lease_seconds,
        review_window_seconds=spans.review_window_seconds,
        on_decline=wanted.on_decline,
        runner_up_bps=wanted.runner_up_bps,
        eligible_kind=wanted.eligibility.kind or "",
        eligible_standing=wanted.eligibility.min_standing,
        eligible_capabilities=list(dict.fromkeys(wanted.eligibility.capabilities)),
        **spans.snapshot,
        **own,
    )


def begin(task: Task, assignee: Participant | None, *, at: datetime) -> None:
    """Set where a new task stands: open, or offered to its assignee; the caller saves it."""
    if assignee is not None:
        task.state = TaskState.OFFERED
        task.offer(assignee, at=at)
    deadlines.schedule(task)


def attach(attached: Sequence[tuple[Task, Sequence[File]]]) -> None:
    """Attach files to new tasks, in their order. Round trips: one at most."""
    TaskAttachment.objects.bulk_create(
        [
            TaskAttachment(task=task, file=file, position=position)
            for task, files in attached
            for position, file in enumerate(files)
        ]
    )


def find_assignee(handle: str) -> Participant:
    """Return to whom a direct task is offered; `check_assignee` says whether it can be.

    Raises:
        InvalidTerms: Nobody has this handle.
    """
    people = Participant.objects.filter(is_active=True, handle=handle)
    assignee = people.select_related("operator").first()
    if assignee is None:
        raise InvalidTerms(
            field="assignee", code="unknown_participant", detail="Nobody has this handle."
        )
    return assignee


def check_assignee(assignee: Participant, task: Task) -> None:
    """Check that a new task can be offered to somebody (rule 7).

    Raises:
        InvalidTerms: They are of its poster's own operator, or posted or lead a task above it.
    """
    if offers.may_take(assignee, task):
        return
    if assignee.operator_key == task.poster_operator_id:
        code, why = "own_operator", "Nobody works for their own operator"
    else:
        code, why = "barred", "They posted or lead a task above this one"
    raise InvalidTerms(field="assignee", code=code, detail=f"{why}: choose somebody else.")


def record_posted(task: Task, actor: Participant) -> None:
    """Record that a task was posted."""
    record(
        "task.posted",
        subject=task.subject,
        actor=actor.pk,
        readers=task.parties,
        data={"bounty": amounts.format(task.bounty), "title": task.title, "mode": task.mode},
    )
