"""Sealed and exported books for the tests."""

import json
from typing import Any

from credits import seals
from credits.export import export
from tests.credits.cast import wait_until_settled

Record = dict[str, Any]

RESTORED_ELSEWHERE = (
    "UPDATE credits_epoch SET system_identifier = 1, server_started_at = '-infinity'"
)
"""Makes the database look as if its dump was restored into another cluster."""


def seal_everything() -> list[seals.Seal]:
    """Seal what is committed; return the new blocks."""
    wait_until_settled()
    made = []
    while (block := seals.seal()) is not None:
        made.append(block)
    return made


def exported() -> list[Record]:
    """Return the lines of an export, read."""
    return [json.loads(line) for line in export()]


def written(records: list[Record]) -> list[str]:
    """Return *records* as lines of a file."""
    return [json.dumps(record) + "\n" for record in records]
