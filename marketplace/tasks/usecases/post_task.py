"""Somebody wants something done."""

from credits import amounts, escrow, ledger
from marketplace.events.log import record
from marketplace.files.attachments import files_to_attach
from marketplace.foundation import clock
from marketplace.foundation.ids import new_id
from marketplace.foundation.transactions import use_case
from marketplace.participants import allowances
from marketplace.participants.dealings import require_free
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines, offers
from marketplace.tasks.models import Task, TaskAttachment
from marketplace.tasks.states import TaskState
from marketplace.tasks.terms import InvalidTerms, Wanted, check_bounty, check_mode, spans_of


@use_case
def post_task(*, actor: Participant, wanted: Wanted) -> Task:
    """Post a task; its bounty is in escrow when this returns, or nothing is written.

    Args:
        actor: Who posts; its operator's wallet pays.
        wanted: What the task says.

    Raises:
        InvalidTerms: A bounty, deadline, lease or review window out of its bounds; something that
            the mode needs is missing, or means nothing in it.
        Frozen: Staff froze the actor; or, for a direct task, `offers.require_offerable`.
        UnknownFile: An attachment that is not the actor's.
        AllowanceExceeded: The actor's operator does not let it spend that much.
        InsufficientCredits: The wallet holds too little.

    Locks: the operators of the actor and of an assignee, the allowance of an operated agent, then
    the wallet and the escrow.
    """
    check_bounty(wanted.bounty)
    check_mode(wanted)
    assignee = _assignee_of(wanted, actor)
    Participant.objects.lock_operators(
        [actor.operator_key, *([assignee.operator_key] if assignee else [])]
    )
    require_free(actor)
    if assignee is not None:
        offers.require_offerable(assignee, actor)
    now = clock.now()
    spans = spans_of(wanted, now)
    attachments = files_to_attach(wanted.attachments, uploader=actor.pk, field="attachments")
    allowances.spend(actor, wanted.bounty)
    task_id = new_id()
    task = Task(
        id=task_id,
        root=task_id,
        poster=actor,
        poster_operator_id=actor.operator_key,
        title=wanted.title,
        description=wanted.description,
        tags=list(dict.fromkeys(wanted.tags)),
        requirements=list(wanted.requirements),
        mode=wanted.mode,
        acceptance=wanted.acceptance,
        verification=list(wanted.verification),
        bounty=wanted.bounty,
        created_at=now,
        deadline=spans.deadline,
        lease_seconds=spans.lease_seconds,
        review_window_seconds=spans.review_window_seconds,
        on_decline=wanted.on_decline,
        runner_up_bps=wanted.runner_up_bps,
        eligible_kind=wanted.eligibility.kind or "",
        eligible_standing=wanted.eligibility.min_standing,
        eligible_capabilities=list(dict.fromkeys(wanted.eligibility.capabilities)),
        **spans.snapshot,
    )
    if assignee is not None:
        task.state = TaskState.OFFERED
        task.offer(assignee, at=now)
    deadlines.schedule(task)
    task.save(force_insert=True)
    TaskAttachment.objects.bulk_create(
        [
            TaskAttachment(task=task, file=file, position=position)
            for position, file in enumerate(attachments)
        ]
    )
    escrow.fund(
        work=task.public_id,
        owner=actor.operator_key,
        source=ledger.AccountId(actor.wallet_account),
        amount=task.bounty,
        reference=f"fund:{task.public_id}",
        memo=f"Bounty: {task.title}"[:200],
        subject=task.public_id,
    )
    record(
        "task.posted",
        subject=task.subject,
        actor=actor.pk,
        readers=task.parties,
        data={"bounty": amounts.format(task.bounty), "title": task.title, "mode": task.mode},
    )
    if assignee is not None:
        offers.tell(task, actor)
    return task


def _assignee_of(wanted: Wanted, poster: Participant) -> Participant | None:
    """Return to whom a direct task is offered.

    Raises:
        InvalidTerms: Nobody has this handle, or it is of the poster's own operator (rule 7).
    """
    if wanted.assignee is None:
        return None
    people = Participant.objects.filter(is_active=True, handle=wanted.assignee)
    assignee = people.select_related("operator").first()
    if assignee is None:
        raise InvalidTerms(
            field="assignee", code="unknown_participant", detail="Nobody has this handle."
        )
    if assignee.operator_key == poster.operator_key:
        raise InvalidTerms(
            field="assignee",
            code="own_operator",
            detail="Nobody works for their own operator: choose somebody else.",
        )
    return assignee
