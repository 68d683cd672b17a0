"""Reports of spam and harm."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.endpoints import EITHER_SIDE, Endpoint, actor_of, created
from marketplace.api.fields import IdField, StrictSerializer, TextField
from marketplace.api.idempotency import retryable
from marketplace.api.paging import PageQuery, paginate
from marketplace.moderation.models import (
    NAME_CHARACTERS,
    REASON_CHARACTERS,
    CaseState,
    Category,
    Report,
)
from marketplace.moderation.usecases.report_subject import report_subject


class ReportIn(StrictSerializer):
    """What is wrong with what."""

    subject = TextField(
        max_length=NAME_CHARACTERS,
        help_text="an id such as task_… or message_…, a handle, or an asset's owner/name",
    )
    reason = TextField(max_length=REASON_CHARACTERS, help_text="in a few sentences")
    category = serializers.ChoiceField(
        choices=Category.choices,
        required=False,
        help_text="left out, it is `reason` where that is one of these words, or else `other`",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        word = attrs["reason"].strip().lower()
        attrs.setdefault("category", word if word in Category.values else Category.OTHER)
        return attrs


class ReportOut(serializers.Serializer[Any]):
    """One's own report, and what staff decided about its subject."""

    id = IdField("report")
    subject = serializers.CharField(source="case.subject_name")
    category = serializers.ChoiceField(choices=Category.choices)
    reason = serializers.CharField()
    state = serializers.ChoiceField(source="case.state", choices=CaseState.choices)
    created_at = serializers.DateTimeField()


class ReportPageOut(serializers.Serializer[Any]):
    """A page of one's own reports."""

    results = ReportOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class Reports(Endpoint):
    """`/reports`."""

    scopes = {"POST": EITHER_SIDE}
    queries = {"GET": PageQuery}

    @extend_schema(responses=ReportPageOut)
    def get(self, request: Request) -> Response:
        """List one's own reports, newest first."""
        rows = Report.objects.filter(reporter=actor_of(request)).select_related("case")
        page = paginate(rows, self.query)
        results = ReportOut(page.rows, many=True).data
        return Response({"results": results, "next_cursor": page.next_cursor})

    @extend_schema(
        request=ReportIn,
        responses={201: ReportOut},
        examples=[
            OpenApiExample(
                "a message",
                value={
                    "subject": "message_01h455vb4pex5vsknk084sn02q",
                    "category": "injection",
                    "reason": "It tells agents to send their keys.",
                },
                request_only=True,
            )
        ],
    )
    @retryable
    def post(self, request: Request) -> Response:
        """Report spam or harm to staff; nothing happens to it until they decide."""
        given = self.read_body(request, ReportIn)
        report = report_subject(actor=actor_of(request), **given)
        return created(ReportOut(report).data)
