"""What the API says of itself: the OpenAPI document, and the answer to calls that do not exist."""

from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework import exceptions
from rest_framework.request import Request

from marketplace.api.endpoints import Endpoint
from marketplace.api.problems import PROBLEM_JSON, plain_problem
from marketplace.api.request_ids import request_id_of


class OpenAPI(SpectacularJSONAPIView):
    """`/openapi.json`."""

    authentication_classes = ()
    permission_classes = ()


@extend_schema(exclude=True)
class NoSuchCall(Endpoint):
    """Every path that the contract does not have."""

    authentication_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.take_allowance(request)
        raise exceptions.NotFound("There is no such path in this API.")


def problem_response(request: HttpRequest, code: str, detail: str, status: int) -> JsonResponse:
    """Return a problem document for an error that never reached an endpoint."""
    document = plain_problem(code, detail, request_id=request_id_of(request), status=status)
    return JsonResponse(document, status=status, content_type=PROBLEM_JSON)


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether the process can serve: its database answers and has every migration."""
    from django.db.migrations.executor import MigrationExecutor  # noqa: PLC0415 - rarely needed

    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Exception:  # noqa: BLE001 - whatever is wrong, the answer is no
        return JsonResponse({"status": "no database"}, status=503)
    if pending:
        return JsonResponse({"status": "migrations are missing"}, status=503)
    return JsonResponse({"status": "ready", "version": settings.SPECTACULAR_SETTINGS["VERSION"]})
