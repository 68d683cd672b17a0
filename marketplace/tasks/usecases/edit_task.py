"""The poster edits a task that nobody holds yet."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from marketplace.events.log import record
from marketplace.foundation.transactions import use_case
from marketplace.participants.dealings import require_free
from marketplace.participants.models import Participant
from marketplace.participants.usecases.edit_profile import StaleVersion
from marketplace.tasks import deadlines, permissions
from marketplace.tasks.models import Task
from marketplace.tasks.sources import follow_bounty
from marketplace.tasks.terms import check_bounty, check_deadline, check_fits, check_lowered

EDITABLE = frozenset({"title", "description", "tags", "requirements", "deadline", "bounty"})


@use_case
def edit_task(
    *,
    task_id: uuid.UUID,
    actor: Participant,
    changes: Mapping[str, Any],
    read_version: Callable[[int], bool],
) -> Task:
    """Change what an open task says; the escrow follows the bounty (rule 6: terms freeze later).

    Args:
        task_id: Which task.
        actor: Its poster.
        changes: New values of `EDITABLE` fields.
        read_version: Says whether a terms version is the one that the editor read.

    Raises:
        Task.DoesNotExist: No such task.
        IllegalTransition, NotPermitted: See `permissions.require`.
        StaleVersion: The task changed since it was read.
        InvalidTerms: A bounty or deadline out of its bounds.
        InsufficientCredits, AllowanceExceeded, EscrowExhausted: For a higher bounty.
        Frozen: New terms are a new offer, and the actor is frozen.

    Locks: the actor's operator, the task, then the allowance, the source and the escrow.
    """
    Participant.objects.lock_operators([actor.operator_key])
    task, now = Task.objects.lock(task_id)
    deadlines.require_current(task, now)
    permissions.require(task, "edit", task.roles_of(actor), now)
    require_free(actor)
    if not read_version(task.terms_version):
        raise StaleVersion
    assert changes.keys() <= EDITABLE
    if "deadline" in changes:
        deadline = cast("datetime", changes["deadline"])
        check_deadline(deadline, now)
        check_fits(task, deadline, now)
    old_bounty = task.bounty
    for field, value in changes.items():
        setattr(task, field, value)
    check_bounty(task.bounty)
    check_lowered(task)
    task.require_reading()  # bids and claims answer these terms from now on
    deadlines.schedule(task)
    task.save(update_fields=[*changes, "terms_version", "terms_valid_from", "due_at"])
    follow_bounty(task, actor, old_bounty)
    record(
        "task.edited",
        subject=task.subject,
        actor=actor.pk,
        readers=task.parties,
        data={"terms_version": task.terms_version, "fields": sorted(changes)},
    )
    return task
