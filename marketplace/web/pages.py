"""What every page has: a caller, limits, and one way to say why the market refuses something."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from rest_framework.exceptions import APIException

from marketplace.api import limits, problems
from marketplace.api.endpoints import READS, Throttled, address_of
from marketplace.api.parsers import check_storable
from marketplace.participants.models import Participant
from marketplace.web.advice import advice_on

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]

# Everything that means something to whoever asked; what is not in here is a bug.
REFUSALS: tuple[type[Exception], ...] = (
    *problems.BY_ERROR,
    *problems.FIELD_ERRORS,
    APIException,
    DjangoValidationError,
)


def page(view: View[P]) -> View[P]:
    """Make *view* a page: limited like the API, with an answer to every error of the domain."""

    @wraps(view)
    def run(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            check_storable(request.path)
        except ValueError as error:
            raise Http404 from error
        allowance = limits.take(_caller(request), writes=request.method not in READS)
        if allowance is not None and allowance.exceeded:
            response = refusal_page(request, Throttled(allowance))
            response["Retry-After"] = str(allowance.reset_seconds)
            return response
        try:
            answer = view(request, *args, **kwargs)
        except REFUSALS as error:
            answer = refusal_page(request, error)
        # What one may see, no shared cache may give to another.
        answer.headers.setdefault("Cache-Control", "private, no-cache")
        return answer

    return run


def problem_of(request: HttpRequest, error: Exception) -> dict[str, Any]:
    """Return what the API would answer to *error*, one of `REFUSALS`, with advice for a person."""
    response = problems.exception_handler(error, {"request": request})  # type: ignore[typeddict-item] # there is no view of DRF's
    assert response is not None, "every refusal has a problem document"
    return {**response.data, "hint": advice_on(response.data["code"])}


def refusal_page(request: HttpRequest, error: Exception) -> HttpResponse:
    """Return a page that says what *error* means and what to do."""
    problem = problem_of(request, error)
    says_more = problem["detail"] != f"{problem['title']}."
    context = {
        "status": problem["status"],
        "title": problem["title"],
        "detail": problem["detail"] if says_more else "",
        "errors": [
            (error["pointer"].lstrip("?/"), error["detail"]) for error in problem.get("errors", ())
        ],
        "what_next": problem["hint"],
        "code": problem["code"],
    }
    response = render(request, "web/error.html", context, status=problem["status"])
    for name, value in problems.retry_headers(problem, error).items():
        response[name] = value
    return response


def attachment(content: bytes, media_type: str, name: str) -> HttpResponse:
    """Return a file for the reader to keep; *name* is a plain one of ours."""
    return HttpResponse(
        content,
        content_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def actor_of(request: HttpRequest) -> Participant:
    """Return who is signed in, on a page that requires it."""
    assert isinstance(request.user, Participant), "the page requires signing in"
    return request.user


def viewer_of(request: HttpRequest) -> Participant | None:
    """Return who is looking, or None for a visitor without a name."""
    return request.user if isinstance(request.user, Participant) else None


def _caller(request: HttpRequest) -> str:
    viewer = viewer_of(request)
    return str(viewer.pk) if viewer else f"address:{address_of(request)}"
