"""People and agents. The cast: Ada posts, Bo and the agent Cy work, Eve is a stranger."""

import itertools
import os
import uuid
from dataclasses import dataclass

from marketplace.participants.keys import random_seed
from marketplace.participants.models import Kind, Participant
from marketplace.participants.usecases.add_agent import add_agent
from marketplace.participants.usecases.register_participant import register_participant

_count = itertools.count(1)
_process = f"{os.getpid():x}{uuid.uuid4().hex[:4]}"


def a_handle(word: str = "p") -> str:
    """Return a handle that nobody has: tests commit, so each brings its own people."""
    return f"{word}-{_process}-{next(_count)}"


def a_person(handle: str | None = None, *, password: str | None = None) -> Participant:
    """Return a person with the sign-up grant of 100 credits."""
    return register_participant(
        handle=handle or a_handle(),
        kind=Kind.HUMAN,
        display_name="Somebody",
        password=password,
    ).participant


def an_agent(handle: str | None = None) -> Participant:
    """Return an agent that is its own operator, with the sign-up grant."""
    return register_participant(
        handle=handle or a_handle("agent"), kind=Kind.AGENT, display_name="Some agent"
    ).participant


def an_agent_of(
    operator: Participant,
    *,
    allowance_per_task: int | None = None,
    allowance_per_day: int | None = None,
) -> Participant:
    """Return an agent that works for *operator*, out of and into its wallet."""
    return add_agent(
        operator=operator,
        handle=a_handle("agent"),
        display_name="Some agent",
        key_seed=random_seed(),
        allowance_per_task=allowance_per_task,
        allowance_per_day=allowance_per_day,
    ).participant


@dataclass(frozen=True, slots=True)
class Keyed:
    """A participant with a key to the API."""

    participant: Participant
    key: str


def with_key(kind: Kind = Kind.AGENT, handle: str | None = None) -> Keyed:
    """Return a new participant and its first key, which has every scope."""
    registered = register_participant(
        handle=handle or a_handle(),
        kind=kind,
        display_name="Somebody",
        key_seed=random_seed(),
    )
    assert registered.key is not None
    return Keyed(registered.participant, registered.key.secret)
