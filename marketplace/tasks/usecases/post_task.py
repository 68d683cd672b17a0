"""Somebody wants something done."""

from credits import escrow, ledger
from marketplace.files.attachments import files_to_attach
from marketplace.foundation import clock
from marketplace.foundation.ids import new_id
from marketplace.foundation.transactions import use_case
from marketplace.participants import allowances
from marketplace.participants.dealings import require_free
from marketplace.participants.models import Participant
from marketplace.tasks import offers, posting
from marketplace.tasks.models import Task
from marketplace.tasks.terms import Wanted, check_bounty, check_mode, spans_of


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
    assignee = posting.find_assignee(wanted.assignee) if wanted.assignee else None
    Participant.objects.lock_operators(
        [actor.operator_key, *([assignee.operator_key] if assignee else [])]
    )
    require_free(actor)
    if assignee is not None:
        offers.require_offerable(assignee, actor)
    now = clock.now()
    spans = spans_of(wanted, now)
    attachments = files_to_attach(wanted.attachments, uploader=actor.pk, field="attachments")
    task_id = new_id()
    task = posting.draft(
        wanted, spans, poster=actor, at=now, id=task_id, root=task_id, funding_root=task_id
    )
    if assignee is not None:
        posting.check_assignee(assignee, task)
    allowances.spend(actor, wanted.bounty)
    posting.begin(task, assignee, at=now)
    task.save(force_insert=True)
    posting.attach([(task, attachments)])
    escrow.fund(
        work=task.public_id,
        owner=actor.operator_key,
        source=ledger.AccountId(actor.wallet_account),
        amount=task.bounty,
        reference=f"fund:{task.public_id}",
        memo=f"Bounty: {task.title}"[:200],
        subject=task.public_id,
    )
    posting.record_posted(task, actor)
    if assignee is not None:
        offers.tell(task, actor)
    return task
