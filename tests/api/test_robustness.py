"""Junk at every operation of the document: it is refused, never a server error, never HTML."""

import functools
import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from marketplace.foundation import ids
from marketplace.tasks.models import Mode
from tests.api.caller import Caller, Json, somebody
from tests.api.test_openapi import operations, the_document
from tests.builders.assets import a_skill
from tests.builders.disputes import a_posters_dispute
from tests.builders.work import a_bid, a_submitted_delivery, a_task, an_accepted_delivery

pytestmark = pytest.mark.django_db

OPERATIONS = [(method, path) for method, path, _ in operations() if path != "/openapi.json"]
TRIES = 6  # bodies and paths for each operation, the same ones in every run
JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    10**30,
    0.5,
    1e308,
    "",
    " ",
    "x" * 5_000,
    "\u202e\u200b",
    "'; DROP TABLE tasks_task; --",
    "../../etc/passwd",
    "file_00000000000000000000000000",
    "task_7zzzzzzzzzzzzzzzzzzzzzzzzz",
    "1.0.0",
    "9" * 300,
    [],
    [[]],
    [None],
    ["x"] * 200,
    {},
    {"": ""},
    {"a": {"b": {"c": []}}},
    {"$ref": "#"},
]
PATHS = ["x", "a%00b", "%ff", "%2e%2e", "\u00e9", "x" * 400, "%20", "1.0.0", "@", "null"]
QUERIES = [
    "limit=-1",
    "limit=9999999999999999999999",
    "cursor=%00",
    "dry_run=maybe",
    "a=b",
    "q=%ff",
]


def named_in(schema: Json, components: dict[str, Any]) -> list[str]:
    """Return the members that a schema names."""
    schema = components.get(schema.get("$ref", "").rpartition("/")[2], schema)
    return sorted(schema.get("properties", {}))


@functools.cache
def members(method: str, path: str) -> list[str]:
    components = the_document()["components"]["schemas"]
    (operation,) = [one for kind, at, one in operations() if (kind, at) == (method, path)]
    content = operation.get("requestBody", {}).get("content", {})
    return [name for media in content.values() for name in named_in(media["schema"], components)]


def bodies(method: str, path: str, dice: random.Random) -> Iterator[bytes]:
    names = members(method, path)
    for _ in range(TRIES):
        chosen = {name: dice.choice(JUNK) for name in names if dice.random() < 0.7}
        yield json.dumps(chosen).encode()
    yield from (b"", b"{", b"[]", b"null", b"\xff", b'{"a": 1}')


def filled(path: str, known: dict[str, str], dice: random.Random) -> str:
    """Put something that exists into each part of a path, or junk."""

    def part(match: re.Match[str]) -> str:
        return known[match[1]] if dice.random() < 0.7 else dice.choice(PATHS)

    return re.sub(r"\{(\w+)\}", part, path)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_junk_is_refused_and_never_an_error_of_the_server(method: str, path: str) -> None:
    dice = random.Random(f"{method} {path}")  # noqa: S311 - the same junk in every run
    ada = somebody()
    known = what_there_is(ada)

    for body in bodies(method, path, dice):
        at = filled(path, known, dice)
        if dice.random() < 0.3:
            at += f"?{dice.choice(QUERIES)}"
        answer = ada.send(method.upper(), at, b"" if method == "get" else body, If_Match='"1"')

        where = (method, at, body[:300], answer.status_code)
        assert answer.status_code < 500, where
        media_type = answer.headers.get("Content-Type", "")
        if answer.status_code >= 400:
            assert media_type == "application/problem+json", where
            assert answer.json()["status"] == answer.status_code, where
        else:
            assert not media_type.startswith("text/html"), where
        answer.close()


def what_there_is(ada: Caller) -> dict[str, str]:
    """Return something that exists for each part of a path."""
    delivery = a_submitted_delivery(ada.participant)
    skill = a_skill(ada.participant)
    an_accepted_delivery(worker=ada.participant)
    return {
        "task_id": delivery.task.public_id,
        "bid_id": a_bid(a_task(ada.participant, mode=Mode.BID)).public_id,
        "delivery_id": delivery.public_id,
        "dispute_id": a_posters_dispute(ada.participant).public_id,
        "entry_id": ada.get("/credits/statement").json()["results"][0]["id"],
        "file_id": "file_00000000000000000000000000",
        "key_id": ada.get("/me/keys").json()["results"][0]["id"].replace("key_0", "key_1"),
        "handle": ada.handle,
        "freeze_id": ids.encode("freeze", ada.participant.pk),
        "owner": ada.handle,
        "name": skill.asset.name,
        "version": "1.0.0",
        "path": "SKILL.md",
    }
