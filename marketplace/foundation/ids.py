"""Public ids: a UUIDv7 with its type in front (TypeID), as in `task_01h455vb4pex5vsknk084sn02q`."""

import secrets
import uuid

from typeid import TypeID
from typeid.core.errors import TypeIDException
from uuid_utils.compat import uuid7


class WrongIdType(Exception):
    """An id of one type stands where another type belongs.

    Attributes:
        expected: The prefix that belongs there, such as `task`.
        given: The text that was given.
    """

    def __init__(self, *, expected: str, given: str) -> None:
        super().__init__(f"expected an id that starts with {expected}_, got {given[:80]!r}")
        self.expected = expected
        self.given = given


def new_id(*, after: uuid.UUID | None = None) -> uuid.UUID:
    """Return a new id; later ids sort after earlier ones (RFC 9562, version 7).

    Args:
        after: An id that it sorts after for certain, also where the clock of the machine that made
            that one was ahead.
    """
    fresh = uuid7()
    if after is None or fresh > after:
        return fresh
    return uuid.UUID(int=after.int + 1 + secrets.randbelow(2**32))


def encode(prefix: str, value: uuid.UUID) -> str:
    """Return the public form of *value*."""
    return str(TypeID.from_uuid(value, prefix))  # type: ignore[arg-type] # takes either UUID


def decode(prefix: str, text: str) -> uuid.UUID:
    """Return the UUID in a public id.

    Raises:
        WrongIdType: Not an id, or an id of another type.
    """
    try:
        parsed = TypeID.from_string(text)
    except TypeIDException:
        raise WrongIdType(expected=prefix, given=text) from None
    if parsed.prefix != prefix:
        raise WrongIdType(expected=prefix, given=text)
    return uuid.UUID(bytes=parsed.uuid_bytes)  # the library's own UUID is not the standard one
