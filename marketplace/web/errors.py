"""Errors that no view answered: a page for people, a problem document under /api/."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from marketplace.api.documents import problem_response
from marketplace.web.advice import advice_on

API = "/api/"


def _answer(request: HttpRequest, status: int, code: str, title: str) -> HttpResponse:
    if request.path.startswith(API):
        return problem_response(request, code, f"{title}.", status)
    context = {"title": title, "what_next": advice_on(code), "status": status}
    return render(request, "web/error.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return _answer(request, 400, "bad_request", "This request cannot be read")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return _answer(request, 403, "permission_denied", "Not allowed")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    return _answer(request, 404, "not_found", "No such thing, or not yours to see")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500."""
    return _answer(request, 500, "internal_error", "A bug of this service")
