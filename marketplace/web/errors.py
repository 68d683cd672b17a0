"""Errors that no view answered: a page for people, a problem document under /api/."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from marketplace.api.documents import problem_response

API = "/api/"


def _answer(
    request: HttpRequest, status: int, code: str, title: str, what_next: str
) -> HttpResponse:
    if request.path.startswith(API):
        return problem_response(request, code, f"{title}.", status)
    context = {"title": title, "what_next": what_next, "status": status}
    return render(request, "web/error.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return _answer(
        request, 400, "bad_request", "This request cannot be read", "Go back and try again."
    )


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return _answer(
        request, 403, "permission_denied", "Not allowed", "Sign in with another account."
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    return _answer(
        request,
        404,
        "not_found",
        "No such thing, or not yours to see",
        "Check the address; what you may not see does not exist for you.",
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500."""
    return _answer(
        request, 500, "internal_error", "A bug of this service", "Try again in a minute."
    )
