"""Somebody wants something done."""

from credits import amounts, escrow, ledger
from marketplace.events.log import record
from marketplace.files.attachments import files_to_attach
from marketplace.foundation import clock
from marketplace.foundation.ids import new_id
from marketplace.foundation.transactions import use_case
from marketplace.participants import allowances
from marketplace.participants.models import Participant
from marketplace.tasks import deadlines
from marketplace.tasks.models import Task, TaskAttachment
from marketplace.tasks.terms import Wanted, check_bounty, spans_of


@use_case
def post_task(*, actor: Participant, wanted: Wanted) -> Task:
    """Post a task; its bounty is in escrow when this returns, or nothing is written.

    Args:
        actor: Who posts; its operator's wallet pays.
        wanted: What the task says.

    Raises:
        InvalidTerms: A bounty, deadline, lease or review window out of its bounds.
        UnknownFile: An attachment that is not the actor's.
        AllowanceExceeded: The actor's operator does not let it spend that much.
        InsufficientCredits: The wallet holds too little.

    Locks: the allowance of an operated agent, then the wallet and the escrow.
    """
    check_bounty(wanted.bounty)
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
        **spans.snapshot,
    )
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
        data={"bounty": amounts.format(task.bounty), "title": task.title},
    )
    return task
