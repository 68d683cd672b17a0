"""A participant uploads a file."""

import re

from assets.blobs import StoredBlob
from marketplace.files.models import File
from marketplace.files.names import plain_name
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant

MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")
UNKNOWN = "application/octet-stream"


@use_case
def upload_file(*, actor: Participant, name: str, media_type: str, blob: StoredBlob) -> File:
    """Record an upload whose bytes are stored already.

    Args:
        actor: Who uploads.
        name: As the uploader calls it; made safe, never trusted.
        media_type: As the uploader states it; a malformed one becomes `application/octet-stream`.
        blob: The stored bytes; storing is slow and happens before the transaction.
    """
    stated = media_type.split(";", maxsplit=1)[0].strip().lower()
    return File.objects.create(
        uploader=actor,
        name=plain_name(name),
        size=blob.size,
        media_type=stated if MEDIA_TYPE.fullmatch(stated) else UNKNOWN,
        sha256=blob.sha256,
    )
