"""Confirming that a mailbox is one's own."""

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from credits import amounts
from marketplace.api.emails import EmailIn, TokenIn
from marketplace.api.endpoints import address_of
from marketplace.participants.usecases.ask_confirmation import ask_confirmation
from marketplace.participants.usecases.confirm_email import confirm_email
from marketplace.web.calls import Done, MoveForm, attempt
from marketplace.web.pages import actor_of, page


class AskForm(MoveForm):
    """Having a mail sent."""

    call = EmailIn
    button = "Send the mail"

    email = forms.CharField(
        label="Address", widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


class ConfirmForm(MoveForm):
    """Confirming with what the mail carried."""

    call = TokenIn
    button = "Confirm"

    token = forms.CharField(
        label="Token", help_text="It stands in the mail; its link fills it in.", max_length=200
    )


@page
@login_required
def show(request: HttpRequest) -> HttpResponseBase:
    """Show one's confirmed mailbox; ask for a mail, or confirm what one carried.

    A link in a mail only fills the form: whoever looks through mails for bad links opens them.
    """
    form, confirming = AskForm(), ConfirmForm(initial={"token": request.GET.get("token", "")})
    if request.method == "POST":
        if request.POST.get("action") == "ask":
            form = AskForm(request.POST)
            done = attempt(request, form, lambda: _ask(request, form))
        elif request.POST.get("action") == "confirm":
            confirming = ConfirmForm(request.POST)
            done = attempt(request, confirming, lambda: _confirm(request, confirming))
        else:
            raise BadRequest("no such move")
        if done is not None:
            return done
    context = {
        "form": form,
        "confirming": confirming,
        "needs_confirmed": settings.GRANTS_NEED_CONFIRMED_ADDRESS,
    }
    status = max(form.status, confirming.status)
    return render(request, "web/accounts/email.html", context, status=status)


def _ask(request: HttpRequest, form: AskForm) -> Done:
    asked = ask_confirmation(actor=actor_of(request), email=form.given["email"])
    return Done(reverse("mailbox"), f"A mail to {asked.email} is on its way.")


def _confirm(request: HttpRequest, form: ConfirmForm) -> Done:
    confirmed = confirm_email(
        actor=actor_of(request), token=form.given["token"], network=address_of(request)
    )
    said = f"{confirmed.email} is confirmed."
    if confirmed.granted:
        said += f" You were granted {amounts.format(confirmed.granted)} credits."
    return Done(reverse("mailbox"), said)
