"""Reading JSON bodies strictly: within a size, without surprises, storable as it stands."""

import codecs
import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

# What is read is written again, by code that recurses and that begins deeper in the stack.
MOST_LEVELS = 100


class BodyTooLarge(APIException):
    """The body is larger than this call takes."""

    status_code = 413
    default_code = "body_too_large"
    default_detail = "The body is larger than this call takes."


class StrictJSONParser(JSONParser):
    """JSON as RFC 8259 has it, refusing what would mean two things or cannot be stored.

    No NaN, no name twice in an object, no NUL and no half of a surrogate pair: PostgreSQL stores
    neither, and finding out there would be an error of the server.
    """

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        view = (parser_context or {}).get("view")
        limit = getattr(view, "body_limit_bytes", None) or settings.JSON_BODY_LIMIT_BYTES
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge(f"A body here is at most {limit} bytes.")
        return read_json(body)


def read_json(body: bytes) -> Any:
    """Return the JSON in *body*.

    Raises:
        ParseError: It is not JSON as this service reads it.
    """
    try:
        text = codecs.decode(body, "utf-8")
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_once)
        _check_texts(value)
    except RecursionError:
        raise ParseError("The JSON is nested too deeply.", code="malformed_json") from None
    except UnicodeDecodeError:
        raise ParseError("The body is not UTF-8.", code="malformed_json") from None
    except ValueError as error:
        raise ParseError(f"The body is not JSON: {error}"[:300], code="malformed_json") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:50]!r} stands twice in one object")
        found[name] = value
    return found


def _check_texts(value: object) -> None:
    level = [value]
    for _ in range(MOST_LEVELS):
        below: list[object] = []
        for item in level:
            if isinstance(item, str):
                check_storable(item)
            elif isinstance(item, dict):
                below.extend(item.keys())
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    raise ValueError(f"it is nested deeper than {MOST_LEVELS} levels")


def check_storable(text: str) -> None:
    """Check that PostgreSQL can store a text.

    Raises:
        ValueError: It has a NUL character, or half of a surrogate pair.
    """
    if "\0" in text:
        raise ValueError("a text contains a NUL character")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("a text contains half of a surrogate pair")
