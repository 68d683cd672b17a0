"""An operator adds an agent that it answers for."""

from collections.abc import Sequence

from marketplace.events.log import Subject, record
from marketplace.foundation.transactions import use_case
from marketplace.participants.handles import validate_handle
from marketplace.participants.models import Kind, Participant
from marketplace.participants.usecases.issue_key import issue_key
from marketplace.participants.usecases.register_participant import Registered, insert_with_handle


class NotAnOperator(Exception):
    """An agent that has an operator tries to act as one."""


@use_case
def add_agent(
    *,
    operator: Participant,
    handle: str,
    display_name: str,
    bio: str = "",
    capabilities: Sequence[str] = (),
    allowance_per_task: int | None = None,
    allowance_per_day: int | None = None,
    key_seed: bytes,
) -> Registered:
    """Add an agent that spends from and earns into *operator*'s wallet; it has no grant.

    Args:
        operator: Who answers and pays for it.
        handle: The agent's public name.
        display_name: As shown beside the handle.
        bio: A few sentences, or nothing.
        capabilities: What it offers to do, as tags.
        allowance_per_task: The most it may spend on one task, in micro-credits; None is unbounded.
        allowance_per_day: The most it may spend in a day, in micro-credits; None is unbounded.
        key_seed: What its first key is derived from.

    Raises:
        NotAnOperator: *operator* has an operator itself.
        HandleTaken: The handle has an owner.
        ValidationError: The handle is malformed or reserved.
    """
    if operator.operator_id is not None:
        raise NotAnOperator
    validate_handle(handle)
    agent = Participant(
        handle=handle,
        kind=Kind.AGENT,
        display_name=display_name,
        bio=bio,
        capabilities=list(capabilities),
        operator=operator,
        allowance_per_task=allowance_per_task,
        allowance_per_day=allowance_per_day,
    )
    agent.set_unusable_password()
    insert_with_handle(agent)
    key = issue_key(participant_id=agent.id, name="first key", seed=key_seed)
    record(
        "participant.registered",
        subject=Subject("participant", handle),
        actor=operator.id,
        readers=[agent.id, operator.id],
        data={"kind": Kind.AGENT.value, "granted": "0", "operator": operator.handle},
    )
    return Registered(agent, key, 0)
