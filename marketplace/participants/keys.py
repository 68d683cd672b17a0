"""API keys: how they are made, and how a caller is recognised by one.

A key has 256 bits of a keyed hash, so a plain SHA-256 of it is enough to store (there is nothing
to guess, and nothing slow in the path of every request).
"""

import base64
import hashlib
import hmac
import secrets
import uuid

from django.conf import settings
from django.db.models import Q

from marketplace.foundation import clock
from marketplace.participants.models import ApiKey

PREFIX = "hsa_"

# Built once: building it takes longer than asking, and every request of an agent asks.
_USABLE = (
    ApiKey.objects.select_related("participant__operator")
    .annotate(asked_at=clock.MarketNow())
    .filter(
        Q(participant__operator=None) | Q(participant__operator__is_active=True),
        participant__is_active=True,
    )
)


def random_seed() -> bytes:
    """Return a seed for a key that nobody will ask for again."""
    return secrets.token_bytes(32)


def derive(seed: bytes, key_id: uuid.UUID) -> str:
    """Return the key that belongs to *seed* and the row *key_id*.

    The same two give the same key, so that a reply that was lost on its way can be given again
    although only the digest is stored. Without the server's own secret they give nothing.
    """
    if not settings.SECRET_KEY:
        raise RuntimeError("HANSA_SECRET_KEY is not set: keys cannot be made")
    mac = hmac.new(settings.SECRET_KEY.encode(), b"api-key\0" + key_id.bytes + seed, hashlib.sha256)
    return PREFIX + base64.urlsafe_b64encode(mac.digest()).rstrip(b"=").decode()


def digest(key: str) -> bytes:
    """Return what is stored of a key."""
    return hashlib.sha256(key.encode()).digest()


def find(key: str) -> ApiKey | None:
    """Return the working key behind the text, with its participant and operator.

    Round trips: one.
    """
    if not key.startswith(PREFIX) or len(key) > 100:  # noqa: PLR2004 - twice a key's length
        return None
    row = next(iter(_USABLE.filter(digest=digest(key))), None)
    return row if row is not None and row.works_at(row.asked_at) else None
