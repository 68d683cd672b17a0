"""Lists by keyset: a page begins after the last row of the one before, whatever arrived since."""

import base64
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ParseError

from marketplace.api.fields import QuerySerializer

M = TypeVar("M", bound=Model)
DEFAULT_LIMIT = 20
MOST_LIMIT = 100


class InvalidPageCursor(ParseError):
    """A cursor that this list did not hand out."""

    default_code = "invalid_cursor"
    default_detail = "This is not a cursor of this list."


class PageQuery(QuerySerializer):
    """What every list takes."""

    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_LIMIT, default=DEFAULT_LIMIT
    )
    cursor = serializers.CharField(required=False, max_length=1000, help_text="next_cursor")


@dataclass(frozen=True, slots=True)
class Key:
    """One column of an order: its name, its direction, and how a cursor's value is read back."""

    field: str
    read: Callable[[Any], object]
    descending: bool = True

    def after(self, value: object) -> Q:
        """Return the condition for rows that come later by this column alone."""
        return Q(**{f"{self.field}__{'lt' if self.descending else 'gt'}": value})


NEWEST = (Key("id", uuid.UUID),)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Rows, and where the next page begins; None at the end."""

    rows: list[M]
    next_cursor: str | None


def encode(values: Sequence[object]) -> str:
    """Return an opaque cursor."""
    text = json.dumps([_plain(value) for value in values])
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(cursor: str, readers: Sequence[Callable[[Any], object]]) -> list[object]:
    """Return the values in a cursor.

    Raises:
        InvalidPageCursor: It is not one of this list's.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.urlsafe_b64decode(padded.encode()))
        if not isinstance(values, list) or len(values) != len(readers):
            raise InvalidPageCursor
        return [read(value) for read, value in zip(readers, values, strict=True)]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidPageCursor from error


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, (int, str)) else str(value)


def whole(value: object) -> int:
    """Read a whole number out of a cursor, within what the database compares."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
        raise ValueError("not a number of a cursor")
    return value


def moment(value: object) -> datetime:
    """Read an instant out of a cursor."""
    read = datetime.fromisoformat(value) if isinstance(value, str) else None
    if read is None or read.tzinfo is None:
        raise ValueError("not an instant of a cursor")
    return read


def paginate(rows: QuerySet[M], query: Mapping[str, Any], keys: Sequence[Key] = NEWEST) -> Page[M]:
    """Return one page of *rows*. Queries: one, and what they prefetch.

    Args:
        rows: What to page through; its own order is replaced.
        query: Validated `PageQuery`.
        keys: The order; together they tell any two rows apart.
    """
    cursor, limit = query.get("cursor"), query["limit"]
    if cursor is not None:
        values = decode(cursor, [key.read for key in keys])
        later = Q()
        equal = Q()
        for key, value in zip(keys, values, strict=True):
            later |= equal & key.after(value)
            equal &= Q(**{key.field: value})
        rows = rows.filter(later)
    order = [("-" if key.descending else "") + key.field for key in keys]
    found = list(rows.order_by(*order)[: limit + 1])
    if len(found) <= limit:
        return Page(found, None)
    last = found[limit - 1]
    return Page(found[:limit], encode([getattr(last, key.field) for key in keys]))
