"""A delivery as one archive: the same delivery gives the same bytes."""

import json
import tempfile
from functools import partial
from typing import IO

from assets.archives import Content, write_zip
from assets.blobs import open_blob
from marketplace.delivery.models import Delivery

SPOOL_BYTES = 2**20


def zip_of(delivery: Delivery) -> IO[bytes]:
    """Return a zip of `delivery.json`, which says what was delivered, and of the files in `files/`.

    Where two files have one name, every name has its place in front of it. Beyond a megabyte the
    archive is on disk; it is gone when it is closed.

    Args:
        delivery: Loaded by `queries.as_shown`.
    """
    files = [delivered.file for delivered in delivery.delivered.all()]
    are_distinct = len({file.name.casefold() for file in files}) == len(files)
    entries: list[tuple[str, Content]] = [("delivery.json", _described(delivery))]
    for place, file in enumerate(files):
        name = file.name if are_distinct else f"{place + 1}-{file.name}"
        entries.append((f"files/{name}", partial(open_blob, file.sha256)))
    archive = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the response closes it
    write_zip(entries, archive)
    archive.seek(0)
    return archive


def _described(delivery: Delivery) -> bytes:
    described = {
        "id": delivery.public_id,
        "task": delivery.task.public_id,
        "number": delivery.number,
        "worker": delivery.worker.handle,
        "summary": delivery.summary,
        "result": delivery.result,
        "uses": delivery.uses,
        "evidence": delivery.evidence,
        "usage": delivery.usage,
    }
    return (json.dumps(described, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
