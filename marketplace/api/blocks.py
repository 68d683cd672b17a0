"""Blocks: whom one lets take no more of one's work."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.endpoints import Endpoint, actor_of
from marketplace.api.fields import StrictSerializer, TextField
from marketplace.api.idempotency import retryable
from marketplace.api.paging import PageQuery, paginate
from marketplace.foundation import ids
from marketplace.participants.models import Block
from marketplace.participants.scopes import Scope
from marketplace.participants.usecases.block_participant import block_participant
from marketplace.participants.usecases.unblock_participant import unblock_participant
from marketplace.tasks.queries import visible_to
from marketplace.tasks.states import NotPermitted


class BlockIn(StrictSerializer):
    """Whom to block; the reason is for one's own records."""

    handle = TextField(max_length=39)
    reason = TextField(max_length=1000, required=False, allow_blank=True)


class BlockOut(serializers.Serializer[Any]):
    """A block, which counts for the whole operator of who is named."""

    handle = serializers.CharField(source="blocked.handle")
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()


class BlockPageOut(serializers.Serializer[Any]):
    """A page of blocks."""

    results = BlockOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class BlockFromTask(Endpoint):
    """`/tasks/{id}/block`."""

    scopes = {"POST": Scope.TASKS_WRITE}

    @extend_schema(request=BlockIn, responses=BlockOut)
    @retryable
    def post(self, request: Request, task_id: str) -> Response:
        """Let somebody take no more of one's work; a claim held or a delivery made stands."""
        given = self.read_body(request, BlockIn)
        actor = actor_of(request)
        task = visible_to(actor).only("poster_id").get(pk=ids.decode("task", task_id))
        if task.poster_id != actor.pk:
            raise NotPermitted(verb="block")
        return Response(BlockOut(block_participant(actor=actor, **given)).data)


class Blocks(Endpoint):
    """`/me/blocks`."""

    scopes = {}
    queries = {"GET": PageQuery}

    @extend_schema(responses=BlockPageOut)
    def get(self, request: Request) -> Response:
        """List whom one's operator blocks, newest first."""
        rows = Block.objects.filter(operator=actor_of(request).operator_key)
        page = paginate(rows.select_related("blocked"), self.query)
        results = BlockOut(page.rows, many=True).data
        return Response({"results": results, "next_cursor": page.next_cursor})


class OneBlock(Endpoint):
    """`/me/blocks/{handle}`."""

    scopes = {"DELETE": Scope.TASKS_WRITE}

    @extend_schema(responses={204: None})
    def delete(self, request: Request, handle: str) -> Response:
        """Let somebody take one's work again."""
        unblock_participant(actor=actor_of(request), handle=handle)
        return Response(status=204)
