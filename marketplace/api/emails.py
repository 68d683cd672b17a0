"""Confirming that a mailbox is one's own."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.endpoints import Endpoint, actor_of, address_of
from marketplace.api.fields import CreditsField, StrictSerializer, TextField
from marketplace.api.idempotency import retryable
from marketplace.participants.usecases.ask_confirmation import ask_confirmation
from marketplace.participants.usecases.confirm_email import confirm_email


class EmailIn(StrictSerializer):
    """A mailbox that one says is one's own."""

    email = serializers.EmailField(max_length=254)


class AskedOut(serializers.Serializer[Any]):
    """A mail is on its way; what it carries confirms the mailbox."""

    email = serializers.CharField()
    expires_at = serializers.DateTimeField()


class TokenIn(StrictSerializer):
    """What the mail carried."""

    token = TextField(max_length=200)


class ConfirmedOut(serializers.Serializer[Any]):
    """A confirmed mailbox, and the sign-up grant where it brought one."""

    email = serializers.CharField()
    granted = CreditsField()


class Email(Endpoint):
    """`/me/email`."""

    scopes = {}
    full_keys_only = frozenset({"POST"})

    @extend_schema(request=EmailIn, responses={202: AskedOut})
    @retryable
    def post(self, request: Request) -> Response:
        """Have a mail sent that asks whether a mailbox is one's own."""
        given = self.read_body(request, EmailIn)
        asked = ask_confirmation(actor=actor_of(request), email=given["email"])
        return Response(AskedOut(asked).data, status=202)


class ConfirmEmail(Endpoint):
    """`/me/email/confirm`."""

    scopes = {}
    full_keys_only = frozenset({"POST"})

    @extend_schema(request=TokenIn, responses=ConfirmedOut)
    @retryable
    def post(self, request: Request) -> Response:
        """Confirm a mailbox with what its mail carried; a grant that one has not had comes now."""
        given = self.read_body(request, TokenIn)
        confirmed = confirm_email(
            actor=actor_of(request), token=given["token"], network=address_of(request)
        )
        return Response(ConfirmedOut(confirmed).data)
