"""Who is calling: an API key, or a browser's session (with CSRF)."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from marketplace.participants import keys
from marketplace.participants.models import ApiKey, Participant


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer hsa_…`."""

    def authenticate(self, request: Request) -> tuple[Participant, ApiKey] | None:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        key = keys.find(value.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise AuthenticationFailed(
                "The key is unknown, expired or revoked.", code="authentication_failed"
            )
        return key.participant, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="hansa"'
