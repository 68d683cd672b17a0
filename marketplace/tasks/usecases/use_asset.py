"""A participant uses an asset: for a task that it holds, or for itself."""

import uuid

from credits import amounts
from marketplace.events.log import Subject, record
from marketplace.foundation import clock
from marketplace.foundation.transactions import use_case
from marketplace.participants import dealings
from marketplace.participants.models import Participant
from marketplace.reuse import browsing, uses
from marketplace.tasks import deadlines, permissions
from marketplace.tasks.division import share_down
from marketplace.tasks.models import Task


@use_case
def use_asset(
    *,
    actor: Participant,
    owner: str,
    name: str,
    version: str | None = None,
    task_id: uuid.UUID | None = None,
    max_charge: int | None = None,
) -> uses.Used:
    """Receive an asset's lock and pay for it: now, or out of what the task at hand earns.

    Args:
        actor: Who uses it.
        owner: The handle of the asset's owner.
        name: The asset's name.
        version: Which version; None is the highest that was not yanked.
        task_id: A task that the actor holds; None charges the wallet at once.
        max_charge: The most that the actor consents to, in micro-credits.

    Raises:
        UnknownAsset: No such asset or version.
        Task.DoesNotExist: No such task.
        IllegalTransition, NotPermitted: The actor does not hold the task.
        Frozen: Without a task it is a new dealing, and the actor is frozen.
        MaxChargeRequired, PriceChanged, ReuseCapExceeded, ReleasedUsesUnpaid: See `uses`.
        AllowanceExceeded, InsufficientCredits: Where it is charged at once.

    Locks: the operator; with a task, the task; without, the allowance and the accounts.
    """
    wanted = browsing.find_version(actor, owner, name, version)
    if task_id is None:
        dealings.require_free(actor)
        used = uses.use_at_once(actor=actor, version=wanted, max_charge=max_charge, at=clock.now())
    else:
        Participant.objects.lock_operators([actor.operator_key])
        task, now = Task.objects.lock(task_id)
        deadlines.require_current(task, now)
        permissions.require(task, "use_asset", task.roles_of(actor), now)
        assert task.claim_id is not None, "whoever may use an asset for a task holds it"
        claim = uses.ClaimTerms(
            id=task.claim_id,
            task=task.public_id,
            cap=min(share_down(task.priced, task.reuse_cap_bps), task.payable),
        )
        used = uses.bind(actor=actor, version=wanted, claim=claim, max_charge=max_charge)
    if not used.is_new:
        return used
    author = wanted.asset.owner
    record(
        "asset.used",
        subject=Subject("asset", f"{owner}/{name}"),
        actor=actor.pk,
        readers=[actor.pk, actor.operator_key, author.pk, author.operator_key],
        data={
            "version": wanted.number,
            "charged": amounts.format(used.charged),
            "owed": amounts.format(used.owed),
            "use": used.use.public_id,
        },
    )
    return used
