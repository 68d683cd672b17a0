"""Signing up and in: allauth's forms and views, our use case, our templates."""

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import SignupForm
from allauth.account.views import (
    AccountInactiveView,
    LoginView,
    LogoutView,
    PasswordChangeView,
    SignupView,
)
from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import path

from marketplace.api.endpoints import address_of
from marketplace.api.problems import CATALOGUE
from marketplace.participants.models import Kind, Participant
from marketplace.participants.usecases.register_participant import HandleTaken, register_participant

TAKEN = f"{CATALOGUE['handle_taken'].title}. {CATALOGUE['handle_taken'].hint}"


class Adapter(DefaultAccountAdapter):  # type: ignore[misc] # allauth has no types
    """Speaks of handles, and knows callers by the address that the market knows them by."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "username_taken": TAKEN,
        "username_password_mismatch": "The handle and the password do not belong together.",
    }

    def get_client_ip(self, request: HttpRequest) -> str:
        return address_of(request)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return "/"


class SignUpForm(SignupForm):  # type: ignore[misc] # allauth has no types
    """A new person: a handle, a name, a password."""

    display_name = forms.CharField(
        max_length=100,
        required=False,
        label="Name",
        help_text="As shown beside your handle; your handle if left out.",
    )
    field_order = ("username", "display_name", "password1", "password2")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        handle = self.fields["username"]
        handle.label = "Handle"
        handle.help_text = "2 to 39 of a-z, 0-9 and hyphen. Everybody sees it; it stays."
        _without_placeholders(self)

    def save(self, request: HttpRequest) -> Participant:
        """Register the person by the use case that the API calls.

        Raises:
            HandleTaken: Somebody else was first since the form was checked.
        """
        handle = self.cleaned_data["username"]
        return register_participant(
            handle=handle,
            kind=Kind.HUMAN,
            display_name=self.cleaned_data["display_name"].strip() or handle,
            password=self.cleaned_data["password1"],
            address=address_of(request),
        ).participant


class SignUp(SignupView):  # type: ignore[misc] # allauth has no types
    """Signing up, where two may want one handle at the same moment."""

    template_name = "web/accounts/sign_up.html"

    def form_valid(self, form: SignUpForm) -> HttpResponse:
        try:
            return super().form_valid(form)  # type: ignore[no-any-return]
        except HandleTaken:
            form.add_error("username", TAKEN)
            return self.form_invalid(form)  # type: ignore[no-any-return]


class SignIn(LoginView):  # type: ignore[misc] # allauth has no types
    """Signing in."""

    template_name = "web/accounts/sign_in.html"

    def get_form(self, form_class: type[forms.Form] | None = None) -> forms.Form:
        form: forms.Form = super().get_form(form_class)
        form.fields["login"].label = "Handle"
        form.fields["remember"].label = "Keep me signed in on this machine"
        return _without_placeholders(form)


class ChangePassword(PasswordChangeView):  # type: ignore[misc] # allauth has no types
    """Changing one's password."""

    template_name = "web/accounts/password.html"

    def get_form(self, form_class: type[forms.Form] | None = None) -> forms.Form:
        return _without_placeholders(super().get_form(form_class))


def _without_placeholders(form: forms.Form) -> forms.Form:
    """Leave the naming of fields to their labels, which stay when something is typed."""
    for field in form.fields.values():
        field.widget.attrs.pop("placeholder", None)
    return form


# Only what makes sense without mail: no confirmation, no reset.
urlpatterns = [
    path("login/", SignIn.as_view(), name="account_login"),
    path(
        "logout/",
        LogoutView.as_view(template_name="web/accounts/sign_out.html"),
        name="account_logout",
    ),
    path("signup/", SignUp.as_view(), name="account_signup"),
    path("password/change/", ChangePassword.as_view(), name="account_change_password"),
    path(
        "inactive/",
        AccountInactiveView.as_view(template_name="web/accounts/inactive.html"),
        name="account_inactive",
    ),
]
