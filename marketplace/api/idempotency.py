"""Exactly once: the record of a key is written in the transaction of what the request does.

A second request with the same key waits on the unique index until the first has committed, and is
answered from its record; if the first failed, it runs. There is no state "in progress", nothing to
clean up after a crash, and no moment between an effect and its record.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.http import HttpResponse
from rest_framework.exceptions import APIException, ParseError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.models import IdempotencyRecord
from marketplace.foundation import clock
from marketplace.foundation.transactions import run_in_transaction
from marketplace.participants import keys

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MOST_KEY_CHARACTERS = 255
SECRETS_FOR = timedelta(hours=24)
KEPT_FOR = timedelta(days=7)
KEPT_HEADERS = ("Location", "ETag")
PLACEHOLDER = b"hsa_<shown-once>"

TAKE = """
INSERT INTO api_idempotencyrecord (scope, key, digest, status, content_type, headers, body)
VALUES (%s, %s, %s, 0, '', '{}', '') ON CONFLICT (scope, key) DO NOTHING RETURNING id
"""


class KeyReused(APIException):
    """The key was used for another request."""

    status_code = 422
    default_code = "idempotency_key_reused"
    default_detail = "This Idempotency-Key was used for another request."


class ReplyExpired(APIException):
    """The reply showed a secret, and can no longer be given again."""

    status_code = 409
    default_code = "reply_expired"
    default_detail = "The reply showed a key, which can be shown again for 24 hours only."


class Retryable(Protocol):
    """What an endpoint offers to `retryable`."""

    key_seed: bytes

    @property
    def is_dry_run(self) -> bool: ...

    def prepare(self, request: Request, **kwargs: Any) -> None: ...
    def idempotency_scope(self, request: Request) -> str: ...


P = ParamSpec("P")
E = TypeVar("E", bound=Retryable)


def retryable(
    method: Callable[Concatenate[E, Request, P], Response],
) -> Callable[Concatenate[E, Request, P], HttpResponse]:
    """Make a POST one transaction that can be repeated under an `Idempotency-Key`.

    The endpoint's `prepare` runs before the transaction: validation that is slow, and files. With
    `?dry_run=true`, where the endpoint takes it, everything happens and is rolled back, and no
    record is written.
    """

    @wraps(method)
    def run(view: E, request: Request, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        key = _key_of(request)
        digest = request_digest(request)
        view.key_seed = keys.random_seed()
        view.prepare(request, **kwargs)
        if view.is_dry_run:
            return run_in_transaction(lambda: _rolled_back(method, view, request, *args, **kwargs))
        if key is None:
            return run_in_transaction(lambda: method(view, request, *args, **kwargs))
        scope = view.idempotency_scope(request)
        view.key_seed = hashlib.sha256(b"\0".join([scope.encode(), key.encode(), digest])).digest()

        def once() -> HttpResponse:
            record = _take(scope, key, digest)
            if record is not None:
                return _again(record, digest, view.key_seed)
            response = method(view, request, *args, **kwargs)
            return _remember(scope, key, response)

        return run_in_transaction(once)

    run.is_retryable = True  # type: ignore[attr-defined]
    return run


def _rolled_back(method: Callable[..., Response], *args: object, **kwargs: object) -> HttpResponse:
    response = method(*args, **kwargs)
    response.status_code = 200  # nothing was created
    transaction.set_rollback(True)
    return response


def _key_of(request: Request) -> str | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    key = key.strip().strip('"')
    if not 1 <= len(key) <= MOST_KEY_CHARACTERS or not key.isprintable():
        raise ParseError(
            "An Idempotency-Key has 1 to 255 printable characters.",
            code="invalid_idempotency_key",
        )
    return key


def request_digest(request: Request) -> bytes:
    """Return the SHA-256 of what a request asks for.

    Equal requests are equal whatever the order of their JSON members and whatever boundary a
    client put between the parts of a form.
    """
    query = sorted((name, request.query_params.getlist(name)) for name in request.query_params)
    asked = [request.method, request.path, query, _content(request)]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()


def _content(request: Request) -> object:
    data = request.data
    if not hasattr(data, "lists"):  # JSON, or nothing
        return data
    return sorted(
        (name, [_file_digest(v) if isinstance(v, UploadedFile) else v for v in values])
        for name, values in data.lists()
    )


def _file_digest(file: "UploadedFile[Any]") -> list[str]:
    content = hashlib.sha256()
    for chunk in file.chunks():
        content.update(chunk)
    file.seek(0)
    return [str(file.name), str(file.content_type), content.hexdigest()]


def _take(scope: str, key: str, digest: bytes) -> IdempotencyRecord | None:
    """Take the key and return None, or return the record of whoever took it before."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [scope, key, digest])
        if cursor.fetchone() is not None:
            return None
    return IdempotencyRecord.objects.get(scope=scope, key=key)


def _again(record: IdempotencyRecord, digest: bytes, seed: bytes) -> HttpResponse:
    if bytes(record.digest) != digest:
        raise KeyReused
    body = bytes(record.body)
    if record.secret_of is not None:
        if clock.now() - record.created_at > SECRETS_FOR:
            raise ReplyExpired
        body = body.replace(PLACEHOLDER, keys.derive(seed, record.secret_of).encode())
    headers: Mapping[str, str] = {**record.headers, REPLAYED: "true"}
    return HttpResponse(
        body, status=record.status, content_type=record.content_type, headers=headers
    )


def _remember(scope: str, key: str, response: Response) -> HttpResponse:
    """Write the record and return the very bytes that a repetition will get."""
    body = JSONRenderer().render(response.data) if response.data is not None else b""
    content_type = "application/json" if body else ""
    headers = {name: response[name] for name in KEPT_HEADERS if response.has_header(name)}
    secret = getattr(response, "shown_once", None)  # (the key's row id, the key)
    kept = body.replace(secret[1].encode(), PLACEHOLDER) if secret else body
    IdempotencyRecord.objects.filter(scope=scope, key=key).update(
        status=response.status_code,
        content_type=content_type,
        headers=headers,
        body=kept,
        secret_of=secret[0] if secret else None,
    )
    return HttpResponse(
        body, status=response.status_code, content_type=content_type, headers=headers
    )


def purge() -> int:
    """Delete records that nobody will ask for again and return how many."""
    deleted, _ = IdempotencyRecord.objects.filter(created_at__lt=clock.now() - KEPT_FOR).delete()
    return deleted
