"""A new API key."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from marketplace.foundation.ids import new_id
from marketplace.foundation.transactions import use_case
from marketplace.participants import keys
from marketplace.participants.models import ApiKey
from marketplace.participants.scopes import ALL_SCOPES


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key's row, and the key itself, which is shown this once."""

    row: ApiKey
    secret: str


@use_case
def issue_key(
    *,
    participant_id: uuid.UUID,
    name: str,
    scopes: Sequence[str] = ALL_SCOPES,
    expires_at: datetime | None = None,
    seed: bytes,
) -> IssuedKey:
    """Issue a key to a participant.

    Args:
        participant_id: Whose key it is.
        name: What its owner calls it.
        scopes: What it may touch.
        expires_at: When it stops working; None is never.
        seed: What the key is derived from, see `keys.derive`.
    """
    key_id = new_id()
    secret = keys.derive(seed, key_id)
    row = ApiKey.objects.create(
        id=key_id,
        participant_id=participant_id,
        name=name,
        digest=keys.digest(secret),
        hint=secret[:12],
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    return IssuedKey(row, secret)
