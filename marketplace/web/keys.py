"""One's own API keys: a list, new ones, and their end."""

import uuid
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from marketplace.api.paging import PageQuery, paginate
from marketplace.api.participants import KeyIn
from marketplace.api.tasks import NothingIn
from marketplace.foundation import ids
from marketplace.participants import keys
from marketplace.participants.queries import keys_of
from marketplace.participants.scopes import ALL_SCOPES, Scope
from marketplace.participants.usecases.issue_key import issue_key
from marketplace.participants.usecases.revoke_key import revoke_key
from marketplace.web.calls import CallForm, Done, Moment, MoveForm, attempt
from marketplace.web.pages import actor_of, page

NEW_KEY = "new_key"


class KeyFilters(CallForm):
    """Where in the list one is."""

    call = PageQuery

    cursor = forms.CharField(required=False, widget=forms.HiddenInput)


class KeyForm(MoveForm):
    """A new key."""

    call = KeyIn
    button = "Make a key"

    name = forms.CharField(help_text="What you will know it by, such as laptop.")
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        initial=ALL_SCOPES,
        widget=forms.CheckboxSelectMultiple,
        label="What it may do",
    )
    expires_at = Moment(required=False, label="Expires (UTC)", help_text="Never if left empty.")


class RevokeForm(MoveForm):
    """The end of a key."""

    call = NothingIn
    button = "Revoke"

    key = forms.CharField(widget=forms.HiddenInput)


@page
@login_required
def show(request: HttpRequest) -> HttpResponseBase:
    """Show one's keys; make one, or revoke one."""
    form, revoking = KeyForm(), RevokeForm()
    if request.method == "POST":
        if request.POST.get("action") == "make":
            form = KeyForm(request.POST)
            done = attempt(request, form, lambda: _make(request, form))
        elif request.POST.get("action") == "revoke":
            revoking = RevokeForm(request.POST)
            done = attempt(request, revoking, lambda: _revoke(request, revoking))
        else:
            raise BadRequest("no such move")
        if done is not None:
            return done
    filters = KeyFilters(request.GET)
    context: dict[str, Any] = {"form": form, "revoking": revoking, "filters": filters}
    context["secret"] = _shown_once(request)
    if filters.accepts(request):
        context["page"] = paginate(keys_of(actor_of(request)), filters.given)
    status = max(form.status, revoking.status)
    response = render(request, "web/keys.html", context, status=status)
    response["Cache-Control"] = "private, no-store"
    return response


def _make(request: HttpRequest, form: KeyForm) -> Done:
    seed = keys.random_seed()
    issued = issue_key(participant_id=actor_of(request).pk, seed=seed, **form.given)
    # What the next page needs to show the key once. Without the server's own secret it is nothing,
    # so that no key is stored, also not for the length of a redirect.
    request.session[NEW_KEY] = {"id": str(issued.row.pk), "seed": seed.hex()}
    return Done(reverse("keys"))


def _shown_once(request: HttpRequest) -> str:
    """Return the key that was just made, this once; else an empty string."""
    made = request.session.pop(NEW_KEY, None)
    if made is None:
        return ""
    return keys.derive(bytes.fromhex(made["seed"]), uuid.UUID(made["id"]))


def _revoke(request: HttpRequest, form: RevokeForm) -> Done:
    revoke_key(key_id=ids.decode("key", form.cleaned_data["key"]), actor=actor_of(request))
    return Done(reverse("keys"), "The key opens nothing any more.")
