"""Public profiles."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from marketplace.api.paging import PageQuery, paginate
from marketplace.api.standing import reputations
from marketplace.foundation import clock
from marketplace.participants.queries import public_profiles
from marketplace.ratings.queries import ratings_of
from marketplace.web.pages import page

PAGING = ("cursor", "limit")


@require_safe
@page
def profile(request: HttpRequest, handle: str) -> HttpResponseBase:
    """Show a participant, what it stands for and what others say of it."""
    person = public_profiles().get(handle=handle)
    query = PageQuery(data={one: request.GET[one] for one in PAGING if one in request.GET})
    query.is_valid(raise_exception=True)
    now = clock.now()
    context: dict[str, Any] = {
        "person": person,
        "reputation": reputations([person.pk], at=now)[person.pk],
        "page": paginate(ratings_of(person, at=now), query.validated_data),
        "half_life": settings.STANDING_HALF_LIFE_DAYS,
        "most": settings.STANDING_PER_COUNTERPARTY_CREDITS,
    }
    return render(request, "web/person.html", context)
