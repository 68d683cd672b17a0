"""What every endpoint has: scopes, limits, strict input, and a caller."""

import ipaddress
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.http import HttpRequest
from rest_framework import exceptions, serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from marketplace.api import limits
from marketplace.api.fields import QuerySerializer
from marketplace.api.parsers import BodyTooLarge, check_storable
from marketplace.api.problems import InsufficientScope, Precondition
from marketplace.participants.models import ApiKey, Participant
from marketplace.participants.scopes import ALL_SCOPES, Scope

S = TypeVar("S", bound=serializers.BaseSerializer[Any])
READS = frozenset({"GET", "HEAD", "OPTIONS"})
# What both sides of a task do: a key that may post, or may work, may do it.
EITHER_SIDE = (Scope.TASKS_WRITE, Scope.WORK_WRITE)


class LengthRequired(exceptions.APIException):
    """A body without a length: how much there is to read is not known."""

    status_code = 411
    default_code = "length_required"
    default_detail = "Send the body with a Content-Length."


class Throttled(exceptions.APIException):
    """One call too many."""

    status_code = 429
    default_code = "throttled"

    def __init__(self, allowance: limits.Allowance) -> None:
        super().__init__(f"More than {allowance.limit} {allowance.name} in a minute.")


class Endpoint(APIView):
    """One path of the contract.

    Class attributes declare what a method needs; the same declarations make the OpenAPI document.

    Attributes:
        scopes: The scope that each method needs, or several of which one suffices; a method that
            is absent needs a caller and no scope, `None` is open to everybody.
        full_keys_only: Methods that could give a key more than it has, and so need one with every
            scope, or a session.
        queries: The query parameters that each method takes; absent takes none.
        takes_dry_run: Whether POST takes `?dry_run=true`.
        body_limit_bytes: The largest body, where it is not the setting's.
    """

    scopes: ClassVar[dict[str, Scope | tuple[Scope, ...] | None]] = {}
    full_keys_only: ClassVar[frozenset[str]] = frozenset()
    queries: ClassVar[dict[str, type[QuerySerializer]]] = {}
    takes_dry_run: ClassVar[bool] = False
    body_limit_bytes: int | None = None
    permission_classes = (AllowAny,)  # `initial` decides, by scope

    key_seed: bytes = b""
    allowance: limits.Allowance | None = None
    query: dict[str, Any]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        try:
            super().initial(request, *args, **kwargs)
        except exceptions.APIException:
            # Whoever tries keys, or asks for what there is not, is counted by address.
            self.take_allowance(request)
            raise
        self.take_allowance(request)
        try:
            check_storable(request.path)
        except ValueError as error:
            raise exceptions.NotFound from error
        self._require_scope(request)
        self._require_length(request)
        self.query = self._read_query(request)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.allowance is not None:
            for name, value in self.allowance.headers.items():
                response[name] = value
            if self.allowance.exceeded:
                response["Retry-After"] = str(self.allowance.reset_seconds)
        # What one caller may see, no shared cache may give to another.
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return response

    def _require_scope(self, request: Request) -> None:
        method = _asked(request)
        scope = self.scopes.get(method)
        if method in self.scopes and scope is None:
            return
        if method == "OPTIONS" or not hasattr(self, method.lower()):
            return
        if request.user is None:
            raise exceptions.NotAuthenticated
        held = held_scopes(request)
        for one in ALL_SCOPES if method in self.full_keys_only else ():
            if one not in held:
                raise InsufficientScope(one)
        suffices = scope if isinstance(scope, tuple) else (scope,) if scope else ()
        if suffices and not any(one.value in held for one in suffices):
            raise InsufficientScope(suffices[0].value)

    def take_allowance(self, request: Request) -> None:
        """Count the call; raises `Throttled` where it is one too many."""
        asking = viewer_of(request)
        caller = str(asking.pk) if asking is not None else f"address:{address_of(request)}"
        self.allowance = limits.take(caller, writes=request.method not in READS)
        if self.allowance is not None and self.allowance.exceeded:
            raise Throttled(self.allowance)

    def _require_length(self, request: Request) -> None:
        if request.method in READS:
            return
        if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
            raise LengthRequired
        limit = self.body_limit_bytes or settings.JSON_BODY_LIMIT_BYTES
        try:
            length = int(request.headers.get("Content-Length") or 0)
        except ValueError:
            raise LengthRequired from None
        if length > limit:
            raise BodyTooLarge(f"A body here is at most {limit} bytes.")

    def _read_query(self, request: Request) -> dict[str, Any]:
        given = request.query_params
        if self.takes_dry_run and request.method == "POST":
            declared: type[QuerySerializer] = DryRunQuery
        else:
            declared = self.queries.get(_asked(request), QuerySerializer)
        serializer = declared(data=given)
        try:
            serializer.is_valid(raise_exception=True)
        except exceptions.ValidationError as error:
            error.in_query = True  # type: ignore[attr-defined]
            raise
        return dict(serializer.validated_data)

    # --- What endpoints use ---

    @property
    def is_dry_run(self) -> bool:
        """Say whether the caller only wants to know what would happen."""
        return bool(self.query.get("dry_run"))

    def prepare(self, request: Request, **kwargs: Any) -> None:
        """Do what is slow and writes no rows, before the transaction of a POST."""

    def idempotency_scope(self, request: Request) -> str:
        """Return within what an idempotency key is unique."""
        return str(actor_of(request).pk)

    def read_body(self, request: Request, serializer: type[S]) -> Any:
        """Return the validated body.

        Raises:
            ValidationError: With the fields that are not valid.
        """
        read = serializer(data=request.data)
        read.is_valid(raise_exception=True)
        return read.validated_data


def _asked(request: Request) -> str:
    """Return the method whose declarations count: HEAD is GET without the body."""
    return "GET" if request.method == "HEAD" else str(request.method)


class DryRunQuery(QuerySerializer):
    """`?dry_run=true`: do everything, write nothing."""

    dry_run = serializers.BooleanField(required=False, default=False)


def actor_of(request: Request) -> Participant:
    """Return who is calling; endpoints that ask have required a caller."""
    user = request.user
    if not isinstance(user, Participant):
        raise exceptions.NotAuthenticated
    return user


def held_scopes(request: Request) -> Sequence[str]:
    """Return what the caller may touch: what its key says, or everything in a session."""
    return request.auth.scopes if isinstance(request.auth, ApiKey) else ALL_SCOPES


def viewer_of(request: Request) -> Participant | None:
    """Return who is looking, or None for a visitor without a name."""
    return request.user if isinstance(request.user, Participant) else None


def address_of(request: Request | HttpRequest) -> str:
    """Return the network address of the caller, past the proxies that the settings trust."""
    address = str(request.META.get("REMOTE_ADDR") or "")
    hops = settings.TRUSTED_PROXY_HOPS
    if hops:
        forwarded = [a.strip() for a in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        if len(forwarded) >= hops:
            address = forwarded[-hops]
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - no address is known; all such callers share one limit


def etag(version: int) -> str:
    """Return the ETag of a version of something that can be edited."""
    return f'"{version}"'


def read_version_of(request: Request) -> Any:
    """Return the test whether a version is the one that the caller read.

    Raises:
        Precondition: The caller does not say.
    """
    given = request.headers.get("If-Match")
    if given is None:
        raise Precondition
    tags = [tag.strip().removeprefix("W/") for tag in given.split(",")]
    return lambda version: "*" in tags or etag(version) in tags


def created(data: Any, *, location: str = "") -> Response:
    """Return 201 with what was created."""
    return Response(data, status=201, headers={"Location": location} if location else {})
