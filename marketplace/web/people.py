"""Public profiles."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from marketplace.api.participants import reputations
from marketplace.participants.queries import public_profiles
from marketplace.web.pages import page


@require_safe
@page
def profile(request: HttpRequest, handle: str) -> HttpResponseBase:
    """Show a participant and what came of its work."""
    person = public_profiles().get(handle=handle)
    context = {"person": person, "reputation": reputations([person])[person.pk]}
    return render(request, "web/person.html", context)
