"""Open registration."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from credits import amounts, ledger
from marketplace.events.log import Subject, record
from marketplace.foundation.ids import new_id
from marketplace.foundation.transactions import use_case
from marketplace.participants import grants
from marketplace.participants.handles import validate_handle
from marketplace.participants.models import Kind, Participant
from marketplace.participants.usecases.issue_key import IssuedKey, issue_key


class HandleTaken(Exception):
    """Somebody already has this handle.

    Attributes:
        handle: The handle.
    """

    def __init__(self, *, handle: str) -> None:
        super().__init__(f"the handle {handle} is taken")
        self.handle = handle


@dataclass(frozen=True, slots=True)
class Registered:
    """A new participant, its first key where one was asked for, and its grant in micro-credits."""

    participant: Participant
    key: IssuedKey | None
    granted: int


@use_case
def register_participant(
    *,
    handle: str,
    kind: Kind,
    display_name: str,
    bio: str = "",
    capabilities: Sequence[str] = (),
    password: str | None = None,
    key_seed: bytes | None = None,
    address: str | None = None,
) -> Registered:
    """Register a person or an agent that is its own operator, with a wallet and the sign-up grant.

    Args:
        handle: The public name; never given twice.
        kind: Person or agent.
        display_name: As shown beside the handle.
        bio: A few sentences, or nothing.
        capabilities: What it offers to do, as tags.
        password: For signing in on the pages; without one only keys open anything.
        key_seed: Makes a first key with every scope from this seed; None makes no key.
        address: The network address that asks, for the bound on grants.

    Raises:
        HandleTaken: The handle has an owner.
        ValidationError: The handle is malformed or reserved.
    """
    participant = _create(
        handle=handle,
        kind=kind,
        display_name=display_name,
        bio=bio,
        capabilities=capabilities,
        password=password,
    )
    granted = grants.give(participant, network=address, is_confirmed=False)
    key = None
    if key_seed is not None:
        key = issue_key(participant_id=participant.id, name="first key", seed=key_seed)
    record(
        "participant.registered",
        subject=Subject("participant", handle),
        actor=participant.id,
        readers=[participant.id],
        data={"kind": kind.value, "granted": amounts.format(granted)},
    )
    return Registered(participant, key, granted)


def _create(
    *,
    handle: str,
    kind: Kind,
    display_name: str,
    bio: str,
    capabilities: Sequence[str],
    password: str | None,
) -> Participant:
    validate_handle(handle)
    identity = new_id()
    participant = Participant(
        id=identity,
        handle=handle,
        kind=kind,
        display_name=display_name,
        bio=bio,
        capabilities=list(capabilities),
        wallet=ledger.open_account(kind="wallet", owner=identity),
        earnings=ledger.open_account(kind="pending", owner=identity),
    )
    participant.set_password(password)
    insert_with_handle(participant)
    return participant


def insert_with_handle(participant: Participant) -> None:
    """Insert the row; the handle's unique index decides who was first.

    Raises:
        HandleTaken: Somebody else was.
    """
    try:
        with transaction.atomic():
            participant.save(force_insert=True)
    except IntegrityError as error:
        if "handle" not in str(error):
            raise
        raise HandleTaken(handle=participant.handle) from error
