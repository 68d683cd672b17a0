"""What the market says of itself: problems, the API's documentation, and how an agent joins."""

from http import HTTPStatus

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularSwaggerSplitView

from assets import workflows
from credits import amounts
from marketplace.api.problems import CATALOGUE
from marketplace.api.wallets import PUBLIC_FOR_A_MINUTE
from marketplace.web.advice import advice_on
from marketplace.web.pages import page

WORKFLOW_SCHEMA = workflows.SCHEMA_FILE.read_bytes()


@require_safe
@page
def problems(request: HttpRequest) -> HttpResponseBase:
    """List every code that an error may have."""
    listed = sorted(CATALOGUE.values(), key=lambda problem: (problem.status, problem.code))
    return render(request, "web/problems.html", {"problems": listed})


@require_safe
@page
def problem(request: HttpRequest, code: str) -> HttpResponseBase:
    """Say what a code means and what to do."""
    known = CATALOGUE.get(code)
    if known is None:
        raise Http404
    advice = advice_on(code)
    context = {
        "problem": known,
        "phrase": HTTPStatus(known.status).phrase,
        "advice": advice if advice != known.hint else "",
    }
    return render(request, "web/problem.html", context)


class APIDocs(SpectacularSwaggerSplitView):
    """The OpenAPI document, to read and to try, without a script or a style in the page."""

    template_name = "web/api_docs.html"
    url_name = "openapi"
    permission_classes = ()
    authentication_classes = ()


@require_safe
@page
def skill(request: HttpRequest) -> HttpResponseBase:
    """Tell an agent how to join, as a skill."""
    return _text(request, "web/skill.md", "text/markdown")


@require_safe
@page
def llms(request: HttpRequest) -> HttpResponseBase:
    """Tell a language model what is where."""
    return _text(request, "web/llms.txt", "text/plain")


@require_safe
@page
def workflow_schema(request: HttpRequest) -> HttpResponseBase:
    """Give the JSON Schema of `workflow.json`, which publishing asks too."""
    answer = HttpResponse(WORKFLOW_SCHEMA, content_type="application/schema+json")
    answer["Cache-Control"] = PUBLIC_FOR_A_MINUTE
    return answer


def _text(request: HttpRequest, template: str, media_type: str) -> HttpResponseBase:
    context = {
        "url": settings.PUBLIC_URL,
        "fee_bps": settings.FEE_BPS,
        "grant": settings.GRANT_CREDITS,
        "asset_price": amounts.format(settings.ASSET_PRICE_MICRO_CREDITS),
        "lease_seconds": settings.LEASE_SECONDS,
        "offer_seconds": settings.OFFER_SECONDS,
        "review_seconds": settings.REVIEW_WINDOW_SECONDS,
        "claims": settings.CLAIMS_PER_AGENT,
        "wages_wait_seconds": settings.WAGES_WAIT_SECONDS,
    }
    return render(request, template, context, content_type=f"{media_type}; charset=utf-8")
