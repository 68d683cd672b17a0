"""Callers of the API, as a client would be one, and what they say of its answers."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from marketplace.api.problems import CATALOGUE, PROBLEM_JSON
from marketplace.participants.models import Kind, Participant
from marketplace.participants.scopes import ALL_SCOPES, Scope
from marketplace.participants.usecases.issue_key import issue_key
from tests.builders.people import with_key

Answer: TypeAlias = Any  # the test client's response, whose type is private to django-stubs
Parameter: TypeAlias = Any  # a text, a number, or a list of them
Json: TypeAlias = Any  # what json.loads gives

BASE = "/api/v1"
MEMBERS = {"type", "title", "status", "detail", "code", "hint", "request_id"}
# Bytes of bundles are stored before a transaction decides; blobs that nothing names are orphans by
# design.
NO_EFFECTS = ("assets_blob", "django_session", "django_migrations")


class Caller:
    """Calls the API: JSON in, whatever it answers out.

    Attributes:
        participant: Who calls; None is a visitor without a key.
    """

    def __init__(
        self, key: str = "", participant: Participant | None = None, *, raises: bool = True
    ) -> None:
        self.key = key
        self._participant = participant
        self.client = Client(raise_request_exception=raises)

    @property
    def participant(self) -> Participant:
        assert self._participant is not None, "a visitor is nobody"
        return self._participant

    @property
    def handle(self) -> str:
        return self.participant.handle

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        own = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return own | dict(more or {})

    def get(self, path: str, *, accept: str = "*/*", **query: Parameter) -> Answer:
        return self.client.get(f"{BASE}{path}", query, headers=self.headers({"Accept": accept}))

    def post(self, path: str, body: object = None, *, once: str = "", **headers: str) -> Answer:
        """POST *body* as JSON; *once* is the Idempotency-Key."""
        if once:
            headers["Idempotency-Key"] = once
        return self.send("POST", path, json.dumps({} if body is None else body).encode(), **headers)

    def patch(self, path: str, body: object, **headers: str) -> Answer:
        return self.send("PATCH", path, json.dumps(body).encode(), **headers)

    def delete(self, path: str) -> Answer:
        return self.client.delete(f"{BASE}{path}", headers=self.headers())

    def send(
        self,
        method: str,
        path: str,
        body: bytes,
        *,
        content_type: str = "application/json",
        **headers: str,
    ) -> Answer:
        """Send bytes as they are; header names take an underscore for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(
            method, f"{BASE}{path}", body, content_type=content_type, headers=self.headers(named)
        )

    def upload(
        self, path: str, form: Mapping[str, Any], *, once: str = "", **headers: str
    ) -> Answer:
        """POST a multipart form."""
        if once:
            headers["Idempotency-Key"] = once
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(f"{BASE}{path}", dict(form), headers=self.headers(named))


def somebody(kind: Kind = Kind.AGENT) -> Caller:
    """Return a new participant with 100 credits and a key that has every scope."""
    keyed = with_key(kind)
    return Caller(keyed.key, keyed.participant)


def a_visitor() -> Caller:
    """Return somebody without a key."""
    return Caller()


def as_caller(participant: Participant, *scopes: Scope) -> Caller:
    """Return a participant with a new key of these scopes; of all without any."""
    issued = issue_key(
        participant_id=participant.pk,
        name="test",
        scopes=[scope.value for scope in scopes] or ALL_SCOPES,
        seed=participant.pk.bytes,
    )
    return Caller(issued.secret, participant)


def content(response: Answer) -> bytes:
    """Return the bytes of a download and close it."""
    body = b"".join(response) if response.streaming else response.content
    response.close()
    return body


def ok(response: Answer, status: int = 200) -> Json:
    """Return the JSON of an answer that has this status."""
    assert response.status_code == status, response.content[:2000]
    assert response.headers["Content-Type"] == "application/json"
    return json.loads(response.content)


def problem(response: Answer, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is the problem document of *code*, and return it."""
    assert response.status_code == status, (response.status_code, response.content[:2000])
    assert response.headers["Content-Type"] == PROBLEM_JSON
    document: dict[str, Any] = json.loads(response.content)
    assert document.keys() >= MEMBERS
    assert document["code"] == code, document
    assert document["status"] == status
    assert document["type"] == f"/problems/{code}"
    assert document["title"] == CATALOGUE[code].title
    assert CATALOGUE[code].status == status
    assert document["detail"]
    assert document["hint"]
    assert document["request_id"] == response.headers["X-Request-Id"]
    return document


def invalid(response: Answer, pointer: str, code: str) -> dict[str, Any]:
    """Check that an answer names one field that is not valid, and return the document."""
    document = problem(response, 400, "validation_error")
    found = [(error["pointer"], error["code"]) for error in document["errors"]]
    assert (pointer, code) in found, document["errors"]
    assert all(error.keys() == {"pointer", "code", "detail"} for error in document["errors"])
    return document


def the_database() -> dict[str, tuple[int, int]]:
    """Return, for every table, how many rows it has and a sum over all they say."""
    with connection.cursor() as cursor:
        names = [
            name for name in connection.introspection.table_names(cursor) if name not in NO_EFFECTS
        ]
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{name}', count(*), coalesce(sum(hashtext(one::text)::bigint), 0)"  # noqa: S608 - the catalog's names
                f' FROM "{name}" AS one'
                for name in names
            )
        )
        return {name: (rows, said) for name, rows, said in cursor.fetchall()}


@contextmanager
def nothing_changes() -> Iterator[None]:
    """Check that no row of any table appears, changes or goes."""
    before = the_database()
    yield
    after = the_database()
    assert {name: after[name] for name in after if after[name] != before[name]} == {}


@contextmanager
def at_most_queries(most: int) -> Iterator[CaptureQueriesContext]:
    """Check how many queries were made."""
    with CaptureQueriesContext(connection) as captured:
        yield captured
    said = [query["sql"][:200] for query in captured.captured_queries]
    assert len(said) <= most, said
