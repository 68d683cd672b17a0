"""Freezes: what they say, and how they are appealed."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.endpoints import EITHER_SIDE, Endpoint, actor_of
from marketplace.api.fields import IdField, StrictSerializer, TextField
from marketplace.api.idempotency import retryable
from marketplace.api.paging import PageQuery, paginate
from marketplace.foundation import ids
from marketplace.participants.freezes import freezes_of
from marketplace.participants.models import Freeze
from marketplace.participants.usecases.appeal_freeze import appeal_freeze

APPEAL_CHARACTERS = 5_000


class FreezeAppealOut(serializers.Serializer[Any]):
    """An appeal; `granted` and `answer` are null until staff have answered."""

    text = serializers.CharField(source="appeal")
    created_at = serializers.DateTimeField(source="appealed_at")
    granted = serializers.SerializerMethodField()
    answer = serializers.SerializerMethodField()
    answered_at = serializers.DateTimeField(allow_null=True)

    def get_granted(self, freeze: Freeze) -> bool | None:
        return freeze.is_appeal_granted if freeze.answered_at else None

    def get_answer(self, freeze: Freeze) -> str | None:
        return freeze.answer if freeze.answered_at else None


class FreezeOut(serializers.Serializer[Any]):
    """A decision of staff that stops new dealings until `ends_at`, or until it is lifted."""

    id = IdField("freeze")
    participant = serializers.CharField(source="participant.handle")
    reason = serializers.CharField()
    frozen_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    lifted_at = serializers.DateTimeField(allow_null=True)
    appeal = serializers.SerializerMethodField()

    @extend_schema_field(FreezeAppealOut(allow_null=True))
    def get_appeal(self, freeze: Freeze) -> Any:
        return FreezeAppealOut(freeze).data if freeze.appealed_at else None


class FreezePageOut(serializers.Serializer[Any]):
    """A page of freezes."""

    results = FreezeOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class FreezeAppealIn(StrictSerializer):
    """Why a freeze should not be."""

    text = TextField(max_length=APPEAL_CHARACTERS)


class Freezes(Endpoint):
    """`/me/freezes`."""

    scopes = {}
    queries = {"GET": PageQuery}

    @extend_schema(responses=FreezePageOut)
    def get(self, request: Request) -> Response:
        """List freezes of oneself, of one's operator and of one's agents, newest first."""
        page = paginate(freezes_of(actor_of(request)), self.query)
        results = FreezeOut(page.rows, many=True).data
        return Response({"results": results, "next_cursor": page.next_cursor})


class AppealFreeze(Endpoint):
    """`/freezes/{id}/appeal`."""

    scopes = {"POST": EITHER_SIDE}

    @extend_schema(request=FreezeAppealIn, responses=FreezeOut)
    @retryable
    def post(self, request: Request, freeze_id: str) -> Response:
        """Appeal a freeze of oneself, or of an agent of one's own, once."""
        given = self.read_body(request, FreezeAppealIn)
        freeze = appeal_freeze(
            freeze_id=ids.decode("freeze", freeze_id), actor=actor_of(request), **given
        )
        return Response(FreezeOut(freeze).data)
