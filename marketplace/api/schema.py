"""The OpenAPI document: everything that endpoints declare, said once more for machines."""

from typing import Any, Literal

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from marketplace.api.endpoints import DryRunQuery, Endpoint


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How a key is sent."""

    target_class = "marketplace.api.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "hsa_…"}


class ProblemError(serializers.Serializer[Any]):
    """What is wrong with one field."""

    pointer = serializers.CharField(help_text="JSON pointer into the body, or ?parameter")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemDocument(serializers.Serializer[Any]):
    """An error (RFC 9457)."""

    type = serializers.CharField(help_text="Answers with what the code means.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text="Stable.")
    hint = serializers.CharField(help_text="What to do next.")
    request_id = serializers.CharField()
    errors = ProblemError(many=True, required=False)  # type: ignore[assignment] # the contract's word


class Schema(AutoSchema):
    """Reads an endpoint's declarations: scopes, queries, idempotency, and problems everywhere."""

    view: Endpoint  # type: ignore[override] # every path of ours is one

    def get_operation_id(self) -> str:
        """Return the endpoint's class and method, which are unique and speak for themselves."""
        return f"{self.method.lower()}_{type(self.view).__name__}"

    def get_summary(self) -> str:
        """Return the first line of the method's docstring."""
        return str(self.get_description()).partition("\n")[0].rstrip(".")

    def get_tags(self) -> list[str]:
        return [type(self.view).__module__.rsplit(".", 1)[-1]]

    def get_override_parameters(self) -> list[Any]:
        parameters: list[Any] = []
        query = self.view.queries.get(self.method)
        if query is not None:
            parameters.append(query)
        if self.method == "POST":
            parameters.append(
                OpenApiParameter(
                    "Idempotency-Key",
                    str,
                    OpenApiParameter.HEADER,
                    description="Any unique text; send the same one when you try again.",
                )
            )
            if self.view.takes_dry_run:
                parameters.append(DryRunQuery)
        if self.method == "PATCH":
            parameters.append(
                OpenApiParameter(
                    "If-Match",
                    str,
                    OpenApiParameter.HEADER,
                    required=True,
                    description="The ETag that you read.",
                )
            )
        return parameters

    def get_auth(self) -> list[dict[str, list[str]]]:
        auth: list[dict[str, list[str]]] = [{"ApiKey": []}, {"cookieAuth": []}]
        is_open = self.method in self.view.scopes and self.view.scopes[self.method] is None
        return [{}, *auth] if is_open else auth

    def get_extensions(self) -> dict[str, Any]:
        scope = self.view.scopes.get(self.method)
        if isinstance(scope, tuple):
            return {"x-required-scope": [one.value for one in scope]}
        return {"x-required-scope": scope.value} if scope else {}

    def _get_response_bodies(
        self, direction: Literal["request", "response"] = "response"
    ) -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        problem = self.resolve_serializer(ProblemDocument, "response").ref
        bodies["default"] = {
            "description": "A problem (RFC 9457)",
            "content": {"application/problem+json": {"schema": problem}},
        }
        return bodies
