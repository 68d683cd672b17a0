"""How much a page reads of what it is sent.

The API's endpoints cap their own bodies. A page's body is parsed before its view is called, for the
CSRF token in it, so its cap has to stand before that.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from marketplace.api.files import FORM_OVERHEAD_BYTES
from marketplace.api.problems import CATALOGUE
from marketplace.web.advice import advice_on

API = "/api/"
FORM_WITH_FILES = "multipart/form-data"


class BodyLimitMiddleware:
    """Refuses bodies that are larger than the largest form of the pages could be."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(API) and _length(request) > _limit(request):
            title = CATALOGUE["body_too_large"].title
            context = {"status": 413, "title": title, "what_next": advice_on("body_too_large")}
            return render(request, "web/error.html", context, status=413)
        return self.get_response(request)


def _length(request: HttpRequest) -> int:
    """Return how much is sent; without a length that can be read, WSGI reads no body at all."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _limit(request: HttpRequest) -> int:
    if request.content_type == FORM_WITH_FILES:
        return int(settings.BUNDLE_LIMIT_BYTES) + FORM_OVERHEAD_BYTES
    return int(settings.JSON_BODY_LIMIT_BYTES)
